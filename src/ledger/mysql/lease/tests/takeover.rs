//! Leases whose holder is gone, or seems to be.

use std::process::{Child, Command};
use std::sync::atomic::AtomicBool;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// A process that does nothing, and its identity as its lease would have it.
fn sleeper() -> (Child, String) {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let since = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(19)
        .unwrap();
    let this = Process::this().unwrap().to_string();
    let (place, _) = this
        .rsplit_once(' ')
        .and_then(|(p, _)| p.rsplit_once(' '))
        .unwrap();
    let process = format!("{place} {} {since}", child.id());
    (child, process)
}

#[test]
fn an_expired_lease_is_taken_over_after_it_stood_still_for_a_whole_ttl() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
    assert!(!fixture.info().unwrap().held);
    let start = Instant::now();
    let lease = fixture.acquire(TTL, NO_WAIT).unwrap();
    let delay = lease.send_delay();
    assert!(start.elapsed() >= TTL);
    assert!(delay > NO_WAIT && delay <= TTL / 4, "{delay:?}");
    assert_eq!(lease.fence().token, 42);
    assert_eq!(fixture.get("open_attempt").as_deref(), Some("an-attempt"));
    assert_eq!(
        fixture.get("process"),
        Process::this().map(|p| p.to_string())
    );
    sleep(delay);
    assert_eq!(lease.send_delay(), NO_WAIT);
    assert!(lease.is_held());
}

#[test]
fn the_ttl_of_the_holder_counts_where_it_is_longer() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL * 2, -600);
    let start = Instant::now();
    assert!(fixture.acquire(TTL, NO_WAIT).is_some());
    assert!(start.elapsed() >= TTL * 2);
}

#[test]
fn a_lease_in_force_is_not_watched_without_time_to_wait_and_taken_over_with_it() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 4);
    assert!(fixture.acquire(TTL, NO_WAIT).is_none());
    assert!(fixture.info().unwrap().held);
    assert!(fixture.acquire(TTL, Duration::from_secs(60)).is_some());
    assert_eq!(fixture.get("token").as_deref(), Some("42"));
}

/// As of a holder whose server has a clock that is behind.
#[test]
fn an_expired_lease_that_beats_is_held() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                fixture.sql("UPDATE artifactory_lease SET beat = beat + 1");
                sleep(Duration::from_millis(100));
            }
        });
        let with_no_wait = fixture.acquire(TTL, NO_WAIT).is_some();
        let with_wait = fixture.acquire(TTL, TTL * 2).is_some();
        done.store(true, Ordering::SeqCst);
        assert!(!with_no_wait && !with_wait);
    });
    assert_eq!(fixture.get("token").as_deref(), Some("41"));
}

/// As of a holder whose server has a clock that is ahead.
#[test]
fn a_lease_that_ends_far_in_the_future_is_only_delayed() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 3600);
    assert!(fixture.acquire(TTL, TTL * 2).is_none());
    fixture.sql("UPDATE artifactory_lease SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND");
    assert!(fixture.acquire(TTL, NO_WAIT).is_some());
}

#[test]
fn the_lease_of_a_dead_process_is_taken_over_at_once() {
    let (mut child, process) = sleeper();
    let minute = Duration::from_secs(60);
    let fixture = Fixture::held_by(&process, minute, 3600);
    assert!(fixture.acquire(minute, NO_WAIT).is_none(), "it is alive");
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    assert!(fixture.acquire(minute, NO_WAIT).is_none(), "it is stopped");
    child.kill().unwrap();
    child.wait().unwrap();
    let lease = fixture.acquire(minute, NO_WAIT).unwrap();
    assert_eq!(lease.fence().token, 42);
    assert!(lease.send_delay() > Duration::from_secs(5));
}
