//! What every request passes: limits of its body and time, the checks of its route, the headers
//! of its answer, the counts and the log.

use std::future::poll_fn;
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

use super::access::Entry;
use super::auth;
use super::replies::{Refusal, Reply, moved, sign};
use super::route::{Route, cleaned};
use super::routes::Api;

/// The longest time of a request, from the end of its header to the answer.
const REQUEST_WAIT: Duration = Duration::from_secs(15);
/// The most bytes of a body; no route reads one, so that they are only thrown away.
const BODY_BYTES: u64 = 64 * 1024;

/// The gate of one route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) api: Arc<Api>,
    pub(super) route: Route,
}

/// Lets a request through to its route, or answers it.
pub(super) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Reply {
    let api = gate.api.clone();
    api.stats.request(gate.route);
    let entry = Entry::new(gate.route, &request, &api.masker);
    let method = request.method().clone();
    let request_id = Uuid::new_v4().hyphenated().to_string().to_uppercase();
    let reply = if method == Method::OPTIONS && request.uri().path() == "*" {
        // Go's server answers this one itself, without the headers of the program.
        Reply::new(Body::empty())
    } else {
        let mut reply = answer(&gate, request, next).await;
        sign(&mut reply, &api.server, &request_id, SystemTime::now());
        reply
    };
    let status = reply.status().as_u16();
    api.metrics.observe_request(gate.route, &method, status);
    entry.finish(&reply, &request_id);
    reply
}

async fn answer(gate: &Gate, request: Request, next: Next) -> Reply {
    let deadline = Instant::now() + REQUEST_WAIT;
    if let Some(clean) = cleaned(request.uri().path()) {
        return moved(&clean, request.uri().query());
    }
    let (parts, body) = request.into_parts();
    match timeout_at(deadline, throw_away(body)).await {
        Ok(Ok(bytes)) => gate.api.stats.body(bytes),
        Ok(Err(refusal)) => return refusal.reply(),
        Err(_) => return Refusal::TooSlow.reply(),
    }
    let answering = async {
        if let Err(refusal) = check(gate, &parts.method, &parts.headers).await {
            return refusal.reply();
        }
        next.run(Request::from_parts(parts, Body::empty())).await
    };
    let answered = timeout_at(deadline, answering).await;
    answered.unwrap_or_else(|_| Refusal::Overdue.reply())
}

/// The checks in the order of the Go program, which is part of the contract: 415, 405, 401.
async fn check(gate: &Gate, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if gate.route.asks_for_json() && !speaks_json(headers) {
        return Err(Refusal::Headers);
    }
    if !gate.route.takes(method) {
        return Err(Refusal::Method);
    }
    if !gate.route.asks_for_token() {
        return Ok(());
    }
    match auth::presented(headers) {
        Some(token) if gate.api.store.lets_in(token).await => Ok(()),
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
