//! The HTTP API of coreos-deploy, as the real server answers it (recorded): one mutex for all
//! routes, held for the whole deploy; replies later than 10 s dropped; `Content-Type` and `Accept`
//! exactly `application/json` on every request.

mod replies;
#[cfg(test)]
mod tests;
mod units;

use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;

pub use replies::{Info, Submission};
pub use units::{Unit, new_units, running_now, suffixes};

use crate::config::{DeployConfig, HttpConfig};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::http::{client, describe, read_body};
use crate::model::attempt::Status;
use crate::model::request::DeployRequest;

/// The longest that `/info` may take before the server counts as busy.
const INFO: Duration = Duration::from_secs(5);
/// The longest that any other reply may take: the server drops replies after 10 s.
const REPLY: Duration = Duration::from_secs(15);
/// What a quiet server answers within.
const QUIET: Duration = Duration::from_secs(1);
/// The pause between two looks for quiet.
const QUIET_PAUSE: Duration = Duration::from_secs(5);
/// How many looks quiet takes.
const QUIET_LOOKS: usize = 3;
/// The most bytes of a reply; of a cluster map.
const LIMIT: usize = 1 << 20;
const MAP_LIMIT: usize = 8 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What asking for `/info` found.
#[derive(Clone, Debug)]
pub enum Probe {
    /// The server answered.
    Answered(Info),
    /// Connected, but silent: a deploy is running.
    Busy(String),
    /// It cannot be used: 69, 77 for refused credentials, 2 for a redirect.
    Failed(Error),
}

/// A client of one coreos-deploy.
pub struct CoreosDeploy {
    client: Client,
    url: String,
    authorization: Option<HeaderValue>,
}

