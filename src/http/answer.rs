//! What an answer means that was not hoped for: who sent it, whether to ask again, what to do.
//!
//! Between this program and a server stand proxies, gateways, login pages and firewalls, and each of
//! them answers in the server's place. Their 404 is no word about a file, and their 403 none about a
//! user. So an answer is the server's own only in the server's own shape. What a peer said is read,
//! cleaned and masked here, and nowhere else.

use std::io::Read;
use std::time::{Duration, SystemTime};

use reqwest::blocking::Response;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER, SERVER, VIA, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::body::Bounded;
use super::{host_of, is_html, text_of};
use crate::config::HttpConfig;
use crate::error::{Error, Kind};
use crate::mask::{is_page, said, unpacked};

/// The longest `Retry-After` that is waited for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The most bytes that are read of such an answer.
const LIMIT: u64 = 64 << 10;
/// The most time for its body.
const TIME: Duration = Duration::from_secs(10);

/// Whom a request was sent to.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// Artifactory.
    Artifactory {
        /// Whether it was sent credentials.
        has_credentials: bool,
        /// What may be wrong with its address.
        address_hint: &'a str,
    },
    /// The store that Artifactory redirects downloads to, by its origin.
    Store(&'a str),
    /// coreos-deploy.
    CoreosDeploy,
}

/// What became of a request that was not answered as hoped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Not even a connection was made.
    Unreachable,
    /// Connected to, and silent for too long.
    Silent,
    /// The pass ended first.
    OutOfTime,
    /// 401, of whomever.
    Unauthorized,
    /// 403 of the server itself.
    Forbidden,
    /// 404 of the server itself.
    NotFound,
    /// 403 or 404 of something before the server: no word about what was asked for. It may pass.
    Foreign,
    /// It may pass, but not before this time: 408, 429, 5xx, or an answer that breaks off.
    Passing(Duration),
    /// To ask again would only repeat it.
    Lasting,
}

impl Meaning {
    /// The least time before the same request may be sent again, or `None` where it may not. 401
    /// and the server's own 403 are never tried again: that locks accounts.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Passing(wait) => Some(wait),
            Self::Unreachable | Self::Silent | Self::Foreign => Some(Duration::ZERO),
            Self::OutOfTime
            | Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::Lasting => None,
        }
    }
}

/// An answer, judged.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Whether the server that was asked sent it, as far as its shape tells.
    pub is_own: bool,
    /// What became of the request.
    pub meaning: Meaning,
    /// Where it redirects to, without what may be a signature.
    pub target: Option<String>,
    /// Whether a proxy says for certain that the request did not get to the server.
    pub is_undelivered: bool,
    /// Who sent it, where that can be told.
    sender: Option<String>,
    /// Host and port that were asked.
    host: Option<String>,
    /// The useful line of its body.
    said: Option<String>,
    /// The time that `Retry-After` asks for.
    asked: Option<Duration>,
}

impl Answer {
    /// Reads what is needed of an answer and judges it.
    pub fn read(peer: Peer, mut response: Response, config: &HttpConfig) -> Self {
        let status = response.status();
        let mut body = Vec::new();
        let reader = (&mut response).take(LIMIT);
        // One that breaks off still says something.
        let _ = Bounded::new(reader, usize::MAX, TIME, config).read_to_end(&mut body);
        let headers = response.headers();
        let is_page = is_html(&response) || is_page(&unpacked(&body));
        let is_own = match peer {
            Peer::Artifactory { .. } => !is_page && is_of_artifactory(status, headers, &body),
            Peer::Store(_) => true,
            Peer::CoreosDeploy => !is_page && is_of_coreos_deploy(headers),
        };
        let said = said(&body, &config.masker);
        let asked = text_of(headers, &RETRY_AFTER)
            .and_then(|text| parse_retry_after(text, SystemTime::now()));
        let is_offline = said.as_ref().is_some_and(|said| said.contains("offline"));
        let location = text_of(headers, &LOCATION);
        Self {
            status,
            is_own,
            meaning: match peer {
                Peer::Store(_) if !status.is_redirection() => {
                    Meaning::Passing(asked.unwrap_or_default())
                }
                // The server behind a remote repository, not the file, is what is missing.
                _ if status == StatusCode::NOT_FOUND && is_own && is_offline => {
                    Meaning::Passing(Duration::ZERO)
                }
                _ => meaning(status.as_u16(), is_own, asked.unwrap_or_default()),
            },
            target: location.map(|location| target(response.url(), location, config)),
            is_undelivered: is_undelivered(status, headers),
            sender: sender(headers, response.url(), config),
            host: host_of(response.url()).map(|host| config.masker.text(host)),
            said,
            asked,
        }
    }

