//! One request to Artifactory: credentials, retries, and what an answer means.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use super::date::parse_http;
use super::failure::{Failure, Outcome};
use super::retry::{BASE_DELAY, parse_retry_after, retry_delay};
use super::url::{is_bare_host, is_reactivation_page};
use crate::config::{ArtifactoryConfig, Credentials, HttpConfig};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::http::{self, BodyError, Bounded, read_body};
use crate::mask::Masker;

/// The most bytes of one JSON answer that is read as a whole.
pub const JSON_LIMIT: usize = 8 << 20;
/// The most time for one JSON answer.
const JSON_TIME: Duration = Duration::from_secs(120);
/// The most bytes that are looked at in an error's body.
const ERROR_LIMIT: u64 = 64 << 10;
/// The most time for an error's body.
const ERROR_TIME: Duration = Duration::from_secs(10);

/// A JSON answer and the server's clock.
#[derive(Debug)]
pub struct Answer<T> {
    /// The body.
    pub value: T,
    /// The `Date` header, in milliseconds since 1970.
    pub date: Option<i64>,
}

/// The connection to one Artifactory.
#[derive(Debug)]
pub struct Client {
    /// Sends requests; follows no redirect.
    pub http: reqwest::blocking::Client,
    credentials: Credentials,
    bare_host: bool,
    requests: AtomicU64,
    rejected: AtomicBool,
    /// What everything goes through that a server says.
    pub masker: Masker,
    /// The first wait before a retry.
    pub delay: Duration,
    /// When the pass ends.
    pub deadline: Deadline,
}

