//! Reports and errors, for people.

use console::{Alignment, Style, measure_text_width, pad_str};

use super::layout::{flow, hanging};
use super::table::widest;
use super::terminal::Terminal;
use crate::config::OutputConfig;
use crate::error::Error;
use crate::model::report::{Action, AppReport, Outcome, Report};
use crate::model::time;
use crate::text::printable;

/// How deep the second line of an app is indented.
const INDENT: usize = 4;

/// Renders the lines of a pass: one an app that is worth it, by name, and a summary. Empty where
/// nothing is worth a line, nobody looks, and nobody asked. Without `-q` every exit code but 0 has
/// a line, unless an error stopped the pass, which is told by itself.
pub fn report(
    report: &Report,
    previous: Option<&Report>,
    config: OutputConfig,
    terminal: &Terminal,
) -> String {
    let asked = config.verbose > 0;
    let looked_at = terminal.stdout_tty && !config.quiet;
    let news = News {
        // Only passes tell of the same thing again and again.
        previous: previous.filter(|previous| previous.command == report.command),
        quiet: config.quiet,
        looked_at,
    };
    let mut shown: Vec<&AppReport> = report
        .apps
        .iter()
        .filter(|app| asked || news.is_shown(app))
        .collect();
    let unexplained = report.exit_code != 0 && report.error.is_none() && !config.quiet;
    if shown.is_empty() && !asked && !looked_at && !unexplained {
        return String::new();
    }
    shown.sort_by(|a, b| a.app.cmp(&b.app));
    let mut out = lines(&shown, terminal);
    out.push_str(&summary(report, terminal.stdout_width()));
    out
}

/// What of a report is worth a line to somebody who did not ask for all.
struct News<'a> {
    previous: Option<&'a Report>,
    quiet: bool,
    looked_at: bool,
}

impl News<'_> {
    /// Whether an app is shown; a person who looks is told again what stands. With `-q` only what
    /// went wrong is, and only once.
    fn is_shown(&self, app: &AppReport) -> bool {
        if self.quiet {
            return !went_well(app) && !self.is_told(app);
        }
        if app.outcome.is_some() {
            return true;
        }
        match app.action {
            Action::UpToDate => false,
            Action::Held | Action::Ahead | Action::Gone => self.looked_at || !self.is_told(app),
            Action::Waiting => self.looked_at || app.failing,
            _ => true,
        }
    }

    /// Whether the last pass told the same.
    fn is_told(&self, app: &AppReport) -> bool {
        let apps = self.previous.map_or(&[][..], |report| &report.apps);
        let before = apps
            .iter()
            .find(|before| before.app == app.app && before.newest == app.newest);
        before.is_some_and(|before| match app.outcome {
            None => {
                (before.action, before.outcome) == (app.action, None)
                    || is_told_already(before, app)
            }
            Some(Outcome::Error) => before.outcome == app.outcome && before.error == app.error,
            Some(Outcome::Unknown | Outcome::Submitted) => {
                before.outcome == app.outcome && before.attempt == app.attempt
            }
            // Each is of an attempt of its own.
            Some(_) => false,
        })
    }
}

/// A failure was printed when it happened; that its back-off runs now is no news.
fn is_told_already(before: &AppReport, now: &AppReport) -> bool {
    now.action == Action::Waiting && before.outcome.is_some_and(is_failure)
}

const fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Refused | Outcome::Error)
}

/// Whether there is nothing in it for somebody who wants only errors.
const fn went_well(app: &AppReport) -> bool {
    match (app.outcome, app.action) {
        (Some(Outcome::Succeeded | Outcome::Observed), _)
        | (None, Action::Held | Action::Ahead | Action::Gone | Action::UpToDate) => true,
        (None, Action::Waiting) => !app.failing,
        _ => false,
    }
}

fn lines(apps: &[&AppReport], terminal: &Terminal) -> String {
    let names: Vec<String> = apps.iter().map(|app| printable(&app.app)).collect();
    let moves: Vec<String> = apps.iter().map(|app| versions(app)).collect();
    let (name_width, move_width) = (widest(names.iter()), widest(moves.iter()));
    // Columns that leave no room for the outcome cost more than they are worth.
    let aligned = terminal
        .stdout_width()
        .is_none_or(|width| name_width + move_width + INDENT <= width / 4 * 3);
    let padded = |text: &str, width: usize| {
        let width = if aligned { width } else { 0 };
        pad_str(text, width, Alignment::Left, None).into_owned()
    };
    let mut out = String::new();
    for ((app, name), versions) in apps.iter().zip(&names).zip(&moves) {
        let pieces = [
            padded(name, name_width),
            padded(versions, move_width),
            outcome(app, terminal.color_stdout),
        ];
        out.push_str(&flow(&pieces, INDENT, terminal.stdout_width()));
    }
    out
}

