//! The exit codes of the program, in one place.

/// How a command ended. The mapping to numbers is [`Exit::code`], the only one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Nothing was due, or all that was due is deployed.
    Success,
    /// The pass ended; at least one app failed, was refused, or could not be read.
    Failed,
    /// Usage or configuration.
    Usage,
    /// Changes are pending (`scan`, `dry-run` with `--exit-code`).
    Pending,
    /// The outcome of a submitted deploy is not known (yet).
    Unknown,
    /// A guard stopped it: `--max-deploys`, or another command that changed the app first.
    Guard,
    /// Artifactory, the ledger or coreos-deploy cannot be used.
    Unavailable,
    /// Another pass holds the lease, or coreos-deploy is busy: try later.
    TryLater,
    /// Credentials refused.
    Credentials,
    /// Interrupted by SIGINT.
    Interrupted,
    /// Terminated by SIGTERM or SIGHUP.
    Terminated,
}

impl Exit {
    /// All codes, worst first: where several apply, the first of this order is the exit code.
    pub const BY_PRECEDENCE: [Exit; 11] = [
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

    /// The code that stands where both apply.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        if self.rank() <= other.rank() {
            self
        } else {
            other
        }
    }

    fn rank(self) -> usize {
        Self::BY_PRECEDENCE
            .iter()
            .position(|e| *e == self)
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones_and_distinct() {
        let codes: Vec<u8> = Exit::BY_PRECEDENCE.iter().map(|e| e.code()).collect();
        assert_eq!(codes, [130, 143, 4, 77, 2, 69, 5, 1, 75, 3, 0]);
    }

    #[test]
    fn the_worse_code_wins_in_either_order() {
        for (i, a) in Exit::BY_PRECEDENCE.into_iter().enumerate() {
            for b in Exit::BY_PRECEDENCE.into_iter().skip(i) {
                assert_eq!(a.and(b), a);
                assert_eq!(b.and(a), a);
            }
        }
    }
}
