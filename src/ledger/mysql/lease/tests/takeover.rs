//! Leases whose holder is gone, or seems to be.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

#[test]
fn an_expired_lease_is_taken_over_after_it_stood_still_for_a_whole_ttl() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
    assert!(!fixture.info().unwrap().held);
    let clock = Hand::shared();
    let lease = fixture.acquire_by(clock.clone(), NO_WAIT).unwrap();
    assert!(clock.elapsed() >= TTL && clock.elapsed() < TTL + SECOND);
    assert_eq!(lease.send_delay(), TTL / 4);
    assert_eq!(lease.fence().token, 42);
    assert_eq!(fixture.get("open_attempt").as_deref(), Some("an-attempt"));
    assert_eq!(
        fixture.get("process"),
        Process::this().map(|p| p.to_string())
    );
    clock.sleep(TTL / 4);
    assert_eq!(lease.send_delay(), NO_WAIT);
    assert!(lease.is_held());
}

#[test]
fn the_ttl_of_the_holder_counts_where_it_is_longer() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL * 2, -600);
    let clock = Hand::shared();
    assert!(fixture.acquire_by(clock.clone(), NO_WAIT).is_some());
    assert!(clock.elapsed() >= TTL * 2);
}

#[test]
fn a_lease_in_force_is_not_watched_without_time_to_wait_and_taken_over_with_it() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 3600);
    assert!(fixture.acquire(NO_WAIT).is_none());
    assert!(fixture.info().unwrap().held);
    let row = fixture.clone();
    let clock = meanwhile(move || row.expire());
    assert!(fixture.acquire_by(clock, FOR_EVER).is_some());
    assert_eq!(fixture.get("token").as_deref(), Some("42"));
}

/// As of a holder whose server has a clock that is behind.
#[test]
fn an_expired_lease_that_beats_is_held() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
    for wait in [NO_WAIT, TTL * 2] {
        let row = fixture.clone();
        let clock = meanwhile(move || {
            row.sql("UPDATE artifactory_lease SET beat = beat + 1");
        });
        assert!(fixture.acquire_by(clock, wait).is_none());
    }
    assert_eq!(fixture.get("token").as_deref(), Some("41"));
}

/// As of a holder whose server has a clock that is ahead.
#[test]
fn a_lease_that_ends_far_in_the_future_is_only_delayed() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 3600);
    assert!(fixture.acquire(TTL * 2).is_none());
    fixture.expire();
    assert!(fixture.acquire(NO_WAIT).is_some());
}

#[test]
fn the_lease_of_a_dead_process_is_taken_over_at_once() {
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let process = Process::of(&child).to_string();
    let fixture = Fixture::held_by(&process, TTL, 3600);
    assert!(fixture.acquire(NO_WAIT).is_none(), "it is alive");
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    assert!(fixture.acquire(NO_WAIT).is_none(), "it is stopped");
    child.kill().unwrap();
    child.wait().unwrap();
    let lease = fixture.acquire(NO_WAIT).unwrap();
    assert_eq!(lease.fence().token, 42);
    assert_eq!(lease.send_delay(), TTL / 4);
}

/// Whoever took a lease that was released would send at once, beside a request of the first holder.
#[test]
fn a_lease_that_was_taken_over_is_not_released_before_something_may_be_sent() {
    for (waited, is_free) in [(NO_WAIT, false), (TTL / 4, true)] {
        let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
        let clock = Hand::shared();
        let lease = fixture.acquire_by(clock.clone(), NO_WAIT).unwrap();
        clock.sleep(waited);
        drop(lease);
        assert_eq!(!fixture.info().unwrap().held, is_free, "{waited:?}");
        let next = fixture.acquire(NO_WAIT);
        assert_eq!(next.is_some(), is_free, "{waited:?}");
    }
}
