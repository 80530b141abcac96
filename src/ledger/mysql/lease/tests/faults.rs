//! What gets in the way: the server, the wire, others on the same row.

use crate::clock::{Clock, System};
use crate::error::Kind;
use mysql::prelude::Queryable;
use simulator::{Cut, Lost};

use super::*;

#[test]
fn a_claim_whose_answer_is_lost_is_found_again() {
    let holder = crate::ledger::holder::describe();
    for lost in [Lost::Request, Lost::Reply] {
        let fixture = Fixture::new();
        let cut = Cut::before(fixture.server.port());
        let config = fixture.config_at(cut.port(), TTL);
        cut.lose(lost, &holder);
        let lease = acquire(&config, &fixture.scope, NO_WAIT).unwrap().unwrap();
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
    let config = fixture.config_at(cut.port(), Duration::from_secs(4));
    let lease = acquire(&config, &fixture.scope, NO_WAIT).unwrap().unwrap();
    assert_eq!(cut.sprung(), 1);
    assert!(lease.send_delay() > NO_WAIT);
}

#[test]
fn a_server_that_goes_away_for_good_is_an_error() {
    let fixture = Fixture::held_by(ELSEWHERE, TTL, 3600);
    let cut = Cut::before(fixture.server.port());
    let config = fixture.config_at(cut.port(), TTL);
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| acquire(&config, &fixture.scope, HOUR).err());
        eventually("it connects", || cut.accepted() > 0);
        cut.refuse(true);
        cut.cut();
        let error = waiting.join().unwrap().unwrap();
        assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
    });
}

#[test]
fn a_row_that_is_locked_is_not_acquired() {
    let fixture = Fixture::new();
    drop(fixture.acquire(TTL, NO_WAIT));
    let mut config = fixture.config(TTL);
    config.session = vec![("innodb_lock_wait_timeout".to_owned(), "1".to_owned())];
    let mut other = Session::open(&fixture.config(HOUR)).unwrap();
    let lock = |conn: &mut mysql::Conn| {
        conn.query_drop("BEGIN")?;
        Ok(conn.query_drop("SELECT * FROM artifactory_lease FOR UPDATE")?)
    };
    other.call(lock).unwrap();
    let lease = acquire(&config, &fixture.scope, NO_WAIT).unwrap();
    assert!(lease.is_none());
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| acquire(&config, &fixture.scope, HOUR).unwrap());
        sleep(Duration::from_secs(2));
        other.call(|conn| Ok(conn.query_drop("COMMIT")?)).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().fence().token, 2);
    });
}

#[test]
fn the_connection_of_the_renewal_may_be_killed() {
    let fixture = Fixture::new();
    let lease = fixture.acquire(LONG_TTL, NO_WAIT).unwrap();
    for _ in 0..4 {
        fixture.kill_connections();
        sleep(LONG_TTL / 3);
        assert!(lease.is_held());
    }
    assert!(fixture.acquire(TTL, NO_WAIT).is_none());
}

#[test]
fn a_lease_that_somebody_took_is_lost_long_before_it_ends_and_not_released() {
    let fixture = Fixture::new();
    let lease = fixture.acquire(Duration::from_secs(180), NO_WAIT).unwrap();
    drop(lease);
    // Renewed every 2 s, valid for 11 s.
    let lease = fixture.acquire(Duration::from_secs(12), NO_WAIT).unwrap();
    let start = System.elapsed();
    fixture.sql("UPDATE artifactory_lease SET token = token + 1, holder_id = 'their-id'");
    eventually("it is lost", || !lease.is_held());
    assert!(System.elapsed() < start + Duration::from_secs(8));
    drop(lease);
    assert_eq!(fixture.get("holder_id").as_deref(), Some("their-id"));
}

#[test]
fn a_server_that_falls_silent_costs_the_lease_for_ever() {
    let fixture = Fixture::new();
    let cut = Cut::before(fixture.server.port());
    let config = fixture.config_at(cut.port(), TTL);
    let lease = acquire(&config, &fixture.scope, NO_WAIT).unwrap().unwrap();
    let beat = fixture.get("beat");
    eventually("it is renewed", || fixture.get("beat") != beat);
    cut.hold(true);
    eventually("it is lost", || !lease.is_held());
    // By then the read has ended without an answer.
    sleep(Timing { ttl: TTL }.silence() + TTL);
    cut.hold(false);
    sleep(TTL);
    assert!(!lease.is_held());
    drop(lease);
    assert!(!fixture.info().unwrap().held);
}
