//! What is written to the ledger, each in one transaction.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::read;
use crate::ledger::takeover::{datetime, milliseconds, now};
use crate::ledger::{Attempt, Intended, Intent, PassRecord};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// How many passes of a scope are kept.
const PASSES_KEPT: i64 = 200;

fn begin(conn: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    conn.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Makes attempts of the original's rows that no attempt accounts for.
pub fn take_over(conn: &mut Connection, scope: &Scope, token: i64) -> rusqlite::Result<()> {
    let tx = begin(conn)?;
    for row in read::original_rows(&tx, scope)? {
        let latest = read::history(&tx, scope, Some(&row.app), 1)?.pop();
        let Some(mut attempt) = row.attempt(scope, latest.as_ref()) else {
            continue;
        };
        attempt.token = token;
        insert(&tx, scope, &attempt)?;
        add_event(&tx, &attempt, now())?;
        tx.execute(
            "UPDATE artifactory_deploys SET status = ?4
             WHERE domain = ?1 AND environment = ?2 AND service_name = ?3 AND status <> ?4",
            params![
                scope.domain,
                scope.environment,
                attempt.app,
                attempt.state.legacy_status()
            ],
        )?;
    }
    tx.commit()
}

/// Commits an intent under the lease with this token, or says why not.
pub fn intend(
    conn: &mut Connection,
    scope: &Scope,
    intent: &Intent,
    token: i64,
) -> rusqlite::Result<Intended> {
    let at = now();
    let tx = begin(conn)?;
    let current: Option<i64> = tx
        .query_row(
            "SELECT token FROM artifactory_lease WHERE domain = ?1 AND environment = ?2",
            params![scope.domain, scope.environment],
            |row| row.get(0),
        )
        .optional()?;
    if current != Some(token) {
        return Ok(Intended::LeaseLost);
    }
    let open: Option<String> = tx
        .query_row(
            "SELECT id FROM artifactory_attempts WHERE domain = ?1 AND environment = ?2
             AND state IN ('submitting', 'submitted', 'unknown') ORDER BY seq LIMIT 1",
            params![scope.domain, scope.environment],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = open {
        return Ok(Intended::OpenAttempt(id));
    }
    let mut attempt = intent.attempt.clone();
    if intent.respect_holds
        && let Some(hold) = hold_of(&tx, scope, &attempt.app)?
        && hold.stops(intent.order, &attempt.version, at)
    {
        return Ok(Intended::Held(hold));
    }
    attempt.state = State::Submitting;
    attempt.token = token;
    attempt.created_at = at;
    attempt.updated_at = at;
    record(&tx, scope, &attempt)?;
    if let Some(hold) = &intent.place_hold {
        place_hold(&tx, scope, &attempt.app, (hold, intent.order))?;
    }
    tx.commit()?;
    Ok(Intended::Committed)
}

/// Records a version as deployed.
pub fn record_closed(
    conn: &mut Connection,
    scope: &Scope,
    attempt: &Attempt,
    hold: Option<(&Hold, Order)>,
    token: i64,
) -> rusqlite::Result<()> {
    let at = now();
    let tx = begin(conn)?;
    let mut attempt = attempt.clone();
    attempt.token = token;
    attempt.created_at = at;
    attempt.updated_at = at;
    record(&tx, scope, &attempt)?;
    if let Some(hold) = hold {
        place_hold(&tx, scope, &attempt.app, hold)?;
    }
    tx.commit()
}

/// Moves an attempt out of `from`; false where it isn't there.
pub fn advance(
    conn: &mut Connection,
    id: &str,
    from: State,
    step: &Move,
    counts: bool,
    token: i64,
) -> rusqlite::Result<bool> {
    let at = now();
    let tx = begin(conn)?;
    let moved = tx.execute(
        "UPDATE artifactory_attempts SET state = ?3, deploy_id = COALESCE(?4, deploy_id),
             message = ?5, counts = ?6, updated_at = ?7, verdict = ?8
         WHERE id = ?1 AND state = ?2",
        params![
            id,
            from.as_str(),
            step.to.stored().as_str(),
            step.deploy_id,
            step.message,
            counts,
            at,
            step.to.verdict()
        ],
    )?;
    if moved == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, step.to.as_str(), at, step.message, token],
    )?;
    // The original's row tells of the app's latest attempt only.
    tx.execute(
        "UPDATE artifactory_deploys
         SET status = ?2, updated_at = ?3, deploy_id = COALESCE(a.deploy_id, '')
         FROM artifactory_attempts a
         WHERE a.id = ?1 AND artifactory_deploys.domain = a.domain
           AND artifactory_deploys.environment = a.environment
           AND artifactory_deploys.service_name = a.app
           AND artifactory_deploys.version = a.version
           AND a.seq = (SELECT MAX(l.seq) FROM artifactory_attempts l
               WHERE l.domain = a.domain AND l.environment = a.environment AND l.app = a.app)",
        params![id, step.to.legacy_status(), datetime(at)],
    )?;
    tx.commit()?;
    Ok(true)
}

