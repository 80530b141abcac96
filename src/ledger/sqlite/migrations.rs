//! The migrations of `db/sqlite/`, and the one place that applies them.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::clock::{Clock, System};
use crate::ledger::schema::{Migration, Schema, migrations};

/// The migrations.
const MIGRATIONS: [Migration; 5] = migrations!("sqlite");

const TABLE: &str = "CREATE TABLE IF NOT EXISTS artifactory_migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT";

/// The schema of a database.
pub fn schema(conn: &Connection) -> rusqlite::Result<Schema> {
    let table: Option<i64> = conn
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'artifactory_migrations'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if table.is_none() {
        let tables: i64 =
            conn.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let original: i64 = conn.query_row(
            "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'
             AND name IN ('artifactory_deploys', 'artifactory_auth_tokens')",
            [],
            |row| row.get(0),
        )?;
        return Ok(match (tables, original) {
            (0, _) => Schema::Empty,
            (_, 2) => Schema::Original,
            _ => Schema::Older,
        });
    }
    let (last, count): (i64, i64) = conn.query_row(
        "SELECT COALESCE(MAX(number), 0), COUNT(*) FROM artifactory_migrations",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(Schema::of(&MIGRATIONS, last, count))
}

/// Applies what is missing, in one transaction: of several processes one does it, the others wait
/// and find it done. A schema from the future is left alone. The result is the schema as found.
pub fn migrate(conn: &mut Connection) -> rusqlite::Result<Schema> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema(&tx)?;
    if !found.is_behind() {
        return Ok(found);
    }
    tx.execute_batch(TABLE)?;
    for (number, name, sql) in MIGRATIONS {
        let done: Option<i64> = tx
            .query_row(
                "SELECT number FROM artifactory_migrations WHERE number = ?1",
                [number],
                |row| row.get(0),
            )
            .optional()?;
        if done.is_none() {
            tx.execute_batch(sql)?;
            tx.execute(
                "INSERT INTO artifactory_migrations (number, name, applied_at) VALUES (?1, ?2, ?3)",
                params![number, name, System.now_ms()],
            )?;
        }
    }
    tx.commit()?;
    Ok(found)
}
