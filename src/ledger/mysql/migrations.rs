//! The migrations of `db/mysql/`, and the one place that applies them.

use mysql::prelude::Queryable;
use mysql::{Conn, params};

use super::session::{Fault, Sql};
use crate::clock::{Clock, System};
use crate::ledger::schema::{Migration, Schema, migrations};

/// The migrations.
const MIGRATIONS: [Migration; 5] = migrations!("mysql");

const TABLE: &str = "CREATE TABLE IF NOT EXISTS artifactory_migrations (
    number BIGINT NOT NULL PRIMARY KEY, name VARBINARY(255) NOT NULL, applied_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4";

/// No such table.
const NO_TABLE: u16 = 1146;
/// Table, column and key exist already; a second migration of the same time was faster.
const EXISTS: [u16; 3] = [1050, 1060, 1061];

/// The schema of the database.
pub fn schema(conn: &mut Conn) -> Sql<Schema> {
    let applied: Result<Option<(i64, i64)>, _> = conn
        .query_first("SELECT COALESCE(MAX(number), 0), COUNT(*) FROM artifactory_migrations")
        .map_err(Fault::from);
    let (last, count) = match applied {
        Err(fault) if fault.code() == Some(NO_TABLE) => {
            let counts: Option<(i64, i64)> = conn.query_first(
                "SELECT COUNT(*), COUNT(CASE WHEN table_name IN
                     ('artifactory_deploys', 'artifactory_auth_tokens') THEN 1 END)
                 FROM information_schema.tables
                 WHERE table_schema = DATABASE() AND table_name LIKE 'artifactory\\_%'",
            )?;
            return Ok(match counts {
                Some((0, _)) => Schema::Empty,
                Some((2, 2)) => Schema::Original,
                _ => Schema::Older,
            });
        }
        other => other?.unwrap_or_default(),
    };
    Ok(Schema::of(&MIGRATIONS, last, count))
}

/// Applies what is missing. The servers commit each DDL statement by itself, so a migration may
/// have been applied in part, or be under way from another host: every statement is of a kind
/// that is done, or found done. The result is the schema as found.
pub fn migrate(conn: &mut Conn) -> Sql<Schema> {
    let found = schema(conn)?;
    if !found.is_behind() {
        return Ok(found);
    }
    conn.query_drop(TABLE)?;
    for (number, name, sql) in MIGRATIONS {
        let done: Option<i64> = conn.exec_first(
            "SELECT number FROM artifactory_migrations WHERE number = ?",
            (number,),
        )?;
        if done.is_some() {
            continue;
        }
        for statement in statements(sql) {
            match conn.query_drop(statement).map_err(Fault::from) {
                Err(fault) if fault.code().is_some_and(|code| EXISTS.contains(&code)) => {}
                other => other?,
            }
        }
        conn.exec_drop(
            "INSERT IGNORE INTO artifactory_migrations (number, name, applied_at)
             VALUES (:number, :name, :at)",
            params! { number, name, "at" => System.now_ms() },
        )?;
    }
    Ok(found)
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    let is_code = |line: &str| !line.trim().is_empty() && !line.starts_with("--");
    sql.split_terminator(";\n")
        .filter(move |part| part.lines().any(is_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_fall_into_statements() {
        let count = |index: usize| statements(MIGRATIONS[index].2).count();
        assert_eq!([0, 1, 2, 3, 4].map(count), [2, 5, 2, 4, 8]);
        let all = MIGRATIONS.iter().flat_map(|m| statements(m.2));
        for statement in all {
            let word = statement
                .lines()
                .find(|l| !l.starts_with("--") && !l.is_empty());
            assert!(
                word.is_some_and(
                    |w| w.starts_with("CREATE TABLE IF NOT") || w.starts_with("ALTER TABLE")
                ),
                "{statement}"
            );
        }
    }
}
