//! What every implementation of [`Ledger`] must do.

mod holds;
mod parts;
mod trouble;

use std::time::Duration;

use super::{Attempt, Fence, Intended, Intent, Ledger, Made, PassRecord};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::report::{Action, Report, Summary};
use crate::model::version::Order;

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
        accounted: std::collections::BTreeSet::new(),
        counts: true,
        command: "run".to_owned(),
        asked_by: Some("ann@host".to_owned()),
        token: 0,
        created_at: 0,
        updated_at: 0,
        message: "why".to_owned(),
        made: Made::default(),
    }
}

pub fn intent(id: &str, app: &str, version: &str) -> Intent {
    Intent {
        attempt: attempt(id, app, version, State::Submitting),
        respect_holds: true,
        order: Order::Natural,
        place_hold: None,
        after: None,
    }
}

/// What writes are let through by where the lease's row is as a test left it.
pub fn fence(token: i64) -> Fence {
    Fence {
        token,
        holder: String::new(),
    }
}

fn step(to: State) -> Move {
    Move {
        to,
        deploy_id: None,
        message: to.as_str().to_owned(),
        accounted: std::collections::BTreeSet::new(),
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
        holds::put_and_lifted,
        holds::put_with_an_attempt,
        holds::put_at_once,
        passes,
        busy,
        trouble,
        trouble::is_counted_since_a_version_last_ended_well,
        trouble::is_below_what_was_taken_over,
        trouble::is_forgiven_as_the_last_pass_says,
        reports,
        recorded_once,
        tokens,
        baselines,
        parts::are_the_whole,
        parts::what_is_in_force,
        verdicts,
        accounts,
    ] {
        part(make().as_ref());
    }
}

/// What an operator's word accounts for is kept with the attempt that it was about.
fn accounts(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let versions = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut asked = intent("a", "x", "1");
    asked.attempt.accounted = versions(&["2", "3"]);
    ledger.intend(&s, &asked, &*lease).unwrap();
    let mut said = step(State::Unknown);
    for (from, to, accounted) in [
        (State::Submitting, State::Unknown, &[][..]),
        (State::Unknown, State::Settled, &["2", "3", "4"]),
    ] {
        said.to = to;
        said.accounted = versions(accounted);
        let moved = ledger.advance("a", from, &said, true, lease.fence());
        assert_eq!(moved, Ok(true));
        let expected: &[&str] = if accounted.is_empty() {
            &["2", "3"]
        } else {
            accounted
        };
        let found = ledger.history(&s, Some("x"), 9).unwrap().remove(0);
        assert_eq!(found.accounted, versions(expected));
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
        (1, lease.fence().token)
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
    let token = first.fence().token;
    drop(first);
    assert!(!two.lease_info(&s).unwrap().unwrap().held);
    let second = two.acquire(&s, Duration::ZERO).unwrap().unwrap();
    assert_eq!(second.fence().token, token + 1);
}

fn moves(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    for (number, from) in State::ALL.into_iter().enumerate() {
        for to in State::ALL {
            let id = format!("m{number}-{}", to.as_str());
            fixture.sql(&raw_attempt(&id, from)).unwrap();
            let own = Scope {
                domain: "d".to_owned(),
                environment: id.clone(),
            };
            let lease = ledger.acquire(&own, Duration::ZERO).unwrap().unwrap();
            let moved = ledger.advance(&id, from, &step(to), true, lease.fence());
            assert_eq!(moved.is_ok(), from.may_become(to), "{from:?} {to:?}");
            assert!(moved.unwrap_or(true), "{from:?} {to:?}");
            let now = if from.may_become(to) { to } else { from };
            for other in State::ALL {
                if other != now && other.may_become(State::Failed) {
                    let moved = ledger.advance(&id, other, &step(State::Failed), true, &fence(1));
                    assert_eq!(moved, Ok(false), "{other:?}");
                }
            }
        }
    }
    assert_eq!(
        ledger.advance("no", State::Unknown, &step(State::Failed), true, &fence(1)),
        Ok(false)
    );
    for open in State::ALL.into_iter().filter(|s| s.is_open()) {
        let recorded = ledger.record(&s, &attempt("x", "x", "1", open), None, &fence(1));
        assert!(recorded.is_err(), "{open:?}");
    }
}

/// A statement that makes an attempt in a state, each in a scope of its own.
pub fn raw_attempt(id: &str, state: State) -> String {
    format!(
        "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name, \
         num_instances, state, verdict, counts, command, token, created_at, updated_at, message) \
         VALUES ('{id}', 'd', '{id}', 'a', '1', '', 0, '{}', {}, 1, 'run', 1, 0, 0, '')",
        state.stored().as_str(),
        state
            .verdict()
            .map_or("NULL".to_owned(), |v| format!("'{v}'"))
    )
}

fn history_is_fixed(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let baseline = attempt("a", "x", "1", State::Baseline);
    ledger.record(&s, &baseline, None, lease.fence()).unwrap();
    for sql in [
        "DELETE FROM artifactory_attempts",
        "DELETE FROM artifactory_attempt_events",
        "UPDATE artifactory_attempt_events SET message = ''",
        "UPDATE artifactory_attempts SET version = '2'",
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token) \
         VALUES ('none', 'failed', 0, '', 0)",
    ] {
        assert!(fixture.sql(sql).is_err(), "{sql}");
    }
    assert_eq!(ledger.events("a").unwrap().len(), 1);
}

