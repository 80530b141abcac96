//! What every implementation must do with holds.

use std::time::Duration;

use super::{Fixture, attempt, intent, scope, step};
use crate::ledger::Intended;
use crate::model::attempt::State;
use crate::model::plan::Hold;
use crate::model::version::Order;

pub(super) fn hold(until: Option<i64>, newer_than: Option<&str>) -> Hold {
    Hold {
        reason: "r".to_owned(),
        until,
        newer_than: newer_than.map(str::to_owned),
        placed_by: "hold".to_owned(),
        placed_at: 5,
    }
}

pub(super) fn put_and_lifted(fixture: &dyn Fixture) {
    let (mut ledger, s, order) = (fixture.open(), scope(), Order::Natural);
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let whole = hold(None, None);
    assert_eq!(ledger.hold(&s, "x", &whole, order), Ok(whole.clone()));
    let stopped = Ok(Intended::Held(whole.clone()));
    assert_eq!(ledger.intend(&s, &intent("a", "x", "1"), &*lease), stopped);
    // A weaker one changes nothing, and an equal one neither.
    for weaker in [hold(Some(i64::MAX), Some("1")), whole.clone()] {
        assert_eq!(ledger.hold(&s, "x", &weaker, order), Ok(whole.clone()));
        assert_eq!(ledger.snapshot(&s).unwrap().holds["x"], whole);
    }
    assert_eq!(ledger.release(&s, "x"), Ok(true));
    assert_eq!(ledger.release(&s, "x"), Ok(false));
    // One whose time is over counts as none.
    let over = hold(Some(1), None);
    assert_eq!(ledger.hold(&s, "x", &over, order), Ok(over));
    let old = hold(None, Some("0.9"));
    assert_eq!(ledger.hold(&s, "x", &old, order), Ok(old.clone()));
    let new = hold(None, Some("0.10"));
    assert_eq!(ledger.hold(&s, "x", &new, order), Ok(new.clone()));
    assert_eq!(ledger.hold(&s, "x", &old, order), Ok(new));
    assert_eq!(
        ledger.intend(&s, &intent("a", "x", "1"), &*lease),
        Ok(Intended::Committed)
    );
}

pub(super) fn put_with_an_attempt(fixture: &dyn Fixture) {
    let (mut ledger, s, order) = (fixture.open(), scope(), Order::Natural);
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let fence = lease.fence().clone();
    let (weak, strong) = (hold(None, Some("2")), hold(None, None));
    let mut place = intent("a", "x", "1");
    place.respect_holds = false;
    place.place_hold = Some(weak.clone());
    ledger.intend(&s, &place, &*lease).unwrap();
    assert_eq!(ledger.snapshot(&s).unwrap().holds["x"], weak);
    let ended = step(State::Refused);
    ledger
        .advance("a", State::Submitting, &ended, true, &super::fence(1))
        .unwrap();
    // What an operator put meanwhile stands, whoever puts another one with his attempt.
    ledger.hold(&s, "x", &strong, order).unwrap();
    place.attempt.id = "b".to_owned();
    place.after = Some("a".to_owned());
    let committed = ledger.intend(&s, &place, &*lease);
    assert_eq!(committed, Ok(Intended::Committed));
    assert_eq!(ledger.snapshot(&s).unwrap().holds["x"], strong);
    ledger
        .advance("b", State::Submitting, &ended, true, &super::fence(1))
        .unwrap();
    let seen = attempt("c", "x", "1", State::Observed);
    let told = ledger.record(&s, &seen, Some((&weak, order)), &fence);
    assert_eq!(told, Ok(None));
    let seen = attempt("d", "y", "1", State::Observed);
    let told = ledger.record(&s, &seen, Some((&weak, order)), &fence);
    assert_eq!(told, Ok(None));
    let holds = ledger.snapshot(&s).unwrap().holds;
    assert_eq!((&holds["x"], &holds["y"]), (&strong, &weak));
}

/// Of holds that are put at once none is lost.
pub(super) fn put_at_once(fixture: &dyn Fixture) {
    /// How many writers there are, and how often each puts one.
    const WRITERS: u8 = 4;
    const TIMES: u8 = 5;
    std::thread::scope(|threads| {
        for writer in 0..WRITERS {
            let mut ledger = fixture.open();
            threads.spawn(move || {
                for time in 0..TIMES {
                    let version = format!("1.{writer}.{time}");
                    let hold = hold(None, Some(&version));
                    ledger.hold(&scope(), "x", &hold, Order::Natural).unwrap();
                }
            });
        }
    });
    let newest = format!("1.{}.{}", WRITERS - 1, TIMES - 1);
    let standing = &fixture.open().snapshot(&scope()).unwrap().holds["x"];
    assert_eq!(standing.newer_than.as_ref(), Some(&newest));
}
