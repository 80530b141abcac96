//! What an operator asks for: deploy, rollback, hold, release.

use serde_json::Value;
use simulator::{Behaviour, Fault, Gate, Payload};

use crate::support::{Ledger, Ran, Rig, app, until};

/// A cluster that runs 1.1.0 of `video`, after 1.0.0.
fn two_releases() -> Rig {
    let rig = Rig::new();
    for version in ["1.0.0", "1.1.0"] {
        rig.publish("video", version);
        assert_eq!(rig.run(&["run"]).code, Some(0));
    }
    assert_eq!(rig.posted(), ["1.0.0", "1.1.0"]);
    rig.forget();
    rig
}

#[test]
fn a_variable_changes_no_call() {
    let rig = two_releases();
    let with = |name: &str, value: &str, arguments: &[&str]| {
        let output = rig.command(arguments).env(name, value).output();
        let ran = Ran::of(&output.expect("the program starts"));
        let said = format!("{name} is set and has no effect: give --");
        assert_eq!(ran.stderr.matches(&said).count(), 1, "{ran:#?}");
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        ran
    };
    with("CAM_FORCE", "true", &["deploy", "video", "1.1.0"]);
    assert_eq!(rig.posted(), [""; 0]);
    let scan = ["scan", "--output", "json"];
    rig.publish("audio", "1.0.0");
    with("CAM_EXIT_CODE", "true", &scan);
    with("CAM_LIMIT", "many", &["history"]);
    let hold = ["hold", "video", "--output", "json"];
    for (name, value, key, expected) in [
        ("CAM_FOR", "1s", "until", Value::Null),
        ("CAM_NEWER_THAN", "9", "newerThan", Value::Null),
        ("CAM_REASON", "x", "reason", "no reason given".into()),
    ] {
        let document = with(name, value, &hold).json();
        assert_eq!(document[key], expected, "{document}");
    }
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    with("CAM_NO_HOLD", "1", &["deploy", "video", "1.0.0"]);
    let report = rig.json(&["run", "--app", "video"], 0);
    assert_eq!(app(&report, "video")["action"], "held");
    // A pass has no such option: nobody is told at every one of them.
    let output = rig.command(&["run"]).env("CAM_FORCE", "true").output();
    let ran = Ran::of(&output.expect("the program starts"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:#?}");
}

#[test]
fn whoever_makes_a_ledger_is_told_once() {
    for line in [
        &["run", "-q"][..],
        &["deploy", "video", "1.0"],
        &["hold", "video"],
        &["release", "video", "-q"],
        &["baseline", "video=1.0"],
        &["token", "add", "ci", "--output", "json"],
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0");
        for reader in [&["status"][..], &["scan"], &["history"], &["token", "list"]] {
            let ran = rig.run(reader);
            assert!(!ran.stderr.contains("created"), "{reader:?}: {ran:#?}");
        }
        assert!(rig.is_untouched());
        let place = match &rig.ledger {
            Ledger::Sqlite(file) => file.display().to_string(),
            Ledger::MariaDb(_, database) => format!("{database} on 127.0.0.1:"),
        };
        let ran = rig.run(line);
        let said = format!("note: created the ledger {place}");
        assert!(ran.stderr.starts_with(&said), "{line:?}: {ran:#?}");
        assert_eq!(ran.stderr.matches("created").count(), 1, "{ran:#?}");
        let again = rig.run(line);
        assert!(!again.stderr.contains("created"), "{line:?}: {again:#?}");
    }
}

#[test]
fn an_older_version_that_was_asked_for_stays_until_released() {
    let rig = two_releases();
    let report = rig.json(&["deploy", "video", "1.0.0"], 0);
    let video = app(&report, "video");
    assert_eq!(video["action"], "requested");
    assert_eq!(video["outcome"], "succeeded");
    assert_eq!(report["command"], "deploy");
    for _ in 0..3 {
        let report = rig.json(&["run"], 0);
        assert_eq!(app(&report, "video")["action"], "held");
    }
    assert_eq!(rig.posted(), ["1.0.0"]);
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "1.1.0"]);
}

