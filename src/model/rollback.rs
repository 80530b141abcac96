//! Where a rollback of one app leads: back, never forward.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::version::Order;

#[cfg(test)]
mod tests;

/// An attempt of the app, as far as a rollback needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past<'a> {
    /// The version.
    pub version: &'a str,
    /// Whether it may have reached the cluster: all but a refused one may.
    pub reached: bool,
    /// Whether the version counts as deployed by it.
    pub good: bool,
    /// Whether a rollback made it.
    pub rollback: bool,
    /// Of a rollback: whether the command that made it saw it end.
    pub seen_to_end: bool,
}

/// What a rollback goes back from, and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback<'a> {
    /// The version that is rolled back from.
    pub from: &'a str,
    /// The version that is rolled back to, where one is left.
    pub to: Option<&'a str>,
    /// The other good versions, newest first, each with why it is not the one.
    pub others: Vec<(&'a str, &'static str)>,
}

/// Where a rollback leads after `past`, oldest first; `None` where nothing was ever tried.
///
/// It goes back from the newest attempt that may have reached the cluster, however that ended, and
/// that no rollback made; from the target of a rollback that its command saw succeed, when it is
/// asked for again. A rollback that failed, was refused, or of which the operator was never told
/// that it succeeded, leads to the same target when it is repeated.
///
/// The target is the newest good version older than that one. A version that was rolled back from
/// is no target until something else than a rollback deploys it again.
pub fn rollback<'a>(past: &[Past<'a>], order: Order) -> Option<Rollback<'a>> {
    let mut from = None;
    let mut good: BTreeSet<&str> = BTreeSet::new();
    let mut left: BTreeSet<&str> = BTreeSet::new();
    for attempt in past {
        if attempt.good {
            good.insert(attempt.version);
        }
        if attempt.rollback {
            left.extend(from);
            if attempt.good && attempt.seen_to_end {
                from = Some(attempt.version);
            }
        } else if attempt.reached {
            from = Some(attempt.version);
            if attempt.good {
                left.remove(attempt.version);
            }
        }
    }
    let from = from?;
    let is_older = |version: &str| match (order.key(version), order.key(from)) {
        (Some(version), Some(from)) => version < from,
        _ => false,
    };
    let mut newest_first: Vec<&str> = good.into_iter().filter(|v| *v != from).collect();
    newest_first.sort_by(|a, b| newest(order, a, b));
    let to = newest_first
        .iter()
        .copied()
        .find(|v| is_older(v) && !left.contains(v));
    let others = newest_first
        .into_iter()
        .filter(|v| Some(*v) != to)
        .map(|v| (v, why_not(left.contains(v), is_older(v))))
        .collect();
    Some(Rollback { from, to, others })
}

fn newest(order: Order, a: &str, b: &str) -> Ordering {
    order.key(b).cmp(&order.key(a)).then_with(|| b.cmp(a))
}

const fn why_not(was_left: bool, is_older: bool) -> &'static str {
    match (was_left, is_older) {
        (true, _) => "rolled back from",
        (false, true) => "older",
        (false, false) => "not older",
    }
}
