//! The lease against a real server, by a clock that only the tests move.

mod faults;
mod takeover;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use simulator::MariaDb;

use super::*;
use crate::clock::Clock;
use crate::clock::testing::Hand;
use crate::config::{MysqlAddress, MysqlTls};
use crate::error::Kind;
use crate::ledger::LeaseInfo;

const TTL: Duration = Duration::from_secs(60);
/// Longer than any test polls.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);
const NO_WAIT: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
/// A process of another host.
const ELSEWHERE: &str = "11111111-2222-3333-4444-555555555555 4026531836 1 1";

/// A clock whose sleeps take no time, in which something may happen.
struct Script<F> {
    hand: Hand,
    meanwhile: F,
}

impl<F> fmt::Debug for Script<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hand.fmt(f)
    }
}

impl<F: Fn() + Send + Sync> Clock for Script<F> {
    fn now_ms(&self) -> i64 {
        self.hand.now_ms()
    }

    fn elapsed(&self) -> Duration {
        self.hand.elapsed()
    }

    fn boot_id(&self) -> String {
        self.hand.boot_id()
    }

    fn sleep(&self, time: Duration) {
        self.hand.sleep(time);
        (self.meanwhile)();
    }
}

/// One in whose sleeps this happens.
fn meanwhile(meanwhile: impl Fn() + Send + Sync + 'static) -> SharedClock {
    let hand = Hand::default();
    Arc::new(Script { hand, meanwhile })
}

/// The times of a lease that is renewed all the time.
fn restless() -> Timing {
    Timing {
        interval: Duration::from_millis(2),
        retry: Duration::from_millis(2),
        ..Timing::of(TTL)
    }
}

/// A database with the table of the leases.
#[derive(Clone)]
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

    fn config(&self) -> MysqlConfig {
        self.config_at(self.server.port())
    }

    fn config_at(&self, port: u16) -> MysqlConfig {
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
            lease_ttl: TTL,
            lease_limit: FOR_EVER,
            masker: crate::mask::Masker::default(),
        }
    }

    /// Tries to take the lease, by a clock of its own.
    fn acquire(&self, wait: Duration) -> Option<Box<dyn Lease>> {
        self.acquire_by(Hand::shared(), wait)
    }

    fn acquire_by(&self, clock: SharedClock, wait: Duration) -> Option<Box<dyn Lease>> {
        self.acquire_with(&self.config(), Timing::of(TTL), clock, wait)
            .unwrap()
    }

    fn acquire_with(
        &self,
        config: &MysqlConfig,
        timing: Timing,
        clock: SharedClock,
        wait: Duration,
    ) -> Result<Option<Box<dyn Lease>>> {
        Acquisition::begin(config, &self.scope, timing, clock)?.run(wait)
    }

    /// Ends the lease by the server's clock.
    fn expire(&self) {
        self.sql("UPDATE artifactory_lease SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND");
    }

    fn beat(&self) -> i64 {
        self.get("beat").unwrap().parse().unwrap()
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
        let mut session = Session::open(&self.config()).unwrap();
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
        std::thread::sleep(Duration::from_millis(5));
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
                let lease = fixture.acquire(NO_WAIT);
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
            let lease = fixture.acquire(FOR_EVER).unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            assert!(lease.is_held());
            assert_eq!(fixture.get("token"), Some(lease.fence().token.to_string()));
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
    let clock = Hand::shared();
    let acquired = fixture.acquire_with(&fixture.config(), restless(), clock.clone(), NO_WAIT);
    let lease = acquired.unwrap().unwrap();
    for _ in 0..3 {
        clock.sleep(SECOND * 54);
        assert!(lease.is_held());
        let beat = fixture.beat();
        // One may have been under way when the clock moved.
        eventually("it is renewed twice", || fixture.beat() > beat + 1);
        fixture.expire();
        eventually("it is in force again", || fixture.info().unwrap().held);
    }
    assert!(fixture.acquire(TTL * 2).is_none());
}

#[test]
fn it_may_be_relied_upon_until_shortly_before_its_end() {
    let fixture = Fixture::new();
    let clock = Hand::shared();
    let lease = fixture.acquire_by(clock.clone(), NO_WAIT).unwrap();
    clock.sleep(SECOND * 54);
    assert!(lease.is_held());
    clock.sleep(SECOND);
    assert!(!lease.is_held());
}

#[test]
fn a_released_lease_is_free_at_once_and_its_holder_stays_readable() {
    let fixture = Fixture::new();
    assert_eq!(fixture.info(), None);
    let lease = fixture.acquire(NO_WAIT).unwrap();
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
    let next = fixture.acquire(NO_WAIT).unwrap();
    assert_eq!((next.fence().token, next.send_delay()), (2, NO_WAIT));
    assert_eq!(fixture.get("open_attempt").as_deref(), Some("an-attempt"));
}

#[test]
fn renewing_ends_at_the_limit() {
    let fixture = Fixture::new();
    let clock = Hand::shared();
    let mut config = fixture.config();
    config.lease_limit = TTL;
    let acquired = fixture.acquire_with(&config, restless(), clock.clone(), NO_WAIT);
    let lease = acquired.unwrap().unwrap();
    clock.sleep(TTL);
    // One renewal may have been under way.
    let most = fixture.beat() + 1;
    assert!(!lease.is_held());
    for _ in 0..50 {
        assert!(fixture.beat() <= most);
    }
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
        acquire(&fixture.config(), &scope, NO_WAIT)
    };
    let held = [of("example.com"), of("EXAMPLE.com"), of("example.com ")];
    for lease in &held {
        assert_eq!(lease.as_ref().unwrap().as_ref().unwrap().fence().token, 1);
    }
    // Cut to the length of the column, it would be another scope.
    assert_eq!(of(&"x".repeat(200)).err().unwrap().kind, Kind::Unavailable);
}
