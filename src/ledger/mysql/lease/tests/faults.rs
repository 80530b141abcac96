//! What gets in the way: the server, the wire, others on the same row.

use std::sync::Mutex;

use mysql::prelude::Queryable;
use simulator::{Cut, Lost};

use super::*;

impl Fixture {
    /// Tries to take the lease over this wire.
    fn acquire_through(&self, cut: &Cut) -> Result<Option<Box<dyn Lease>>> {
        let config = self.config_at(cut.port());
        self.acquire_with(&config, Timing::of(TTL), Hand::shared(), NO_WAIT)
    }
}

#[test]
fn a_claim_whose_answer_is_lost_is_found_again() {
    let holder = crate::ledger::holder::describe();
    for lost in [Lost::Request, Lost::Reply] {
        let fixture = Fixture::new();
        let cut = Cut::before(fixture.server.port());
        cut.lose(lost, &holder);
        let lease = fixture.acquire_through(&cut).unwrap().unwrap();
        assert_eq!(cut.sprung(), 1);
        assert!(lease.is_held());
        assert_eq!(lease.send_delay(), NO_WAIT, "{lost:?}");
        let token = fixture.get("token");
        assert_eq!(token, Some(lease.fence().token.to_string()));
    }
}

#[test]
fn a_takeover_whose_answer_is_lost_is_still_a_takeover() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, -600);
    let cut = Cut::before(fixture.server.port());
    cut.lose(Lost::Reply, &crate::ledger::holder::describe());
    let lease = fixture.acquire_through(&cut).unwrap().unwrap();
    assert_eq!(cut.sprung(), 1);
    assert_eq!(lease.send_delay(), TTL / 4);
}

#[test]
fn a_server_that_goes_away_for_good_is_an_error() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 3600);
    let cut = Arc::new(Cut::before(fixture.server.port()));
    let wire = Arc::clone(&cut);
    let clock = meanwhile(move || {
        wire.refuse(true);
        wire.cut();
    });
    let config = fixture.config_at(cut.port());
    let acquired = fixture.acquire_with(&config, Timing::of(TTL), clock, FOR_EVER);
    let error = acquired.err().unwrap();
    assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
}

#[test]
fn a_row_that_is_locked_is_waited_for_and_not_acquired() {
    let fixture = Fixture::new();
    drop(fixture.acquire(NO_WAIT));
    let mut config = fixture.config();
    // No statement waits: the one that finds the lock fails.
    config.session = vec![("innodb_lock_wait_timeout".to_owned(), "0".to_owned())];
    let other = Mutex::new(Session::open(&fixture.config()).unwrap());
    let run = move |sql: &str| {
        let mut other = other.lock().unwrap();
        other.call(|conn| Ok(conn.query_drop(sql)?)).unwrap();
    };
    run("BEGIN");
    run("SELECT * FROM artifactory_lease FOR UPDATE");
    let acquire = |clock, wait| fixture.acquire_with(&config, Timing::of(TTL), clock, wait);
    let clock = Hand::shared();
    assert!(acquire(clock.clone(), NO_WAIT).unwrap().is_none());
    assert!(clock.elapsed() >= CONTENTION);
    let lease = acquire(meanwhile(move || run("COMMIT")), FOR_EVER).unwrap();
    assert_eq!(lease.unwrap().fence().token, 2);
}

#[test]
fn the_connection_of_the_renewal_may_be_killed() {
    let fixture = Fixture::new();
    let lease = fixture.acquire_with(&fixture.config(), restless(), Hand::shared(), NO_WAIT);
    let lease = lease.unwrap().unwrap();
    for _ in 0..4 {
        fixture.kill_connections();
        let beat = fixture.beat();
        eventually("it is renewed", || fixture.beat() > beat);
        assert!(lease.is_held());
    }
    assert!(fixture.acquire(NO_WAIT).is_none());
}

#[test]
fn a_lease_that_somebody_took_is_lost_long_before_it_ends_and_not_released() {
    let fixture = Fixture::new();
    // The clock stands still: it is lost by what the row says alone.
    let lease = fixture.acquire_with(&fixture.config(), restless(), Hand::shared(), NO_WAIT);
    let lease = lease.unwrap().unwrap();
    fixture.sql("UPDATE artifactory_lease SET token = token + 1, holder_id = 'their-id'");
    eventually("it is lost", || !lease.is_held());
    drop(lease);
    assert_eq!(fixture.get("holder_id").as_deref(), Some("their-id"));
}

#[test]
fn a_server_that_falls_silent_costs_the_lease_for_ever() {
    let fixture = Fixture::new();
    let cut = Cut::before(fixture.server.port());
    let timing = Timing {
        silence: Duration::from_millis(300),
        ..restless()
    };
    let clock = Hand::shared();
    let config = fixture.config_at(cut.port());
    let lease = fixture.acquire_with(&config, timing, clock.clone(), NO_WAIT);
    let lease = lease.unwrap().unwrap();
    let beat = fixture.beat();
    eventually("it is renewed", || fixture.beat() > beat);
    cut.hold(true);
    // By its own time it would hold for longer.
    clock.sleep(timing.give_up);
    eventually("it is lost", || !lease.is_held());
    cut.hold(false);
    let made = cut.accepted();
    drop(lease);
    assert!(
        cut.accepted() > made,
        "it is released over a connection that is made anew"
    );
    assert!(!fixture.info().unwrap().held);
}
