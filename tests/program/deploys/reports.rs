//! Commands that only look, and the shape of what is printed.

use serde_json::Value;
use simulator::Behaviour;

use crate::support::{Rig, app};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}

#[test]
fn dry_run_shows_what_would_be_sent_without_the_values_and_changes_nothing() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    for arguments in [
        &["dry-run"][..],
        &["dry-run", "-v"],
        &["dry-run", "--output", "json"],
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(ran.stdout.contains("example-video"), "{ran:#?}");
        assert!(ran.stdout.contains("/path/to/your/needed/key1"), "{ran:#?}");
        assert!(!ran.stdout.contains("something11"), "{ran:#?}");
    }
    let ran = rig.run(&["dry-run", "--show-values"]);
    assert!(ran.stdout.contains("something11"), "{ran:#?}");
    assert_eq!(rig.run(&["dry-run", "--exit-code"]).code, Some(3));
    assert!(rig.deploy.requests().is_empty());
    assert!(rig.is_untouched());

    assert_eq!(rig.run(&["run"]).code, Some(0));
    let ran = rig.run(&["dry-run", "--exit-code"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:#?}");
}

#[test]
fn dry_run_tells_of_a_payload_that_cannot_be_sent() {
    let rig = Rig::new();
    rig.artifactory
        .publish("video", "1.0.0", b"no archive".to_vec());
    let ran = rig.run(&["dry-run"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stdout.contains("video 1.0.0"), "{ran:#?}");
}

#[test]
fn scan_shows_the_plan_and_changes_nothing() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.publish("video", "1.0.1");
    let ran = rig.run(&["scan"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stdout.contains("video") && ran.stdout.contains("1.0.1"));
    assert_eq!(rig.run(&["scan", "--exit-code"]).code, Some(3));
    let report = rig.json(&["scan"], 0);
    assert_eq!(report["command"], "scan");
    assert_eq!(app(&report, "video")["action"], "new");
    assert_eq!(rig.downloads(), 0);
    assert!(rig.deploy.requests().is_empty());
    assert!(rig.is_untouched());

    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.run(&["scan", "--exit-code"]).code, Some(0));
    let ran = rig.run(&["scan", "--app", "video", "-v"]);
    assert!(ran.stdout.contains("1.0.0"), "{ran:#?}");
}

#[test]
fn names_that_are_no_apps_or_versions_are_left_alone_and_shown() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.artifactory.put_marker("video", "9 9");
    rig.artifactory.put_marker("-odd", "1.0.0");
    rig.artifactory.put_marker("only", "1.0~rc1");
    let put = |path| rig.artifactory.put_file("deploys", path, Vec::new());
    put("video/3.0.DEPLOY");
    put("video/old/0.9.deploy");
    put("2.0.deploy");
    let names = [
        ("video/9 9.deploy", "not a name that a version may have"),
        ("only/1.0~rc1.deploy", "not a name that a version may have"),
        ("-odd", "not a name that an app may have"),
        ("video/3.0.DEPLOY", "no marker"),
        ("video/old", "folder of an app"),
        ("2.0.deploy", "not in the folder of an app"),
    ];
    for listing in ["aql", "folders"] {
        for command in [&["scan"][..], &["run", "-v"], &["dry-run", "-v"]] {
            let ran = rig.run(&[command, &["--listing", listing]].concat());
            assert_eq!(ran.code, Some(0), "{ran:#?}");
            let text = [ran.stdout, ran.stderr].concat();
            for (name, why) in names {
                let is_told = |line: &str| line.contains(name) && line.contains(why);
                assert!(text.lines().any(is_told), "{name} by {listing}: {text}");
            }
            let report = rig.json(&[&command[..1], &["--listing", listing]].concat(), 0);
            assert_eq!(report["leftAlone"]["count"], names.len(), "{report:#}");
            assert_eq!(
                report["leftAlone"]["shown"].as_array().map(Vec::len),
                Some(names.len())
            );
        }
    }
    let report = rig.json(&["scan"], 0);
    assert_eq!(report["ignoredCount"], names.len(), "{report:#}");
    let ignored = report["ignored"].to_string();
    assert!(
        ignored.contains("9 9") && ignored.contains("-odd"),
        "{report:#}"
    );
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn markers_of_a_known_app_that_the_order_refuses_are_no_markers_gone() {
    let rig = Rig::new();
    rig.publish("video", "v1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    for command in ["run", "scan"] {
        let ran = rig.run(&[command, "--order", "semver"]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        let is_told = |word| ran.stdout.contains(word);
        assert!(
            is_told("unreadable") && is_told("v1.0.0 is not SemVer"),
            "{ran:#?}"
        );
    }
}

#[test]
fn what_the_order_cannot_know_is_told_by_scan() {
    let rig = Rig::new();
    for (app, version, age) in [
        ("renamed", "1.0.0", 300),
        ("renamed", "release-2.0.0", 200),
        ("dated", "2024-12-31", 100),
        ("dated", "2024.11.01", 200),
        ("worded", "1.0.0-quux", 100),
        ("usual", "1.0.0", 200),
        ("usual", "1.1.0", 100),
    ] {
        rig.publish(app, version);
        let age = std::time::Duration::from_secs(age);
        rig.artifactory.set_marker_age(app, version, age);
    }
    let renamed = "renamed: release-2.0.0 was marked after 1.0.0 and sorts lower";
    let dated = "dated: 2024-12-31 was marked after 2024.11.01 and sorts lower";
    let word = "worded: the order does not know the word quux in 1.0.0-quux";
    let ran = rig.run(&["scan"]);
    for told in [renamed, dated, word] {
        assert!(ran.stdout.contains(told), "{told}: {ran:#?}");
    }
    assert!(!ran.stdout.contains("usual: "), "{ran:#?}");
    let notes = rig.json(&["scan"], 0)["notes"].clone();
    assert_eq!(notes.as_array().map(Vec::len), Some(3), "{notes:#}");
    assert_eq!(notes[0]["app"], "dated");
}

#[test]
fn the_report_has_the_documented_keys() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let report = rig.json(&["run"], 0);
    let top = [
        "pass",
        "command",
        "domain",
        "environment",
        "startedAt",
        "finishedAt",
        "complete",
        "apps",
        "summary",
        "exitCode",
        "error",
    ];
    assert_eq!(keys(&report), sorted(top));
    let of_an_app = [
        "app",
        "deployed",
        "newest",
        "action",
        "reason",
        "outcome",
        "attempt",
        "deployID",
        "durationMs",
        "error",
        "hint",
    ];
    let video = app(&report, "video");
    assert_eq!(keys(video), sorted(of_an_app));
    let counts = [
        "apps", "upToDate", "due", "deployed", "failed", "skipped", "unknown",
    ];
    assert_eq!(keys(&report["summary"]), sorted(counts));
    assert_eq!(report["command"], "run");
    assert_eq!(report["domain"], "example.com");
    assert_eq!(report["environment"], "development");
    assert_eq!(report["complete"], true);
    assert_eq!(report["exitCode"], 0);
    assert_eq!(report["error"], Value::Null);
    assert_eq!(video["deployed"], Value::Null);
    assert_eq!(video["newest"], "1.0.0");
    assert_eq!(video["action"], "new");
    assert_eq!(video["deployID"], rig.deploy.deploys()[0].id.as_str());
    assert_eq!(video["attempt"], rig.attempts()[0]["attempt"]);

    // JSON is printed where a person is told nothing, and where a pass could not begin its work.
    let report = rig.json(&["run"], 0);
    assert_eq!(report["summary"]["upToDate"], 1);
    rig.artifactory.stop_listening();
    let report = rig.json(&["run"], 69);
    assert_eq!(report["complete"], false);
    assert_eq!(report["exitCode"], 69);
    assert!(report["error"].is_string());
}

#[test]
fn status_and_history_tell_what_the_ledger_holds() {
    let rig = Rig::new();
    for arguments in [["status"], ["history"]] {
        let ran = rig.run(&arguments);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
    assert!(rig.is_untouched());
    rig.publish("audio", "2.0.0");
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("video", "1.0.1");
    rig.deploy
        .next_deploy(Behaviour::Fail("No machine.".into()));
    assert_eq!(rig.run(&["run"]).code, Some(1));

    let status = rig.run(&["status"]).stdout;
    for word in ["audio", "2.0.0", "video", "1.0.0", "1.0.1", "failed"] {
        assert!(status.contains(word), "{word} in {status}");
    }
    let one = rig.run(&["status", "audio"]).stdout;
    assert!(one.contains("audio") && !one.contains("video"), "{one}");
    let status = rig.json(&["status"], 0);
    assert_eq!(app(&status, "video")["deployed"], "1.0.0");
    assert_eq!(status["open"], Value::Array(Vec::new()));

    let history = rig.run(&["history", "video"]).stdout;
    let places = (history.find("1.0.1"), history.find("1.0.0"));
    assert!(places.0.is_some() && places.0 < places.1, "{history}");
    assert!(history.contains("No machine."), "{history}");
    assert!(!history.contains("audio"), "{history}");
    let moves = rig.run(&["history", "-v"]).stdout;
    for state in ["submitting", "submitted", "succeeded", "failed"] {
        assert!(moves.contains(state), "{state} in {moves}");
    }
    let attempts = rig.attempts();
    assert_eq!(attempts.len(), 3);
    assert_eq!(
        attempts[0]["message"],
        "No machine. (log: stub: start failed)"
    );
    assert_eq!(
        rig.json(&["history", "--limit", "1"], 0)["attempts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn quiet_prints_errors_only() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    // That a ledger was made is said all the same, so one is there already.
    rig.run(&["migrate"]);
    let ran = rig.run(&["run", "-q"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    rig.artifactory.stop_listening();
    let ran = rig.run(&["run", "-q"]);
    assert_eq!(ran.code, Some(69));
    assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
}
