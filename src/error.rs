//! The error that stops a command, or that befalls one app.

use std::io;

use rustix::io::Errno;

use crate::text::printable;

/// Whether the system refused something for want of memory, threads, processes or descriptors.
pub fn is_shortage(error: &io::Error) -> bool {
    let is_short = |errno| {
        matches!(
            errno,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN
        )
    };
    error.kind() == io::ErrorKind::OutOfMemory || Errno::from_io_error(error).is_some_and(is_short)
}

/// What kind of failure an error is. It decides how the program exits (`exit::Exit::of`) and
/// whether a caller goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of one app, or of one file of it; the others are not touched.
    Failed,
    /// Usage or configuration.
    Usage,
    /// The outcome of a submitted deploy is not known (yet).
    Unknown,
    /// A guard stopped it: `--max-deploys`, or another command that changed the app first.
    Guard,
    /// Artifactory, the ledger or coreos-deploy cannot be used.
    Unavailable,
    /// Somebody else is at work: try later.
    Busy,
    /// Credentials refused.
    Credentials,
    /// SIGINT.
    Interrupted,
    /// SIGTERM or SIGHUP.
    Terminated,
}

/// What failed, on what, why, and what to do about it.
///
/// Every part passes through [`printable`] on its way in: text of a peer is never printed raw.
/// Secrets must not be put in; nothing here could take them out again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind: matched, where a message never is.
    pub kind: Kind,
    /// One line: what failed and on what.
    pub message: String,
    /// One line a cause, outermost first.
    pub causes: Vec<String>,
    /// What to do, where there is something to do.
    pub hint: Option<String>,
}

/// The result of everything that can stop a command.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: printable(message.as_ref()),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Usage or configuration.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Artifactory, the ledger or coreos-deploy cannot be used.
    pub fn unavailable(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Memory, threads, processes or file descriptors of our own are short: nothing that a peer or a
    /// payload is to blame for (exit 69).
    pub fn shortage(message: impl AsRef<str>) -> Self {
        Self::unavailable(message).hint(
            "this process may not have more memory, threads or files: look at `ulimit -a` and at the limits of its service or container",
        )
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl AsRef<str>) -> Self {
        self.causes.push(printable(cause.as_ref()));
        self
    }

    /// Adds an error and all that caused it.
    #[must_use]
    pub fn because_of(mut self, cause: &dyn std::error::Error) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            let text = printable(&error.to_string());
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(printable(hint.as_ref()));
        self
    }

    /// The message and its causes on one line, for a report.
    pub fn one_line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_ours_is_told_from_what_is_wrong_with_a_file() {
        for (errno, is_ours) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::AGAIN, true),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
            (Errno::INVAL, false),
        ] {
            let cause = io::Error::from(errno);
            assert_eq!(is_shortage(&cause), is_ours, "{cause}");
        }
        assert!(is_shortage(&io::ErrorKind::OutOfMemory.into()));
        assert!(!is_shortage(&io::Error::other("x")));
    }
}
