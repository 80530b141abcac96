//! One request to Artifactory: credentials, retries, and what an answer means.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, DATE, HeaderName, HeaderValue, LOCATION,
};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use super::failure::{
    BASE_DELAY, Failure, ReadResult, deactivated, is_reactivation_page, retry_delay,
};
use crate::clock::System;
use crate::config::{ArtifactoryConfig, Credentials, HttpConfig};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::http::{
    self, Answer, BodyError, Bounded, Meaning, Peer, RESERVED, header, is_html, read_body,
    secret_header,
};
use crate::mask::{self, Masker};

/// The most bytes of one JSON answer that is read as a whole.
const JSON_LIMIT: usize = 8 << 20;
/// The most bytes that are looked at of a page for people.
const PAGE_LIMIT: u64 = 64 << 10;
/// The most time for one JSON answer.
const JSON_TIME: Duration = Duration::from_secs(120);
/// What is encoded in a path. A bare `;` would begin matrix parameters; `+` means itself.
const IN_PATH: &AsciiSet = &RESERVED.remove(b'+');

/// The connection to one Artifactory.
#[derive(Debug)]
pub struct Client {
    /// Sends requests; follows no redirect.
    pub http: reqwest::blocking::Client,
    /// The base of the API.
    api: String,
    /// The header that carries the credentials; anonymous users have none.
    credentials: Option<(HeaderName, HeaderValue)>,
    /// What may be wrong with the address, where an answer is not Artifactory's.
    endpoint_hint: &'static str,
    sent: AtomicU64,
    /// Whether the credentials were refused.
    rejected: AtomicBool,
    /// What both clients share, with what everything goes through that a server says.
    pub config: HttpConfig,
    /// The first wait before a retry.
    pub delay: Duration,
    /// The longest that the server may be silent.
    pub idle: Duration,
    /// When the pass ends, where there is one.
    pub deadline: Deadline,
}

impl Client {
    /// Builds the client. Errors: exit 2 for credentials that no header can carry.
    pub fn new(config: &ArtifactoryConfig, http: &HttpConfig) -> Result<Self> {
        let endpoint_hint = if is_bare_host(&config.base) {
            "the address of a JFrog platform alone is its web interface: add /artifactory to --art-endpoint"
        } else {
            "check --art-endpoint, and that no proxy or login page stands before Artifactory"
        };
        Ok(Self {
            http: http::client(http, Policy::none(), http::IDLE)?,
            api: config.api.clone(),
            credentials: credentials(&config.credentials)?,
            endpoint_hint,
            sent: AtomicU64::new(0),
            rejected: AtomicBool::new(false),
            config: HttpConfig {
                masker: http.masker.and(config.credentials.secret()),
                ..http.clone()
            },
            delay: BASE_DELAY,
            idle: http::IDLE,
            deadline: Deadline::none(System::shared()),
        })
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Adds the credentials, unasked: a server that hides what one may not see answers 404 instead
    /// of a challenge.
    pub fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
    }

    /// Runs a read until it succeeds, fails for good, or was tried often enough.
    pub fn retried<T>(&self, mut read: impl FnMut() -> ReadResult<T>) -> ReadResult<T> {
        let mut attempt = 0;
        loop {
            let failure = match read() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let jitter = fastrand::f64();
            let Some(delay) = retry_delay(self.delay, attempt, failure.meaning, jitter) else {
                return Err(failure);
            };
            tracing::debug!("{}; next try in {delay:?}", failure.error.one_line());
            if !self.deadline.sleep(delay) {
                return Err(self.out_of_time(&failure.error));
            }
            attempt += 1;
        }
    }

    /// The pass is over (exit 75); what was tried last is the cause.
    fn out_of_time(&self, last: &Error) -> Failure {
        let error = self.deadline.missed("Artifactory was not read");
        Failure {
            error: error.because(last.one_line()),
            meaning: Meaning::OutOfTime,
        }
    }

    /// What takes all secrets out of what a server says.
    pub fn masker(&self) -> &Masker {
        &self.config.masker
    }

