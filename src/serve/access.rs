//! The access log: one line a request, at level `INFO` of the target `access`.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;

use super::listener::Peer;
use super::replies::Reply;
use super::route::{Route, method_name};
use crate::mask::Masker;

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
