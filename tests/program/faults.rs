//! Every way in which a listing can fail: nothing is concluded from it, what could be read is
//! deployed, and the exit code is the documented one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use simulator::{AqlMode, Fault, RepoKind};

use crate::replaced;
use crate::support::{Ran, Rig, app};

const APPS: [&str; 3] = ["alpha", "beta", "gamma"];
const AQL: &str = "/api/search/aql";
const ROOT: &str = "/api/storage/deploys";

/// Three apps at 1.0, deployed, with 1.1 marked since.
fn rig() -> Rig {
    let rig = Rig::new();
    for app in APPS {
        rig.publish(app, "1.0");
    }
    rig.json(&[], 0);
    for app in APPS {
        rig.publish(app, "1.1");
    }
    rig.forget();
    rig
}

fn too_many(retry_after: &str) -> Fault {
    let header = ("Retry-After".to_owned(), retry_after.to_owned());
    Fault::StatusWith(429, vec![header], "slow down".to_owned())
}

/// What can go wrong with an answer, and the exit code where it befalls the repository.
fn faults() -> Vec<(&'static str, Fault, i32)> {
    vec![
        ("401", Fault::Status(401), 77),
        ("403", Fault::Status(403), 77),
        // Artifactory itself says that there is no such repository.
        ("404", Fault::Status(404), 2),
        ("429, Retry-After: 0", too_many("0"), 69),
        ("429, Retry-After: 1", too_many("1"), 69),
        ("500", Fault::Status(500), 69),
        ("503 as HTML", Fault::Status(503), 69),
        ("HTML with 200", Fault::Html200, 69),
        ("cut JSON", Fault::CutJson, 69),
        ("cut body", Fault::CutBody, 69),
        ("other shape", Fault::OtherShape, 69),
        ("drop", Fault::Drop, 69),
    ]
}