impl Client {
    /// Builds the client. Errors: exit 2 for credentials that no header can carry.
    pub fn new(config: &ArtifactoryConfig, http: &HttpConfig) -> Result<Self> {
        let sendable = |option: &str, value: &str| {
            HeaderValue::from_str(value)
                .map(|_| ())
                .map_err(|_| Error::usage(format!("{option} holds characters that cannot be sent")))
        };
        match &config.credentials {
            Credentials::Bearer(token) => sendable("--art-token", token.expose())?,
            Credentials::ApiKey(key) => sendable("--art-api-key", key.expose())?,
            Credentials::Basic(user, _) if user.contains(':') => {
                return Err(Error::usage("--art-userid must not hold a colon"));
            }
            Credentials::Basic(..) | Credentials::Anonymous => {}
        }
        Ok(Self {
            http: http::client(http, Policy::none(), http::IDLE)?,
            credentials: config.credentials.clone(),
            bare_host: is_bare_host(&config.base),
            requests: AtomicU64::new(0),
            rejected: AtomicBool::new(false),
            masker: http.masker.and(config.credentials.secret()),
            delay: BASE_DELAY,
            deadline: Deadline::new(config.max_duration),
        })
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Adds the credentials, unasked: a server that hides what one may not see answers 404 instead
    /// of a challenge.
    pub fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Anonymous => request,
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            Credentials::ApiKey(key) => match HeaderValue::from_str(key.expose()) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    request.header(HeaderName::from_static("x-jfrog-art-api"), value)
                }
                Err(_) => request,
            },
        }
    }

    /// Runs a read until it succeeds, fails for good, or was tried often enough.
    pub fn retried<T>(&self, mut read: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        let mut attempt = 0;
        loop {
            let failure = match read() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let Some(delay) = retry_delay(
                self.delay,
                attempt,
                failure.status,
                failure.retry_after,
                fastrand::f64(),
            ) else {
                return Err(failure);
            };
            if self.deadline.left(delay) < delay {
                return Err(self.missed(&failure.error));
            }
            tracing::debug!(?delay, "{}, trying again", failure.error.one_line());
            std::thread::sleep(delay);
            attempt += 1;
        }
    }

    /// The pass is over (exit 75); what was tried last is the cause. Nothing else would be answered
    /// in time either, so it stands as no connection does.
    fn missed(&self, last: &Error) -> Failure {
        let error = self.deadline.missed("Artifactory was not read");
        let mut failure = Failure::lasting(0, error.because(last.one_line()));
        failure.unreachable = true;
        failure
    }

    /// Whether a 401 came.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Sends one request as it is. After a 401 nothing more is sent.
    pub fn send(&self, what: &str, request: RequestBuilder) -> Outcome<Response> {
        if self.rejected.load(Ordering::Relaxed) {
            return Err(Failure::lasting(401, self.unauthorized(what)));
        }
        let left = self.deadline.left(http::IDLE);
        if left.is_zero() {
            return Err(self.missed(&Error::unavailable(what)));
        }
        // The bound on a silent server ends with the pass.
        let request = if left < http::IDLE {
            request.timeout(left)
        } else {
            request
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = request
            .header(ACCEPT_ENCODING, "identity")
            .send()
            .map_err(|e| no_answer(what, &e, &self.masker))?;
        tracing::debug!("{what}: {}", response.status());
        let encoding = response.headers().get(CONTENT_ENCODING);
        if response.status().is_success() && encoding.is_some_and(|v| v != "identity") {
            return Err(Failure::lasting(
                response.status().as_u16(),
                Error::unavailable(format!("{what}: the answer is compressed, unasked"))
                    .hint("a proxy before Artifactory adds a Content-Encoding: turn that off"),
            ));
        }
        Ok(response)
    }

    /// Sends one API call, once; what comes back has status 200 and is not HTML.
    pub fn call(&self, what: &str, request: RequestBuilder) -> Outcome<Response> {
        let request = self.authorize(request).header(ACCEPT, "application/json");
        let response = self.send(what, request)?;
        if response.status().as_u16() != 200 {
            return Err(self.refusal(what, response));
        }
        if is_html(&response) {
            return Err(self.html_page(what, 200));
        }
        Ok(response)
    }

    /// GETs a JSON value, with retries.
    pub fn get_json<T: DeserializeOwned>(&self, what: &str, url: &str) -> Outcome<Answer<T>> {
        self.retried(|| {
            let mut response = self.call(what, self.http.get(url))?;
            let left = self.deadline.left(JSON_TIME);
            let date = header(&response, &DATE).and_then(parse_http);
            let body = read_body(&mut response, JSON_LIMIT, left, &self.masker)
                .map_err(|e| body_failure(what, &e))?;
            match serde_json::from_slice(&body) {
                Ok(value) => Ok(Answer { value, date }),
                Err(e) => Err(json_failure(what, &e, &self.masker)),
            }
        })
    }

    /// What a status other than 200 means.
    pub fn refusal(&self, what: &str, response: Response) -> Failure {
        let status = response.status();
        let code = status.as_u16();
        if status.is_redirection() {
            let location = header(&response, &LOCATION).unwrap_or_default();
            return redirected(what, code, location, &self.masker);
        }
        if code == 401 && !self.is_anonymous() {
            self.rejected.store(true, Ordering::Relaxed);
        }
        let html = is_html(&response);
        let retry_after =
            header(&response, &RETRY_AFTER).and_then(|text| parse_retry_after(text, now()));
        let mut error = match code {
            401 => self.unauthorized(what),
            403 => Error::new(
                Exit::Credentials,
                format!("{what}: Artifactory answered 403"),
            )
            .hint("the user may lack the permission to read it, or be locked or expired"),
            _ => Error::unavailable(format!("{what}: Artifactory answered {status}")),
        };
        if html {
            error = error.because("with an HTML page");
            if code == 404 {
                error = error.hint(self.endpoint_hint());
            }
        } else if let Some(message) = message_of(response, &self.masker) {
            error = error.because(message);
        }
        Failure {
            html,
            retry_after,
            ..Failure::lasting(code, error)
        }
    }

    /// The failure of an answer that is a page for people.
    pub fn html_page(&self, what: &str, status: u16) -> Failure {
        let error = Error::unavailable(format!(
            "{what}: an HTML page came instead of Artifactory's answer"
        ))
        .hint(self.endpoint_hint());
        Failure {
            html: true,
            ..Failure::lasting(status, error)
        }
    }

    /// Whether there are no credentials that could be refused.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.credentials, Credentials::Anonymous)
    }

    fn unauthorized(&self, what: &str) -> Error {
        let (verdict, hint) = if self.is_anonymous() {
            (
                "asks for credentials (401)",
                "give --art-userid with --art-password-file, --art-token-file or --art-api-key-file",
            )
        } else {
            (
                "refused the credentials (401)",
                "check --art-userid with --art-password, --art-token or --art-api-key",
            )
        };
        Error::new(Exit::Credentials, format!("{what}: Artifactory {verdict}")).hint(hint)
    }

    fn endpoint_hint(&self) -> &'static str {
        if self.bare_host {
            "the address of a JFrog platform alone is its web interface: add /artifactory to --art-endpoint"
        } else {
            "check --art-endpoint, and that no proxy or login page stands before Artifactory"
        }
    }
}

