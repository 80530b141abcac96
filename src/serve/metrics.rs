//! Metrics for Prometheus.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::{Map, Value, json};

use super::api::{Route, method_name};
use super::child::RESULTS;
use super::passes::PassFigures;
use super::process::ProcessFigures;
use super::store::{LedgerState, Past};
use crate::model::report::Report;
use crate::output::metrics::{FAILING, FAILING_APP, NAMED_APPS, PENDING, PREFIX};

/// What the deploys of apps beyond the [`NAMED_APPS`] are counted under; no app can be called that.
const OTHER_APPS: &str = "(other)";
/// The upper ends of the histogram of pass durations, in seconds; a pass takes up to an hour.
const DURATIONS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PassLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeployLabels {
    app: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AppLabels {
    app: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    code: u16,
}

/// What is counted while the server runs.
pub struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    durations: Histogram,
    deploys: Family<DeployLabels, Counter>,
    apps: Mutex<BTreeSet<String>>,
    requests: Family<RequestLabels, Counter>,
    started: SystemTime,
}

/// What is looked at when metrics are asked for.
pub(super) struct Scrape<'a> {
    pub(super) passes: &'a PassFigures,
    pub(super) past: &'a Past,
    pub(super) ledger: LedgerState,
    pub(super) process: ProcessFigures,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet, which is 0 for every result. The time of this call is shown as the start
    /// of the process.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            passes: Family::default(),
            durations: Histogram::new(DURATIONS),
            deploys: Family::default(),
            apps: Mutex::default(),
            requests: Family::default(),
            started: SystemTime::now(),
        };
        for result in RESULTS {
            drop(metrics.passes.get_or_create(&PassLabels { result }));
        }
        let registry = &mut metrics.registry;
        let passes = metrics.passes.clone();
        registry.register("passes", "Finished passes by result", passes);
        registry.register_with_unit(
            "pass_duration",
            "Durations of finished passes",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        let deploys = metrics.deploys.clone();
        registry.register("deploys", "Deploys that were tried, by app", deploys);
        registry.register(
            "http_requests",
            "HTTP requests by route, method and status code",
            metrics.requests.clone(),
        );
        metrics
    }

    /// Counts a finished pass: `result` is a word of a closed set; `report` is there where the
    /// pass wrote one.
    pub fn observe_pass(&self, result: &'static str, duration: Duration, report: Option<&Report>) {
        self.passes.get_or_create(&PassLabels { result }).inc();
        self.durations.observe(duration.as_secs_f64());
        for app in report.iter().flat_map(|report| &report.apps) {
            if let Some(outcome) = app.outcome {
                let labels = DeployLabels {
                    app: self.app_label(&app.app),
                    outcome: outcome.as_str(),
                };
                self.deploys.get_or_create(&labels).inc();
            }
        }
    }

    /// Counts a request that was answered.
    pub(super) fn observe_request(&self, route: Route, method: &axum::http::Method, code: u16) {
        let labels = RequestLabels {
            route: route.template(),
            method: method_name(method),
            code,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// All metrics as `OpenMetrics` text.
    pub(super) fn render(&self, scrape: &Scrape<'_>) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &momentary(scrape))?;
        encode_registry(&mut text, &process(scrape.process, self.started))?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    fn app_label(&self, app: &str) -> String {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if apps.len() < NAMED_APPS && !apps.contains(app) {
            apps.insert(app.to_owned());
        }
        let label = if apps.contains(app) { app } else { OTHER_APPS };
        label.to_owned()
    }
}

/// What is true at this moment. What is not known has no sample.
fn momentary(scrape: &Scrape<'_>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let passes = scrape.passes;
    let mut show = |name: &str, help: &str, value: Option<i64>| {
        if let Some(value) = value {
            registry.register(name, help, gauge(value));
        }
    };
    let survey = survey(scrape);
    let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let pending = survey.map(|report| whole(report.pending()));
    show("pending_apps", PENDING, pending);
    let failed = survey.map(|report| whole(report.summary.failed));
    show("failing_apps", FAILING, failed);
    let running = i64::from(passes.running.is_some());
    show("pass_running", "Whether a pass runs", Some(running));
    let queued = i64::from(passes.queued.is_some());
    show("pass_queued", "Whether a pass waits", Some(queued));
    let held = scrape.ledger.lease_held.map(i64::from);
    let seen = "Whether a pass, of whatever host, held the lease of the scope when last seen";
    show("lease_held", seen, held);
    let readable = Some(i64::from(scrape.ledger.readable));
    show(
        "ledger_up",
        "Whether the ledger could be read when last tried",
        readable,
    );
    let names = Family::<AppLabels, Gauge>::default();
    for app in survey.iter().flat_map(|report| failing_names(report)) {
        names.get_or_create(&AppLabels { app }).set(1);
    }
    registry.register("failing_app", FAILING_APP, names);
    let success = passes.last_success_at.max(scrape.past.last_success);
    let scan = passes.last_scan_at.max(scrape.past.last_scan);
    for (name, help, at) in [
        (
            "last_success_timestamp",
            "When the last pass with exit code 0 ended, since 1970 UTC",
            success,
        ),
        (
            "last_scan_timestamp",
            "When the last pass ended that saw all apps, whatever became of them, since 1970 UTC",
            scan,
        ),
    ] {
        if let Some(at) = at {
            let at = Duration::from_millis(u64::try_from(at).unwrap_or(0));
            registry.register_with_unit(name, help, Unit::Seconds, seconds(at));
        }
    }
    registry
}

/// The later one of the reports that the server and the ledger have of passes that saw the apps.
fn survey<'a>(scrape: &Scrape<'a>) -> Option<&'a Report> {
    let both = [
        scrape.past.survey.as_ref(),
        scrape.passes.last_survey.as_deref(),
    ];
    // Times of this form sort as text.
    both.into_iter()
        .flatten()
        .max_by_key(|report| &report.finished_at)
}

