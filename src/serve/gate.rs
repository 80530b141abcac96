//! What every request passes: limits of its header, body and time, the checks of its route, the
//! headers of its answer, the counts and the log.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version};
use axum::middleware::Next;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use uuid::Uuid;

use super::api::{Api, Route, cleaned, method_name};
use super::places::Place;
use super::replies::{Refusal, Reply, moved, sign};
use super::store;
use crate::mask::Masker;

/// The longest time of a request, from the end of its header to the answer.
const REQUEST_WAIT: Duration = Duration::from_secs(15);
/// What a wrong token, or a wrong secret of the webhook, costs who guesses.
pub(super) const GUESS_COSTS: Duration = Duration::from_secs(1);
/// The most bytes of a body. Only the webhook looks at it; else they are thrown away.
const BODY_BYTES: u64 = 64 * 1024;
/// The most bytes of a header.
pub(super) const HEADER_BYTES: usize = 32 * 1024;

/// A route, with what its checks need.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) api: Arc<Api>,
    pub(super) route: Route,
}

/// The connection of a request, as an extension of it.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) place: Arc<Place>,
}

/// Lets a request through to its route, or answers it. What is refused ends its connection.
pub(super) async fn admit(State(endpoint): State<Endpoint>, request: Request, next: Next) -> Reply {
    let api = endpoint.api.clone();
    api.stats.request(endpoint.route);
    let is_known = is_known(&endpoint, request.headers()).await;
    if let Some(client) = request.extensions().get::<Client>().filter(|_| is_known) {
        client.place.is_trusted();
    }
    let entry = Entry::new(endpoint.route, &request, &api.masker, is_known);
    let method = request.method().clone();
    let request_id = Uuid::new_v4().hyphenated().to_string().to_uppercase();
    let reply = if method == Method::OPTIONS && request.uri().path() == "*" {
        // Go's server answers this one itself, without the headers of the program.
        Reply::new(Body::empty())
    } else {
        let mut reply = answer(&endpoint, request, is_known, next).await;
        sign(&mut reply, &api.server, &request_id, SystemTime::now());
        reply
    };
    let status = reply.status().as_u16();
    api.metrics.observe_request(endpoint.route, &method, status);
    entry.finish(&reply, &request_id, &api.strangers);
    reply
}

/// Whether a request has a valid token. One that is wrong is found out late: at most one guess a
/// second on a connection.
async fn is_known(endpoint: &Endpoint, headers: &HeaderMap) -> bool {
    let store = &endpoint.api.store;
    let Some(token) = store::presented(headers) else {
        return false;
    };
    if !endpoint.route.asks_for_token() {
        return store.knows(token);
    }
    let told = Instant::now() + GUESS_COSTS;
    let is_known = store.lets_in(token).await;
    if !is_known {
        sleep_until(told).await;
    }
    is_known
}

async fn answer(endpoint: &Endpoint, request: Request, is_known: bool, next: Next) -> Reply {
    let deadline = Instant::now() + REQUEST_WAIT;
    let (parts, body) = request.into_parts();
    if let Err(refusal) = check_form(&parts) {
        return refusal.reply();
    }
    if let Some(clean) = cleaned(parts.uri.path()) {
        return moved(&clean, parts.uri.query());
    }
    let reading = read(body, endpoint.route == Route::Hook);
    let body = match timeout_at(deadline, reading).await {
        Ok(Ok((length, body))) => {
            endpoint.api.stats.body(endpoint.route, length);
            body
        }
        Ok(Err(refusal)) => return refusal.reply(),
        Err(_) => return Refusal::TooSlow.reply(),
    };
    if let Err(refusal) = check(endpoint.route, &parts, is_known) {
        return refusal.reply();
    }
    let answering = next.run(Request::from_parts(parts, body));
    let answered = timeout_at(deadline, answering).await;
    answered.unwrap_or_else(|_| Refusal::Overdue.reply())
}

/// What HTTP itself asks for: a header of bounded length, and one `Host` that names a host (RFC 9112,
/// section 3.2).
pub(super) fn check_form(parts: &Parts) -> Result<(), Refusal> {
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    let target = parts.uri.path_and_query().map_or(0, |t| t.as_str().len());
    if target + fields.sum::<usize>() > HEADER_BYTES {
        return Err(Refusal::Header);
    }
    match host(&parts.headers) {
        Ok(Some(_)) => Ok(()),
        Ok(None) if parts.version < Version::HTTP_11 => Ok(()),
        Ok(None) | Err(()) => Err(Refusal::Host),
    }
}

/// The one `Host`, without its port; `Err` where there are two, or it is none.
pub(super) fn host(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(HOST).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| ())?;
    if values.next().is_some() || text.contains('@') {
        return Err(());
    }
    if text.is_empty() {
        return Ok(Some(""));
    }
    let authority = Authority::try_from(text).map_err(|_| ())?;
    Ok(text.get(..authority.host().len()))
}

