//! What is written to the ledger, each in one transaction. Every function may be run again after
//! the connection was lost: what the first run did is found done.

use mysql::prelude::Queryable;
use mysql::{Conn, Transaction, TxOpts, params};

use super::session::{Fault, Sql};
use super::{original, read};
use crate::ledger::takeover::{milliseconds, now};
use crate::ledger::{Attempt, Intended, Intent, PassRecord, Snapshot};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// How many passes of a scope are kept.
const PASSES_KEPT: u32 = 200;

fn begin(conn: &mut Conn) -> Sql<Transaction<'_>> {
    Ok(conn.start_transaction(TxOpts::default())?)
}

fn json(value: &impl serde::Serialize) -> Sql<String> {
    serde_json::to_string(value).map_err(|e| Fault::Data(e.to_string()))
}

/// Goes on only under the lease of this token. Its row stays locked until the transaction ends, so
/// that nobody takes the lease over meanwhile; written, not read, for Galera's sake. A process
/// that stood still may get here long after it asked whether the lease is held.
fn fence(tx: &mut Transaction<'_>, scope: &Scope, token: i64) -> Sql<()> {
    tx.exec_drop(
        "UPDATE artifactory_lease SET beat = beat + 1
         WHERE domain = :d AND environment = :e AND token = :token AND holder_id IS NOT NULL",
        params! { "d" => &scope.domain, "e" => &scope.environment, token },
    )?;
    if tx.affected_rows() == 1 {
        Ok(())
    } else {
        Err(Fault::LeaseLost)
    }
}

/// What the original's rows say that no attempt accounts for.
fn untold(conn: &mut impl Queryable, scope: &Scope) -> Sql<Vec<Attempt>> {
    let mut known = Snapshot::default();
    read::latest_and_open(conn, scope, &mut known)?;
    let rows = original::rows(conn, scope)?;
    Ok(rows
        .iter()
        .filter_map(|row| row.attempt(scope, known.latest.get(&row.app)))
        .collect())
}

/// Makes attempts of the original's rows that no attempt accounts for.
pub fn take_over(conn: &mut Conn, scope: &Scope, token: i64) -> Sql<()> {
    if untold(conn, scope)?.is_empty() {
        return Ok(());
    }
    let mut tx = begin(conn)?;
    fence(&mut tx, scope, token)?;
    for mut attempt in untold(&mut tx, scope)? {
        attempt.token = token;
        insert(&mut tx, scope, &attempt)?;
        add_event(&mut tx, &attempt, now())?;
        if let original::Place::Own(id) = original::place(&mut tx, scope, &attempt.app)? {
            tx.exec_drop(
                "UPDATE artifactory_deploys SET status = :status WHERE id = :id AND status <> :status",
                params! { id, "status" => attempt.state.legacy_status() },
            )?;
        }
    }
    Ok(tx.commit()?)
}

