//! Connections that are cut, servers that go away, locks that are in the way.

use simulator::{Cut, Lost};

use super::*;
use crate::error::Kind;
use crate::model::report::{Report, Summary};

/// A ledger behind a wire that can be cut, with the lease of the scope. It loses no time between two
/// tries.
pub(super) struct Cuttable {
    pub(super) database: Database,
    /// By way of the wire.
    config: MysqlConfig,
    pub(super) cut: Cut,
    pub(super) ledger: Box<dyn Ledger>,
    pub(super) lease: Box<dyn Lease>,
}

impl Cuttable {
    pub(super) fn new() -> Self {
        let database = Database::new().ready();
        let cut = Cut::before(MariaDb::shared().port());
        let config = MysqlConfig {
            address: MysqlAddress::Tcp("127.0.0.1".to_owned(), cut.port()),
            ..database.running()
        };
        // Its own way to the server: only the ledger's connection is cut.
        let lease = Fixture::open(&database)
            .acquire(&contract::scope(), Duration::ZERO)
            .unwrap()
            .unwrap();
        let ledger = open_by(Hand::shared(), &config, Access::Write).unwrap();
        Self {
            database,
            config,
            cut,
            ledger,
            lease,
        }
    }

    /// Ends what is open, and connects anew: a statement that is sent again over one connection is
    /// sent by its number, in which no wire finds it.
    fn begin_anew(&mut self) {
        self.database.sql(
            "UPDATE artifactory_attempts SET state = 'failed'
             WHERE state IN ('submitting', 'submitted', 'unknown')",
        );
        self.ledger = open_by(Hand::shared(), &self.config, Access::Write).unwrap();
    }

    pub(super) fn intend(&mut self, id: &str) -> Result<Intended> {
        self.ledger
            .intend(&contract::scope(), &intent(id), &*self.lease)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let ids = self
            .database
            .sql("SELECT id FROM artifactory_attempts ORDER BY seq");
        ids.into_iter().flatten().flatten().collect()
    }

    pub(super) fn count(&self, table: &str) -> String {
        let mut rows = self.database.sql(&format!("SELECT COUNT(*) FROM {table}"));
        rows.remove(0).remove(0).unwrap()
    }
}

/// Each of an app of its own, whose row in the original's table it makes.
fn intent(id: &str) -> Intent {
    contract::intent(id, id, "1")
}

pub(super) fn step(to: State) -> Move {
    Move {
        to,
        deploy_id: Some("i".to_owned()),
        message: "why".to_owned(),
        accounted: std::collections::BTreeSet::new(),
    }
}

#[test]
fn an_intent_is_committed_or_nothing_is_sent() {
    let mut it = Cuttable::new();
    // In the order in which the transaction sends them.
    for statement in [
        "START TRANSACTION",
        "UPDATE artifactory_lease",
        "INSERT INTO artifactory_deploys",
        "INSERT INTO artifactory_attempts",
        "INSERT INTO artifactory_attempt_events",
        "COMMIT",
    ] {
        for lost in [Lost::Request, Lost::Reply] {
            it.begin_anew();
            let (before, sprung) = (it.ids(), it.cut.sprung());
            it.cut.lose(lost, statement);
            let (id, next) = (format!("a{sprung}"), format!("b{sprung}"));
            let result = it.intend(&id);
            assert_eq!(it.cut.sprung(), sprung + 1, "{statement}");
            let was_done = (statement, lost) == ("COMMIT", Lost::Reply);
            if was_done {
                assert_eq!(result, Ok(Intended::Committed));
                assert_eq!(it.ids(), [before, vec![id]].concat());
            } else {
                let error = result.unwrap_err();
                assert_eq!(
                    error.kind,
                    Kind::Unavailable,
                    "{statement} {lost:?}: {error:?}"
                );
                assert_eq!(it.ids(), before, "{statement} {lost:?}");
                // Nothing is left in the way of the next one.
                assert_eq!(
                    it.intend(&next),
                    Ok(Intended::Committed),
                    "{statement} {lost:?}"
                );
            }
        }
    }
}