fn tokens(fixture: &dyn Fixture) {
    let mut ledger = fixture.open();
    ledger.add_token("ci", "sha256:00").unwrap();
    ledger.add_token("ci", "Plain").unwrap();
    assert!(ledger.add_token("again", "Plain").is_err());
    let rows = ledger.tokens().unwrap();
    let stored: Vec<&str> = rows.iter().map(|row| row.stored.expose()).collect();
    assert_eq!(stored, ["sha256:00", "Plain"]);
    assert_eq!(rows[0].name.as_deref(), Some("ci"));
    assert_eq!(rows[0].created_at.len(), "2026-01-01 00:00:00".len());
    assert_eq!(ledger.revoke_token(rows[0].id), Ok(true));
    assert_eq!(ledger.revoke_token(rows[0].id), Ok(false));
    assert_eq!(ledger.tokens().unwrap(), rows[1..]);
}

fn takeover(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    for (app, domain, version, status, id) in [
        ("done", "example.com", "1", 2, "i1"),
        ("DONE", "example.com", "2", 2, ""),
        ("done.", "example.com", "3", 3, "i3"),
        ("fell", "example.com", "3", 3, ""),
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
    assert_eq!(before.records["fell"].troubled["3"].attempts, 1);
    assert_eq!(before.latest["done."].state, State::Submitted);
    assert_eq!(before.records["done."].floor.as_deref(), Some("3"));
    assert_eq!(before.records["lost"].floor.as_deref(), Some("1"));
    assert_eq!(before.open.len(), 3);
    assert!(!before.records.contains_key("none"));
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    fixture
        .sql("UPDATE artifactory_lease SET token = 0")
        .unwrap();
    let fence = Fence {
        token: 0,
        ..lease.fence().clone()
    };
    ledger.take_over(&s, &fence).unwrap();
    ledger.take_over(&s, &fence).unwrap();
    assert_eq!(ledger.snapshot(&s).unwrap(), before);
    assert_eq!(ledger.history(&s, None, 99).unwrap().len(), 7);
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
        ledger.advance("a", State::Submitting, &accepted, true, &fence(1)),
        Ok(true)
    );
    assert_eq!(row("i", 1), Ok(1));
    assert_eq!(
        ledger.advance(
            "a",
            State::Submitted,
            &step(State::Succeeded),
            true,
            &fence(1)
        ),
        Ok(true)
    );
    assert_eq!(row("i", 2), Ok(1));
    ledger.take_over(&s, &fence(9)).unwrap();
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

/// A pass of that number that began so many seconds into a year.
fn pass(number: usize, busy: Option<bool>) -> PassRecord {
    let (hours, minutes, seconds) = (number / 3600, number / 60 % 60, number % 60);
    let report = Report {
        pass: number.to_string(),
        command: "run".to_owned(),
        domain: scope().domain,
        environment: scope().environment,
        started_at: format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}Z"),
        finished_at: "2026-01-01T01:00:00Z".to_owned(),
        complete: true,
        apps: Vec::new(),
        summary: Summary::default(),
        exit_code: 0,
        error: None,
        left_alone: crate::model::report::LeftAlone::default(),
    };
    PassRecord {
        report,
        bad_payloads: std::collections::BTreeMap::new(),
        unaccounted: std::collections::BTreeMap::new(),
        forgiven: std::collections::BTreeMap::new(),
        busy,
    }
}

