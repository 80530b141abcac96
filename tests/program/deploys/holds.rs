//! Holds: never made weaker but by `release`, and none that holds nothing.

use simulator::{Fault, Gate};

use crate::support::{Ran, Rig, app, until};

/// A cluster that runs 1.1.0 of `video`, after 1.0.0.
fn two_releases() -> Rig {
    let rig = Rig::new();
    for version in ["1.0.0", "1.1.0"] {
        rig.publish("video", version);
        assert_eq!(rig.run(&["run"]).code, Some(0));
    }
    rig.forget();
    rig
}

/// Puts a hold, and gives what was said.
fn hold(rig: &Rig, options: &[&str]) -> Ran {
    let ran = rig.run(&[&["hold", "video"], options].concat());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    ran
}

/// What `status` says of the hold on `video`.
fn held(rig: &Rig) -> serde_json::Value {
    rig.json(&["status"], 0)["holds"][0].clone()
}

#[test]
fn a_freeze_holds_every_app_and_leaves_the_holds_of_single_ones() {
    let rig = Rig::new();
    for app in ["audio", "video"] {
        rig.publish(app, "1.0.0");
    }
    assert_eq!(rig.run(&["hold", "video", "--new"]).code, Some(0));
    let frozen = rig.json(&["hold", "--all", "--for", "1h", "--reason", "fair"], 0);
    assert_eq!(frozen["held"], true, "{frozen}");
    let merged = rig.json(&["hold", "--all"], 0);
    assert_eq!(
        (&merged["until"], &merged["reason"]),
        (&serde_json::Value::Null, &"fair".into())
    );
    let report = rig.json(&["run"], 0);
    for name in ["audio", "video"] {
        assert_eq!(app(&report, name)["action"], "held", "{report}");
    }
    let status = rig.run(&["status"]).stdout;
    assert!(
        status.contains("every app is held until released: fair"),
        "{status}"
    );
    assert_eq!(rig.posted(), [""; 0]);
    for line in [
        &["hold"][..],
        &["hold", "--all", "video"],
        &["hold", "--all", "--newer-than", "1"],
    ] {
        assert_eq!(rig.run(line).code, Some(2), "{line:?}");
    }
    assert_eq!(rig.json(&["release", "--all"], 0)["lifted"], true);
    assert_eq!(rig.json(&["release", "--all"], 0)["lifted"], false);
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "audio")["outcome"], "succeeded", "{report}");
    assert_eq!(app(&report, "video")["action"], "held", "{report}");
}

#[test]
fn a_hold_that_is_put_while_a_rollback_downloads_stands() {
    for (command, options) in [
        (&["rollback", "video"][..], &["--reason", "audit"][..]),
        (&["deploy", "video", "1.0.0"], &["--for", "2d"]),
        (&["deploy", "video", "1.0.0"], &["--newer-than", "3.0.0"]),
    ] {
        let rig = two_releases();
        let gate = Gate::default();
        let shut = Fault::Gate(gate.clone());
        rig.artifactory.fault("/payloads/video/", shut, None);
        let running = rig.spawn(command);
        until("the payload is asked for", || {
            let requests = rig.artifactory.requests();
            requests.iter().any(|r| r.path.contains("/payloads/video/"))
        });
        hold(&rig, options);
        gate.open();
        let ran = Ran::wait(running);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(rig.posted(), ["1.0.0"]);
        rig.artifactory.clear_faults();
        rig.publish("video", "2.0.0");
        let report = rig.json(&["run"], 0);
        assert_eq!(app(&report, "video")["action"], "held", "{options:?}");
        assert_eq!(rig.posted(), ["1.0.0"]);
        let reason = held(&rig)["reason"].to_string();
        assert!(reason.contains(command[0]), "{reason}");
        // What the command says is what stands, not what it would have put.
        let ends = match options[0] {
            "--newer-than" => "newer than 3.0.0",
            _ => "held until released",
        };
        assert!(ran.stderr.contains(ends), "{ran:#?}");
    }
}

