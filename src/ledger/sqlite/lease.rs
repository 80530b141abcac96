//! The lease: a kernel lock on a file beside the database, and a fencing token inside it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::failure;
use super::place::{self, Identity};
use crate::clock::{Clock, System};
use crate::error::{Error, Result};
use crate::ledger::{Fence, Lease, LeaseInfo, holder};
use crate::model::name::Scope;

/// What is encoded in the name of the lock file, which every release must make alike.
const IN_DOMAIN: &AsciiSet = &IN_ENVIRONMENT.remove(b'.');
const IN_ENVIRONMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// `open(2)`: fails on a symbolic link.
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
/// How long to wait between two tries.
const POLL: Duration = Duration::from_millis(100);
/// How long a lock may be in the way that only [`info`] takes, for an instant, to look.
const GRACE: Duration = Duration::from_millis(50);
/// How long the release in `drop` may wait for the database.
const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// A held lease. The kernel frees the lock when the process dies, however it dies, and keeps it
/// while the process is stopped: no time-out is involved.
pub struct SqliteLease {
    conn: Connection,
    lock: File,
    path: PathBuf,
    scope: Scope,
    fence: Fence,
}

impl Lease for SqliteLease {
    fn fence(&self) -> &Fence {
        &self.fence
    }

    /// False as soon as somebody put another file in place of the lock file.
    fn is_held(&self) -> bool {
        is_same_file(&self.lock, &self.path).unwrap_or(false)
    }

    /// A lock that the kernel freed has no holder that could still be sending.
    fn send_delay(&self) -> Duration {
        Duration::ZERO
    }
}

impl Drop for SqliteLease {
    fn drop(&mut self) {
        // Only for people who look: what excludes others is the lock, and it goes with the file.
        let _ = self.conn.busy_timeout(RELEASE_WAIT);
        let _ = self.conn.execute(
            "UPDATE artifactory_lease SET held = 0
             WHERE domain = ?1 AND environment = ?2 AND token = ?3",
            params![self.scope.domain, self.scope.environment, self.fence.token],
        );
    }
}

/// Takes the lease; `conn` is a connection of its own to the database at `db`.
pub fn acquire(
    mut conn: Connection,
    db: &Path,
    scope: &Scope,
    wait: Duration,
) -> Result<Option<Box<dyn Lease>>> {
    let path = lock_path(db, scope);
    let start = System.elapsed();
    let lock = loop {
        let broken = |e: &io::Error| cannot_lock(&path, db, e);
        if let Some(lock) = try_lock(&path, db).map_err(|e| broken(&e))? {
            break lock;
        }
        let left = wait.max(GRACE).saturating_sub(System.since(start));
        if left.is_zero() {
            return Ok(None);
        }
        System.sleep(left.min(if wait < POLL { GRACE / 5 } else { POLL }));
    };
    let token = next_token(&mut conn, scope).map_err(|e| failure(db, &e))?;
    Ok(Some(Box::new(SqliteLease {
        conn,
        lock,
        path,
        scope: scope.clone(),
        // The kernel lets nobody else in: the token is enough.
        fence: Fence {
            token,
            holder: String::new(),
        },
    })))
}

fn cannot_lock(path: &Path, db: &Path, error: &io::Error) -> Error {
    let (lock, db) = (path.display(), db.display());
    let failed = Error::unavailable(format!("cannot lock {lock}")).because_of(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failed.hint(format!("chown --reference={db} {lock}, as root"))
        }
        _ => failed,
    }
}

fn next_token(conn: &mut Connection, scope: &Scope) -> rusqlite::Result<i64> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (holder, since) = (holder::describe(), System.now_ms());
    let token = tx.query_row(
        "INSERT INTO artifactory_lease (domain, environment, token, holder, since, held)
         VALUES (?1, ?2, 1, ?3, ?4, 1)
         ON CONFLICT (domain, environment) DO UPDATE
         SET token = token + 1, holder = excluded.holder, since = excluded.since, held = 1
         RETURNING token",
        params![scope.domain, scope.environment, holder, since],
        |row| row.get(0),
    )?;
    tx.commit()?;
    Ok(token)
}

/// Who holds the lease, or held it last.
pub fn info(conn: &Connection, db: &Path, scope: &Scope) -> Result<Option<LeaseInfo>> {
    let row = conn
        .query_row(
            "SELECT holder, since, token, held FROM artifactory_lease
             WHERE domain = ?1 AND environment = ?2",
            params![scope.domain, scope.environment],
            |row| {
                Ok(LeaseInfo {
                    holder: row.get(0)?,
                    since: row.get(1)?,
                    token: row.get(2)?,
                    held: row.get(3)?,
                })
            },
        )
        .optional()
        .map_err(|e| failure(db, &e))?;
    Ok(row.map(|mut info| {
        info.held = info.held && is_locked(&lock_path(db, scope));
        info
    }))
}

fn is_locked(path: &Path) -> bool {
    // Closing the file at the end of this function gives a shared lock back.
    OpenOptions::new()
        .read(true)
        .open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn try_lock(path: &Path, db: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(NOFOLLOW);
    let database = db.symlink_metadata()?;
    let file = match options.mode(0o600).create_new(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if !path.symlink_metadata()?.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            options.create_new(false).open(path)?
        }
        made => {
            let made = made?;
            // Whoever may write the database may take its lease.
            made.set_permissions(Permissions::from_mode(database.mode() & 0o660))?;
            made
        }
    };
    let found = file.metadata()?;
    if found.uid() == 0 && found.nlink() == 1 {
        place::give(&file, database.uid(), database.gid());
    } else if place::is_a_strangers(&file, path, db)? {
        return Err(io::Error::other("another user made it"));
    }
    match file.try_lock() {
        // A file that was replaced meanwhile excludes nobody: look again.
        Ok(()) => Ok(is_same_file(&file, path)?.then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    Ok(Identity::from(&file.metadata()?) == Identity::of(path)?)
}

/// `<database>.<domain>.<environment>.lock`. Dots of the environment are encoded, so that no two
/// scopes share a file.
fn lock_path(db: &Path, scope: &Scope) -> PathBuf {
    let mut name = db.file_name().unwrap_or_default().to_os_string();
    let domain = utf8_percent_encode(&scope.domain, IN_DOMAIN);
    let environment = utf8_percent_encode(&scope.environment, IN_ENVIRONMENT);
    name.push(format!(".{domain}.{environment}.lock"));
    db.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_never_share_a_lock_file() {
        let path = |domain: &str, environment: &str| {
            let scope = Scope {
                domain: domain.to_owned(),
                environment: environment.to_owned(),
            };
            lock_path(Path::new("/x/l.db"), &scope)
        };
        assert_eq!(
            path("example.com", "qa"),
            Path::new("/x/l.db.example.com.qa.lock")
        );
        assert_ne!(path("a.b", "c"), path("a", "b.c"));
        assert_eq!(path("../a", "%"), Path::new("/x/l.db...%2Fa.%25.lock"));
        assert_eq!(
            path("a_b-c ~é", "q_a-1.x"),
            Path::new("/x/l.db.a_b-c%20%7E%C3%A9.q_a-1%2Ex.lock")
        );
    }
}