fn passes(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    for number in 0..205 {
        ledger.finish_pass(&s, &pass(number, None)).unwrap();
    }
    let seen = ledger.snapshot(&s).unwrap();
    assert_eq!(seen.last_run.unwrap().pass, "204");
    assert_eq!(seen.busy_since, None);
    let rows = ledger.passes(&s, 1000).unwrap();
    assert_eq!((rows.len(), rows[0].pass.as_str()), (200, "204"));
    assert_eq!(
        (rows[0].command.as_str(), rows[199].pass.as_str()),
        ("run", "5")
    );
    let report = ledger.pass_report(&s, "204").unwrap().unwrap();
    assert!(report.contains("\"pass\":\"204\""), "{report}");
    assert_eq!(ledger.pass_report(&s, "4"), Ok(None));
}

/// Since when coreos-deploy is busy is known when the first pass that found it so is kept no more.
fn busy(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let mut since = |number: usize, busy: Option<bool>| {
        ledger.finish_pass(&s, &pass(number, busy)).unwrap();
        ledger.snapshot(&s).unwrap().busy_since
    };
    let at = |number: usize| {
        Some(super::original::milliseconds(
            &pass(number, None).report.started_at,
        ))
    };
    assert_eq!(since(1, Some(true)), at(1));
    assert_eq!(since(2, Some(false)), None);
    assert_eq!(since(3, None), None);
    assert_eq!(since(4, Some(true)), at(4));
    for number in 5..250 {
        assert_eq!(since(number, (number % 3 > 0).then_some(true)), at(4));
    }
    assert_eq!(since(250, Some(false)), None);
    // An earlier release hands nothing on.
    let row = "INSERT INTO artifactory_passes (domain, environment, command, started_at, \
        finished_at, exit_code, busy, report, bad_payloads, pass) \
        VALUES ('example.com', 'qa', 'run', 999, 999, 75, 1, '{}', '{}', 'before')";
    fixture.sql(row).unwrap();
    assert_eq!(since(251, None), Some(999));
    assert_eq!(since(252, Some(true)), Some(999));
}

/// The last report and any other one are whole, whatever the column `report` leaves out.
fn reports(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let mut pass = super::scale::pass(7, 50);
    pass.report.apps[7].action = Action::Held;
    ledger.finish_pass(&s, &pass).unwrap();
    ledger.finish_pass(&s, &pass).unwrap();
    let whole = serde_json::to_string(&pass.report).unwrap();
    assert_eq!(ledger.pass_report(&s, "7"), Ok(Some(whole)));
    assert_eq!(
        ledger.snapshot(&s).unwrap().last_run,
        Some(pass.report.clone())
    );
    assert_eq!(ledger.last_run(&s), Ok(Some(pass.report)));
    let told = "report LIKE '%\"app7\"%' AND report NOT LIKE '%\"app8\"%'";
    let kept = fixture.sql(&format!("DELETE FROM artifactory_passes WHERE {told}"));
    assert_eq!(kept, Ok(1));
}

fn recorded_once(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let baseline = attempt("a", "x", "1", State::Baseline);
    for _ in 0..2 {
        let recorded = ledger.record(&s, &baseline, None, lease.fence());
        assert_eq!(recorded, Ok(None));
    }
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 1);
    assert_eq!(ledger.events("a").unwrap().len(), 1);

    let many = ["b", "c"].map(|id| attempt(id, id, "1", State::Baseline));
    for _ in 0..2 {
        assert_eq!(ledger.record_all(&s, &many, lease.fence()), Ok(None));
    }
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 3);
    // Of two for one place nobody can say which is meant: all of it, or nothing.
    let twice = [("d", "d"), ("a", "y")].map(|(id, app)| attempt(id, app, "1", State::Baseline));
    assert!(ledger.record_all(&s, &twice, lease.fence()).is_err());
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 3);
    assert_eq!(ledger.record_all(&s, &[], lease.fence()), Ok(None));
}

