//! The original's table of deploys, whose columns and collation are its owner's. Where a collation
//! takes several names for one, names are compared here, byte by byte.

use std::collections::BTreeMap;

use super::database::{Database, Sql, all, first};
use super::value::{Value, values};
use crate::ledger::Attempt;
use crate::ledger::original::{OriginalRow, datetime};
use crate::model::name::Scope;

/// How many names are asked for in one statement.
const NAMES_AT_ONCE: usize = 200;

/// The rows of the scope, oldest first.
pub fn rows(db: &mut dyn Database, scope: &Scope) -> Sql<Vec<OriginalRow>> {
    let rows = select(db, scope, "ORDER BY id", &[])?;
    Ok(rows.into_iter().filter_map(Result::ok).collect())
}

/// At most `most` rows of the scope after a name, in the order of the bytes of their names; and the
/// name to ask for the rest after, where there may be more.
pub fn rows_after(
    db: &mut dyn Database,
    scope: &Scope,
    after: &str,
    most: u32,
) -> Sql<(Vec<OriginalRow>, Option<String>)> {
    let name = db.dialect().name_bytes;
    let rest = format!("AND {name} > ? ORDER BY {name} LIMIT ?");
    let rows = select(db, scope, &rest, &values![after, most])?;
    let is_full = rows.len() >= usize::try_from(most).unwrap_or(usize::MAX);
    let last = rows.last().filter(|_| is_full).map(|row| match row {
        Ok(row) => row.app.clone(),
        Err(name) => name.clone(),
    });
    Ok((rows.into_iter().filter_map(Result::ok).collect(), last))
}

/// The rows that a collation takes for those of the scope; `Err`, with its name, where one is not.
fn select(
    db: &mut dyn Database,
    scope: &Scope,
    rest: &str,
    more: &[Value],
) -> Sql<Vec<Result<OriginalRow, String>>> {
    let sql = format!(
        "SELECT domain, environment, service_name, version, CAST(status AS {}), deploy_id,
                CAST(created_at AS CHAR), CAST(updated_at AS CHAR)
         FROM artifactory_deploys WHERE domain = ? AND environment = ? {rest}",
        db.dialect().integer
    );
    let mut values = values![&scope.domain, &scope.environment].to_vec();
    values.extend_from_slice(more);
    all(db, &sql, &values, |row| {
        let (domain, environment): (String, String) = (row.get()?, row.get()?);
        let is_ours = domain == scope.domain && environment == scope.environment;
        let row = OriginalRow {
            app: row.get()?,
            version: row.get()?,
            status: row.get()?,
            deploy_id: row.get()?,
            created_at: row.get()?,
            updated_at: row.get()?,
        };
        Ok(if is_ours { Ok(row) } else { Err(row.app) })
    })
}

/// The row that has the place of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody's.
    Free,
    /// The app's own row, and the version in it.
    Own(i64, String),
    /// The row of this other name, which the unique key takes for the same.
    Taken(String),
}

/// Whose the place of an app is.
pub fn place(db: &mut dyn Database, scope: &Scope, app: &str) -> Sql<Place> {
    let found = first(
        db,
        "SELECT id, version, domain, environment, service_name FROM artifactory_deploys
         WHERE domain = ? AND environment = ? AND service_name = ?",
        &values![&scope.domain, &scope.environment, app],
        |row| {
            let own = Place::Own(row.get()?, row.get()?);
            let (domain, environment): (String, String) = (row.get()?, row.get()?);
            let name: String = row.get()?;
            Ok(
                if domain != scope.domain || environment != scope.environment {
                    Place::Taken(format!("{name} of {domain} {environment}"))
                } else if name != app {
                    Place::Taken(name)
                } else {
                    own
                },
            )
        },
    )?;
    Ok(found.unwrap_or(Place::Free))
}

