//! The parameters of a DSN.

use std::time::Duration;

use super::{duration, refused};
use crate::config::MysqlTls;
use crate::error::{Error, Result};

/// How a DSN is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As go-sql-driver/mysql does.
    Go,
    /// As a URL.
    Url,
}

/// What the parameters say; `None` is silence.
#[derive(Default)]
pub(super) struct Params {
    pub(super) tls: Option<MysqlTls>,
    pub(super) socket: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) session: Vec<(String, String)>,
}

/// What a parameter is for.
#[derive(Clone, Copy)]
enum Kind {
    Tls,
    /// As MySQL's own clients write it.
    SslMode,
    /// As the `mysql` crate writes it.
    RequireSsl,
    Socket,
    ConnectTimeout,
    ReadTimeout,
    WriteTimeout,
    Charset,
    Collation,
    /// Of go-sql-driver's own working: without meaning here.
    Ignored,
    IgnoredBool,
    IgnoredInteger,
    /// A boolean that must be false, and why.
    Never(&'static str),
    /// Not accepted at all, and why.
    Refused(&'static str),
    /// Session variables, by what their value is.
    Number,
    Modes,
    Isolation,
    TimeZone,
}

/// All that are known. go-sql-driver/mysql sets each parameter that is not its own as a session
/// variable; here only those are, under which the ledger's statements mean the same.
const KNOWN: [(&str, Kind); 39] = [
    ("tls", Kind::Tls),
    ("ssl-mode", Kind::SslMode),
    ("require_ssl", Kind::RequireSsl),
    ("socket", Kind::Socket),
    ("timeout", Kind::ConnectTimeout),
    ("readTimeout", Kind::ReadTimeout),
    ("writeTimeout", Kind::WriteTimeout),
    ("charset", Kind::Charset),
    ("collation", Kind::Collation),
    ("parseTime", Kind::IgnoredBool),
    ("interpolateParams", Kind::IgnoredBool),
    ("multiStatements", Kind::IgnoredBool),
    ("allowNativePasswords", Kind::IgnoredBool),
    ("checkConnLiveness", Kind::IgnoredBool),
    ("clientFoundRows", Kind::IgnoredBool),
    ("columnsWithAlias", Kind::IgnoredBool),
    ("rejectReadOnly", Kind::IgnoredBool),
    ("compress", Kind::IgnoredBool),
    ("maxAllowedPacket", Kind::IgnoredInteger),
    ("loc", Kind::Ignored),
    ("timeTruncate", Kind::Ignored),
    ("connectionAttributes", Kind::Ignored),
    (
        "allowOldPasswords",
        Kind::Never("passwords are not sent in the way of MySQL 4.0, which is broken"),
    ),
    (
        "allowCleartextPasswords",
        Kind::Never("passwords are not sent in clear"),
    ),
    (
        "allowAllFiles",
        Kind::Never("no file is ever sent to a server"),
    ),
    (
        "serverPubKey",
        Kind::Refused("keys cannot be registered; with TLS none is needed"),
    ),
    (
        "foreign_key_checks",
        Kind::Refused("the ledger relies on foreign keys as the server has them"),
    ),
    ("sql_mode", Kind::Modes),
    ("time_zone", Kind::TimeZone),
    ("transaction_isolation", Kind::Isolation),
    ("tx_isolation", Kind::Isolation),
    ("innodb_lock_wait_timeout", Kind::Number),
    ("lock_wait_timeout", Kind::Number),
    ("wait_timeout", Kind::Number),
    ("net_read_timeout", Kind::Number),
    ("net_write_timeout", Kind::Number),
    ("max_statement_time", Kind::Number),
    ("max_execution_time", Kind::Number),
    ("wsrep_sync_wait", Kind::Number),
];

/// The modes of SQL that change neither how a statement is read nor what it returns.
const MODES: [&str; 9] = [
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "TRADITIONAL",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ENGINE_SUBSTITUTION",
    "NO_AUTO_CREATE_USER",
    "ONLY_FULL_GROUP_BY",
];

impl Params {
    /// Reads `name=value&…`, values as in a query of a URL. As in go-sql-driver, empty parameters
    /// do not count; one without `=`, which that skips, is refused.
    pub(super) fn parse(query: &str, form: Form) -> Result<Self> {
        let mut params = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        let texts = query.split('&').filter(|text| !text.is_empty());
        for (index, text) in texts.enumerate() {
            let (given, value) = text.split_once('=').unwrap_or((text, ""));
            let known = KNOWN
                .into_iter()
                .find(|(name, kind)| *name == given && (form == Form::Url || !kind.is_of_url()));
            // What is not known may be a piece of a password with a '?' in it.
            let Some((name, kind)) = known else {
                return Err(unknown(index + 1, form));
            };
            if !text.contains('=') {
                return Err(refused(
                    format!("its parameter {name} has no value"),
                    format!("write {name}=VALUE"),
                ));
            }
            if seen.contains(&name) {
                return Err(refused(
                    format!("its parameter {name} is given twice"),
                    "leave one of them out",
                ));
            }
            seen.push(name);
            let value = unescape(value, true)
                .ok_or_else(|| wrong(name, "percent-encoded UTF-8 without control characters"))?;
            params.set(name, kind, &value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, kind: Kind, value: &str) -> Result<()> {
        match kind {
            Kind::Tls | Kind::SslMode | Kind::RequireSsl => {
                if self.tls.is_some() {
                    return Err(refused(
                        "two of its parameters say how TLS is used",
                        "leave one of tls, ssl-mode and require_ssl",
                    ));
                }
                self.tls = Some(tls(name, kind, value)?);
            }
            Kind::Socket => self.socket = Some(value.to_string()),
            Kind::ConnectTimeout => self.connect_timeout = timeout(name, value)?,
            Kind::ReadTimeout => self.read_timeout = timeout(name, value)?,
            Kind::WriteTimeout => self.write_timeout = timeout(name, value)?,
            Kind::Charset => {
                let known = ["utf8", "utf8mb3", "utf8mb4"];
                let is_known = |one: &str| known.iter().any(|k| one.trim().eq_ignore_ascii_case(k));
                if !value.split(',').any(is_known) {
                    return Err(wrong(name, "utf8mb4: others garble names"));
                }
            }
            Kind::Collation => {
                if !value.to_ascii_lowercase().starts_with("utf8") {
                    return Err(wrong(name, "one of UTF-8: others garble names"));
                }
            }
            Kind::Ignored => {}
            Kind::IgnoredBool => {
                boolean(name, value)?;
            }
            Kind::IgnoredInteger => {
                if value.parse::<i64>().is_err() {
                    return Err(wrong(name, "a whole number"));
                }
            }
            Kind::Never(why) => {
                if boolean(name, value)? {
                    let hint = format!("leave {name} out");
                    return Err(refused(format!("its parameter {name}: {why}"), hint));
                }
            }
            Kind::Refused(why) => {
                let hint = format!("leave {name} out");
                return Err(refused(format!("its parameter {name}: {why}"), hint));
            }
            Kind::TimeZone => {
                let utc = quoted(value)
                    .is_some_and(|zone| zone == "+00:00" || zone.eq_ignore_ascii_case("UTC"));
                if !utc {
                    return Err(wrong(
                        name,
                        "'%2B00:00': every connection of the ledger is in UTC",
                    ));
                }
            }
            Kind::Number | Kind::Modes | Kind::Isolation => {
                let literal = literal(name, kind, value)?;
                self.session.push((name.to_string(), literal));
            }
        }
        Ok(())
    }
}

impl Kind {
    /// Whether go-sql-driver does not have it.
    const fn is_of_url(self) -> bool {
        matches!(self, Self::SslMode | Self::RequireSsl | Self::Socket)
    }

    /// Whether it does anything.
    const fn counts(self) -> bool {
        !matches!(
            self,
            Self::Ignored
                | Self::IgnoredBool
                | Self::IgnoredInteger
                | Self::Never(_)
                | Self::Refused(_)
        )
    }
}

fn unknown(number: usize, form: Form) -> Error {
    let names: Vec<&str> = KNOWN
        .into_iter()
        .filter(|(_, kind)| kind.counts() && (form == Form::Url || !kind.is_of_url()))
        .map(|(name, _)| name)
        .collect();
    refused(
        format!("number {number} of its parameters is not known"),
        format!(
            "known are {}, and what go-sql-driver/mysql has for itself",
            names.join(", ")
        ),
    )
}

fn wrong(name: &str, expected: &str) -> Error {
    let why = format!("the value of its parameter {name} cannot be used");
    refused(why, format!("{name} must be {expected}"))
}

/// The booleans of go-sql-driver/mysql.
fn boolean(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(wrong(name, "true or false")),
    }
}

fn tls(name: &str, kind: Kind, value: &str) -> Result<MysqlTls> {
    let lower = value.to_ascii_lowercase();
    match (kind, lower.as_str()) {
        (Kind::SslMode, "disabled") => Ok(MysqlTls::Off),
        (Kind::SslMode | Kind::Tls, "preferred") => Ok(MysqlTls::Preferred),
        (Kind::SslMode, "required") | (Kind::Tls, "skip-verify") => Ok(MysqlTls::Unverified),
        (Kind::SslMode, "verify_identity") => Ok(MysqlTls::Verified),
        // To check the name too would refuse servers that VERIFY_CA was chosen for.
        (Kind::SslMode, _) => Err(wrong(
            name,
            "DISABLED, PREFERRED, REQUIRED (which verifies nothing) or VERIFY_IDENTITY",
        )),
        (Kind::RequireSsl, _) => match boolean(name, value) {
            Ok(true) => Ok(MysqlTls::Verified),
            _ => Err(wrong(name, "true; TLS is turned off by ssl-mode=DISABLED")),
        },
        _ => match boolean(name, value) {
            Ok(true) => Ok(MysqlTls::Verified),
            Ok(false) => Ok(MysqlTls::Off),
            Err(_) => Err(wrong(name, "true, false, skip-verify or preferred")),
        },
    }
}

/// A duration; `None` for 0, which to go-sql-driver means no limit and here the default.
fn timeout(name: &str, value: &str) -> Result<Option<Duration>> {
    const RANGE: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(60 * 60);
    match duration::parse(value) {
        Some(Duration::ZERO) => Ok(None),
        Some(duration) if RANGE.contains(&duration) => Ok(Some(duration)),
        _ => Err(wrong(
            name,
            "a duration as Go writes it, such as 5s or 1m30s, from 1ms to 1h; 0 is the default",
        )),
    }
}

/// The value of a session variable as an SQL literal that ends where it seems to.
fn literal(name: &str, kind: Kind, value: &str) -> Result<String> {
    match kind {
        Kind::Isolation => {
            let known = ["READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"];
            quoted(value)
                .map(str::to_ascii_uppercase)
                .filter(|level| known.contains(&level.as_str()))
                .map(|level| format!("'{level}'"))
                .ok_or_else(|| {
                    let levels = "'READ-COMMITTED', 'REPEATABLE-READ' or 'SERIALIZABLE', quoted";
                    wrong(name, levels)
                })
        }
        Kind::Modes => quoted(value)
            .map(str::to_ascii_uppercase)
            .filter(|modes| modes.is_empty() || modes.split(',').all(|m| MODES.contains(&m)))
            .map(|modes| format!("'{modes}'"))
            .ok_or_else(|| {
                let modes = MODES.join(", ");
                wrong(name, &format!("quoted, and of these modes only: {modes}"))
            }),
        _ => {
            let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
            let digits = |text: &str| {
                (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
            };
            if digits(whole) && digits(fraction) {
                return Ok(value.to_string());
            }
            Err(wrong(name, "a number without quotes"))
        }
    }
}

/// What stands between two quotes of one kind.
fn quoted(value: &str) -> Option<&str> {
    ['\'', '"']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
}

/// Decodes percent-encoding, and `+` as a blank where `plus` says so. `None`: a `%` without two
/// hexadecimal digits, or what comes out is not UTF-8 or holds a control character.
pub(super) fn unescape(text: &str, plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    let text = String::from_utf8(out).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}
