//! The access log: one line a request, at level `INFO` of the target `access`.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;

use super::listener::Peer;
use super::replies::Reply;
use super::route::{Route, method_name};
use crate::text::printable;

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
    pub(super) fn new(route: Route, request: &Request) -> Self {
        let path = (route == Route::Other).then(|| shown(request.uri().path()));
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

fn shown(path: &str) -> String {
    match path.char_indices().nth(PATH_LIMIT) {
        Some((end, _)) => printable(&path[..end]) + "…",
        None => printable(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_bounded_and_printable() {
        assert_eq!(shown("/nope"), "/nope");
        assert_eq!(shown("/\u{9b}31m"), "/\\u{9b}31m");
        let long = shown(&"é".repeat(1000));
        assert!(long.ends_with('…') && long.chars().count() == PATH_LIMIT + 1);
    }
}
