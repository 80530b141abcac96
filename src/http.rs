//! What both HTTP clients share: building, bounded reading, and what an answer means.

mod answer;
mod body;
mod tls;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::Proxy;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

pub use self::answer::{Answer, LONGEST_WAIT, Meaning, Peer};
pub use self::body::{BodyError, Bounded, read_body};

use crate::config::HttpConfig;
use crate::error::{Error, Result, is_shortage};
use crate::file::{self, Unread};

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
    text_of(response.headers(), name)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
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
/// Errors: exit 2 for a `--ca-file` that can't be used, 69 where the machine is short of something.
pub fn client(config: &HttpConfig, redirects: Policy, idle: Duration) -> Result<Client> {
    check_system_file()?;
    let proxies = config.proxies.clone();
    let builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .connect_timeout(config.connect_timeout)
        .timeout(idle)
        .redirect(redirects)
        .referer(false)
        // Old servers fold headers, as curl and Go allow.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .proxy(Proxy::custom(move |url| proxies.address_of(url)))
        .tls_backend_preconfigured(tls::settings(config)?);
    builder.build().map_err(|e| {
        let what = "the HTTP client cannot be set up";
        let error = if comes_of_shortage(&e) {
            Error::shortage(what)
        } else {
            Error::unavailable(what)
        };
        error.because(describe(&e, config))
    })
}

/// Builds a client of what runs on this host: no proxy is looked for, no redirect followed, and no
/// certificate needed.
///
/// Errors: as of [`client`].
pub fn client_of_this_host(config: &HttpConfig, wait: Duration) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(wait)
        .timeout(wait)
        .redirect(Policy::none())
        .tls_certs_only([])
        .no_proxy();
    builder.build().map_err(|e| {
        Error::unavailable("the HTTP client cannot be set up").because(describe(&e, config))
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

/// Whether an answer is a page for people.
pub fn is_html(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().contains("html"))
}

/// What went wrong with a request, innermost cause last, without the URL (which an error of
/// reqwest would print, and which can hold a signature or a user).
pub fn describe(error: &reqwest::Error, config: &HttpConfig) -> String {
    let host = error.url().and_then(host_of);
    let of = |word: &str| {
        host.as_ref()
            .map_or_else(String::new, |host| format!(" {word} {host}"))
    };
    let to = match proxy_of(error, config) {
        Some(proxy) => format!("{} through the proxy {proxy}", of("to")),
        None => of("to"),
    };
    let kind = match (error.is_connect(), error.is_timeout()) {
        (true, true) => Some(format!("no connection{to} in time")),
        (true, false) => Some(format!("no connection{to}")),
        (false, true) => Some(format!("no answer{} in time", of("from"))),
        (false, false) => None,
    };
    let mut parts: Vec<String> = kind.into_iter().collect();
    if let Some(trouble) = tls::trouble(error) {
        parts.push(trouble.why);
        return config.masker.text(parts.join(": "));
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = match cause.to_string().as_str() {
            // Said already, in words.
            "client error (Connect)" => String::new(),
            // The status with which it was refused is not handed on.
            "tunnel error: unsuccessful" => "the proxy did not take the CONNECT".to_owned(),
            text => text.to_owned(),
        };
        if !text.is_empty() && !parts.contains(&text) && !text.contains("://") {
            parts.push(text);
        }
        source = cause.source();
    }
    if parts.is_empty() && error.is_redirect() {
        parts.push("redirect refused".to_owned());
    } else if parts.is_empty() {
        parts.push("request failed".to_owned());
    }
    config.masker.text(parts.join(": "))
}

/// Host and port of a URL, which alone of it may be printed.
fn host_of(url: &reqwest::Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

/// What to do about a request that got no answer, where that can be told.
pub fn hint(error: &reqwest::Error, config: &HttpConfig) -> Option<&'static str> {
    if let Some(trouble) = tls::trouble(error) {
        return Some(trouble.hint);
    }
    (error.is_connect() && proxy_of(error, config).is_some()).then_some(
        "check the proxy, and that it lets this host through; NO_PROXY names hosts that are reached without it",
    )
}

/// Whether it was TLS that failed.
pub fn is_of_tls(error: &reqwest::Error) -> bool {
    tls::trouble(error).is_some()
}

/// The proxy that a request went to, by its printed form.
pub fn proxy_of(error: &reqwest::Error, config: &HttpConfig) -> Option<String> {
    Some(config.proxies.of(error.url()?)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_survives_encoding() {
        let encoded = |text| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
        assert_eq!(encoded("a-._~Z9"), "a-._~Z9");
        assert_eq!(encoded("/?#%&+ \"é\n"), "%2F%3F%23%25%26%2B%20%22%C3%A9%0A");
    }
}
