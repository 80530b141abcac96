//! One connection to the server: how it is made, and what its failures mean.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, DriverError, OptsBuilder, SslOpts};

use super::lease;
use super::statements::Connection;
use crate::catch_panic;
use crate::config::{MysqlAddress, MysqlConfig, MysqlTls};
use crate::error::{Error, Kind};
use crate::ledger::sql::{Database, Engine, Failure};
use crate::ledger::{Lease, LeaseInfo};
use crate::model::name::Scope;

/// The largest packet that is read: a report of 400,000 apps is below it.
const MAX_PACKET: usize = 64 << 20;
/// How long the kernel waits for the peer to acknowledge what was sent.
const TCP_USER_TIMEOUT_MS: u32 = 15_000;
/// How long a statement waits for a row that another one has locked, in seconds.
const LOCK_WAIT_SECONDS: u32 = 5;
/// How long a statement waits for a table that another one has locked (a backup, an `ALTER TABLE`), in
/// seconds. By then we have given up waiting for its answer: it keeps statements that nobody waits
/// for from piling up until the server takes no connection any more.
const TABLE_WAIT_SECONDS: u32 = 60;

/// Another transaction was in the way; 3101 is how Group Replication tells of a conflict with
/// another node.
const CONFLICT: [u16; 4] = [1020, 1205, 1213, 3101];
/// The connection is gone. No connection is free at 1040 and 1203: there may be one in a moment.
/// 4031 is how `MySQL` (8.0.24 and newer) tells of one that was idle for longer than `wait_timeout`.
const LOST: [u16; 17] = [
    1040, 1047, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1180, 1184, 1203, 1317, 1927, 3168, 3169,
    4031,
];

/// Of the moment: disks and memory, tables that are full, limits on the time of a statement and on
/// the number of them, a lock for a backup, another node that could not follow.
const PASSING: [u16; 14] = [
    1021, 1030, 1037, 1038, 1041, 1114, 1135, 1206, 1223, 1226, 1637, 1969, 3024, 3100,
];

/// What went wrong inside a call.
#[derive(Debug)]
pub enum Fault {
    /// The driver or the server says so.
    Driver(mysql::Error),
    /// The database holds what the program never writes.
    Data(String),
}

impl Fault {
    /// The server's error number, where it is one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Driver(mysql::Error::MySqlError(error)) => Some(error.code),
            _ => None,
        }
    }
}

impl<E: Into<mysql::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Driver(error.into())
    }
}

/// The result of a statement.
pub type Sql<T> = Result<T, Fault>;

/// A connection that is made anew after it was lost. Everything that talks to the server runs
/// inside [`Session::call`] or [`Engine::with`].
pub struct Session {
    config: MysqlConfig,
    conn: Option<Conn>,
}

impl Session {
    /// Connects.
    pub fn open(config: &MysqlConfig) -> Result<Self, Failure> {
        let mut session = Self {
            config: config.clone(),
            conn: None,
        };
        session.call(|_| Ok(()))?;
        Ok(session)
    }

    /// Runs `work` on the connection, which is made first where there is none.
    pub fn call<T>(&mut self, work: impl FnOnce(&mut Conn) -> Sql<T>) -> Result<T, Failure> {
        self.contained(|conn, config| work(conn).map_err(|fault| failure(config, &fault)))
    }

    /// The driver panics on some bytes that a server controls (a malformed RSA key of
    /// `caching_sha2_password`, reproduced with 28.0.4): that is caught here, and the connection
    /// dropped.
    fn contained<T>(
        &mut self,
        work: impl FnOnce(&mut Conn, &MysqlConfig) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let held = self.conn.take();
        let config = &self.config;
        let run = || {
            let mut conn = match held {
                Some(conn) => conn,
                None => connect(config)?,
            };
            let result = work(&mut conn, config);
            let keep = !matches!(result, Err(Failure::Lost(_)));
            Ok((result, keep.then_some(conn)))
        };
        match catch_panic::run(run) {
            Some(Ok((result, conn))) => {
                self.conn = conn;
                result
            }
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::Lost(
                unusable(config).because("the server sent what the driver cannot read"),
            )),
        }
    }
}

impl Engine for Session {
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // A lease is renewed all the time; what is done here comes after downloads and deploys.
        if let Some(idle) = self.conn.take() {
            self.conn = catch_panic::run(|| awake(idle)).flatten();
        }
        self.contained(|conn, config| work(&mut Connection { conn, config }))
    }

    fn place(&self) -> String {
        place(&self.config)
    }

    fn acquire(
        &mut self,
        scope: &Scope,
        wait: Duration,
    ) -> crate::error::Result<Option<Box<dyn Lease>>> {
        lease::acquire(&self.config, scope, wait)
    }

    fn lease_info(&mut self, scope: &Scope) -> Result<Option<LeaseInfo>, Failure> {
        self.call(|conn| lease::info(conn, scope))
    }
}

