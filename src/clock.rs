//! The time, in one place. Tests set it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The time as one process sees it.
pub trait Clock: Debug + Send + Sync {
    /// By the wall clock, which people and time servers set: milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;

    /// By the boot clock: since the system was started, suspension counted. Nobody can set it.
    fn elapsed(&self) -> Duration;

    /// The boot that [`Clock::elapsed`] counts from; empty where it isn't known.
    fn boot_id(&self) -> String;

    /// Sleeps for `time`.
    fn sleep(&self, time: Duration);

    /// By the boot clock: how long ago something began.
    fn since(&self, start: Duration) -> Duration {
        self.elapsed().saturating_sub(start)
    }
}

/// A clock that what works together shares.
pub type SharedClock = Arc<dyn Clock>;

/// How often a wait looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(50);

/// Sleeps for `time`; false as soon as it is cancelled.
pub fn sleep_unless(clock: &dyn Clock, time: Duration, cancelled: impl Fn() -> bool) -> bool {
    let end = clock.elapsed().saturating_add(time);
    loop {
        if cancelled() {
            return false;
        }
        let left = end.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return true;
        }
        clock.sleep(left.min(TICK));
    }
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl System {
    /// Them, to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for System {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// `Instant` doesn't count suspension (<https://github.com/rust-lang/rust/issues/87906>).
    fn elapsed(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    }

    /// See `random(4)`; containers of one system have the same.
    fn boot_id(&self) -> String {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        id.unwrap_or_default().trim().to_owned()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A clock that tests set.
#[cfg(test)]
pub mod testing {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// A clock that only a sleep moves.
    #[derive(Debug, Default)]
    pub struct Hand(Mutex<Duration>);

    impl Hand {
        /// One that a test and what it tests share.
        pub fn shared() -> Arc<Self> {
            Arc::default()
        }
    }

    impl Clock for Hand {
        fn now_ms(&self) -> i64 {
            i64::try_from(self.elapsed().as_millis()).unwrap()
        }

        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn boot_id(&self) -> String {
            "this boot".to_owned()
        }

        fn sleep(&self, time: Duration) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Hand;
    use super::*;

    #[test]
    fn a_sleep_takes_its_time_and_ends_when_it_is_cancelled() {
        let (hand, hour) = (Hand::default(), Duration::from_secs(3600));
        assert!(sleep_unless(&hand, hour, || false));
        assert_eq!(hand.elapsed(), hour);
        assert!(!sleep_unless(&hand, hour, || true));
        assert_eq!(hand.elapsed(), hour);
        let later = || hand.elapsed() > hour + Duration::from_secs(1);
        assert!(!sleep_unless(&hand, hour, later));
        assert!(hand.elapsed() < hour + Duration::from_secs(2));
    }

    #[test]
    fn the_clocks_of_the_system_run() {
        let (before, wall) = (System.elapsed(), System.now_ms());
        System.sleep(Duration::from_millis(5));
        assert!(System.elapsed() >= before + Duration::from_millis(5));
        assert!(System.now_ms() > wall);
    }
}