fn trouble(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let mut after = None;
    for (id, counts) in [("a", true), ("b", false), ("c", true)] {
        let intent = intent(id, "x", "2");
        if after.is_some() {
            let stale = ledger.intend(&s, &intent, &*lease);
            assert_eq!(stale, Ok(Intended::Changed), "{id}");
        }
        let intent = Intent { after, ..intent };
        let committed = ledger.intend(&s, &intent, &*lease);
        assert_eq!(committed, Ok(Intended::Committed), "{id}");
        after = Some(id.to_owned());
        let moved = ledger.advance(
            id,
            State::Submitting,
            &step(State::Refused),
            counts,
            &fence(1),
        );
        assert_eq!(moved, Ok(true));
        let again = ledger.advance(
            id,
            State::Submitting,
            &step(State::Refused),
            counts,
            &fence(1),
        );
        assert_eq!(again, Ok(false));
    }
    let seen = ledger.snapshot(&s).unwrap();
    let trouble = &seen.records["x"].troubled["2"];
    assert_eq!((trouble.attempts, trouble.message.as_str()), (2, "refused"));
    assert_eq!(
        (seen.records["x"].floor.clone(), seen.open.len()),
        (None, 0)
    );
    ledger
        .record(
            &s,
            &attempt("d", "x", "2", State::Observed),
            None,
            lease.fence(),
        )
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

fn baselines(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let hold = holds::hold(Some(i64::MAX), Some("2"));
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    fixture
        .sql("UPDATE artifactory_lease SET token = 4")
        .unwrap();
    let fence = Fence {
        token: 4,
        ..lease.fence().clone()
    };
    let older = attempt("a", "x", "1", State::Observed);
    let recorded = ledger.record(&s, &older, Some((&hold, Order::Natural)), &fence);
    assert_eq!(recorded, Ok(None));
    let seen = ledger.snapshot(&s).unwrap();
    assert_eq!(seen.holds["x"], hold);
    let latest = &seen.latest["x"];
    assert_eq!((latest.token, latest.state), (4, State::Observed));
    assert_eq!(latest.suffixes_before, older.suffixes_before);
    assert_eq!(latest.asked_by, older.asked_by);
    assert!(ledger.name_conflicts(&s, &["x", "y"]).unwrap().is_empty());
    let other = Scope {
        environment: "QA".to_owned(),
        ..s
    };
    assert_eq!(ledger.snapshot(&other), Ok(super::Snapshot::default()));
}

/// An operator's word is read as the state that it is, everywhere.
fn verdicts(fixture: &dyn Fixture) {
    let (mut ledger, s) = (fixture.open(), scope());
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    for (app, to) in [("x", State::Settled), ("y", State::Dismissed)] {
        let made = ledger.intend(&s, &intent(app, app, "1"), &*lease);
        assert_eq!(made, Ok(Intended::Committed));
        for (from, to) in [(State::Submitting, State::Unknown), (State::Unknown, to)] {
            let moved = ledger.advance(app, from, &step(to), true, lease.fence());
            assert_eq!(moved, Ok(true));
        }
        assert_eq!(ledger.history(&s, Some(app), 1).unwrap()[0].state, to);
        assert_eq!(ledger.events(app).unwrap().last().unwrap().state, to);
    }
    let seen = ledger.snapshot(&s).unwrap();
    assert!(seen.open.is_empty());
    assert_eq!(seen.latest["x"].state, State::Settled);
    assert_eq!(seen.records["x"].deployed.as_deref(), Some("1"));
    assert_eq!(seen.records["y"].deployed, None);
    assert_eq!(seen.records["y"].troubled["1"].state, State::Dismissed);
}
