//! The lease against a real server. `TTL` is the shortest that a user may set.

mod faults;
mod takeover;

use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use simulator::MariaDb;

use super::*;
use crate::config::{MysqlAddress, MysqlTls};
use crate::error::Kind;

const TTL: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);
const NO_WAIT: Duration = Duration::ZERO;
/// One that a machine under load renews in time.
const LONG_TTL: Duration = Duration::from_secs(6);
/// A process of another host.
const ELSEWHERE: &str = "11111111-2222-3333-4444-555555555555 4026531836 1 1";

/// A database with the table of the leases.
struct Fixture {
    server: &'static MariaDb,
    database: String,
    scope: Scope,
}

impl Fixture {
    fn new() -> Self {
        let server = MariaDb::shared();
        let schema = include_str!("../../../../../db/mysql/0002_ledger.sql");
        let start = schema
            .find("CREATE TABLE IF NOT EXISTS artifactory_lease")
            .unwrap();
        let end = start + schema[start..].find("ENGINE = InnoDB").unwrap();
        Self {
            server,
            database: server.database_from(&schema[start..end]),
            scope: Scope {
                domain: "example.com".to_owned(),
                environment: "qa".to_owned(),
            },
        }
    }

    /// With a lease that another run, as this process, holds; it ends in so many seconds.
    fn held_by(process: &str, ttl: Duration, ends_in: i64) -> Self {
        let fixture = Self::new();
        fixture.sql(&format!(
            "INSERT INTO artifactory_lease VALUES ('example.com', 'qa', 41, 'their-id', 'them',
                 '{process}', 5, 7, {}, UTC_TIMESTAMP(6) + INTERVAL {ends_in} SECOND, 'an-attempt')",
            ttl.as_millis()
        ));
        fixture
    }

    fn config(&self, ttl: Duration) -> MysqlConfig {
        self.config_at(self.server.port(), ttl)
    }

    fn config_at(&self, port: u16, ttl: Duration) -> MysqlConfig {
        MysqlConfig {
            address: MysqlAddress::Tcp("127.0.0.1".to_owned(), port),
            user: MariaDb::USER.to_owned(),
            password: Some(crate::secret::Secret::new(MariaDb::PASSWORD.to_owned())),
            database: self.database.clone(),
            tls: MysqlTls::Off,
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            session: Vec::new(),
            lease_ttl: ttl,
            lease_limit: HOUR,
            masker: crate::mask::Masker::default(),
        }
    }

    fn acquire(&self, ttl: Duration, wait: Duration) -> Option<Box<dyn Lease>> {
        acquire(&self.config(ttl), &self.scope, wait).unwrap()
    }

    fn sql(&self, sql: &str) -> simulator::Rows {
        self.server.sql(&self.database, sql).unwrap()
    }

    /// One value of the row.
    fn get(&self, column: &str) -> Option<String> {
        let mut rows = self.sql(&format!("SELECT {column} FROM artifactory_lease"));
        assert_eq!(rows.len(), 1);
        rows.remove(0).remove(0)
    }

    fn info(&self) -> Option<LeaseInfo> {
        let mut session = Session::open(&self.config(TTL)).unwrap();
        session.call(|conn| info(conn, &self.scope)).unwrap()
    }

    /// Kills every connection of the program.
    fn kill_connections(&self) {
        let database = &self.database;
        let ids = self.sql(&format!(
            "SELECT id FROM information_schema.processlist
             WHERE db = '{database}' AND user = '{}'",
            MariaDb::USER
        ));
        assert!(!ids.is_empty());
        for id in ids {
            let id = id[0].as_ref().unwrap();
            // It may be gone by itself.
            let _ = self.server.sql("", &format!("KILL {id}"));
        }
    }
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn of_many_that_come_at_once_exactly_one_takes_it() {
    let fixture = Fixture::new();
    let mut last = 0;
    for _ in 0..20 {
        let (start, end) = (Barrier::new(5), Barrier::new(5));
        let tokens: Vec<i64> = std::thread::scope(|threads| {
            let contender = || {
                start.wait();
                let lease = fixture.acquire(TTL, NO_WAIT);
                end.wait();
                lease.map(|lease| lease.fence().token)
            };
            let all: Vec<_> = (0..5).map(|_| threads.spawn(contender)).collect();
            all.into_iter().filter_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(tokens.len(), 1);
        assert!(tokens[0] > last, "{tokens:?} after {last}");
        last = tokens[0];
    }
}

#[test]
fn those_that_wait_hold_it_one_after_the_other() {
    let fixture = Fixture::new();
    let inside = AtomicI64::new(0);
    let mut tokens: Vec<i64> = std::thread::scope(|threads| {
        let worker = || {
            let lease = fixture.acquire(TTL, Duration::from_secs(60)).unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            assert!(lease.is_held());
            sleep(Duration::from_millis(20));
            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
            lease.fence().token
        };
        let all: Vec<_> = (0..6).map(|_| threads.spawn(worker)).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn it_is_renewed_beyond_its_ttl() {
    let fixture = Fixture::new();
    let lease = fixture.acquire(LONG_TTL, NO_WAIT).unwrap();
    sleep(LONG_TTL);
    assert!(lease.is_held());
    assert!(fixture.acquire(TTL, TTL * 2).is_none());
    assert!(lease.is_held() && fixture.info().unwrap().held);
    assert_eq!(fixture.get("beat > 5").as_deref(), Some("1"));
}

#[test]
fn a_released_lease_is_free_at_once_and_its_holder_stays_readable() {
    let fixture = Fixture::new();
    assert_eq!(fixture.info(), None);
    let lease = fixture.acquire(TTL, NO_WAIT).unwrap();
    fixture.sql("UPDATE artifactory_lease SET open_attempt = 'an-attempt'");
    assert_eq!((lease.fence().token, lease.send_delay()), (1, NO_WAIT));
    let held = fixture.info().unwrap();
    assert!(held.held && held.since > 1_700_000_000_000);
    assert_eq!(
        (held.token, &held.holder),
        (1, &crate::ledger::holder::describe())
    );

    drop(lease);
    assert_eq!(
        fixture.info().unwrap(),
        LeaseInfo {
            held: false,
            ..held
        }
    );
    let next = fixture.acquire(TTL, NO_WAIT).unwrap();
    assert_eq!((next.fence().token, next.send_delay()), (2, NO_WAIT));
    assert_eq!(fixture.get("open_attempt").as_deref(), Some("an-attempt"));
}

#[test]
fn renewing_ends_at_the_limit() {
    let fixture = Fixture::new();
    let mut config = fixture.config(TTL);
    config.lease_limit = Duration::from_millis(500);
    let lease = acquire(&config, &fixture.scope, NO_WAIT).unwrap().unwrap();
    eventually("it ends", || !lease.is_held());
    eventually("it expires", || !fixture.info().unwrap().held);
    // The thread is still there to free the row.
    drop(lease);
    assert_eq!(fixture.get("holder_id"), None);
}

#[test]
fn scopes_and_their_leases_are_apart_and_names_are_compared_by_byte() {
    let fixture = Fixture::new();
    let of = |domain: &str| {
        let scope = Scope {
            domain: domain.to_owned(),
            environment: "qa".to_owned(),
        };
        acquire(&fixture.config(TTL), &scope, NO_WAIT)
    };
    let held = [of("example.com"), of("EXAMPLE.com"), of("example.com ")];
    for lease in &held {
        assert_eq!(lease.as_ref().unwrap().as_ref().unwrap().fence().token, 1);
    }
    // Cut to the length of the column, it would be another scope.
    assert_eq!(of(&"x".repeat(200)).err().unwrap().kind, Kind::Unavailable);
}
