//! What both HTTP clients share: building, bounded reading, and what an answer means.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;

use crate::config::HttpConfig;
use crate::error::{Error, Result, is_shortage};
use crate::file::{self, Unread};
use crate::mask::Masker;

/// The longest that a server may be silent within one reply.
pub const IDLE: Duration = Duration::from_secs(30);

/// All that is percent-encoded in a URL: what is not unreserved (RFC 3986).
pub const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A header of a reply as text.
pub fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The value of a header that holds the secret of `option`, marked as one.
///
/// Errors: exit 2 for characters that a header cannot hold.
pub fn secret_header(option: &str, text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Error::usage(format!(
            "{option} holds characters that a header cannot hold"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Builds a client. It decodes no body, keeps no cookie and says who it is; `idle` bounds the wait
/// for the headers and every read of the body.
///
/// Errors: exit 2 for a `--ca-file` that can't be used, 69 where the machine has no CA
/// certificates (reqwest refuses to build a client then, even for plain http).
pub fn client(config: &HttpConfig, redirects: Policy, idle: Duration) -> Result<Client> {
    // Fails when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .connect_timeout(config.connect_timeout)
        .timeout(idle)
        .redirect(redirects)
        .referer(false);
    check_system_file()?;
    if let Some(path) = &config.ca_file {
        let shown = path.display();
        // One that can be read again: there are two clients.
        let pem = file::read_regular(path, file::CERTIFICATES).map_err(|e| {
            if let Unread::Io(e) = &e
                && is_shortage(e)
            {
                let what = format!("--ca-file (CAM_CA_FILE) {shown} cannot be read");
                return Error::shortage(what).because_of(e);
            }
            Error::usage(format!("--ca-file (CAM_CA_FILE) {shown} cannot be read"))
                .because_of(&e)
                .hint(file::NAME_CERTIFICATES)
        })?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem.bytes).map_err(|e| {
            Error::usage(format!(
                "--ca-file (CAM_CA_FILE) {shown} is not PEM certificates"
            ))
            .because(describe(&e, &config.masker))
        })?;
        if certificates.is_empty() {
            return Err(Error::usage(format!(
                "--ca-file (CAM_CA_FILE) {shown} holds no certificate"
            )));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|e| {
        let what = "the HTTP client cannot be set up";
        if comes_of_shortage(&e) {
            return Error::shortage(what).because(describe(&e, &config.masker));
        }
        Error::unavailable(what)
            .because(describe(&e, &config.masker))
            .hint("install the ca-certificates package, or name a PEM file with --ca-file")
    })
}

fn comes_of_shortage(error: &reqwest::Error) -> bool {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(is_shortage)
}

/// Refuses what `SSL_CERT_FILE` names where it has no end: the library would read on for ever.
fn check_system_file() -> Result<()> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from) else {
        return Ok(());
    };
    match file::read_regular(&path, file::CERTIFICATES) {
        // The library has its own word for a file that is missing.
        Ok(_) | Err(Unread::Io(_)) => Ok(()),
        Err(e) => Err(
            Error::usage(format!("SSL_CERT_FILE {} cannot be used", path.display()))
                .because_of(&e)
                .hint(file::NAME_CERTIFICATES),
        ),
    }
}

/// What became of a request that was not answered as hoped. Told in this one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Not even a connection was made.
    Unreachable,
    /// The pass ended first.
    OutOfTime,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 404 with a page for people: the word of a proxy, or of a wrong address.
    NotFoundPage,
    /// It may pass, but not before this time: 408, 429, 5xx, or an answer that breaks off.
    Passing(Duration),
    /// To ask again would only repeat it.
    Lasting,
}

impl Meaning {
    /// Of an answer, by its status and its headers.
    pub fn of(response: &Response) -> Self {
        let wait = header(response, &RETRY_AFTER)
            .and_then(|text| parse_retry_after(text, SystemTime::now()));
        match response.status().as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 if is_html(response) => Self::NotFoundPage,
            404 => Self::NotFound,
            408 | 429 | 500..=599 => Self::Passing(wait.unwrap_or_default()),
            _ => Self::Lasting,
        }
    }

    /// The least time before the same request may be sent again, or `None` where it may not. 401
    /// and 403 are never tried again: that locks accounts.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Passing(wait) => Some(wait),
            Self::Unreachable => Some(Duration::ZERO),
            _ => None,
        }
    }
}

/// The time that a `Retry-After` header asks for: seconds, or a date of HTTP.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Whether an answer is a page for people.
pub fn is_html(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().contains("html"))
}

/// Why a body could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the reply is larger than {0} bytes")]
    TooLarge(usize),
    /// Not all of it by the deadline.
    #[error("the reply was not complete after {0:?}")]
    TooSlow(Duration),
    /// The connection broke or fell silent.
    #[error("the reply was cut: {0}")]
    Cut(String),
}

/// Reads a body of at most `limit` bytes within `total`.
pub fn read_body(
    response: &mut Response,
    limit: usize,
    total: Duration,
    masker: &Masker,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    Bounded::new(response, limit, total, masker).read_to_end(&mut body)?;
    Ok(body)
}