#[test]
fn an_intent_that_cannot_be_looked_up_is_not_sent() {
    let mut it = Cuttable::new();
    it.cut.lose(Lost::Reply, "COMMIT");
    it.cut.refuse(true);
    assert_eq!(it.intend("a").unwrap_err().kind, Kind::Unavailable);
    assert_eq!(it.ids(), ["a"], "it was committed all the same");
    it.cut.refuse(false);
    assert_eq!(it.intend("b"), Ok(Intended::OpenAttempt("a".to_owned())));
}

#[test]
fn what_was_written_once_is_there_once() {
    let s = contract::scope();
    let mut it = Cuttable::new();
    for statement in ["START TRANSACTION", "UPDATE artifactory_attempts", "COMMIT"] {
        for lost in [Lost::Request, Lost::Reply] {
            it.begin_anew();
            let sprung = it.cut.sprung();
            let id = format!("a{sprung}");
            it.intend(&id).unwrap();
            let mut advance = |at: &str, from: State, to: State| {
                it.cut.lose(lost, at);
                (it.ledger).advance(&id, from, &step(to), true, &contract::fence(1))
            };
            let moved = advance(statement, State::Submitting, State::Submitted);
            assert_eq!(moved, Ok(true), "{statement} {lost:?}");
            // A statement that is sent again is sent by its number.
            let moved = advance("COMMIT", State::Submitted, State::Succeeded);
            assert_eq!(moved, Ok(true), "{statement} {lost:?}");
            assert_eq!(it.cut.sprung(), sprung + 2, "{statement} {lost:?}");
            let events = it.ledger.events(&id).unwrap();
            assert_eq!(events.len(), 3, "{statement} {lost:?}");
            let next = format!("b{sprung}");
            assert_eq!(
                it.intend(&next),
                Ok(Intended::Committed),
                "the slot is free"
            );
        }
    }
    for lost in [Lost::Request, Lost::Reply] {
        let mut it = Cuttable::new();
        it.cut.lose(lost, "COMMIT");
        let baseline = contract::attempt("a", "x", "1", State::Baseline);
        assert_eq!(
            it.ledger.record(&s, &baseline, None, it.lease.fence()),
            Ok(None)
        );
        assert_eq!((it.ids(), it.cut.sprung()), (vec!["a".to_owned()], 1));
        it.cut.lose(lost, "COMMIT");
        it.ledger.finish_pass(&s, &pass()).unwrap();
        assert_eq!(
            (it.count("artifactory_passes"), it.cut.sprung()),
            ("1".to_owned(), 2)
        );
        it.cut.lose(lost, "INSERT INTO artifactory_auth_tokens");
        it.ledger.add_token("ci", "sha256:00").unwrap();
        assert_eq!(it.count("artifactory_auth_tokens"), "1");
        it.cut.lose(lost, "DELETE FROM artifactory_auth_tokens");
        let id = it.ledger.tokens().unwrap()[0].id;
        assert_eq!(it.ledger.revoke_token(id), Ok(true));
        assert_eq!(
            (it.count("artifactory_auth_tokens"), it.cut.sprung()),
            ("0".to_owned(), 4)
        );
    }
}

