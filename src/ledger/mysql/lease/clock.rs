//! The clock that a lease is measured by, and its proportions.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the system was started. It counts suspension too, which `Instant` doesn't
/// (<https://github.com/rust-lang/rust/issues/87906>), and nobody can set it.
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// What follows from how long a lease outlives its last renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// How long the lease outlives its last renewal.
    pub ttl: Duration,
}

impl Rhythm {
    /// The longest that an unchanged row is watched, whatever it says.
    const LONGEST_WATCH: Duration = Duration::from_secs(3600);

    /// From one renewal to the next.
    pub fn interval(self) -> Duration {
        self.ttl / 6
    }

    /// From a renewal that failed to the next try.
    pub fn retry(self) -> Duration {
        (self.ttl / 60).min(Duration::from_secs(1))
    }

    /// How long after the last renewal the lease is given up.
    pub fn give_up(self) -> Duration {
        self.ttl / 3 * 2
    }

    /// How long after a renewal was sent the lease may be relied upon.
    pub fn validity(self) -> Duration {
        self.ttl / 12 * 11
    }

    /// How long after a takeover nothing is sent: longer than the 10 s that coreos-deploy waits for
    /// a request, at the default of 60 s.
    pub fn send_delay(self) -> Duration {
        self.ttl / 4
    }

    /// How long a row must stand unchanged before its expiry is believed; `theirs` is what its
    /// holder renews by.
    pub fn watch(self, theirs: Duration) -> Duration {
        self.ttl.max(theirs).min(Self::LONGEST_WATCH)
    }

    /// The longest that the server may stay silent; never less than a statement may wait for a
    /// lock (5 s).
    pub fn silence(self) -> Duration {
        (self.ttl / 4).max(Duration::from_secs(6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lease_is_renewed_every_10_s_and_given_up_well_before_it_ends() {
        let s = Duration::from_secs;
        let rhythm = Rhythm { ttl: s(60) };
        assert_eq!(rhythm.interval(), s(10));
        assert_eq!(rhythm.retry(), s(1));
        assert_eq!(rhythm.give_up(), s(40));
        assert_eq!(rhythm.validity(), s(55));
        assert_eq!(rhythm.send_delay(), s(15));
        assert_eq!(rhythm.silence(), s(15));
        assert_eq!(rhythm.watch(s(10)), s(60));
        assert_eq!(rhythm.watch(s(90)), s(90));
        assert_eq!(rhythm.watch(s(90_000)), s(3600));
    }

    #[test]
    fn a_short_lease_is_retried_often() {
        let rhythm = Rhythm {
            ttl: Duration::from_secs(2),
        };
        assert!(rhythm.retry() < rhythm.interval() && rhythm.interval() < rhythm.give_up());
        assert!(rhythm.give_up() < rhythm.validity() && rhythm.validity() < rhythm.ttl);
    }

    #[test]
    fn the_clock_runs() {
        let before = now();
        std::thread::sleep(Duration::from_millis(5));
        assert!(now() >= before + Duration::from_millis(5));
    }
}
