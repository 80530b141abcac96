//! The original's table of tokens of the HTTP API.

use super::database::{Database, Sql, all, first};
use super::value::values;
use crate::ledger::TokenRow;
use crate::ledger::original::datetime;
use crate::secret::Secret;

/// The tokens, oldest first.
pub fn tokens(db: &mut dyn Database) -> Sql<Vec<TokenRow>> {
    all(
        db,
        "SELECT id, token, name, CAST(created_at AS CHAR) FROM artifactory_auth_tokens ORDER BY id",
        &[],
        |row| {
            Ok(TokenRow {
                id: row.get()?,
                stored: Secret::new(row.get()?),
                name: row.get()?,
                created_at: row.get()?,
            })
        },
    )
}

/// Stores a token. With `again`, one that an earlier run has stored counts as stored.
pub fn add(db: &mut dyn Database, name: &str, stored: &str, (at, again): (i64, bool)) -> Sql<()> {
    let find = "SELECT 1 FROM artifactory_auth_tokens WHERE token = ?";
    if again && first(db, find, &values![stored], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let at = datetime(at);
    db.execute(
        "INSERT INTO artifactory_auth_tokens (token, created_at, updated_at, name)
         VALUES (?, ?, ?, ?)",
        &values![stored, at.as_str(), at.as_str(), name],
    )?;
    Ok(())
}

/// Removes a token; false where there was none.
pub fn revoke(db: &mut dyn Database, id: i64) -> Sql<bool> {
    let sql = "DELETE FROM artifactory_auth_tokens WHERE id = ?";
    Ok(db.execute(sql, &values![id])? > 0)
}
