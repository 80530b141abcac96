//! Where the file of a ledger is, and who else could put another one there.
//!
//! A file with two names, or one that somebody else can replace, is two ledgers: each with a lease
//! of its own, or one of them with versions and tokens that a stranger has chosen.

mod folder;
mod judgement;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::system;
use crate::error::{Error, Result};
use crate::ledger::Access;
use judgement::{Facts, Flaw, Seen};

/// One file, told apart from others by what never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of what is at `path` now.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.symlink_metadata()?))
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

/// The absolute path of the database file, created where it may be; `None` is an empty ledger.
///
/// Errors: a path that cannot be a ledger's (exit 2), a folder that cannot be used (69).
pub fn prepare(path: &Path, access: Access) -> Result<Option<PathBuf>> {
    let broken = |e: &io::Error| {
        Error::unavailable(format!("cannot use the ledger {}", path.display())).because_of(e)
    };
    let Some(name) = path.file_name() else {
        return Err(refused(path, "it names no file"));
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if access == Access::Write {
        folder::make(folder).map_err(|e| broken(&e))?;
    }
    let folder = match folder.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound && access == Access::ReadOnly => {
            return Ok(None);
        }
        other => other.map_err(|e| broken(&e).hint("is the folder still there?"))?,
    };
    // Absolute: SQLite takes a name that begins with `file:` for a URI.
    let full = folder.join(name);
    match full.symlink_metadata() {
        // Two names of one database would be two leases.
        Ok(found) if found.is_symlink() => {
            return Err(
                refused(path, "it is a symbolic link").hint("name the file that it leads to")
            );
        }
        Ok(found) if !found.is_file() => return Err(refused(path, "it is not a regular file")),
        Ok(_) => {}
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(broken(&e)),
        Err(_) if access == Access::ReadOnly => return Ok(None),
        Err(_) => create(&full, &folder).map_err(|e| broken(&e))?,
    }
    if access == Access::Write
        && let Some(flaw) = flaw(&full, &folder).map_err(|e| broken(&e))?
    {
        let (why, hint) = flaw.told(&full, &folder);
        return Err(refused(path, &why).hint(hint));
    }
    Ok(Some(full))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::usage(format!("{} cannot be a ledger", path.display())).because(why)
}

/// Creates the file for its owner only; `SQLite` gives its `-wal` and `-shm` the same mode. Root
/// does it for the owner of the folder.
fn create(path: &Path, folder: &Path) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
        Ok(file) => {
            let owner = folder.metadata()?;
            give(&file, owner.uid(), owner.gid());
            Ok(())
        }
    }
}

/// Root gives what it made to another user. An owner without a number here, or a server of files that
/// does not let root be root, leaves it as it is: what matters then is checked later.
pub fn give(file: &File, uid: u32, gid: u32) {
    if uid != 0 && rustix::process::geteuid().is_root() {
        let _ = fchown(file, Some(uid), Some(gid));
    }
}

/// What speaks against the file.
fn flaw(path: &Path, folder: &Path) -> io::Result<Option<Flaw>> {
    Ok(judgement::judge(&Facts {
        file: Seen::of(&path.symlink_metadata()?),
        folder: Seen::of(&folder.metadata()?),
        us: rustix::process::geteuid().as_raw(),
        unmapped: system::unmapped(),
        is_mount_point: system::is_mount_point(path),
    }))
}

/// Whether what stands beside the database was put there by a stranger, who could have it be in the
/// way for ever.
pub fn is_a_strangers(beside: &File, path: &Path, database: &Path) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let facts = Facts {
        file: Seen::of(&beside.metadata()?),
        folder: Seen::of(&folder.metadata()?),
        us: rustix::process::geteuid().as_raw(),
        unmapped: system::unmapped(),
        is_mount_point: false,
    };
    let owner = database.symlink_metadata()?.uid();
    Ok(facts.file.owner != owner && judgement::judge(&facts) == Some(Flaw::StrangersFile))
}
