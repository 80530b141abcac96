//! What GitHub Actions takes from a step: a summary, annotations, and outputs.
//!
//! A runner looks for commands in every line that a step prints: `::` at its start and, of an older
//! form, `##[` anywhere (`actions/runner`, `ActionCommand.cs`). So texts of peers could forge
//! annotations: see [`Actions::tame`].

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::model::report::{Action, AppReport, Report};

/// The most rows of a summary: GitHub drops one of more than 1 MiB as a whole.
const ROWS: usize = 500;
/// The most characters of a cell.
const CELL: usize = 300;
/// The most annotations of a kind that GitHub shows of a step.
const ANNOTATIONS: usize = 10;

/// The files that the runner of this step reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    summary: Option<PathBuf>,
    outputs: Option<PathBuf>,
}

impl Actions {
    /// Those of the environment; `None` where no runner has started this process.
    pub fn detect(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let path = |name: &str| env(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        (env("GITHUB_ACTIONS")? == "true").then(|| Self {
            summary: path("GITHUB_STEP_SUMMARY"),
            outputs: path("GITHUB_OUTPUT"),
        })
    }

    /// Adds what came of a command to the summary and to the outputs of its step.
    pub fn tell(&self, report: &Report) -> io::Result<()> {
        append(self.summary.as_deref(), &summary(report))?;
        append(self.outputs.as_deref(), &outputs(report))
    }

    /// A text in which the runner finds no command.
    pub fn tame(text: &str) -> String {
        let line = |line: &str| {
            let word = line.trim_start();
            let indent = &line[..line.len() - word.len()];
            match word.strip_prefix("::") {
                Some(rest) => format!("{indent}: :{rest}"),
                None => line.to_owned(),
            }
        };
        let lines: String = text.split_inclusive('\n').map(line).collect();
        lines.replace("##[", "# #[")
    }
}

fn append(path: Option<&Path>, text: &str) -> io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// An error as an annotation.
pub fn error(message: &str) -> String {
    format!("::error::{}\n", data(message))
}

/// The apps that fail as annotations.
pub fn failing(report: &Report) -> String {
    let failing = report.apps.iter().filter(|app| app.is_failing());
    let line = |app: &AppReport| {
        let version = app.newest.as_deref().unwrap_or_default();
        let title = format!("{} {version}", app.app);
        let title = data(title.trim_end())
            .replace(':', "%3A")
            .replace(',', "%2C");
        format!("::error title={title}::{}\n", data(why(app)))
    };
    failing.take(ANNOTATIONS).map(line).collect()
}

fn why(app: &AppReport) -> &str {
    app.error.as_deref().unwrap_or(&app.reason)
}

/// The data of a command, as the runner reads it back.
fn data(text: &str) -> String {
    let text = Actions::tame(text).replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

/// Values without a line end, none of them a peer's.
fn outputs(report: &Report) -> String {
    let summary = &report.summary;
    format!(
        "exit-code={}\ndue={}\ndeployed={}\nfailed={}\nunknown={}\n",
        report.exit_code, summary.due, summary.deployed, summary.failed, summary.unknown
    )
}

/// A table in Markdown of the apps that there is something to say of.
fn summary(report: &Report) -> String {
    let mut text = format!(
        "### {}: {} of {}\n\n",
        report.command,
        markdown(&report.environment),
        markdown(&report.domain)
    );
    let told = report
        .apps
        .iter()
        .filter(|app| app.action != Action::UpToDate);
    let told: Vec<&AppReport> = told.collect();
    if !told.is_empty() {
        text.push_str("| app | from | to | action | outcome | why |\n|---|---|---|---|---|---|\n");
    }
    for app in told.iter().take(ROWS) {
        let outcome = app.outcome.map_or("-", |outcome| outcome.as_str());
        let cells = [
            &app.app,
            app.deployed.as_deref().unwrap_or("-"),
            app.newest.as_deref().unwrap_or("-"),
            app.action.as_str(),
            outcome,
            why(app),
        ];
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {} |", cells.map(markdown).join(" | "));
    }
    if let Some(more) = told.len().checked_sub(ROWS + 1) {
        let _ = writeln!(text, "\nand {} more apps", more + 1);
    }
    let summary = &report.summary;
    let _ = writeln!(
        text,
        "\n{} deployed, {} failed, {} unknown, {} up to date; exit code {}",
        summary.deployed, summary.failed, summary.unknown, summary.up_to_date, report.exit_code
    );
    if let Some(error) = &report.error {
        let _ = writeln!(text, "\n**{}**", markdown(error));
    }
    text.push('\n');
    text
}

/// A text that is shown as it is: no mark-up, no link, no end of a cell.
fn markdown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(CELL) {
        match c {
            '\n' | '\r' => shown.push(' '),
            c if c.is_ascii_punctuation() && !matches!(c, '-' | '.') => shown.extend(['\\', c]),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::human::tests::example;

    #[test]
    fn a_step_of_a_runner_is_known_by_its_variable() {
        let env = |is: &'static str| {
            move |name: &str| match name {
                "GITHUB_ACTIONS" => Some(OsString::from(is)),
                "GITHUB_OUTPUT" => Some(OsString::from("/o")),
                _ => None,
            }
        };
        let found = Actions::detect(&env("true")).unwrap();
        assert_eq!((found.summary, found.outputs), (None, Some("/o".into())));
        assert_eq!(Actions::detect(&env("false")), None);
        assert_eq!(Actions::detect(&|_| None), None);
    }

    #[test]
    fn no_text_is_taken_for_a_command() {
        for (text, tamed) in [
            ("::error::x\n", ": :error::x\n"),
            (" \t::set-output name=a::b", " \t: :set-output name=a::b"),
            ("a\n::x\nb ::y\n", "a\n: :x\nb ::y\n"),
            ("video ##[error]x", "video # #[error]x"),
            ("a: b::c\n", "a: b::c\n"),
        ] {
            assert_eq!(Actions::tame(text), tamed);
        }
        assert_eq!(error("50%\n::x"), "::error::50%25%0A: :x\n");
        let mut report = example();
        for app in &mut report.apps {
            app.app = "a,b:c\n::x".to_owned();
        }
        let told = failing(&report);
        assert!(
            told.starts_with("::error title=a%2Cb%3Ac%0A%3A %3Ax"),
            "{told}"
        );
        assert!(told.lines().all(|line| line.starts_with("::error title=")));
    }

    #[test]
    fn no_text_is_taken_for_mark_up() {
        let mut report = example();
        for app in &mut report.apps {
            app.reason = "</td><img src=x> | [a](https://x) `b`\n| # c".to_owned();
            app.error = None;
        }
        let text = summary(&report);
        let row = text.lines().find(|line| line.contains("img")).unwrap();
        let unescaped = row.split('\\').skip(1).map(|part| &part[1..]);
        let unescaped: String = unescaped.collect();
        assert!(
            !unescaped.contains(['<', '>', '[', ']', '(', '`', ':', '#']),
            "{row}"
        );
        let is_row = |line: &&str| line.starts_with("| ");
        let rows = text.lines().filter(is_row).count();
        let told = report
            .apps
            .iter()
            .filter(|app| app.action != Action::UpToDate);
        assert_eq!(rows, told.count() + 1, "{text}");
        let mut many = report.clone();
        many.apps = report.apps.iter().cycle().take(100_000).cloned().collect();
        for app in &mut many.apps {
            app.reason = "|".repeat(5000);
        }
        assert!(summary(&many).len() < 1 << 20);
    }
}