    /// Sends one request as it is, to `who`. After a 401 nothing more is sent.
    pub fn send(&self, what: &str, who: &str, request: RequestBuilder) -> ReadResult<Response> {
        if self.is_rejected() {
            return Err(rejected_before(what));
        }
        let left = self.deadline.left(self.idle);
        if left.is_zero() {
            return Err(self.out_of_time(&Error::unavailable(what)));
        }
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if left < http::IDLE {
            // The bound on a silent server ends with the pass.
            request = request.timeout(left);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = request
            .send()
            .map_err(|e| Failure::no_answer(what, who, &e, &self.config))?;
        tracing::debug!("{what}: {}", response.status());
        Ok(response)
    }

    /// Sends one API call, once; what comes back has status 200 and is not HTML.
    pub fn call(&self, what: &str, request: RequestBuilder) -> ReadResult<Response> {
        let request = self.authorize(request).header(ACCEPT, "application/json");
        let response = self.send(what, "Artifactory", request)?;
        if response.status().as_u16() != 200 {
            return Err(self.refusal(what, response));
        }
        self.no_page(what, response)
    }

    /// Lets an answer with status 200 through that is not a page for people.
    fn no_page(&self, what: &str, response: Response) -> ReadResult<Response> {
        if !is_html(&response) {
            return Ok(response);
        }
        let limit = response.take(PAGE_LIMIT);
        let mut body = Vec::new();
        let left = self.deadline.left(http::IDLE);
        // One that breaks off still says something.
        let _ = Bounded::new(limit, usize::MAX, left, &self.config).read_to_end(&mut body);
        Err(self.page(what, &body))
    }

    /// A page for people came with status 200.
    pub fn page(&self, what: &str, body: &[u8]) -> Failure {
        let problem = "an HTML page came instead of Artifactory's answer";
        let mut error = Error::unavailable(format!("{what}: {problem}"));
        if let Some(title) = mask::said(body, self.masker()) {
            error = error.because(title);
        }
        error.hint(self.endpoint_hint).into()
    }

    /// Reads a body of at most `limit` bytes within `time`, and before the pass ends.
    pub fn body(
        &self,
        mut response: Response,
        limit: usize,
        time: Duration,
    ) -> std::result::Result<Vec<u8>, BodyError> {
        let left = self.deadline.left(time);
        read_body(&mut response, limit, left, &self.config)
    }

    /// GETs the JSON value at a path of the API, with retries.
    pub fn get_json<T: DeserializeOwned>(&self, what: &str, path: &[&str]) -> ReadResult<T> {
        Ok(self.get_dated_json(what, path)?.0)
    }

    /// GETs the JSON value at a path of the API, with retries, and when it was sent by the clock of
    /// the server, where it says so.
    pub fn get_dated_json<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> ReadResult<(T, Option<SystemTime>)> {
        let url = self.api(path)?;
        self.retried(|| {
            let response = self.call(what, self.http.get(&url))?;
            let date = header(&response, &DATE)
                .and_then(|text| httpdate::parse_http_date(text.trim()).ok());
            let body = self
                .body(response, JSON_LIMIT, JSON_TIME)
                .map_err(|e| Failure::of_body(what, &e))?;
            // Whatever the headers say: JSON that can be read is JSON.
            let body = mask::unpacked(&body);
            if mask::is_page(&body) {
                return Err(self.page(what, &body));
            }
            let value = serde_json::from_slice(&body)
                .map_err(|e| Failure::of_json(what, e, self.masker()))?;
            Ok((value, date))
        })
    }

    /// The address of what the API has at a path.
    pub fn api(&self, path: &[&str]) -> Result<String> {
        join(&self.api, path)
    }

    /// What a status other than 200 means.
    pub fn refusal(&self, what: &str, response: Response) -> Failure {
        let location = header(&response, &LOCATION).unwrap_or_default();
        if response.status().is_redirection() && is_reactivation_page(location) {
            return deactivated(what).into();
        }
        let peer = Peer::Artifactory {
            has_credentials: self.credentials.is_some(),
            address_hint: self.endpoint_hint,
        };
        let answer = Answer::read(peer, response, &self.config);
        if answer.meaning == Meaning::Unauthorized {
            let rejected = self.credentials.is_some();
            self.rejected.fetch_or(rejected, Ordering::Relaxed);
        }
        Failure {
            error: answer.error(peer, what),
            meaning: answer.meaning,
        }
    }

    /// Whether a 401 came to the credentials.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Whether a failure is that the credentials were refused. Anonymous users have none.
    pub fn is_rejection(&self, failure: &Failure) -> bool {
        failure.meaning == Meaning::Unauthorized && self.credentials.is_some()
    }
}

/// Nothing more is sent after a 401: that would lock the account.
fn rejected_before(what: &str) -> Failure {
    let message = format!("{what}: not asked for, as the credentials were refused (401)");
    Failure {
        error: Error::new(Kind::Credentials, message)
            .hint("check --art-userid with --art-password, --art-token or --art-api-key"),
        meaning: Meaning::Unauthorized,
    }
}

/// The header that carries the credentials.
fn credentials(credentials: &Credentials) -> Result<Option<(HeaderName, HeaderValue)>> {
    let (name, value) = match credentials {
        Credentials::Anonymous => return Ok(None),
        Credentials::Basic(user, _) if user.contains(':') => {
            return Err(Error::usage("--art-userid must not hold a colon"));
        }
        Credentials::Basic(user, password) => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            let value = secret_header("--art-password", &format!("Basic {pair}"))?;
            (AUTHORIZATION, value)
        }
        Credentials::Bearer(token) => {
            let value = secret_header("--art-token", &format!("Bearer {}", token.expose()))?;
            (AUTHORIZATION, value)
        }
        Credentials::ApiKey(key) => {
            let name = HeaderName::from_static("x-jfrog-art-api");
            (name, secret_header("--art-api-key", key.expose())?)
        }
    };
    Ok(Some((name, value)))
}

