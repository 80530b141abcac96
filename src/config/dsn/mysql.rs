//! Both ways to write where a `MySQL` or `MariaDB` database is.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::params::{MysqlTls, Params, unescape};
use super::{FORMS, foreign_scheme, has_scheme, refused};
use crate::config::warnings::is_loopback;
use crate::error::{Error, Result};
use crate::mask::Masker;
use crate::secret::Secret;

const PORT: u16 = 3306;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a `MySQL` or `MariaDB` server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlConfig {
    /// Where it listens.
    pub address: MysqlAddress,
    /// The user.
    pub user: String,
    /// The password; `None` sends none.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// Whether the connection is encrypted.
    pub tls: MysqlTls,
    /// `--dsn-ca-file`: more certificates to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a connection (`timeout`).
    pub connect_timeout: Duration,
    /// Longest wait for bytes from the server (`readTimeout`).
    pub read_timeout: Duration,
    /// Longest wait for the server to take bytes (`writeTimeout`).
    pub write_timeout: Duration,
    /// Session variables to set, by name; the value is an SQL literal.
    pub session: Vec<(String, String)>,
    /// `--lease-ttl`: how long the lease outlives its last renewal.
    pub lease_ttl: Duration,
    /// How long the lease is renewed: a pass that is wedged loses it.
    pub lease_limit: Duration,
    /// What takes all secrets of the program out of what the server says.
    pub masker: Masker,
}

/// Where a `MySQL` server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MysqlAddress {
    /// Host (a name or an address, without brackets) and port.
    Tcp(String, u16),
    /// A unix socket.
    Socket(PathBuf),
}

/// Where the DSN is from, and what other options say of a ledger on `MySQL`.
pub(in crate::config) struct Options<'a> {
    /// Whether it stands on the command line.
    pub(in crate::config) typed: bool,
    /// `--dsn-ca-file`.
    pub(in crate::config) ca_file: Option<&'a Path>,
    /// `--lease-ttl`.
    pub(in crate::config) lease_ttl: Duration,
    /// How long the lease is renewed.
    pub(in crate::config) lease_limit: Duration,
}

/// What a DSN says.
struct Parts {
    user: String,
    password: String,
    /// `None` where the DSN names no host.
    address: Option<MysqlAddress>,
    database: String,
    params: Params,
}