/// The apps that fail; those beyond a bound are only counted.
fn failing_names(report: &Report) -> impl Iterator<Item = String> {
    let failing = report.apps.iter().filter(|app| app.is_failing());
    failing.take(NAMED_APPS).map(|app| app.app.clone())
}

/// The process, under the names that all Prometheus clients give.
fn process(figures: ProcessFigures, started: SystemTime) -> Registry {
    let mut registry = Registry::with_prefix("process");
    let cpu = Counter::<f64, AtomicU64>::default();
    cpu.inc_by(figures.cpu_seconds);
    let help = "Time on processors, user and system";
    registry.register_with_unit("cpu", help, Unit::Seconds, cpu);
    let whole = |value: u64| gauge(i64::try_from(value).unwrap_or(i64::MAX));
    let bytes = |name: &str, help: &str, value, registry: &mut Registry| {
        registry.register_with_unit(name, help, Unit::Bytes, whole(value));
    };
    let resident = figures.resident_bytes;
    bytes("resident_memory", "Memory in RAM", resident, &mut registry);
    let space = figures.virtual_bytes;
    bytes("virtual_memory", "Address space", space, &mut registry);
    let open = whole(figures.open_files);
    registry.register("open_fds", "Open file descriptors", open);
    if figures.max_open_files > 0 {
        let help = "The most file descriptors that may be open";
        registry.register("max_fds", help, whole(figures.max_open_files));
    }
    registry.register("threads", "Threads", whole(figures.threads));
    let started = seconds(started.duration_since(UNIX_EPOCH).unwrap_or_default());
    let help = "When the process started, since 1970 UTC";
    registry.register_with_unit("start_time", help, Unit::Seconds, started);
    registry
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn seconds(value: Duration) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::default();
    gauge.set(value.as_secs_f64());
    gauge
}

/// `OpenMetrics` 1.0, for who asks for it.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The text format of Prometheus, for everybody else.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counts; a route is counted when its request begins, so that the answer counts itself.
pub(super) struct Stats {
    started: SystemTime,
    routes: [RouteStats; Route::ALL.len()],
}

