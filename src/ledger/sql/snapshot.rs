//! Everything that a plan needs.

use std::collections::BTreeMap;

use super::attempts::{self, DEPLOYED, NOT_DEPLOYED, attempt};
use super::database::{Begin, Database, Sql, Transaction, all};
use super::value::values;
use super::{deploys, holds, passes};
use crate::ledger::{Attempt, FORGET, Part, Snapshot, original};
use crate::model::attempt::State;
use crate::model::name::Scope;
use crate::model::plan::Trouble;

/// Reads everything that a plan needs, at one moment. The number of statements doesn't depend on
/// the number of apps, nor what they read on the number of attempts that ended well.
pub fn snapshot(db: &mut dyn Database, scope: &Scope) -> Sql<Snapshot> {
    let mut tx = Transaction::begin(db, Begin::Read)?;
    let db = &mut *tx;
    let mut snapshot = Snapshot::default();
    for app in apps(db, scope, FIRST, ALL)? {
        app.add_to(&mut snapshot);
    }
    snapshot.open = attempts::open(db, scope)?;
    for ((app, version), trouble) in troubled(db, scope)? {
        let record = snapshot.records.entry(app).or_default();
        record.troubled.insert(version, trouble);
    }
    snapshot.holds = holds::holds(db, scope)?.into_iter().collect();
    passes::read(db, scope, &mut snapshot)?;
    for row in deploys::rows(db, scope)? {
        if let Some(attempt) = row.attempt(scope, snapshot.latest.get(&row.app)) {
            original::add(&mut snapshot, attempt);
        }
    }
    tx.commit()?;
    snapshot.drop_accounted();
    snapshot.retire();
    Ok(snapshot)
}

/// At most `most` apps after a name, in the order of their names.
pub fn apps_after(db: &mut dyn Database, scope: &Scope, after: &str, most: u32) -> Sql<Part> {
    let mut tx = Transaction::begin(db, Begin::Read)?;
    let db = &mut *tx;
    let apps = apps(db, scope, after, most.into())?;
    let (rows, last_row) = deploys::rows_after(db, scope, after, most)?;
    let is_full = apps.len() >= usize::try_from(most).unwrap_or(usize::MAX);
    let last_app = apps
        .last()
        .filter(|_| is_full)
        .map(|a| a.latest.app.clone());
    // Behind the end of what was cut off first, the other list has names that this one lacks.
    let last = match (last_app, last_row) {
        (Some(app), Some(row)) => Some(app.min(row)),
        (app, row) => app.or(row),
    };
    let belongs = |name: &String| last.as_ref().is_none_or(|last| name <= last);
    let mut part = Snapshot::default();
    for app in apps.into_iter().filter(|app| belongs(&app.latest.app)) {
        app.add_to(&mut part);
    }
    for row in rows.iter().filter(|row| belongs(&row.app)) {
        if let Some(attempt) = row.attempt(scope, part.latest.get(&row.app)) {
            original::add(&mut part, attempt);
        }
    }
    tx.commit()?;
    Ok(Part { apps: part, last })
}

/// What is open and what is held, with what tells whether a hold still holds.
pub fn in_force(db: &mut dyn Database, scope: &Scope) -> Sql<Snapshot> {
    let mut tx = Transaction::begin(db, Begin::Read)?;
    let db = &mut *tx;
    let mut found = Snapshot {
        open: attempts::open(db, scope)?,
        holds: holds::holds(db, scope)?.into_iter().collect(),
        ..Snapshot::default()
    };
    if !found.holds.is_empty() {
        found.last_run = passes::last_run(db, scope)?;
        let latest = attempts::latest_of_held(db, scope)?;
        found.latest = latest.into_iter().map(|a| (a.app.clone(), a)).collect();
    }
    tx.commit()?;
    Ok(found)
}

/// What the original's rows say that no attempt accounts for.
pub fn unaccounted(db: &mut dyn Database, scope: &Scope) -> Sql<Vec<Attempt>> {
    let apps = apps(db, scope, FIRST, ALL)?.into_iter();
    let latest: BTreeMap<String, Attempt> = apps
        .map(|app| (app.latest.app.clone(), app.latest))
        .collect();
    let rows = deploys::rows(db, scope)?;
    Ok(rows
        .iter()
        .filter_map(|row| row.attempt(scope, latest.get(&row.app)))
        .collect())
}