#[test]
fn that_hold_ends_with_a_version_newer_than_the_newest_marker() {
    let rig = two_releases();
    assert_eq!(rig.run(&["deploy", "video", "1.0.0"]).code, Some(0));
    rig.publish("video", "1.0.5");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
    rig.publish("video", "1.2.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "1.2.0"]);
}

#[test]
fn without_a_hold_the_next_pass_takes_the_newest_again() {
    let rig = two_releases();
    let ran = rig.run(&["deploy", "video", "1.0.0", "--no-hold"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "1.1.0"]);
}

#[test]
fn what_is_deployed_already_is_deployed_again_by_force_only() {
    let rig = two_releases();
    let ran = rig.run(&["deploy", "video", "1.1.0"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stdout.contains("already"), "{ran:#?}");
    assert!(rig.deploy.requests().is_empty());
    rig.json(&["deploy", "video", "1.1.0"], 0);
    assert!(rig.posted().is_empty());
    let ran = rig.run(&["deploy", "video", "1.1.0", "--force"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.1.0"]);
    let ran = rig.run(&["run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
}

#[test]
fn deploy_needs_the_payload_and_not_the_marker() {
    let rig = Rig::new();
    rig.publish("other", "1.0.0");
    let ran = rig.run(&["deploy", "video", "1.0.0"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    let payload = Payload::sample("video", "1.0.0").build();
    let name = "example.com-development-video-1.0.0.tar.gz";
    rig.artifactory.put_payload("video", name, payload);
    assert_eq!(rig.run(&["deploy", "video", "1.0.0"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
    assert_eq!(rig.run(&["deploy", "video", "../1"]).code, Some(2));
}

#[test]
fn a_deploy_that_was_asked_for_and_fails_says_so() {
    let rig = two_releases();
    rig.publish("video", "1.2.0");
    rig.deploy
        .next_deploy(Behaviour::Fail("No machine.".into()));
    let ran = rig.run(&["deploy", "video", "1.2.0"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("No machine."), "{ran:#?}");
}

#[test]
fn rollback_deploys_the_version_before_and_holds_it() {
    let rig = two_releases();
    let ran = rig.run(&["rollback", "video"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0.0"]);
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "held");
    rig.publish("video", "1.2.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "1.2.0"]);
}

#[test]
fn rollback_from_a_failed_version_leads_to_the_one_before() {
    let rig = two_releases();
    rig.publish("video", "1.2.0");
    rig.deploy
        .next_deploy(Behaviour::FailPartly("no".into(), 1));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    let ran = rig.run(&["rollback", "video"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let report = rig.json(&["run", "--retry-after", "1ms"], 0);
    let video = app(&report, "video");
    assert_eq!(
        (&video["action"], &video["deployed"]),
        (&"held".into(), &"1.1.0".into())
    );
    assert_eq!(rig.run(&["rollback", "nowhere"]).code, Some(2));
}

#[test]
fn a_held_app_is_left_alone_until_released() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    let ran = rig.run(&["hold", "video", "--reason", "the demo is on"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let report = rig.json(&["run"], 0);
    let video = app(&report, "video");
    assert_eq!(video["action"], "held");
    assert!(video["reason"].as_str().unwrap().contains("the demo is on"));
    assert_eq!(report["summary"]["skipped"], 1);
    assert_eq!(rig.states(), ["audio 1.0.0 succeeded"]);
    assert!(rig.run(&["status"]).stdout.contains("the demo is on"));
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().len(), 2);
}

#[test]
fn a_hold_ends_with_its_time_or_with_a_newer_version() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    let hold_audio = |time: &str| {
        let ran = rig.run(&["hold", "audio", "--for", time]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    };
    hold_audio("1h");
    let ran = rig.run(&["hold", "video", "--newer-than", "1.0.0"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let report = rig.json(&["run"], 0);
    assert_eq!(report["summary"]["skipped"], 2);
    assert!(rig.posted().is_empty());
    assert_eq!(rig.run(&["release", "audio"]).code, Some(0));
    hold_audio("1s");
    until("its time is over", || {
        assert_eq!(rig.run(&["run"]).code, Some(0));
        rig.states() == ["audio 1.0.0 succeeded"]
    });
    rig.publish("video", "1.0.1");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    let states = ["audio 1.0.0 succeeded", "video 1.0.1 succeeded"];
    assert_eq!(rig.states(), states);
}

#[test]
fn deploy_ignores_a_hold() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["hold", "video"]).code, Some(0));
    assert_eq!(rig.run(&["deploy", "video", "1.0.0"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn a_hold_that_is_put_while_a_pass_prepares_still_counts() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("/payloads/video/", Fault::Gate(gate.clone()), None);
    let pass = rig.spawn(&["run", "--output", "json"]);
    until("the payload is asked for", || {
        let requests = rig.artifactory.requests();
        requests.iter().any(|r| r.path.contains("/payloads/video/"))
    });
    assert_eq!(rig.run(&["hold", "video"]).code, Some(0));
    gate.open();
    let pass = Ran::wait(pass);
    assert_eq!(pass.code, Some(0), "{pass:#?}");
    assert_eq!(app(&pass.json(), "video")["action"], "held");
    assert!(rig.posted().is_empty());
    assert!(rig.states().is_empty());
}

#[test]
fn a_hold_that_stands_is_never_made_weaker() {
    let rig = two_releases();
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(
        rig.run(&["hold", "video", "--reason", "audit"]).code,
        Some(0)
    );
    let ran = rig.run(&["deploy", "video", "1.0.0"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("held until released"), "{ran:#?}");
    rig.publish("video", "9.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.states().last().unwrap(), "video 1.0.0 succeeded");
    assert_eq!(rig.run(&["release", "video"]).code, Some(0));
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().last().unwrap(), "9.0.0");
}

#[test]
fn who_asked_stands_in_the_history() {
    let rig = two_releases();
    for (variable, arguments) in [
        ("GITHUB_ACTOR", &["deploy", "video", "1.1.0", "--force"][..]),
        ("SUDO_USER", &["rollback", "video"]),
        ("USER", &["baseline", "video=1.1.0"]),
    ] {
        let mut command = rig.command(arguments);
        for other in ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "SUDO_USER"] {
            command.env_remove(other);
        }
        let output = command.env(variable, "ann\u{1b}[2J").output();
        let ran = Ran::of(&output.expect("the program starts"));
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
    let attempts = rig.attempts();
    let asked = |a: &Value| (a["command"].clone(), a["askedBy"].clone());
    for (attempt, command) in attempts.iter().zip(["baseline", "rollback", "deploy"]) {
        let (made_by, asked_by) = asked(attempt);
        assert_eq!(made_by, command, "{attempt}");
        let asked_by = asked_by.as_str().unwrap();
        assert!(asked_by.starts_with("ann\\u{1b}[2J@"), "{asked_by}");
        let shown = rig.run(&["history"]).stdout;
        assert!(shown.contains(&format!("{command}, {asked_by}")), "{shown}");
    }
    for by_itself in &attempts[3..] {
        assert_eq!(asked(by_itself), ("run".into(), Value::Null));
    }
}
