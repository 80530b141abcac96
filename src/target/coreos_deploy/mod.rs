//! The HTTP API of the cluster's deploy service (coreos-deploy, `/v1.0`).
//!
//! The service holds one process-wide lock for as long as a deploy runs, and every route takes it:
//! while it deploys, nothing answers. A reply that is ready later than 10 s after its request was
//! read is dropped and the connection closed. So silence and EOF mean "at work", not "failed", a
//! POST to a busy service loses its reply, and there is nothing to wait for beyond 15 s.
//!
//! This module sends and reads; what an answer means for an attempt is `model::attempt`'s to say.

mod replies;
mod submission;
mod units;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use percent_encoding::utf8_percent_encode;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};

use crate::clock::{System, sleep_unless};
use crate::config::{DeployConfig, HttpConfig};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Answer, BodyError, Peer, RESERVED, describe, read_body, secret_header};
use crate::model::attempt::Status;
use crate::model::request::DeployRequest;
use crate::model::units::Unit;
use crate::secret::Secret;

use super::{Info, Probe, Submission, Target};

/// The most bytes that are read of a reply.
const REPLY_LIMIT: usize = 1 << 20;
/// The most bytes that are read of a `cluster_map`, which lists every unit that matches.
const CLUSTER_LIMIT: usize = 8 << 20;

/// What a question gets at least: the last one of a pass is asked in earnest, too.
const LEAST: Duration = Duration::from_secs(1);

/// The times that requests are given.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// In total, for `/info` before a deploy.
    info: Duration,
    /// In total, for every other request.
    reply: Duration,
    /// In total, for one of the answers of a quiet service.
    quiet_answer: Duration,
    /// Between two of these answers.
    quiet_gap: Duration,
}

/// A client of one coreos-deploy.
#[derive(Debug)]
pub struct CoreosDeploy {
    /// For everything but `/info`.
    client: Client,
    /// For `/info`: gives a connection less time than the answer has in total, so that a service
    /// that isn't reached is told from one that is silent.
    prober: Client,
    url: String,
    headers: HeaderMap,
    /// What both clients share, with what everything goes through that a server says.
    http: HttpConfig,
    limits: Limits,
    /// When what is asked for is of no use any more.
    deadline: Deadline,
}

impl CoreosDeploy {
    /// A client of the service at `config.url`. Sends nothing yet.
    ///
    /// Errors: exit 2 for a URL or a token that no request can be made with; as
    /// [`http::client`] otherwise.
    pub fn new(config: &DeployConfig, http: &HttpConfig) -> Result<Self> {
        Url::parse(&config.url)
            .map_err(|e| Error::usage("--deploy-url is not a URL").because_of(&e))?;
        let limits = Limits {
            info: Duration::from_secs(5),
            // A connection that takes too long must end as "not connected": the request may not
            // time out first.
            reply: Duration::from_secs(15).max(http.connect_timeout + Duration::from_secs(5)),
            quiet_answer: Duration::from_secs(1),
            quiet_gap: Duration::from_secs(5),
        };
        let mut hasty = http.clone();
        hasty.connect_timeout = http.connect_timeout.min(limits.info * 4 / 5);
        Ok(Self {
            client: http::client(http, Policy::none(), limits.reply)?,
            prober: http::client(&hasty, Policy::none(), limits.info)?,
            url: config.url.clone(),
            headers: headers(config.token.as_ref())?,
            http: HttpConfig {
                masker: http
                    .masker
                    .and(config.token.as_ref().map(|token| (None, token))),
                ..http.clone()
            },
            limits,
            deadline: Deadline::none(System::shared()),
        })
    }

