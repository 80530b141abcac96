//! Reading a ledger without leaving anything beside it.
//!
//! Who reads may be another user than who writes, or have no right to write there at all. What
//! `SQLite` would make for a reader (`-wal`, `-shm`) would be theirs, and in the owner's way.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{configure, failure, migrations, unusable};
use crate::ledger::schema::Schema;
use crate::ledger::sql::{Failure, Sql};

/// What is written as it is in the path of a URI.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.');

/// How a ledger is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// All is in the file, which is read as one that nobody changes; whether that was so is looked at
    /// afterwards.
    Still(Stamp),
    /// Somebody writes, or did not get to the end: what is beside the file is read with it.
    Beside,
}

impl Reader {
    /// Whether what was read is to be read again.
    pub fn is_outdated(&self, path: &Path) -> bool {
        match self {
            Self::Still(stamp) => Stamp::of(path) != Some(*stamp),
            Self::Beside => false,
        }
    }
}

/// What changes whenever a ledger is changed that was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of a ledger that nobody changes; `None` where some of it is beside the file.
    fn of(path: &Path) -> Option<Self> {
        let is_empty = |suffix| match beside(path, suffix).symlink_metadata() {
            Ok(found) => found.len() == 0,
            Err(_) => true,
        };
        let whole = |found: Metadata| Self {
            file: (found.dev(), found.ino()),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        };
        let found = path.symlink_metadata().ok()?;
        (is_empty("-wal") && is_empty("-journal")).then(|| whole(found))
    }
}

/// Opens the file and reads its schema.
pub fn open(path: &Path) -> Sql<(Connection, Reader, Schema)> {
    let reader = Stamp::of(path).map_or(Reader::Beside, Reader::Still);
    let opened = connect(path, reader).and_then(|conn| {
        let schema = migrations::schema(&conn)?;
        Ok((conn, schema))
    });
    if reader.is_outdated(path) {
        return Err(changed(path));
    }
    match opened {
        Ok((conn, schema)) => Ok((conn, reader, schema)),
        Err(_) if reader == Reader::Beside && Stamp::of(path).is_some() => Err(changed(path)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) => {
            Err(Failure::Refused(unreadable(path, &error)))
        }
        Err(error) => Err(Failure::Refused(failure(path, &error))),
    }
}

/// Somebody wrote meanwhile: what was read may be of two moments.
pub fn changed(path: &Path) -> Failure {
    Failure::Conflict(unusable(path, "is written all the time"))
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> crate::error::Error {
    let hint = if beside(path, "-wal").exists() && !beside(path, "-shm").exists() {
        "it was copied or left in the middle of a change: its owner's `migrate` puts it in order"
    } else {
        "the file must be readable, and its directory, for the user of this program"
    };
    unusable(path, "cannot be read")
        .because_of(error)
        .hint(hint)
}

/// What `SQLite` has beside a database under this name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn connect(path: &Path, reader: Reader) -> rusqlite::Result<Connection> {
    let how = match reader {
        Reader::Still(_) => "immutable=1",
        Reader::Beside => "readonly_shm=1",
    };
    let path = percent_encode(path.as_os_str().as_bytes(), ENCODED);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(format!("file:{path}?mode=ro&{how}"), flags)?;
    configure(&conn)?;
    Ok(conn)
}
