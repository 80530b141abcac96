//! What the routes show of the ledger and of the process.

use std::fmt::Write;
use std::io::{Read, Write as _};
use std::time::Duration;

use coreos_artifactory_monitor::ledger::{Attempt, Fence, Ledger, Made, PassRecord};
use coreos_artifactory_monitor::model::attempt::State;
use coreos_artifactory_monitor::model::report::{Action, AppReport, Outcome, Report, Summary};
use sha2::{Digest, Sha256};

use crate::server::{ACCEPT, AUTHORIZATION, Answer, CONTENT_TYPE, Server, request, scope};

fn attempt(app: &str) -> Attempt {
    Attempt {
        id: "44444444-4444-4444-8444-444444444444".into(),
        app: app.into(),
        version: "1.0".into(),
        service_name: app.into(),
        num_instances: 2,
        state: State::Baseline,
        deploy_id: None,
        payload_sha256: None,
        template_sha256: None,
        suffixes_before: None,
        asked_by: None,
        accounted: std::collections::BTreeSet::new(),
        counts: false,
        command: "baseline".into(),
        token: 1,
        created_at: 0,
        updated_at: 0,
        message: "seen\u{9b}".into(),
        made: Made::default(),
    }
}

fn report() -> Report {
    Report {
        pass: "33333333-3333-4333-8333-333333333333".into(),
        command: "run".into(),
        domain: "example.com".into(),
        environment: "development".into(),
        started_at: "2026-11-22T10:00:00Z".into(),
        finished_at: "2026-11-22T10:00:05Z".into(),
        complete: true,
        apps: Vec::new(),
        summary: Summary::default(),
        exit_code: 0,
        error: None,
        left_alone: coreos_artifactory_monitor::model::report::LeftAlone::default(),
    }
}

#[test]
fn deploys_are_those_of_the_ledger() {
    let server = Server::start();
    let empty = server.get("/v1.0/deploys").json();
    assert_eq!(
        (&empty["apps"], &empty["lease"]),
        (&serde_json::json!([]), &().into())
    );
    let mut ledger = server.ledger();
    ledger
        .record(&scope(), &attempt("web"), None, &Fence::default())
        .unwrap();
    let answer = server.get("/v1.0/deploys");
    assert!(!answer.text().contains('\u{9b}'), "{}", answer.text());
    let shown = answer.json();
    assert_eq!(
        (&shown["apps"][0]["app"], &shown["apps"][0]["deployed"]),
        (&"web".into(), &"1.0".into())
    );
    let history = server.get("/v1.0/deploys/web").json();
    assert_eq!(history["attempts"][0]["state"], "baseline");
    for unknown in ["web2", "%ff", "a%20b"] {
        assert_eq!(
            server.get(&format!("/v1.0/deploys/{unknown}")).status(),
            404,
            "{unknown}"
        );
    }
}

/// The chunks of a body put together; `None` where the last one is missing.
fn whole(body: &[u8]) -> Option<String> {
    let (mut text, mut rest) = (String::new(), std::str::from_utf8(body).unwrap());
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return Some(text);
        }
        text += after.get(..size)?;
        rest = after[size..].strip_prefix("\r\n")?;
    }
}

