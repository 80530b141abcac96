//! Reports and errors, for people.

use console::{Style, measure_text_width};

use super::terminal::Terminal;
use crate::error::Error;
use crate::model::report::{Action, AppReport, Outcome, Report};
use crate::model::time;
use crate::text::printable;

/// The lines of a pass. `chatty`: a person looks or asked; `all`: every app, with its reason.
/// Otherwise only what something was tried for, and what changed since `previous`.
pub fn report(
    report: &Report,
    previous: Option<&Report>,
    chatty: bool,
    all: bool,
    terminal: &Terminal,
) -> String {
    let before = |app: &AppReport| previous.and_then(|p| p.apps.iter().find(|a| a.app == app.app));
    let shown: Vec<&AppReport> = report
        .apps
        .iter()
        .filter(|app| {
            all || app.outcome.is_some() || (is_news(app) && (chatty || changed(app, before(app))))
        })
        .collect();
    if shown.is_empty() && !chatty {
        return String::new();
    }
    let app_width = shown
        .iter()
        .map(|a| measure_text_width(&a.app))
        .max()
        .unwrap_or(0);
    let moves: Vec<String> = shown.iter().map(|a| versions(a)).collect();
    let move_width = moves
        .iter()
        .map(|m| measure_text_width(m))
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (app, versions) in shown.into_iter().zip(moves) {
        let head = format!(
            "{:app_width$}  {versions:move_width$}  ",
            printable(&app.app)
        );
        out.push_str(&line(&head, app, terminal));
    }
    out.push_str(&summary(report));
    out
}

/// What is worth a line although nothing was tried.
fn is_news(app: &AppReport) -> bool {
    !matches!(app.action, Action::UpToDate)
}

fn changed(app: &AppReport, before: Option<&AppReport>) -> bool {
    before.is_none_or(|b| {
        (b.action, &b.newest, b.outcome) != (app.action, &app.newest, app.outcome)
            && !settling(b, app)
    })
}

/// A failure that was printed when it happened isn't news while its back-off runs.
fn settling(before: &AppReport, now: &AppReport) -> bool {
    before.newest == now.newest
        && now.action == Action::Waiting
        && before.outcome == Some(Outcome::Failed)
}

fn versions(app: &AppReport) -> String {
    let newest = app.newest.as_deref().unwrap_or("-");
    let text = match app.deployed.as_deref() {
        Some(deployed) if deployed != newest => format!("{deployed} -> {newest}"),
        Some(deployed) => deployed.to_owned(),
        None => format!("- -> {newest}"),
    };
    printable(&text)
}

/// One app. What does not fit beside its versions goes onto lines of its own.
fn line(head: &str, app: &AppReport, terminal: &Terminal) -> String {
    let (word, style) = word(app);
    let colored = if terminal.color_stdout {
        style.force_styling(true).apply_to(&word).to_string()
    } else {
        word.clone()
    };
    let detail = detail(app);
    if detail.is_empty() {
        return format!("{head}{colored}\n");
    }
    let whole =
        measure_text_width(head) + measure_text_width(&word) + 2 + measure_text_width(&detail);
    if !terminal.stdout_tty || whole <= terminal.width {
        return format!("{head}{colored}: {detail}\n");
    }
    format!("{head}{colored}\n{}", wrapped(&detail, 4, terminal.width))
}

fn word(app: &AppReport) -> (String, Style) {
    let took = app
        .duration_ms
        .map(|ms| format!(" in {}", time::duration(ms)))
        .unwrap_or_default();
    let (green, red, yellow, dim) = (
        Style::new().green(),
        Style::new().red(),
        Style::new().yellow(),
        Style::new().dim(),
    );
    match (app.outcome, app.action) {
        (Some(Outcome::Succeeded), _) => (format!("deployed{took}"), green),
        (Some(Outcome::Observed), _) => ("runs already".into(), green),
        (Some(Outcome::Failed), _) => (format!("failed{took}"), red),
        (Some(Outcome::Refused), _) => ("refused".into(), red),
        (Some(Outcome::Error), _) => ("error, nothing was sent".into(), red),
        (Some(Outcome::Unknown), _) => ("outcome unknown".into(), red),
        (Some(Outcome::Submitted), _) => ("still running".into(), yellow),
        (None, Action::GivenUp) => ("given up".into(), red),
        (None, Action::Unreadable) => ("unreadable".into(), red),
        (None, Action::UpToDate) => ("up to date".into(), dim),
        (None, Action::Ahead) => ("ahead".into(), dim),
        (None, Action::Held) => ("held".into(), yellow),
        (None, Action::Waiting) => ("waiting".into(), yellow),
        (None, _) => ("due".into(), yellow),
    }
}

fn detail(app: &AppReport) -> String {
    let text = match (app.outcome, &app.error) {
        (Some(Outcome::Succeeded), _) => "",
        (_, Some(error)) => error,
        (_, None) => app.reason.strip_prefix("held ").unwrap_or(&app.reason),
    };
    printable(text)
}

fn summary(report: &Report) -> String {
    let s = &report.summary;
    let mut parts = vec![format!("{} deployed", s.deployed)];
    for (count, what) in [
        (s.failed, "failed"),
        (s.unknown, "unknown"),
        (s.skipped, "skipped"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let tried = s.deployed + s.failed + s.unknown + s.skipped + s.up_to_date;
    if s.apps > tried {
        parts.push(format!("{} not tried", s.apps - tried));
    }
    parts.push(format!("{} up to date", s.up_to_date));
    format!(
        "{} ({} of {})\n",
        parts.join(", "),
        printable(&report.environment),
        printable(&report.domain)
    )
}

/// An error, its causes, its hint.
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

/// `label: text`, wrapped on a terminal.
pub fn labelled(label: &str, text: &str, terminal: &Terminal) -> String {
    let text = printable(text);
    let style = match label {
        "error" => Style::new().red().bold(),
        "warning" => Style::new().yellow(),
        _ => Style::new().dim(),
    };
    let shown = if terminal.color_stderr {
        style.force_styling(true).apply_to(label).to_string()
    } else {
        label.to_owned()
    };
    let room = terminal.width.saturating_sub(label.len() + 2);
    if !terminal.stderr_tty || measure_text_width(&text) <= room {
        return format!("{shown}: {text}\n");
    }
    let lines = wrapped(&text, label.len() + 2, terminal.width);
    format!("{shown}: {}", lines.trim_start())
}

/// Text in lines of at most `width`, each indented. A word that is longer stands alone.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let (mut out, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty()
            && indent + measure_text_width(&line) + 1 + measure_text_width(word) > width
        {
            out.extend([" ".repeat(indent).as_str(), &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.extend([" ".repeat(indent).as_str(), &line, "\n"]);
    out
}
