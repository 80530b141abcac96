//! The table of holds.

use super::database::{Begin, Database, Sql, Transaction, all, first};
use super::value::{Row, Unreadable, Value, values};
use crate::model::name::Scope;
use crate::model::plan::Hold;
use crate::model::version::Order;

/// The columns that [`hold`] reads.
const HOLD: &str = "reason, until, newer_than, placed_by, placed_at";

fn hold(row: &mut Row) -> Result<Hold, Unreadable> {
    Ok(Hold {
        reason: row.get()?,
        until: row.get()?,
        newer_than: row.get()?,
        placed_by: row.get()?,
        placed_at: row.get()?,
    })
}

/// The holds of the scope, with their apps.
pub fn holds(db: &mut dyn Database, scope: &Scope) -> Sql<Vec<(String, Hold)>> {
    let sql =
        format!("SELECT app, {HOLD} FROM artifactory_holds WHERE domain = ? AND environment = ?");
    all(
        db,
        &sql,
        &values![&scope.domain, &scope.environment],
        |row| Ok((row.get()?, hold(row)?)),
    )
}

/// The hold on one app, as it is now; nobody changes it before the transaction ends.
pub fn find(tx: &mut dyn Database, scope: &Scope, app: &str) -> Sql<Option<Hold>> {
    let sql = format!(
        "SELECT {HOLD} FROM artifactory_holds WHERE domain = ? AND environment = ? AND app = ?{}",
        tx.dialect().for_update
    );
    let values = values![&scope.domain, &scope.environment, app];
    first(tx, &sql, &values, hold)
}

/// Puts a hold beside the one that stands, and returns what stands then.
pub fn put(
    db: &mut dyn Database,
    scope: &Scope,
    app: &str,
    hold: (&Hold, Order),
    at: i64,
) -> Sql<Hold> {
    let mut tx = Transaction::begin(db, Begin::Write)?;
    let standing = place(&mut *tx, scope, app, hold, at)?;
    tx.commit()?;
    Ok(standing)
}

/// [`put`] in a transaction. The row is written before it is read: on a server what is not there
/// yet cannot be locked at every isolation level, and of two that are put at once none may be lost.
pub fn place(
    tx: &mut dyn Database,
    scope: &Scope,
    app: &str,
    (hold, order): (&Hold, Order),
    at: i64,
) -> Sql<Hold> {
    let name = values![&scope.domain, &scope.environment, app];
    let with_name = |columns: [Value; 5]| columns.into_iter().chain(name.clone());
    let insert = format!(
        "INSERT INTO artifactory_holds ({HOLD}, domain, environment, app)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) {}",
        tx.dialect().keep
    );
    let values: Vec<Value> = with_name(columns(hold)).collect();
    tx.execute(&insert, &values)?;
    let found = find(tx, scope, app)?;
    let standing = hold.clone().beside(found.as_ref(), order, at);
    if found.as_ref() != Some(&standing) {
        let values: Vec<Value> = with_name(columns(&standing)).collect();
        tx.execute(
            "UPDATE artifactory_holds
             SET reason = ?, until = ?, newer_than = ?, placed_by = ?, placed_at = ?
             WHERE domain = ? AND environment = ? AND app = ?",
            &values,
        )?;
    }
    Ok(standing)
}

/// The values of [`HOLD`].
fn columns(hold: &Hold) -> [Value; 5] {
    values![
        &hold.reason,
        hold.until,
        &hold.newer_than,
        &hold.placed_by,
        hold.placed_at
    ]
}

/// Lifts a hold; false where there was none.
pub fn lift(db: &mut dyn Database, scope: &Scope, app: &str) -> Sql<bool> {
    let lifted = db.execute(
        "DELETE FROM artifactory_holds WHERE domain = ? AND environment = ? AND app = ?",
        &values![&scope.domain, &scope.environment, app],
    )?;
    Ok(lifted > 0)
}
