//! When a pass ends.

use std::time::Duration;

use crate::clock::SharedClock;
use crate::error::{Error, Kind};

/// The end of the time that `--max-duration` gives. One holds for a whole pass, from the lease on.
#[derive(Clone, Debug)]
pub struct Deadline {
    clock: SharedClock,
    /// By [`crate::clock::Clock::elapsed`].
    at: Duration,
    limit: Duration,
}

impl Deadline {
    /// The deadline of a pass that begins now.
    pub fn new(clock: SharedClock, limit: Duration) -> Self {
        let at = clock.elapsed().saturating_add(limit);
        Self { clock, at, limit }
    }

    /// No end: where no pass is under way.
    pub fn none(clock: SharedClock) -> Self {
        Self::new(clock, Duration::MAX)
    }

    /// The end of a step that begins now and may take `most`, but not past the end of the pass.
    #[must_use]
    pub fn within(&self, most: Duration) -> Self {
        let at = self.clock.elapsed().saturating_add(most).min(self.at);
        Self { at, ..self.clone() }
    }

    /// The time that a step may take: `most`, but not past the end of the pass.
    pub fn left(&self, most: Duration) -> Duration {
        most.min(self.at.saturating_sub(self.clock.elapsed()))
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.clock.elapsed() >= self.at
    }

    /// Sleeps for `time`; false, at once, where that would be past the end of the pass.
    pub fn sleep(&self, time: Duration) -> bool {
        let fits = self.left(time) == time;
        if fits {
            self.clock.sleep(time);
        }
        fits
    }

    /// The pass is over; `what` was not done in time.
    pub fn missed(&self, what: &str) -> Error {
        let limit = humantime::format_duration(self.limit);
        Error::new(Kind::Busy, format!("{what} within --max-duration {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::testing::Hand;

    #[test]
    fn nothing_is_left_after_the_end() {
        let (hand, minute) = (Hand::shared(), Duration::from_secs(60));
        let deadline = Deadline::new(hand.clone(), minute);
        assert_eq!(deadline.left(minute * 2), minute);
        assert_eq!(deadline.within(minute * 2).left(Duration::MAX), minute);
        assert_eq!(deadline.within(minute / 2).left(minute), minute / 2);
        hand.sleep(Duration::from_secs(51));
        assert!(!deadline.is_over());
        assert_eq!(deadline.left(minute), Duration::from_secs(9));
        assert!(!deadline.sleep(Duration::from_secs(10)));
        assert_eq!(hand.elapsed(), Duration::from_secs(51));
        assert!(deadline.sleep(Duration::from_secs(9)));
        assert!(deadline.is_over());
        assert_eq!(deadline.left(minute), Duration::ZERO);
        assert_eq!(deadline.missed("nothing was read").kind, Kind::Busy);
    }
}
