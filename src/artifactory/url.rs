//! Addresses: encoded paths, and what they tell of a server.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::http::RESERVED;

/// What is encoded in a path. A bare `;` would begin matrix parameters; `+` means itself.
const IN_PATH: &AsciiSet = &RESERVED.remove(b'+');

/// `/`-joined segments below `base`, each percent-encoded once.
///
/// Errors: exit 2 for an empty segment, `.` and `..`, which servers collapse.
pub fn join(base: &str, segments: &[&str]) -> Result<String> {
    let mut url = base.to_owned();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(Error::usage(format!(
                "'{segment}' cannot be part of a path in Artifactory"
            )));
        }
        url.push('/');
        url.extend(utf8_percent_encode(segment, IN_PATH));
    }
    Ok(url)
}

/// Whether a redirect leads to the page that stands in for a deactivated JFrog cloud server: every
/// address of such a server redirects to `https://landing.jfrog.com/reactivate-server/NAME`.
pub fn is_reactivation_page(location: &str) -> bool {
    location.contains("landing.jfrog.com") || location.contains("/reactivate-server/")
}

/// Whether an endpoint has no context path, as the address of a JFrog platform has not.
pub fn is_bare_host(base: &str) -> bool {
    base.split_once("://")
        .is_some_and(|(_, rest)| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::Url;

    #[test]
    fn trap_12_each_segment_is_encoded_once() {
        let url = join("http://h/a", &["r", "a;b#c?d%e f/g:!", "1.0+b~_-é"]).unwrap();
        assert_eq!(
            url,
            "http://h/a/r/a%3Bb%23c%3Fd%25e%20f%2Fg%3A%21/1.0+b~_-%C3%A9"
        );
        for bad in ["", ".", ".."] {
            assert!(join("http://h", &["r", bad]).is_err());
        }
    }

    #[test]
    fn only_a_host_alone_is_bare() {
        assert!(is_bare_host("https://x.jfrog.io"));
        assert!(!is_bare_host("https://x.jfrog.io/artifactory"));
    }

    proptest! {
        #[test]
        fn encoding_survives_a_url_parser_and_comes_back(segment in "\\PC{1,20}") {
            prop_assume!(!matches!(segment.as_str(), "." | ".."));
            let url = Url::parse(&join("http://h", &[&segment]).unwrap()).unwrap();
            prop_assert!(url.query().is_none() && url.fragment().is_none());
            let path = url.path().strip_prefix('/').unwrap();
            prop_assert!(!path.contains('/'));
            let decoded = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
            prop_assert_eq!(decoded, segment);
        }
    }
}
