//! The ledger on `SQLite`.

mod lease;
mod migrations;
mod place;
mod reading;
mod statements;
mod system;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::Schema;
use super::sql::{
    Database, Engine, Failure, PATIENCE, Sql, SqlLedger, original_rows, persist, put_original_rows,
};
use super::{Access, Lease, LeaseInfo, Migrated};
use crate::clock::{Clock, System};
use crate::error::{Error, Kind, Result};
use crate::model::name::Scope;
use place::Identity;
use reading::Reader;

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An `SQLite` file.
pub struct SqliteFile {
    conn: Connection,
    path: PathBuf,
    watch: Watch,
}

/// What is looked at beside what a statement says.
enum Watch {
    /// In memory there is nothing else.
    Nothing,
    /// The path must lead to the file that is written.
    Place(Identity),
    /// What is read must be whole.
    Reader(Reader),
}

/// A ledger in an `SQLite` file.
pub type SqliteLedger = SqlLedger<SqliteFile>;

/// Opens the ledger in the file at `path`.
pub fn open(path: &Path, access: Access) -> Result<SqliteLedger> {
    if path == Path::new(":memory:") && access == Access::Write {
        return Err(Error::usage("the ledger cannot be in memory")
            .hint("name a file: what was deployed must be known to the next pass"));
    }
    let Some(path) = place::prepare(path, access)? else {
        return empty_ledger();
    };
    match access {
        Access::ReadOnly => open_to_read(path),
        Access::Write => open_to_write(path),
    }
}

fn open_to_read(path: PathBuf) -> Result<SqliteLedger> {
    let (conn, reader, schema) = persist(&System, PATIENCE, |_| reading::open(&path))?;
    match schema.refusal(&path.display().to_string(), "") {
        Some(refusal) => Err(refusal),
        None if schema == Schema::Empty => empty_ledger(),
        None => {
            let watch = Watch::Reader(reader);
            let mut file = SqliteFile { conn, path, watch };
            if schema == Schema::Original {
                return ledger_of_original(&mut file);
            }
            Ok(SqlLedger::new(
                file,
                Access::ReadOnly,
                Migrated::Unchanged,
                System::shared(),
            ))
        }
    }
}

fn open_to_write(path: PathBuf) -> Result<SqliteLedger> {
    let before = Identity::of(&path).map_err(|_| moved(&path))?;
    let mut conn = connect(&path).map_err(|e| failure(&path, &e))?;
    let mut schema = migrations::schema(&conn).map_err(|e| failure(&path, &e))?;
    let mut migrated = Migrated::Unchanged;
    if schema.is_behind() {
        let found = migrations::migrate(&mut conn).map_err(|e| failure(&path, &e))?;
        migrated = found.into();
        schema = found.migrated();
    }
    if let Some(refusal) = schema.refusal(&path.display().to_string(), "") {
        return Err(refusal);
    }
    let watch = Watch::Place(before);
    let file = SqliteFile { conn, path, watch };
    file.check_place()?;
    let clock = System::shared();
    Ok(SqlLedger::new(file, Access::Write, migrated, clock))
}

/// A ledger that holds nothing, in place of one that is not there.
pub fn empty_ledger() -> Result<SqliteLedger> {
    let path = PathBuf::from(":memory:");
    let conn = empty().map_err(|e| failure(&path, &e))?;
    let watch = Watch::Nothing;
    let file = SqliteFile { conn, path, watch };
    Ok(SqlLedger::new(
        file,
        Access::ReadOnly,
        Migrated::Unchanged,
        System::shared(),
    ))
}

/// A ledger in memory that holds what the original's tables hold, for those who only read: there
/// are no tables of ours beside them yet.
pub fn ledger_of_original(from: &mut impl Engine) -> Result<SqliteLedger> {
    let rows = persist(&System, PATIENCE, |_| from.with(original_rows))?;
    let mut ledger = empty_ledger()?;
    ledger.engine.with(|db| put_original_rows(db, &rows))?;
    Ok(ledger)
}

fn empty() -> rusqlite::Result<Connection> {
    let mut conn = Connection::open_in_memory()?;
    configure(&conn)?;
    migrations::migrate(&mut conn)?;
    Ok(conn)
}

/// A connection that may write.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    configure(&conn)?;
    use_wal(&conn)?;
    Ok(conn)
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "recursive_triggers", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // A committed intent must survive a power loss: the POST may be out.
    conn.pragma_update(None, "synchronous", "FULL")
}

/// The switch to WAL doesn't always wait for other connections by itself.
fn use_wal(conn: &Connection) -> rusqlite::Result<()> {
    let start = System.elapsed();
    loop {
        let set = conn.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match set {
            Err(e) if is_busy(&e) && System.since(start) < BUSY_TIMEOUT => {
                System.sleep(Duration::from_millis(20));
            }
            other => return other.map(|_| ()),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::unavailable(format!("the ledger {} {what}", path.display()))
}

/// The file that is open is not the one that the next command will find.
fn moved(path: &Path) -> Error {
    unusable(
        path,
        "was removed or replaced while this command worked with it",
    )
    .hint("put the file back, with its -wal, and nothing is lost; then run the command again")
}

/// What a failure of `SQLite` means to a person.
fn failure(path: &Path, error: &rusqlite::Error) -> Error {
    let (kind, what, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (
            Kind::Usage,
            "is not an SQLite database",
            Some("name another file; this one was left as it is"),
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            Kind::Unavailable,
            "is damaged",
            Some("restore a backup; the file was left as it is"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Kind::Unavailable, "is kept locked by another process", None)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            Kind::Unavailable,
            "cannot be opened or written",
            Some("the file and its directory must be writable for the user of this program"),
        ),
        Some(ErrorCode::DiskFull) => (
            Kind::Unavailable,
            "cannot be written: the disk is full",
            None,
        ),
        _ => (Kind::Unavailable, "cannot be used", None),
    };
    let error = Error {
        kind,
        ..unusable(path, what).because_of(error)
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl SqliteFile {
    /// What is written must be found by the next command: the path leads to the file still.
    fn check_place(&self) -> Result<()> {
        match self.watch {
            Watch::Place(file) if Identity::of(&self.path).ok() != Some(file) => {
                Err(moved(&self.path))
            }
            _ => Ok(()),
        }
    }
}

impl Engine for SqliteFile {
    /// Looked at afterwards too: what went into a file that is gone by then is nowhere.
    fn with<T>(&mut self, work: impl FnOnce(&mut dyn Database) -> Sql<T>) -> Sql<T> {
        self.check_place().map_err(Failure::Refused)?;
        let done = work(self);
        self.check_place().map_err(Failure::Refused)?;
        if let Watch::Reader(reader) = &self.watch
            && reader.is_outdated(&self.path)
        {
            let (conn, reader, _) = reading::open(&self.path)?;
            self.conn = conn;
            self.watch = Watch::Reader(reader);
            return Err(reading::changed(&self.path));
        }
        done
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        self.check_place()?;
        let conn = connect(&self.path).map_err(|e| failure(&self.path, &e))?;
        self.check_place()?;
        lease::acquire(conn, &self.path, scope, wait)
    }

    fn lease_info(&mut self, scope: &Scope) -> Sql<Option<LeaseInfo>> {
        lease::info(&self.conn, &self.path, scope).map_err(Failure::Refused)
    }
}
