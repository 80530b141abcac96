//! What is read of the ledger.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::takeover::{self, OriginalRow};
use crate::ledger::{Attempt, AttemptEvent, PassRow, Snapshot, TokenRow};
use crate::model::attempt::State;
use crate::model::name::Scope;
use crate::model::plan::{Hold, Trouble};
use crate::model::report::Report;
use crate::secret::Secret;

/// The columns that [`attempt`] reads.
pub const ATTEMPT: &str = "id, app, version, service_name, num_instances, \
    COALESCE(verdict, state), deploy_id, \
    payload_sha256, template_sha256, suffixes_before, counts, command, token, created_at, \
    updated_at, message";

/// Reads a row of [`ATTEMPT`].
pub fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let suffixes: Option<String> = row.get(9)?;
    Ok(Attempt {
        id: row.get(0)?,
        app: row.get(1)?,
        version: row.get(2)?,
        service_name: row.get(3)?,
        num_instances: row.get(4)?,
        state: state(row, 5)?,
        deploy_id: row.get(6)?,
        payload_sha256: row.get(7)?,
        template_sha256: row.get(8)?,
        suffixes_before: suffixes
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(9, Type::Text, Box::new(e)))?,
        counts: row.get(10)?,
        command: row.get(11)?,
        token: row.get(12)?,
        created_at: row.get(13)?,
        updated_at: row.get(14)?,
        message: row.get(15)?,
    })
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let name: String = row.get(column)?;
    State::parse(&name).ok_or_else(|| {
        let error = format!("no state of an attempt: {name}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// Reads everything that a plan needs, at one moment. The number of statements doesn't depend on
/// the number of apps.
pub fn snapshot(conn: &mut Connection, scope: &Scope) -> rusqlite::Result<Snapshot> {
    let tx = conn.transaction()?;
    let mut snapshot = Snapshot::default();
    latest_and_open(&tx, scope, &mut snapshot)?;
    standing(&tx, scope, &mut snapshot)?;
    troubled(&tx, scope, &mut snapshot)?;
    holds(&tx, scope, &mut snapshot)?;
    passes(&tx, scope, &mut snapshot)?;
    for row in original_rows(&tx, scope)? {
        if let Some(attempt) = row.attempt(scope, snapshot.latest.get(&row.app)) {
            takeover::add(&mut snapshot, attempt);
        }
    }
    tx.commit()?;
    Ok(snapshot)
}

/// The latest attempt of each app, and open attempts that newer ones stand before.
fn latest_and_open(conn: &Connection, scope: &Scope, to: &mut Snapshot) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {ATTEMPT} FROM artifactory_attempts
         WHERE domain = ?1 AND environment = ?2
           AND (state IN ('submitting', 'submitted', 'unknown') OR seq IN
               (SELECT MAX(seq) FROM artifactory_attempts
                WHERE domain = ?1 AND environment = ?2 GROUP BY app))
         ORDER BY seq"
    ))?;
    let mut rows = statement.query(params![scope.domain, scope.environment])?;
    while let Some(row) = rows.next()? {
        let attempt = attempt(row)?;
        to.records.entry(attempt.app.clone()).or_default();
        if attempt.state.is_open() {
            to.open.push(attempt.clone());
        }
        to.latest.insert(attempt.app.clone(), attempt);
    }
    Ok(())
}

/// The deployed version of each app, and the floor: a version taken over and never deployed since.
fn standing(conn: &Connection, scope: &Scope, to: &mut Snapshot) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT app, version, command = ?3 AND state NOT IN ('succeeded', 'observed', 'baseline')
         FROM artifactory_attempts
         WHERE seq IN (SELECT MAX(seq) FROM artifactory_attempts
             WHERE domain = ?1 AND environment = ?2
               AND (command = ?3 OR state IN ('succeeded', 'observed', 'baseline'))
             GROUP BY app, state IN ('succeeded', 'observed', 'baseline'))
         ORDER BY seq",
    )?;
    let mut rows = statement.query(params![scope.domain, scope.environment, takeover::COMMAND])?;
    while let Some(row) = rows.next()? {
        let record = to.records.entry(row.get(0)?).or_default();
        let version: String = row.get(1)?;
        if row.get(2)? {
            record.floor = Some(version);
        } else {
            record.deployed = Some(version);
            record.floor = None;
        }
    }
    Ok(())
}

/// Versions whose latest attempt ended badly, with what was used up since they last ended well.
fn troubled(conn: &Connection, scope: &Scope, to: &mut Snapshot) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT l.app, l.version, COALESCE(l.verdict, l.state), l.updated_at, COUNT(c.seq),
                COALESCE(SUM(c.state = 'abandoned'), 0), l.message
         FROM artifactory_attempts l LEFT JOIN artifactory_attempts c
           ON c.domain = l.domain AND c.environment = l.environment
          AND c.app = l.app AND c.version = l.version
          AND c.counts = 1 AND c.state IN ('failed', 'refused', 'abandoned')
          AND c.seq > COALESCE((SELECT MAX(d.seq) FROM artifactory_attempts d
              WHERE d.domain = l.domain AND d.environment = l.environment
                AND d.app = l.app AND d.version = l.version
                AND d.state IN ('succeeded', 'observed', 'baseline')), 0)
         WHERE l.state IN ('failed', 'refused', 'abandoned') AND l.seq IN
             (SELECT MAX(seq) FROM artifactory_attempts
              WHERE domain = ?1 AND environment = ?2 GROUP BY app, version)
         GROUP BY l.seq",
    )?;
    let mut rows = statement.query(params![scope.domain, scope.environment])?;
    while let Some(row) = rows.next()? {
        let record = to.records.entry(row.get(0)?).or_default();
        let trouble = Trouble {
            state: state(row, 2)?,
            ended_at: row.get(3)?,
            attempts: row.get(4)?,
            abandoned: row.get(5)?,
            message: row.get(6)?,
        };
        record.troubled.insert(row.get(1)?, trouble);
    }
    Ok(())
}

