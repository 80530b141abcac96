//! Holds: what an operator, or a command for him, keeps passes from deploying.

use crate::model::time;
use crate::model::version::Order;

/// The reason of a hold that was put without one.
pub const NO_REASON: &str = "no reason given";
/// The most reasons that are kept of holds that were put one upon the other.
const REASONS: usize = 8;
/// The name that a hold of every app of a scope stands under; no app has it.
pub const EVERY_APP: &str = "*";
/// What stands between two of them.
const BETWEEN: &str = "; ";

/// A hold on one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why, as the operator said.
    pub reason: String,
    /// Ends by itself at this time, milliseconds since 1970 UTC.
    pub until: Option<i64>,
    /// Ends by itself when the newest marker is newer than this version.
    pub newer_than: Option<String>,
    /// Who put it: a command.
    pub placed_by: String,
    /// When, milliseconds since 1970 UTC.
    pub placed_at: i64,
}

impl Hold {
    /// Whether the hold stands in the way of a pass that is about to deploy `version` at `now`
    /// (milliseconds since 1970 UTC). A version that the order has no place for is stopped.
    pub fn stops(&self, order: Order, version: &str, now: i64) -> bool {
        let is_passed = self.newer_than.as_deref().is_some_and(|than| {
            let keys = order.key(version).zip(order.key(than));
            keys.is_some_and(|(version, than)| version > than)
        });
        !self.is_over(now) && !is_passed
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: i64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The one hold that stands once this one is put beside `standing`: it stops whatever either
    /// of them stops. What is stopped for all versions during a time, and up to one version for
    /// good, no hold can say: then it stops more than both. A hold whose time is over counts as
    /// none. Put again, a hold changes nothing.
    #[must_use]
    pub fn beside(self, standing: Option<&Hold>, order: Order, now: i64) -> Hold {
        let Some(standing) = standing.filter(|hold| !hold.is_over(now)) else {
            return self;
        };
        Hold {
            reason: joined(&self.reason, &standing.reason),
            until: self.until.zip(standing.until).map(|(a, b)| a.max(b)),
            newer_than: self
                .newer_than
                .zip(standing.newer_than.as_ref())
                .and_then(|(a, b)| later(order, a, b)),
            ..self
        }
    }

    /// When it ends and why it was put: `held until released: REASON`.
    pub fn describe(&self) -> String {
        let until = self.until.map(time::rfc3339);
        let marked = self
            .newer_than
            .as_ref()
            .map(|v| format!("a version newer than {v} is marked"));
        let mut ends: Vec<String> = until.into_iter().chain(marked).collect();
        if ends.is_empty() {
            ends.push("released".to_owned());
        }
        let reason = if self.reason.is_empty() { "" } else { ": " };
        format!("held until {}{reason}{}", ends.join(" or "), self.reason)
    }
}

/// The later of two versions; none where the order can't tell, since a hold until a version that
/// cannot be compared ends by release only.
fn later(order: Order, a: String, b: &str) -> Option<String> {
    if a == b {
        return Some(a);
    }
    let (key, other) = (order.key(&a)?, order.key(b)?);
    Some(if key < other { b.to_owned() } else { a })
}

/// The reasons of two holds, each once, those of the later hold first.
fn joined(later: &str, earlier: &str) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    for reason in later.split(BETWEEN).chain(earlier.split(BETWEEN)) {
        if !reason.is_empty() && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if reasons.len() > 1 {
        reasons.retain(|reason| *reason != NO_REASON);
    }
    reasons.truncate(REASONS);
    reasons.join(BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    /// Two ends of each kind, and none.
    const TIMES: [Option<i64>; 3] = [None, Some(NOW + 10), Some(NOW + 20)];
    const VERSIONS: [Option<&str>; 3] = [None, Some("1.5"), Some("2.5")];

    fn hold(until: Option<i64>, newer_than: Option<&str>) -> Hold {
        Hold {
            reason: "r".to_owned(),
            until,
            newer_than: newer_than.map(str::to_owned),
            placed_by: "hold".to_owned(),
            placed_at: NOW,
        }
    }

    fn every() -> Vec<Hold> {
        let of = |until| VERSIONS.map(|version| hold(until, version));
        TIMES.into_iter().flat_map(of).collect()
    }

    /// What a hold stops of some versions at some times.
    fn stopped(hold: &Hold) -> Vec<bool> {
        let times = [NOW, NOW + 10, NOW + 20, i64::MAX];
        let at = |now| ["1.0", "1.5", "2.0", "2.5", "3.0"].map(|v| (v, now));
        let cases = times.into_iter().flat_map(at);
        cases
            .map(|(v, now)| hold.stops(Order::Natural, v, now))
            .collect()
    }

    #[test]
    fn two_holds_end_where_the_later_of_them_does() {
        let (soon, late) = (Some(NOW + 10), Some(NOW + 20));
        let (old, new) = (Some("1.5"), Some("2.5"));
        for (a, b, expected) in [
            // Until released: nothing is added to that.
            ((None, None), (None, None), (None, None)),
            ((None, None), (soon, None), (None, None)),
            ((None, None), (None, old), (None, None)),
            ((None, None), (soon, old), (None, None)),
            // Until a time.
            ((soon, None), (late, None), (late, None)),
            ((soon, None), (late, old), (late, None)),
            ((late, None), (soon, old), (late, None)),
            // Until a version.
            ((None, old), (None, new), (None, new)),
            ((None, old), (soon, new), (None, new)),
            ((None, new), (soon, old), (None, new)),
            // One of each kind: every version for a time, old ones for good.
            ((soon, None), (None, old), (None, None)),
            // Both ends.
            ((soon, old), (late, new), (late, new)),
            ((soon, new), (late, old), (late, new)),
            ((soon, old), (soon, old), (soon, old)),
        ] {
            let (a, b) = (hold(a.0, a.1), hold(b.0, b.1));
            let expected = hold(expected.0, expected.1);
            assert_eq!(a.clone().beside(Some(&b), Order::Natural, NOW), expected);
            assert_eq!(b.beside(Some(&a), Order::Natural, NOW), expected);
        }
    }

    #[test]
    fn what_either_stops_is_stopped_and_no_more_than_must_be() {
        for a in every() {
            for b in every() {
                let both = a.clone().beside(Some(&b), Order::Natural, NOW);
                let union = stopped(&a).into_iter().zip(stopped(&b)).map(|(a, b)| a | b);
                let union: Vec<bool> = union.collect();
                let covers = |hold: &Hold| stopped(hold).iter().zip(&union).all(|(h, u)| *h || !u);
                assert!(covers(&both), "{a:?} {b:?}");
                // No hold that covers the union stops less somewhere.
                for other in every().iter().filter(|other| covers(other)) {
                    let less = stopped(other).into_iter().zip(stopped(&both));
                    assert!(less.into_iter().all(|(o, b)| o || !b), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_hold_whose_time_is_over_counts_as_none() {
        for newer_than in VERSIONS {
            let over = hold(Some(NOW), newer_than);
            let new = hold(Some(NOW + 1), None);
            let both = new.clone().beside(Some(&over), Order::Natural, NOW);
            assert_eq!(both, new);
        }
        let new = hold(None, Some("1.5"));
        assert_eq!(new.clone().beside(None, Order::Natural, NOW), new);
    }

    #[test]
    fn versions_that_cannot_be_compared_make_a_hold_until_released() {
        let (a, b) = (hold(None, Some("1.0.0")), hold(None, Some("v2")));
        let both = a.clone().beside(Some(&b), Order::Semver, NOW);
        assert_eq!(both, hold(None, None));
        let same = b.clone().beside(Some(&b), Order::Semver, NOW);
        assert_eq!(same, b);
        let natural = a.beside(Some(&b), Order::Natural, NOW);
        assert_eq!(natural, b);
    }

    #[test]
    fn reasons_are_kept_once_and_not_without_end() {
        let with = |reason: &str| Hold {
            reason: reason.to_owned(),
            ..hold(None, None)
        };
        let join = |later: &str, earlier: &str| {
            let both = with(later).beside(Some(&with(earlier)), Order::Natural, NOW);
            both.reason
        };
        assert_eq!(
            join("audit", "`rollback` of 1.0"),
            "audit; `rollback` of 1.0"
        );
        assert_eq!(join("audit", "audit; demo"), "audit; demo");
        assert_eq!(join("demo", "audit; demo"), "demo; audit");
        assert_eq!(join(NO_REASON, "audit"), "audit");
        assert_eq!(join(NO_REASON, NO_REASON), NO_REASON);
        let mut reason = String::new();
        for number in 0..100 {
            reason = join(&number.to_string(), &reason);
        }
        assert!(
            reason.starts_with("99; 98; ") && reason.len() < 40,
            "{reason}"
        );
    }
}
