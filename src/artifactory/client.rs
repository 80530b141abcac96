//! One request to Artifactory: credentials, retries, and what an answer means.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use super::failure::{Failure, ReadResult, Retry};
use super::retry::{BASE_DELAY, parse_retry_after, retry_delay};
use super::url::{is_bare_host, is_reactivation_page, join};
use crate::clock::{Clock, System};
use crate::config::{ArtifactoryConfig, Credentials, HttpConfig};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::http::{self, BodyError, Bounded, header, read_body, secret_header};
use crate::mask::Masker;

/// The most bytes of one JSON answer that is read as a whole.
const JSON_LIMIT: usize = 8 << 20;
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
    /// The `Date` header.
    pub date: Option<SystemTime>,
}

/// The connection to one Artifactory.
#[derive(Debug)]
pub struct Client {
    /// Sends requests; follows no redirect.
    pub http: reqwest::blocking::Client,
    /// The base of the API.
    api: String,
    credentials: Credentials,
    /// What may be wrong with the address, where an answer is not Artifactory's.
    endpoint_hint: &'static str,
    sent: AtomicU64,
    /// Whether the credentials were refused.
    rejected: AtomicBool,
    /// What everything goes through that a server says.
    pub masker: Masker,
    /// The first wait before a retry.
    pub delay: Duration,
    /// When the pass ends, where there is one.
    pub deadline: Deadline,
}

