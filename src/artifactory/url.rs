//! Addresses: the endpoint in all its spellings, encoded paths, and origins.

use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::Url;

use crate::error::{Error, Result};
use crate::http::RESERVED;

/// What is encoded in a path. A bare `;` would begin matrix parameters; `+` means itself.
const IN_PATH: &AsciiSet = &RESERVED.remove(b'+');

/// The base of the API and the base of downloads, both without a trailing slash, of an
/// `--art-endpoint`; or what is wrong with it (never with a quote of it, which may hold a secret).
///
/// With or without `/api` at its end, with any context (`artifactory`, another one, none), with
/// any number of slashes: a double slash before `api` makes Artifactory answer 500. Only one
/// `api`, and only at the end, is taken off.
pub fn bases(endpoint: &str) -> std::result::Result<(String, String), String> {
    let text = endpoint.trim();
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err("it must begin with http:// or https://".into());
    }
    let url = Url::parse(text).map_err(|e| format!("it is not a URL ({e})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "it must not hold a user or a password: use --art-userid and --art-password-file"
                .into(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not have a query or a fragment".into());
    }
    let mut segments: Vec<&str> = url.path().split('/').filter(|s| !s.is_empty()).collect();
    if is_web_page(&segments) {
        return Err(
            "it is an address of the web interface: the endpoint looks like https://HOST/artifactory"
                .into(),
        );
    }
    if segments.last() == Some(&"api") {
        segments.pop();
    }
    let mut base = url.origin().ascii_serialization();
    for segment in segments {
        base.push('/');
        base.push_str(segment);
    }
    Ok((format!("{base}/api"), base))
}

/// Whether the path is one that a browser shows: `/ui/…` since version 7, `…/webapp` before it.
fn is_web_page(segments: &[&str]) -> bool {
    const PAGES: [&str; 6] = ["native", "repos", "login", "packages", "admin", "builds"];
    let ui = |pair: &[&str]| pair[0] == "ui" && PAGES.contains(&pair[1]);
    segments.contains(&"webapp") || segments.windows(2).any(ui) || segments == ["ui"]
}

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

    #[test]
    fn trap_09_and_11_every_spelling_of_the_endpoint() {
        let table = [
            ("http://h:8081/artifactory", "http://h:8081/artifactory"),
            ("http://h:8082/artifactory/", "http://h:8082/artifactory"),
            ("http://h/artifactory/api", "http://h/artifactory"),
            ("http://h/artifactory/api/", "http://h/artifactory"),
            ("http://h//artifactory//api//", "http://h/artifactory"),
            ("https://x.jfrog.io/x/api", "https://x.jfrog.io/x"),
            ("https://x.jfrog.io", "https://x.jfrog.io"),
            ("https://artifacts.corp/api", "https://artifacts.corp"),
            ("https://api.corp/api-gw/api", "https://api.corp/api-gw"),
            (
                "https://api.corp/api/artifactory",
                "https://api.corp/api/artifactory",
            ),
            ("https://h/apis", "https://h/apis"),
            ("HTTPS://H:443/a", "https://h/a"),
            (
                "http://[::1]:8081/artifactory",
                "http://[::1]:8081/artifactory",
            ),
            (" http://h/ \n", "http://h"),
            (
                "http://h/ui-mirror/artifactory",
                "http://h/ui-mirror/artifactory",
            ),
        ];
        for (given, base) in table {
            let expected = Ok((format!("{base}/api"), base.to_owned()));
            assert_eq!(bases(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_quoting_it() {
        for bad in [
            "",
            "h:8081/artifactory",
            "ftp://h/artifactory",
            "http://",
            "http://u:hunter2@h/artifactory",
            "http://hunter2@h/artifactory",
            "http://h/artifactory?x=hunter2",
            "http://h/artifactory#hunter2",
            "https://x.jfrog.io/ui/native/repo/app",
            "https://x.jfrog.io/ui/repos/tree/General/repo",
            "http://h/artifactory/webapp/",
        ] {
            let reason = bases(bad).unwrap_err();
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

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

        #[test]
        fn normalising_twice_changes_nothing(path in "(/{1,2}[a-z]{1,5}){0,4}/{0,2}") {
            if let Ok((api, base)) = bases(&format!("http://h{path}")) {
                prop_assert_eq!(bases(&api), Ok((api.clone(), base.clone())));
                prop_assert!(!base.ends_with('/') && !base[7..].contains("//"));
            }
        }
    }
}
