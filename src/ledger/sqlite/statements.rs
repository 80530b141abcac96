//! `SQLite` as a [`Database`].

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, ToSql, params_from_iter};

use super::{SqliteFile, failure};
use crate::ledger::sql::value::{Row, Unreadable, Value, values};
use crate::ledger::sql::{Begin, Database, Dialect, Failure, Sql, first};
use crate::ledger::{Fence, Intended};
use crate::model::name::Scope;

const DIALECT: Dialect = Dialect {
    integer: "INTEGER",
    keep: "ON CONFLICT DO NOTHING",
    // Who writes is alone.
    for_update: "",
    // The file is this host's, and so is its clock.
    server_age: "NULL",
    stored_at: None,
    // `SELECT DISTINCT` would read every row: this goes from app to app in the index.
    latest: "WITH RECURSIVE apps (app) AS (
            SELECT MIN(app) FROM artifactory_attempts
            WHERE domain = ?1 AND environment = ?2 AND app > ?3
            UNION ALL
            SELECT (SELECT MIN(n.app) FROM artifactory_attempts n
                WHERE n.domain = ?1 AND n.environment = ?2 AND n.app > apps.app)
            FROM apps WHERE app IS NOT NULL LIMIT ?4)
        SELECT (SELECT MAX(l.seq) FROM artifactory_attempts l
            WHERE l.domain = ?1 AND l.environment = ?2 AND l.app = apps.app) AS last
        FROM apps WHERE app IS NOT NULL",
    name_bytes: "service_name COLLATE BINARY",
};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The values of a row.
fn row(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Result<Row, Unreadable>> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(text) => String::from_utf8(text.to_vec())
                .map_or_else(|e| Value::Blob(e.into_bytes()), Value::Text),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            ValueRef::Real(_) => {
                return Ok(Err(format!(
                    "column {} holds a value of another type",
                    column + 1
                )));
            }
        });
    }
    Ok(Ok(Row::new(values)))
}

/// Whether the same may work soon: locks, disks, memory.
fn passes(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
    )
}

impl SqliteFile {
    fn failed(&self, error: &rusqlite::Error) -> Failure {
        let told = failure(&self.path, error);
        if error.sqlite_error_code().is_some_and(passes) {
            Failure::Passing(told)
        } else {
            Failure::Refused(told)
        }
    }

    fn batch(&mut self, sql: &str) -> Sql<()> {
        self.conn.execute_batch(sql).map_err(|e| self.failed(&e))
    }
}

impl Database for SqliteFile {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        read: &mut dyn FnMut(&mut Row) -> Result<(), Unreadable>,
    ) -> Sql<()> {
        let mut each = || -> rusqlite::Result<Result<(), Unreadable>> {
            let mut statement = self.conn.prepare_cached(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(found) = rows.next()? {
                if let Err(why) = row(found, columns)?.and_then(|mut row| read(&mut row)) {
                    return Ok(Err(why));
                }
            }
            Ok(Ok(()))
        };
        match each() {
            Ok(done) => done.map_err(|why| self.broken(&why)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Sql<u64> {
        let changed = self
            .conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        let changed = changed.map_err(|e| self.failed(&e))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn begin(&mut self, begin: Begin) -> Sql<()> {
        self.batch(match begin {
            Begin::Read => "BEGIN",
            Begin::Write => "BEGIN IMMEDIATE",
        })
    }

    fn commit(&mut self) -> Sql<()> {
        self.batch("COMMIT")
    }

    fn rollback(&mut self) {
        if !self.conn.is_autocommit() {
            let _ = self.batch("ROLLBACK");
        }
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::Refused(super::unusable(&self.path, "cannot be used").because(what))
    }

    /// The kernel keeps the lock for as long as the holder lives: nobody can be overtaken.
    fn fence(&mut self, _: &Scope, _: &Fence) -> Sql<()> {
        Ok(())
    }

    /// Only the token is looked at: who writes is alone, so that the open attempt can be looked
    /// for like any other row.
    fn claim(&mut self, scope: &Scope, _: &str, fence: &Fence) -> Sql<Option<Intended>> {
        let current: Option<i64> = first(
            self,
            "SELECT token FROM artifactory_lease WHERE domain = ? AND environment = ?",
            &values![&scope.domain, &scope.environment],
            Row::get,
        )?;
        Ok((current != Some(fence.token)).then_some(Intended::LeaseLost))
    }

    fn vacate(&mut self, _: &Scope, _: &str) -> Sql<()> {
        Ok(())
    }
}