impl CoreosDeploy {
    /// A client. Errors: exit 2 for a token that can't be a header, and what [`client`] gives.
    pub fn new(config: &DeployConfig, http: &HttpConfig) -> Result<Self> {
        let authorization = match &config.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                    .map_err(|_| Error::usage("--deploy-token (CAM_DEPLOY_TOKEN) holds a character that no header can carry"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let client = client(http, Policy::none(), REPLY)?;
        Ok(Self {
            client,
            url: config.url.clone(),
            authorization,
        })
    }

    /// Asks for `/v1.0/info`, for at most 5 s.
    pub fn info(&self) -> Probe {
        self.info_within(INFO)
    }

    /// Whether the server is quiet: three `/info` answers within 1 s each, at least 5 s apart.
    /// Its waiters are not first-in-first-out (recorded), so one answer proves nothing about
    /// requests that still wait.
    pub fn is_quiet(&self, cancelled: &dyn Fn() -> bool) -> bool {
        for look in 0..QUIET_LOOKS {
            let pause = Instant::now()
                + if look == 0 {
                    Duration::ZERO
                } else {
                    QUIET_PAUSE
                };
            while Instant::now() < pause {
                if cancelled() {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            if cancelled() || !matches!(self.info_within(QUIET), Probe::Answered(_)) {
                return false;
            }
        }
        true
    }

    /// The units of one service and version that fleet knows. An error: the cluster can't be read.
    pub fn units(&self, service_name: &str, version: &str) -> Result<Vec<Unit>> {
        let cannot = |why: String| {
            Error::unavailable("coreos-deploy's cluster_map cannot be read").because(why)
        };
        let request = self
            .get("cluster_map")
            .query(&[("uq", units::pattern(service_name, version))]);
        let mut response = send(request, REPLY).map_err(|e| cannot(describe(&e)))?;
        let body = read_body(&mut response, MAP_LIMIT, REPLY).map_err(|e| cannot(e.to_string()))?;
        match response.status().as_u16() {
            200 => units::parse(&body, service_name, version).map_err(cannot),
            status => Err(cannot(format!(
                "status {status}: {}",
                replies::excerpt(&body)
            ))),
        }
    }

    /// Posts a deploy, once: never retried, never redirected, on a connection of its own.
    pub fn submit(&self, request: &DeployRequest) -> Submission {
        let body = match serde_json::to_vec(request) {
            Ok(body) => body,
            Err(e) => {
                let stop =
                    Error::usage("the deploy request cannot be written as JSON").because_of(&e);
                return Submission::Refused {
                    reason: e.to_string(),
                    counts: false,
                    stop: Some(stop),
                };
            }
        };
        let url = format!("{}/v1.0/deploy", self.url);
        let request = self
            .dress(self.client.post(url))
            .header(CONNECTION, "close")
            .body(body);
        let mut response = match send(request, REPLY) {
            Ok(response) => response,
            Err(e) if e.is_connect() || e.is_builder() => {
                return replies::not_connected(&describe(&e));
            }
            Err(e) => {
                return Submission::Lost(format!(
                    "the reply to the POST was lost: {}",
                    describe(&e)
                ));
            }
        };
        let id = response
            .headers()
            .get("x-request-id")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let body = read_body(&mut response, LIMIT, REPLY);
        replies::submission(
            response.status().as_u16(),
            id.as_deref(),
            body.as_deref().map_err(ToString::to_string),
        )
    }

    /// Asks what became of a deploy. `service_name` "" is not compared: of a deploy that was taken
    /// over from the original's table it was never known.
    pub fn status(&self, id: &str, service_name: &str, version: &str) -> Status {
        if !replies::is_uuid(id) {
            return Status::Inconclusive("the id is not a UUID".into());
        }
        let mut response = match send(self.get(&format!("status/{id}")), REPLY) {
            Ok(response) => response,
            Err(e) => return Status::Inconclusive(describe(&e)),
        };
        match read_body(&mut response, LIMIT, REPLY) {
            Ok(body) => {
                replies::status(response.status().as_u16(), &body, id, service_name, version)
            }
            Err(e) => Status::Inconclusive(e.to_string()),
        }
    }

    fn info_within(&self, limit: Duration) -> Probe {
        let mut response = match send(self.get("info"), limit) {
            Ok(response) => response,
            Err(e) if e.is_connect() || e.is_builder() => {
                return Probe::Failed(unreachable(&describe(&e)));
            }
            Err(e) => return Probe::Busy(describe(&e)),
        };
        match read_body(&mut response, LIMIT, limit) {
            Ok(body) => replies::info(response.status().as_u16(), &body),
            Err(e) => Probe::Busy(e.to_string()),
        }
    }

    fn get(&self, route: &str) -> RequestBuilder {
        self.dress(self.client.get(format!("{}/v1.0/{route}", self.url)))
    }

    fn dress(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(ACCEPT, JSON).header(CONTENT_TYPE, JSON);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }
}

/// Sends a request; the limit bounds headers and body together.
fn send(request: RequestBuilder, limit: Duration) -> reqwest::Result<Response> {
    request.timeout(limit).send()
}

/// coreos-deploy can't be reached (69).
fn unreachable(why: &str) -> Error {
    Error::unavailable("coreos-deploy cannot be reached")
        .because(why)
        .hint("check --deploy-url and that the service runs")
}

/// Refused credentials (77).
fn credentials(status: u16) -> Error {
    Error::new(
        Exit::Credentials,
        format!("coreos-deploy refused the credentials (status {status})"),
    )
    .hint("check --deploy-token; coreos-deploy also answers 401 while its own database is down")
}

/// A redirect, which is never followed (2).
fn redirected(status: u16) -> Error {
    Error::usage(format!(
        "coreos-deploy answered with a redirect (status {status}), which is never followed"
    ))
    .hint("give --deploy-url as the server knows itself: scheme, host and port, without a path")
}

/// Normalises `--deploy-url`: no trailing slash, no `/v1.0`. The error is what is wrong with it.
pub fn normalise_url(url: &str) -> std::result::Result<String, String> {
    let parsed = reqwest::Url::parse(url.trim()).map_err(|e| format!("it is not a URL: {e}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err("it must begin with http:// or https:// and name a host".into());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("it must hold no user or password".into());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("it must hold no query and no fragment".into());
    }
    let trimmed = parsed.as_str().trim_end_matches('/');
    let base = trimmed.strip_suffix("/v1.0").unwrap_or(trimmed);
    Ok(base.trim_end_matches('/').to_owned())
}
