//! The proportions of a lease.

use std::time::Duration;

/// What follows from how long a lease outlives its last renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the lease outlives its last renewal.
    pub ttl: Duration,
}

impl Timing {
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
        let timing = Timing { ttl: s(60) };
        assert_eq!(timing.interval(), s(10));
        assert_eq!(timing.retry(), s(1));
        assert_eq!(timing.give_up(), s(40));
        assert_eq!(timing.validity(), s(55));
        assert_eq!(timing.send_delay(), s(15));
        assert_eq!(timing.silence(), s(15));
        assert_eq!(timing.watch(s(10)), s(60));
        assert_eq!(timing.watch(s(90)), s(90));
        assert_eq!(timing.watch(s(90_000)), s(3600));
    }

    #[test]
    fn a_short_lease_is_retried_often() {
        let timing = Timing {
            ttl: Duration::from_secs(2),
        };
        assert!(timing.retry() < timing.interval() && timing.interval() < timing.give_up());
        assert!(timing.give_up() < timing.validity() && timing.validity() < timing.ttl);
    }
}