/// Commits an intent under the lease with this token, or says why not. The slot of the lease's
/// row and the attempt are taken in one conditional write: on Galera only rows that are written
/// exclude another node. A slot whose attempt is not open, as one leaves it who ends an attempt by
/// hand, is taken for an empty one.
pub fn intend(conn: &mut Conn, scope: &Scope, intent: &Intent, token: i64) -> Sql<Intended> {
    let mut tx = begin(conn)?;
    let mut attempt = intent.attempt.clone();
    let of =
        params! { "d" => &scope.domain, "e" => &scope.environment, token, "id" => &attempt.id };
    tx.exec_drop(
        "UPDATE artifactory_lease SET open_attempt = :id, beat = beat + 1,
             expires_at = UTC_TIMESTAMP(6) + INTERVAL ttl_ms * 1000 MICROSECOND
         WHERE domain = :d AND environment = :e AND token = :token AND holder_id IS NOT NULL
           AND (open_attempt IS NULL OR NOT EXISTS
               (SELECT 1 FROM artifactory_attempts a WHERE a.id = artifactory_lease.open_attempt
                AND a.state IN ('submitting', 'submitted', 'unknown')))",
        of,
    )?;
    if tx.affected_rows() != 1 {
        return Ok(match slot(&mut tx, scope, token)? {
            Some(id) => Intended::OpenAttempt(id),
            None => Intended::LeaseLost,
        });
    }
    let open: Option<String> = tx.exec_first(
        "SELECT id FROM artifactory_attempts WHERE domain = :d AND environment = :e
         AND state IN ('submitting', 'submitted', 'unknown') ORDER BY seq LIMIT 1",
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    if let Some(id) = open {
        return Ok(Intended::OpenAttempt(id));
    }
    let at = now();
    if intent.respect_holds
        && let Some(hold) = read::hold_of(&mut tx, scope, &attempt.app)?
        && hold.stops(intent.order, &attempt.version, at)
    {
        return Ok(Intended::Held(hold));
    }
    attempt.state = State::Submitting;
    attempt.token = token;
    attempt.created_at = at;
    attempt.updated_at = at;
    if let Some(name) = record(&mut tx, scope, &attempt)? {
        return Ok(Intended::NameTaken(name));
    }
    if let Some(hold) = &intent.place_hold {
        place_hold(&mut tx, scope, &attempt.app, (hold, intent.order))?;
    }
    tx.commit()?;
    Ok(Intended::Committed)
}

/// The attempt that has the slot, where the lease of this token is still held.
fn slot(conn: &mut impl Queryable, scope: &Scope, token: i64) -> Sql<Option<String>> {
    let found: Option<Option<String>> = conn.exec_first(
        "SELECT open_attempt FROM artifactory_lease
         WHERE domain = :d AND environment = :e AND token = :token AND holder_id IS NOT NULL",
        params! { "d" => &scope.domain, "e" => &scope.environment, token },
    )?;
    Ok(found.flatten())
}

/// Records a version as deployed, or says which name has the app's place.
pub fn record_closed(
    conn: &mut Conn,
    scope: &Scope,
    attempt: &Attempt,
    hold: Option<(&Hold, Order)>,
    token: i64,
) -> Sql<Option<String>> {
    let mut tx = begin(conn)?;
    if read::attempt_of(&mut tx, &attempt.id)?.is_some() {
        return Ok(None);
    }
    fence(&mut tx, scope, token)?;
    let mut attempt = attempt.clone();
    attempt.token = token;
    attempt.created_at = now();
    attempt.updated_at = attempt.created_at;
    if let Some(name) = record(&mut tx, scope, &attempt)? {
        return Ok(Some(name));
    }
    if let Some(hold) = hold {
        place_hold(&mut tx, scope, &attempt.app, hold)?;
    }
    tx.commit()?;
    Ok(None)
}

/// Moves an attempt out of `from`; false where it isn't there. With `again`, a move that an
/// earlier run has made counts as made. What became of an attempt of its own a holder may record
/// when its lease is gone too; of another one's only a holder that is one still may judge.
pub fn advance(
    conn: &mut Conn,
    id: &str,
    from: State,
    step: &Move,
    (counts, token, again): (bool, i64, bool),
) -> Sql<bool> {
    let at = now();
    let mut tx = begin(conn)?;
    // Only who settles needs the right to write the verdict. No open state has one.
    let verdict = step
        .to
        .verdict()
        .map_or(String::new(), |v| format!("verdict = '{v}',"));
    tx.exec_drop(
        format!(
            "UPDATE artifactory_attempts
             SET state = :to, {verdict} deploy_id = COALESCE(:deploy_id, deploy_id),
                 message = :message, counts = :counts, updated_at = :at
             WHERE id = :id AND state = :from"
        ),
        params! {
            id, counts, at, "from" => from.as_str(), "to" => step.to.stored().as_str(),
            "deploy_id" => &step.deploy_id, "message" => &step.message,
        },
    )?;
    if tx.affected_rows() == 0 {
        let found = read::attempt_of(&mut tx, id)?;
        return Ok(again && found.is_some_and(|a| a.state == step.to && a.message == step.message));
    }
    tx.exec_drop(
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token)
         VALUES (:id, :state, :at, :message, :token)",
        params! { id, at, token, "state" => step.to.as_str(), "message" => &step.message },
    )?;
    let Some(attempt) = read::attempt_of(&mut tx, id)? else {
        return Err(Fault::Data(format!("attempt {id} is gone")));
    };
    let (scope, is_latest) = whereabouts(&mut tx, &attempt)?;
    if attempt.token != token {
        fence(&mut tx, &scope, token)?;
    }
    let told: Option<String> = tx.exec_first(
        "SELECT version FROM artifactory_deploys
         WHERE domain = :d AND environment = :e AND service_name = :app",
        params! { "d" => &scope.domain, "e" => &scope.environment, "app" => &attempt.app },
    )?;
    // The original's row tells of the app's latest attempt only.
    if is_latest && told.as_ref() == Some(&attempt.version) {
        original::write(&mut tx, &scope, &attempt)?;
    }
    if !step.to.is_open() {
        tx.exec_drop(
            "UPDATE artifactory_lease SET open_attempt = NULL
             WHERE domain = :d AND environment = :e AND open_attempt = :id",
            params! { id, "d" => &scope.domain, "e" => &scope.environment },
        )?;
    }
    tx.commit()?;
    Ok(true)
}