/// An app that has attempts.
struct App {
    latest: Attempt,
    /// The version of the last attempt that ended well.
    deployed: Option<String>,
    /// A version that was taken over since and didn't end well.
    floor: Option<String>,
}

impl App {
    fn add_to(self, snapshot: &mut Snapshot) {
        let record = snapshot.records.entry(self.latest.app.clone()).or_default();
        record.deployed = self.deployed;
        record.floor = self.floor;
        snapshot.latest.insert(self.latest.app.clone(), self.latest);
    }
}

/// Before the name of every app.
const FIRST: &str = "";
/// More apps than there are.
const ALL: i64 = i64::MAX;

/// The apps that have attempts, at most `most` after a name, in the order of their names. Of an app
/// whose latest attempt ended well no other one is read.
fn apps(db: &mut dyn Database, scope: &Scope, after: &str, most: i64) -> Sql<Vec<App>> {
    let earlier = |attempt: &str| {
        format!(
            "{attempt}.domain = a.domain AND {attempt}.environment = a.environment
             AND {attempt}.app = a.app"
        )
    };
    let sql = format!(
        "SELECT {columns},
             CASE WHEN a.state IN {DEPLOYED} THEN a.version ELSE (
                 SELECT d.version FROM artifactory_attempts d
                 WHERE {of_deployed} AND d.state IN {DEPLOYED} ORDER BY d.seq DESC LIMIT 1) END,
             CASE WHEN a.state NOT IN {DEPLOYED} THEN (
                 SELECT f.version FROM artifactory_attempts f
                 WHERE {of_floor} AND f.command = '{takeover}' AND f.state NOT IN {DEPLOYED}
                   AND NOT EXISTS (SELECT 1 FROM artifactory_attempts d
                       WHERE {of_deployed} AND d.seq > f.seq AND d.state IN {DEPLOYED})
                 ORDER BY f.seq DESC LIMIT 1) END
         FROM ({latest}) latest JOIN artifactory_attempts a ON a.seq = latest.last
         ORDER BY a.app",
        of_deployed = earlier("d"),
        of_floor = earlier("f"),
        columns = attempts::columns(db.dialect()),
        takeover = original::COMMAND,
        latest = db.dialect().latest,
    );
    all(
        db,
        &sql,
        &values![&scope.domain, &scope.environment, after, most],
        |row| {
            Ok(App {
                latest: attempt(row)?,
                deployed: row.get()?,
                floor: row.get()?,
            })
        },
    )
}

/// Versions (of apps) whose latest attempt ended badly, with what was used up since they last
/// ended well: of attempts that none of the same version follows that ended well. The `+` has `SQLite` look for
/// the few, and not go through all in their order.
fn troubled(db: &mut dyn Database, scope: &Scope) -> Sql<BTreeMap<(String, String), Trouble>> {
    let sql = format!(
        "SELECT b.app, b.version, {state}, b.counts, b.updated_at, b.message
         FROM artifactory_attempts b LEFT JOIN artifactory_attempts d
           ON d.domain = b.domain AND d.environment = b.environment AND d.app = b.app
          AND d.version = b.version AND d.seq > b.seq AND d.state IN {DEPLOYED}
         WHERE b.domain = ? AND b.environment = ? AND b.state IN {NOT_DEPLOYED} AND d.seq IS NULL
           AND b.command <> '{FORGET}'
         ORDER BY +b.seq",
        state = attempts::shown_state("b"),
    );
    let mut troubled = BTreeMap::new();
    let values = values![&scope.domain, &scope.environment];
    all(db, &sql, &values, |row| {
        let version = (row.get()?, row.get()?);
        let state = attempts::state(row)?;
        let counts = row.get()?;
        let before: Option<&Trouble> = troubled.get(&version);
        let (attempts, abandoned) = before.map_or((0, 0), |t| (t.attempts, t.abandoned));
        let is_used_up = counts && !state.is_open();
        let trouble = Trouble {
            state,
            attempts: attempts + u32::from(is_used_up),
            abandoned: abandoned + u32::from(is_used_up && state == State::Abandoned),
            is_forgiven: false,
            ended_at: row.get()?,
            message: row.get()?,
        };
        troubled.insert(version, trouble);
        Ok(())
    })?;
    troubled.retain(|_, trouble| !trouble.state.is_open());
    Ok(troubled)
}
