//! Apps that passes leave alone.

use simulator::{Behaviour, Fault, Gate};

use super::{ends, is_clean, lose_request, said, stays_held, upgrade_is_due};
use crate::deploys::rollback::until_it_waits;
use crate::support::{Ran, Rig, app, until};

fn fail_next(rig: &Rig) {
    let fails = Behaviour::Fail("No machine.".to_owned());
    rig.deploy.next_deploy(fails);
}

#[test]
fn attempts_that_are_used_up() {
    for newer in [false, true] {
        let rig = upgrade_is_due();
        fail_next(&rig);
        let once = ["run", "--max-attempts", "1"];
        ends(&rig, 1, &once);
        assert_eq!(app(&rig.json(&once, 1), "video")["action"], "given-up");
        if newer {
            rig.publish("video", "1.1.1");
            ends(&rig, 0, &once);
        } else {
            ends(&rig, 0, &["deploy", "video", "1.1.0"]);
        }
        is_clean(&rig);
    }
    // An operator's own repetition of what is deployed.
    let rig = upgrade_is_due();
    ends(&rig, 0, &["run"]);
    fail_next(&rig);
    let again = ["deploy", "video", "1.1.0", "--force"];
    ends(&rig, 1, &again);
    assert_eq!(app(&rig.json(&["run"], 1), "video")["action"], "given-up");
    ends(&rig, 0, &again);
    is_clean(&rig);
}

#[test]
fn what_was_said_not_to_be_deployed() {
    for way in ["settle", "deploy", "marker"] {
        let rig = upgrade_is_due();
        lose_request(&rig);
        ends(&rig, 4, &["run"]);
        ends(&rig, 0, &["settle", "video", "--as", "not-deployed"]);
        let ran = ends(&rig, 1, &["run"]);
        assert!(said(&ran).contains("an operator said"), "{ran:#?}");
        match way {
            "settle" => {
                ends(&rig, 0, &["settle", "video", "--retry"]);
                ends(&rig, 0, &["run"]);
            }
            "deploy" => {
                ends(&rig, 0, &["deploy", "video", "1.1.0"]);
            }
            _ => {
                rig.publish("video", "1.1.1");
                ends(&rig, 0, &["run"]);
            }
        }
        assert_eq!(rig.posted().len(), 2, "{way}");
        is_clean(&rig);
    }
}

#[test]
fn a_hold_of_somebody_who_is_gone() {
    let rig = upgrade_is_due();
    ends(&rig, 0, &["hold", "video", "--reason", "ask Ann first"]);
    stays_held(&rig);
    let ran = ends(&rig, 0, &["status", "video"]);
    assert!(said(&ran).contains("ask Ann first"), "{ran:#?}");
    // The freeze of the scope is another hold.
    ends(&rig, 0, &["hold", "--all"]);
    ends(&rig, 0, &["release", "video"]);
    stays_held(&rig);
    ends(&rig, 0, &["release", "--all"]);
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn a_newest_marker_that_is_older() {
    for way in [&["deploy", "video", "1.0.0"][..], &["rollback", "video"]] {
        let rig = upgrade_is_due();
        ends(&rig, 0, &["run"]);
        rig.artifactory.remove("deploys", "video/1.1.0.deploy");
        assert_eq!(app(&rig.json(&["run"], 0), "video")["action"], "ahead");
        assert_eq!(rig.posted(), ["1.1.0"], "no pass goes back by itself");
        ends(&rig, 0, way);
        assert_eq!(rig.posted(), ["1.1.0", "1.0.0"], "{way:?}");
        stays_held(&rig);
        rig.publish("video", "1.2.0");
        ends(&rig, 0, &["run"]);
        is_clean(&rig);
    }
}

#[test]
fn markers_that_were_withdrawn() {
    for is_retired in [false, true] {
        let rig = upgrade_is_due();
        rig.publish("web", "1.0.0");
        ends(&rig, 0, &["run"]);
        rig.artifactory.remove("deploys", "video");
        assert_eq!(app(&rig.json(&["run"], 0), "video")["action"], "gone");
        if is_retired {
            ends(&rig, 0, &["forget", "video"]);
        } else {
            rig.publish("video", "1.1.0");
        }
        is_clean(&rig);
        assert_eq!(rig.posted().len(), 2);
    }
}

#[test]
fn a_payload_that_cannot_be_used() {
    for newer in [false, true] {
        let rig = upgrade_is_due();
        let bad = b"no archive".to_vec();
        rig.artifactory.publish("video", "1.1.0", bad);
        for _ in 0..2 {
            let report = rig.json(&["run"], 1);
            assert_eq!(app(&report, "video")["outcome"], "error", "{report:#}");
        }
        assert_eq!(rig.downloads(), 1);
        rig.publish("video", if newer { "1.1.1" } else { "1.1.0" });
        ends(&rig, 0, &["run"]);
        is_clean(&rig);
        assert_eq!(rig.posted().len(), 1);
    }
    // Other bytes under the name of what is deployed change nothing.
    let rig = upgrade_is_due();
    ends(&rig, 0, &["run"]);
    rig.artifactory
        .publish("video", "1.1.0", b"something else".to_vec());
    is_clean(&rig);
}

#[test]
fn two_commands_at_once() {
    let rig = upgrade_is_due();
    let gate = Gate::default();
    rig.artifactory
        .fault("/api/", Fault::Gate(gate.clone()), Some(1));
    let first = rig.spawn(&["deploy", "video", "1.1.0"]);
    until("the first one asks for the payload", || {
        !rig.artifactory.requests().is_empty()
    });
    let second = rig.spawn(&[
        "-v",
        "deploy",
        "video",
        "1.1.0",
        "--force",
        "--lock-wait",
        "2m",
    ]);
    let second = until_it_waits(second);
    gate.open();
    assert_eq!(Ran::wait(first).code, Some(0));
    let second = second.join();
    assert_eq!(second.code, Some(5), "{second:#?}");
    assert_eq!(rig.posted(), ["1.1.0"]);
    ends(&rig, 0, &["status", "video"]);
    ends(&rig, 0, &["deploy", "video", "1.1.0"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn not_one_marker_is_left() {
    for is_retired in [false, true] {
        let rig = upgrade_is_due();
        ends(&rig, 0, &["run"]);
        rig.artifactory.remove("deploys", "video");
        let ran = ends(&rig, 69, &["run"]);
        assert!(said(&ran).contains("holds no marker at all"), "{ran:#?}");
        if is_retired {
            ends(&rig, 0, &["forget", "video"]);
        } else {
            rig.publish("video", "1.1.0");
        }
        is_clean(&rig);
        assert_eq!(rig.posted(), ["1.1.0"]);
    }
}