fn no_answer(what: &str, cause: &reqwest::Error, masker: &Masker) -> Failure {
    let reason = http::describe(cause, masker);
    let mut error = Error::unavailable(format!("{what}: Artifactory did not answer"));
    if reason.contains("certificate") {
        error = error.hint("a private certificate authority is trusted with --ca-file");
    }
    let error = error.because(reason);
    if cause.is_builder() {
        return Failure::lasting(0, error);
    }
    Failure {
        unreachable: cause.is_connect(),
        ..Failure::passing(error)
    }
}

/// A header as text.
pub fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Whether an answer is a page for people.
pub fn is_html(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().contains("html"))
}

/// The local clock, in milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The failure of a body that could not be read.
pub fn body_failure(what: &str, cause: &BodyError) -> Failure {
    let error =
        Error::unavailable(format!("{what}: the answer could not be read")).because_of(cause);
    match cause {
        BodyError::Cut(_) => Failure::passing(error),
        BodyError::TooLarge(_) | BodyError::TooSlow(_) => Failure::lasting(200, error),
    }
}

/// The failure of a body that is not the JSON it should be; one that merely ends early is tried again.
pub fn json_failure(what: &str, cause: &serde_json::Error, masker: &Masker) -> Failure {
    let error = Error::unavailable(format!("{what}: the answer is not what Artifactory sends"))
        .because(masker.text(cause.to_string()));
    if cause.is_eof() {
        Failure::passing(error)
    } else {
        Failure::lasting(200, error)
    }
}

/// The failure of a redirect that is not followed.
pub fn redirected(what: &str, status: u16, location: &str, masker: &Masker) -> Failure {
    if is_reactivation_page(location) {
        return Failure::lasting(
            status,
            Error::unavailable(format!("{what}: this JFrog cloud server is deactivated"))
                .hint("its owner can reactivate it on the page that a browser shows"),
        );
    }
    // Only the host: a location can hold a signature.
    let target = reqwest::Url::parse(location).map(|u| u.origin().ascii_serialization());
    let target = target.map(|origin| masker.text(origin));
    Failure::lasting(
        status,
        Error::unavailable(format!("{what}: Artifactory answered {status}, a redirect"))
            .because(format!("to {}", target.as_deref().unwrap_or("another path")))
            .hint("API calls are not redirected: give --art-endpoint the final address (https, /artifactory)"),
    )
}

/// What an error's body says: `errors[0].message`, else its text (of a refused AQL query, always).
fn message_of(response: Response, masker: &Masker) -> Option<String> {
    let mut body = Vec::new();
    let mut reader = Bounded::new(response.take(ERROR_LIMIT), usize::MAX, ERROR_TIME, masker);
    let _ = reader.read_to_end(&mut body); // One that breaks off still says something.
    let from_json = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|v| Some(v.pointer("/errors/0/message")?.as_str()?.to_owned()));
    let text = from_json.map_or_else(|| masker.text(&body), |message| masker.text(message));
    (!text.is_empty()).then_some(text)
}
