//! What people and scripts read: results on stdout, everything else on stderr.
//!
//! The only room that writes to either. What is written is rendered by pure functions first
//! (`human`, `table`, `json`); this file only decides whether and where. A reader that went away
//! (a closed pipe) is no error: the work is done and recorded, whoever looks.

mod actions;
mod human;
mod journal;
pub mod json;
mod layout;
pub mod metrics;
mod progress;
mod table;
mod terminal;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressDrawTarget};
use journal::{Events, Priority, prioritized};
use serde::Serialize;

pub use actions::Actions;
pub use progress::{DeployLine, Progress};
pub use terminal::Terminal;

use crate::config::{ColorMode, OutputConfig};
use crate::error::Error;
use crate::model::report::Report;
use crate::text::escaped;

/// Where results, errors and progress go and what they look like, decided once and shared.
pub struct Output {
    config: OutputConfig,
    terminal: Terminal,
    bars: MultiProgress,
    unwritten: AtomicBool,
    /// `--metrics-file`.
    metrics_file: Option<PathBuf>,
    /// The step of GitHub Actions that this process is.
    actions: Option<Actions>,
    /// Where a test reads what would be printed.
    #[cfg(test)]
    pub captured: Option<std::sync::Mutex<String>>,
}

impl Output {
    /// Makes the output that the options and the terminal ask for.
    pub fn new(config: OutputConfig, terminal: Terminal) -> Self {
        let target = if shows_progress(config, &terminal) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            config,
            terminal,
            bars: MultiProgress::with_draw_target(target),
            unwritten: AtomicBool::new(false),
            metrics_file: None,
            actions: None,
            #[cfg(test)]
            captured: None,
        }
    }

    /// Keeps the metrics of passes in a file.
    #[must_use]
    pub fn with_metrics_file(mut self, path: Option<&Path>) -> Self {
        self.metrics_file = path.map(Path::to_owned);
        self
    }

    /// Tells the step of GitHub Actions, where there is one.
    #[must_use]
    pub fn with_actions(mut self, actions: Option<Actions>) -> Self {
        self.actions = actions;
        self
    }

    /// Tells those who do not read what is printed: the metrics of a pass, the step of GitHub
    /// Actions. Where that fails it changes nothing of what came of the command.
    pub fn file(&self, report: &Report) {
        let is_pass = report.command == "run";
        if let Some(path) = self.metrics_file.as_ref().filter(|_| is_pass)
            && let Err(cause) = metrics::replace(path, report)
        {
            let path = path.display();
            let what = format!("the metrics file {path} cannot be written: {cause}");
            self.notice(&what);
        }
        if let Some(actions) = &self.actions {
            if let Err(cause) = actions.tell(report) {
                let what = "summary and outputs of the step cannot be written";
                self.notice(&format!("{what}: {cause}"));
            }
            self.annotate(&actions::failing(report));
        }
    }

    /// Writes commands that the runner takes.
    fn annotate(&self, commands: &str) {
        self.bars.suspend(|| {
            // Where stderr is gone there is nobody left to tell.
            let _ = std::io::stderr().lock().write_all(commands.as_bytes());
        });
    }

    /// A text as stdout and stderr take it.
    fn tamed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.actions {
            Some(_) => Actions::tame(text).into(),
            None => text.into(),
        }
    }

    /// Says whether a result could not be written, to a disk that is full for one.
    pub fn is_incomplete(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Says whether `--output json` was given.
    pub const fn is_json(&self) -> bool {
        self.config.json
    }

    /// Counts how often `-v` was given; `-d` counts as two.
    pub const fn verbose(&self) -> u8 {
        self.config.verbose
    }

    /// Says whether a person reads stdout.
    pub const fn stdout_is_terminal(&self) -> bool {
        self.terminal.stdout_tty
    }

    /// Lets the libraries say what they do (`-d`), on stderr. They log no header value and no body.
    /// A line that nobody can read any more is lost, here and in [`Output::log_events`]: to report
    /// that on stderr as well would be a panic.
    pub fn log_libraries(&self) {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.events())
            .with_ansi(self.terminal.color_stderr)
            .with_max_level(tracing::Level::DEBUG)
            .log_internal_errors(false)
            .finish();
        // Fails when one is set already, which is as good.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    /// Lets a server say on stderr what happens, a line each with its time; with `-q` only what
    /// went wrong.
    pub fn log_events(&self) {
        let level = if self.config.quiet {
            tracing::Level::WARN
        } else {
            tracing::Level::INFO
        };
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.events())
            .with_ansi(self.terminal.color_stderr)
            .with_target(false)
            .with_max_level(level)
            .log_internal_errors(false)
            .finish();
        // Fails when `-d` has set one already, which shows more.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    /// Prints the result of a pass on stdout. JSON is always one document. For people there is
    /// silence where nothing happened and nobody looks, since cron mails every line; `previous` is
    /// the report of the last run, against which is judged whether a standing failure is news.
    /// What stopped the pass ([`Report::error`]) is left to [`Output::error`].
    pub fn report(&self, report: &Report, previous: Option<&Report>) {
        self.file(report);
        if self.config.json {
            return self.json(report);
        }
        self.stdout(&human::report(
            report,
            previous,
            self.config,
            &self.terminal,
        ));
    }

    /// Prints one JSON document on stdout.
    pub fn json<T: Serialize>(&self, value: &T) {
        match json::document(value) {
            // The same string in JSON, and no command of a runner.
            Ok(text) if self.actions.is_some() => self.stdout(&text.replace("##[", "#\\u0023[")),
            Ok(text) => self.stdout(&text),
            Err(cause) => self.error(
                &Error::unavailable("the result cannot be written as JSON").because_of(&cause),
            ),
        }
    }

    /// Prints a table on stdout. On a terminal the last column is cut to its width; nothing is
    /// ever cut for a pipe.
    pub fn table(&self, headers: &[&str], rows: &[Vec<String>]) {
        let width = self.terminal.stdout_tty.then_some(self.terminal.width);
        self.stdout(&table::render(headers, rows, width));
    }

    /// Prints one line of the result on stdout.
    pub fn line(&self, text: &str) {
        self.stdout(&format!("{}\n", escaped(text)));
    }

    /// Prints text that the program made of its own definitions on stdout, as it is.
    pub fn text(&self, text: &str) {
        self.stdout(text);
    }

    /// Prints an error, its causes and its hint on stderr. Nothing silences it.
    pub fn error(&self, error: &Error) {
        let text = human::error(error, &self.terminal);
        self.stderr(&text, Priority::Error);
        if self.actions.is_some() {
            self.annotate(&actions::error(&error.one_line()));
        }
    }

    /// Prints on stderr what the user should know, unless `-q` was given.
    pub fn warning(&self, text: &str) {
        if !self.config.quiet {
            let text = human::labelled("warning", text, &self.terminal);
            self.stderr(&text, Priority::Warning);
        }
    }

    /// Prints a standing warning about the configuration where a person or a journal reads, or with
    /// `-v`: cron would mail it at every pass. `always` is for what starts seldom.
    pub fn caution(&self, text: &str, always: bool) {
        let terminal = &self.terminal;
        let is_read = terminal.stderr_tty || terminal.stderr_journal;
        if always || is_read || self.config.verbose > 0 {
            self.warning(text);
        }
    }

    /// Prints on stderr what happens once and may be a mistake: `-q` does not silence it.
    pub fn notice(&self, text: &str) {
        let text = human::labelled("note", text, &self.terminal);
        self.stderr(&text, Priority::Notice);
    }

    /// Prints a detail on stderr, where `-v` was given.
    pub fn note(&self, text: &str) {
        if self.config.verbose > 0 {
            let text = human::labelled("note", text, &self.terminal);
            self.stderr(&text, Priority::Info);
        }
    }

    /// Shows a bar of `total` steps on stderr until it is dropped. Nothing is drawn unless stderr
    /// is a terminal that can move its cursor, without `-q`, and without JSON on the same screen.
    pub fn progress(&self, title: &str, total: u64) -> Progress {
        Progress::new(&self.bars, title, total, self.terminal.color_stderr)
    }

    fn stdout(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = &*self.tamed(text);
        #[cfg(test)]
        if self.is_captured(text) {
            return;
        }
        let written = self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        // A full disk under a redirected stdout loses the result: that must not pass unsaid.
        if let Err(cause) = written
            && cause.kind() != ErrorKind::BrokenPipe
        {
            self.unwritten.store(true, Ordering::Relaxed);
            self.error(&Error::unavailable("the result cannot be written").because_of(&cause));
        }
    }

    #[cfg(test)]
    fn is_captured(&self, text: &str) -> bool {
        let captured = self.captured.as_ref().and_then(|c| c.lock().ok());
        captured.is_some_and(|mut captured| {
            captured.push_str(text);
            true
        })
    }

    fn events(&self) -> Events {
        Events {
            is_journal: self.terminal.stderr_journal,
        }
    }

    fn stderr(&self, text: &str, priority: Priority) {
        #[cfg(test)]
        if self.is_captured(text) {
            return;
        }
        let text = match self.tamed(text) {
            text if self.terminal.stderr_journal => prioritized(&text, priority).into(),
            text => text,
        };
        self.bars.suspend(|| {
            // Where stderr is gone there is nobody left to tell.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        });
    }
}

/// Prints what is wrong with a command line, or the help that it asks for. A reader that went away
/// changes nothing about the outcome.
pub fn usage(error: &clap::Error, env: &dyn Fn(&str) -> Option<OsString>) {
    let text = error.render().to_string();
    if error.use_stderr() && Terminal::detect(ColorMode::Never, env).stderr_journal {
        let text = prioritized(&text, Priority::Error);
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    } else {
        let _ = error.print();
    }
}

/// Whether moving lines are drawn. A JSON document on the same screen would be torn by them.
const fn shows_progress(config: OutputConfig, terminal: &Terminal) -> bool {
    let torn = config.json && terminal.stdout_tty;
    terminal.stderr_tty && !terminal.dumb && !config.quiet && !torn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ColorMode;

    const CONFIG: OutputConfig = OutputConfig {
        json: false,
        quiet: false,
        verbose: 0,
        color: ColorMode::Auto,
    };

    #[test]
    fn progress_is_only_for_a_screen_that_can_take_it() {
        let screen = Terminal {
            stdout_tty: true,
            stderr_tty: true,
            stderr_journal: false,
            color_stdout: true,
            color_stderr: true,
            width: 80,
            dumb: false,
        };
        let json = OutputConfig {
            json: true,
            ..CONFIG
        };
        let quiet = OutputConfig {
            quiet: true,
            ..CONFIG
        };
        let with = |change: fn(&mut Terminal)| {
            let mut terminal = screen.clone();
            change(&mut terminal);
            terminal
        };
        let piped = with(|t| t.stdout_tty = false);
        assert!(shows_progress(CONFIG, &screen));
        assert!(shows_progress(CONFIG, &piped));
        assert!(shows_progress(json, &piped));
        assert!(!shows_progress(json, &screen));
        assert!(!shows_progress(quiet, &screen));
        assert!(!shows_progress(CONFIG, &with(|t| t.dumb = true)));
        assert!(!shows_progress(CONFIG, &with(|t| t.stderr_tty = false)));
    }

    #[test]
    fn output_is_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Output>();
        shared::<Progress>();
        shared::<DeployLine>();
    }
}
