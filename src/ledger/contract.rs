//! What every implementation of [`Ledger`] must do.

use std::time::Duration;

use super::{Attempt, Intended, Intent, Ledger, PassRecord};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::report::{Report, Summary};

/// One empty database.
pub trait Fixture {
    /// One more connection to it.
    fn open(&self) -> Box<dyn Ledger>;
    /// Runs SQL on it, beside the ledger.
    fn sql(&self, sql: &str) -> Result<usize, String>;
}

pub fn scope() -> Scope {
    Scope {
        domain: "example.com".to_owned(),
        environment: "qa".to_owned(),
    }
}

pub fn attempt(id: &str, app: &str, version: &str, state: State) -> Attempt {
    Attempt {
        id: id.to_owned(),
        app: app.to_owned(),
        version: version.to_owned(),
        service_name: app.to_owned(),
        num_instances: 2,
        state,
        deploy_id: None,
        payload_sha256: Some("00".to_owned()),
        template_sha256: None,
        suffixes_before: Some(vec!["a".to_owned()]),
        counts: true,
        command: "run".to_owned(),
        token: 0,
        created_at: 0,
        updated_at: 0,
        message: "why".to_owned(),
    }
}

fn intent(id: &str, app: &str, version: &str) -> Intent {
    Intent {
        attempt: attempt(id, app, version, State::Submitting),
        respect_holds: true,
        order: crate::model::version::Order::Natural,
        place_hold: None,
    }
}

fn step(to: State) -> Move {
    Move {
        to,
        deploy_id: None,
        message: to.as_str().to_owned(),
    }
}

/// Runs the whole contract, each part on a database of its own.
pub fn suite(make: &dyn Fn() -> Box<dyn Fixture>) {
    for part in [
        intents,
        lease,
        moves,
        history_is_fixed,
        takeover,
        original_row,
        holds,
        passes,
        trouble,
    ] {
        part(make().as_ref());
    }
}

fn intents(fixture: &dyn Fixture) {
    let (mut one, mut two, s) = (fixture.open(), fixture.open(), scope());
    let lease = one.acquire(&s, Duration::ZERO).unwrap().unwrap();
    assert_eq!(
        one.intend(&s, &intent("a", "x", "1"), &*lease),
        Ok(Intended::Committed)
    );
    let open = Ok(Intended::OpenAttempt("a".to_owned()));
    assert_eq!(two.intend(&s, &intent("b", "y", "1"), &*lease), open);
    let seen = two.snapshot(&s).unwrap();
    assert_eq!(
        (seen.open.len(), seen.latest["x"].token),
        (1, lease.token())
    );
    fixture
        .sql("UPDATE artifactory_lease SET token = token + 1")
        .unwrap();
    assert_eq!(
        one.intend(&s, &intent("c", "x", "1"), &*lease),
        Ok(Intended::LeaseLost)
    );
    drop((one, lease));
    assert_eq!(fixture.open().history(&s, Some("x"), 9).unwrap().len(), 1);
}

fn lease(fixture: &dyn Fixture) {
    let (mut one, mut two, s) = (fixture.open(), fixture.open(), scope());
    assert_eq!(one.lease_info(&s), Ok(None));
    let first = one.acquire(&s, Duration::ZERO).unwrap().unwrap();
    assert!(first.is_held() && two.acquire(&s, Duration::ZERO).unwrap().is_none());
    assert!(two.lease_info(&s).unwrap().unwrap().held);
    let token = first.token();
    drop(first);
    assert!(!two.lease_info(&s).unwrap().unwrap().held);
    let second = two.acquire(&s, Duration::ZERO).unwrap().unwrap();
    assert_eq!(second.token(), token + 1);
}