/// Reads what follows `mysql://`: `[user[:password]@]host[:port]/database[?parameters]`
/// (RFC 3986), everything percent-encoded.
pub(super) fn from_url(rest: &str, options: &Options) -> Result<MysqlConfig> {
    if rest.contains('#') {
        let hint = "a '#' in the user or the password is written %23";
        return Err(refused("its URL holds a '#'", hint));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A '/' or '?' of a password that is not escaped ends the authority too early; the '@' that
    // follows it then stands in the path or in the parameters.
    if path.contains('@') || query.contains('@') || authority.matches('@').count() > 1 {
        return Err(refused(
            "its URL holds an '@' that does not end the user and password",
            "in a user or a password, '@' is written %40, '/' %2F, '?' %3F and '%' %25",
        ));
    }
    let (userinfo, host) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    if path.is_empty() {
        return Err(no_database());
    }
    if path.contains('/') {
        return Err(refused(
            "its URL has more than one '/' after the host",
            "a '/' in the name of a database is written %2F",
        ));
    }
    let parts = Parts {
        user: decoded("user", user)?,
        password: decoded("password", password)?,
        address: (!host.is_empty()).then(|| tcp(host)).transpose()?,
        database: decoded("database", path)?,
        params: Params::parse(query, true)?,
    };
    config(parts, options)
}

/// Reads a DSN of go-sql-driver/mysql, `[user[:password]@][net[(addr)]]/dbname[?parameters]`, as
/// its `ParseDSN` does: it takes the last `/`, the last `@` before that, the first `:` before
/// that, and the first `(` after the `@`; user and password are taken as they stand, the database
/// is path-unescaped. `tcp`, which an empty net is too, goes to `127.0.0.1:3306` where no address
/// is given, `unix` to `/tmp/mysql.sock`.
///
/// Other than there, a database must be named, and no `@` may follow the last `/`.
pub(super) fn from_go(dsn: &str, options: &Options) -> Result<MysqlConfig> {
    let (left, right) = dsn.rsplit_once('/').ok_or_else(no_database)?;
    // A DSN that ends in its password must not be taken for one whose password ended early.
    if right.contains('@') {
        let why = "an '@' follows its last '/', where only a database and parameters can be";
        return Err(refused(why, FORMS));
    }
    let (userinfo, net) = left.rsplit_once('@').unwrap_or(("", left));
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let (net, address) = match net.split_once('(') {
        None => (net, None),
        Some((net, rest)) => {
            let address = rest.strip_suffix(')').ok_or_else(|| {
                let why = "its address does not end in ')' just before the last '/'";
                refused(why, "a '/' in a parameter is written %2F")
            })?;
            (net, Some(address))
        }
    };
    let address = match (net, address) {
        ("" | "tcp", address) => tcp(address.unwrap_or("127.0.0.1"))?,
        ("unix", path) => socket(path.unwrap_or("/tmp/mysql.sock"))?,
        _ if has_scheme(dsn) => return Err(foreign_scheme()),
        _ => {
            return Err(refused(
                "what stands before its address is neither tcp nor unix",
                format!("{FORMS}, as a path with '@' or ')/' must be"),
            ));
        }
    };
    let (database, query) = right.split_once('?').unwrap_or((right, ""));
    if database.is_empty() {
        return Err(no_database());
    }
    let parts = Parts {
        user: printable("user", user)?,
        password: printable("password", password)?,
        address: Some(address),
        database: decoded("database", database)?,
        params: Params::parse(query, false)?,
    };
    config(parts, options)
}

fn config(parts: Parts, options: &Options) -> Result<MysqlConfig> {
    let params = parts.params;
    let address = match (parts.address, params.socket) {
        (Some(address), None) => address,
        (None, None) => return Err(refused("it names no host", FORMS)),
        // `localhost` is how MySQL's own clients write "by its socket".
        (Some(MysqlAddress::Tcp(host, _)), Some(_)) if !is_loopback(&host) => {
            let why = "it names both a host and a socket";
            return Err(refused(why, "leave one of them out"));
        }
        (_, Some(path)) => socket(&path)?,
    };
    Ok(MysqlConfig {
        tls: tls(&address, params.tls)?,
        address,
        user: parts.user,
        password: Some(parts.password)
            .filter(|password| !password.is_empty())
            .map(Secret::new),
        database: parts.database,
        ca_file: options.ca_file.map(Path::to_path_buf),
        connect_timeout: params.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        read_timeout: params.read_timeout.unwrap_or(TIMEOUT),
        write_timeout: params.write_timeout.unwrap_or(TIMEOUT),
        session: params.session,
        lease_ttl: options.lease_ttl,
        lease_limit: options.lease_limit,
        masker: Masker::default(),
    })
}

/// What leaves the machine is encrypted and the server verified, unless the DSN says otherwise.
fn tls(address: &MysqlAddress, wanted: Option<MysqlTls>) -> Result<MysqlTls> {
    match (address, wanted) {
        (MysqlAddress::Tcp(host, _), None) if is_loopback(host) => Ok(MysqlTls::Off),
        (MysqlAddress::Tcp(..), wanted) => Ok(wanted.unwrap_or(MysqlTls::Verified)),
        // The driver would connect without encryption and say nothing.
        (MysqlAddress::Socket(_), Some(MysqlTls::Verified | MysqlTls::Unverified)) => Err(refused(
            "it asks for TLS over a unix socket",
            "nothing leaves the machine there: leave TLS out",
        )),
        (MysqlAddress::Socket(_), _) => Ok(MysqlTls::Off),
    }
}

/// Reads `host`, `host:port`, `[v6]`, `[v6]:port`, or an IPv6 address that can't end in a port.
fn tcp(address: &str) -> Result<MysqlAddress> {
    let is_v6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        match rest.split_once(']') {
            Some((host, "")) if is_v6(host) => (host, None),
            Some((host, port)) if is_v6(host) && port.starts_with(':') => (host, Some(&port[1..])),
            _ => {
                let why = "its host is no IPv6 address in brackets";
                return Err(refused(why, "write [ADDRESS]:PORT"));
            }
        }
    } else if is_v6(address) {
        if address
            .rsplit_once(':')
            .is_some_and(|(host, _)| is_v6(host))
        {
            let why = "its IPv6 address may end in a port or not";
            return Err(refused(why, "write [ADDRESS]:PORT"));
        }
        (address, None)
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() {
        return Err(refused("it names no host", FORMS));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.chars().all(is_part) && !is_v6(host) {
        return Err(refused(
            "its host holds a character that no host has",
            FORMS,
        ));
    }
    let port = port.map_or(Ok(PORT), port_of)?;
    Ok(MysqlAddress::Tcp(host.to_string(), port))
}

fn port_of(digits: &str) -> Result<u16> {
    // `parse` alone would take a sign.
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(port) if plain && port != 0 => Ok(port),
        _ => Err(refused(
            "its port is no number from 1 to 65535",
            "in the password of a mysql:// URL, '/' is written %2F and '@' %40",
        )),
    }
}

fn socket(path: &str) -> Result<MysqlAddress> {
    if path.starts_with('/') && !path.ends_with('/') {
        return Ok(MysqlAddress::Socket(PathBuf::from(path)));
    }
    Err(refused(
        "its socket is not the absolute path of a file",
        "write USER@unix(/run/mysqld/mysqld.sock)/DATABASE",
    ))
}

fn no_database() -> Error {
    refused("it names no database", FORMS)
}

/// A percent-encoded part.
fn decoded(name: &str, text: &str) -> Result<String> {
    unescape(text).ok_or_else(|| {
        let why = format!("its {name} is not percent-encoded UTF-8");
        refused(why, "a '%' is written %25")
    })
}

/// A part as it stands. The protocol ends a text at a NUL.
fn printable(name: &str, text: &str) -> Result<String> {
    if text.chars().any(char::is_control) {
        let why = format!("its {name} holds a control character");
        return Err(refused(why, FORMS));
    }
    Ok(text.to_string())
}
