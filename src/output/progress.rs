//! Progress on a terminal: a bar for the pass, a line for each deploy in flight.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::text::printable;

/// How often the spinner of a deploy turns.
const TICK: Duration = Duration::from_millis(120);

/// The bar of a pass. Dropping it clears it.
pub struct Progress {
    bars: MultiProgress,
    bar: ProgressBar,
    color: bool,
}

impl Progress {
    /// Adds a bar of `total` steps to those that `bars` draws.
    pub(super) fn new(bars: &MultiProgress, title: &str, total: u64, color: bool) -> Self {
        let bar = bars.add(ProgressBar::new(total));
        bar.set_style(style(if color {
            "{prefix} {bar:20.cyan} {pos}/{len} {wide_msg}"
        } else {
            "{prefix} {bar:20} {pos}/{len} {wide_msg}"
        }));
        bar.set_prefix(printable(title));
        bar.tick();
        Self {
            bars: bars.clone(),
            bar,
            color,
        }
    }

    /// Sets how many steps there are, where that is found out late.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Says what is being done.
    pub fn set_message(&self, text: &str) {
        self.bar.set_message(printable(text));
    }

    /// Counts one step as done.
    pub fn inc(&self) {
        self.bar.inc(1);
    }

    /// Shows a line for a deploy in flight, with the time that it takes.
    pub fn deploy(&self, app: &str, version: &str) -> DeployLine {
        let line = self.bars.add(ProgressBar::new_spinner());
        line.set_style(style(if self.color {
            "{spinner:.cyan} {msg} {elapsed}"
        } else {
            "{spinner} {msg} {elapsed}"
        }));
        let what = format!("{} {}", printable(app), printable(version));
        line.set_message(what.clone());
        line.enable_steady_tick(TICK);
        DeployLine {
            bars: self.bars.clone(),
            bar: self.bar.clone(),
            line,
            what,
        }
    }

    /// Takes the bars off the screen while `f` writes to it.
    pub fn suspend<R>(&self, f: impl FnOnce() -> R) -> R {
        self.bars.suspend(f)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
    }
}

/// The line of one deploy. Dropping it takes it off the screen.
pub struct DeployLine {
    bars: MultiProgress,
    bar: ProgressBar,
    line: ProgressBar,
    what: String,
}

impl DeployLine {
    /// Ends the line. How the deploy ended is said beside the bar: finished lines would pile up
    /// and push the bar off the screen, and the report has them all.
    pub fn finish(self, outcome: &str) {
        self.bar
            .set_message(format!("{}: {}", self.what, printable(outcome)));
    }
}

impl Drop for DeployLine {
    fn drop(&mut self) {
        self.line.finish_and_clear();
        self.bars.remove(&self.line);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    fn hidden() -> MultiProgress {
        MultiProgress::with_draw_target(ProgressDrawTarget::hidden())
    }

    #[test]
    fn templates_are_valid() {
        for template in [
            "{prefix} {bar:20.cyan} {pos}/{len} {wide_msg}",
            "{prefix} {bar:20} {pos}/{len} {wide_msg}",
            "{spinner:.cyan} {msg} {elapsed}",
            "{spinner} {msg} {elapsed}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn steps_are_counted_and_names_are_escaped() {
        let progress = Progress::new(&hidden(), "deploying", 1, false);
        progress.set_total(3);
        let line = progress.deploy("a\u{1b}[2J", "1.0");
        assert_eq!(line.line.message(), "a\\u{1b}[2J 1.0");
        let spinner = line.line.clone();
        line.finish("failed\r");
        progress.inc();
        assert!(spinner.is_finished());
        assert_eq!(progress.bar.message(), "a\\u{1b}[2J 1.0: failed");
        assert_eq!(
            (progress.bar.position(), progress.bar.length()),
            (1, Some(3))
        );
    }

    #[test]
    fn dropping_ends_the_bar_and_its_lines() {
        let progress = Progress::new(&hidden(), "deploying", 1, true);
        let (bar, line) = (progress.bar.clone(), progress.deploy("a", "1"));
        let spinner = line.line.clone();
        assert_eq!(progress.suspend(|| 7), 7);
        drop(line);
        drop(progress);
        assert!(bar.is_finished() && spinner.is_finished());
    }
}
