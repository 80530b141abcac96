//! When a pass ends.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind};

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
        Error::new(Kind::Busy, format!("{what} within --max-duration {limit}"))
    }
}

/// How often a wait looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(50);

/// Sleeps for `time`; false as soon as it is cancelled.
pub fn sleep_unless(time: Duration, cancelled: impl Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if cancelled() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(TICK));
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
        assert_eq!(over.missed("nothing was read").kind, Kind::Busy);
    }

    #[test]
    fn a_sleep_takes_its_time_and_ends_when_it_is_cancelled() {
        let started = Instant::now();
        assert!(sleep_unless(Duration::from_millis(150), || false));
        assert!(started.elapsed() >= Duration::from_millis(150));
        assert!(!sleep_unless(Duration::from_secs(3600), || true));
        let asked = std::cell::Cell::new(0);
        let third = || asked.replace(asked.get() + 1) == 2;
        assert!(!sleep_unless(Duration::from_secs(3600), third));
    }
}