#[derive(Default)]
struct RouteStats {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Stats {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            routes: Default::default(),
        }
    }

    /// Counts a request.
    pub(super) fn request(&self, route: Route) {
        if let Some(stats) = self.routes.get(route as usize) {
            stats.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the bytes of a request's body.
    pub(super) fn body(&self, route: Route, bytes: u64) {
        if let Some(stats) = self.routes.get(route as usize) {
            stats.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The counts under the keys of the Go program; routes without a request are left out, and so
    /// are the bytes of routes without any, as it does. All unknown paths are the route `other`.
    pub(super) fn document(&self) -> Value {
        let mut routes = Map::new();
        let (mut all_requests, mut all_bytes) = (0, 0);
        for (route, stats) in Route::ALL.into_iter().zip(&self.routes) {
            let requests = stats.requests.load(Ordering::Relaxed);
            let bytes = stats.bytes.load(Ordering::Relaxed);
            (all_requests, all_bytes) = (all_requests + requests, all_bytes + bytes);
            let mut shown = Map::new();
            if bytes > 0 {
                shown.insert("requestBytes".into(), bytes.into());
            }
            if requests > 0 {
                shown.insert("requestCount".into(), requests.into());
                routes.insert(route.template().into(), shown.into());
            }
        }
        json!({
            "startTime": humantime::format_rfc3339_nanos(self.started).to_string(),
            "requestCount": all_requests,
            "requestBytes": all_bytes,
            "routeStats": routes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::report::{Action, AppReport, Outcome, Summary};

    use super::*;

    fn report(apps: &[(&str, Action, Option<Outcome>)]) -> Report {
        let app = |(app, action, outcome): &(&str, Action, Option<Outcome>)| AppReport {
            app: (*app).to_owned(),
            deployed: None,
            newest: None,
            action: *action,
            reason: String::new(),
            outcome: *outcome,
            attempt: None,
            deploy_id: None,
            duration_ms: None,
            error: None,
            hint: None,
            failing: false,
        };
        Report {
            pass: "p".into(),
            command: "run".into(),
            domain: "example.com".into(),
            environment: "qa".into(),
            started_at: String::new(),
            finished_at: String::new(),
            complete: true,
            apps: apps.iter().map(app).collect(),
            summary: Summary {
                failed: 1,
                ..Summary::default()
            },
            exit_code: 1,
            error: None,
            left_alone: crate::model::report::LeftAlone::default(),
        }
    }

    fn shown(metrics: &Metrics, passes: &PassFigures) -> String {
        let scrape = Scrape {
            passes,
            past: &Past::default(),
            ledger: LedgerState {
                readable: true,
                lease_held: Some(false),
            },
            process: ProcessFigures::default(),
        };
        metrics.render(&scrape).unwrap()
    }

    #[test]
    fn a_pass_is_counted() {
        let metrics = Metrics::new();
        let report = report(&[
            ("web", Action::New, Some(Outcome::Succeeded)),
            ("db", Action::Retry, Some(Outcome::Failed)),
            ("mq", Action::Waiting, None),
            ("ok", Action::UpToDate, None),
        ]);
        metrics.observe_pass("failed", Duration::from_millis(700), Some(&report));
        metrics.observe_request(Route::Other, &axum::http::Method::GET, 404);
        let figures = PassFigures {
            last_survey: Some(Arc::new(report)),
            last_success_at: Some(1_795_342_287_500),
            ..PassFigures::default()
        };
        let text = shown(&metrics, &figures);
        for line in [
            "passes_total{result=\"failed\"} 1",
            "pass_duration_seconds_bucket{le=\"1.0\"} 1",
            "deploys_total{app=\"web\",outcome=\"succeeded\"} 1",
            "deploys_total{app=\"db\",outcome=\"failed\"} 1",
            "http_requests_total{route=\"other\",method=\"GET\",code=\"404\"} 1",
            "pending_apps 1",
            "failing_apps 1",
            "lease_held 0",
            "ledger_up 1",
            "last_success_timestamp_seconds 1795342287.5",
        ] {
            let line = format!("\n{PREFIX}_{line}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(!text.contains("app=\"ok\""), "{text}");
        assert!(text.contains("\nprocess_cpu_seconds_total 0.0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn what_is_not_known_has_no_sample() {
        let text = shown(&Metrics::new(), &PassFigures::default());
        for name in ["last_success", "pending_apps", "failing_apps"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
    }

    #[test]
    fn apps_without_end_share_a_label() {
        let metrics = Metrics::new();
        for i in 0..NAMED_APPS + 5 {
            metrics.app_label(&format!("app{i}"));
        }
        assert_eq!(metrics.app_label("app0"), "app0");
        assert_eq!(metrics.app_label("another"), OTHER_APPS);
    }

    #[test]
    fn routes_without_requests_are_left_out() {
        let stats = Stats::new();
        stats.request(Route::Info);
        stats.request(Route::Info);
        stats.request(Route::Other);
        stats.body(Route::Info, 7);
        let shown = stats.document();
        assert_eq!(shown["requestCount"], 3);
        assert_eq!(shown["requestBytes"], 7);
        assert_eq!(
            shown["routeStats"],
            json!({"/v1.0/info": {"requestBytes": 7, "requestCount": 2}, "other": {"requestCount": 1}})
        );
    }
}
