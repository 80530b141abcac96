//! What people and scripts read: results on stdout, everything else on stderr.
//!
//! The only room that writes to the terminal. A reader that went away (a closed pipe) is not an
//! error of ours: the work is done and recorded, whoever looks.

mod human;
mod progress;
mod table;
mod terminal;

use std::io::Write;

use serde::Serialize;

pub use progress::{DeployLine, Progress};
pub use terminal::Terminal;

use crate::config::OutputConfig;
use crate::error::Error;
use crate::model::report::Report;
use crate::text::printable;

/// Where results, errors and progress go, decided once.
pub struct Output {
    config: OutputConfig,
    terminal: Terminal,
    bars: indicatif::MultiProgress,
}

impl Output {
    /// Output as the options and the terminal want it.
    pub fn new(config: OutputConfig, terminal: Terminal) -> Self {
        let bars = indicatif::MultiProgress::with_draw_target(
            if terminal.shows_progress() && !config.quiet {
                indicatif::ProgressDrawTarget::stderr()
            } else {
                indicatif::ProgressDrawTarget::hidden()
            },
        );
        Self {
            config,
            terminal,
            bars,
        }
    }

    /// Whether `--output json` was given.
    pub const fn is_json(&self) -> bool {
        self.config.json
    }

    /// How often `-v` was given.
    pub const fn verbose(&self) -> u8 {
        self.config.verbose
    }

    /// Whether a person reads stdout.
    pub const fn stdout_is_terminal(&self) -> bool {
        self.terminal.stdout_tty
    }

    /// Whether stderr takes colour.
    pub const fn stderr_has_color(&self) -> bool {
        self.terminal.color_stderr
    }

    /// Prints the result of a pass. JSON is always one document; for people there is silence where
    /// nothing happened and nobody looks (cron mails every line).
    pub fn report(&self, report: &Report, previous: Option<&Report>) {
        if self.config.json {
            return self.json(report);
        }
        if self.config.quiet && report.exit_code == 0 {
            return;
        }
        let chatty = self.config.verbose > 0 || (self.terminal.stdout_tty && !self.config.quiet);
        let text = human::report(
            report,
            previous,
            chatty,
            self.config.verbose > 0,
            &self.terminal,
        );
        self.stdout(&text);
    }

    /// Prints one JSON document.
    pub fn json<T: Serialize>(&self, value: &T) {
        // Serializing to a string can't fail for the types of this program: keys are strings.
        if let Ok(text) = serde_json::to_string_pretty(value) {
            self.stdout(&format!("{text}\n"));
        }
    }

    /// Prints a table, fitted to the terminal.
    pub fn table(&self, headers: &[&str], rows: &[Vec<String>]) {
        let width = self.terminal.stdout_tty.then_some(self.terminal.width);
        self.stdout(&table::render(headers, rows, width));
    }

    /// Prints a line of the result.
    pub fn line(&self, text: &str) {
        self.stdout(&format!("{}\n", printable(text)));
    }

    /// Prints an error, its causes and its hint.
    pub fn error(&self, error: &Error) {
        self.stderr(&human::error(error, &self.terminal));
    }

    /// Prints something that the user should know, unless `-q`.
    pub fn warning(&self, text: &str) {
        if !self.config.quiet {
            self.stderr(&human::labelled("warning", text, &self.terminal));
        }
    }

    /// Prints a standing warning about the configuration: only to a person or with `-v`, since
    /// cron would mail it at every pass.
    pub fn caution(&self, text: &str) {
        if self.terminal.stderr_tty || self.config.verbose > 0 {
            self.warning(text);
        }
    }

    /// Prints a detail, with `-v`.
    pub fn note(&self, text: &str) {
        if self.config.verbose > 0 {
            self.stderr(&human::labelled("note", text, &self.terminal));
        }
    }

    /// Shows progress on a terminal until it is dropped.
    pub fn progress(&self, title: &str, total: u64) -> Progress {
        Progress::new(&self.bars, title, total, self.terminal.color_stderr)
    }

    fn stdout(&self, text: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        });
    }

    fn stderr(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        });
    }
}
