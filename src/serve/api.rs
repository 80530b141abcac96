//! The HTTP API: its routes, what each of them answers, and the rules of each.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any};
use serde::Serialize;
use serde_json::{Value, json};

use super::deploys;
use super::gate::{Endpoint, Strangers, admit};
use super::hook::hook;
use super::metrics::{self, Metrics, Scrape, Stats};
use super::page::page;
use super::passes::{ForcedState, PassFigures, Passes};
use super::process::ProcessFigures;
use super::replies::{self, Refusal, Reply};
use super::store::Store;
use super::{OptionsView, ServerConfig};
use crate::config::HookConfig;
use crate::ledger::documents;
use crate::mask::Masker;
use crate::model::report::Report;
use crate::model::time::rfc3339;
use crate::model::version::Order;
use crate::output::json as render;
use crate::output::metrics::to_text;

/// The most passes that are listed: as many as the ledger keeps.
const PASSES: u32 = 200;
/// The most attempts of an app that are listed, the newest ones.
const ATTEMPTS: u32 = 1000;

/// What the routes share.
pub(super) struct Api {
    pub(super) server: HeaderValue,
    pub(super) stats: Stats,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) masker: Masker,
    pub(super) strangers: Strangers,
    pub(super) hook: Option<HookConfig>,
    options: OptionsView,
    pub(super) order: Order,
    passes: Passes,
}

type Shared = State<Arc<Api>>;

/// The HTTP API. Every route passes the checks, the one for unknown paths too, so that headers,
/// counts and log are the same for all.
pub fn router(
    config: Arc<ServerConfig>,
    passes: Passes,
    metrics: Arc<Metrics>,
    store: Store,
) -> Router {
    let config = Arc::unwrap_or_clone(config);
    let plain = HeaderValue::from_static(env!("CARGO_PKG_NAME"));
    let api = Arc::new(Api {
        server: HeaderValue::from_str(&config.name).unwrap_or(plain),
        stats: Stats::new(),
        store,
        metrics,
        masker: config.masker,
        strangers: Strangers::default(),
        hook: config.hook,
        options: config.options,
        order: config.order,
        passes,
    });
    let gated = |route: Route, answers: MethodRouter<Arc<Api>>| -> MethodRouter<Arc<Api>> {
        let api = api.clone();
        answers.layer(from_fn_with_state(Endpoint { api, route }, admit))
    };
    let unknown = gated(Route::Other, any(unknown)).with_state(api.clone());
    let mut router = Router::new();
    for (route, answers) in [
        (Route::Page, any(page)),
        (Route::Health, any(health)),
        (Route::Info, any(info)),
        (Route::Metrics, any(metrics_document)),
        (Route::Force, any(force)),
        (Route::Passes, any(passes_list)),
        (Route::Pass, any(pass)),
        (Route::Deploys, any(all_deploys)),
        (Route::Deploy, any(deploy)),
        (Route::Prometheus, any(prometheus)),
    ] {
        router = router.route(route.template(), gated(route, answers));
    }
    if api.hook.is_some() {
        router = router.route(Route::Hook.template(), gated(Route::Hook, any(hook)));
    }
    router.fallback_service(unknown).with_state(api)
}

async fn health() -> Reply {
    replies::empty()
}

async fn unknown() -> Reply {
    Refusal::NotFound.reply()
}

async fn info(State(api): Shared) -> Reply {
    replies::document(&json_options(&api.options))
}

/// `{"options": …}`; the order of the keys is the Go program's.
fn json_options(options: &OptionsView) -> impl Serialize {
    #[derive(Serialize)]
    struct Info<'a> {
        options: &'a OptionsView,
    }
    Info { options }
}

async fn metrics_document(State(api): Shared) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        options: &'a OptionsView,
        stats: Value,
        mem_stats: ProcessFigures,
        passes: Value,
    }
    let figures = api.passes.figures();
    replies::document(&Document {
        options: &api.options,
        stats: api.stats.document(),
        mem_stats: ProcessFigures::read(),
        passes: json!({
            "running": figures.running,
            "queued": figures.queued,
            "lastSuccessAt": figures.last_success_at.map(rfc3339),
            "results": figures.results,
        }),
    })
}

async fn force(State(api): Shared) -> Reply {
    forced(&api)
}

/// Asks for a pass, and says which one it will be.
pub(super) fn forced(api: &Api) -> Reply {
    let forced = api.passes.force();
    let state = match forced.state {
        ForcedState::Started => "started",
        ForcedState::Queued => "queued",
    };
    replies::document(&json!({ "passID": forced.pass, "state": state }))
}