    /// Who answered what, on one line, such as `Artifactory answered 404 Not Found`.
    pub fn told(&self, peer: Peer) -> String {
        let name = match peer {
            Peer::Artifactory { .. } => "Artifactory".to_owned(),
            Peer::CoreosDeploy => "coreos-deploy".to_owned(),
            Peer::Store(origin) => format!("the store behind Artifactory, {origin},"),
        };
        if let (
            StatusCode::UNAUTHORIZED,
            true,
            Peer::Artifactory {
                has_credentials, ..
            },
        ) = (self.status, self.is_own, peer)
        {
            let verdict = if has_credentials {
                "refused the credentials"
            } else {
                "asks for credentials"
            };
            return format!("{name} {verdict} (401)");
        }
        let before = if self.is_own { "" } else { "something before " };
        let status = self.status;
        format!("{before}{name} answered {status}")
    }

    /// Who it was and what it said, where that is worth a line.
    pub fn words(&self) -> Option<String> {
        let sender = self.sender.as_deref().filter(|_| !self.is_own);
        match (sender, &self.said) {
            (Some(sender), Some(said)) => Some(format!("{sender}: {said}")),
            (Some(sender), None) => Some(sender.to_owned()),
            (None, said) => said.clone(),
        }
    }

    /// The error that it is for who wanted `what`.
    pub fn error(&self, peer: Peer, what: &str) -> Error {
        let told = self.told(peer);
        let kind = match self.meaning {
            Meaning::Unauthorized | Meaning::Forbidden => Kind::Credentials,
            _ => Kind::Unavailable,
        };
        let mut error = Error::new(kind, format!("{what}: {told}"));
        if let Some(words) = self.words() {
            error = error.because(words);
        }
        // Whoever is asked in place of the server: which one that is, is the first question.
        if let Some(host) = self.host.as_ref().filter(|_| !self.is_own) {
            error = error.because(format!("asked was {host}"));
        }
        if let Some(target) = self
            .target
            .as_ref()
            .filter(|_| self.status.is_redirection())
        {
            error = error.because(format!("it redirects to {target}"));
        }
        if let Some(asked) = self.asked.filter(|asked| *asked > LONGEST_WAIT) {
            let shown = humantime::format_duration(asked.min(Duration::from_secs(1 << 32)));
            let most = humantime::format_duration(LONGEST_WAIT);
            error = error.because(format!(
                "it asks to wait for {shown} (Retry-After), and more than {most} is not waited for"
            ));
        }
        match self.hint(peer) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint<'a>(&self, peer: Peer<'a>) -> Option<&'a str> {
        let said = self.said.as_deref().unwrap_or_default();
        let says = |words: &str| said.to_ascii_lowercase().contains(words);
        Some(match (self.status.as_u16(), peer) {
            (400..=499, _) if says("ssl certificate") => {
                "it wants a client certificate: give --client-cert a PEM file with certificate and key"
            }
            (400, _) if says("plain http request") || says("http request to an https") => {
                "it speaks TLS there: the address must begin with https://"
            }
            (407, _) => {
                "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT in its variable"
            }
            (_, Peer::Store(_)) => {
                "Artifactory sends downloads there: the address that it gave may have expired (are the clocks right?), or something between here and there refuses it"
            }
            (
                401,
                Peer::Artifactory {
                    has_credentials, ..
                },
            ) => match (has_credentials, self.is_own) {
                (false, _) => {
                    "give --art-userid with --art-password-file, --art-token-file or --art-api-key-file"
                }
                (true, true) => {
                    "check --art-userid with --art-password, --art-token or --art-api-key"
                }
                (true, false) => {
                    "what stands before Artifactory wants credentials of its own, or checks these: ask who runs it"
                }
            },
            (403, Peer::Artifactory { .. }) if self.is_own => {
                "the user may lack the permission to read it, or be locked or expired"
            }
            (403, _) if !self.is_own => {
                "a proxy, gateway or firewall on the way blocks this program: ask who runs it to let it through"
            }
            (300..=399, Peer::Artifactory { .. }) => {
                "API calls are not redirected: where this is the address that was meant, give it to --art-endpoint (https, /artifactory); where it is a login page, have it let API calls through"
            }
            (429, _) => {
                "it has had too many requests: let passes come less often, or have whoever runs it raise the limit"
            }
            (502..=504, _) if !self.is_own => {
                "what stands before the server can't reach it, or the server is starting"
            }
            (_, Peer::Artifactory { address_hint, .. }) if !self.is_own => address_hint,
            _ => return None,
        })
    }
}

