//! Troubles that pass: connections that were idle for too long, statements that a server does not do
//! just now, and reports that are more than it takes.

use simulator::Lost;

use super::cuts::{Cuttable, pass, step};
use super::*;
use crate::error::Kind;
use crate::model::report::{Action, AppReport};

/// Has this statement on a table fail so many times with this error.
fn trap(database: &Database, event: &str, (code, times): (u16, u32)) {
    // The counter is of an engine that knows no rollback.
    database.sql(&format!(
        "DROP TRIGGER IF EXISTS trap; DROP TABLE IF EXISTS trap;
         CREATE TABLE trap (n INT) ENGINE = MyISAM; INSERT INTO trap VALUES ({times});
         CREATE TRIGGER trap BEFORE {event} FOR EACH ROW
         BEGIN
             IF (SELECT n FROM trap) > 0 THEN
                 UPDATE trap SET n = n - 1;
                 SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'not now';
             END IF;
         END"
    ));
}

#[test]
fn what_was_sent_is_recorded_once_the_trouble_has_passed() {
    let mut it = Cuttable::new();
    it.intend("a").unwrap();
    let mut from = State::Submitting;
    for (code, to) in [
        (1969, State::Submitted),
        (1290, State::Unknown),
        (1021, State::Failed),
    ] {
        trap(&it.database, "UPDATE ON artifactory_attempts", (code, 3));
        let fence = it.lease.fence().clone();
        let moved = it.ledger.advance("a", from, &step(to), true, &fence);
        assert_eq!(moved, Ok(true), "{code}");
        assert_eq!(it.count("trap WHERE n = 0"), "1", "{code}");
        from = to;
    }
    assert_eq!(it.ledger.events("a").unwrap().len(), 4, "each move once");
    trap(&it.database, "INSERT ON artifactory_passes", (3024, 2));
    it.ledger.finish_pass(&contract::scope(), &pass()).unwrap();
    assert_eq!(it.count("artifactory_passes"), "1");
}

#[test]
fn what_was_not_sent_is_given_up_at_once() {
    let mut it = Cuttable::new();
    trap(&it.database, "INSERT ON artifactory_attempts", (1290, 3));
    let error = it.intend("a").unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert_eq!(it.count("trap WHERE n = 2"), "1", "one try");
    assert!(it.ids().is_empty());
}

#[test]
fn a_connection_that_was_cut_while_it_was_idle_is_made_anew() {
    let mut it = Cuttable::new();
    let scope = contract::scope();
    it.cut.cut();
    assert_eq!(it.intend("a"), Ok(Intended::Committed));
    it.cut.cut();
    let fence = it.lease.fence().clone();
    let step = step(State::Submitted);
    let moved = it
        .ledger
        .advance("a", State::Submitting, &step, true, &fence);
    assert_eq!(moved, Ok(true));
    it.cut.cut();
    assert_eq!(it.ledger.snapshot(&scope).unwrap().open.len(), 1);
    assert_eq!(it.ids(), ["a"]);
}

#[test]
fn a_server_that_is_away_when_an_intent_is_due_is_an_error_and_nothing_is_sent() {
    let mut it = Cuttable::new();
    it.cut.refuse(true);
    it.cut.cut();
    assert_eq!(it.intend("a").unwrap_err().kind, Kind::Unavailable);
    it.cut.refuse(false);
    assert!(it.ids().is_empty());
    assert_eq!(it.intend("b"), Ok(Intended::Committed));
}

#[test]
fn a_lease_is_released_though_its_connection_was_cut() {
    let scope = contract::scope();
    for lost in [None, Some(Lost::Request), Some(Lost::Reply)] {
        let mut it = Cuttable::new();
        drop(std::mem::replace(&mut it.lease, nobodys()));
        let lease = it.ledger.acquire(&scope, Duration::ZERO).unwrap().unwrap();
        match lost {
            None => it.cut.cut(),
            Some(lost) => it.cut.lose(lost, "SET holder_id = NULL"),
        }
        drop(lease);
        let info = Fixture::open(&it.database).lease_info(&scope).unwrap();
        assert!(!info.unwrap().held, "{lost:?}");
    }
}

/// A lease of nothing.
fn nobodys() -> Box<dyn Lease> {
    struct Nobodys(crate::ledger::Fence);
    impl Lease for Nobodys {
        fn fence(&self) -> &crate::ledger::Fence {
            &self.0
        }
        fn is_held(&self) -> bool {
            false
        }
        fn send_delay(&self) -> Duration {
            Duration::ZERO
        }
    }
    Box::new(Nobodys(contract::fence(0)))
}

/// A pass with so many apps, of which every other one is up to date.
fn large(apps: u64) -> PassRecord {
    let mut pass = pass();
    pass.report.pass = format!("of {apps}");
    pass.report.summary.apps = apps;
    pass.report.apps = (0..apps)
        .map(|number| AppReport {
            app: format!("app{number}"),
            deployed: None,
            newest: None,
            action: [Action::UpToDate, Action::Held][usize::from(number % 2 == 1)],
            // What can't be made much smaller.
            reason: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            outcome: None,
            attempt: None,
            deploy_id: None,
            duration_ms: None,
            error: None,
            hint: None,
            failing: false,
        })
        .collect();
    pass
}

#[test]
fn a_report_that_a_server_does_not_take_is_kept_shorter() {
    let server = MariaDb::start();
    let config = MysqlConfig {
        address: MysqlAddress::Tcp("127.0.0.1".to_owned(), server.port()),
        user: MariaDb::USER.to_owned(),
        password: Some(Secret::new(MariaDb::PASSWORD.to_owned())),
        database: server.database(),
        ..Database {
            name: String::new(),
        }
        .running()
    };
    open(&config, Access::Write).unwrap();
    server
        .sql("", "SET GLOBAL max_allowed_packet = 16384")
        .unwrap();
    let mut ledger = open(&config, Access::Write).unwrap();
    let scope = contract::scope();
    for (apps, kept) in [(10, 10), (200, 200), (800, 400), (2000, 0)] {
        let pass = large(apps);
        ledger.finish_pass(&scope, &pass).unwrap();
        let report = ledger.pass_report(&scope, &pass.report.pass).unwrap();
        let report: crate::model::report::Report = serde_json::from_str(&report.unwrap()).unwrap();
        assert_eq!(
            (report.apps.len(), report.summary.apps),
            (kept, apps),
            "{apps}"
        );
        let row = ledger.passes(&scope, 1).unwrap().remove(0);
        assert_eq!(row.pass, pass.report.pass);
    }
}

#[test]
fn one_cut_costs_nothing_of_a_report() {
    let mut it = Cuttable::new();
    let scope = contract::scope();
    it.cut.lose(Lost::Request, "INSERT INTO artifactory_passes");
    it.ledger.finish_pass(&scope, &large(10)).unwrap();
    assert_eq!(it.cut.sprung(), 1);
    let report = it.ledger.pass_report(&scope, "of 10").unwrap().unwrap();
    assert!(
        report.contains("app9") && report.contains("app8"),
        "{report}"
    );
}
