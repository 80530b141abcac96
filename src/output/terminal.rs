//! What the terminal can do, found out once.

use std::ffi::OsString;
use std::io::IsTerminal;

use console::Term;

use crate::config::ColorMode;

/// The columns of a terminal that does not say.
const DEFAULT_WIDTH: usize = 80;
/// A narrower terminal is taken for one that does not say: nothing could be laid out in it.
const LEAST_WIDTH: usize = 20;

/// What stdout and stderr are, and what they take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Whether a person reads stdout.
    pub stdout_tty: bool,
    /// Whether a person reads stderr.
    pub stderr_tty: bool,
    /// Whether the journal of systemd takes stderr.
    pub stderr_journal: bool,
    /// Whether stdout is coloured.
    pub color_stdout: bool,
    /// Whether stderr is coloured.
    pub color_stderr: bool,
    /// Columns; 80 when unknown.
    pub width: usize,
    /// Whether the cursor cannot be moved: `TERM` is `dumb`, empty or not set.
    pub dumb: bool,
}

impl Terminal {
    /// Asks the terminal of this process, and its environment: `NO_COLOR` that is not empty
    /// (<https://no-color.org>) and `TERM`. `CLICOLOR` and its kin are ignored.
    pub fn detect(color: ColorMode, env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let columns = [Term::stdout(), Term::stderr()]
            .iter()
            .find_map(Term::size_checked)
            .map(|(_, columns)| usize::from(columns));
        let decided = Self::decide(
            color,
            env,
            std::io::stdout().is_terminal(),
            std::io::stderr().is_terminal(),
            columns,
        );
        let stderr = rustix::fs::fstat(std::io::stderr());
        let stderr = stderr.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
        let journal = env("JOURNAL_STREAM");
        Self {
            stderr_journal: stderr.is_ok_and(|stderr| journal.is_some_and(|j| j == *stderr)),
            ..decided
        }
    }

    fn decide(
        color: ColorMode,
        env: &dyn Fn(&str) -> Option<OsString>,
        stdout_tty: bool,
        stderr_tty: bool,
        columns: Option<usize>,
    ) -> Self {
        let dumb = env("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let plain = dumb || env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colored = |tty: bool| match color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => tty && !plain,
        };
        Self {
            stdout_tty,
            stderr_tty,
            stderr_journal: false,
            color_stdout: colored(stdout_tty),
            color_stderr: colored(stderr_tty),
            width: columns
                .filter(|columns| *columns >= LEAST_WIDTH)
                .unwrap_or(DEFAULT_WIDTH),
            dumb,
        }
    }

    /// The columns to lay results out in; `None` for a pipe, which takes lines of any length.
    pub(super) fn stdout_width(&self) -> Option<usize> {
        self.stdout_tty.then_some(self.width)
    }

    /// The columns to lay messages out in; `None` for a pipe.
    pub(super) fn stderr_width(&self) -> Option<usize> {
        self.stderr_tty.then_some(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(color: ColorMode, vars: &[(&str, &str)], tty: bool, width: usize) -> Terminal {
        let env = |name: &str| {
            let found = vars.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Terminal::decide(color, &env, tty, !tty, Some(width))
    }

    #[test]
    fn colour_is_for_terminals_that_take_it() {
        use ColorMode::{Always, Auto, Never};
        let xterm = ("TERM", "xterm");
        for (mode, vars, tty, expected) in [
            (Auto, &[xterm][..], true, true),
            (Auto, &[xterm], false, false),
            (Auto, &[("TERM", "dumb")], true, false),
            (Auto, &[("TERM", "")], true, false),
            (Auto, &[], true, false),
            (Auto, &[xterm, ("NO_COLOR", "1")], true, false),
            (Auto, &[xterm, ("NO_COLOR", "")], true, true),
            (Auto, &[xterm, ("CLICOLOR", "0")], true, true),
            (Auto, &[xterm, ("CLICOLOR_FORCE", "1")], false, false),
            (Never, &[xterm], true, false),
            (Always, &[("NO_COLOR", "1")], false, true),
        ] {
            let got = decide(mode, vars, tty, 80);
            assert_eq!(got.color_stdout, expected, "{mode:?} {vars:?} {tty}");
        }
    }

    #[test]
    fn each_stream_is_judged_by_itself() {
        let terminal = decide(ColorMode::Auto, &[("TERM", "xterm")], true, 100);
        assert!(terminal.color_stdout && !terminal.color_stderr && !terminal.dumb);
        assert_eq!(terminal.stdout_width(), Some(100));
        assert_eq!(terminal.stderr_width(), None);
    }

    #[test]
    fn a_width_that_cannot_be_is_not_believed() {
        assert_eq!(decide(ColorMode::Auto, &[], true, 0).width, 80);
        assert!(decide(ColorMode::Auto, &[], true, 0).dumb);
        assert_eq!(decide(ColorMode::Auto, &[], true, 20).width, 20);
    }
}