/// Runs every case in a thread of its own: retries make them wait.
fn each<T: Send>(cases: Vec<T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        let check = &check;
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

/// Asserts that nothing was concluded, and that the next pass without the fault does all of it.
fn nothing_concluded(what: &str, rig: &Rig, report: &Value, before: &[String]) {
    assert_eq!(report["apps"], Value::Array(vec![]), "{what}: {report:#}");
    assert_eq!(report["complete"], false, "{what}: {report:#}");
    assert!(report["error"].is_string(), "{what}: {report:#}");
    assert_eq!(rig.posted(), [""; 0], "{what}");
    assert_eq!(rig.states(), before, "{what}");
    rig.artifactory.clear_faults();
    rig.artifactory.aql(AqlMode::On);
    rig.json(&[], 0);
    assert_eq!(rig.posted(), ["1.1"; 3], "{what}");
}

#[test]
fn a_repository_that_neither_aql_nor_folders_can_list() {
    each(faults(), |(what, fault, code)| {
        let rig = rig();
        let before = rig.states();
        rig.artifactory.fault(AQL, fault.clone(), None);
        rig.artifactory.fault(ROOT, fault, None);
        let report = rig.json(&[], code);
        nothing_concluded(what, &rig, &report, &before);
    });
}

#[test]
fn a_repository_whose_root_folder_cannot_be_read() {
    each(faults(), |(what, fault, code)| {
        let rig = rig();
        let before = rig.states();
        rig.artifactory.fault(ROOT, fault, None);
        let report = rig.json(&["--listing", "folders"], code);
        nothing_concluded(what, &rig, &report, &before);
    });
}

#[test]
fn an_app_whose_folder_cannot_be_read_is_skipped_and_the_others_are_deployed() {
    let but_401 = faults().into_iter().filter(|(what, ..)| *what != "401");
    each(but_401.collect(), |(what, fault, _)| {
        let rig = rig();
        let folder = format!("{ROOT}/beta");
        rig.artifactory.fault(&folder, fault, None);
        let report = rig.json(&["--listing", "folders"], 1);
        for name in ["alpha", "gamma"] {
            assert_eq!(app(&report, name)["outcome"], "succeeded", "{what}");
        }
        let beta = app(&report, "beta");
        assert_eq!(beta["action"], "unreadable", "{what}: {beta}");
        assert_eq!(beta["outcome"], Value::Null, "{what}: {beta}");
        assert_eq!(report["complete"], false, "{what}");
        assert_eq!(report["summary"]["failed"], 1, "{what}");
        let states = rig.states();
        let of_beta: Vec<&String> = states.iter().filter(|s| s.starts_with("beta")).collect();
        assert_eq!(of_beta, ["beta 1.0 succeeded"], "{what}");
        assert_eq!(rig.posted(), ["1.1"; 2], "{what}");

        rig.artifactory.clear_faults();
        rig.json(&["--listing", "folders"], 0);
        assert_eq!(rig.posted(), ["1.1"; 3], "{what}");
    });
}

#[test]
fn the_first_401_ends_the_pass_even_on_one_app() {
    let rig = rig();
    let before = rig.states();
    rig.artifactory
        .fault(&format!("{ROOT}/beta"), Fault::Status(401), None);
    let report = rig.json(&["--listing", "folders", "--jobs", "1"], 77);
    nothing_concluded("401 on one app", &rig, &report, &before);
}

#[test]
fn neither_401_nor_403_is_tried_again() {
    for status in [401, 403] {
        let rig = rig();
        rig.artifactory.fault(ROOT, Fault::Status(status), None);
        rig.json(&["--listing", "folders"], 77);
        assert_eq!(rig.artifactory.requests().len(), 1, "{status}");
    }
}

#[test]
fn folders_stand_in_where_only_aql_fails() {
    let but_401 = faults().into_iter().filter(|(what, ..)| *what != "401");
    each(but_401.collect(), |(what, fault, _)| {
        let rig = rig();
        rig.artifactory.fault(AQL, fault, None);
        let report = rig.json(&[], 0);
        assert_eq!(report["summary"]["deployed"], 3, "{what}: {report:#}");
        assert_eq!(rig.posted(), ["1.1"; 3], "{what}");
    });
    let modes = [
        AqlMode::Refused(400),
        AqlMode::Trimmed,
        AqlMode::Cut,
        AqlMode::Virtual(vec!["deploys-local".to_owned()]),
    ];
    each(modes.to_vec(), |mode| {
        let rig = rig();
        rig.artifactory.aql(mode.clone());
        let report = rig.json(&[], 0);
        assert_eq!(report["summary"]["deployed"], 3, "{mode:?}: {report:#}");
    });
}

#[test]
fn aql_that_is_trimmed_proves_nothing() {
    for mode in [AqlMode::Trimmed, AqlMode::Cut] {
        for arguments in [&["--listing", "aql"][..], &[]] {
            let rig = rig();
            let before = rig.states();
            rig.artifactory.aql(mode.clone());
            rig.artifactory.fault(ROOT, Fault::Status(500), None);
            let report = rig.json(arguments, 69);
            nothing_concluded(&format!("{mode:?}"), &rig, &report, &before);
        }
    }
}

/// An answer to the AQL query that only the newest markers are missing of, or that may be.
fn contradictory() -> Vec<(&'static str, String)> {
    let row = |app: &str, version: &str| {
        format!(r#"{{"repo":"deploys","path":"{app}","name":"{version}.deploy"}}"#)
    };
    let old: Vec<String> = APPS.iter().map(|app| row(app, "1.0")).collect();
    let (old, one) = (old.join(","), row("alpha", "1.0"));
    let range = |start: u64, end: u64, total: u64| {
        format!(r#""range":{{"start_pos":{start},"end_pos":{end},"total":{total}}}"#)
    };
    let good = range(0, 3, 3);
    let errors = r#""errors":[{"status":500,"message":"no"}]"#;
    vec![
        (
            "total larger",
            format!(r#"{{"results":[{old}],{}}}"#, range(0, 3, 6)),
        ),
        (
            "all larger",
            format!(r#"{{"results":[{old}],{}}}"#, range(0, 6, 6)),
        ),
        (
            "total 2, one row",
            format!(r#"{{"results":[{one}],{}}}"#, range(0, 2, 2)),
        ),
        (
            "total smaller",
            format!(r#"{{"results":[{old}],{}}}"#, range(0, 3, 2)),
        ),
        ("no total", format!(r#"{{"results":[{old}],"range":{{}}}}"#)),
        (
            "end_pos wrong",
            format!(r#"{{"results":[{old}],{}}}"#, range(0, 2, 3)),
        ),
        (
            "start_pos not 0",
            format!(r#"{{"results":[{old}],{}}}"#, range(3, 3, 3)),
        ),
        (
            "results twice",
            format!(r#"{{"results":[],"results":[{old}],{good}}}"#),
        ),
        (
            "range twice",
            format!(r#"{{"results":[{old}],{},{good}}}"#, range(0, 6, 6)),
        ),
        (
            "errors",
            format!(r#"{{"results":[{old}],{good},{errors}}}"#),
        ),
        ("no range", format!(r#"{{"results":[{old}]}}"#)),
        ("range first", format!(r#"{{{good},"results":[{old}]}}"#)),
        (
            "rows twice",
            format!(r#"{{"results":[{one},{one},{one}],{good}}}"#),
        ),
        (
            "more after it",
            format!(r#"{{"results":[{old}],{good}}}{{}}"#),
        ),
        ("nothing of 3", format!(r#"{{"results":[],{good}}}"#)),
    ]
}

#[test]
fn aql_that_contradicts_itself_proves_nothing() {
    each(contradictory(), |(what, body)| {
        let rig = rig();
        let before = rig.states();
        let header = ("Content-Type".to_owned(), "application/json".to_owned());
        let answer = Fault::StatusWith(200, vec![header], body);
        rig.artifactory.fault(AQL, answer.clone(), None);
        let report = rig.json(&["--listing", "aql"], 69);
        let error = report["error"].as_str().unwrap_or_default();
        assert!(
            error.contains("AQL query of repository deploys: "),
            "{what}: {error}"
        );
        nothing_concluded(what, &rig, &report, &before);

        let rig = self::rig();
        rig.artifactory.fault(AQL, answer, None);
        let ran = rig.run(&["-v"]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
        let note = "note: read folder by folder: AQL query of repository deploys: ";
        assert!(ran.stderr.contains(note), "{what}: {ran:#?}");
        assert_eq!(rig.posted(), ["1.1"; 3], "{what}");
    });
}

#[test]
fn a_mistyped_repository_is_a_configuration_error() {
    let rig = rig();
    let before = rig.states();
    for listing in ["auto", "aql", "folders"] {
        for name in ["deploy", "Deploys", "deploys-dev"] {
            let ran = replaced::run(&rig, "art-deploy-repo", name, &["--listing", listing]);
            assert_eq!(ran.code, Some(2), "{listing}: {ran:#?}");
            assert!(
                ran.stderr.contains(&format!("no repository {name}")),
                "{ran:#?}"
            );
            assert!(ran.stderr.contains("--art-deploy-repo"), "{ran:#?}");
            assert_eq!(ran.stdout, "", "{listing}");
        }
    }
    assert_eq!(rig.states(), before);
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn a_mistyped_payload_repository_is_a_configuration_error() {
    let rig = rig();
    let before = rig.states();
    for app in APPS {
        rig.artifactory.remove("payloads", app);
    }
    let ran = replaced::run(&rig, "art-payload-repo", "payload", &[]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("no repository payload "), "{ran:#?}");
    assert_eq!(rig.states(), before);
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn virtual_and_remote_repositories_are_read_by_folders() {
    for kind in [RepoKind::Virtual, RepoKind::Remote] {
        let rig = rig();
        rig.artifactory.repo_kind("deploys", kind);
        let report = rig.json(&[], 0);
        assert_eq!(report["summary"]["deployed"], 3, "{kind:?}: {report:#}");
    }
}

#[test]
fn a_fault_that_passes_is_outlived() {
    let passing = [
        ("500", Fault::Status(500), 3),
        ("429", too_many("1"), 2),
        ("drop", Fault::Drop, 2),
        ("cut JSON", Fault::CutJson, 1),
        ("cut body", Fault::CutBody, 2),
    ];
    each(passing.to_vec(), |(what, fault, times)| {
        for part in [AQL, &format!("{ROOT}/beta")] {
            let rig = rig();
            rig.artifactory.fault(part, fault.clone(), Some(times));
            let listing = if part == AQL { "aql" } else { "folders" };
            let report = rig.json(&["--listing", listing], 0);
            assert_eq!(report["summary"]["deployed"], 3, "{what} on {part}");
        }
    });
}

#[test]
fn an_answer_that_drips_is_waited_for() {
    each(vec![AQL, ROOT, "/api/storage/deploys/video"], |part| {
        let rig = Rig::new();
        rig.publish("video", "1.0");
        rig.artifactory.fault(part, Fault::Drip, Some(1));
        let listing = if part == AQL { "aql" } else { "folders" };
        let report = rig.json(&["--listing", listing], 0);
        assert_eq!(app(&report, "video")["outcome"], "succeeded", "{part}");
    });
}

#[test]
fn a_listing_without_any_marker_is_an_error_while_apps_are_deployed() {
    for listing in ["auto", "folders"] {
        let rig = rig();
        let before = rig.states();
        for app in APPS {
            rig.artifactory.remove("deploys", app);
        }
        let report = rig.json(&["--listing", listing], 69);
        assert_eq!(report["apps"], Value::Array(vec![]));
        assert_eq!(rig.states(), before);
        assert_eq!(rig.posted(), [""; 0]);
        let human = rig.run(&["--listing", listing]);
        assert!(human.stderr.contains("no marker at all"), "{human:#?}");
    }
}

#[test]
fn an_app_that_is_missing_is_reported_and_nothing_else() {
    let rig = rig();
    rig.json(&[], 0);
    rig.artifactory.remove("deploys", "beta");
    rig.forget();
    let before = rig.states();
    let ran = rig.run(&["scan", "-v"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(
        [&ran.stdout, &ran.stderr]
            .iter()
            .any(|s| s.contains("beta"))
    );
    rig.run(&[]);
    assert_eq!(rig.states(), before);
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn a_newest_marker_that_is_deleted_is_no_downgrade() {
    for listing in ["auto", "folders"] {
        let rig = rig();
        rig.json(&[], 0);
        rig.artifactory.remove("deploys", "beta/1.1.deploy");
        rig.forget();
        let report = rig.json(&["--listing", listing], 0);
        let beta = app(&report, "beta");
        assert_eq!(beta["action"], "ahead", "{beta}");
        assert_eq!(beta["newest"], "1.0");
        assert_eq!(beta["deployed"], "1.1");
        assert_eq!(rig.posted(), [""; 0]);
    }
}

#[test]
fn a_payload_that_cannot_be_had_is_no_failed_attempt() {
    each(faults(), |(what, fault, _)| {
        let rig = rig();
        rig.artifactory
            .fault("/payloads/beta/", fault.clone(), None);
        let ran = rig.run(&["--output", "json"]);
        let expected = match what {
            "401" => 77,
            "404" => 0,
            "403" => 1,
            _ => 69,
        };
        assert_eq!(ran.code, Some(expected), "{what}: {ran:#?}");
        assert!(!rig.posted().is_empty() || what == "401", "{what}");
        let states = rig.states();
        assert!(!states.iter().any(|s| s.starts_with("beta 1.1")), "{what}");
        rig.artifactory.clear_faults();
        rig.json(&[], 0);
        assert_eq!(rig.posted(), ["1.1"; 3], "{what}");
    });
}

/// Who looks at the metrics learns of a failure, and when all was well last.
#[test]
fn the_metrics_of_a_pass_that_failed_are_kept_too() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let file = rig.path().join("cam.prom");
    let path = file.to_str().unwrap();
    let value = |name: &str| -> Option<f64> {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = format!("coreos_artifactory_monitor_{name}{{");
        let line = text.lines().find(|line| line.starts_with(&name))?;
        line.rsplit_once(' ')?.1.parse().ok()
    };
    assert_eq!(rig.run(&["run", "--metrics-file", path]).code, Some(0));
    assert_eq!(value("last_pass_exit_code"), Some(0.0));
    assert_eq!(value("pending_apps"), Some(0.0));
    let success = value("last_success_timestamp_seconds").unwrap();
    let nowhere = ["--art-endpoint", "http://127.0.0.1:1/artifactory/api"];
    let run = ["run", "--metrics-file", path];
    assert_eq!(rig.run(&[&run[..], &nowhere].concat()).code, Some(69));
    assert_eq!(value("last_pass_exit_code"), Some(69.0));
    assert_eq!(value("last_success_timestamp_seconds"), Some(success));
    assert_eq!(value("pending_apps"), None);
    // Where it can't be written, the pass is what it is.
    let ran = rig.run(&["run", "--metrics-file", "/nowhere/cam.prom"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("/nowhere/cam.prom"), "{ran:#?}");
    // One that wants nothing of a pass leaves it alone.
    rig.run(&["status", "--metrics-file", path]);
    assert_eq!(value("last_pass_exit_code"), Some(69.0));
}

/// What a check was told, and how it answers.
fn check(status: u16) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a check answers");
    let url = format!(
        "http://{}/ping/abcdefgh",
        listener.local_addr().expect("a check answers")
    );
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a check answers");
            let mut line = String::new();
            BufReader::new(&stream)
                .read_line(&mut line)
                .expect("a check answers");
            lines.lock().expect("a check answers").push(line);
            let answer =
                format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream
                .write_all(answer.as_bytes())
                .expect("a check answers");
        }
    });
    (url, told)
}

#[test]
fn a_check_is_told_when_a_pass_begins_and_how_it_ends() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let (url, told) = check(200);
    let run = ["run", "--ping-url", &url];
    assert_eq!(rig.run(&run).code, Some(0));
    let nowhere = ["--art-endpoint", "http://127.0.0.1:1/artifactory/api"];
    assert_eq!(rig.run(&[&run[..], &nowhere].concat()).code, Some(69));
    rig.run(&["status", "--ping-url", &url]);
    let told = told.lock().unwrap().clone();
    let parts: Vec<(&str, &str)> = told
        .iter()
        .map(|line| line.split_once("?rid=").unwrap())
        .collect();
    let paths: Vec<&str> = parts.iter().map(|(path, _)| *path).collect();
    let path = |end: &str| format!("GET /ping/abcdefgh/{end}");
    assert_eq!(paths, [path("start"), path("0"), path("start"), path("69")]);
    assert!(
        parts[0].1 == parts[1].1 && parts[1].1 != parts[2].1,
        "{told:?}"
    );
}

#[test]
fn a_check_that_takes_nothing_changes_no_pass_and_its_url_is_not_told() {
    let rig = Rig::new();
    let (refuses, _told) = check(404);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/ping/abcdefgh", silent.local_addr().unwrap());
    for (url, why) in [
        (refuses.as_str(), "404"),
        (&silent, "ping-url"),
        ("http://127.0.0.1:1/ping/abcdefgh", "no connection"),
    ] {
        let ran = rig.run(&["run", "--ping-url", url]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(ran.stderr.contains(why), "{ran:#?}");
        assert!(!ran.stderr.contains("abcdefgh"), "{ran:#?}");
    }
    for bad in ["ftp://x/abcdefgh", "http://user:abcdefgh@host/", "x"] {
        let ran = rig.run(&["run", "--ping-url", bad]);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains("--ping-url"), "{ran:#?}");
        assert!(!ran.stderr.contains("abcdefgh"), "{ran:#?}");
    }
}

/// Over plain http nobody's certificate is looked at.
#[test]
fn a_machine_without_certificates_does_for_plain_http() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let mut command = rig.std_command(&["run"]);
    command
        .env("SSL_CERT_FILE", "/nowhere")
        .env("SSL_CERT_DIR", "/nowhere");
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}
