//! Where the ledger is: `--dsn`, or the state directory.
//!
//! No text of a DSN is part of an error, for any of it may be the password, or what is left of one
//! that was not escaped. Errors name the part that is wrong, and parameters that are known.

mod mysql;
mod params;

use std::path::{Path, PathBuf};

use super::secrets::Env;
use crate::error::{Error, Result};

pub(super) use mysql::Options;
pub use mysql::{MysqlAddress, MysqlConfig};
pub use params::MysqlTls;

const FILE: &str = "ledger.sqlite";

const FORMS: &str = "write USER:PASSWORD@tcp(HOST:PORT)/DATABASE, \
    mysql://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH";

const UNQUOTED: &str = "write it without quotes: only a shell takes them away";

/// Marks that people and copied text put around a value.
const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dsn {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a `MySQL` or `MariaDB` server.
    Mysql(Box<MysqlConfig>),
}

/// Reads a DSN: `sqlite:PATH`, a bare path, `mysql://…`, or one of go-sql-driver/mysql. Schemes are
/// known in any letter case (RFC 3986).
///
/// What begins like a path is one. Else an `@`, which every DSN of go-sql-driver with a user has,
/// or an address in parentheses tells those from relative paths. What is nearly a DSN of another
/// kind is no path: a ledger that nobody meant is empty, and everything would be deployed again.
pub(super) fn parse(dsn: &str, options: &Options) -> Result<Dsn> {
    if dsn.trim() != dsn {
        let hint = "take the blank out, of the variable or the file too";
        return Err(refused("it begins or ends with a blank", hint));
    }
    if dsn.starts_with(QUOTES) {
        return Err(refused("it begins with a quotation mark", UNQUOTED));
    }
    if let Some(path) = after_scheme(dsn, &["sqlite"], ":") {
        return match path.strip_prefix("//") {
            None => sqlite(path, options.typed),
            // `sqlite:///abs` is how others write it.
            Some(path) if path.starts_with('/') => sqlite(path, options.typed),
            Some(_) => Err(refused("it is not sqlite:PATH or a path", FORMS)),
        };
    }
    if let Some(rest) = after_scheme(dsn, &["mysql", "mariadb"], "://") {
        return mysql::from_url(rest, options).map(|c| Dsn::Mysql(Box::new(c)));
    }
    if ["/", "./", "../", "~/"].iter().any(|p| dsn.starts_with(p)) {
        if dsn.contains('@') {
            let why = "it may be a path or a DSN of MySQL: it begins like a path and holds an '@'";
            return Err(refused(why, "a path with an '@' is written sqlite:PATH"));
        }
        return sqlite(dsn, options.typed);
    }
    if is_go(dsn) {
        return mysql::from_go(dsn, options).map(|c| Dsn::Mysql(Box::new(c)));
    }
    if dsn.contains("://") || first_part(dsn).contains(':') {
        return Err(foreign_scheme());
    }
    sqlite(dsn, options.typed)
}

/// Takes a path that can't be meant as anything else. It may be relative where it was typed: there
/// it is one of the folder that the person is in, elsewhere of the one that a job is started in.
fn sqlite(path: &str, typed: bool) -> Result<Dsn> {
    let hint = "name a file: --dsn sqlite:PATH";
    if path.is_empty() {
        return Err(refused("it names no file", hint));
    }
    if path.starts_with("file:") || path.starts_with(':') {
        return Err(refused("URIs and in-memory databases are no ledger", hint));
    }
    if path.trim() != path {
        return Err(refused("its path begins or ends with a blank", hint));
    }
    if path.starts_with(QUOTES) || path.ends_with(QUOTES) {
        let why = "its path begins or ends with a quotation mark";
        return Err(refused(why, UNQUOTED));
    }
    if first_part(path).contains(':') {
        return Err(refused(
            "a ':' stands before the first '/' of its path, as after a second scheme",
            "a file whose name holds a ':' is written sqlite:./NAME",
        ));
    }
    if path.contains('?') {
        let why = "it has parameters, which a ledger in a file does not take";
        return Err(refused(why, "leave out the '?' and what follows it"));
    }
    if path.split('/').any(|part| part == "~") || path.starts_with('~') {
        return Err(refused(
            "it holds a '~' that no shell has replaced",
            "write the whole path, from '/' on",
        ));
    }
    if let Some(odd) = path.chars().find(|c| is_left_over(*c)) {
        return Err(refused(
            format!(
                "its path holds {odd:?}, as of something that no shell has replaced or cut off"
            ),
            "write the path as it is; no ledger has such a name",
        ));
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") || Path::new(path).is_dir() {
        return Err(refused("it names a directory, not a file", hint));
    }
    if !typed && !path.starts_with('/') {
        return Err(refused(
            "it is a relative path, from a variable or a file: \
             it would be another ledger in every folder",
            "write the whole path, from '/' on",
        ));
    }
    Ok(Dsn::Sqlite(PathBuf::from(path)))
}

/// Whether a character is one that shells, units and files of settings take for their own, or that
/// nobody sees: none that the path of a ledger needs, and each the sign of another one that was meant.
fn is_left_over(c: char) -> bool {
    "$`{}#;,*&|<>\"\\%".contains(c)
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// What stands before the first `/`.
fn first_part(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// What follows one of these schemes and what ends it, in any letter case.
fn after_scheme<'a>(dsn: &'a str, known: &[&str], end: &str) -> Option<&'a str> {
    let (scheme, rest) = dsn.split_once(end)?;
    let is_known = known.contains(&scheme.to_ascii_lowercase().as_str());
    is_known.then_some(rest)
}

/// Whether this can't be meant as a path: `[user[:password]@][protocol[(address)]]/database`.
fn is_go(dsn: &str) -> bool {
    let lower = dsn.to_ascii_lowercase();
    let starts = ["tcp(", "unix(", "mysql:", "mariadb:"];
    dsn.contains('@') || dsn.contains(")/") || starts.iter().any(|start| lower.starts_with(start))
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
    if let Some(directories) = env("STATE_DIRECTORY").filter(|d| !d.is_empty()) {
        let first = std::env::split_paths(&directories).next();
        return match first.filter(|directory| directory.is_absolute()) {
            Some(directory) => Ok(Dsn::Sqlite(directory.join(FILE))),
            None => Err(Error::usage("STATE_DIRECTORY is not an absolute path")
                .hint("write the whole path of the folder, or name a file with --dsn (CAM_DSN)")),
        };
    }
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Error::usage("there is no place for the ledger: HOME is not set")
                .hint("name a file with --dsn (CAM_DSN)")
        })?;
    Ok(Dsn::Sqlite(state.join(crate::cli::NAME).join(FILE)))
}

#[cfg(test)]
mod tests;
