//! The tables of attempts and of their history.

use std::collections::BTreeSet;

use super::database::{Database, Dialect, Sql, all, first, json};
use super::value::{Row, Unreadable, Value, values};
use crate::ledger::{Attempt, AttemptEvent, FORGET, Made};
use crate::model::attempt::State;
use crate::model::name::Scope;

/// The states, as the column has them, of a version that counts as deployed.
pub const DEPLOYED: &str = "('succeeded', 'observed', 'baseline')";
/// The states of an attempt whose outcome is not known yet.
pub const OPEN: &str = "('submitting', 'submitted', 'unknown')";

/// The states of an attempt that is open or didn't end well.
pub const NOT_DEPLOYED: &str =
    "('submitting', 'submitted', 'unknown', 'failed', 'refused', 'abandoned')";

/// The columns that [`attempt`] reads, of `artifactory_attempts a`.
pub fn columns(dialect: &Dialect) -> String {
    format!(
        "a.id, a.app, a.version, a.service_name, a.num_instances, {state},
         a.deploy_id, a.payload_sha256, a.template_sha256, a.suffixes_before, a.counts, a.command,
         a.token, a.created_at, a.updated_at, a.message, a.boot_id, a.boot_ms, {},
         a.asked_by, a.accounted",
        dialect.server_age,
        state = shown_state("a"),
    )
}

/// The state of an attempt: an operator's word, else what the column has.
pub fn shown_state(attempt: &str) -> String {
    format!(
        "CASE WHEN {attempt}.command = '{FORGET}' THEN '{}'
         ELSE COALESCE({attempt}.verdict, {attempt}.state) END",
        State::Retired.as_str()
    )
}

/// Reads [`columns`].
pub fn attempt(row: &mut Row) -> Result<Attempt, Unreadable> {
    Ok(Attempt {
        id: row.get()?,
        app: row.get()?,
        version: row.get()?,
        service_name: row.get()?,
        num_instances: row.get()?,
        state: state(row)?,
        deploy_id: row.get()?,
        payload_sha256: row.get()?,
        template_sha256: row.get()?,
        suffixes_before: row
            .get::<Option<String>>()?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| format!("suffixes_before is not JSON: {e}"))?,
        counts: row.get()?,
        command: row.get()?,
        token: row.get()?,
        created_at: row.get()?,
        updated_at: row.get()?,
        message: row.get()?,
        made: Made {
            boot: row.get::<Option<String>>()?.zip(row.get()?),
            server_age: row.get()?,
        },
        asked_by: row.get()?,
        accounted: accounted(row.get()?)?,
    })
}

/// Reads the versions that an attempt accounts for.
fn accounted(text: Option<String>) -> Result<BTreeSet<String>, Unreadable> {
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
    let read = read.map_err(|e| format!("accounted is not JSON: {e}"))?;
    Ok(read.unwrap_or_default())
}

/// Reads a state.
pub fn state(row: &mut Row) -> Result<State, Unreadable> {
    let name: String = row.get()?;
    State::parse(&name).ok_or_else(|| format!("no state of an attempt: {name}"))
}

/// The scopes in which there is an attempt of an app.
pub fn scopes_of(db: &mut dyn Database, app: &str) -> Sql<Vec<Scope>> {
    let sql = "SELECT DISTINCT domain, environment FROM artifactory_attempts WHERE app = ?";
    all(db, sql, &values![app], |row| {
        Ok(Scope {
            domain: row.get()?,
            environment: row.get()?,
        })
    })
}

/// The attempt of an id.
pub fn find(db: &mut dyn Database, id: &str) -> Sql<Option<Attempt>> {
    let sql = format!(
        "SELECT {} FROM artifactory_attempts a WHERE a.id = ?",
        columns(db.dialect())
    );
    first(db, &sql, &values![id], attempt)
}

/// The id of the latest attempt of an app.
pub fn latest(db: &mut dyn Database, scope: &Scope, app: &str) -> Sql<Option<String>> {
    let sql = "SELECT id FROM artifactory_attempts
        WHERE domain = ? AND environment = ? AND app = ? ORDER BY seq DESC LIMIT 1";
    first(
        db,
        sql,
        &values![&scope.domain, &scope.environment, app],
        Row::get,
    )
}

/// The scope of an attempt, and whether it is the latest of its app.
pub fn whereabouts(db: &mut dyn Database, id: &str) -> Sql<Option<(Scope, bool)>> {
    first(
        db,
        "SELECT a.domain, a.environment, a.seq = (SELECT MAX(l.seq) FROM artifactory_attempts l
             WHERE l.domain = a.domain AND l.environment = a.environment AND l.app = a.app)
         FROM artifactory_attempts a WHERE a.id = ?",
        &values![id],
        |row| {
            let scope = Scope {
                domain: row.get()?,
                environment: row.get()?,
            };
            Ok((scope, row.get()?))
        },
    )
}

