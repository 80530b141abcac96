//! What is read of the ledger.

use mysql::prelude::Queryable;
use mysql::{AccessMode, Conn, Row, TxOpts, params};

use super::original;
use super::session::{Fault, Sql};
use crate::ledger::takeover;
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

/// The columns of a row, one after the other. A value of another type is an error, not a panic.
pub struct Columns {
    row: Row,
    next: usize,
}

impl Columns {
    /// From the first one on.
    pub fn of(row: Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next one.
    pub fn get<T: mysql::prelude::FromValue>(&mut self) -> Sql<T> {
        let column = self.next;
        self.next += 1;
        match self.row.take_opt(column) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(error.into()),
            None => Err(Fault::Data(format!("column {column} is missing"))),
        }
    }

    fn state(&mut self) -> Sql<State> {
        let name: String = self.get()?;
        State::parse(&name).ok_or_else(|| Fault::Data(format!("no state of an attempt: {name}")))
    }
}

/// Reads a row of [`ATTEMPT`].
fn attempt(row: Row) -> Sql<Attempt> {
    let mut row = Columns::of(row);
    Ok(Attempt {
        id: row.get()?,
        app: row.get()?,
        version: row.get()?,
        service_name: row.get()?,
        num_instances: row.get()?,
        state: row.state()?,
        deploy_id: row.get()?,
        payload_sha256: row.get()?,
        template_sha256: row.get()?,
        suffixes_before: row
            .get::<Option<String>>()?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| Fault::Data(format!("suffixes_before is not JSON: {e}")))?,
        counts: row.get()?,
        command: row.get()?,
        token: row.get()?,
        created_at: row.get()?,
        updated_at: row.get()?,
        message: row.get()?,
    })
}

/// Reads everything that a plan needs, at one moment. The number of statements doesn't depend on
/// the number of apps.
pub fn snapshot(conn: &mut Conn, scope: &Scope) -> Sql<Snapshot> {
    let mut tx = conn.start_transaction(
        TxOpts::default()
            .set_with_consistent_snapshot(true)
            .set_access_mode(Some(AccessMode::ReadOnly)),
    )?;
    let mut snapshot = Snapshot::default();
    latest_and_open(&mut tx, scope, &mut snapshot)?;
    standing(&mut tx, scope, &mut snapshot)?;
    troubled(&mut tx, scope, &mut snapshot)?;
    holds(&mut tx, scope, &mut snapshot)?;
    passes(&mut tx, scope, &mut snapshot)?;
    for row in original::rows(&mut tx, scope)? {
        if let Some(attempt) = row.attempt(scope, snapshot.latest.get(&row.app)) {
            takeover::add(&mut snapshot, attempt);
        }
    }
    tx.commit()?;
    Ok(snapshot)
}