#[test]
fn a_hold_never_replaces_a_stronger_one() {
    let rig = two_releases();
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(0));
    assert_eq!(held(&rig)["newerThan"], "1.1.0");
    let ran = hold(&rig, &["--for", "1s"]);
    assert!(ran.stdout.contains("held until released"), "{ran:#?}");
    assert!(ran.stderr.contains("newer than 1.1.0"), "{ran:#?}");
    let standing = held(&rig);
    assert!(standing["until"].is_null() && standing["newerThan"].is_null());
    for weaker in [&["--for", "1s"][..], &["--newer-than", "1.1.0"], &[]] {
        let ran = hold(&rig, weaker);
        assert!(ran.stdout.contains("held until released"), "{ran:#?}");
    }
    let document = rig.json(&["hold", "video", "--for", "1h"], 0);
    assert!(document["held"] == true && document["until"].is_null());
    rig.publish("video", "2.0.0");
    assert_eq!(app(&rig.json(&["run"], 0), "video")["action"], "held");
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "2.0.0"]);
}

#[test]
fn the_later_end_of_two_holds_stands() {
    let rig = two_releases();
    hold(&rig, &["--for", "2d"]);
    let long = held(&rig)["until"].clone();
    hold(&rig, &["--for", "1h"]);
    assert_eq!(held(&rig)["until"], long);
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    hold(&rig, &["--newer-than", "1.10"]);
    let ran = hold(&rig, &["--newer-than", "1.9"]);
    assert_eq!(held(&rig)["newerThan"], "1.10");
    assert!(ran.stdout.contains("newer than 1.10 "), "{ran:#?}");
    hold(&rig, &["--newer-than", "2.0"]);
    assert_eq!(held(&rig)["newerThan"], "2.0");
}

#[test]
fn a_hold_that_would_hold_nothing_is_refused() {
    let rig = two_releases();
    for options in [
        &["--newer-than", "1.0.9"][..],
        &["--newer-than", "0.9"],
        &["--newer-than", "abc"],
        &["--newer-than", "abc", "--order", "semver"],
        &["--newer-than", "1.0.9", "--new"],
        &["--for", "0s"],
        &["--for", "0"],
        &["--for", "1ns", "--newer-than", "9.0"],
    ] {
        let ran = rig.run(&[&["hold", "video"], options].concat());
        assert_eq!(ran.code, Some(2), "{options:?}: {ran:#?}");
        assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
        assert!(held(&rig).is_null(), "{options:?}");
    }
    // The newest marker itself, and one ahead of it, are held.
    for version in ["1.1.0", "1.1", "2.0"] {
        hold(&rig, &["--newer-than", version]);
        assert_eq!(app(&rig.json(&["run"], 0), "video")["action"], "held");
        assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    }
}

#[test]
fn without_the_markers_a_hold_is_taken_with_a_warning() {
    let rig = two_releases();
    rig.artifactory.stop_listening();
    let ran = hold(&rig, &["--newer-than", "0.9"]);
    assert!(ran.stderr.starts_with("warning: "), "{ran:#?}");
    let stored = rig.sql("SELECT newer_than FROM artifactory_holds");
    assert_eq!(stored, [[Some("0.9".to_owned())]]);
    let ran = rig.run(&["hold", "other"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("does not know other"), "{ran:#?}");
    // What needs no marker asks for none.
    let ran = hold(&rig, &["--for", "1h"]);
    assert!(!ran.stderr.contains("markers"), "{ran:#?}");
}

#[test]
fn what_status_shows_as_held_is_held() {
    let rig = two_releases();
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(0));
    let shown = |rig: &Rig| rig.run(&["status"]).stdout.contains("held until");
    assert!(shown(&rig) && !held(&rig).is_null());
    rig.publish("video", "1.2.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().last().unwrap(), "1.2.0");
    assert!(!shown(&rig) && held(&rig).is_null());
    let detail = rig.run(&["status", "-v"]).stdout;
    assert!(detail.contains("no longer held until"), "{detail}");
    // One that a pass has seen the end of is put anew.
    hold(&rig, &["--newer-than", "1.2.0"]);
    assert!(shown(&rig));
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    hold(&rig, &["--for", "1h"]);
    assert!(shown(&rig));
    rig.sql("UPDATE artifactory_holds SET until = 1");
    assert!(!shown(&rig) && held(&rig).is_null());
    rig.publish("video", "1.3.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().last().unwrap(), "1.3.0");
}
