//! The exit codes of the program, in one place.
#![doc = include_str!("exit.md")]

use crate::error::Kind;

/// How a command ended, worst first: where several apply, the first of this order is the exit code.
/// The mapping to numbers is [`Exit::code`], the only one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Interrupted by SIGINT.
    Interrupted,
    /// Terminated by SIGTERM or SIGHUP.
    Terminated,
    /// The outcome of a submitted deploy is not known (yet).
    Unknown,
    /// Credentials refused.
    Credentials,
    /// Usage or configuration.
    Usage,
    /// Artifactory, the ledger or coreos-deploy cannot be used.
    Unavailable,
    /// A guard stopped it: `--max-deploys`, or another command that changed the app first.
    Guard,
    /// The pass ended; at least one app failed, was refused, or could not be read.
    Failed,
    /// Another pass holds the lease, or coreos-deploy is busy: try later.
    TryLater,
    /// Changes are pending (`scan`, `dry-run` with `--exit-code`).
    Pending,
    /// Nothing was due, or all that was due is deployed.
    Success,
}

impl Exit {
    /// All of them.
    pub const ALL: [Exit; 11] = [
        Exit::Interrupted,
        Exit::Terminated,
        Exit::Unknown,
        Exit::Credentials,
        Exit::Usage,
        Exit::Unavailable,
        Exit::Guard,
        Exit::Failed,
        Exit::TryLater,
        Exit::Pending,
        Exit::Success,
    ];

    /// The number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Pending => 3,
            Exit::Unknown => 4,
            Exit::Guard => 5,
            Exit::Unavailable => 69,
            Exit::TryLater => 75,
            Exit::Credentials => 77,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// How a command exits that an error of this kind stopped.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Exit::Failed,
            Kind::Usage => Exit::Usage,
            Kind::Unknown => Exit::Unknown,
            Kind::Guard => Exit::Guard,
            Kind::Unavailable => Exit::Unavailable,
            Kind::Busy => Exit::TryLater,
            Kind::Credentials => Exit::Credentials,
            Kind::Interrupted => Exit::Interrupted,
            Kind::Terminated => Exit::Terminated,
        }
    }

    /// The code that stands where both apply.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        self.min(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones_worst_first() {
        assert!(Exit::ALL.is_sorted());
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [130, 143, 4, 77, 2, 69, 5, 1, 75, 3, 0]);
    }

    #[test]
    fn the_worse_code_stands() {
        assert_eq!(Exit::Success.and(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Unknown.and(Exit::Usage), Exit::Unknown);
    }
}