fn moves(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let mut number = 0;
    for from in State::ALL {
        for to in State::ALL {
            number += 1;
            let id = format!("m{number}");
            ledger
                .record_deployed(&s, &attempt(&id, &id, "1", State::Baseline), None, 1)
                .unwrap();
            let raw = format!(
                "INSERT INTO artifactory_attempts (id, domain, environment, app, version, \
                 service_name, num_instances, state, counts, command, token, created_at, \
                 updated_at, message) VALUES ('r{id}', 'd', '{id}', 'a', '1', '', 0, '{}', 1, \
                 'run', 1, 0, 0, '')",
                from.as_str()
            );
            fixture.sql(&raw).unwrap();
            let update = format!(
                "UPDATE artifactory_attempts SET state = '{}' WHERE id = 'r{id}'",
                to.as_str()
            );
            assert_eq!(
                fixture.sql(&update).is_ok(),
                from.may_become(to),
                "{from:?} {to:?}"
            );
        }
    }
    assert_eq!(
        ledger.advance("no", State::Unknown, &step(State::Failed), true, 1),
        Ok(false)
    );
    assert!(
        ledger
            .advance("m1", State::Failed, &step(State::Succeeded), true, 1)
            .is_err()
    );
}

fn history_is_fixed(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    ledger
        .record_deployed(&s, &attempt("a", "x", "1", State::Baseline), None, 1)
        .unwrap();
    for sql in [
        "DELETE FROM artifactory_attempts",
        "DELETE FROM artifactory_attempt_events",
        "UPDATE artifactory_attempt_events SET message = ''",
        "UPDATE artifactory_attempts SET version = '2'",
        "INSERT OR REPLACE INTO artifactory_attempts SELECT * FROM artifactory_attempts",
        "INSERT OR REPLACE INTO artifactory_attempt_events SELECT * FROM artifactory_attempt_events",
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token) \
         VALUES ('none', 'failed', 0, '', 0)",
    ] {
        assert!(fixture.sql(sql).is_err(), "{sql}");
    }
    assert_eq!(ledger.events("a").unwrap().len(), 1);
}

fn takeover(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    for (app, domain, version, status, id) in [
        ("done", "example.com", "1", 2, "i1"),
        ("DONE", "example.com", "2", 2, ""),
        ("done ", "example.com", "3", 3, "i3"),
        ("run", "example.com", "1", 1, "i4"),
        ("run2", "example.com", "1", 1, "i5"),
        ("lost", "example.com", "1", 1, ""),
        ("none", "example.com", "", 2, ""),
        ("done", "other.com", "9", 2, "i9"),
    ] {
        let row = format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, \
             version, status, updated_at, created_at) VALUES ('{id}', '{domain}', 'qa', '{app}', \
             '{version}', {status}, '2018-02-14 00:28:07', '2018-02-14 00:28:07')"
        );
        fixture.sql(&row).unwrap();
    }
    let before = ledger.snapshot(&s).unwrap();
    assert_eq!(before.records["done"].deployed.as_deref(), Some("1"));
    assert_eq!(before.records["DONE"].deployed.as_deref(), Some("2"));
    assert_eq!(before.records["done "].troubled["3"].attempts, 1);
    assert_eq!(before.records["lost"].floor.as_deref(), Some("1"));
    assert_eq!(before.open.len(), 2);
    assert!(!before.records.contains_key("none"));
    ledger.take_over(&s, 0).unwrap();
    ledger.take_over(&s, 0).unwrap();
    assert_eq!(ledger.snapshot(&s).unwrap(), before);
    assert_eq!(ledger.history(&s, None, 99).unwrap().len(), 6);
}

