//! When the pass ends, for the reads of Artifactory.

use std::time::{Duration, Instant};

use super::client::Failure;
use crate::error::Error;
use crate::exit::Exit;

/// The end of the time that `--max-duration` gives.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    max_duration: Duration,
}

impl Deadline {
    /// The deadline of a pass that begins now.
    pub fn new(max_duration: Duration) -> Self {
        Self {
            at: Instant::now() + max_duration,
            max_duration,
        }
    }

    /// The time that a read may take: `most`, but not past the end of the pass.
    pub fn left(&self, most: Duration) -> Duration {
        most.min(self.at.saturating_duration_since(Instant::now()))
    }

    /// The pass is over (exit 75); what was tried last is the cause. Nothing else would be
    /// answered in time either, so it stands as no connection does.
    pub fn missed(&self, last: &Error) -> Failure {
        let limit = humantime::format_duration(self.max_duration);
        let message = format!("Artifactory was not read within --max-duration {limit}");
        let error = Error::new(Exit::TryLater, message).because(last.one_line());
        let mut failure = Failure::lasting(0, error);
        failure.unreachable = true;
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_after_the_end() {
        let over = Deadline::new(Duration::ZERO);
        assert_eq!(over.left(Duration::from_secs(9)), Duration::ZERO);
        let ahead = Deadline::new(Duration::from_secs(600));
        assert_eq!(ahead.left(Duration::from_secs(9)), Duration::from_secs(9));
        let failure = over.missed(&Error::unavailable("listing"));
        assert_eq!(
            (failure.error.exit, failure.unreachable),
            (Exit::TryLater, true)
        );
        assert_eq!(failure.error.causes, ["listing"]);
    }
}
