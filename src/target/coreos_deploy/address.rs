//! The address of the service, as given.

use reqwest::Url;

/// Checks and normalises `--deploy-url`: no trailing slash and no trailing `/v1.0`, which every
/// request adds. A path before it stays (a reverse proxy).
///
/// Errors: what is wrong, without the URL, which may hold a password.
pub fn normalise_url(url: &str) -> std::result::Result<String, String> {
    let given = url.trim();
    if given
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err("a URL holds no white space, control characters or backslashes".into());
    }
    let (scheme, rest) = given
        .split_once("://")
        .ok_or("not a URL: give http://HOST[:PORT] or https://HOST[:PORT]")?;
    if !["http", "https"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
    {
        return Err("the scheme must be http or https".into());
    }
    // The parser would take the first part of the path for a missing host, and drop an empty user.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("the host is missing".into());
    }
    if authority.contains('@') {
        return Err("no user or password in the URL: give --deploy-token".into());
    }
    let parsed = Url::parse(given).map_err(|e| e.to_string())?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("no query or fragment in the URL".into());
    }
    let base = parsed.as_str().trim_end_matches('/');
    Ok(base
        .strip_suffix("/v1.0")
        .unwrap_or(base)
        .trim_end_matches('/')
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(normalise_url(given).as_deref(), Ok(normal), "{given}");
            assert_eq!(normalise_url(normal).as_deref(), Ok(normal), "{given}");
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
            "http://d?hunter2",
            "http://d/?",
            "http://d/#hunter2",
            "http://d:hunter2",
            "http://d:99999",
            "http:\\\\hunter2",
            "http://hun ter2",
        ] {
            let why = normalise_url(given).unwrap_err();
            assert!(!why.contains("hunter2"), "{given}: {why}");
        }
    }
}