/// The latest attempt of each app, and open attempts that newer ones stand before.
pub fn latest_and_open(conn: &mut impl Queryable, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let rows: Vec<Row> = conn.exec(
        format!(
            "SELECT {ATTEMPT} FROM artifactory_attempts
             WHERE domain = :d AND environment = :e
               AND (state IN ('submitting', 'submitted', 'unknown') OR seq IN
                   (SELECT MAX(seq) FROM artifactory_attempts
                    WHERE domain = :d AND environment = :e GROUP BY app))
             ORDER BY seq"
        ),
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    for row in rows {
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
fn standing(conn: &mut impl Queryable, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let rows: Vec<Row> = conn.exec(
        "SELECT app, version, command = :takeover AND state NOT IN ('succeeded', 'observed', 'baseline')
         FROM artifactory_attempts
         WHERE seq IN (SELECT MAX(seq) FROM artifactory_attempts
             WHERE domain = :d AND environment = :e
               AND (command = :takeover OR state IN ('succeeded', 'observed', 'baseline'))
             GROUP BY app, state IN ('succeeded', 'observed', 'baseline'))
         ORDER BY seq",
        params! { "d" => &scope.domain, "e" => &scope.environment, "takeover" => takeover::COMMAND },
    )?;
    for row in rows {
        let mut row = Columns::of(row);
        let record = to.records.entry(row.get()?).or_default();
        let version: String = row.get()?;
        if row.get()? {
            record.floor = Some(version);
        } else {
            record.deployed = Some(version);
            record.floor = None;
        }
    }
    Ok(())
}

/// Versions whose latest attempt ended badly, with what was used up since they last ended well.
fn troubled(conn: &mut impl Queryable, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let rows: Vec<Row> = conn.exec(
        "SELECT l.app, l.version, COALESCE(l.verdict, l.state), l.updated_at, COUNT(c.seq),
                CAST(COALESCE(SUM(c.state = 'abandoned'), 0) AS SIGNED), MAX(l.message)
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
              WHERE domain = :d AND environment = :e GROUP BY app, version)
         GROUP BY l.seq, l.app, l.version, l.state, l.verdict, l.updated_at",
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    for row in rows {
        let mut row = Columns::of(row);
        let record = to.records.entry(row.get()?).or_default();
        let version: String = row.get()?;
        let trouble = Trouble {
            state: row.state()?,
            ended_at: row.get()?,
            attempts: row.get()?,
            abandoned: row.get()?,
            message: row.get()?,
        };
        record.troubled.insert(version, trouble);
    }
    Ok(())
}

/// The columns of a hold, in the order of the fields of [`Hold`].
const HOLD: &str = "reason, until, newer_than, placed_by, placed_at";

fn hold(row: &mut Columns) -> Sql<Hold> {
    Ok(Hold {
        reason: row.get()?,
        until: row.get()?,
        newer_than: row.get()?,
        placed_by: row.get()?,
        placed_at: row.get()?,
    })
}

fn holds(conn: &mut impl Queryable, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let rows: Vec<Row> = conn.exec(
        format!("SELECT {HOLD}, app FROM artifactory_holds WHERE domain = :d AND environment = :e"),
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    for row in rows {
        let mut row = Columns::of(row);
        let hold = hold(&mut row)?;
        to.holds.insert(row.get()?, hold);
    }
    Ok(())
}

/// The hold on one app, as it is now; nobody changes it before the transaction ends.
pub fn hold_of(conn: &mut impl Queryable, scope: &Scope, app: &str) -> Sql<Option<Hold>> {
    let row: Option<Row> = conn.exec_first(
        format!(
            "SELECT {HOLD} FROM artifactory_holds
             WHERE domain = :d AND environment = :e AND app = :app FOR UPDATE"
        ),
        params! { "d" => &scope.domain, "e" => &scope.environment, app },
    )?;
    row.map(|row| hold(&mut Columns::of(row))).transpose()
}

fn passes(conn: &mut impl Queryable, scope: &Scope, to: &mut Snapshot) -> Sql<()> {
    let of = params! { "d" => &scope.domain, "e" => &scope.environment };
    let looks: Vec<(Option<bool>, i64)> = conn.exec(
        "SELECT busy, started_at FROM artifactory_passes
         WHERE domain = :d AND environment = :e ORDER BY seq DESC",
        of.clone(),
    )?;
    let since = looks
        .iter()
        .filter(|look| look.0.is_some())
        .take_while(|look| look.0 == Some(true));
    to.busy_since = since.last().map(|look| look.1);
    // A document that another release wrote and this one can't read is as good as none: both are
    // conveniences, nothing is decided by them. A pass that never got to its plan has nothing
    // that the next one could be compared with. Asked for one by one: the first one will nearly
    // always do, and the server would send all of them.
    for skipped in 0..20 {
        let text: Option<Vec<u8>> = conn.exec_first(
            "SELECT report FROM artifactory_passes WHERE domain = :d AND environment = :e
             AND command = 'run' ORDER BY seq DESC LIMIT 1 OFFSET :skipped",
            params! { "d" => &scope.domain, "e" => &scope.environment, skipped },
        )?;
        let Some(text) = text else { break };
        let report: Option<Report> = serde_json::from_slice(&text).ok();
        if let Some(report) = report.filter(|r| r.error.is_none() || !r.apps.is_empty()) {
            to.last_run = Some(report);
            break;
        }
    }
    let bad: Option<Vec<u8>> = conn.exec_first(
        "SELECT bad_payloads FROM artifactory_passes
         WHERE domain = :d AND environment = :e ORDER BY seq DESC LIMIT 1",
        of,
    )?;
    to.bad_payloads = bad
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    Ok(())
}

/// Attempts, newest first.
pub fn history(conn: &mut Conn, scope: &Scope, app: Option<&str>, limit: u32) -> Sql<Vec<Attempt>> {
    let rows: Vec<Row> = conn.exec(
        format!(
            "SELECT {ATTEMPT} FROM artifactory_attempts
             WHERE domain = :d AND environment = :e AND (:app IS NULL OR app = :app)
             ORDER BY seq DESC LIMIT {limit}"
        ),
        params! { "d" => &scope.domain, "e" => &scope.environment, app },
    )?;
    rows.into_iter().map(attempt).collect()
}

/// The attempt of an id.
pub fn attempt_of(conn: &mut impl Queryable, id: &str) -> Sql<Option<Attempt>> {
    let row: Option<Row> = conn.exec_first(
        format!("SELECT {ATTEMPT} FROM artifactory_attempts WHERE id = ?"),
        (id,),
    )?;
    row.map(attempt).transpose()
}

/// The events of an attempt, oldest first.
pub fn events(conn: &mut Conn, id: &str) -> Sql<Vec<AttemptEvent>> {
    let rows: Vec<Row> = conn.exec(
        "SELECT state, at, message, token FROM artifactory_attempt_events
         WHERE attempt = ? ORDER BY seq",
        (id,),
    )?;
    let event = |row| {
        let mut row = Columns::of(row);
        Ok(AttemptEvent {
            state: row.state()?,
            at: row.get()?,
            message: row.get()?,
            token: row.get()?,
        })
    };
    rows.into_iter().map(event).collect()
}

/// The passes that are kept, newest first.
pub fn pass_rows(conn: &mut Conn, scope: &Scope, limit: u32) -> Sql<Vec<PassRow>> {
    let rows: Vec<(String, String, i64, i64, u8)> = conn.exec(
        format!(
            "SELECT pass, command, started_at, finished_at, exit_code FROM artifactory_passes
             WHERE domain = :d AND environment = :e ORDER BY seq DESC LIMIT {limit}"
        ),
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    let pass = |(pass, command, started_at, finished_at, exit_code)| PassRow {
        pass,
        command,
        started_at,
        finished_at,
        exit_code,
    };
    Ok(rows.into_iter().map(pass).collect())
}

/// The report of one pass.
pub fn pass_report(conn: &mut Conn, scope: &Scope, pass: &str) -> Sql<Option<String>> {
    Ok(conn.exec_first(
        "SELECT report FROM artifactory_passes
         WHERE domain = :d AND environment = :e AND pass = :pass",
        params! { "d" => &scope.domain, "e" => &scope.environment, pass },
    )?)
}

/// The tokens of the HTTP API, oldest first.
pub fn tokens(conn: &mut Conn) -> Sql<Vec<TokenRow>> {
    let rows: Vec<(i64, String, Option<String>, String)> = conn.query(
        "SELECT id, token, name, CAST(created_at AS CHAR) FROM artifactory_auth_tokens ORDER BY id",
    )?;
    let token = |(id, stored, name, created_at)| TokenRow {
        id,
        stored: Secret::new(stored),
        name,
        created_at,
    };
    Ok(rows.into_iter().map(token).collect())
}