/// The scope of an attempt, and whether it is the latest of its app.
fn whereabouts(conn: &mut impl Queryable, attempt: &Attempt) -> Sql<(Scope, bool)> {
    let found: Option<(String, String, bool)> = conn.exec_first(
        "SELECT a.domain, a.environment, a.seq = (SELECT MAX(l.seq) FROM artifactory_attempts l
             WHERE l.domain = a.domain AND l.environment = a.environment AND l.app = a.app)
         FROM artifactory_attempts a WHERE a.id = ?",
        (&attempt.id,),
    )?;
    let (domain, environment, is_latest) =
        found.ok_or_else(|| Fault::Data(format!("attempt {} is gone", attempt.id)))?;
    let scope = Scope {
        domain,
        environment,
    };
    Ok((scope, is_latest))
}

/// The attempt, its first event, and the original's row. Returns the name that has the app's
/// place there, where another one has.
fn record(tx: &mut Transaction<'_>, scope: &Scope, attempt: &Attempt) -> Sql<Option<String>> {
    if let Some(name) = original::write(tx, scope, attempt)? {
        return Ok(Some(name));
    }
    insert(tx, scope, attempt)?;
    add_event(tx, attempt, attempt.created_at)?;
    Ok(None)
}

fn insert(tx: &mut Transaction<'_>, scope: &Scope, attempt: &Attempt) -> Sql<()> {
    let suffixes = attempt.suffixes_before.as_ref().map(json).transpose()?;
    Ok(tx.exec_drop(
        "INSERT INTO artifactory_attempts
             (id, app, version, service_name, num_instances, state, deploy_id,
              payload_sha256, template_sha256, suffixes_before, counts, command, token, created_at,
              updated_at, message, domain, environment, verdict)
         VALUES (:id, :app, :version, :service_name, :num_instances, :state, :deploy_id,
             :payload_sha256, :template_sha256, :suffixes, :counts, :command, :token,
             :created_at, :updated_at, :message, :d, :e, :verdict)",
        params! {
            "id" => &attempt.id,
            "app" => &attempt.app,
            "version" => &attempt.version,
            "service_name" => &attempt.service_name,
            "num_instances" => attempt.num_instances,
            "state" => attempt.state.stored().as_str(),
            "verdict" => attempt.state.verdict(),
            "deploy_id" => &attempt.deploy_id,
            "payload_sha256" => &attempt.payload_sha256,
            "template_sha256" => &attempt.template_sha256,
            suffixes,
            "counts" => attempt.counts,
            "command" => &attempt.command,
            "token" => attempt.token,
            "created_at" => attempt.created_at,
            "updated_at" => attempt.updated_at,
            "message" => &attempt.message,
            "d" => &scope.domain,
            "e" => &scope.environment,
        },
    )?)
}

fn add_event(tx: &mut Transaction<'_>, attempt: &Attempt, at: i64) -> Sql<()> {
    Ok(tx.exec_drop(
        "INSERT INTO artifactory_attempt_events (attempt, state, at, message, token)
         VALUES (:id, :state, :at, :message, :token)",
        params! {
            at, "id" => &attempt.id, "state" => attempt.state.as_str(),
            "message" => &attempt.message, "token" => attempt.token,
        },
    )?)
}

