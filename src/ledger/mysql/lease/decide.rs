//! What to do about a lease: decided from what was read and the time, and nothing else.

use std::time::Duration;

use super::row::Row;

/// By what times a lease is taken, renewed and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the lease outlives its last renewal.
    pub ttl: Duration,
    /// From one renewal to the next.
    pub interval: Duration,
    /// From a renewal that failed to the next try.
    pub retry: Duration,
    /// How long after the last renewal the lease is given up.
    pub give_up: Duration,
    /// How long after a renewal was sent the lease may be relied upon.
    pub validity: Duration,
    /// How long after a takeover nothing is sent: longer than the 10 s that coreos-deploy waits for
    /// a request, at the default of 60 s.
    pub send_delay: Duration,
    /// The longest that the server may stay silent; never less than a statement may wait for a
    /// lock (5 s).
    pub silence: Duration,
}

impl Timing {
    /// The longest that an unchanged row is watched, whatever it says.
    const LONGEST_WATCH: Duration = Duration::from_secs(3600);

    /// The times of a lease with this TTL.
    pub fn of(ttl: Duration) -> Self {
        Self {
            ttl,
            interval: ttl / 6,
            retry: (ttl / 60).min(Duration::from_secs(1)),
            give_up: ttl / 3 * 2,
            validity: ttl / 12 * 11,
            send_delay: ttl / 4,
            silence: (ttl / 4).max(Duration::from_secs(6)),
        }
    }

    /// How long a row must stand unchanged before its expiry is believed; `theirs` is what its
    /// holder renews by.
    pub fn watch(&self, theirs: Duration) -> Duration {
        self.ttl.max(theirs).min(Self::LONGEST_WATCH)
    }
}

/// The row as we have seen it, by our own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    token: i64,
    beat: i64,
    /// When this token and beat were first read: the answer was there by then.
    since: Duration,
    /// Whether it ever changed while we looked: somebody is alive.
    has_moved: bool,
}

impl Watch {
    /// Begins to watch, or goes on: `now` is a time after the row was read.
    pub fn see(before: Option<Self>, row: &Row, now: Duration) -> Self {
        match before {
            Some(watch) if (watch.token, watch.beat) == (row.token, row.beat) => watch,
            before => Self {
                token: row.token,
                beat: row.beat,
                since: now,
                has_moved: before.is_some(),
            },
        }
    }
}

/// What is known beside the row.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The id that we claim the lease with.
    pub me: &'a str,
    /// Our lease.
    pub timing: Timing,
    /// A time before the row was read.
    pub now: Duration,
    /// Until when we wait.
    pub deadline: Duration,
    /// Whether the process of the row is certainly dead.
    pub is_dead: bool,
}

/// What to do about the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is ours: a claim went through though its answer was lost.
    Ours,
    /// Nobody holds it: claim it.
    Take,
    /// Its holder is gone: claim it, if it is still unchanged.
    TakeOver,
    /// Look again, in this time at the latest.
    Wait(Duration),
    /// Somebody holds it, and we waited for long enough.
    Held,
}

/// Decides. Two clocks must agree that a holder is gone, the server's (`expires_at`) and ours (the
/// row stood still for a whole TTL): a wrong clock can only delay a takeover. What is expired
/// is watched to the end of that TTL even where no time was given to wait.
pub fn decide(row: &Row, watch: &Watch, by: &Known<'_>) -> Step {
    match row.holder_id.as_deref() {
        None => return Step::Take,
        Some(id) if id == by.me => return Step::Ours,
        Some(_) if by.is_dead => return Step::TakeOver,
        Some(_) => (),
    }
    let left = by
        .timing
        .watch(row.ttl)
        .saturating_sub(by.now.saturating_sub(watch.since));
    if row.is_expired && left.is_zero() {
        return Step::TakeOver;
    }
    let patience = by.deadline.saturating_sub(by.now);
    match (row.is_expired, patience.is_zero()) {
        (true, _) if !watch.has_moved => Step::Wait(left),
        (_, true) => Step::Held,
        (true, false) => Step::Wait(left.min(patience)),
        (false, false) => Step::Wait(patience),
    }
}

/// How a renewal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lease is ours for another while.
    Renewed,
    /// The row is somebody else's.
    Gone,
    /// The server could not be asked; time since the last success.
    Failed(Duration),
}

/// What follows from a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Renew again in this time.
    Renew(Duration),
    /// Nothing more: the lease is lost, and its row too.
    Nothing,
    /// Give the lease up, but still free the row at the end, should it be ours.
    Release,
}