/// What a status means.
fn meaning(status: u16, is_own: bool, asked: Duration) -> Meaning {
    match (status, is_own) {
        (401, _) => Meaning::Unauthorized,
        (403, true) => Meaning::Forbidden,
        (404, true) => Meaning::NotFound,
        (403 | 404, false) => Meaning::Foreign,
        (408 | 429 | 500..=599, _) => Meaning::Passing(asked),
        _ => Meaning::Lasting,
    }
}

/// Whether an answer has the shape of Artifactory's own: one of its headers, or its envelope of
/// errors, which repeats the status. Other servers have envelopes that look alike.
fn is_of_artifactory(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    const OWN: [&str; 3] = [
        "x-jfrog-version",
        "x-artifactory-id",
        "x-artifactory-node-id",
    ];
    if OWN.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    if text_of(headers, &SERVER).is_some_and(|server| server.starts_with("Artifactory/")) {
        return true;
    }
    let body: Value = serde_json::from_slice(&unpacked(body)).unwrap_or_default();
    let is_error = |error: &Value| {
        error["status"] == status.as_u16()
            && error["message"].is_string()
            && error.get("code").is_none()
    };
    let errors = body["errors"].as_array();
    errors.is_some_and(|errors| !errors.is_empty() && errors.iter().all(is_error))
}

/// Whether an answer may be coreos-deploy's, which sends a UUID with each; one that nobody else
/// signed is taken for its.
fn is_of_coreos_deploy(headers: &HeaderMap) -> bool {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let is_uuid = id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok());
    is_uuid || !headers.contains_key(SERVER) && !headers.contains_key(VIA)
}

/// Whether a proxy refused a request, or made no connection for it. squid has words for that of its
/// own; what others say leaves open whether they had sent it.
fn is_undelivered(status: StatusCode, headers: &HeaderMap) -> bool {
    const WORDS: [&str; 4] = [
        "ERR_CONNECT_FAIL",
        "ERR_DNS_FAIL",
        "ERR_ACCESS_DENIED",
        "ERR_CACHE_ACCESS_DENIED",
    ];
    let squid = headers
        .get("x-squid-error")
        .and_then(|word| word.to_str().ok());
    let word = squid.and_then(|text| text.split_whitespace().next());
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        || word.is_some_and(|word| WORDS.contains(&word))
}

/// Who sent an answer, by what it calls itself, and the proxy that it came through.
fn sender(headers: &HeaderMap, url: &Url, config: &HttpConfig) -> Option<String> {
    let header = |name: &str| Some(config.masker.text(headers.get(name)?.as_bytes()));
    let mut parts = Vec::new();
    parts.extend(header(SERVER.as_str()).or_else(|| header(VIA.as_str())));
    parts.extend(header("x-squid-error"));
    parts.extend(header(WWW_AUTHENTICATE.as_str()));
    // What is within TLS is not the proxy's.
    if url.scheme() == "http"
        && let Some(proxy) = config.proxies.of(url)
    {
        parts.push(format!("through the proxy {proxy}"));
    }
    parts.retain(|part| !part.is_empty());
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Where a redirect leads: its origin alone, as the rest can hold a signature.
fn target(from: &Url, location: &str, config: &HttpConfig) -> String {
    match from.join(location) {
        Ok(to) if to.origin() == from.origin() => "another path".to_owned(),
        Ok(to) => config.masker.text(to.origin().ascii_serialization()),
        Err(_) => "what is no URL".to_owned(),
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

#[cfg(test)]
mod tests;
