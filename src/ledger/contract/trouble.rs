//! What every implementation must tell of attempts that did not end well.

use std::collections::BTreeMap;

use super::{Fixture, scope};
use crate::ledger::PassRecord;
use crate::model::attempt::State;
use crate::model::plan::AppRecord;

/// What the ledger tells of app `x` that has these attempts: version, state, command.
fn record_of(fixture: &dyn Fixture, attempts: &[(&str, State, &str)]) -> AppRecord {
    let rows = attempts.iter().enumerate();
    let rows = rows.map(|(number, (version, state, command))| {
        let verdict = state
            .verdict()
            .map_or("NULL".to_owned(), |v| format!("'{v}'"));
        let (state, counts) = (state.stored().as_str(), u8::from(*command == "run"));
        format!(
            "('{number}', 'example.com', 'qa', 'x', '{version}', '', 0, '{state}', {verdict}, \
             {counts}, '{command}', 1, 0, {number}, '')"
        )
    });
    let sql = format!(
        "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name, \
         num_instances, state, verdict, counts, command, token, created_at, updated_at, message) \
         VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    );
    fixture.sql(&sql).unwrap();
    let mut seen = fixture.open().snapshot(&scope()).unwrap();
    seen.records.remove("x").unwrap()
}

pub(super) fn is_counted_since_a_version_last_ended_well(fixture: &dyn Fixture) {
    let record = record_of(
        fixture,
        &[
            ("well", State::Failed, "run"),
            ("well", State::Succeeded, "run"),
            ("again", State::Failed, "run"),
            ("again", State::Observed, "run"),
            ("again", State::Failed, "run"),
            ("again", State::Abandoned, "run"),
            ("open", State::Failed, "run"),
            ("open", State::Submitted, "takeover"),
            ("closed", State::Unknown, "takeover"),
            ("closed", State::Refused, "no attempt used up"),
            ("told", State::Failed, "run"),
            ("told", State::Dismissed, "run"),
            ("settled", State::Failed, "run"),
            ("settled", State::Settled, "run"),
        ],
    );
    let troubled = record.troubled.iter();
    let troubled: Vec<_> = troubled
        .map(|(version, t)| {
            (
                version.as_str(),
                t.state,
                t.attempts,
                t.abandoned,
                t.ended_at,
            )
        })
        .collect();
    assert_eq!(
        troubled,
        [
            ("again", State::Abandoned, 2, 1, 5),
            ("closed", State::Refused, 0, 0, 9),
            ("told", State::Dismissed, 2, 0, 11),
        ]
    );
    assert_eq!(record.deployed.as_deref(), Some("settled"));
}

pub(super) fn is_below_what_was_taken_over(fixture: &dyn Fixture) {
    let attempts = [
        ("1", State::Failed, "takeover"),
        ("2", State::Succeeded, "run"),
        ("3", State::Failed, "takeover"),
        ("4", State::Failed, "run"),
    ];
    let record = record_of(fixture, &attempts);
    let told = (record.deployed.as_deref(), record.floor.as_deref());
    assert_eq!(told, (Some("2"), Some("3")));
    let sql = "INSERT INTO artifactory_attempts (id, domain, environment, app, version, \
        service_name, num_instances, state, counts, command, token, created_at, updated_at, message) \
        VALUES ('a', 'example.com', 'qa', 'x', '5', '', 0, 'observed', 0, 'run', 1, 0, 0, ''), \
               ('b', 'example.com', 'qa', 'x', '6', '', 0, 'failed', 0, 'run', 1, 0, 0, '')";
    fixture.sql(sql).unwrap();
    let record = &fixture.open().snapshot(&scope()).unwrap().records["x"];
    let told = (record.deployed.as_deref(), record.floor.as_deref());
    assert_eq!(told, (Some("5"), None));
}

/// What is forgiven is handed on from pass to pass, and is over once the version has ended well.
pub(super) fn is_forgiven_as_the_last_pass_says(fixture: &dyn Fixture) {
    let attempts = [("1", State::Failed, "run"), ("2", State::Failed, "run")];
    record_of(fixture, &attempts);
    let forgiven = |versions: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = versions.iter();
        owned.map(|(a, v)| ((*a).into(), (*v).into())).collect()
    };
    let (mut ledger, s) = (fixture.open(), scope());
    assert_eq!(ledger.snapshot(&s).unwrap().forgiven(), forgiven(&[]));
    let told = forgiven(&[("gone", "1"), ("x", "2")]);
    let pass = PassRecord {
        forgiven: told,
        ..super::pass(1, None)
    };
    ledger.finish_pass(&s, &pass).unwrap();
    let seen = ledger.snapshot(&s).unwrap();
    assert_eq!(seen.forgiven(), forgiven(&[("x", "2")]));
    assert!(!seen.records["x"].troubled["1"].is_forgiven);
    ledger.finish_pass(&s, &super::pass(2, None)).unwrap();
    assert_eq!(ledger.snapshot(&s).unwrap().forgiven(), forgiven(&[]));
}
