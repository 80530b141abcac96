//! Deploys of which the outcome is late, lost, or never comes.

use std::thread;
use std::time::Duration;

use simulator::{Behaviour, Fault};

use crate::support::{Rig, app};

/// A pass that finds every hold over.
const HOLD: &[&str] = &["run", "--unknown-hold", "1ms"];

#[test]
fn a_deploy_longer_than_the_replies_of_its_polls_live_succeeds() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.deploy_takes(Duration::from_secs(13));
    let report = rig.json(&["run"], 0);
    let video = app(&report, "video");
    assert_eq!(video["outcome"], "succeeded");
    assert!(video["durationMs"].as_u64().unwrap() >= 13_000, "{video}");
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn a_lost_reply_to_a_deploy_that_ran_is_found_in_the_cluster() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.fault("/v1.0/deploy", Fault::LoseReply, Some(1));
    let report = rig.json(&["run"], 4);
    assert_eq!(app(&report, "video")["outcome"], "unknown");
    assert_eq!(report["summary"]["unknown"], 1);
    assert_eq!(rig.states(), ["video 1.0.0 unknown"]);
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["outcome"], "observed");
    assert_eq!(rig.states(), ["video 1.0.0 observed"]);
    assert_eq!(rig.posted(), ["1.0.0"]);
    assert_eq!(rig.run(&["run"]).stdout, "");
}

#[test]
fn the_header_stands_in_for_a_body_that_was_cut() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.fault("/v1.0/deploy", Fault::CutBody, Some(1));
    let report = rig.json(&["run"], 0);
    let video = app(&report, "video");
    assert_eq!(video["outcome"], "succeeded");
    assert_eq!(video["deployID"], rig.deploy.deploys()[0].id.as_str());
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn a_lost_request_is_sent_once_more_after_the_hold_and_never_a_third_time() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let lose = || {
        rig.deploy
            .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
    };
    lose();
    assert_eq!(rig.run(&["run"]).code, Some(4));
    // Before the hold is over: nothing is concluded, nothing is sent, of this app and of others.
    rig.publish("other", "1.0.0");
    let report = rig.json(&["run"], 4);
    assert_eq!(app(&report, "video")["action"], "resume");
    assert_eq!(report["complete"], false);
    let report = rig.json(&["run", "--app", "other"], 4);
    assert_eq!(app(&report, "video")["action"], "resume");
    assert_eq!(rig.run(&["deploy", "other", "1.0.0"]).code, Some(4));
    assert_eq!(rig.posted(), ["1.0.0"]);
    rig.artifactory.remove("deploys", "other");

    lose();
    let ran = rig.run(HOLD);
    assert_eq!(ran.code, Some(4), "{ran:#?}");
    assert_eq!(rig.posted().len(), 2);
    let states = ["video 1.0.0 abandoned", "video 1.0.0 unknown"];
    assert_eq!(rig.states(), states);

    // No trace of it for the second time: that is for an operator.
    assert_eq!(rig.run(HOLD).code, Some(4));
    assert_eq!(rig.posted().len(), 2);
    assert_eq!(rig.states(), states);
    let ran = rig.run(&["deploy", "video", "1.0.0", "--force"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted().len(), 3);
    let states = [
        "video 1.0.0 abandoned",
        "video 1.0.0 dismissed",
        "video 1.0.0 succeeded",
    ];
    assert_eq!(rig.states(), states);
}

#[test]
fn never_leaves_the_verdict_to_an_operator() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy
        .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
    for _ in 0..3 {
        assert_eq!(rig.run(&["run", "--unknown-hold", "never"]).code, Some(4));
    }
    assert_eq!(rig.posted().len(), 1);
    let ran = rig.run(&["baseline", "video=1.0.0"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let states = ["video 1.0.0 settled", "video 1.0.0 baseline"];
    assert_eq!(rig.states(), states);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().len(), 1);
}

#[test]
fn units_that_cannot_be_read_decide_nothing() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy
        .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
    assert_eq!(rig.run(&["run"]).code, Some(4));
    rig.deploy.set_units_readable(false);
    assert_eq!(rig.run(HOLD).code, Some(4));
    rig.deploy.set_units_readable(true);
    rig.deploy.stop_listening();
    // Of an unreachable server and an unknown outcome the latter is what has to be told.
    assert_eq!(rig.run(HOLD).code, Some(4));
    assert_eq!(rig.posted().len(), 1);
    assert_eq!(rig.states(), ["video 1.0.0 unknown"]);
}

/// A deploy that died, and what the pass after the hold makes of it.
fn died(behaviour: Behaviour, units_vanish: bool, code: i32, states: &[&str]) {
    let what = format!("{behaviour:?}, units vanish: {units_vanish}");
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.next_deploy(behaviour);
    let report = rig.json(&["run", "--deploy-timeout", "1s"], 4);
    assert_eq!(app(&report, "video")["outcome"], "submitted", "{what}");
    if units_vanish {
        rig.deploy.clear_units();
    }
    // Before the hold is over it may still be running.
    let early = rig.run(&["run", "--deploy-timeout", "1s"]);
    assert_eq!(early.code, Some(4), "{what}: {early:#?}");
    assert_eq!(rig.states(), ["video 1.0.0 submitted"], "{what}");

    let ran = rig.run(HOLD);
    assert_eq!(ran.code, Some(code), "{what}: {ran:#?}");
    assert_eq!(rig.states(), states, "{what}");
    assert_eq!(rig.posted().len(), states.len(), "{what}");
    let attempts = rig.json(&["history", "-v", "--limit", "1000"], 0);
    let messages = attempts.to_string();
    assert!(!messages.contains(" 0 of 0 "), "{messages}");
}

#[test]
fn a_deploy_that_died_is_judged_by_the_units_it_left() {
    type Case = (Behaviour, bool, i32, &'static [&'static str]);
    let again: &[&str] = &["video 1.0.0 abandoned", "video 1.0.0 succeeded"];
    let cases: [Case; 5] = [
        (
            Behaviour::Die { units: 2 },
            false,
            0,
            &["video 1.0.0 observed"],
        ),
        (
            Behaviour::Die { units: 1 },
            false,
            1,
            &["video 1.0.0 failed"],
        ),
        (Behaviour::Die { units: 0 }, false, 0, again),
        (Behaviour::NoRow, false, 0, &["video 1.0.0 observed"]),
        (Behaviour::NoRow, true, 0, again),
    ];
    // A quiet server takes over 10 s to prove: all at once.
    thread::scope(|scope| {
        for (behaviour, units_vanish, code, states) in cases {
            scope.spawn(move || died(behaviour, units_vanish, code, states));
        }
    });
}