/// The checks in the order of the Go program, which is part of the contract: 415, 405, 401.
fn check(route: Route, parts: &Parts, is_known: bool) -> Result<(), Refusal> {
    if route.asks_for_json() && !speaks_json(&parts.headers) {
        return Err(Refusal::Headers);
    }
    if !route.takes(&parts.method) {
        return Err(Refusal::Method(route.methods()));
    }
    if is_known || !route.asks_for_token() {
        return Ok(());
    }
    Err(match store::presented(&parts.headers) {
        Some(_) => Refusal::WrongToken,
        None => Refusal::NoToken,
    })
}

/// Whether both headers say `application/json` and nothing else: not even a charset, as in the
/// Go program.
fn speaks_json(headers: &HeaderMap) -> bool {
    [ACCEPT, CONTENT_TYPE].into_iter().all(|name| {
        let value = headers.get(name);
        value.is_some_and(|value| value.as_bytes() == b"application/json")
    })
}

/// Reads a body to its end and gives its length, and what is to be kept of it: all or nothing. One
/// that says beforehand that it is too long is not read at all.
async fn read(mut body: Body, is_kept: bool) -> Result<(u64, Body), Refusal> {
    if body.size_hint().lower() > BODY_BYTES {
        return Err(Refusal::TooLarge);
    }
    let (mut length, mut kept) = (0, Vec::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::Malformed)?;
        let bytes = frame.into_data().unwrap_or_default();
        length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
        if is_kept {
            kept.extend_from_slice(&bytes);
        }
    }
    Ok((length, kept.into()))
}

/// The most characters that are shown of the path of an unknown route.
const PATH_LIMIT: usize = 128;
/// How long what strangers ask for is counted before the count is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What was answered to requests without a valid token: the first one of a kind has a line, the
/// others of the next 10 s are a number.
#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<BTreeMap<(Route, u16), u64>>>);

impl Strangers {
    /// Counts an answer; whether it is the first one of its kind.
    fn is_first(&self, route: Route, status: u16) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&(route, status)) {
            *count += 1;
            return false;
        }
        counts.insert((route, status), 0);
        drop(counts);
        let all = self.clone();
        tokio::spawn(async move {
            sleep(TOLD_EVERY).await;
            let mut counts = all.0.lock().unwrap_or_else(PoisonError::into_inner);
            let more = counts.remove(&(route, status)).unwrap_or(0);
            drop(counts);
            if more > 0 {
                let (seconds, route) = (TOLD_EVERY.as_secs(), route.template());
                tracing::info!(target: "access", route, status, "{more} more in {seconds} s");
            }
        });
        true
    }
}

/// What the log says of a request. Its headers and its query are no part of it, since they may
/// hold secrets.
struct Entry {
    route: Route,
    began: Instant,
    method: &'static str,
    path: Option<String>,
    peer: Option<SocketAddr>,
    is_known: bool,
}

impl Entry {
    /// Of a request that begins.
    fn new(route: Route, request: &Request, masker: &Masker, is_known: bool) -> Self {
        let path = (route == Route::Other).then(|| shown(request.uri().path(), masker));
        Self {
            route,
            began: Instant::now(),
            method: method_name(request.method()),
            path,
            peer: request
                .extensions()
                .get()
                .map(|client: &Client| client.peer),
            is_known,
        }
    }

    /// Writes the line. Health checks come every few seconds and are left out, unless they fail.
    fn finish(self, reply: &Reply, request_id: &str, strangers: &Strangers) {
        let status = reply.status();
        if self.route == Route::Health && status.is_success() {
            return;
        }
        if !self.is_known && !strangers.is_first(self.route, status.as_u16()) {
            return;
        }
        tracing::info!(
            target: "access",
            method = self.method,
            route = self.route.template(),
            path = self.path,
            status = status.as_u16(),
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
    fn there_is_one_host_and_it_is_a_host() {
        let host = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HOST, value.parse().unwrap());
            }
            host(&headers).map(|host| host.map(str::to_owned))
        };
        for (value, name) in [
            ("x", "x"),
            ("Localhost:8080", "Localhost"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host(&[value]), Ok(Some(name.to_owned())), "{value}");
        }
        assert_eq!(host(&[]), Ok(None));
        for bad in [
            &["x", "x"][..],
            &["a b"],
            &["u@x"],
            &["x/y"],
            &["é"],
            &["x", ""],
        ] {
            assert_eq!(host(bad), Err(()), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_strangers_ask_for_is_told_once_and_then_counted() {
        let strangers = Strangers::default();
        let first = |status| strangers.is_first(Route::Other, status);
        assert!(first(404) && first(401));
        assert!((0..1000).all(|_| !first(404)));
        assert!(strangers.is_first(Route::Info, 401));
        assert_eq!(strangers.0.lock().unwrap()[&(Route::Other, 404)], 1000);
        sleep(TOLD_EVERY * 2).await;
        assert!(strangers.0.lock().unwrap().is_empty());
        assert!(first(404));
    }

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
