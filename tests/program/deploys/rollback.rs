//! `rollback`: back, never forward, whatever became of the rollback before.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr};
use std::time::Duration;

use simulator::{Behaviour, Fault, Gate};

use crate::support::{Ran, Rig, app, until};

/// A cluster that runs the last of these releases of `video`, after the others.
fn releases(versions: &[&str]) -> Rig {
    let rig = Rig::new();
    for version in versions {
        rig.publish("video", version);
        assert_eq!(rig.run(&["run"]).code, Some(0));
    }
    assert_eq!(rig.posted(), versions);
    rig.forget();
    rig
}

fn three() -> Rig {
    releases(&["1.0.0", "1.1.0", "1.2.0"])
}

/// A rollback that ends well.
fn rolls_back(rig: &Rig) {
    let ran = rig.run(&["rollback", "video"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

/// Waits until a process says that it waits for the lease.
pub fn until_it_waits(mut child: Child) -> Waiting {
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("waiting for the lease") {
        let read = stderr.read_line(&mut said).expect("it can be read");
        assert!(read > 0, "it ended: {said}");
    }
    Waiting {
        child,
        stderr,
        said,
    }
}

/// A process of which something was read already.
pub struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Waiting {
    /// How it ended.
    pub fn join(mut self) -> Ran {
        let read = self.stderr.read_to_string(&mut self.said);
        read.expect("it can be read");
        Ran {
            stderr: self.said,
            ..Ran::wait(self.child)
        }
    }
}

/// No pass brings back what was rolled back from.
fn stays(rig: &Rig, version: &str) {
    let posted = rig.posted();
    let report = rig.json(&["run", "--retry-after", "1ms"], 0);
    let video = app(&report, "video");
    assert_eq!(video["action"], "held", "{report:#}");
    assert_eq!(video["deployed"], version, "{report:#}");
    assert_eq!(rig.posted(), posted);
}

#[test]
fn repeated_it_goes_further_back_and_at_last_says_what_there_is() {
    let rig = three();
    rolls_back(&rig);
    stays(&rig, "1.1.0");
    rolls_back(&rig);
    stays(&rig, "1.0.0");
    assert_eq!(rig.posted(), ["1.1.0", "1.0.0"]);
    let gone = "example.com-development-video-1.1.0.tar.gz";
    rig.artifactory.remove("payloads", &format!("video/{gone}"));
    let ran = rig.run(&["rollback", "video"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("before 1.0.0"), "{ran:#?}");
    let told = "1.1.0 was good: rolled back from, its payload is gone";
    assert!(ran.stderr.contains(told), "{ran:#?}");
    assert!(
        ran.stderr.contains("1.2.0 was good: rolled back from\n"),
        "{ran:#?}"
    );
    assert_eq!(rig.posted().len(), 2);
}

#[test]
fn what_was_rolled_back_from_is_no_target_later_either() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rolls_back(&rig);
    rig.publish("video", "1.2.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.0.0", "1.2.0", "1.0.0"]);
    stays(&rig, "1.0.0");
}

#[test]
fn after_a_lost_reply_the_same_command_leads_to_the_same_target() {
    let rig = three();
    rig.deploy.fault("/v1.0/deploy", Fault::LoseReply, Some(1));
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(4));
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0"]);
    stays(&rig, "1.1.0");
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0", "1.0.0"]);
}

#[test]
fn so_it_does_where_a_pass_found_out_first_that_it_went_well() {
    let rig = three();
    rig.deploy.fault("/v1.0/deploy", Fault::LoseReply, Some(1));
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(4));
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["outcome"], "observed");
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0"]);
    stays(&rig, "1.1.0");
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0", "1.0.0"]);
}

#[test]
fn so_it_does_after_a_failure_and_after_a_refusal() {
    let rig = three();
    let behaviour = Behaviour::FailPartly("no".into(), 1);
    rig.deploy.next_deploy(behaviour);
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(1));
    rig.deploy
        .fault("/v1.0/deploy", Fault::Status(401), Some(1));
    assert_eq!(rig.run(&["rollback", "video"]).code, Some(77));
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0", "1.1.0", "1.1.0"]);
    stays(&rig, "1.1.0");
}