fn versions(app: &AppReport) -> String {
    let newest = app.newest.as_deref();
    match app.deployed.as_deref() {
        Some(deployed) if newest.is_none_or(|newest| newest == deployed) => printable(deployed),
        deployed => printable(&format!(
            "{} -> {}",
            deployed.unwrap_or("-"),
            newest.unwrap_or("-")
        )),
    }
}

/// The word for what came of an app, coloured, and why.
fn outcome(app: &AppReport, color: bool) -> String {
    let (word, style) = word(app);
    let detail = detail(app);
    let word = styled(&word, style, color);
    if detail.is_empty() {
        word
    } else {
        format!("{word}: {detail}")
    }
}

fn word(app: &AppReport) -> (String, Style) {
    let took = app
        .duration_ms
        .map(|ms| format!(" in {}", time::duration(ms)))
        .unwrap_or_default();
    let plain = Style::new();
    let (word, style) = match (app.outcome, app.action) {
        (Some(Outcome::Succeeded), _) => return (format!("deployed{took}"), plain.green()),
        (Some(Outcome::Failed), _) => return (format!("failed{took}"), plain.red()),
        (Some(Outcome::Observed), _) => ("runs already", plain.green()),
        (Some(Outcome::Refused), _) => ("refused", plain.red()),
        (Some(Outcome::Error), _) => ("error, nothing was sent", plain.red()),
        (Some(Outcome::Unknown), _) => ("outcome unknown", plain.red()),
        (Some(Outcome::Submitted), _) => ("still running", plain.yellow()),
        (None, Action::GivenUp) => ("given up", plain.red()),
        (None, Action::Unaccounted) => ("unaccounted", plain.red()),
        (None, Action::Unreadable) => ("unreadable", plain.red()),
        (None, Action::UpToDate) => ("up to date", plain.dim()),
        (None, Action::Ahead) => ("ahead", plain.dim()),
        (None, Action::Gone) => ("gone", plain.dim()),
        (None, Action::Held) => ("held", plain.yellow()),
        (None, Action::Waiting) => ("waiting", plain.yellow()),
        (
            None,
            Action::New | Action::Upgrade | Action::Retry | Action::Resume | Action::Requested,
        ) => ("due", plain.yellow()),
    };
    (word.to_owned(), style)
}

fn detail(app: &AppReport) -> String {
    match (app.outcome, &app.error) {
        (Some(Outcome::Succeeded), _) => String::new(),
        (_, Some(error)) => match &app.hint {
            Some(hint) => format!("{} (hint: {})", printable(error), printable(hint)),
            None => printable(error),
        },
        (_, None) => printable(&app.reason),
    }
}

fn summary(report: &Report, width: Option<usize>) -> String {
    let counts = report.summary;
    let told = counts.deployed + counts.failed + counts.unknown + counts.skipped;
    let left = counts.apps.saturating_sub(told + counts.up_to_date);
    let mut parts = vec![format!("{} deployed", counts.deployed)];
    for (count, what) in [
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (left, "not tried"),
        (counts.skipped, "skipped"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.push(format!("{} up to date", counts.up_to_date));
    let scope = format!("({} of {})", report.environment, report.domain);
    hanging(
        &format!("{} {}", parts.join(", "), printable(&scope)),
        0,
        width,
    )
}

/// Renders an error, a line a cause, and the hint.
pub fn error(error: &Error, terminal: &Terminal) -> String {
    let mut out = labelled("error", &error.message, terminal);
    for cause in &error.causes {
        out.push_str(&labelled("  caused by", cause, terminal));
    }
    if let Some(hint) = &error.hint {
        out.push_str(&labelled("  hint", hint, terminal));
    }
    out
}

/// Renders `label: text` for stderr, wrapped under its first word on a terminal.
pub fn labelled(label: &str, text: &str, terminal: &Terminal) -> String {
    let style = match label {
        "error" => Style::new().red().bold(),
        "warning" => Style::new().yellow(),
        _ => Style::new().dim(),
    };
    let head = format!("{}: ", styled(label, style, terminal.color_stderr));
    let column = measure_text_width(label) + 2;
    let text = hanging(&printable(text), column, terminal.stderr_width());
    head + &text
}

/// Colour was decided for each stream; what console itself detected is of no account.
fn styled(text: &str, style: Style, color: bool) -> String {
    if color {
        style.force_styling(true).apply_to(text).to_string()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[path = "human_tests.rs"]
pub(super) mod tests;
