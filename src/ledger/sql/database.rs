//! What every database does with statements.

use std::ops::{Deref, DerefMut};

use super::value::{Row, Unreadable, Value};
use crate::error::{Error, Kind};
use crate::ledger::{Fence, Intended};
use crate::model::name::Scope;

/// How a statement failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Another transaction was in the way and this one was rolled back: it may be run again.
    Conflict(Error),
    /// The connection is gone: what was sent last may have been done.
    Lost(Error),
    /// It cannot be done at this moment, and was not: a server that is read-only, a time-out, a full
    /// disk. Who only begins is told at once; what must not get lost is tried again.
    Passing(Error),
    /// Anything else: another try is of no use.
    Refused(Error),
}

impl Failure {
    /// The lease is another holder's by now: nothing was written.
    pub fn lease_lost() -> Self {
        Self::Refused(Error::new(
            Kind::Busy,
            "the lease was lost; nothing was recorded",
        ))
    }

    /// Of what must not get lost: what passes is waited for.
    pub fn awaited(self) -> Self {
        match self {
            Self::Passing(error) => Self::Conflict(error),
            other => other,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(error)
            | Failure::Lost(error)
            | Failure::Passing(error)
            | Failure::Refused(error) => error,
        }
    }
}

/// The result of a statement.
pub type Sql<T> = Result<T, Failure>;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Reading everything as it is at one moment.
    Read,
    /// Writing: of several that write, each sees what the ones before it wrote.
    Write,
}

/// What the databases say differently.
#[derive(Debug)]
pub struct Dialect {
    /// The type that `CAST` makes whole numbers of.
    pub integer: &'static str,
    /// At the end of an `INSERT`: a row that is there already stays as it is.
    pub keep: &'static str,
    /// At the end of a `SELECT`: as the row is now, and nobody changes it before the transaction
    /// ends.
    pub for_update: &'static str,
    /// How long ago the attempt `a` was stored, by the server's clock, in milliseconds; NULL where
    /// it isn't known.
    pub server_age: &'static str,
    /// What notes the server's time with a new attempt, to follow its columns and its values.
    pub stored_at: Option<(&'static str, &'static str)>,
    /// A table expression: the greatest `seq`, as `last`, of each app of a scope (two values) after a
    /// name, in their order, at most so many (two more), found without reading the other attempts.
    pub latest: &'static str,
    /// The column `service_name` of the original's table, compared byte by byte.
    pub name_bytes: &'static str,
}

/// A connection to a database, with the part that the lease has in its transactions.
pub trait Database {
    /// What it says differently.
    fn dialect(&self) -> &'static Dialect;

    /// Gives the rows of a query to `read`, one after the other.
    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        read: &mut dyn FnMut(&mut Row) -> Result<(), Unreadable>,
    ) -> Sql<()>;

    /// Runs a statement that changes rows; how many it changed. An `UPDATE` that finds a row as it
    /// should be may count it or not.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Sql<u64>;

    /// Begins a transaction; [`Transaction`] ends it.
    fn begin(&mut self, begin: Begin) -> Sql<()>;

    /// Makes durable what the transaction did.
    fn commit(&mut self) -> Sql<()>;

    /// Undoes what the transaction did, as far as it didn't end by itself.
    fn rollback(&mut self);

    /// The database holds what the program never writes.
    fn broken(&self, what: &str) -> Failure;

    /// Goes on, in a transaction, only under the lease of this fence.
    fn fence(&mut self, scope: &Scope, fence: &Fence) -> Sql<()>;

    /// Makes room for the one open attempt of the scope under the lease of this fence, in the
    /// transaction of its intent; or says why there is none.
    fn claim(&mut self, scope: &Scope, attempt: &str, fence: &Fence) -> Sql<Option<Intended>>;

    /// Gives the room of an attempt back, in the transaction of its end.
    fn vacate(&mut self, scope: &Scope, attempt: &str) -> Sql<()>;
}

/// All rows of a query.
pub fn all<T>(
    db: &mut dyn Database,
    sql: &str,
    values: &[Value],
    mut read: impl FnMut(&mut Row) -> Result<T, Unreadable>,
) -> Sql<Vec<T>> {
    let mut found = Vec::new();
    db.each(sql, values, &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// The first row of a query.
pub fn first<T>(
    db: &mut dyn Database,
    sql: &str,
    values: &[Value],
    read: impl FnMut(&mut Row) -> Result<T, Unreadable>,
) -> Sql<Option<T>> {
    Ok(all(db, sql, values, read)?.into_iter().next())
}

/// A value as a JSON document.
pub fn json(db: &dyn Database, value: &impl serde::Serialize) -> Sql<String> {
    serde_json::to_string(value).map_err(|e| db.broken(&e.to_string()))
}

/// A transaction: undone, unless it is committed.
pub struct Transaction<'a> {
    db: &'a mut dyn Database,
    is_committed: bool,
}

impl<'a> Transaction<'a> {
    /// Begins one.
    pub fn begin(db: &'a mut dyn Database, begin: Begin) -> Sql<Self> {
        db.begin(begin)?;
        Ok(Self {
            db,
            is_committed: false,
        })
    }

    /// Makes durable what it did.
    pub fn commit(mut self) -> Sql<()> {
        self.db.commit()?;
        self.is_committed = true;
        Ok(())
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = dyn Database + 'a;

    fn deref(&self) -> &Self::Target {
        self.db
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.db
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After a panic of the driver the connection is dropped, not used.
        if !self.is_committed && !std::thread::panicking() {
            self.db.rollback();
        }
    }
}