/// The attempt, its first event, and the original's row.
fn record(tx: &Transaction<'_>, scope: &Scope, attempt: &Attempt) -> rusqlite::Result<()> {
    insert(tx, scope, attempt)?;
    add_event(tx, attempt, attempt.created_at)?;
    tx.execute(
        "INSERT INTO artifactory_deploys
             (deploy_id, domain, environment, service_name, version, status, updated_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (domain, environment, service_name) DO UPDATE SET
             deploy_id = excluded.deploy_id, version = excluded.version,
             status = excluded.status, updated_at = excluded.updated_at",
        params![
            attempt.deploy_id.as_deref().unwrap_or_default(),
            scope.domain,
            scope.environment,
            attempt.app,
            attempt.version,
            attempt.state.legacy_status(),
            datetime(attempt.updated_at)
        ],
    )?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, scope: &Scope, attempt: &Attempt) -> rusqlite::Result<()> {
    let suffixes = attempt
        .suffixes_before
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    tx.prepare_cached(
        "INSERT INTO artifactory_attempts
             (id, app, version, service_name, num_instances, state, deploy_id,
              payload_sha256, template_sha256, suffixes_before, counts, command, token, created_at,
              updated_at, message, domain, environment, verdict)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
              ?19)",
    )?
    .execute(params![
        attempt.id,
        attempt.app,
        attempt.version,
        attempt.service_name,
        attempt.num_instances,
        attempt.state.stored().as_str(),
        attempt.deploy_id,
        attempt.payload_sha256,
        attempt.template_sha256,
        suffixes,
        attempt.counts,
        attempt.command,
        attempt.token,
        attempt.created_at,
        attempt.updated_at,
        attempt.message,
        scope.domain,
        scope.environment,
        attempt.state.verdict()
    ])?;
    Ok(())
}

fn add_event(tx: &Transaction<'_>, attempt: &Attempt, at: i64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            attempt.id,
            attempt.state.as_str(),
            at,
            attempt.message,
            attempt.token
        ],
    )?;
    Ok(())
}

fn hold_of(conn: &Connection, scope: &Scope, app: &str) -> rusqlite::Result<Option<Hold>> {
    conn.query_row(
        "SELECT reason, until, newer_than, placed_by, placed_at FROM artifactory_holds
         WHERE domain = ?1 AND environment = ?2 AND app = ?3",
        params![scope.domain, scope.environment, app],
        read::hold,
    )
    .optional()
}

/// Puts a hold beside the one that stands, and returns what stands then.
pub fn put_hold(
    conn: &mut Connection,
    scope: &Scope,
    app: &str,
    hold: (&Hold, Order),
) -> rusqlite::Result<Hold> {
    let tx = begin(conn)?;
    let standing = place_hold(&tx, scope, app, hold)?;
    tx.commit()?;
    Ok(standing)
}

fn place_hold(
    tx: &Transaction<'_>,
    scope: &Scope,
    app: &str,
    (hold, order): (&Hold, Order),
) -> rusqlite::Result<Hold> {
    let found = hold_of(tx, scope, app)?;
    let hold = hold.clone().beside(found.as_ref(), order, now());
    tx.execute(
        "INSERT INTO artifactory_holds
             (domain, environment, app, reason, until, newer_than, placed_by, placed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (domain, environment, app) DO UPDATE SET
             reason = excluded.reason, until = excluded.until, newer_than = excluded.newer_than,
             placed_by = excluded.placed_by, placed_at = excluded.placed_at",
        params![
            scope.domain,
            scope.environment,
            app,
            hold.reason,
            hold.until,
            hold.newer_than,
            hold.placed_by,
            hold.placed_at
        ],
    )?;
    Ok(hold)
}

/// Lifts a hold; false where there was none.
pub fn lift_hold(conn: &Connection, scope: &Scope, app: &str) -> rusqlite::Result<bool> {
    let lifted = conn.execute(
        "DELETE FROM artifactory_holds WHERE domain = ?1 AND environment = ?2 AND app = ?3",
        params![scope.domain, scope.environment, app],
    )?;
    Ok(lifted > 0)
}

/// Keeps a pass, and of the scope's passes the last [`PASSES_KEPT`].
pub fn finish_pass(
    conn: &mut Connection,
    scope: &Scope,
    pass: &PassRecord,
) -> rusqlite::Result<()> {
    let broken = |e| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
    let report = serde_json::to_string(&pass.report).map_err(broken)?;
    let bad_payloads = serde_json::to_string(&pass.bad_payloads).map_err(broken)?;
    let tx = begin(conn)?;
    tx.execute(
        "INSERT INTO artifactory_passes (domain, environment, command, started_at, finished_at,
             exit_code, busy, report, bad_payloads, pass)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            scope.domain,
            scope.environment,
            pass.report.command,
            milliseconds(&pass.report.started_at),
            milliseconds(&pass.report.finished_at),
            pass.report.exit_code,
            pass.busy,
            report,
            bad_payloads,
            pass.report.pass
        ],
    )?;
    tx.execute(
        "DELETE FROM artifactory_passes WHERE domain = ?1 AND environment = ?2 AND seq <=
             (SELECT seq FROM artifactory_passes WHERE domain = ?1 AND environment = ?2
              ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
        params![scope.domain, scope.environment, PASSES_KEPT],
    )?;
    tx.commit()
}

/// Stores a token of the HTTP API.
pub fn add_token(conn: &Connection, name: &str, stored: &str) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO artifactory_auth_tokens (token, created_at, updated_at, name)
         VALUES (?1, ?2, ?2, ?3)",
        params![stored, datetime(now()), name],
    )?;
    Ok(())
}

/// Removes a token; false where there was none.
pub fn revoke_token(conn: &Connection, id: i64) -> rusqlite::Result<bool> {
    let revoked = conn.execute("DELETE FROM artifactory_auth_tokens WHERE id = ?1", [id])?;
    Ok(revoked > 0)
}