impl Client {
    /// Builds the client. Errors: exit 2 for credentials that no header can carry.
    pub fn new(config: &ArtifactoryConfig, http: &HttpConfig) -> Result<Self> {
        match &config.credentials {
            Credentials::Bearer(token) => drop(secret_header("--art-token", token.expose())?),
            Credentials::ApiKey(key) => drop(secret_header("--art-api-key", key.expose())?),
            Credentials::Basic(user, _) if user.contains(':') => {
                return Err(Error::usage("--art-userid must not hold a colon"));
            }
            Credentials::Basic(..) | Credentials::Anonymous => {}
        }
        let endpoint_hint = if is_bare_host(&config.base) {
            "the address of a JFrog platform alone is its web interface: add /artifactory to --art-endpoint"
        } else {
            "check --art-endpoint, and that no proxy or login page stands before Artifactory"
        };
        Ok(Self {
            http: http::client(http, Policy::none(), http::IDLE)?,
            api: config.api.clone(),
            credentials: config.credentials.clone(),
            endpoint_hint,
            sent: AtomicU64::new(0),
            rejected: AtomicBool::new(false),
            masker: http.masker.and(config.credentials.secret()),
            delay: BASE_DELAY,
            deadline: Deadline::none(System::shared()),
        })
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The address of what the API has at a path.
    pub fn api(&self, path: &[&str]) -> Result<String> {
        join(&self.api, path)
    }

    /// Adds the credentials, unasked: a server that hides what one may not see answers 404 instead
    /// of a challenge.
    pub fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Anonymous => request,
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            Credentials::ApiKey(key) => match secret_header("--art-api-key", key.expose()) {
                Ok(value) => request.header("x-jfrog-art-api", value),
                Err(_) => request,
            },
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
            let delay = retry_delay(self.delay, attempt, failure.retry, fastrand::f64());
            let Some(delay) = delay else {
                return Err(failure);
            };
            if self.deadline.left(delay) < delay {
                return Err(self.missed(&failure.error));
            }
            tracing::debug!(?delay, "{}, trying again", failure.error.one_line());
            System.sleep(delay);
            attempt += 1;
        }
    }

    /// The pass is over (exit 75); what was tried last is the cause. Nothing else would be answered
    /// in time either, so it stands as no connection does.
    fn missed(&self, last: &Error) -> Failure {
        let error = self.deadline.missed("Artifactory was not read");
        Failure {
            unreachable: true,
            ..Failure::lasting(error.because(last.one_line()))
        }
    }

    /// Whether a 401 came.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Sends one request as it is. After a 401 nothing more is sent.
    pub fn send(&self, what: &str, request: RequestBuilder) -> ReadResult<Response> {
        if self.is_rejected() {
            return Err(Failure::answered(401, self.unauthorized(what)));
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
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = request
            .header(ACCEPT_ENCODING, "identity")
            .send()
            .map_err(|e| no_answer(what, &e, &self.masker))?;
        tracing::debug!("{what}: {}", response.status());
        let is_plain = response
            .headers()
            .get(CONTENT_ENCODING)
            .is_none_or(|encoding| encoding == "identity");
        if response.status().is_success() && !is_plain {
            let error = Error::unavailable(format!("{what}: the answer is compressed, unasked"))
                .hint("a proxy before Artifactory adds a Content-Encoding: turn that off");
            return Err(Failure::answered(response.status().as_u16(), error));
        }
        Ok(response)
    }

    /// Sends one API call, once; what comes back has status 200 and is not HTML.
    pub fn call(&self, what: &str, request: RequestBuilder) -> ReadResult<Response> {
        let request = self.authorize(request).header(ACCEPT, "application/json");
        let response = self.send(what, request)?;
        if response.status().as_u16() != 200 {
            return Err(self.refusal(what, response));
        }
        if is_html(&response) {
            return Err(self.html_page(what));
        }
        Ok(response)
    }

    /// Reads a body of at most `limit` bytes within `time`, and before the pass ends.
    pub fn body(
        &self,
        mut response: Response,
        limit: usize,
        time: Duration,
    ) -> std::result::Result<Vec<u8>, BodyError> {
        let left = self.deadline.left(time);
        read_body(&mut response, limit, left, &self.masker)
    }

    /// GETs the JSON value at a path of the API, with retries.
    pub fn get_json<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> ReadResult<Answer<T>> {
        let url = self.api(path)?;
        self.retried(|| {
            let response = self.call(what, self.http.get(&url))?;
            let date = header(&response, &DATE)
                .and_then(|text| httpdate::parse_http_date(text.trim()).ok());
            let body = self
                .body(response, JSON_LIMIT, JSON_TIME)
                .map_err(|e| body_failure(what, &e))?;
            match serde_json::from_slice(&body) {
                Ok(value) => Ok(Answer { value, date }),
                Err(e) => Err(json_failure(what, e, &self.masker)),
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
        let wait = header(&response, &RETRY_AFTER)
            .and_then(|text| parse_retry_after(text, SystemTime::now()));
        let mut error = match code {
            401 => self.unauthorized(what),
            403 => Error::new(
                Kind::Credentials,
                format!("{what}: Artifactory answered 403"),
            )
            .hint("the user may lack the permission to read it, or be locked or expired"),
            _ => Error::unavailable(format!("{what}: Artifactory answered {status}")),
        };
        if html {
            error = error.because("with an HTML page");
            if code == 404 {
                error = error.hint(self.endpoint_hint);
            }
        } else if let Some(message) = message_of(response, &self.masker) {
            error = error.because(message);
        }
        let mut failure = Failure::answered(code, error);
        failure.html = html;
        if let (Retry::Soon, Some(wait)) = (failure.retry, wait) {
            failure.retry = Retry::After(wait);
        }
        failure
    }

    /// The failure of an answer that is a page for people, with status 200.
    pub fn html_page(&self, what: &str) -> Failure {
        let problem = "an HTML page came instead of Artifactory's answer";
        let error = Error::unavailable(format!("{what}: {problem}")).hint(self.endpoint_hint);
        Failure {
            html: true,
            ..Failure::answered(200, error)
        }
    }

    /// Whether a failure is that the credentials were refused. Anonymous users have none.
    pub fn is_rejection(&self, failure: &Failure) -> bool {
        failure.status == Some(401) && !self.is_anonymous()
    }

    fn is_anonymous(&self) -> bool {
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
        Error::new(Kind::Credentials, format!("{what}: Artifactory {verdict}")).hint(hint)
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
        return Failure::lasting(error);
    }
    Failure {
        unreachable: cause.is_connect(),
        ..Failure::passing(error)
    }
}

/// Whether an answer is a page for people.
pub fn is_html(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().contains("html"))
}

/// The failure of a body that could not be read.
pub fn body_failure(what: &str, cause: &BodyError) -> Failure {
    let error =
        Error::unavailable(format!("{what}: the answer could not be read")).because_of(cause);
    match cause {
        BodyError::Cut(_) => Failure::passing(error),
        BodyError::TooLarge(_) | BodyError::TooSlow(_) => Failure::answered(200, error),
    }
}

/// The failure of a body that is not the JSON it should be; one that merely ends early is tried again.
pub fn json_failure(what: &str, cause: serde_json::Error, masker: &Masker) -> Failure {
    if cause.is_io() {
        return body_failure(what, &std::io::Error::from(cause).into());
    }
    let error = Error::unavailable(format!("{what}: the answer is not what Artifactory sends"))
        .because(masker.text(cause.to_string()));
    if cause.is_eof() {
        Failure::passing(error)
    } else {
        Failure::answered(200, error)
    }
}

/// The failure of a redirect that is not followed.
pub fn redirected(what: &str, status: u16, location: &str, masker: &Masker) -> Failure {
    let error = if is_reactivation_page(location) {
        Error::unavailable(format!("{what}: this JFrog cloud server is deactivated"))
            .hint("its owner can reactivate it on the page that a browser shows")
    } else {
        // Only the host: a location can hold a signature.
        let target = reqwest::Url::parse(location).map(|u| u.origin().ascii_serialization());
        let target = target.map(|origin| masker.text(origin));
        Error::unavailable(format!("{what}: Artifactory answered {status}, a redirect"))
            .because(format!("to {}", target.as_deref().unwrap_or("another path")))
            .hint("API calls are not redirected: give --art-endpoint the final address (https, /artifactory)")
    };
    Failure::answered(status, error)
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
