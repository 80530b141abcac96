//! `settle`: the way out of an open attempt that nobody can find out about.

use simulator::{Behaviour, Fault};

use crate::support::{Rig, app};

/// A rig whose deploy of `video` 1.1.0, after 1.0.0, is open in this state.
fn open(state: &str) -> Rig {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("video", "1.1.0");
    let arguments: &[&str] = if state == "submitted" {
        rig.deploy.next_deploy(Behaviour::Die { units: 0 });
        &["run", "--deploy-timeout", "1s"]
    } else {
        rig.deploy
            .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
        &["run"]
    };
    assert_eq!(rig.run(arguments).code, Some(4));
    let expected = [
        "video 1.0.0 succeeded".to_owned(),
        format!("video 1.1.0 {state}"),
    ];
    assert_eq!(rig.states(), expected);
    rig.forget();
    rig
}

fn settle(rig: &Rig, arguments: &[&str]) {
    let ran = rig.run(&[&["settle", "video"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(
        ran.stderr.contains("warning: "),
        "says what it risks: {ran:#?}"
    );
    assert!(rig.posted().is_empty());
}

#[test]
fn said_to_be_deployed_it_counts_as_deployed() {
    for state in ["unknown", "submitted"] {
        let rig = open(state);
        settle(&rig, &["--as", "deployed", "--reason", "seen by eye"]);
        assert_eq!(rig.states().last().unwrap(), "video 1.1.0 settled");
        let ran = rig.run(&["run"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:#?}");
        assert!(rig.posted().is_empty());
        let message = rig.attempts()[0]["message"].to_string();
        assert!(message.contains("settled as deployed by "), "{message}");
        assert!(message.contains('@'), "{message}");
        assert!(message.contains("seen by eye"), "{message}");
        let row = rig.sql("SELECT version, status FROM artifactory_deploys");
        assert_eq!(row, [[Some("1.1.0".to_owned()), Some("2".to_owned())]]);
    }
}

#[test]
fn said_not_to_be_deployed_passes_leave_that_version_alone() {
    for state in ["unknown", "submitted"] {
        let rig = open(state);
        settle(&rig, &["--as", "not-deployed"]);
        assert_eq!(rig.states().last().unwrap(), "video 1.1.0 dismissed");
        let report = rig.json(&["run", "--retry-after", "1ms"], 1);
        let video = app(&report, "video");
        assert_eq!(video["action"], "given-up");
        assert_eq!(video["deployed"], "1.0.0");
        assert!(rig.posted().is_empty());
        let row = rig.sql("SELECT version, status FROM artifactory_deploys");
        assert_eq!(row, [[Some("1.1.0".to_owned()), Some("3".to_owned())]]);
        rig.publish("video", "1.1.1");
        assert_eq!(rig.run(&["run"]).code, Some(0));
        assert_eq!(rig.posted(), ["1.1.1"]);
    }
}

#[test]
fn it_may_be_tried_again_where_that_is_said_now_or_later() {
    let rig = open("submitted");
    settle(&rig, &["--as", "not-deployed", "--retry"]);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.1.0"]);

    let rig = open("unknown");
    settle(&rig, &["--as", "not-deployed"]);
    assert_eq!(rig.run(&["run"]).code, Some(1));
    settle(&rig, &["--retry"]);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.1.0"]);
    assert_eq!(rig.run(&["settle", "video", "--retry"]).code, Some(2));
}

#[test]
fn deploy_tries_it_again_too() {
    let rig = open("unknown");
    settle(&rig, &["--as", "not-deployed"]);
    assert_eq!(rig.run(&["deploy", "video", "1.1.0"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.1.0"]);
    assert_eq!(rig.run(&["run"]).code, Some(0));
}

#[test]
fn it_asks_nobody() {
    let rig = open("submitted");
    rig.deploy.stop_listening();
    rig.artifactory.stop_listening();
    settle(&rig, &["--as", "deployed"]);
    assert!(rig.deploy.requests().is_empty());
    assert!(rig.artifactory.requests().is_empty());
}

#[test]
fn what_is_not_open_cannot_be_settled() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    let states = rig.states();
    for arguments in [
        &["settle", "video", "--as", "not-deployed"][..],
        &["settle", "video", "--retry"],
        &["settle", "nowhere", "--as", "deployed"],
        &["settle", "video"],
        &["settle", "video", "--as", "maybe"],
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:#?}");
    }
    assert_eq!(rig.states(), states);
    let rig = open("unknown");
    assert_eq!(rig.run(&["settle", "video", "--retry"]).code, Some(2));
    assert_eq!(rig.states().last().unwrap(), "video 1.1.0 unknown");
}

#[test]
fn a_forced_deploy_gives_up_an_unknown_attempt_only_once_its_payload_is_there() {
    let rig = open("unknown");
    let ran = rig.run(&["deploy", "video", "1.1.9", "--force"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(rig.states().last().unwrap(), "video 1.1.0 unknown");
    let ran = rig.run(&["deploy", "video", "1.1.0", "--force"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let states = rig.states();
    assert_eq!(
        states[1..],
        ["video 1.1.0 dismissed", "video 1.1.0 succeeded"]
    );
}

#[test]
fn what_was_dismissed_is_tried_again_though_another_version_came_between() {
    let rig = open("unknown");
    settle(&rig, &["--as", "not-deployed"]);
    assert_eq!(
        rig.run(&["deploy", "video", "1.0.0", "--force", "--no-hold"])
            .code,
        Some(0)
    );
    rig.forget();
    assert_eq!(rig.run(&["run"]).code, Some(1));
    settle(&rig, &["--retry"]);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.1.0"]);
}

#[test]
fn a_deploy_without_a_trace_for_the_second_time_is_tried_again_at_once_where_that_is_said() {
    let rig = open("unknown");
    settle(&rig, &["--as", "not-deployed", "--retry"]);
    rig.deploy
        .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
    assert_eq!(rig.run(&["run"]).code, Some(4));
    rig.forget();
    settle(&rig, &["--as", "not-deployed", "--retry"]);
    assert_eq!(rig.run(&["run", "--max-attempts", "1"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.1.0"]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let rig = open("unknown");
    for arguments in [
        &["settle", "video", "--as", "deployed", "--retry"][..],
        &["settle", "video"],
    ] {
        assert_eq!(rig.run(arguments).code, Some(2));
    }
    assert_eq!(rig.states().last().unwrap(), "video 1.1.0 unknown");
}

#[test]
fn names_that_nobody_knows_come_with_the_nearest() {
    let rig = open("unknown");
    for arguments in [
        &["settle", "vidoe", "--as", "deployed"][..],
        &["rollback", "vidoe"],
        &["deploy", "vidoe", "1.0.0"],
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(if arguments[0] == "settle" { 2 } else { 4 }));
    }
    settle(&rig, &["--as", "deployed"]);
    for arguments in [&["rollback", "vidoe"][..], &["deploy", "vidoe", "1.0.0"]] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains("did you mean video?"), "{ran:#?}");
    }
}

/// A deploy by somebody else is why an operator says that ours is not deployed.
#[test]
fn what_runs_beside_is_accounted_for_by_the_word() {
    for word in [&["--as", "not-deployed"][..], &["--as", "deployed"]] {
        let rig = open("unknown");
        rig.deploy
            .add_units("example-video", "1.3.0", "bbbbbbbb", 'B', 2, true);
        settle(&rig, word);
        rig.publish("video", "1.4.0");
        let ran = rig.run(&["run"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(rig.posted(), ["1.4.0"], "{word:?}");
    }
}