#[test]
fn many_apps_come_in_parts_that_are_the_whole() {
    let count = 1234;
    let name = |i: usize| format!("app{i:05}");
    let fill = |ledger: &mut dyn Ledger| {
        for i in 0..count {
            let mut attempt = attempt(&name(i));
            attempt.id = format!("44444444-4444-4444-8444-{i:012}");
            let made = ledger.record(&scope(), &attempt, None, &Fence::default());
            assert_eq!(made, Ok(None));
        }
    };
    let server = Server::over(fill);
    // A slow reader gets all of it too, and keeps nobody waiting.
    let mut slow = server.connect();
    let text = request(
        "GET",
        "/v1.0/deploys",
        &[ACCEPT, CONTENT_TYPE, AUTHORIZATION],
    );
    slow.write_all(text.as_bytes()).unwrap();
    let mut first = [0; 1];
    slow.read_exact(&mut first).unwrap();
    let answer = server.get("/v1.0/deploys");
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    let shown = whole(&answer.body).unwrap();
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let apps = document["apps"].as_array().unwrap();
    let names: Vec<&str> = apps
        .iter()
        .map(|app| app["app"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (0..count).map(name).collect();
    assert_eq!(names, expected);
    assert_eq!(
        (&document["open"], &document["lease"]),
        (&serde_json::json!([]), &().into())
    );
    assert!(shown.ends_with('}') && shown.starts_with("{\"apps\":[{"));
    let slow = Answer::read(&mut slow);
    assert_eq!(whole(&slow.body), Some(shown));
}

#[test]
fn a_server_that_starts_knows_what_the_ledger_tells_of_passes() {
    let pass = |id: &str, second: u32, exit_code: u8, complete: bool| {
        let app = |app: &str, action, outcome, reason: &str| AppReport {
            app: app.into(),
            deployed: None,
            newest: Some("1".into()),
            action,
            reason: reason.into(),
            outcome,
            attempt: None,
            deploy_id: None,
            duration_ms: None,
            error: None,
            hint: None,
            failing: false,
        };
        let mut report = report();
        report.pass = format!("33333333-3333-4333-8333-{id:0>12}");
        report.finished_at = format!("2026-11-22T10:00:{second:02}Z");
        (report.exit_code, report.complete) = (exit_code, complete);
        if exit_code == 1 {
            report.apps = vec![
                app("bad", Action::New, Some(Outcome::Failed), ""),
                app(
                    "late",
                    Action::Waiting,
                    None,
                    "attempt 1 of 5 failed; next try in 5m",
                ),
                app("soon", Action::Waiting, None, "no payload yet"),
                app("well", Action::UpToDate, None, ""),
            ];
            report.summary.failed = 2;
        }
        PassRecord {
            report,
            bad_payloads: std::collections::BTreeMap::default(),
            unaccounted: std::collections::BTreeMap::default(),
            forgiven: std::collections::BTreeMap::default(),
            busy: None,
        }
    };
    let server = Server::over(|ledger| {
        for record in [
            pass("1", 1, 0, true),
            pass("2", 2, 1, true),
            pass("3", 3, 1, false),
        ] {
            ledger.finish_pass(&scope(), &record).unwrap();
        }
    });
    let answer = server.ask("GET", "/metrics", &[AUTHORIZATION]);
    let prefix = "coreos_artifactory_monitor";
    let value = |name: &str| -> Option<f64> {
        let mut lines = answer.text().lines();
        lines.find_map(|line| {
            line.strip_prefix(&format!("{prefix}_{name} "))?
                .parse()
                .ok()
        })
    };
    let success = value("last_success_timestamp_seconds").unwrap();
    let scan = value("last_scan_timestamp_seconds").unwrap();
    assert!((scan - success - 1.0).abs() < 0.01, "{success} {scan}");
    assert_eq!(value("failing_apps"), Some(2.0));
    assert_eq!(value("failing_app{app=\"bad\"}"), Some(1.0));
    assert_eq!(value("failing_app{app=\"late\"}"), Some(1.0));
    for not in ["soon", "well"] {
        assert_eq!(value(&format!("failing_app{{app=\"{not}\"}}")), None);
    }
    assert_eq!(value("pending_apps"), Some(2.0));
    for result in ["success", "failed", "unavailable", "killed"] {
        assert_eq!(
            value(&format!("passes_total{{result=\"{result}\"}}")),
            Some(0.0)
        );
    }
}

#[test]
fn passes_are_those_of_the_ledger() {
    let server = Server::start();
    let report = report();
    let record = PassRecord {
        report: report.clone(),
        bad_payloads: std::collections::BTreeMap::default(),
        unaccounted: std::collections::BTreeMap::default(),
        forgiven: std::collections::BTreeMap::default(),
        busy: None,
    };
    server.ledger().finish_pass(&scope(), &record).unwrap();
    let shown = server.get("/v1.0/passes").json();
    assert_eq!(shown["running"], serde_json::Value::Null);
    assert_eq!(shown["passes"][0]["pass"], report.pass);
    assert_eq!(shown["passes"][0]["exitCode"], 0);
    let one = server.get(&format!("/v1.0/passes/{}", report.pass));
    assert_eq!(
        one.header("Content-Type"),
        Some("application/json;charset=utf-8")
    );
    assert_eq!(serde_json::from_str::<Report>(one.text()).unwrap(), report);
    let unknown = server.get("/v1.0/passes/55555555-5555-4555-8555-555555555555");
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.json()["error"], "No pass of this id is kept.");
}

#[test]
fn prometheus_reads_metrics_in_both_formats() {
    let server = Server::start();
    server.ask("GET", "/x/y/z?secret=1", &[]);
    let report = report();
    server
        .metrics
        .observe_pass("success", Duration::from_secs(3), Some(&report));
    let answer = server.ask("GET", "/metrics", &[AUTHORIZATION]);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let prefix = "coreos_artifactory_monitor";
    for line in [
        format!("# TYPE {prefix}_passes_total counter"),
        format!("{prefix}_passes_total{{result=\"success\"}} 1"),
        format!("{prefix}_http_requests_total{{route=\"other\",method=\"GET\",code=\"404\"}} 1"),
        format!("{prefix}_ledger_up 1"),
        format!("{prefix}_lease_held 0"),
        "# TYPE process_cpu_seconds_total counter".to_owned(),
        "# TYPE process_resident_memory_bytes gauge".to_owned(),
    ] {
        assert!(
            answer.text().lines().any(|l| l == line),
            "{line}\n{}",
            answer.text()
        );
    }
    assert!(!answer.text().contains("secret") && !answer.text().contains("# EOF"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open = server.ask("GET", "/metrics", &[AUTHORIZATION, accept]);
    assert!(
        open.header("Content-Type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(open.text().ends_with("# EOF\n"));
}

#[test]
fn tokens_are_found_soon_and_forgotten_soon() {
    let server = Server::start();
    let hash = Sha256::digest(b"fresh")
        .iter()
        .fold("sha256:".to_owned(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
    let status = || {
        let headers = [ACCEPT, CONTENT_TYPE, "Authorization: Bearer fresh"];
        server.ask("GET", "/v1.0/info", &headers).status()
    };
    let becomes = |wanted: u16| {
        for _ in 0..100 {
            if status() == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(150));
        }
        panic!("never {wanted}");
    };
    assert_eq!(status(), 401);
    let mut ledger = server.ledger();
    ledger.add_token("fresh", &hash).unwrap();
    becomes(200);
    let stored = ["Authorization: Bearer ", &hash].concat();
    let as_stored = server.ask("GET", "/v1.0/info", &[ACCEPT, CONTENT_TYPE, &stored]);
    assert_eq!(as_stored.status(), 401);
    let row = ledger.tokens().unwrap().pop().unwrap();
    assert!(ledger.revoke_token(row.id).unwrap());
    becomes(401);
}