/// `/`-joined segments below `base`, each percent-encoded once.
///
/// Errors: exit 2 for an empty segment, `.` and `..`, which servers collapse.
pub fn join(base: &str, segments: &[&str]) -> Result<String> {
    let mut url = base.to_owned();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(Error::usage(format!(
                "'{segment}' cannot be part of a path in Artifactory"
            )));
        }
        url.push('/');
        url.extend(utf8_percent_encode(segment, IN_PATH));
    }
    Ok(url)
}

/// Whether an endpoint has no context path, as the address of a JFrog platform has not.
fn is_bare_host(base: &str) -> bool {
    base.split_once("://")
        .is_some_and(|(_, rest)| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::Url;

    #[test]
    fn trap_12_each_segment_is_encoded_once() {
        let url = join("http://h/a", &["r", "a;b#c?d%e f/g:!", "1.0+b~_-é"]).unwrap();
        assert_eq!(
            url,
            "http://h/a/r/a%3Bb%23c%3Fd%25e%20f%2Fg%3A%21/1.0+b~_-%C3%A9"
        );
        for bad in ["", ".", ".."] {
            assert!(join("http://h", &["r", bad]).is_err());
        }
    }

    #[test]
    fn only_a_host_alone_is_bare() {
        assert!(is_bare_host("https://x.jfrog.io"));
        assert!(!is_bare_host("https://x.jfrog.io/artifactory"));
    }

    proptest! {
        #[test]
        fn encoding_survives_a_url_parser_and_comes_back(segment in "\\PC{1,20}") {
            prop_assume!(!matches!(segment.as_str(), "." | ".."));
            let url = Url::parse(&join("http://h", &[&segment]).unwrap()).unwrap();
            prop_assert!(url.query().is_none() && url.fragment().is_none());
            let path = url.path().strip_prefix('/').unwrap();
            prop_assert!(!path.contains('/'));
            let decoded = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
            prop_assert_eq!(decoded, segment);
        }
    }
}
