//! The ledger on `SQLite`.

mod lease;
mod migrations;
mod statements;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::Schema;
use super::sql::{Database, Engine, Failure, Sql, SqlLedger};
use super::{Access, Lease, LeaseInfo, Migrated};
use crate::clock::{Clock, System};
use crate::error::{Error, Kind, Result};
use crate::model::name::Scope;

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An `SQLite` file.
pub struct SqliteFile {
    conn: Connection,
    path: PathBuf,
}

/// A ledger in an `SQLite` file.
pub type SqliteLedger = SqlLedger<SqliteFile>;

/// Opens the ledger in the file at `path`.
pub fn open(path: &Path, access: Access) -> Result<SqliteLedger> {
    if path == Path::new(":memory:") && access == Access::Write {
        return Err(Error::usage("the ledger cannot be in memory")
            .hint("name a file: what was deployed must be known to the next pass"));
    }
    let Some(path) = prepare_file(path, access)? else {
        return empty_ledger();
    };
    let mut conn = connect(&path, access).map_err(|e| failure(&path, &e))?;
    let mut schema = migrations::schema(&conn).map_err(|e| failure(&path, &e))?;
    let mut migrated = Migrated::Unchanged;
    if matches!(schema, Schema::Older | Schema::Empty) && access == Access::Write {
        let found = migrations::migrate(&mut conn).map_err(|e| failure(&path, &e))?;
        migrated = found.into();
        schema = found.migrated();
    }
    match schema.refusal(&path.display().to_string(), "") {
        Some(refusal) => Err(refusal),
        None if schema == Schema::Empty => empty_ledger(),
        None => Ok(SqlLedger::new(
            SqliteFile { conn, path },
            access,
            migrated,
            System::shared(),
        )),
    }
}

/// The absolute path of the database file, created where it may be; `None` is an empty ledger.
fn prepare_file(path: &Path, access: Access) -> Result<Option<PathBuf>> {
    let refused =
        |why: &str| Error::usage(format!("{} cannot be a ledger", path.display())).because(why);
    let broken = |e: &io::Error| {
        Error::unavailable(format!("cannot use the ledger {}", path.display())).because_of(e)
    };
    let Some(name) = path.file_name() else {
        return Err(refused("it names no file"));
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if access == Access::Write {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| broken(&e))?;
    }
    let directory = match directory.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| broken(&e))?,
    };
    // Absolute: SQLite takes a name that begins with `file:` for a URI.
    let full = directory.join(name);
    match full.symlink_metadata() {
        // Two names of one database would be two leases.
        Ok(found) if found.is_symlink() => {
            return Err(refused("it is a symbolic link").hint("name the file that it leads to"));
        }
        Ok(found) if !found.is_file() => return Err(refused("it is not a regular file")),
        Ok(_) => {}
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(broken(&e)),
        Err(_) if access == Access::ReadOnly => return Ok(None),
        Err(_) => create(&full).map_err(|e| broken(&e))?,
    }
    if access == Access::Write {
        let mode = directory
            .metadata()
            .map_err(|e| broken(&e))?
            .permissions()
            .mode();
        if mode & 0o1002 == 0o002 {
            return Err(refused("everybody may replace files in its directory")
                .hint(format!("chmod o-w {}", directory.display())));
        }
    }
    Ok(Some(full))
}

/// Creates the file for its owner only; `SQLite` gives its `-wal` and `-shm` the same mode.
fn create(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// A ledger that holds nothing, in place of one that is not there.
pub fn empty_ledger() -> Result<SqliteLedger> {
    let path = PathBuf::from(":memory:");
    let conn = empty().map_err(|e| failure(&path, &e))?;
    let file = SqliteFile { conn, path };
    Ok(SqlLedger::new(
        file,
        Access::ReadOnly,
        Migrated::Unchanged,
        System::shared(),
    ))
}

fn empty() -> rusqlite::Result<Connection> {
    let mut conn = Connection::open_in_memory()?;
    configure(&conn)?;
    migrations::migrate(&mut conn)?;
    Ok(conn)
}

fn connect(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let mode = match access {
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    configure(&conn)?;
    if access == Access::Write {
        use_wal(&conn)?;
    }
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

impl Engine for SqliteFile {
    fn with<T>(&mut self, work: impl FnOnce(&mut dyn Database) -> Sql<T>) -> Sql<T> {
        work(self)
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn acquire(&mut self, scope: &Scope, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        let conn = connect(&self.path, Access::Write).map_err(|e| failure(&self.path, &e))?;
        lease::acquire(conn, &self.path, scope, wait)
    }

    fn lease_info(&mut self, scope: &Scope) -> Sql<Option<LeaseInfo>> {
        lease::info(&self.conn, &self.path, scope).map_err(Failure::Refused)
    }
}