    fn probe(&self, total: Duration) -> Probe {
        let mut response = match self.get(&self.prober, "info", total) {
            Ok(response) => response,
            Err(e) if !e.is_connect() && is_silence(&e) => {
                return Probe::Busy(format!(
                    "coreos-deploy at {} does not answer: {}",
                    self.url,
                    self.describe(&e)
                ));
            }
            Err(e) => return Probe::Failed(self.unreachable(&e)),
        };
        let status = response.status();
        if status != StatusCode::OK {
            let answer = self.answer(response);
            return Probe::Failed(match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.credentials(&answer),
                s if s.is_redirection() => self.redirected(&answer),
                _ => self.unusable(&answer),
            });
        }
        match self.body(&mut response, REPLY_LIMIT, self.left(total)) {
            Ok(body) => match replies::info(&body) {
                Ok(info) => Probe::Answered(Info {
                    shown: self.clean(&info.shown),
                    ..info
                }),
                Err(why) => Probe::Failed(self.unusable(&self.clean(&why))),
            },
            Err(e @ BodyError::TooLarge(_)) => Probe::Failed(self.unusable(&e.to_string())),
            Err(e) => Probe::Busy(format!("coreos-deploy at {}: {e}", self.url)),
        }
    }

    fn get(&self, client: &Client, path: &str, total: Duration) -> reqwest::Result<Response> {
        self.send(client.get(self.endpoint(path)), self.left(total))
    }

    /// The time that a question may take: `most`, but hardly past the deadline.
    fn left(&self, most: Duration) -> Duration {
        self.deadline.left(most).max(LEAST.min(most))
    }

    fn send(&self, request: RequestBuilder, total: Duration) -> reqwest::Result<Response> {
        let started = Instant::now();
        let result = request.headers(self.headers.clone()).timeout(total).send();
        match &result {
            Ok(r) => tracing::debug!(
                "coreos-deploy {} {} in {:?}",
                r.url().path(),
                r.status(),
                started.elapsed()
            ),
            Err(e) => tracing::debug!(
                "coreos-deploy: {} after {:?}",
                self.describe(e),
                started.elapsed()
            ),
        }
        result
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}/v1.0/{path}", self.url)
    }

    /// Who answered what, on one line, of a reply that only its status matters of.
    fn answer(&self, response: Response) -> String {
        Self::told(&Answer::read(Peer::CoreosDeploy, response, &self.http))
    }

    fn told(answer: &Answer) -> String {
        let told = answer.told(Peer::CoreosDeploy);
        match answer.words() {
            Some(words) => format!("{told}: {words}"),
            None => told,
        }
    }

    /// Reads a body of at most `limit` bytes within `total`.
    fn body(
        &self,
        response: &mut Response,
        limit: usize,
        total: Duration,
    ) -> std::result::Result<Vec<u8>, BodyError> {
        read_body(response, limit, total, &self.http)
    }

    /// Makes foreign text fit to show: a peer may send back what it was sent.
    fn clean(&self, text: &str) -> String {
        self.http.masker.text(text)
    }

    fn describe(&self, error: &reqwest::Error) -> String {
        describe(error, &self.http)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::unavailable(format!("coreos-deploy at {} cannot be reached", self.url))
            .because(self.describe(error))
            .hint(
                http::hint(error, &self.http)
                    .unwrap_or("check --deploy-url, and that the service runs"),
            )
    }

    fn unusable(&self, why: &str) -> Error {
        Error::unavailable(format!("coreos-deploy at {} cannot be used", self.url)).because(why)
    }

    fn credentials(&self, answer: &str) -> Error {
        Error::new(
            Kind::Credentials,
            format!("coreos-deploy at {} refuses the credentials", self.url),
        )
        .because(answer)
        .hint("check --deploy-token; the service also answers 401 while its own database is down")
    }

    fn redirected(&self, answer: &str) -> Error {
        Error::usage(format!(
            "coreos-deploy at {} redirects, which is not followed",
            self.url
        ))
        .because(answer)
        .hint("give the address of the service itself with --deploy-url")
    }
}

