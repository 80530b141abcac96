//! A connection to a server as a [`Database`], and the part that the lease's row has in its
//! transactions.

use mysql::Conn;
use mysql::prelude::Queryable;

use super::session::{Fault, broken, failure};
use crate::config::MysqlConfig;
use crate::ledger::sql::value::{Row, Unreadable, Value, values};
use crate::ledger::sql::{Begin, Database, Dialect, Failure, Sql, first};
use crate::ledger::{Fence, Intended};
use crate::model::name::Scope;

const DIALECT: Dialect = Dialect {
    integer: "SIGNED",
    keep: "ON DUPLICATE KEY UPDATE placed_at = placed_at",
    for_update: " FOR UPDATE",
    server_age: "TIMESTAMPDIFF(MICROSECOND, a.stored_at, UTC_TIMESTAMP(6)) DIV 1000",
    stored_at: Some((", stored_at", ", UTC_TIMESTAMP(6)")),
    latest: "SELECT MAX(seq) AS last FROM artifactory_attempts
        WHERE domain = ? AND environment = ? AND app > ? GROUP BY app ORDER BY app LIMIT ?",
    name_bytes: "CAST(CONVERT(service_name USING utf8mb4) AS BINARY)",
};

/// The lease's row, where the lease is that of a fence; [`ours`] has the values.
const OURS: &str = "domain = ? AND environment = ? AND token = ? AND holder_id = ?";

fn ours(scope: &Scope, fence: &Fence) -> [Value; 4] {
    values![
        &scope.domain,
        &scope.environment,
        fence.token,
        &fence.holder
    ]
}

/// A connection.
pub struct Connection<'a> {
    /// The driver's.
    pub conn: &'a mut Conn,
    /// What it was made of.
    pub config: &'a MysqlConfig,
}

impl From<&Value> for mysql::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Integer(number) => Self::Int(*number),
            Value::Text(text) => Self::Bytes(text.clone().into_bytes()),
            Value::Blob(bytes) => Self::Bytes(bytes.clone()),
        }
    }
}

/// The values of a row. The server doesn't tell text from bytes.
fn row(row: mysql::Row) -> Result<Row, Unreadable> {
    let values = row.unwrap_raw().into_iter().enumerate();
    let values = values.map(|(column, value)| {
        let other = || format!("column {} holds a value of another type", column + 1);
        Ok(match value.ok_or_else(other)? {
            mysql::Value::NULL => Value::Null,
            mysql::Value::Int(number) => Value::Integer(number),
            mysql::Value::UInt(number) => {
                Value::Integer(i64::try_from(number).map_err(|_| other())?)
            }
            mysql::Value::Bytes(bytes) => Value::Blob(bytes),
            _ => return Err(other()),
        })
    });
    Ok(Row::new(values.collect::<Result<_, Unreadable>>()?))
}

impl Connection<'_> {
    fn text(&mut self, sql: &str) -> Sql<()> {
        self.conn.query_drop(sql).map_err(|e| self.failed(e))
    }

    fn failed(&self, error: mysql::Error) -> Failure {
        failure(self.config, &Fault::Driver(error))
    }
}

impl Database for Connection<'_> {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        read: &mut dyn FnMut(&mut Row) -> Result<(), Unreadable>,
    ) -> Sql<()> {
        let values: Vec<mysql::Value> = values.iter().map(Into::into).collect();
        let each = || -> Result<Result<(), Unreadable>, mysql::Error> {
            for found in self.conn.exec_iter(sql, values)? {
                if let Err(why) = row(found?).and_then(|mut row| read(&mut row)) {
                    return Ok(Err(why));
                }
            }
            Ok(Ok(()))
        };
        match each() {
            Ok(done) => done.map_err(|why| self.broken(&why)),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Sql<u64> {
        let values: Vec<mysql::Value> = values.iter().map(Into::into).collect();
        let done = self.conn.exec_drop(sql, values);
        done.map_err(|e| self.failed(e))?;
        Ok(self.conn.affected_rows())
    }

    fn begin(&mut self, begin: Begin) -> Sql<()> {
        self.text(match begin {
            Begin::Read => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            Begin::Write => "START TRANSACTION",
        })
    }

    fn commit(&mut self) -> Sql<()> {
        self.text("COMMIT")
    }

    fn rollback(&mut self) {
        let _ = self.text("ROLLBACK");
    }

    fn broken(&self, what: &str) -> Failure {
        broken(self.config, what)
    }

    /// The lease's row stays locked until the transaction ends, so that nobody takes the lease over
    /// meanwhile; written, not read, for Galera's sake. A process that stood still may get here
    /// long after it asked whether the lease is held.
    fn fence(&mut self, scope: &Scope, fence: &Fence) -> Sql<()> {
        let sql = format!("UPDATE artifactory_lease SET beat = beat + 1 WHERE {OURS}");
        match self.execute(&sql, &ours(scope, fence))? {
            1 => Ok(()),
            _ => Err(Failure::lease_lost()),
        }
    }

    /// The slot of the lease's row is taken in one conditional write: on Galera only rows that are
    /// written exclude another node. A slot whose attempt is not open, as one leaves it who ends an
    /// attempt by hand, is taken for an empty one.
    fn claim(&mut self, scope: &Scope, attempt: &str, fence: &Fence) -> Sql<Option<Intended>> {
        let ours = ours(scope, fence);
        let sql = format!(
            "UPDATE artifactory_lease SET open_attempt = ?, beat = beat + 1,
                 expires_at = UTC_TIMESTAMP(6) + INTERVAL ttl_ms * 1000 MICROSECOND
             WHERE {OURS}
               AND (open_attempt IS NULL OR NOT EXISTS
                   (SELECT 1 FROM artifactory_attempts a WHERE a.id = artifactory_lease.open_attempt
                    AND a.state IN ('submitting', 'submitted', 'unknown')))"
        );
        if self.execute(&sql, &[&[attempt.into()], &ours[..]].concat())? == 1 {
            return Ok(None);
        }
        let sql = format!("SELECT open_attempt FROM artifactory_lease WHERE {OURS}");
        let slot: Option<Option<String>> = first(self, &sql, &ours, Row::get)?;
        let open = slot.flatten().map(Intended::OpenAttempt);
        Ok(Some(open.unwrap_or(Intended::LeaseLost)))
    }

    fn vacate(&mut self, scope: &Scope, attempt: &str) -> Sql<()> {
        self.execute(
            "UPDATE artifactory_lease SET open_attempt = NULL
             WHERE domain = ? AND environment = ? AND open_attempt = ?",
            &values![&scope.domain, &scope.environment, attempt],
        )?;
        Ok(())
    }
}
