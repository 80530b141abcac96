//! Where the ledger is: `--dsn`, or the state directory.
//!
//! No text of a DSN is part of an error, for any of it may be the password, or what is left of one
//! that was not escaped. Errors name the part that is wrong, and parameters that are known.

mod duration;
mod mysql;
mod params;

use std::path::{Path, PathBuf};

use super::Dsn;
use super::secrets::Env;
use crate::error::{Error, Result};

pub(super) use mysql::Options;

const FILE: &str = "ledger.sqlite";

const FORMS: &str = "write USER:PASSWORD@tcp(HOST:PORT)/DATABASE, \
    mysql://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH";

/// Reads a DSN: `sqlite:PATH`, a bare path, `mysql://…`, or one of go-sql-driver/mysql.
///
/// What begins like a path is one. Else an `@`, which every DSN of go-sql-driver with a user has,
/// or an address in parentheses tells those from relative paths.
pub(super) fn parse(dsn: &str, options: &Options) -> Result<Dsn> {
    if let Some(path) = dsn.strip_prefix("sqlite:") {
        return match path {
            // `sqlite:///abs` is how others write it.
            path if path.starts_with("///") => sqlite(&path[2..]),
            path if path.starts_with("//") => {
                Err(refused("it is not sqlite:PATH or a path", FORMS))
            }
            path => sqlite(path),
        };
    }
    if let Some(rest) = after_scheme(dsn) {
        return mysql::from_url(rest, options).map(|c| Dsn::Mysql(Box::new(c)));
    }
    if ["/", "./", "../", "~/"].iter().any(|p| dsn.starts_with(p)) {
        if dsn.contains('@') {
            return Err(refused(
                "it may be a path or a DSN of MySQL: it begins like a path and holds an '@'",
                "a path with an '@' is written sqlite:PATH",
            ));
        }
        return sqlite(dsn);
    }
    if is_go(dsn) {
        return mysql::from_go(dsn, options).map(|c| Dsn::Mysql(Box::new(c)));
    }
    if dsn.contains("://") {
        return Err(foreign_scheme());
    }
    sqlite(dsn)
}

fn sqlite(path: &str) -> Result<Dsn> {
    let hint = "name a file: --dsn sqlite:PATH";
    if path.is_empty() {
        return Err(refused("it names no file", hint));
    }
    if path.starts_with("file:") || path.starts_with(':') {
        return Err(refused("URIs and in-memory databases are no ledger", hint));
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") || Path::new(path).is_dir() {
        return Err(refused("it names a directory, not a file", hint));
    }
    Ok(Dsn::Sqlite(PathBuf::from(path)))
}

/// What follows `mysql://` or `mariadb://`.
fn after_scheme(dsn: &str) -> Option<&str> {
    let (scheme, rest) = dsn.split_once("://")?;
    ["mysql", "mariadb"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        .then_some(rest)
}

/// Whether this can't be meant as a path: `[user[:password]@][protocol[(address)]]/database`.
fn is_go(dsn: &str) -> bool {
    let lower = dsn.to_ascii_lowercase();
    dsn.contains('@')
        || dsn.contains(")/")
        || ["tcp(", "unix(", "mysql:", "mariadb:"]
            .iter()
            .any(|start| lower.starts_with(start))
}

/// Whether this begins like a URL (RFC 3986).
fn has_scheme(dsn: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    dsn.split_once("://")
        .is_some_and(|(scheme, _)| scheme.chars().all(is_part))
}

fn foreign_scheme() -> Error {
    refused("its scheme is not mysql, mariadb or sqlite", FORMS)
}

fn refused(why: impl AsRef<str>, hint: impl AsRef<str>) -> Error {
    Error::usage("--dsn (CAM_DSN) cannot be used")
        .because(why)
        .hint(hint)
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

#[cfg(test)]
mod tests;
