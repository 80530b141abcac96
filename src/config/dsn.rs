//! Where the ledger is: `--dsn`, or the state directory. A DSN is never part of an error: it may
//! hold a password.

use std::path::{Path, PathBuf};

use super::Dsn;
use super::secrets::Env;
use crate::error::{Error, Result};

const FILE: &str = "ledger.sqlite";

/// Reads a DSN: `sqlite:PATH` or a bare path.
pub(super) fn parse(dsn: &str) -> Result<Dsn> {
    if is_mysql(dsn) {
        return Err(
            Error::usage("MySQL and MariaDB ledgers are not supported by this version")
                .because("--dsn (CAM_DSN) names one")
                .hint("name a file: --dsn sqlite:PATH"),
        );
    }
    let path = match dsn.strip_prefix("sqlite:") {
        // `sqlite:///abs` is how others write it.
        Some(path) if path.starts_with("///") => &path[2..],
        Some(path) if !path.starts_with("//") => path,
        None if !dsn.contains("://") && !dsn.contains('@') => dsn,
        _ => return Err(refused("it is not sqlite:PATH or a path")),
    };
    if path.is_empty() {
        return Err(refused("it names no file"));
    }
    if path.starts_with("file:") || path.starts_with(':') {
        return Err(refused("URIs and in-memory databases are no ledger"));
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") || Path::new(path).is_dir() {
        return Err(refused("it names a directory, not a file"));
    }
    Ok(Dsn::Sqlite(PathBuf::from(path)))
}

/// Whether this is `mysql://…` or a DSN of go-sql-driver/mysql,
/// `[user[:password]@][protocol[(address)]]/database`.
fn is_mysql(dsn: &str) -> bool {
    let lower = dsn.to_ascii_lowercase();
    if lower.starts_with("sqlite:") {
        return false;
    }
    lower.starts_with("mysql:")
        || lower.starts_with("mariadb:")
        || lower.contains(")/")
        || ["tcp(", "unix("]
            .iter()
            .any(|p| lower.starts_with(p) || lower.contains(&format!("@{p}")))
}

fn refused(why: &str) -> Error {
    Error::usage("--dsn (CAM_DSN) cannot be used")
        .because(why)
        .hint("name a file: --dsn sqlite:PATH")
}

/// The ledger where no DSN is given: in `$STATE_DIRECTORY` (systemd; the first of several), else
/// in a folder of `$XDG_STATE_HOME`, which is `~/.local/state` where it is not an absolute path.
pub(super) fn default(env: Env) -> Result<Dsn> {
    if let Some(directories) = env("STATE_DIRECTORY") {
        let first = std::env::split_paths(&directories).next();
        if let Some(directory) = first.filter(|d| d.is_absolute()) {
            return Ok(Dsn::Sqlite(directory.join(FILE)));
        }
    }
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Error::usage("there is no place for the ledger: HOME is not set")
                .hint("name a file with --dsn (CAM_DSN)")
        })?;
    Ok(Dsn::Sqlite(
        state.join("coreos-artifactory-monitor").join(FILE),
    ))
}
