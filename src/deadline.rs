//! When a pass ends.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::exit::Exit;

/// The end of the time that `--max-duration` gives. One holds for a whole pass, from the lease on.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// `None` is no end.
    at: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    /// The deadline of a pass that begins now.
    pub fn new(limit: Duration) -> Self {
        Self {
            at: Some(Instant::now() + limit),
            limit,
        }
    }

    /// No end: where no pass is under way.
    pub const fn none() -> Self {
        Self {
            at: None,
            limit: Duration::MAX,
        }
    }

    /// The time that a step may take: `most`, but not past the end of the pass.
    pub fn left(&self, most: Duration) -> Duration {
        match self.at {
            Some(at) => most.min(at.saturating_duration_since(Instant::now())),
            None => most,
        }
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// The pass is over (exit 75); `what` was not done in time.
    pub fn missed(&self, what: &str) -> Error {
        let limit = humantime::format_duration(self.limit);
        Error::new(
            Exit::TryLater,
            format!("{what} within --max-duration {limit}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_after_the_end() {
        let over = Deadline::new(Duration::ZERO);
        assert!(over.is_over());
        assert_eq!(over.left(Duration::from_secs(9)), Duration::ZERO);
        let ahead = Deadline::new(Duration::from_secs(600));
        assert!(!ahead.is_over());
        assert_eq!(ahead.left(Duration::from_secs(9)), Duration::from_secs(9));
        let none = Deadline::none();
        assert!(!none.is_over());
        assert_eq!(none.left(Duration::MAX), Duration::MAX);
        assert_eq!(over.missed("nothing was read").exit, Exit::TryLater);
    }
}