/// The apps whose place another name has, with that name.
pub fn name_conflicts(
    db: &mut dyn Database,
    scope: &Scope,
    apps: &[&str],
) -> Sql<BTreeMap<String, String>> {
    let mut conflicts = BTreeMap::new();
    for names in apps.chunks(NAMES_AT_ONCE) {
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "SELECT 1 FROM artifactory_deploys
             WHERE domain = ? AND environment = ? AND service_name IN ({marks}) LIMIT 1"
        );
        let mut values = values![&scope.domain, &scope.environment].to_vec();
        values.extend(names.iter().map(|name| Value::from(*name)));
        if first(db, &sql, &values, |_| Ok(()))?.is_none() {
            continue;
        }
        // Which of them the collation means is asked one by one: that is rare.
        for app in names {
            if let Place::Taken(row) = place(db, scope, app)? {
                conflicts.insert((*app).to_owned(), row);
            }
        }
    }
    Ok(conflicts)
}

/// Writes what the row says of the app's latest attempt. Returns the name that has the app's
/// place, where another one has: nothing is written then.
pub fn write(db: &mut dyn Database, scope: &Scope, attempt: &Attempt) -> Sql<Option<String>> {
    let deploy_id = attempt.deploy_id.as_deref().unwrap_or_default();
    let status = attempt.state.legacy_status();
    let at = datetime(attempt.updated_at);
    match place(db, scope, &attempt.app)? {
        Place::Taken(name) => return Ok(Some(name)),
        Place::Own(id, _) => db.execute(
            "UPDATE artifactory_deploys SET deploy_id = ?, version = ?, status = ?, updated_at = ?
             WHERE id = ?",
            &values![deploy_id, &attempt.version, status, at, id],
        )?,
        Place::Free => db.execute(
            "INSERT INTO artifactory_deploys
                 (deploy_id, domain, environment, service_name, version, status, updated_at,
                  created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            &values![
                deploy_id,
                &scope.domain,
                &scope.environment,
                &attempt.app,
                &attempt.version,
                status,
                at.as_str(),
                at.as_str()
            ],
        )?,
    };
    Ok(None)
}

/// Writes the status that an attempt made of the row stands for.
pub fn set_status(db: &mut dyn Database, scope: &Scope, attempt: &Attempt) -> Sql<()> {
    if let Place::Own(id, _) = place(db, scope, &attempt.app)? {
        let status = attempt.state.legacy_status();
        db.execute(
            "UPDATE artifactory_deploys SET status = ? WHERE id = ? AND status <> ?",
            &values![status, id, status],
        )?;
    }
    Ok(())
}

/// The original's tables, and the columns of each.
const ORIGINAL: [(&str, &[&str]); 2] = [
    (
        "artifactory_deploys",
        &[
            "deploy_id",
            "domain",
            "environment",
            "service_name",
            "version",
            "status",
            "created_at",
            "updated_at",
        ],
    ),
    (
        "artifactory_auth_tokens",
        &["token", "name", "created_at", "updated_at"],
    ),
];

/// All rows of the original's tables, each with its `id` first.
pub fn original_rows(db: &mut dyn Database) -> Sql<[Vec<Vec<Value>>; 2]> {
    let mut read = |(table, columns): (&str, &[&str])| {
        let texts: Vec<String> = columns
            .iter()
            .map(|c| format!("CAST({c} AS CHAR)"))
            .collect();
        let integer = db.dialect().integer;
        let sql = format!(
            "SELECT CAST(id AS {integer}), {} FROM {table} ORDER BY id",
            texts.join(", ")
        );
        all(db, &sql, &[], |row| {
            let mut values = vec![Value::from(row.get::<i64>()?)];
            for _ in columns {
                values.push(row.get::<Option<String>>()?.into());
            }
            Ok(values)
        })
    };
    Ok([read(ORIGINAL[0])?, read(ORIGINAL[1])?])
}

/// Puts rows that [`original_rows`] read into tables that are empty.
pub fn put_original_rows(db: &mut dyn Database, rows: &[Vec<Vec<Value>>; 2]) -> Sql<()> {
    for ((table, columns), rows) in ORIGINAL.iter().zip(rows) {
        let marks = vec!["?"; columns.len() + 1].join(", ");
        let sql = format!(
            "INSERT INTO {table} (id, {}) VALUES ({marks})",
            columns.join(", ")
        );
        for row in rows {
            db.execute(&sql, row)?;
        }
    }
    Ok(())
}
