//! Beside the version before: neither locks the other out, nor takes what it wrote for something
//! else. Run by hand: `CAM_OTHER_PROGRAM=/path/to/1.0.1 cargo test --test program
//! ledgers::neighbours -- --ignored`.

use simulator::Fault;

use super::making::Old;
use crate::support::Rig;

/// What is done by one of them is seen by the other.
#[test]
#[ignore = "needs the binary of 1.0.1"]
fn the_version_before_works_beside_this_one() {
    let before = Old { rig: Rig::new() };
    let rig = &before.rig;
    let now = |arguments: &[&str], code: i32| {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
    };
    rig.publish("video", "1.0.0");
    now(&["run"], 0);
    before.run(&["run"], 0);
    before.run(&["status"], 0);
    rig.publish("video", "1.1.0");
    before.run(&["run"], 0);
    now(&["run"], 0);
    assert_eq!(rig.posted(), ["1.0.0", "1.1.0"]);
    // An outcome that one of them does not know is found out by the other.
    rig.publish("video", "1.2.0");
    rig.deploy.fault("/v1.0/deploy", Fault::LoseReply, Some(1));
    now(&["run"], 4);
    before.run(&["run"], 0);
    assert_eq!(rig.states().last().unwrap(), "video 1.2.0 observed");
    rig.publish("video", "1.3.0");
    rig.deploy
        .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
    now(&["run"], 4);
    before.run(&["settle", "video", "--as", "not-deployed"], 0);
    now(&["run"], 1);
    now(&["settle", "video", "--retry"], 0);
    before.run(&["run"], 0);
    assert_eq!(rig.posted().len(), 5);
    // Holds and rollbacks are one.
    now(&["rollback", "video"], 0);
    before.run(&["run"], 0);
    before.run(&["rollback", "video"], 0);
    now(&["run"], 0);
    assert_eq!(rig.posted()[5..], ["1.2.0", "1.1.0"]);
    // A freeze is one for this version alone, as the README says.
    now(&["hold", "--all"], 0);
    rig.publish("late", "1.0.0");
    now(&["run"], 0);
    assert_eq!(rig.posted().len(), 7);
    before.run(&["run"], 0);
    assert_eq!(rig.posted().len(), 8);
    now(&["release", "--all"], 0);
    // What one retired is no more than an app without a marker for the other.
    rig.publish("web", "1.0.0");
    before.run(&["run"], 0);
    rig.artifactory.remove("deploys", "web");
    now(&["forget", "web"], 0);
    before.run(&["run"], 0);
    now(&["run"], 0);
    assert_eq!(rig.posted().len(), 9);
}
