//! `forget`: an app is retired.

use serde_json::Value;
use simulator::{Behaviour, Fault, Gate, Payload};

use super::rollback::until_it_waits;
use crate::support::{Ran, Rig, app, until};

/// A cluster that runs 1.1.0 of `video`, which is no longer marked, and `web`.
fn gone() -> Rig {
    let rig = Rig::new();
    for version in ["1.0.0", "1.1.0"] {
        rig.publish("video", version);
        rig.json(&["run"], 0);
    }
    rig.publish("web", "1.0.0");
    rig.json(&["run"], 0);
    withdraw(&rig, &["1.0.0", "1.1.0"]);
    rig.forget();
    rig
}

fn withdraw(rig: &Rig, versions: &[&str]) {
    for version in versions {
        let marker = format!("video/{version}.deploy");
        rig.artifactory.remove("deploys", &marker);
    }
}

fn names(document: &Value) -> Vec<&str> {
    let apps = document["apps"].as_array().expect("apps");
    apps.iter()
        .map(|a| a["app"].as_str().expect("a name"))
        .collect()
}

#[test]
fn what_is_retired_is_no_longer_shown_and_keeps_its_history() {
    let rig = gone();
    for command in ["run", "scan"] {
        let report = rig.json(&[command], 0);
        let video = app(&report, "video");
        assert_eq!(video["action"], "gone", "{video}");
        assert_eq!(video["deployed"], "1.1.0", "{video}");
        assert_eq!(report["summary"]["skipped"], 1, "{report}");
    }
    assert_eq!(rig.json(&["forget", "video"], 0)["retired"], true);
    let report = rig.json(&["run"], 0);
    assert_eq!(
        (names(&report), &report["complete"]),
        (vec!["web"], &true.into())
    );
    assert_eq!(names(&rig.json(&["status"], 0)), ["web"]);
    assert!(!rig.run(&["status"]).stdout.contains("video"));
    assert_eq!(names(&rig.json(&["status", "video"], 0)), ["video"]);
    let states = rig.states();
    assert_eq!(states.last().unwrap(), "video 1.1.0 retired");
    assert_eq!(states.len(), 4, "{states:?}");
    let history = rig.run(&["history", "video", "-v"]);
    assert!(history.stdout.contains("retired by "), "{history:#?}");
    // Said twice, done once.
    assert_eq!(rig.json(&["forget", "video"], 0)["changed"], false);
    assert_eq!(rig.states(), states);
    assert_eq!(rig.posted(), [""; 0]);
}

#[test]
fn what_comes_back_is_new_or_ahead() {
    let rig = gone();
    rig.json(&["forget", "video"], 0);
    rig.publish("video", "1.0.0");
    assert_eq!(app(&rig.json(&["run"], 0), "video")["action"], "ahead");
    assert_eq!(rig.posted(), [""; 0]);
    rig.publish("video", "1.2.0");
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "new", "{report}");
    assert_eq!(rig.posted(), ["1.2.0"]);
    assert_eq!(names(&rig.json(&["status"], 0)), ["video", "web"]);
    let report = rig.json(&["rollback", "video"], 0);
    assert_eq!(app(&report, "video")["newest"], "1.1.0", "{report}");
}

#[test]
fn what_is_marked_open_or_unknown_is_refused() {
    let rig = gone();
    let states = rig.states();
    let unknown = rig.run(&["forget", "vidoe"]);
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(
        unknown.stderr.contains("did you mean video?"),
        "{unknown:#?}"
    );
    let marked = rig.run(&["forget", "web"]);
    assert_eq!(marked.code, Some(2), "{marked:#?}");
    assert!(marked.stderr.contains("`hold web`"), "{marked:#?}");
    assert!(marked.stderr.contains("--exclude-app"), "{marked:#?}");
    assert_eq!(rig.states(), states);

    rig.deploy.next_deploy(Behaviour::Die { units: 0 });
    let line = [
        "deploy",
        "video",
        "1.0.0",
        "--force",
        "--deploy-timeout",
        "1s",
    ];
    assert_eq!(rig.run(&line).code, Some(4));
    let open = rig.run(&["forget", "video"]);
    assert_eq!(open.code, Some(4), "{open:#?}");
    assert!(open.stderr.contains("`settle`"), "{open:#?}");
}

#[test]
fn the_only_app_can_be_retired() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.json(&["run"], 0);
    withdraw(&rig, &["1.0.0"]);
    rig.json(&["run"], 69);
    rig.json(&["forget", "video"], 0);
    rig.json(&["run"], 0);
}

#[test]
fn its_service_is_free_for_others() {
    let rig = Rig::new();
    let publish = |app: &str| {
        let payload = Payload::sample(app, "1.0.0").name("site").build();
        rig.artifactory.publish(app, "1.0.0", payload);
    };
    publish("video");
    publish("web");
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "web")["outcome"], "error", "{report}");
    withdraw(&rig, &["1.0.0"]);
    rig.json(&["forget", "video"], 0);
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "web")["outcome"], "observed", "{report}");
}

#[test]
fn it_needs_the_lease_and_what_was_changed_meanwhile_is_left_alone() {
    let rig = gone();
    let gate = Gate::default();
    rig.artifactory
        .fault("/api/", Fault::Gate(gate.clone()), Some(1));
    let first = rig.spawn(&["deploy", "video", "1.0.0", "--no-hold"]);
    until("the first one asks for the payload", || {
        !rig.artifactory.requests().is_empty()
    });
    rig.json(&["forget", "video"], 75);
    let second = rig.spawn(&["-v", "forget", "video", "--lock-wait", "2m"]);
    let second = until_it_waits(second);
    gate.open();
    assert_eq!(Ran::wait(first).code, Some(0));
    let second = second.join();
    assert_eq!(second.code, Some(5), "{second:#?}");
    let states = rig.states();
    assert_eq!(states.last().unwrap(), "video 1.0.0 succeeded");
}