/// The open attempts of the scope, oldest first. The `+` has `SQLite` look for the few, and not go
/// through all in their order.
pub fn open(db: &mut dyn Database, scope: &Scope) -> Sql<Vec<Attempt>> {
    let sql = format!(
        "SELECT {} FROM artifactory_attempts a
         WHERE a.domain = ? AND a.environment = ? AND a.state IN {OPEN} ORDER BY +a.seq",
        columns(db.dialect())
    );
    all(
        db,
        &sql,
        &values![&scope.domain, &scope.environment],
        attempt,
    )
}

/// Attempts, newest first; of one app, or of all.
pub fn history(
    db: &mut dyn Database,
    scope: &Scope,
    app: Option<&str>,
    limit: u32,
) -> Sql<Vec<Attempt>> {
    let of_app = app.map_or("", |_| "AND a.app = ?");
    let sql = format!(
        "SELECT {} FROM artifactory_attempts a
         WHERE a.domain = ? AND a.environment = ? {of_app} ORDER BY a.seq DESC LIMIT ?",
        columns(db.dialect())
    );
    let mut values = values![&scope.domain, &scope.environment].to_vec();
    values.extend(app.map(Value::from));
    values.push(limit.into());
    all(db, &sql, &values, attempt)
}

/// The latest attempt of each app that is held.
pub fn latest_of_held(db: &mut dyn Database, scope: &Scope) -> Sql<Vec<Attempt>> {
    let sql = format!(
        "SELECT {} FROM artifactory_holds h JOIN artifactory_attempts a
           ON a.seq = (SELECT MAX(l.seq) FROM artifactory_attempts l
               WHERE l.domain = h.domain AND l.environment = h.environment AND l.app = h.app)
         WHERE h.domain = ? AND h.environment = ?",
        columns(db.dialect())
    );
    let values = values![&scope.domain, &scope.environment];
    all(db, &sql, &values, attempt)
}

/// The events of an attempt, oldest first.
pub fn events(db: &mut dyn Database, id: &str) -> Sql<Vec<AttemptEvent>> {
    all(
        db,
        "SELECT state, at, message, token FROM artifactory_attempt_events
         WHERE attempt = ? ORDER BY seq",
        &values![id],
        |row| {
            Ok(AttemptEvent {
                state: state(row)?,
                at: row.get()?,
                message: row.get()?,
                token: row.get()?,
            })
        },
    )
}

/// Adds an attempt and its first event.
pub fn insert(db: &mut dyn Database, scope: &Scope, attempt: &Attempt, at: i64) -> Sql<()> {
    let suffixes = attempt.suffixes_before.as_ref();
    let suffixes = suffixes.map(|list| json(db, list)).transpose()?;
    let accounted = (!attempt.accounted.is_empty()).then_some(&attempt.accounted);
    let accounted = accounted.map(|versions| json(db, versions)).transpose()?;
    let has_time = attempt.made.boot.is_some();
    let (column, value) = db
        .dialect()
        .stored_at
        .filter(|_| has_time)
        .unwrap_or_default();
    let sql = format!(
        "INSERT INTO artifactory_attempts (id, domain, environment, app, version, service_name,
             num_instances, state, verdict, deploy_id, payload_sha256, template_sha256,
             suffixes_before, counts, command, token, created_at, updated_at, message, boot_id,
             boot_ms, asked_by, accounted{column})
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?{value})"
    );
    let (boot_id, boot_ms) = attempt.made.boot.clone().unzip();
    db.execute(
        &sql,
        &values![
            &attempt.id,
            &scope.domain,
            &scope.environment,
            &attempt.app,
            &attempt.version,
            &attempt.service_name,
            attempt.num_instances,
            attempt.state.stored().as_str(),
            attempt.state.verdict(),
            &attempt.deploy_id,
            &attempt.payload_sha256,
            &attempt.template_sha256,
            suffixes,
            attempt.counts,
            &attempt.command,
            attempt.token,
            attempt.created_at,
            attempt.updated_at,
            &attempt.message,
            boot_id,
            boot_ms,
            &attempt.asked_by,
            accounted,
        ],
    )?;
    let event = AttemptEvent {
        // The release before this one reads it too.
        state: match attempt.state {
            State::Retired => State::Retired.stored(),
            state => state,
        },
        at,
        message: attempt.message.clone(),
        token: attempt.token,
    };
    add_event(db, &attempt.id, &event)
}

/// Adds an event.
pub fn add_event(db: &mut dyn Database, attempt: &str, event: &AttemptEvent) -> Sql<()> {
    db.execute(
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token)
         VALUES (?, ?, ?, ?, ?)",
        &values![
            attempt,
            event.state.as_str(),
            event.at,
            &event.message,
            event.token
        ],
    )?;
    Ok(())
}