fn holds(conn: &Connection, scope: &Scope, to: &mut Snapshot) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT reason, until, newer_than, placed_by, placed_at, app FROM artifactory_holds
         WHERE domain = ?1 AND environment = ?2",
    )?;
    let mut rows = statement.query(params![scope.domain, scope.environment])?;
    while let Some(row) = rows.next()? {
        to.holds.insert(row.get(5)?, hold(row)?);
    }
    Ok(())
}

/// Reads the columns of a hold, in the order of the fields of [`Hold`].
pub fn hold(row: &Row<'_>) -> rusqlite::Result<Hold> {
    Ok(Hold {
        reason: row.get(0)?,
        until: row.get(1)?,
        newer_than: row.get(2)?,
        placed_by: row.get(3)?,
        placed_at: row.get(4)?,
    })
}

fn passes(conn: &Connection, scope: &Scope, to: &mut Snapshot) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT busy, started_at,
                CASE command WHEN 'run' THEN report END,
                CASE WHEN seq = (SELECT MAX(seq) FROM artifactory_passes
                    WHERE domain = ?1 AND environment = ?2) THEN bad_payloads END
         FROM artifactory_passes WHERE domain = ?1 AND environment = ?2 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query(params![scope.domain, scope.environment])?;
    let mut is_busy_so_far = true;
    while let Some(row) = rows.next()? {
        match row.get(0)? {
            Some(true) if is_busy_so_far => to.busy_since = Some(row.get(1)?),
            Some(false) => is_busy_so_far = false,
            _ => {}
        }
        // A document that another release wrote and this one can't read is as good as none:
        // both are conveniences, nothing is decided by them.
        // A pass that never got to its plan has nothing that the next one could be compared with.
        if to.last_run.is_none()
            && let Some(text) = row.get::<_, Option<String>>(2)?
        {
            let report: Option<Report> = serde_json::from_str(&text).ok();
            to.last_run = report.filter(|r| r.error.is_none() || !r.apps.is_empty());
        }
        if let Some(text) = row.get::<_, Option<String>>(3)? {
            to.bad_payloads = serde_json::from_str(&text).unwrap_or_default();
        }
    }
    Ok(())
}

/// The rows of the original's table, oldest first.
pub fn original_rows(conn: &Connection, scope: &Scope) -> rusqlite::Result<Vec<OriginalRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT service_name, version, CAST(status AS INTEGER), deploy_id, created_at, updated_at
         FROM artifactory_deploys WHERE domain = ?1 AND environment = ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![scope.domain, scope.environment], |row| {
        Ok(OriginalRow {
            app: row.get(0)?,
            version: row.get(1)?,
            status: row.get(2)?,
            deploy_id: row.get(3)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// Attempts, newest first.
pub fn history(
    conn: &Connection,
    scope: &Scope,
    app: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<Attempt>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {ATTEMPT} FROM artifactory_attempts
         WHERE domain = ?1 AND environment = ?2 AND (?3 IS NULL OR app = ?3)
         ORDER BY seq DESC LIMIT ?4"
    ))?;
    let rows = statement.query_map(
        params![scope.domain, scope.environment, app, limit],
        attempt,
    )?;
    rows.collect()
}

/// The events of an attempt, oldest first.
pub fn events(conn: &Connection, id: &str) -> rusqlite::Result<Vec<AttemptEvent>> {
    let mut statement = conn.prepare_cached(
        "SELECT state, at, message, token FROM artifactory_attempt_events
         WHERE attempt = ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(AttemptEvent {
            state: state(row, 0)?,
            at: row.get(1)?,
            message: row.get(2)?,
            token: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// The passes that are kept, newest first.
pub fn pass_rows(conn: &Connection, scope: &Scope, limit: u32) -> rusqlite::Result<Vec<PassRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT pass, command, started_at, finished_at, exit_code FROM artifactory_passes
         WHERE domain = ?1 AND environment = ?2 ORDER BY seq DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(params![scope.domain, scope.environment, limit], |row| {
        Ok(PassRow {
            pass: row.get(0)?,
            command: row.get(1)?,
            started_at: row.get(2)?,
            finished_at: row.get(3)?,
            exit_code: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// The report of one pass.
pub fn pass_report(
    conn: &Connection,
    scope: &Scope,
    pass: &str,
) -> rusqlite::Result<Option<String>> {
    conn.query_row(
        "SELECT report FROM artifactory_passes
         WHERE domain = ?1 AND environment = ?2 AND pass = ?3",
        params![scope.domain, scope.environment, pass],
        |row| row.get(0),
    )
    .optional()
}

/// The tokens of the HTTP API, oldest first.
pub fn tokens(conn: &Connection) -> rusqlite::Result<Vec<TokenRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, token, name, created_at FROM artifactory_auth_tokens ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(TokenRow {
            id: row.get(0)?,
            stored: Secret::new(row.get(1)?),
            name: row.get(2)?,
            created_at: row.get(3)?,
        })
    })?;
    rows.collect()
}
