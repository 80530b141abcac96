//! The bearer tokens of the HTTP API.

use mysql::prelude::Queryable;
use mysql::{Conn, params};

use super::session::Sql;
use crate::ledger::takeover::{datetime, now};

/// Stores a token of the HTTP API.
pub fn add_token(conn: &mut Conn, name: &str, stored: &str) -> Sql<()> {
    Ok(conn.exec_drop(
        "INSERT INTO artifactory_auth_tokens (token, created_at, updated_at, name)
         VALUES (:stored, :at, :at, :name)",
        params! { name, stored, "at" => datetime(now()) },
    )?)
}

/// Removes a token; false where there was none.
pub fn revoke_token(conn: &mut Conn, id: i64) -> Sql<bool> {
    conn.exec_drop("DELETE FROM artifactory_auth_tokens WHERE id = ?", (id,))?;
    Ok(conn.affected_rows() > 0)
}
