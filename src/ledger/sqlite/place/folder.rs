//! The folder of a ledger.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::give;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Makes the folder, and those above it, for their owner only.
pub fn make(folder: &Path) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return make_as_root(folder);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Root makes them for the owner of the folder that is there. No step follows a link: that owner could
/// put one there meanwhile.
fn make_as_root(folder: &Path) -> io::Result<()> {
    let mut there = folder.components();
    let mut missing = Vec::new();
    while !or_here(there.as_path()).try_exists()? {
        missing.extend(there.next_back().map(Component::as_os_str));
    }
    let mut at = File::from(openat(
        CWD,
        or_here(there.as_path()),
        DIRECTORY,
        Mode::empty(),
    )?);
    let owner = at.metadata()?;
    for name in missing.into_iter().rev() {
        let made = mkdirat(&at, name, Mode::RWXU);
        at = File::from(openat(
            &at,
            name,
            DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        )?);
        match made {
            Ok(()) => give(&at, owner.uid(), owner.gid()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The path; the working folder where nothing is left of it.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}