pub(super) fn pass() -> PassRecord {
    PassRecord {
        report: Report {
            pass: "p".to_owned(),
            command: "run".to_owned(),
            domain: String::new(),
            environment: String::new(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            finished_at: "2026-01-01T01:00:00Z".to_owned(),
            complete: true,
            apps: Vec::new(),
            summary: Summary::default(),
            exit_code: 0,
            error: None,
            left_alone: crate::model::report::LeftAlone::default(),
        },
        bad_payloads: BTreeMap::new(),
        unaccounted: BTreeMap::new(),
        forgiven: BTreeMap::new(),
        busy: None,
    }
}

#[test]
fn a_deadlock_is_tried_again() {
    let mut it = Cuttable::new();
    // The counter is of an engine that knows no rollback.
    it.database.sql(
        "CREATE TABLE trap (n INT) ENGINE = MyISAM; INSERT INTO trap VALUES (3);
         CREATE TRIGGER trap BEFORE INSERT ON artifactory_attempts FOR EACH ROW
         BEGIN
             IF (SELECT n FROM trap) > 0 THEN
                 UPDATE trap SET n = n - 1;
                 SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found';
             END IF;
         END",
    );
    assert_eq!(it.intend("a"), Ok(Intended::Committed));
    assert_eq!(
        (it.ids(), it.count("trap WHERE n = 0")),
        (vec!["a".to_owned()], "1".to_owned())
    );
}

#[test]
fn a_lock_is_waited_for_but_not_for_ever() {
    let s = contract::scope();
    let it = Cuttable::new();
    let mut config = it.database.running();
    config.session = vec![("innodb_lock_wait_timeout".to_owned(), "0".to_owned())];
    let clock = Hand::shared();
    let mut ledger = open_by(clock.clone(), &config, Access::Write).unwrap();
    let mut session = Session::open(&it.database.running()).unwrap();
    let mut lock = |sql: &str| session.call(|conn| Ok(conn.query_drop(sql)?)).unwrap();
    lock("START TRANSACTION");
    lock("SELECT token FROM artifactory_lease FOR UPDATE");
    let error = ledger.intend(&s, &intent("a"), &*it.lease).unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
    assert!(clock.elapsed() > PATIENCE / 2);
    assert!(it.ids().is_empty());
    lock("ROLLBACK");
    assert_eq!(
        ledger.intend(&s, &intent("a"), &*it.lease),
        Ok(Intended::Committed)
    );
}

#[test]
fn a_server_that_is_started_again_is_waited_for_and_a_replica_is_not() {
    let server = MariaDb::start();
    let name = server.database();
    let config = MysqlConfig {
        address: MysqlAddress::Tcp("127.0.0.1".to_owned(), server.port()),
        user: MariaDb::USER.to_owned(),
        password: Some(Secret::new(MariaDb::PASSWORD.to_owned())),
        database: name,
        ..Database::new().running()
    };
    let s = contract::scope();
    let mut ledger = open(&config, Access::Write).unwrap();
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    ledger.intend(&s, &intent("a"), &*lease).unwrap();
    server.kill();
    std::thread::scope(|threads| {
        threads.spawn(|| server.restart());
        let moved = ledger.advance(
            "a",
            State::Submitting,
            &step(State::Submitted),
            true,
            &contract::fence(1),
        );
        assert_eq!(moved, Ok(true));
    });
    assert_eq!(ledger.events("a").unwrap().len(), 2);
    server.sql("", "SET GLOBAL read_only = 1").unwrap();
    let baseline = contract::attempt("b", "y", "1", State::Baseline);
    let error = ledger
        .record(&s, &baseline, None, lease.fence())
        .unwrap_err();
    assert!(
        error.kind == Kind::Unavailable && error.hint.is_some(),
        "{error:?}"
    );
    assert!(
        ledger.snapshot(&s).unwrap().open.len() == 1,
        "reading goes on"
    );
    // Only what became of something that was sent is waited for.
    let tries = || {
        server
            .sql("", "SHOW GLOBAL STATUS LIKE 'Com_rollback'")
            .unwrap()
    };
    let before = tries();
    std::thread::scope(|threads| {
        let recorded = threads.spawn(|| {
            let fence = contract::fence(1);
            ledger.advance("a", State::Submitted, &step(State::Failed), true, &fence)
        });
        while tries() == before {
            assert!(!recorded.is_finished(), "{:?}", recorded.join());
            std::thread::yield_now();
        }
        server.sql("", "SET GLOBAL read_only = 0").unwrap();
        assert_eq!(recorded.join().unwrap(), Ok(true));
    });
}

#[test]
fn an_attempt_that_was_ended_by_hand_is_not_in_the_way_of_the_next_one() {
    let mut it = Cuttable::new();
    assert_eq!(it.intend("a"), Ok(Intended::Committed));
    assert_eq!(it.intend("b"), Ok(Intended::OpenAttempt("a".to_owned())));
    it.database
        .sql("UPDATE artifactory_attempts SET state = 'failed' WHERE id = 'a'");
    assert_eq!(it.intend("b"), Ok(Intended::Committed));
    assert_eq!(it.intend("c"), Ok(Intended::OpenAttempt("b".to_owned())));
}

#[test]
fn who_holds_the_lease_is_asked_again_when_the_connection_is_gone() {
    let mut it = Cuttable::new();
    it.cut.lose(Lost::Reply, "SELECT holder");
    let info = it.ledger.lease_info(&contract::scope()).unwrap().unwrap();
    assert_eq!(it.cut.sprung(), 1);
    assert!(info.held);
}