#[test]
fn so_it_does_after_it_was_killed_on_its_way() {
    let rig = three();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let mut first = rig.spawn(&["rollback", "video"]);
    until("the deploy is sent", || !rig.posted().is_empty());
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    let before = rig.deploy.requests().len();
    let second = rig.spawn(&["rollback", "video", "--lock-wait", "30s"]);
    until("it is asked about", || rig.deploy.requests().len() > before);
    rig.deploy.deploy_takes(Duration::ZERO);
    let ran = Ran::wait(second);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.1.0"]);
    stays(&rig, "1.1.0");
}

#[test]
fn two_at_once_roll_back_once() {
    let rig = three();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let first = rig.spawn(&["rollback", "video"]);
    until("the first one has sent", || !rig.posted().is_empty());
    let second = rig.spawn(&["-v", "rollback", "video", "--lock-wait", "2m"]);
    let second = until_it_waits(second);
    rig.deploy.deploy_takes(Duration::ZERO);
    assert_eq!(Ran::wait(first).code, Some(0));
    let second = second.join();
    assert_eq!(second.code, Some(5), "{second:#?}");
    assert!(second.stderr.contains("status video"), "{second:#?}");
    assert_eq!(rig.posted(), ["1.1.0"]);
    stays(&rig, "1.1.0");
}

#[test]
fn one_that_turns_out_to_have_failed_is_sent_again_and_not_called_done() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rig.publish("video", "1.2.0");
    rig.deploy
        .next_deploy(Behaviour::FailPartly("no".into(), 1));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.forget();
    // Still open when the command ends, and failed when it is asked for again.
    rig.deploy.next_deploy(Behaviour::Fail("no".into()));
    let gate = Gate::default();
    rig.deploy
        .fault("/status/", Fault::Gate(gate.clone()), None);
    let ran = rig.run(&["rollback", "video", "--deploy-timeout", "1s"]);
    assert_eq!(ran.code, Some(4), "{ran:#?}");
    gate.open();
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0", "1.1.0"]);
    let states = rig.states();
    assert_eq!(states[3..], ["video 1.1.0 failed", "video 1.1.0 succeeded"]);
}

#[test]
fn units_of_a_version_that_begins_with_no_digit_are_seen_too() {
    let rig = releases(&["release-1", "release-2"]);
    rig.publish("video", "release-3");
    rig.deploy
        .next_deploy(Behaviour::FailPartly("no".into(), 1));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.forget();
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["release-2"]);
}

#[test]
fn after_a_failed_upgrade_what_runs_alone_is_kept() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rig.publish("video", "1.2.0");
    rig.deploy.next_deploy(Behaviour::Fail("no".into()));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.forget();
    rolls_back(&rig);
    assert!(rig.posted().is_empty());
    stays(&rig, "1.1.0");
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn after_an_upgrade_that_came_half_way_the_former_version_is_sent_again() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rig.publish("video", "1.2.0");
    let behaviour = Behaviour::FailPartly("no".into(), 1);
    rig.deploy.next_deploy(behaviour);
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.forget();
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0"]);
    stays(&rig, "1.1.0");
}

#[test]
fn so_it_is_where_no_unit_of_it_runs_any_more() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rig.publish("video", "1.2.0");
    rig.deploy.next_deploy(Behaviour::Fail("no".into()));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.deploy.clear_units();
    rig.forget();
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.1.0"]);
}

#[test]
fn a_refused_upgrade_changed_nothing_that_could_be_rolled_back() {
    let rig = releases(&["1.0.0", "1.1.0"]);
    rig.publish("video", "1.2.0");
    rig.deploy
        .fault("/v1.0/deploy", Fault::Status(400), Some(1));
    assert_eq!(rig.run(&["run"]).code, Some(1));
    rig.forget();
    rolls_back(&rig);
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn a_target_whose_payload_is_gone_is_an_error_that_names_the_others() {
    let rig = three();
    let gone = "example.com-development-video-1.1.0.tar.gz";
    rig.artifactory.remove("payloads", &format!("video/{gone}"));
    let ran = rig.run(&["rollback", "video"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains(gone), "{ran:#?}");
    assert!(ran.stderr.contains("good before it: 1.0.0"), "{ran:#?}");
    assert!(rig.posted().is_empty());
}
