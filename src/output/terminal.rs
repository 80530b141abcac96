//! What the terminal can do, found out once.

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::config::ColorMode;

/// What stdout and stderr are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// A person reads stdout.
    pub stdout_tty: bool,
    /// A person reads stderr.
    pub stderr_tty: bool,
    /// Colour on stdout.
    pub color_stdout: bool,
    /// Colour on stderr.
    pub color_stderr: bool,
    /// Columns; 80 when unknown.
    pub width: usize,
    /// `TERM=dumb`, or no `TERM`: no cursor movement.
    pub dumb: bool,
}

impl Terminal {
    /// Asks the process's terminal and its environment.
    pub fn detect(color: ColorMode, env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let stdout_tty = std::io::stdout().is_terminal();
        let stderr_tty = std::io::stderr().is_terminal();
        let columns = console::Term::stderr()
            .size_checked()
            .map(|(_, columns)| usize::from(columns));
        Self::decide(color, env, stdout_tty, stderr_tty, columns)
    }

    fn decide(
        color: ColorMode,
        env: &dyn Fn(&str) -> Option<OsString>,
        stdout_tty: bool,
        stderr_tty: bool,
        columns: Option<usize>,
    ) -> Self {
        let dumb = env("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let plain = dumb || env("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colored = |tty: bool| match color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => tty && !plain,
        };
        Self {
            stdout_tty,
            stderr_tty,
            color_stdout: colored(stdout_tty),
            color_stderr: colored(stderr_tty),
            width: columns.filter(|c| *c >= 20).unwrap_or(80),
            dumb,
        }
    }

    /// Whether moving lines can be drawn on stderr.
    pub const fn shows_progress(&self) -> bool {
        self.stderr_tty && !self.dumb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_take_it() {
        let env = |vars: &'static [(&'static str, &'static str)]| {
            move |name: &str| {
                vars.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| OsString::from(v))
            }
        };
        let color =
            |mode, vars, tty| Terminal::decide(mode, &env(vars), tty, tty, None).color_stdout;
        let xterm: &[(&str, &str)] = &[("TERM", "xterm")];
        assert!(color(ColorMode::Auto, xterm, true));
        assert!(!color(ColorMode::Auto, xterm, false));
        assert!(!color(ColorMode::Never, xterm, true));
        assert!(!color(ColorMode::Auto, &[("TERM", "dumb")], true));
        assert!(!color(ColorMode::Auto, &[], true));
        assert!(!color(
            ColorMode::Auto,
            &[("TERM", "xterm"), ("NO_COLOR", "1")],
            true
        ));
        assert!(color(
            ColorMode::Auto,
            &[("TERM", "xterm"), ("NO_COLOR", "")],
            true
        ));
        assert!(color(ColorMode::Always, &[], false));
    }
}