fn original_row(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let row = |id: &str, status: i64| {
        let sql = format!(
            "UPDATE artifactory_deploys SET version = version WHERE deploy_id = '{id}' \
             AND version = '2' AND status = {status} AND service_name = 'x'"
        );
        fixture.sql(&sql)
    };
    ledger.intend(&s, &intent("a", "x", "2"), &*lease).unwrap();
    assert_eq!(row("", 1), Ok(1));
    let accepted = Move {
        deploy_id: Some("i".to_owned()),
        ..step(State::Submitted)
    };
    assert_eq!(
        ledger.advance("a", State::Submitting, &accepted, true, 1),
        Ok(true)
    );
    assert_eq!(row("i", 1), Ok(1));
    assert_eq!(
        ledger.advance("a", State::Submitted, &step(State::Succeeded), true, 1),
        Ok(true)
    );
    assert_eq!(row("i", 2), Ok(1));
    ledger.take_over(&s, 9).unwrap();
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 1);
    let states: Vec<State> = ledger
        .events("a")
        .unwrap()
        .iter()
        .map(|e| e.state)
        .collect();
    assert_eq!(
        states,
        [State::Submitting, State::Submitted, State::Succeeded]
    );
}

fn holds(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let hold = Hold {
        reason: "r".to_owned(),
        until: None,
        newer_than: None,
        placed_by: "hold".to_owned(),
        placed_at: 5,
    };
    ledger.hold(&s, "x", &hold).unwrap();
    let stopped = Ok(Intended::Held(hold.clone()));
    assert_eq!(ledger.intend(&s, &intent("a", "x", "1"), &*lease), stopped);
    assert_eq!(ledger.snapshot(&s).unwrap().holds["x"], hold);
    ledger
        .hold(
            &s,
            "x",
            &Hold {
                until: Some(1),
                ..hold
            },
        )
        .unwrap();
    assert_eq!(
        ledger.intend(&s, &intent("a", "x", "1"), &*lease),
        Ok(Intended::Committed)
    );
    assert_eq!(ledger.release(&s, "x"), Ok(true));
    assert_eq!(ledger.release(&s, "x"), Ok(false));
}

fn passes(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let busy = [Some(true), Some(false), Some(true), None, Some(true), None];
    for number in 0..205 {
        let report = Report {
            pass: number.to_string(),
            command: "run".to_owned(),
            domain: s.domain.clone(),
            environment: s.environment.clone(),
            started_at: format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60),
            finished_at: "2026-01-01T01:00:00Z".to_owned(),
            complete: true,
            apps: Vec::new(),
            summary: Summary::default(),
            exit_code: 0,
            error: None,
        };
        let pass = PassRecord {
            report,
            bad_payloads: std::collections::BTreeMap::new(),
            busy: if number < 199 {
                None
            } else {
                busy[number - 199]
            },
        };
        ledger.finish_pass(&s, &pass).unwrap();
    }
    let seen = ledger.snapshot(&s).unwrap();
    assert_eq!(seen.last_run.unwrap().pass, "204");
    assert_eq!(
        seen.busy_since,
        Some(super::takeover::milliseconds("2026-01-01T00:03:21Z"))
    );
    assert!(fixture.sql("UPDATE artifactory_passes SET busy = NULL") == Ok(200));
}

fn trouble(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    for (id, counts) in [("a", true), ("b", false), ("c", true)] {
        ledger.intend(&s, &intent(id, "x", "2"), &*lease).unwrap();
        let moved = ledger.advance(id, State::Submitting, &step(State::Refused), counts, 1);
        assert_eq!(moved, Ok(true));
        let again = ledger.advance(id, State::Submitting, &step(State::Refused), counts, 1);
        assert_eq!(again, Ok(false));
    }
    let seen = ledger.snapshot(&s).unwrap();
    assert_eq!(seen.records["x"].troubled["2"].attempts, 2);
    assert_eq!(
        (seen.records["x"].floor.clone(), seen.open.len()),
        (None, 0)
    );
    ledger
        .record_deployed(&s, &attempt("d", "x", "2", State::Observed), None, 1)
        .unwrap();
    let record = &ledger.snapshot(&s).unwrap().records["x"];
    assert_eq!(
        (record.deployed.as_deref(), record.troubled.len()),
        (Some("2"), 0)
    );
    let ids: Vec<String> = ledger
        .history(&s, None, 3)
        .unwrap()
        .into_iter()
        .map(|a| a.id)
        .collect();
    assert_eq!(ids, ["d", "c", "b"]);
}