/// What a read of [`Bounded`] failed of.
impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        error
            .downcast()
            .unwrap_or_else(|other| Self::Cut(other.kind().to_string()))
    }
}

/// A reader that fails after a number of bytes or a time, always with a [`BodyError`].
pub struct Bounded<R> {
    inner: R,
    limit: usize,
    left: usize,
    total: Duration,
    deadline: Instant,
    masker: Masker,
}

impl<R: Read> Bounded<R> {
    /// Bounds a reader.
    pub fn new(inner: R, limit: usize, total: Duration, masker: &Masker) -> Self {
        Self {
            inner,
            limit,
            left: limit,
            total,
            deadline: Instant::now() + total,
            masker: masker.clone(),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::Error::other(BodyError::TooSlow(self.total)));
        }
        match self.inner.read(buf) {
            Ok(n) if n > self.left => Err(io::Error::other(BodyError::TooLarge(self.limit))),
            Ok(n) => {
                self.left -= n;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => Err(io::Error::other(BodyError::Cut(describe_io(
                &e,
                &self.masker,
            )))),
        }
    }
}

fn describe_io(error: &io::Error, masker: &Masker) -> String {
    match error
        .get_ref()
        .and_then(|e| e.downcast_ref::<reqwest::Error>())
    {
        Some(inner) => describe(inner, masker),
        None => masker.text(error.to_string()),
    }
}

/// What went wrong with a request, innermost cause last, without the URL (which an error of
/// reqwest would print, and which can hold a signature or a user).
pub fn describe(error: &reqwest::Error, masker: &Masker) -> String {
    let kind = match (error.is_connect(), error.is_timeout()) {
        (true, true) => Some("no connection in time"),
        (true, false) => Some("no connection"),
        (false, true) => Some("no answer in time"),
        (false, false) => None,
    };
    let mut parts: Vec<String> = kind.map(str::to_owned).into_iter().collect();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.contains(&text) && !text.contains("://") {
            parts.push(text);
        }
        source = cause.source();
    }
    if parts.is_empty() && error.is_redirect() {
        parts.push("redirect refused".to_owned());
    } else if parts.is_empty() {
        parts.push("request failed".to_owned());
    }
    masker.text(parts.join(": "))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_says_whether_to_ask_again() {
        let meaning = |status: u16, kind: &'static str| {
            let answer = axum::http::Response::builder()
                .status(status)
                .header("content-type", kind)
                .header("retry-after", "7");
            Meaning::of(&Response::from(answer.body("").unwrap()))
        };
        for status in [408, 429, 500, 502, 503] {
            for kind in ["application/json", "text/html"] {
                let wait = meaning(status, kind).wait();
                assert_eq!(wait, Some(Duration::from_secs(7)), "{status}");
            }
        }
        for status in [200, 302, 400, 401, 403, 404, 405, 415] {
            assert_eq!(meaning(status, "text/html").wait(), None, "{status}");
        }
        assert_eq!(meaning(404, "application/json"), Meaning::NotFound);
        assert_eq!(meaning(404, "Text/HTML; x"), Meaning::NotFoundPage);
        assert_eq!(meaning(401, "text/html"), Meaning::Unauthorized);
        assert_eq!(Meaning::Unreachable.wait(), Some(Duration::ZERO));
        assert_eq!(Meaning::OutOfTime.wait(), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |text: &str| parse_retry_after(text, now);
        for (text, seconds) in [
            ("7", 7),
            (" 0 ", 0),
            ("99999999999999999999999", u64::MAX),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
            ("Sun, 06 Nov 1994 08:59:47 GMT", 610),
            ("Sun, 06 Nov 1994 08:39:47 GMT", 0),
        ] {
            assert_eq!(wait(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["soon", "", "Sun, 06 Nov 1994 08:59:47 PST", "1994-11-06"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_retry_after_panics(text in "\\PC{0,40}") {
            let _ = parse_retry_after(&text, UNIX_EPOCH);
        }
    }

    #[test]
    fn nothing_of_a_url_survives_encoding() {
        let encoded = |text| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
        assert_eq!(encoded("a-._~Z9"), "a-._~Z9");
        assert_eq!(encoded("/?#%&+ \"é\n"), "%2F%3F%23%25%26%2B%20%22%C3%A9%0A");
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the peer is gone"))
        }
    }

    fn failure(reader: impl Read, limit: usize, total: Duration) -> BodyError {
        let mut bounded = Bounded::new(reader, limit, total, &Masker::default());
        bounded.read_to_end(&mut Vec::new()).unwrap_err().into()
    }

    #[test]
    fn a_bounded_reader_says_what_it_failed_of() {
        let hour = Duration::from_secs(3600);
        assert_eq!(failure(&b"four"[..], 3, hour), BodyError::TooLarge(3));
        let none = Duration::ZERO;
        assert_eq!(failure(&b"four"[..], 4, none), BodyError::TooSlow(none));
        let cut = BodyError::Cut("the peer is gone".into());
        assert_eq!(failure(Broken, 4, hour), cut);
        let mut whole = Vec::new();
        let mut bounded = Bounded::new(&b"four"[..], 4, hour, &Masker::default());
        assert_eq!(bounded.read_to_end(&mut whole).unwrap(), 4);
    }
}
