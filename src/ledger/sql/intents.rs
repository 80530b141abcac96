//! What makes, moves and ends attempts, each in one transaction. Every function but [`intend`] may
//! be run again after the connection was lost: what the first run did is found done.

use super::database::{Begin, Database, Failure, Sql, Transaction, first, json};
use super::value::{Row, Value, values};
use super::{attempts, deploys, holds, snapshot};
use crate::ledger::{Attempt, AttemptEvent, Fence, Intended, Intent};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::model::plan::{EVERY_APP, Hold};
use crate::model::version::Order;

/// Makes attempts of the original's rows that no attempt accounts for.
pub fn take_over(db: &mut dyn Database, scope: &Scope, (fence, at): (&Fence, i64)) -> Sql<()> {
    if snapshot::unaccounted(db, scope)?.is_empty() {
        return Ok(());
    }
    let mut tx = Transaction::begin(db, Begin::Write)?;
    tx.fence(scope, fence)?;
    for mut attempt in snapshot::unaccounted(&mut *tx, scope)? {
        attempt.token = fence.token;
        attempts::insert(&mut *tx, scope, &attempt, at)?;
        deploys::set_status(&mut *tx, scope, &attempt)?;
    }
    tx.commit()
}

/// Commits an intent under the lease with this token, or says why not.
pub fn intend(
    db: &mut dyn Database,
    scope: &Scope,
    intent: &Intent,
    (fence, at): (&Fence, i64),
) -> Sql<Intended> {
    let mut tx = Transaction::begin(db, Begin::Write)?;
    let mut attempt = intent.attempt.clone();
    if let Some(refused) = tx.claim(scope, &attempt.id, fence)? {
        return Ok(refused);
    }
    let open = format!(
        "SELECT id FROM artifactory_attempts WHERE domain = ? AND environment = ? AND state IN {}
         ORDER BY +seq LIMIT 1",
        attempts::OPEN
    );
    let values = values![&scope.domain, &scope.environment];
    if let Some(id) = first(&mut *tx, &open, &values, Row::get)? {
        return Ok(Intended::OpenAttempt(id));
    }
    if attempts::latest(&mut *tx, scope, &attempt.app)? != intent.after {
        return Ok(Intended::Changed);
    }
    let of = |name| intent.respect_holds.then_some(name);
    for name in [of(attempt.app.as_str()), of(EVERY_APP)]
        .into_iter()
        .flatten()
    {
        if let Some(hold) = holds::find(&mut *tx, scope, name)?
            && hold.stops(intent.order, &attempt.version, at)
        {
            return Ok(Intended::Held(hold));
        }
    }
    attempt.state = State::Submitting;
    let hold = intent.place_hold.as_ref().map(|hold| (hold, intent.order));
    if let Some(name) = add(&mut *tx, scope, attempt, hold, (fence, at))? {
        return Ok(Intended::NameTaken(name));
    }
    tx.commit()?;
    Ok(Intended::Committed)
}

/// Records what became of versions without an intent: all, or none where another name has the place of
/// an app; of which, and what name.
pub fn record(
    db: &mut dyn Database,
    scope: &Scope,
    ended: &[Attempt],
    hold: Option<(&Hold, Order)>,
    (fence, at): (&Fence, i64),
) -> Sql<Option<(usize, String)>> {
    let mut tx = Transaction::begin(db, Begin::Write)?;
    // An earlier run may have been cut off after its commit.
    if let Some(first) = ended.first()
        && attempts::find(&mut *tx, &first.id)?.is_some()
    {
        return Ok(None);
    }
    tx.fence(scope, fence)?;
    for (number, attempt) in ended.iter().enumerate() {
        if let Some(name) = add(&mut *tx, scope, attempt.clone(), hold, (fence, at))? {
            return Ok(Some((number, name)));
        }
    }
    tx.commit()?;
    Ok(None)
}

/// The original's row, the attempt with its first event, and a hold. Returns the name that has the
/// app's place in the original's table, where another one has.
fn add(
    tx: &mut dyn Database,
    scope: &Scope,
    mut attempt: Attempt,
    hold: Option<(&Hold, Order)>,
    (fence, at): (&Fence, i64),
) -> Sql<Option<String>> {
    attempt.token = fence.token;
    attempt.created_at = at;
    attempt.updated_at = at;
    if let Some(name) = deploys::write(tx, scope, &attempt)? {
        return Ok(Some(name));
    }
    attempts::insert(tx, scope, &attempt, at)?;
    if let Some(hold) = hold {
        holds::place(tx, scope, &attempt.app, hold, at)?;
    }
    Ok(None)
}

/// Moves an attempt out of `from`; false where it isn't there. With `again`, a move that an
/// earlier run has made counts as made. What became of an attempt of its own (`is_own`) a process may
/// record when its lease is gone too; of another one's only a holder that is one still may judge.
pub fn advance(
    db: &mut dyn Database,
    id: &str,
    from: State,
    step: &Move,
    (counts, is_own, again): (bool, bool, bool),
    (fence, at): (&Fence, i64),
) -> Sql<bool> {
    let mut tx = Transaction::begin(db, Begin::Write)?;
    // Only who settles needs the right to write the verdict. No open state has one.
    let verdict = step.to.verdict();
    let verdict = verdict.map_or(String::new(), |v| format!("verdict = '{v}',"));
    // Nor is there anything to account for but on his word.
    let accounted = (!step.accounted.is_empty()).then_some(&step.accounted);
    let accounted = accounted.map(|v| json(&*tx, v)).transpose()?;
    let column = accounted.as_ref().map_or("", |_| "accounted = ?,");
    let mut values = values![step.to.stored().as_str()].to_vec();
    values.extend(accounted.map(Value::from));
    values.extend(values![
        &step.deploy_id,
        &step.message,
        counts,
        at,
        id,
        from.as_str()
    ]);
    let moved = tx.execute(
        &format!(
            "UPDATE artifactory_attempts
             SET state = ?, {column} {verdict} deploy_id = COALESCE(?, deploy_id), message = ?, counts = ?,
                 updated_at = ?
             WHERE id = ? AND state = ?"
        ),
        &values,
    )?;
    if moved == 0 {
        let found = attempts::find(&mut *tx, id)?;
        return Ok(again && found.is_some_and(|a| a.state == step.to && a.message == step.message));
    }
    let event = AttemptEvent {
        state: step.to,
        at,
        message: step.message.clone(),
        token: fence.token,
    };
    attempts::add_event(&mut *tx, id, &event)?;
    let (attempt, scope, is_latest) = moved_attempt(&mut *tx, id)?;
    if !is_own {
        tx.fence(&scope, fence)?;
    }
    // The original's row tells of the app's latest attempt only.
    if is_latest
        && let deploys::Place::Own(_, version) = deploys::place(&mut *tx, &scope, &attempt.app)?
        && version == attempt.version
    {
        deploys::write(&mut *tx, &scope, &attempt)?;
    }
    if !step.to.is_open() {
        tx.vacate(&scope, id)?;
    }
    tx.commit()?;
    Ok(true)
}

/// An attempt that is there, its scope, and whether it is the latest of its app.
fn moved_attempt(tx: &mut dyn Database, id: &str) -> Sql<(Attempt, Scope, bool)> {
    let attempt = attempts::find(tx, id)?;
    let found = attempts::whereabouts(tx, id)?;
    let found = attempt.zip(found);
    let (attempt, (scope, is_latest)) =
        found.ok_or_else(|| -> Failure { tx.broken(&format!("attempt {id} is gone")) })?;
    Ok((attempt, scope, is_latest))
}
