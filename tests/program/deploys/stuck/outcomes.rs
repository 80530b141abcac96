//! Deploys of which nobody knows what became, and a coreos-deploy that does not answer.

use std::time::Duration;

use simulator::Behaviour;

use super::{ends, is_clean, lose_request, said, upgrade_is_due};
use crate::deploys::refusals::deploy_of_somebody_else;
use crate::support::{Rig, until};

#[test]
fn an_outcome_that_is_not_known() {
    for (state, word, posted) in [
        ("unknown", &["--as", "deployed"][..], 1),
        ("submitted", &["--as", "deployed"], 1),
        ("unknown", &["--as", "not-deployed", "--retry"], 2),
        ("submitted", &["--as", "not-deployed", "--retry"], 2),
    ] {
        let rig = upgrade_is_due();
        if state == "unknown" {
            lose_request(&rig);
        } else {
            rig.deploy.next_deploy(Behaviour::Die { units: 0 });
        }
        ends(&rig, 4, &["run", "--deploy-timeout", "1s"]);
        assert!(said(&ends(&rig, 0, &["status"])).contains(state));
        // The way out needs neither of the servers, and both may be dead.
        rig.deploy.stop_listening();
        rig.artifactory.stop_listening();
        ends(&rig, 0, &[&["settle", "video"], word].concat());
        rig.deploy.resume();
        rig.artifactory.resume();
        ends(&rig, 0, &["run"]);
        assert_eq!(rig.posted().len(), posted, "{state} {word:?}");
        is_clean(&rig);
    }
}

#[test]
fn twice_without_a_trace() {
    let rig = upgrade_is_due();
    lose_request(&rig);
    ends(&rig, 4, &["run"]);
    lose_request(&rig);
    // A verdict wants a quiet server, which one on a busy machine may not be.
    until("the second time is told of", || {
        let ran = ends(&rig, 4, &["run", "--unknown-hold", "1ms"]);
        said(&ran).contains("an operator decides")
    });
    ends(
        &rig,
        0,
        &["settle", "video", "--as", "not-deployed", "--retry"],
    );
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.posted(), ["1.1.0"; 3]);
    is_clean(&rig);
}

#[test]
fn a_cluster_that_is_ill() {
    let rig = Rig::new();
    for app in ["a", "b", "c", "d"] {
        rig.publish(app, "1.0.0");
    }
    for _ in 0..3 {
        let no = "No machine.".to_owned();
        rig.deploy.next_deploy(Behaviour::Fail(no));
    }
    let ran = ends(&rig, 1, &["run"]);
    let told = said(&ran);
    assert!(
        told.contains("the first 3 deploys of this pass failed"),
        "{told}"
    );
    assert_eq!(rig.posted().len(), 3);
    ends(&rig, 0, &["run", "--retry-after", "0s"]);
    assert_eq!(rig.posted().len(), 7);
    is_clean(&rig);
}

#[test]
fn a_hold_that_never_ends() {
    let rig = upgrade_is_due();
    lose_request(&rig);
    let never = ["run", "--unknown-hold", "never"];
    ends(&rig, 4, &never);
    let ran = ends(&rig, 4, &never);
    assert!(said(&ran).contains("an operator decides"), "{ran:#?}");
    ends(&rig, 0, &["settle", "video", "--as", "not-deployed"]);
    rig.publish("video", "1.1.1");
    ends(&rig, 0, &never);
    assert_eq!(rig.posted(), ["1.1.0", "1.1.1"]);
    is_clean(&rig);
}

#[test]
fn a_coreos_deploy_that_hangs() {
    let rig = upgrade_is_due();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let _stream = deploy_of_somebody_else(&rig);
    rig.deploy.reset_requests();
    let ran = ends(&rig, 75, &["run"]);
    assert!(said(&ran).contains("busy"), "{ran:#?}");
    // That it was busy at every pass for over an hour is in the ledger.
    rig.sql("UPDATE artifactory_passes SET busy_since = busy_since - 3700000 WHERE busy = 1");
    let ran = ends(&rig, 69, &["run"]);
    assert!(said(&ran).contains("busy"), "{ran:#?}");
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
    // What blocked it is killed.
    rig.deploy.deploy_takes(Duration::ZERO);
    rig.deploy.restart();
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.states().last().unwrap(), "video 1.1.0 succeeded");
    is_clean(&rig);
}
