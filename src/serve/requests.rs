//! What every request passes: limits of its body and time, the checks of its route, the headers
//! of its answer, the counts and the log.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::api::{Api, Route, cleaned, method_name};
use super::listener::Peer;
use super::replies::{Refusal, Reply, moved, sign};
use super::tokens;
use crate::mask::Masker;

/// The longest time of a request, from the end of its header to the answer.
const REQUEST_WAIT: Duration = Duration::from_secs(15);
/// The most bytes of a body; no route reads one, so that they are only thrown away.
const BODY_BYTES: u64 = 64 * 1024;

/// A route, with what its checks need.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) api: Arc<Api>,
    pub(super) route: Route,
}

/// Lets a request through to its route, or answers it.
pub(super) async fn admit(State(endpoint): State<Endpoint>, request: Request, next: Next) -> Reply {
    let api = endpoint.api.clone();
    api.stats.request(endpoint.route);
    let entry = Entry::new(endpoint.route, &request, &api.masker);
    let method = request.method().clone();
    let request_id = Uuid::new_v4().hyphenated().to_string().to_uppercase();
    let reply = if method == Method::OPTIONS && request.uri().path() == "*" {
        // Go's server answers this one itself, without the headers of the program.
        Reply::new(Body::empty())
    } else {
        let mut reply = answer(&endpoint, request, next).await;
        sign(&mut reply, &api.server, &request_id, SystemTime::now());
        reply
    };
    let status = reply.status().as_u16();
    api.metrics.observe_request(endpoint.route, &method, status);
    entry.finish(&reply, &request_id);
    reply
}

async fn answer(endpoint: &Endpoint, request: Request, next: Next) -> Reply {
    let deadline = Instant::now() + REQUEST_WAIT;
    if let Some(clean) = cleaned(request.uri().path()) {
        return moved(&clean, request.uri().query());
    }
    let (parts, body) = request.into_parts();
    match timeout_at(deadline, throw_away(body)).await {
        Ok(Ok(bytes)) => endpoint.api.stats.body(bytes),
        Ok(Err(refusal)) => return refusal.reply(),
        Err(_) => return Refusal::TooSlow.reply(),
    }
    let answering = async {
        if let Err(refusal) = check(endpoint, &parts.method, &parts.headers).await {
            return refusal.reply();
        }
        next.run(Request::from_parts(parts, Body::empty())).await
    };
    let answered = timeout_at(deadline, answering).await;
    answered.unwrap_or_else(|_| Refusal::Overdue.reply())
}

/// The checks in the order of the Go program, which is part of the contract: 415, 405, 401.
async fn check(endpoint: &Endpoint, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if endpoint.route.asks_for_json() && !speaks_json(headers) {
        return Err(Refusal::Headers);
    }
    if !endpoint.route.takes(method) {
        return Err(Refusal::Method);
    }
    if !endpoint.route.asks_for_token() {
        return Ok(());
    }
    match tokens::presented(headers) {
        Some(token) if endpoint.api.store.lets_in(token).await => Ok(()),
        _ => Err(Refusal::Token),
    }
}

/// Whether both headers say `application/json` and nothing else: not even a charset, as in the
/// Go program.
fn speaks_json(headers: &HeaderMap) -> bool {
    [ACCEPT, CONTENT_TYPE].into_iter().all(|name| {
        let value = headers.get(name);
        value.is_some_and(|value| value.as_bytes() == b"application/json")
    })
}

/// Reads a body to its end and gives its length. One that says beforehand that it is too long is
/// not read at all.
async fn throw_away(mut body: Body) -> Result<u64, Refusal> {
    if body.size_hint().lower() > BODY_BYTES {
        return Err(Refusal::TooLarge);
    }
    let mut length = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::Malformed)?;
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        length += u64::try_from(bytes).unwrap_or(u64::MAX);
        if length > BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(length)
}

/// The most characters that are shown of the path of an unknown route.
const PATH_LIMIT: usize = 128;

/// What the log says of a request. Its headers and its query are no part of it, since they may
/// hold secrets.
pub(super) struct Entry {
    route: Route,
    began: Instant,
    method: &'static str,
    path: Option<String>,
    peer: Option<SocketAddr>,
}

impl Entry {
    /// Of a request that begins.
    pub(super) fn new(route: Route, request: &Request, masker: &Masker) -> Self {
        let path = (route == Route::Other).then(|| shown(request.uri().path(), masker));
        Self {
            route,
            began: Instant::now(),
            method: method_name(request.method()),
            path,
            peer: request.extensions().get().map(|Peer(peer)| *peer),
        }
    }

    /// Writes the line. Health checks come every few seconds and are left out, unless they fail.
    pub(super) fn finish(self, reply: &Reply, request_id: &str) {
        if self.route == Route::Health && reply.status().is_success() {
            return;
        }
        tracing::info!(
            target: "access",
            method = self.method,
            route = self.route.template(),
            path = self.path,
            status = reply.status().as_u16(),
            bytes = reply.body().size_hint().exact(),
            duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_id,
            peer = self.peer.map(tracing::field::display),
        );
    }
}

fn shown(path: &str, masker: &Masker) -> String {
    let path = masker.text(path);
    match path.char_indices().nth(PATH_LIMIT) {
        Some((end, _)) => path[..end].to_owned() + "…",
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_bounded_and_printable() {
        let shown = |path: &str| super::shown(path, &Masker::default());
        assert_eq!(shown("/nope"), "/nope");
        assert_eq!(shown("/\u{9b}31m"), "/\\u{9b}31m");
        let long = shown(&"é".repeat(1000));
        assert!(long.ends_with('…') && long.chars().count() == PATH_LIMIT + 1);
    }

    #[test]
    fn a_secret_in_a_path_is_not_logged() {
        let secret = crate::secret::Secret::new("c4nary+Art/p=ss".into());
        let masker = Masker::new([(None, &secret)]);
        assert_eq!(shown("/v1/c4nary%2bArt%2Fp=ss/x", &masker), "/v1/***/x");
        let far = format!("/{}c4nary+Art/p=ss", "x".repeat(PATH_LIMIT - 4));
        assert!(!shown(&far, &masker).contains("c4n"));
    }
}
