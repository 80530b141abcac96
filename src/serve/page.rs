//! The status page: one file without a secret, which asks the other routes for what it shows, with a
//! token that whoever looks at it gives.

use std::sync::LazyLock;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::replies::{self, Reply};

const PAGE: &str = include_str!("page.html");
const HTML: &str = "text/html; charset=utf-8";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What the page has of headers beside those of every answer.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    // What cannot be said lets nothing run.
    let nothing = HeaderValue::from_static("default-src 'none'");
    HeaderMap::from_iter([
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::try_from(policy()).unwrap_or(nothing),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    ])
});

/// The page.
pub(super) async fn page() -> Reply {
    let mut reply = replies::text(HTML, PAGE);
    reply.headers_mut().extend(HEADERS.clone());
    reply
}

/// Lets the page's own script and style run and nothing else, lets it ask this server and nobody
/// else, and keeps it out of frames.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash_of("script"),
        hash_of("style")
    )
}

/// The hash by which a policy names what stands in the one element of this name.
fn hash_of(element: &str) -> String {
    let inside = PAGE
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map_or("", |(inside, _)| inside);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(inside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_file_that_writes_text_only() {
        for one in ["<script>", "</script>", "<style>", "</style>"] {
            assert_eq!(PAGE.matches(one).count(), 1, "{one}");
        }
        let foreign = [
            "://",
            "src=",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "style=\"",
            "onclick=",
            "localStorage",
            "cookie",
        ];
        for word in foreign {
            assert!(!PAGE.contains(word), "{word}");
        }
        // The empty one keeps browsers from asking for an icon.
        let links: Vec<&str> = PAGE.lines().filter(|line| line.contains("<link")).collect();
        assert_eq!(links, ["<link rel=\"icon\" href=\"data:,\">"]);
        assert!(PAGE.lines().count() < 400);
        assert_ne!(hash_of("script"), hash_of("style"));
        assert_ne!(hash_of("script"), hash_of("no such element"));
    }
}
