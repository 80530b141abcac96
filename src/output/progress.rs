//! Progress on a terminal: a bar for the pass, a line for the deploy in flight.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::text::printable;

/// The bar of a pass. It goes away when it is dropped.
pub struct Progress {
    bars: MultiProgress,
    bar: ProgressBar,
    color: bool,
}

impl Progress {
    /// A bar of `total` steps, drawn where `bars` draws.
    pub(super) fn new(bars: &MultiProgress, title: &str, total: u64, color: bool) -> Self {
        let bar = bars.add(ProgressBar::new(total));
        let bar_part = if color { "{bar:20.cyan}" } else { "{bar:20}" };
        bar.set_style(style(&format!(
            "{{prefix}} {bar_part} {{pos}}/{{len}} {{wide_msg}}"
        )));
        bar.set_prefix(title.to_owned());
        Self {
            bars: bars.clone(),
            bar,
            color,
        }
    }

    /// Says what is being done.
    pub fn set_message(&self, text: &str) {
        self.bar.set_message(printable(text));
    }

    /// One step is done.
    pub fn inc(&self) {
        self.bar.inc(1);
    }

    /// A line for a deploy in flight, with the time it takes.
    pub fn deploy(&self, app: &str, version: &str) -> DeployLine {
        let line = self.bars.add(ProgressBar::new_spinner());
        line.set_style(style(if self.color {
            "{spinner:.cyan} {msg} {elapsed}"
        } else {
            "{spinner} {msg} {elapsed}"
        }));
        line.set_message(format!("{} {}", printable(app), printable(version)));
        line.enable_steady_tick(Duration::from_millis(120));
        DeployLine(line)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
    }
}

/// The line of one deploy.
pub struct DeployLine(ProgressBar);

impl DeployLine {
    /// The deploy ended: the line goes away, the report says how it ended.
    pub fn finish(self, outcome: &str) {
        self.0.set_message(printable(outcome));
    }
}

impl Drop for DeployLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
