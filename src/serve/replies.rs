//! Answers, and the headers that each of them has.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, DATE, HeaderName, LOCATION, SERVER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};
use hyper::body::Frame;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::output::json;

/// An answer.
pub(super) type Reply = Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request is not answered as it wishes; the texts are those of the Go program, where it
/// has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `Accept` or `Content-Type` is not JSON.
    Headers,
    /// Not this method, but those.
    Method(&'static str),
    /// No token.
    NoToken,
    /// A token that is not known.
    WrongToken,
    /// An event that does not show the secret of the webhook.
    WrongSecret,
    /// The header is too long.
    Header,
    /// No `Host`, or not one.
    Host,
    /// No such route.
    NotFound,
    /// A pass that is not kept.
    NoPass,
    /// An app without an attempt.
    NoApp,
    /// The body is too long.
    TooLarge,
    /// The body came too slowly.
    TooSlow,
    /// The body is none (chunks that are no chunks), or broke off.
    Malformed,
    /// The answer took too long.
    Overdue,
    /// The answer could not be written.
    Defect,
}

impl Refusal {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Headers => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Invalid Content-Type or Accept header value.",
            ),
            Refusal::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Invalid Method for this route.",
            ),
            Refusal::NoToken | Refusal::WrongToken | Refusal::WrongSecret => {
                (StatusCode::UNAUTHORIZED, "Invalid authorization.")
            }
            Refusal::Header => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The header is too long.",
            ),
            Refusal::Host => (StatusCode::BAD_REQUEST, "One Host header is asked for."),
            Refusal::NotFound => (StatusCode::NOT_FOUND, "404 page not found"),
            Refusal::NoPass => (StatusCode::NOT_FOUND, "No pass of this id is kept."),
            Refusal::NoApp => (StatusCode::NOT_FOUND, "No attempt of this app is recorded."),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long."),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body came too slowly."),
            Refusal::Malformed => (StatusCode::BAD_REQUEST, "The body cannot be read."),
            Refusal::Overdue => (StatusCode::SERVICE_UNAVAILABLE, "The answer took too long."),
            Refusal::Defect => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be written.",
            ),
        }
    }

    /// The answer, which ends the connection where the client asked for what it does not get: who is
    /// refused has no place to go on from. The rest of a body is not waited for.
    pub(super) fn reply(self) -> Reply {
        let (status, text) = self.parts();
        let mut reply = error(status, text);
        let headers = reply.headers_mut();
        if status.is_client_error() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Refusal::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Refusal::NoToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            }
            Refusal::WrongToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(WRONG));
            }
            Refusal::WrongSecret => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(EVENT));
            }
            _ => {}
        }
        reply
    }
}

/// How to show a token (RFC 6750, section 3).
const CHALLENGE: &str = concat!("Bearer realm=\"", env!("CARGO_PKG_NAME"), "\"");
/// The same to who has shown one that is not known.
const WRONG: &str = concat!(
    "Bearer realm=\"",
    env!("CARGO_PKG_NAME"),
    "\", error=\"invalid_token\""
);
/// The same for an event of the webhook.
const EVENT: &str = concat!("JFrog-Event-Auth realm=\"", env!("CARGO_PKG_NAME"), "\"");

/// 200 with nothing in it.
pub(super) fn empty() -> Reply {
    with_body(StatusCode::OK, JSON, Body::empty())
}

/// 200 with a JSON document.
pub(super) fn document<T: Serialize>(value: &T) -> Reply {
    match json::compact(value) {
        Ok(text) => with_body(StatusCode::OK, JSON, text.into()),
        Err(_) => Refusal::Defect.reply(),
    }
}

/// 200 with text that is JSON already.
pub(super) fn json_text(text: impl Into<Body>) -> Reply {
    with_body(StatusCode::OK, JSON, text.into())
}

/// A body whose pieces are made while it is sent. One that cannot be made cuts the connection, so
/// that nobody takes the beginning for the whole.
pub(super) struct Pieces(pub(super) mpsc::Receiver<Result<String>>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|text| text.map(|text| Frame::data(text.into()))))
    }
}

/// 200 with a body of any type.
pub(super) fn text(content_type: &'static str, text: impl Into<Body>) -> Reply {
    let content_type = HeaderValue::from_static(content_type);
    with_body(StatusCode::OK, content_type, text.into())
}

/// 503: the ledger cannot be read. Errors hold no secret.
pub(super) fn ledger_failed(failed: &Error) -> Reply {
    error(StatusCode::SERVICE_UNAVAILABLE, &failed.one_line())
}

/// 301 to the clean form of the path.
pub(super) fn moved(path: &str, query: Option<&str>) -> Reply {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut reply = with_body(StatusCode::MOVED_PERMANENTLY, JSON, Body::empty());
    match HeaderValue::try_from(target) {
        Ok(target) => {
            reply.headers_mut().insert(LOCATION, target);
            reply
        }
        Err(_) => Refusal::NotFound.reply(),
    }
}

/// An error of any status.
pub(super) fn error(status: StatusCode, text: &str) -> Reply {
    let body = json::compact(&json!({ "error": text })).unwrap_or_default();
    let mut reply = with_body(status, JSON, body.into());
    let nosniff = HeaderValue::from_static("nosniff");
    reply.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    reply
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// Sets the headers that every answer has.
pub(super) fn sign(reply: &mut Reply, server: &HeaderValue, request_id: &str, now: SystemTime) {
    let headers = reply.headers_mut();
    headers.insert(SERVER, server.clone());
    if let Ok(date) = HeaderValue::try_from(date(now)) {
        headers.insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    // Go writes them in the order of their names.
    let mut sorted: Vec<_> = std::mem::take(headers).into_iter().collect();
    sorted.sort_by(|(a, _), (b, _)| {
        a.as_ref()
            .map(HeaderName::as_str)
            .cmp(&b.as_ref().map(HeaderName::as_str))
    });
    headers.extend(sorted);
}

/// A time as the Go program writes it: RFC 1123 with a numeric zone, which is always UTC.
fn date(now: SystemTime) -> String {
    // The last second of the year 9999; beyond it there is no such form.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + since).replace("GMT", "+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_recording() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_795_342_287), "Sun, 22 Nov 2026 10:11:27 +0000");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(at(4_102_444_800), "Fri, 01 Jan 2100 00:00:00 +0000");
        assert_eq!(at(u64::MAX / 4), "Fri, 31 Dec 9999 23:59:59 +0000");
    }
}
