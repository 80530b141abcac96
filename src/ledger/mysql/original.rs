//! The original's table of deploys, whose columns and collation are its owner's.

use std::collections::BTreeMap;

use mysql::prelude::Queryable;
use mysql::{Conn, Row, params};

use super::read::Columns;
use super::session::Sql;
use crate::ledger::Attempt;
use crate::ledger::takeover::{OriginalRow, datetime};
use crate::model::name::Scope;

/// How many names are asked for in one statement.
const NAMES_AT_ONCE: usize = 200;

/// The rows of the original's table, oldest first. A collation may give the rows of other scopes
/// too: names are compared here, byte by byte.
pub fn rows(conn: &mut impl Queryable, scope: &Scope) -> Sql<Vec<OriginalRow>> {
    let rows: Vec<Row> = conn.exec(
        "SELECT domain, environment, service_name, version, CAST(status AS SIGNED), deploy_id,
                CAST(created_at AS CHAR), CAST(updated_at AS CHAR)
         FROM artifactory_deploys WHERE domain = :d AND environment = :e ORDER BY id",
        params! { "d" => &scope.domain, "e" => &scope.environment },
    )?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let mut row = Columns::of(row);
        let (domain, environment): (String, String) = (row.get()?, row.get()?);
        if domain == scope.domain && environment == scope.environment {
            found.push(OriginalRow {
                app: row.get()?,
                version: row.get()?,
                status: row.get()?,
                deploy_id: row.get()?,
                created_at: row.get()?,
                updated_at: row.get()?,
            });
        }
    }
    Ok(found)
}

/// The row of the original's table that has the place of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody's.
    Free,
    /// The app's own row.
    Own(i64),
    /// The row of this other name, which the unique key takes for the same.
    Taken(String),
}

/// Whose the place of an app in the original's table is.
pub fn place(conn: &mut impl Queryable, scope: &Scope, app: &str) -> Sql<Place> {
    let row: Option<Row> = conn.exec_first(
        "SELECT id, domain, environment, service_name FROM artifactory_deploys
         WHERE domain = :d AND environment = :e AND service_name = :app",
        params! { "d" => &scope.domain, "e" => &scope.environment, app },
    )?;
    let Some(row) = row else {
        return Ok(Place::Free);
    };
    let mut row = Columns::of(row);
    let id = row.get()?;
    let (domain, environment): (String, String) = (row.get()?, row.get()?);
    let name: String = row.get()?;
    Ok(
        if domain != scope.domain || environment != scope.environment {
            Place::Taken(format!("{name} of {domain} {environment}"))
        } else if name != app {
            Place::Taken(name)
        } else {
            Place::Own(id)
        },
    )
}

/// The apps whose place another name has, with that name.
pub fn name_conflicts(
    conn: &mut Conn,
    scope: &Scope,
    apps: &[&str],
) -> Sql<BTreeMap<String, String>> {
    let mut conflicts = BTreeMap::new();
    for names in apps.chunks(NAMES_AT_ONCE) {
        let marks = vec!["?"; names.len()].join(", ");
        let mut values: Vec<&str> = vec![&scope.domain, &scope.environment];
        values.extend(names);
        let found: Option<i64> = conn.exec_first(
            format!(
                "SELECT COUNT(*) FROM artifactory_deploys
                 WHERE domain = ? AND environment = ? AND service_name IN ({marks})"
            ),
            values,
        )?;
        if found == Some(0) {
            continue;
        }
        // Which of them the collation means is asked one by one: that is rare.
        for app in names {
            if let Place::Taken(row) = place(conn, scope, app)? {
                conflicts.insert((*app).to_owned(), row);
            }
        }
    }
    Ok(conflicts)
}

/// Writes what the row says of the app's latest attempt. Returns the name that has the app's
/// place, where another one has: nothing is written then.
pub fn write(conn: &mut impl Queryable, scope: &Scope, attempt: &Attempt) -> Sql<Option<String>> {
    let statement = match place(conn, scope, &attempt.app)? {
        Place::Taken(name) => return Ok(Some(name)),
        Place::Own(_) => {
            "UPDATE artifactory_deploys SET deploy_id = :deploy_id, version = :version,
                 status = :status, updated_at = :at
             WHERE domain = :d AND environment = :e AND service_name = :app"
        }
        Place::Free => {
            "INSERT INTO artifactory_deploys
                 (deploy_id, domain, environment, service_name, version, status, updated_at, created_at)
             VALUES (:deploy_id, :d, :e, :app, :version, :status, :at, :at)"
        }
    };
    conn.exec_drop(
        statement,
        params! {
            "deploy_id" => attempt.deploy_id.as_deref().unwrap_or_default(),
            "d" => &scope.domain,
            "e" => &scope.environment,
            "app" => &attempt.app,
            "version" => &attempt.version,
            "status" => attempt.state.legacy_status(),
            "at" => datetime(attempt.updated_at),
        },
    )?;
    Ok(None)
}