/// Puts a hold beside the one that stands, and returns what stands then.
pub fn put_hold(conn: &mut Conn, scope: &Scope, app: &str, hold: (&Hold, Order)) -> Sql<Hold> {
    let mut tx = begin(conn)?;
    let standing = place_hold(&mut tx, scope, app, hold)?;
    tx.commit()?;
    Ok(standing)
}

/// [`put_hold`] in a transaction. The row is written before it is read: what is not there yet
/// cannot be locked at every isolation level, and of two that are put at once none may be lost.
fn place_hold(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    app: &str,
    (hold, order): (&Hold, Order),
) -> Sql<Hold> {
    let of = |hold: &Hold| {
        params! {
            app,
            "d" => &scope.domain,
            "e" => &scope.environment,
            "reason" => &hold.reason,
            "until" => hold.until,
            "newer_than" => &hold.newer_than,
            "placed_by" => &hold.placed_by,
            "placed_at" => hold.placed_at,
        }
    };
    tx.exec_drop(
        "INSERT INTO artifactory_holds
             (domain, environment, app, reason, until, newer_than, placed_by, placed_at)
         VALUES (:d, :e, :app, :reason, :until, :newer_than, :placed_by, :placed_at)
         ON DUPLICATE KEY UPDATE placed_at = placed_at",
        of(hold),
    )?;
    let found = read::hold_of(tx, scope, app)?;
    let standing = hold.clone().beside(found.as_ref(), order, now());
    if found.as_ref() != Some(&standing) {
        tx.exec_drop(
            "UPDATE artifactory_holds SET reason = :reason, until = :until,
                 newer_than = :newer_than, placed_by = :placed_by, placed_at = :placed_at
             WHERE domain = :d AND environment = :e AND app = :app",
            of(&standing),
        )?;
    }
    Ok(standing)
}

/// Lifts a hold; false where there was none.
pub fn lift_hold(conn: &mut Conn, scope: &Scope, app: &str) -> Sql<bool> {
    conn.exec_drop(
        "DELETE FROM artifactory_holds WHERE domain = :d AND environment = :e AND app = :app",
        params! { app, "d" => &scope.domain, "e" => &scope.environment },
    )?;
    Ok(conn.affected_rows() > 0)
}

/// Keeps a pass, and of the scope's passes the last [`PASSES_KEPT`].
pub fn finish_pass(conn: &mut Conn, scope: &Scope, pass: &PassRecord) -> Sql<()> {
    let report = json(&pass.report)?;
    let bad_payloads = json(&pass.bad_payloads)?;
    let mut tx = begin(conn)?;
    let of =
        params! { "d" => &scope.domain, "e" => &scope.environment, "pass" => &pass.report.pass };
    let is_kept: Option<i64> = tx.exec_first(
        "SELECT seq FROM artifactory_passes
         WHERE domain = :d AND environment = :e AND pass = :pass LIMIT 1",
        of,
    )?;
    if is_kept.is_some() {
        return Ok(());
    }
    tx.exec_drop(
        "INSERT INTO artifactory_passes (domain, environment, command, started_at, finished_at,
             exit_code, busy, report, bad_payloads, pass)
         VALUES (:d, :e, :command, :started_at, :finished_at, :exit_code, :busy, :report,
             :bad_payloads, :pass)",
        params! {
            report,
            bad_payloads,
            "d" => &scope.domain,
            "e" => &scope.environment,
            "command" => &pass.report.command,
            "started_at" => milliseconds(&pass.report.started_at),
            "finished_at" => milliseconds(&pass.report.finished_at),
            "exit_code" => pass.report.exit_code,
            "busy" => pass.busy,
            "pass" => &pass.report.pass,
        },
    )?;
    let last_gone: Option<i64> = tx.exec_first(
        format!(
            "SELECT seq FROM artifactory_passes WHERE domain = :d AND environment = :e
             ORDER BY seq DESC LIMIT 1 OFFSET {PASSES_KEPT}"
        ),
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    if let Some(seq) = last_gone {
        tx.exec_drop(
            "DELETE FROM artifactory_passes WHERE domain = :d AND environment = :e AND seq <= :seq",
            params! { seq, "d" => &scope.domain, "e" => &scope.environment },
        )?;
    }
    Ok(tx.commit()?)
}