/// The connection, where it still is one: servers and what is on the way to them cut what was idle
/// while a payload was downloaded. Nothing was sent yet, so that a new one is as good.
fn awake(mut conn: Conn) -> Option<Conn> {
    conn.ping().is_ok().then_some(conn)
}

fn connect(config: &MysqlConfig) -> Result<Conn, Failure> {
    let of = |error: mysql::Error| failure(config, &Fault::Driver(error));
    let mut conn = match Conn::new(options(config, config.tls != MysqlTls::Off)) {
        Err(mysql::Error::DriverError(DriverError::TlsNotSupported))
            if config.tls == MysqlTls::Preferred =>
        {
            Conn::new(options(config, false)).map_err(of)?
        }
        other => other.map_err(of)?,
    };
    set_up(&mut conn, config).map_err(of)?;
    Ok(conn)
}

fn options(config: &MysqlConfig, encrypted: bool) -> OptsBuilder {
    let options = OptsBuilder::new()
        // The driver would otherwise go over to the unix socket of a loopback server, without TLS.
        .prefer_socket(false)
        .user(Some(config.user.clone()))
        .pass(config.password.as_ref().map(|p| p.expose().to_owned()))
        .db_name(Some(config.database.clone()))
        .tcp_connect_timeout(Some(config.connect_timeout))
        .read_timeout(Some(config.read_timeout))
        .write_timeout(Some(config.write_timeout))
        .tcp_user_timeout_ms(Some(TCP_USER_TIMEOUT_MS))
        .max_allowed_packet(Some(MAX_PACKET))
        .enable_cleartext_plugin(false)
        .local_infile_handler(None)
        .ssl_opts(encrypted.then(|| {
            let unverified = config.tls != MysqlTls::Verified;
            SslOpts::default()
                .with_root_cert_path(config.ca_file.clone())
                .with_danger_skip_domain_validation(unverified)
                .with_danger_accept_invalid_certs(unverified)
        }));
    match &config.address {
        MysqlAddress::Tcp(host, port) => options.ip_or_hostname(Some(host.clone())).tcp_port(*port),
        MysqlAddress::Socket(path) => options.socket(Some(path.to_string_lossy())),
    }
}

fn set_up(conn: &mut Conn, config: &MysqlConfig) -> Result<(), mysql::Error> {
    for (name, value) in &config.session {
        conn.query_drop(format!("SET SESSION {name} = {value}"))?;
    }
    let is_given = |name: &str| config.session.iter().any(|(n, _)| n == name);
    // A value that doesn't fit is an error, never cut. The server's own modes are left out: some
    // change what a statement means (MariaDB's EMPTY_STRING_IS_NULL).
    let modes = if is_given("sql_mode") {
        "CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')"
    } else {
        "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
    };
    let mut session = vec![
        format!("sql_mode = {modes}"),
        "time_zone = '+00:00'".to_owned(),
        "autocommit = 1".to_owned(),
    ];
    for (name, seconds) in [
        ("innodb_lock_wait_timeout", LOCK_WAIT_SECONDS),
        ("lock_wait_timeout", TABLE_WAIT_SECONDS),
    ] {
        if !is_given(name) {
            session.push(format!("{name} = {seconds}"));
        }
    }
    conn.query_drop(format!("SET SESSION {}", session.join(", ")))?;
    // Galera: what another node has committed is seen here. Other servers don't know the variable.
    match conn.query_drop("SET SESSION wsrep_sync_wait = 15") {
        Err(mysql::Error::MySqlError(error)) if error.code == 1193 => Ok(()),
        other => other,
    }
}

fn unusable(config: &MysqlConfig) -> Error {
    Error::unavailable(format!("cannot use the ledger {}", place(config)))
}

/// Where the ledger is, without the user and the password.
pub fn place(config: &MysqlConfig) -> String {
    let database = &config.database;
    match &config.address {
        MysqlAddress::Tcp(host, port) if host.contains(':') => {
            format!("{database} on [{host}]:{port}")
        }
        MysqlAddress::Tcp(host, port) => format!("{database} on {host}:{port}"),
        MysqlAddress::Socket(path) => format!("{database} on {}", path.display()),
    }
}

/// The database holds what the program never writes.
pub fn broken(config: &MysqlConfig, what: &str) -> Failure {
    Failure::Refused(unusable(config).because(config.masker.text(what)))
}

