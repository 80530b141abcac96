//! The routes, and the rules of each.

use axum::http::Method;

/// A route; what no route matches is one of them, so that unknown paths create no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Info,
    Metrics,
    Force,
    Passes,
    Pass,
    Deploys,
    Deploy,
    Prometheus,
    Other,
}

impl Route {
    /// All of them, in the order of the declaration.
    pub(super) const ALL: [Route; 10] = [
        Route::Health,
        Route::Info,
        Route::Metrics,
        Route::Force,
        Route::Passes,
        Route::Pass,
        Route::Deploys,
        Route::Deploy,
        Route::Prometheus,
        Route::Other,
    ];

    /// Its path, with the names of the variable parts; for [`Route::Other`] a word that is no
    /// path.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Route::Health => "/v1.0/health",
            Route::Info => "/v1.0/info",
            Route::Metrics => "/v1.0/metrics",
            Route::Force => "/v1.0/force",
            Route::Passes => "/v1.0/passes",
            Route::Pass => "/v1.0/passes/{id}",
            Route::Deploys => "/v1.0/deploys",
            Route::Deploy => "/v1.0/deploys/{app}",
            Route::Prometheus => "/metrics",
            Route::Other => "other",
        }
    }

    /// Whether `Accept` and `Content-Type` must say JSON.
    pub(super) const fn asks_for_json(self) -> bool {
        !matches!(self, Route::Health | Route::Prometheus | Route::Other)
    }

    /// Whether a token is asked for.
    pub(super) const fn asks_for_token(self) -> bool {
        !matches!(self, Route::Health | Route::Other)
    }

    /// Whether it has this method.
    pub(super) fn takes(self, method: &Method) -> bool {
        match self {
            Route::Other => true,
            Route::Force => method == Method::GET || method == Method::POST,
            _ => method == Method::GET,
        }
    }
}

/// The path to send the client to where `path` has empty, `.` or `..` parts, as Go's `ServeMux`
/// does; `None` where it has none.
pub(super) fn cleaned(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?;
    let mut parts = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = String::with_capacity(path.len() + 1);
    for part in &parts {
        clean.push('/');
        clean.push_str(part);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    // Browsers read a backslash as a slash, and "//" as the beginning of another host.
    (clean != path).then(|| clean.replace('\\', "%5C"))
}

/// The method, if it is one that is known; what else clients send is one word, so that labels and
/// log lines are bounded.
pub(super) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_cleaned_as_by_the_original() {
        for (path, clean) in [
            ("/v1.0//info", "/v1.0/info"),
            ("//evil.example/", "/evil.example/"),
            ("/v1.0/./info", "/v1.0/info"),
            ("/v1.0/passes/..", "/v1.0"),
            ("/../..", "/"),
            ("/./\\evil.example", "/%5Cevil.example"),
        ] {
            assert_eq!(cleaned(path).as_deref(), Some(clean), "{path}");
        }
        for path in ["/", "/v1.0/info", "/v1.0/info/", "*", "", "/a..b/.c"] {
            assert_eq!(cleaned(path), None, "{path}");
        }
    }

    #[test]
    fn the_order_of_all_is_that_of_the_declaration() {
        for (i, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, i);
        }
    }

    proptest! {
        #[test]
        fn what_is_cleaned_is_clean_and_on_this_host(path in "(/|\\.|a|\\\\){0,12}") {
            if let Some(clean) = cleaned(&path) {
                prop_assert_eq!(cleaned(&clean), None);
                prop_assert!(clean.starts_with('/') && !clean.starts_with("//"));
                prop_assert!(!clean.starts_with("/\\"));
            }
        }
    }
}