async fn passes_list(State(api): Shared) -> Reply {
    let figures = api.passes.figures();
    let read = api.store.read(|ledger, scope| ledger.passes(scope, PASSES));
    let rows = match read.await {
        Ok(rows) => rows,
        Err(error) => return replies::ledger_failed(&error),
    };
    let rows: Vec<Value> = rows.iter().map(documents::pass).collect();
    replies::document(&json!({
        "running": figures.running, "queued": figures.queued, "passes": rows,
    }))
}

async fn pass(State(api): Shared, id: Result<Path<String>, PathRejection>) -> Reply {
    let Ok(Path(id)) = id else {
        return Refusal::NoPass.reply();
    };
    let figures = api.passes.figures();
    if let Some(state) = state_of(&figures, &id) {
        return replies::document(&json!({ "pass": id, "state": state }));
    }
    let wanted = id.clone();
    let read = api
        .store
        .read(move |ledger, scope| ledger.pass_report(scope, &wanted));
    // A pass that did not hold the lease is not in the ledger.
    let last = figures.last_report.filter(|report| report.pass == id);
    match (read.await, last) {
        (Ok(Some(text)), _) => stored_report(text),
        (_, Some(report)) => shown_report(&report),
        (Ok(None), None) => Refusal::NoPass.reply(),
        (Err(error), None) => replies::ledger_failed(&error),
    }
}

fn state_of(figures: &PassFigures, id: &str) -> Option<&'static str> {
    if figures.running.as_deref() == Some(id) {
        Some("running")
    } else if figures.queued.as_deref() == Some(id) {
        Some("queued")
    } else {
        None
    }
}

/// A report as `run --output json` prints it; one that another version of the program wrote, and
/// that this one can't read, as it is.
fn stored_report(text: String) -> Reply {
    match serde_json::from_str::<Report>(&text) {
        Ok(report) => shown_report(&report),
        Err(_) => replies::json_text(text),
    }
}

fn shown_report(report: &Report) -> Reply {
    match render::document(report) {
        Ok(text) => replies::json_text(text),
        Err(_) => Refusal::Defect.reply(),
    }
}

async fn all_deploys(State(api): Shared) -> Reply {
    deploys::reply(api).await
}

async fn deploy(State(api): Shared, app: Result<Path<String>, PathRejection>) -> Reply {
    let Ok(Path(app)) = app else {
        return Refusal::NoApp.reply();
    };
    let read = api
        .store
        .read(move |ledger, scope| ledger.history(scope, Some(&app), ATTEMPTS));
    match read.await {
        Ok(attempts) if attempts.is_empty() => Refusal::NoApp.reply(),
        Ok(attempts) => replies::document(&documents::history(&attempts)),
        Err(error) => replies::ledger_failed(&error),
    }
}

async fn prometheus(State(api): Shared, headers: HeaderMap) -> Reply {
    let scrape = Scrape {
        passes: &api.passes.figures(),
        past: &api.store.past(),
        ledger: api.store.state(),
        process: ProcessFigures::read(),
    };
    let Ok(text) = api.metrics.render(&scrape) else {
        return Refusal::Defect.reply();
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        replies::text(metrics::OPEN_METRICS, text)
    } else {
        replies::text(metrics::TEXT, to_text(&text))
    }
}

/// A route; what no route matches is one of them, so that unknown paths create no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Page,
    Health,
    Info,
    Metrics,
    Force,
    Hook,
    Passes,
    Pass,
    Deploys,
    Deploy,
    Prometheus,
    Other,
}

impl Route {
    /// All of them, in the order of the declaration.
    pub(super) const ALL: [Route; 12] = [
        Route::Page,
        Route::Health,
        Route::Info,
        Route::Metrics,
        Route::Force,
        Route::Hook,
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
            Route::Page => "/",
            Route::Health => "/v1.0/health",
            Route::Info => "/v1.0/info",
            Route::Metrics => "/v1.0/metrics",
            Route::Force => "/v1.0/force",
            Route::Hook => "/v1.0/hook",
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
        !matches!(
            self,
            Route::Page | Route::Health | Route::Hook | Route::Prometheus | Route::Other
        )
    }

    /// Whether a token is asked for; the webhook has a secret of its own.
    pub(super) const fn asks_for_token(self) -> bool {
        !matches!(
            self,
            Route::Page | Route::Health | Route::Hook | Route::Other
        )
    }

    /// Its methods.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Route::Force => "GET, POST",
            Route::Hook => "POST",
            _ => "GET",
        }
    }

    /// Whether it has this method.
    pub(super) fn takes(self, method: &Method) -> bool {
        let mut methods = self.methods().split(", ");
        self == Route::Other || methods.any(|has| has == method.as_str())
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
