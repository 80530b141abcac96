//! The parameters of a DSN.

use std::time::Duration;

use super::refused;
use crate::error::{Error, Result};

/// How the connection to `MySQL` is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MysqlTls {
    /// Not at all.
    Off,
    /// With a certificate that a trusted authority gave to the host's name.
    Verified,
    /// With any certificate.
    Unverified,
    /// With any certificate, or not at all where the server can't.
    Preferred,
}

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

/// A value that was read, or what it must be.
type Value<T> = std::result::Result<T, String>;

/// What a parameter is for.
#[derive(Clone, Copy)]
enum Kind {
    Tls(fn(&str) -> Value<MysqlTls>),
    Socket,
    Timeout(fn(&mut Params) -> &mut Option<Duration>),
    /// A session variable, as an SQL literal that ends where it seems to.
    Session(fn(&str) -> Value<String>),
    /// Only checked: it changes nothing here.
    Checked(fn(&str) -> Value<()>),
    /// Refused where it is true, and why.
    Never(&'static str),
    /// Refused, and why.
    Refused(&'static str),
}

/// Booleans of go-sql-driver's own working, without meaning here.
const FLAGS: &str = "parseTime, interpolateParams, multiStatements, allowNativePasswords, \
    checkConnLiveness, clientFoundRows, columnsWithAlias, rejectReadOnly, compress";

/// Session variables that are numbers.
const NUMBERS: &str = "innodb_lock_wait_timeout, lock_wait_timeout, wait_timeout, \
    net_read_timeout, net_write_timeout, max_statement_time, max_execution_time, wsrep_sync_wait";

/// The modes of SQL that change neither how a statement is read nor what it returns.
const MODES: &str = "STRICT_TRANS_TABLES, STRICT_ALL_TABLES, TRADITIONAL, NO_ZERO_DATE, \
    NO_ZERO_IN_DATE, ERROR_FOR_DIVISION_BY_ZERO, NO_ENGINE_SUBSTITUTION, NO_AUTO_CREATE_USER, \
    ONLY_FULL_GROUP_BY";

/// Knows a parameter. go-sql-driver/mysql sets each one that is not its own as a session variable;
/// here only those are, under which the ledger's statements mean the same.
fn kind(name: &str, form: Form) -> Option<Kind> {
    Some(match name {
        "tls" => Kind::Tls(tls),
        "ssl-mode" if form == Form::Url => Kind::Tls(ssl_mode),
        "require_ssl" if form == Form::Url => Kind::Tls(require_ssl),
        "socket" if form == Form::Url => Kind::Socket,
        "timeout" => Kind::Timeout(|params| &mut params.connect_timeout),
        "readTimeout" => Kind::Timeout(|params| &mut params.read_timeout),
        "writeTimeout" => Kind::Timeout(|params| &mut params.write_timeout),
        "charset" => Kind::Checked(charset),
        "collation" => Kind::Checked(collation),
        "time_zone" => Kind::Checked(time_zone),
        _ if is_in(FLAGS, name) => Kind::Checked(|value| boolean(value).map(drop)),
        "maxAllowedPacket" => {
            Kind::Checked(|value| must(value.parse::<i64>().is_ok(), "a whole number"))
        }
        "loc" | "timeTruncate" | "connectionAttributes" => Kind::Checked(|_| Ok(())),
        "allowOldPasswords" => {
            Kind::Never("passwords are not sent in the way of MySQL 4.0, which is broken")
        }
        "allowCleartextPasswords" => Kind::Never("passwords are not sent in clear"),
        "allowAllFiles" => Kind::Never("no file is ever sent to a server"),
        "serverPubKey" => Kind::Refused("keys cannot be registered; with TLS none is needed"),
        "foreign_key_checks" => {
            Kind::Refused("the ledger relies on foreign keys as the server has them")
        }
        "sql_mode" => Kind::Session(modes),
        "transaction_isolation" | "tx_isolation" => Kind::Session(isolation),
        _ if is_in(NUMBERS, name) => Kind::Session(number),
        _ => return None,
    })
}

impl Params {
    /// Reads `name=value&…`, values as in a query of a URL. As in go-sql-driver, empty parameters
    /// do not count; one without `=`, which that skips, is refused.
    pub(super) fn parse(query: &str, form: Form) -> Result<Self> {
        let mut params = Self::default();
        let mut seen = Vec::new();
        let texts = query.split('&').filter(|text| !text.is_empty());
        for (index, text) in texts.enumerate() {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            // What is not known may be a piece of a password with a '?' in it.
            let Some(kind) = kind(name, form) else {
                return Err(unknown(index + 1, form));
            };
            if !text.contains('=') {
                let why = format!("its parameter {name} has no value");
                return Err(refused(why, format!("write {name}=VALUE")));
            }
            if seen.contains(&name) {
                let why = format!("its parameter {name} is given twice");
                return Err(refused(why, "leave one of them out"));
            }
            seen.push(name);
            let value = unescape(value, true)
                .ok_or_else(|| wrong(name, "percent-encoded UTF-8 without control characters"))?;
            params.set(name, kind, &value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, kind: Kind, value: &str) -> Result<()> {
        let wrong = |expected: String| wrong(name, &expected);
        let never = |why| {
            let why = format!("its parameter {name}: {why}");
            Err(refused(why, format!("leave {name} out")))
        };
        match kind {
            Kind::Tls(_) if self.tls.is_some() => {
                return Err(refused(
                    "two of its parameters say how TLS is used",
                    "leave one of tls, ssl-mode and require_ssl",
                ));
            }
            Kind::Tls(read) => self.tls = Some(read(value).map_err(wrong)?),
            Kind::Socket => self.socket = Some(value.to_owned()),
            Kind::Timeout(field) => *field(self) = timeout(value).map_err(wrong)?,
            Kind::Session(read) => {
                let literal = read(value).map_err(wrong)?;
                self.session.push((name.to_owned(), literal));
            }
            Kind::Checked(read) => read(value).map_err(wrong)?,
            Kind::Never(why) if boolean(value).map_err(wrong)? => return never(why),
            Kind::Never(_) => {}
            Kind::Refused(why) => return never(why),
        }
        Ok(())
    }
}

fn unknown(number: usize, form: Form) -> Error {
    let of_urls = match form {
        Form::Url => "ssl-mode, require_ssl, socket, ",
        Form::Go => "",
    };
    refused(
        format!("number {number} of its parameters is not known"),
        format!(
            "known are tls, {of_urls}timeout, readTimeout, writeTimeout, charset, collation, \
            sql_mode, time_zone, transaction_isolation, tx_isolation, {NUMBERS}, and what \
            go-sql-driver/mysql has for itself"
        ),
    )
}

fn wrong(name: &str, expected: &str) -> Error {
    let why = format!("the value of its parameter {name} cannot be used");
    refused(why, format!("{name} must be {expected}"))
}

fn is_in(list: &str, name: &str) -> bool {
    list.split(", ").any(|one| one == name)
}

fn must(good: bool, expected: &str) -> Value<()> {
    good.then_some(()).ok_or_else(|| expected.to_owned())
}

/// The booleans of go-sql-driver/mysql.
fn boolean(value: &str) -> Value<bool> {
    match value {
        "1" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn tls(value: &str) -> Value<MysqlTls> {
    match value.to_ascii_lowercase().as_str() {
        "skip-verify" => Ok(MysqlTls::Unverified),
        "preferred" => Ok(MysqlTls::Preferred),
        _ => match boolean(value) {
            Ok(true) => Ok(MysqlTls::Verified),
            Ok(false) => Ok(MysqlTls::Off),
            Err(_) => Err("true, false, skip-verify or preferred".to_owned()),
        },
    }
}

/// As `MySQL`'s own clients write it.
fn ssl_mode(value: &str) -> Value<MysqlTls> {
    match value.to_ascii_lowercase().as_str() {
        "disabled" => Ok(MysqlTls::Off),
        "preferred" => Ok(MysqlTls::Preferred),
        "required" => Ok(MysqlTls::Unverified),
        "verify_identity" => Ok(MysqlTls::Verified),
        // To check the name too would refuse servers that VERIFY_CA was chosen for.
        _ => Err(
            "DISABLED, PREFERRED, REQUIRED (which verifies nothing) or VERIFY_IDENTITY".to_owned(),
        ),
    }
}

/// As the `mysql` crate writes it.
fn require_ssl(value: &str) -> Value<MysqlTls> {
    let expected = "true; TLS is turned off by ssl-mode=DISABLED";
    must(boolean(value) == Ok(true), expected).map(|()| MysqlTls::Verified)
}

fn charset(value: &str) -> Value<()> {
    let known = ["utf8", "utf8mb3", "utf8mb4"];
    let is_known = |one: &str| known.iter().any(|k| one.trim().eq_ignore_ascii_case(k));
    let expected = "utf8mb4: others garble names";
    must(value.split(',').any(is_known), expected)
}

fn collation(value: &str) -> Value<()> {
    let good = value.to_ascii_lowercase().starts_with("utf8");
    must(good, "one of UTF-8: others garble names")
}

fn time_zone(value: &str) -> Value<()> {
    let is_utc = |zone: &str| zone == "+00:00" || zone.eq_ignore_ascii_case("UTC");
    let expected = "'%2B00:00': every connection of the ledger is in UTC";
    must(quoted(value).is_some_and(is_utc), expected)
}

/// `None` for 0, which to go-sql-driver means no limit and here the default.
fn timeout(value: &str) -> Value<Option<Duration>> {
    const RANGE: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(60 * 60);
    match duration(value) {
        Some(Duration::ZERO) => Ok(None),
        Some(duration) if RANGE.contains(&duration) => Ok(Some(duration)),
        _ => Err(
            "a duration as Go writes it, such as 5s or 1m30s, from 1ms to 1h; 0 is the default"
                .to_owned(),
        ),
    }
}

/// Reads what Go's `time.ParseDuration` reads: `5s`, `1m30s`, `1.5h`, `500ms`, `0`. `None` is a
/// text that Go refuses, or a negative duration.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let is_number = |c: char| c == '.' || c.is_ascii_digit();
    let mut total = Duration::ZERO;
    loop {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            // Both characters that look like a mu are in use.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

fn isolation(value: &str) -> Value<String> {
    let known = ["READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"];
    literal(value, |level| known.contains(&level))
        .ok_or_else(|| "'READ-COMMITTED', 'REPEATABLE-READ' or 'SERIALIZABLE', quoted".to_owned())
}

fn modes(value: &str) -> Value<String> {
    let good = |modes: &str| modes.is_empty() || modes.split(',').all(|mode| is_in(MODES, mode));
    literal(value, good).ok_or_else(|| format!("quoted, and of these modes only: {MODES}"))
}

fn number(value: &str) -> Value<String> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_digits =
        |text: &str| (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let good = is_digits(whole) && is_digits(fraction);
    must(good, "a number without quotes").map(|()| value.to_owned())
}

/// A quoted text in capitals, as an SQL literal.
fn literal(value: &str, good: impl Fn(&str) -> bool) -> Option<String> {
    let value = quoted(value)?.to_ascii_uppercase();
    good(&value).then(|| format!("'{value}'"))
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
