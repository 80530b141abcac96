//! The parameters of a DSN.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::refused;
use crate::cli;
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

/// The parameters that count in both forms, beside the numbers.
const BOTH: &str = "tls, timeout, readTimeout, writeTimeout";
/// Those that only a URL has: as `MySQL`'s own clients and the `mysql` crate write them.
const OF_URLS: &str = "ssl-mode, require_ssl, socket";
/// Session variables, all of them numbers, under which the ledger's statements mean the same.
const NUMBERS: &str = "innodb_lock_wait_timeout, lock_wait_timeout, wait_timeout, \
    net_read_timeout, net_write_timeout, max_statement_time, max_execution_time, wsrep_sync_wait";
/// Those without effect, whatever their value: go-sql-driver's own working, and what the ledger
/// sets for itself in every session (UTC, UTF-8, strict modes). They permit nothing either: no
/// password is sent in clear and no file is sent.
const IGNORED: &str = "parseTime, loc, timeTruncate, interpolateParams, multiStatements, \
    checkConnLiveness, clientFoundRows, columnsWithAlias, rejectReadOnly, compress, \
    maxAllowedPacket, connectionAttributes, allowNativePasswords, allowOldPasswords, \
    allowCleartextPasswords, allowAllFiles, charset, collation, time_zone, sql_mode, \
    transaction_isolation, tx_isolation";

impl Params {
    /// Reads `name=value&…`, values percent-encoded; `of_url` says in which form the DSN is
    /// written. As in go-sql-driver, empty parameters do not count; one without `=`, which that
    /// skips, is refused.
    pub(super) fn parse(query: &str, of_url: bool) -> Result<Self> {
        let mut params = Self::default();
        let mut seen = Vec::new();
        let texts = query.split('&').filter(|text| !text.is_empty());
        for (index, text) in texts.enumerate() {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let counts =
                is_in(BOTH, name) || is_in(NUMBERS, name) || of_url && is_in(OF_URLS, name);
            // What is not known may be a piece of a password with a '?' in it.
            if !counts && !is_in(IGNORED, name) {
                return Err(unknown(index + 1, of_url));
            }
            let Some(value) = value else {
                let why = format!("its parameter {name} has no value");
                return Err(refused(why, format!("write {name}=VALUE")));
            };
            if seen.contains(&name) {
                let why = format!("its parameter {name} is given twice");
                return Err(refused(why, "leave one of them out"));
            }
            seen.push(name);
            if counts {
                let value = unescape(value).ok_or_else(|| {
                    wrong(name, "percent-encoded UTF-8 without control characters")
                })?;
                params.set(name, value)?;
            }
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "tls" | "ssl-mode" | "require_ssl" => {
                if self.tls.replace(tls(name, &value)?).is_some() {
                    return Err(refused(
                        "two of its parameters say how TLS is used",
                        "leave one of tls, ssl-mode and require_ssl",
                    ));
                }
            }
            "socket" => self.socket = Some(value),
            "timeout" => self.connect_timeout = timeout(name, &value)?,
            "readTimeout" => self.read_timeout = timeout(name, &value)?,
            "writeTimeout" => self.write_timeout = timeout(name, &value)?,
            _ if is_number(&value) => self.session.push((name.to_owned(), value)),
            _ => return Err(wrong(name, "a number without quotes")),
        }
        Ok(())
    }
}

fn unknown(number: usize, of_url: bool) -> Error {
    let of_urls = if of_url { OF_URLS } else { "" };
    let comma = if of_url { ", " } else { "" };
    refused(
        format!("number {number} of its parameters is not known"),
        format!(
            "known are {BOTH}, {of_urls}{comma}{NUMBERS}, and what go-sql-driver/mysql has for \
            itself, without effect"
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

fn tls(name: &str, value: &str) -> Result<MysqlTls> {
    Ok(match (name, value.to_ascii_lowercase().as_str()) {
        ("tls" | "require_ssl", "true" | "1") | ("ssl-mode", "verify_identity") => {
            MysqlTls::Verified
        }
        ("tls", "false" | "0") | ("ssl-mode", "disabled") => MysqlTls::Off,
        ("tls", "skip-verify") | ("ssl-mode", "required") => MysqlTls::Unverified,
        ("tls" | "ssl-mode", "preferred") => MysqlTls::Preferred,
        ("tls", _) => return Err(wrong(name, "true, false, skip-verify or preferred")),
        ("require_ssl", _) => {
            return Err(wrong(name, "true; TLS is turned off by ssl-mode=DISABLED"));
        }
        // To check the name too would refuse servers that VERIFY_CA was chosen for.
        _ => {
            let known = "DISABLED, PREFERRED, REQUIRED (which verifies nothing) or VERIFY_IDENTITY";
            return Err(wrong(name, known));
        }
    })
}

/// `None` for 0, which to go-sql-driver means no limit and here the default.
fn timeout(name: &str, value: &str) -> Result<Option<Duration>> {
    const RANGE: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(60 * 60);
    match cli::duration(value) {
        Ok(Duration::ZERO) => Ok(None),
        Ok(duration) if RANGE.contains(&duration) => Ok(Some(duration)),
        _ => Err(wrong(
            name,
            "a duration such as 5s or 1m30s, from 1ms to 1h; 0 is the default",
        )),
    }
}

fn is_number(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    [whole, fraction].iter().all(|digits| {
        (1..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Decodes percent-encoding. `None`: a `%` without two hexadecimal digits, which the decoder would
/// leave as it is, or what comes out is not UTF-8 or holds a control character.
pub(super) fn unescape(text: &str) -> Option<String> {
    let is_whole = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
    (is_whole && !text.chars().any(char::is_control)).then_some(text)
}