/// Decides what follows from a renewal.
pub fn next(outcome: Outcome, timing: &Timing) -> Next {
    match outcome {
        Outcome::Renewed => Next::Renew(timing.interval),
        Outcome::Gone => Next::Nothing,
        Outcome::Failed(silence) if silence >= timing.give_up => Next::Release,
        Outcome::Failed(_) => Next::Renew(timing.retry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn row(holder: Option<&str>, is_expired: bool) -> Row {
        Row {
            token: 7,
            beat: 70,
            holder_id: holder.map(str::to_owned),
            process: String::new(),
            ttl: s(60),
            is_expired,
        }
    }

    fn by(now: u64, deadline: u64) -> Known<'static> {
        Known {
            me: "me",
            timing: Timing::of(s(60)),
            now: s(now),
            deadline: s(deadline),
            is_dead: false,
        }
    }

    /// A watch of the row since 100 s.
    fn watch(has_moved: bool) -> Watch {
        Watch {
            token: 7,
            beat: 70,
            since: s(100),
            has_moved,
        }
    }

    /// Every combination of what may be known, against the rules one by one.
    #[test]
    fn every_combination_follows_the_rules() {
        let mut seen = 0;
        for holder in [None, Some("me"), Some("other")] {
            for is_expired in [false, true] {
                for is_dead in [false, true] {
                    for has_moved in [false, true] {
                        for now in [90, 100, 159, 160, 500] {
                            for deadline in [0, 100, 130, 400, 9000] {
                                let by = Known {
                                    is_dead,
                                    ..by(now, deadline)
                                };
                                let row = row(holder, is_expired);
                                let step = decide(&row, &watch(has_moved), &by);
                                let stood = now >= 160;
                                let late = now >= deadline;
                                let expected = match holder {
                                    None => matches!(step, Step::Take),
                                    Some("me") => matches!(step, Step::Ours),
                                    _ if is_dead => matches!(step, Step::TakeOver),
                                    _ if is_expired && stood => matches!(step, Step::TakeOver),
                                    _ if late && is_expired && !has_moved => {
                                        matches!(step, Step::Wait(_))
                                    }
                                    _ if late => matches!(step, Step::Held),
                                    _ => matches!(step, Step::Wait(_)),
                                };
                                assert!(expected, "{row:?} {has_moved} {by:?}: {step:?}");
                                if let Step::Wait(time) = step {
                                    assert!(!time.is_zero() && time <= s(9000), "{time:?}");
                                }
                                seen += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen, 600);
    }

    #[test]
    fn a_lease_in_force_is_held_at_once_where_there_is_no_time_to_wait() {
        let step = decide(&row(Some("x"), false), &watch(false), &by(100, 100));
        assert_eq!(step, Step::Held);
    }

    #[test]
    fn a_lease_in_force_is_waited_for_until_the_time_is_over() {
        let step = decide(&row(Some("x"), false), &watch(true), &by(110, 130));
        assert_eq!(step, Step::Wait(s(20)));
    }

    #[test]
    fn an_expired_lease_is_watched_to_the_end_of_its_ttl_and_no_longer() {
        let expired = row(Some("x"), true);
        for (now, step) in [
            (100, Step::Wait(s(60))),
            (159, Step::Wait(s(1))),
            (160, Step::TakeOver),
        ] {
            assert_eq!(
                decide(&expired, &watch(false), &by(now, 100)),
                step,
                "{now}"
            );
        }
    }

    #[test]
    fn what_is_in_force_is_not_taken_however_long_it_stood_still() {
        let step = decide(&row(Some("x"), false), &watch(false), &by(99_999, 100));
        assert_eq!(step, Step::Held);
    }

    #[test]
    fn the_longer_ttl_of_the_two_is_watched() {
        let theirs = Row {
            ttl: s(90),
            ..row(Some("x"), true)
        };
        assert_eq!(
            decide(&theirs, &watch(false), &by(189, 0)),
            Step::Wait(s(1))
        );
        assert_eq!(decide(&theirs, &watch(false), &by(190, 0)), Step::TakeOver);
        let shorter = Row {
            ttl: s(1),
            ..row(Some("x"), true)
        };
        assert_eq!(
            decide(&shorter, &watch(false), &by(159, 0)),
            Step::Wait(s(1))
        );
    }

    #[test]
    fn a_beat_begins_the_watch_anew_and_shows_a_living_holder() {
        let expired = row(Some("x"), true);
        let first = Watch::see(None, &expired, s(100));
        let same = Watch::see(Some(first.clone()), &expired, s(150));
        assert_eq!(same, first);
        let beaten = Row {
            beat: 71,
            ..expired.clone()
        };
        let moved = Watch::see(Some(same), &beaten, s(155));
        assert!(moved.has_moved);
        // Not at 160 s, nor ever where there is no time to wait: somebody is there.
        assert_eq!(decide(&beaten, &moved, &by(160, 100)), Step::Held);
        assert_eq!(decide(&beaten, &moved, &by(214, 900)), Step::Wait(s(1)));
        assert_eq!(decide(&beaten, &moved, &by(215, 900)), Step::TakeOver);
        let taken = Row { token: 8, ..beaten };
        assert_eq!(Watch::see(Some(moved), &taken, s(300)).since, s(300));
    }

    #[test]
    fn failures_are_retried_until_the_lease_is_given_up() {
        for (outcome, expected) in [
            (Outcome::Renewed, Next::Renew(s(10))),
            (Outcome::Gone, Next::Nothing),
            (Outcome::Failed(s(0)), Next::Renew(s(1))),
            (Outcome::Failed(s(39)), Next::Renew(s(1))),
            (Outcome::Failed(s(40)), Next::Release),
            (Outcome::Failed(s(4000)), Next::Release),
        ] {
            assert_eq!(next(outcome, &Timing::of(s(60))), expected, "{outcome:?}");
        }
    }

    #[test]
    fn the_default_lease_is_renewed_every_10_s_and_given_up_well_before_it_ends() {
        let timing = Timing::of(s(60));
        let expected = Timing {
            ttl: s(60),
            interval: s(10),
            retry: s(1),
            give_up: s(40),
            validity: s(55),
            send_delay: s(15),
            silence: s(15),
        };
        assert_eq!(timing, expected);
        assert_eq!(
            [10, 90, 90_000].map(|ttl| timing.watch(s(ttl))),
            [s(60), s(90), s(3600)]
        );
    }

    #[test]
    fn a_short_lease_is_retried_often_and_its_server_may_lock_rows() {
        let timing = Timing::of(s(2));
        assert!(timing.retry < timing.interval && timing.interval < timing.give_up);
        assert!(timing.give_up < timing.validity && timing.validity < timing.ttl);
        assert_eq!(timing.silence, s(6));
    }
}