/// What a fault means.
pub fn failure(config: &MysqlConfig, fault: &Fault) -> Failure {
    let driver = match fault {
        Fault::Data(what) => return broken(config, what),
        Fault::Driver(driver) => driver,
    };
    let why = describe(driver, config.read_timeout);
    let error = unusable(config).because(config.masker.text(why));
    match driver {
        mysql::Error::MySqlError(server) => of_server(server.code, error),
        mysql::Error::DriverError(DriverError::TlsNotSupported) => Failure::Refused(
            error.hint("the server offers no TLS: `tls=false` in --dsn does without"),
        ),
        mysql::Error::DriverError(
            DriverError::UnknownAuthPlugin(_)
            | DriverError::OldMysqlPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => Failure::Refused(error),
        tls if is_tls(tls) => Failure::Refused(error.hint(
            "--dsn-ca-file names the certificate of the authority that the server's is from",
        )),
        mysql::Error::FromValueError(_)
        | mysql::Error::FromRowError(_)
        | mysql::Error::UrlError(_) => Failure::Refused(error),
        _ => Failure::Lost(error),
    }
}

/// What the servers' error numbers mean, by their manuals; 1180 and 1047 are what a Galera node
/// without quorum answers (measured). A locked account is 3118 on `MySQL` and 4151 on `MariaDB`.
fn of_server(code: u16, mut error: Error) -> Failure {
    let hint = match code {
        _ if CONFLICT.contains(&code) => return Failure::Conflict(error),
        _ if LOST.contains(&code) => return Failure::Lost(error),
        _ if PASSING.contains(&code) => return Failure::Passing(error),
        1290 | 1792 | 1836 => {
            let hint = "the server is read-only: name the primary with --dsn";
            return Failure::Passing(error.hint(hint));
        }
        1044 | 1045 | 1698 => {
            error.kind = Kind::Credentials;
            "check user and password of --dsn"
        }
        1820 | 1862 => {
            error.kind = Kind::Credentials;
            "the password has expired: set a new one, there and in --dsn"
        }
        3118 | 4151 => {
            error.kind = Kind::Credentials;
            "the account is locked: `ALTER USER … ACCOUNT UNLOCK` unlocks it"
        }
        1049 => {
            error.kind = Kind::Usage;
            "create the database, or name another one with --dsn"
        }
        1142 | 1143 | 1370 => {
            "the user lacks a grant: db/README.md lists those for migrating and for running"
        }
        _ => return Failure::Refused(error),
    };
    Failure::Refused(error.hint(hint))
}

fn describe(error: &mysql::Error, read_timeout: Duration) -> String {
    match error {
        mysql::Error::MySqlError(error) => error.to_string(),
        mysql::Error::DriverError(error) => error.to_string(),
        mysql::Error::FromValueError(_) | mysql::Error::FromRowError(_) => {
            "a column holds a value of another type".to_owned()
        }
        other => match io_error(other) {
            Some(io) if io.kind() == ErrorKind::WouldBlock => {
                let limit = humantime::format_duration(read_timeout);
                format!("no answer within {limit}")
            }
            Some(io) => io.to_string(),
            None => other.to_string(),
        },
    }
}

/// What the socket, or TLS on it, says.
fn io_error(error: &mysql::Error) -> Option<&io::Error> {
    match error {
        mysql::Error::IoError(error) => Some(error),
        mysql::Error::CodecError(error) => error.source()?.downcast_ref(),
        _ => None,
    }
}

/// Whether the server's certificate, or what it said of TLS, was not taken.
fn is_tls(error: &mysql::Error) -> bool {
    let inner = io_error(error).and_then(io::Error::get_ref);
    matches!(error, mysql::Error::TlsError(_))
        || inner.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let of = |code| of_server(code, Error::unavailable("it fails"));
        for code in [1020, 1205, 1213, 3101] {
            assert!(matches!(of(code), Failure::Conflict(_)), "{code}");
        }
        // Too many connections, of all and of this user; shut down; killed, on either server; idle
        // for too long.
        for code in [1040, 1203, 1053, 1317, 1927, 3169, 4031] {
            assert!(matches!(of(code), Failure::Lost(_)), "{code}");
        }
        // Read-only, out of disk or memory, a statement that took too long on either server.
        for code in [1290, 1792, 1836, 1021, 1041, 1114, 1969, 3024] {
            assert!(matches!(of(code), Failure::Passing(_)), "{code}");
        }
        for code in [1045, 1142, 1146, 1153] {
            assert!(matches!(of(code), Failure::Refused(_)), "{code}");
        }
        for code in [1044, 1045, 1698, 1820, 1862, 3118, 4151] {
            let error = Error::from(of(code));
            assert_eq!(error.kind, Kind::Credentials, "{code}");
            assert!(error.hint.is_some(), "{code}");
        }
    }
}
