//! The addresses of the two HTTP services, in all their spellings.
//!
//! What is wrong with one is told without a quote of it, which may hold a secret.

use reqwest::Url;

use super::check::named;
use crate::error::{Error, Result};

/// The URL of a check that is told of passes.
///
/// Errors: exit 2, without a quote of it.
pub(super) fn of_ping(url: &str) -> Result<Url> {
    http_url(&named("ping-url"), url, "the URL of the check alone")
}

/// A URL that names a server and no user; `place` is the option or variable that it is from, and
/// `instead` where the credentials belong.
fn http_url(place: &str, text: &str, instead: &str) -> Result<Url> {
    let refused = |why: &str| Err(unusable(place, why));
    let text = text.trim();
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if text.chars().any(is_odd) {
        return refused("a URL holds no white space, control characters or backslashes");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return refused("it must begin with http:// or https://");
    };
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return refused("it must begin with http:// or https://");
    }
    // The parser would take the first part of the path for a missing host, and drop an empty user.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return refused("the host is missing");
    }
    if authority.contains('@') {
        return refused(&format!(
            "it must not hold a user or a password: use {instead}"
        ));
    }
    // An unescaped slash of a password ends the host, and the token would go to what stands before.
    if rest.contains('@') {
        return refused(&format!(
            "an @ stands behind the host; if it is of a user or a password: use {instead}"
        ));
    }
    let url = Url::parse(text).or_else(|e| refused(&format!("it is not a URL ({e})")))?;
    if url.query().is_some() || url.fragment().is_some() {
        return refused("it must not have a query or a fragment");
    }
    Ok(url)
}

fn unusable(place: &str, why: &str) -> Error {
    Error::usage(format!("{place} cannot be used")).because(why)
}

/// The base of the API and the base of downloads, both without a trailing slash, of an
/// `--art-endpoint`.
///
/// With or without `/api` at its end, with any context (`artifactory`, another one, none), with
/// any number of slashes: a double slash before `api` makes Artifactory answer 500. Only one
/// `api`, and only at the end, is taken off.
pub(super) fn of_artifactory(place: &str, endpoint: &str) -> Result<(String, String)> {
    let url = http_url(place, endpoint, "--art-userid and --art-password-file")?;
    let mut segments: Vec<&str> = url.path().split('/').filter(|s| !s.is_empty()).collect();
    if is_web_page(&segments) {
        let why = "it is an address of the web interface: the endpoint looks like \
            https://HOST/artifactory";
        return Err(unusable(place, why));
    }
    if is_api_call(&segments) {
        let why = "it is an address of the API below the endpoint, which looks like \
            https://HOST/artifactory";
        return Err(unusable(place, why));
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

/// Whether the path is one of the API's own, as its documentation shows them.
fn is_api_call(segments: &[&str]) -> bool {
    const CALLS: [&str; 5] = ["storage", "search", "repositories", "system", "security"];
    let call = |pair: &[&str]| pair[0] == "api" && CALLS.contains(&pair[1]);
    segments.windows(2).any(call)
}

/// The base of coreos-deploy: no trailing slash and no trailing `/v1.0`, which every request adds.
/// A path before it stays (a reverse proxy).
pub(super) fn of_coreos_deploy(place: &str, url: &str) -> Result<String> {
    let url = http_url(place, url, "--deploy-token-file")?;
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/v1.0").unwrap_or(base);
    Ok(base.trim_end_matches('/').to_owned())
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
            let expected = (format!("{base}/api"), base.to_owned());
            assert_eq!(of_artifactory("p", given).unwrap(), expected, "{given}");
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
            "http://h/artifactory/api/storage",
            "http://h/artifactory/api/storage/repo/",
            "http://h/artifactory/api/search/aql",
            "http://h/artifactory/api/system/ping",
            "http://u:hun/ter2@h/artifactory",
            "http://h/artifactory/hunter2@x",
        ] {
            let error = of_artifactory("p", bad).unwrap_err();
            assert!(!error.one_line().contains("ter2"), "{error:?}");
        }
    }

    #[test]
    fn what_every_request_adds_is_taken_off() {
        for (given, normal) in [
            ("http://deploy:8080", "http://deploy:8080"),
            ("http://deploy:8080/", "http://deploy:8080"),
            ("HTTP://Deploy:80//", "http://deploy"),
            ("https://d/v1.0", "https://d"),
            ("https://d/v1.0//", "https://d"),
            ("https://d/a/b/v1.0/", "https://d/a/b"),
            ("https://d/av1.0", "https://d/av1.0"),
            ("http://[::1]:6660/", "http://[::1]:6660"),
            (" http://d\n", "http://d"),
        ] {
            assert_eq!(of_coreos_deploy("p", given).unwrap(), normal, "{given}");
            assert_eq!(of_coreos_deploy("p", normal).unwrap(), normal, "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for given in [
            "",
            "deploy:8080",
            "/v1.0",
            "ftp://hunter2",
            "file:///hunter2",
            "http://",
            "http:///hunter2",
            "http://u:hunter2@d",
            "http://@d/hunter2",
            "http://u:hun/ter2@d",
            "http://d?hunter2",
            "http://d/?",
            "http://d/#hunter2",
            "http://d:hunter2",
            "http://d:99999",
            "http:\\\\hunter2",
            "http://hun ter2",
        ] {
            let error = of_coreos_deploy("p", given).unwrap_err();
            assert!(!error.one_line().contains("ter2"), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "(/{1,2}[a-z]{1,5}){0,4}/{0,2}") {
            if let Ok((api, base)) = of_artifactory("p", &format!("http://h{path}")) {
                let again = of_artifactory("p", &api).unwrap();
                prop_assert_eq!(again, (api, base.clone()));
                prop_assert!(!base.ends_with('/') && !base[7..].contains("//"));
            }
        }
    }
}
