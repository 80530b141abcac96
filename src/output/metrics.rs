//! The metrics of a pass in a file, for the textfile collector of Prometheus's `node_exporter`.

use std::fmt::{self, Write as _};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::file;
use crate::model::report::Report;
use crate::model::time::seconds;

/// What the names of the program's metrics begin with.
pub const PREFIX: &str = "coreos_artifactory_monitor";
/// The most apps that are told by their names.
pub const NAMED_APPS: usize = 1000;
/// The metric that outlives a pass that fails.
const LAST_SUCCESS: &str = "last_success_timestamp";
/// More than a file of ours has, in bytes.
const LONGEST: usize = 1 << 20;

/// An app, as a label.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    app: String,
}

/// Replaces the file by what a pass came to. When a pass last succeeded is taken over from the file
/// that was there. It is readable for all: the collector runs as another user.
pub fn replace(path: &Path, report: &Report) -> io::Result<()> {
    let former = match file::read_regular(path, LONGEST) {
        Ok(content) => String::from_utf8_lossy(&content.bytes).into_owned(),
        Err(_) => String::new(),
    };
    let text = render(report, last_success(&former)).map_err(io::Error::other)?;
    let new = beside(path);
    let written = write(&new, &text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What is half written must not stay; that it can't be removed is no news.
        let _ = fs::remove_file(&new);
    }
    written
}

/// A name in the same folder that the collector does not read: that ends in `.prom`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The time of the last success that a file of ours has, in seconds since 1970 UTC.
fn last_success(text: &str) -> Option<f64> {
    let name = format!("{PREFIX}_{LAST_SUCCESS}_seconds{{");
    let line = text.lines().find(|line| line.starts_with(&name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// What a pass came to, as text. What it did not find out has no sample.
fn render(report: &Report, last_success: Option<f64>) -> Result<String, fmt::Error> {
    let labels = [
        ("domain".into(), report.domain.clone().into()),
        ("environment".into(), report.environment.clone().into()),
    ];
    let mut registry = Registry::with_prefix_and_labels(PREFIX, labels.into_iter());
    let (started, finished) = (seconds(&report.started_at), seconds(&report.finished_at));
    let success = (report.exit_code == 0).then_some(finished).or(last_success);
    for (name, help, value) in [
        (
            "last_pass_timestamp",
            "When the last pass ended, since 1970 UTC",
            Some(finished),
        ),
        (
            "last_pass_duration",
            "How long the last pass took",
            Some((finished - started).max(0.0)),
        ),
        (
            LAST_SUCCESS,
            "When the last pass with exit code 0 ended, since 1970 UTC",
            success,
        ),
    ] {
        if let Some(value) = value {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(value);
            registry.register_with_unit(name, help, Unit::Seconds, gauge);
        }
    }
    let mut show = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    show(
        "last_pass_exit_code",
        "What the last pass exited with",
        report.exit_code.into(),
    );
    if report.error.is_none() || !report.apps.is_empty() {
        let summary = &report.summary;
        show("apps", "Apps with a marker, or in the ledger", summary.apps);
        show("pending_apps", PENDING, report.pending());
        show("failing_apps", FAILING, summary.failed);
        show(
            "unknown_apps",
            "Apps with a deploy whose outcome is not known",
            summary.unknown,
        );
        let names = Family::<Named, Gauge>::default();
        let failing = report.apps.iter().filter(|app| app.is_failing());
        for app in failing.take(NAMED_APPS) {
            names
                .get_or_create(&Named {
                    app: app.app.clone(),
                })
                .set(1);
        }
        registry.register("failing_app", FAILING_APP, names);
    }
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    encode_eof(&mut text)?;
    Ok(to_text(&text))
}

/// What `pending_apps` is.
pub const PENDING: &str =
    "Apps, by the last pass that saw them, with a release that is not deployed yet";
/// What `failing_apps` is.
pub const FAILING: &str =
    "Apps, by the last pass that saw them, that failed, were refused or cannot be read";
/// What `failing_app` is.
pub const FAILING_APP: &str = "The apps, by the last pass that saw them, that failing_apps counts";

/// Rewrites `OpenMetrics` as the older text format: there a counter is described under the name of
/// its samples, which ends in `_total`, and there is neither a unit nor an end.
pub fn to_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|t| t.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            // Writing to a string can't fail.
            if let Some((_, help)) = help.take() {
                let _ = writeln!(out, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# ") {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::human::tests::example;

    #[test]
    fn counters_are_described_under_the_name_of_their_samples() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
            a_seconds_total{x=\"# \"} 1.5\n# HELP b Now.\n# TYPE b gauge\nb 2\n# EOF\n";
        assert_eq!(
            to_text(open),
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
            a_seconds_total{x=\"# \"} 1.5\n# HELP b Now.\n# TYPE b gauge\nb 2\n"
        );
    }

    fn value(text: &str, name: &str) -> Option<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{PREFIX}_{name}{{")))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    #[test]
    fn the_last_success_outlives_what_fails() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cam.prom");
        let mut report = example();
        let at = seconds(&report.finished_at);
        for (exit_code, success) in [(69, None), (0, Some(at)), (1, Some(at))] {
            report.exit_code = exit_code;
            replace(&path, &report).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let code = value(&text, "last_pass_exit_code");
            assert_eq!(code, Some(f64::from(exit_code)));
            assert_eq!(value(&text, "last_success_timestamp_seconds"), success);
            report.finished_at = "2030-01-01T00:00:00Z".to_owned();
            if exit_code == 69 {
                report.finished_at = example().finished_at;
            }
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        // What can't be replaced leaves nothing behind.
        fs::create_dir(directory.path().join("x.prom")).unwrap();
        assert!(replace(&directory.path().join("x.prom"), &report).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    /// The alerts to copy are on metrics that there are.
    #[test]
    fn alerts_are_on_what_is_written() {
        let text = render(&example(), Some(1.0)).unwrap();
        let alerts = include_str!("../../cron/alerts.yml");
        let names = alerts.split(PREFIX).skip(1).filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            Some(&rest[1..end.filter(|end| *end > 1)?])
        });
        let names: std::collections::BTreeSet<&str> = names.collect();
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            assert!(value(&text, name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_a_pass_did_not_find_out_has_no_sample() {
        let mut report = example();
        report.domain = "a\"\n\\".to_owned();
        let text = render(&report, None).unwrap();
        assert!(text.contains("domain=\"a\\\"\\n\\\\\""), "{text}");
        assert!(value(&text, "failing_apps").is_some());
        report.apps.clear();
        report.error = Some("Artifactory was not reached".to_owned());
        let text = render(&report, None).unwrap();
        assert_eq!(value(&text, "failing_apps"), None);
        assert!(value(&text, "last_pass_duration_seconds").is_some());
    }
}