impl Target for CoreosDeploy {
    fn until(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Asks who the service works for (`GET /v1.0/info`); at most 5 s.
    fn info(&self) -> Probe {
        self.probe(self.limits.info)
    }

    /// Whether the service is idle: three answers of `/info` within 1 s each, at least 5 s apart.
    ///
    /// One answer would not do: requests that wait for a running deploy are not served in the
    /// order they came in (recorded). `cancelled` is asked every 50 ms between the answers; the
    /// first answer that is missing, and a cancellation, end it with `false`.
    fn is_quiet(&self, cancelled: &dyn Fn() -> bool) -> bool {
        for round in 0..3 {
            if round > 0 && !sleep_unless(&System, self.limits.quiet_gap, cancelled) {
                return false;
            }
            if cancelled() || !matches!(self.probe(self.limits.quiet_answer), Probe::Answered(_)) {
                return false;
            }
        }
        true
    }

    /// The units of one service that the cluster has (`GET /v1.0/cluster_map`), of all versions,
    /// each once, sorted. Units that were just destroyed are still listed as running for some
    /// seconds (seen on fleet).
    ///
    /// Two services whose name and version read the same when joined by `-` (`a-b` at `c`, `a` at
    /// `b-c`) can't be told apart by the names of their units. Units of machines without metadata
    /// are left out by the service (read in its source).
    ///
    /// Errors: the cluster can't be read (exit 69; 77 for 401 and 403).
    fn units(&self, service_name: &str) -> Result<Vec<Unit>> {
        let failed = || {
            Error::unavailable(format!(
                "the units of {service_name} cannot be read from coreos-deploy at {}",
                self.url
            ))
        };
        let pattern = units::pattern(service_name);
        let query = utf8_percent_encode(&pattern, RESERVED);
        let mut response = self
            .get(
                &self.client,
                &format!("cluster_map?uq={query}"),
                self.limits.reply,
            )
            .map_err(|e| failed().because(self.describe(&e)))?;
        let status = response.status();
        if status != StatusCode::OK {
            let answer = self.answer(response);
            return Err(match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.credentials(&answer),
                _ => failed().because(answer),
            });
        }
        let body = self
            .body(&mut response, CLUSTER_LIMIT, self.left(self.limits.reply))
            .map_err(|e| failed().because_of(&e))?;
        units::read(&body, service_name).map_err(|e| failed().because(self.clean(&e)))
    }

    fn submit(&self, request: &DeployRequest) -> Submission {
        self.post(request)
    }

    /// What the service knows of a deploy (`GET /v1.0/status/<id>`); at most 15 s.
    ///
    /// Only an answer with this id (in either case), name and version is one about this deploy.
    ///
    /// `service_name` "" is not compared: of a deploy that was taken over from the original's table
    /// it was never known.
    fn status(&self, id: &str, service_name: &str, version: &str) -> Status {
        if id.bytes().all(|b| b == b'.') {
            return Status::Inconclusive("the deploy has no id to ask for".into());
        }
        let mut response = match self.get(
            &self.client,
            &format!("status/{}", utf8_percent_encode(id, RESERVED)),
            self.limits.reply,
        ) {
            Ok(response) => response,
            Err(e) => {
                return Status::Inconclusive(format!("no answer: {}", self.describe(&e)));
            }
        };
        if response.status() != StatusCode::OK {
            return Status::Inconclusive(self.answer(response));
        }
        match self.body(&mut response, REPLY_LIMIT, self.left(self.limits.reply)) {
            Err(e) => Status::Inconclusive(e.to_string()),
            Ok(body) => match replies::status(&body, id, service_name, version) {
                Status::Failed(message) => Status::Failed(self.clean(&message)),
                Status::Inconclusive(why) => Status::Inconclusive(self.clean(&why)),
                Status::OtherDeploy(what) => Status::OtherDeploy(self.clean(&what)),
                known => known,
            },
        }
    }
}

/// The headers of every request. The service compares the two media types byte by byte, of GETs
/// too (recorded); `Connection: close` makes that no request is sent on a used connection, where
/// an EOF could not be told from a connection that had been closed before.
fn headers(token: Option<&Secret>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(token) = token {
        let bearer = format!("Bearer {}", token.expose());
        headers.insert(AUTHORIZATION, secret_header("--deploy-token", &bearer)?);
    }
    Ok(headers)
}

/// Whether a connected peer sent nothing: it was silent, or the connection ended. What it sent
/// and is not HTTP is no silence.
fn is_silence(error: &reqwest::Error) -> bool {
    if error.is_timeout() {
        return true;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // The words of hyper for an EOF; its type is not re-exported.
        if cause.is::<std::io::Error>() || cause.to_string().contains("connection closed") {
            return true;
        }
        source = cause.source();
    }
    false
}
