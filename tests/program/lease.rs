//! Passes that several hosts start at the same moment, each from its own cron: exactly one is done.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use simulator::{Fault, Gate, MariaDb, Race};

use crate::support::{Ledger, Ran, Rig, kill, until};

/// A lease that does not live long, but is renewed in time by a machine under load.
const SHORT: &str = "5s";

fn race(ledgers: &[String], rounds: usize) {
    let program = Path::new(env!("CARGO_BIN_EXE_coreos-artifactory-monitor"));
    let tally = Race::new(program, ledgers)
        .run(rounds)
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(tally.won.iter().sum::<usize>(), rounds);
    let rounds = i64::try_from(rounds).expect("few rounds");
    assert_eq!(tally.last_token, tally.first_token + rounds - 1);
}

#[test]
fn one_of_several_processes_on_mariadb_has_the_lease() {
    let server = MariaDb::shared();
    for processes in [2, 3, 5] {
        let ledger = server.dsn(&server.database());
        race(&vec![ledger; processes], 12);
    }
}

#[test]
fn one_of_several_processes_on_sqlite_has_the_lease() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for processes in [2, 5] {
        let file = directory.path().join(format!("{processes}.db"));
        race(&vec![format!("sqlite:{}", file.display()); processes], 12);
    }
}

/// A pass that stands still, at this request to one of the servers, for longer than its lease
/// lives, while another one takes over and deploys.
fn stopped_at(stand: impl Fn(&Rig, Fault), is_there: impl Fn(&Rig) -> bool) {
    let rig = Rig::on(Ledger::mariadb());
    rig.publish("video", "1.0.0");
    let gate = Gate::default();
    stand(&rig, Fault::Gate(gate.clone()));
    let short = ["run", "--lease-ttl", SHORT];
    let stopped = rig.spawn(&short);
    until("the pass is under way", || is_there(&rig));
    kill(stopped.id(), Signal::STOP);
    gate.open();
    let at_once = rig.run(&short);
    assert!(matches!(at_once.code, Some(0 | 75)), "{at_once:#?}");
    let ran = rig.run(&[&short[..], &["--lock-wait", "1m"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0.0"]);
    let attempts = rig.attempts();
    kill(stopped.id(), Signal::CONT);
    let ran = Ran::wait(stopped);
    assert_eq!(ran.code, Some(75), "{ran:#?}");
    assert!(ran.stderr.contains("lease was lost"), "{ran:#?}");
    assert_eq!(
        rig.posted(),
        ["1.0.0"],
        "the pass that stood still sent nothing"
    );
    assert_eq!(rig.attempts(), attempts, "and changed nothing");
    assert_eq!(rig.run(&short).code, Some(0));
}

#[test]
fn a_holder_that_stands_still_while_it_reads_markers_does_nothing_afterwards() {
    stopped_at(
        |rig, fault| rig.artifactory.fault("", fault, Some(1)),
        |rig| !rig.artifactory.requests().is_empty(),
    );
}

#[test]
fn a_holder_that_stands_still_before_its_intent_does_nothing_afterwards() {
    stopped_at(
        // Later requests are to coreos-deploy, which has less time to answer than a lease lives.
        |rig, fault| rig.artifactory.fault("/payloads/video/", fault, Some(1)),
        |rig| {
            let requests = rig.artifactory.requests();
            requests.iter().any(|r| r.path.contains("/payloads/video/"))
        },
    );
}

#[test]
fn a_holder_that_stands_still_before_it_records_units_that_run_records_nothing_afterwards() {
    let rig = Rig::on(Ledger::mariadb());
    rig.publish("video", "1.0.0");
    rig.deploy
        .add_units("example-video", "1.0.0", "x7a2k9qw", 'A', 2, true);
    let gate = Gate::default();
    rig.deploy
        .fault("/v1.0/cluster_map", Fault::Gate(gate.clone()), Some(1));
    let short = ["run", "--lease-ttl", SHORT];
    let asked = || {
        let requests = rig.deploy.requests();
        requests.iter().any(|r| r.path.contains("cluster_map"))
    };
    let stopped = rig.spawn(&short);
    until("the units are asked for", asked);
    kill(stopped.id(), Signal::STOP);
    gate.open();
    let ran = rig.run(&[&short[..], &["--lock-wait", "1m"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let attempts = rig.attempts();
    assert_eq!(attempts.len(), 1, "the other pass observed it");
    kill(stopped.id(), Signal::CONT);
    let ran = Ran::wait(stopped);
    assert_eq!(ran.code, Some(75), "{ran:#?}");
    assert_eq!(rig.attempts(), attempts, "it changed nothing");
    rig.publish("video", "2.0.0");
    assert_eq!(rig.run(&short).code, Some(0));
    assert_eq!(rig.posted(), ["2.0.0"], "nothing is deployed twice");
}

#[test]
fn who_holds_the_lease_is_shown_and_waited_for() {
    let rig = Rig::on(Ledger::mariadb());
    rig.publish("video", "1.0.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let holder = rig.spawn(&["run"]);
    until("it deploys", || !rig.deploy.posts().is_empty());
    let requests = || rig.artifactory.requests().len();
    let before = requests();
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(75), "{ran:#?}");
    let pid = format!("pid {}", holder.id());
    assert!(ran.stderr.contains(&pid), "{ran:#?}");
    assert_eq!(requests(), before);
    let status = rig.run(&["status"]);
    assert!(status.stdout.contains("lease: held by"), "{status:#?}");
    assert!(status.stdout.contains(&pid), "{status:#?}");
    let waiting = rig.spawn(&["run", "--lock-wait", "1m"]);
    rig.deploy.deploy_takes(Duration::ZERO);
    let ran = Ran::wait(waiting);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(Ran::wait(holder).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn a_holder_that_stands_still_for_longer_than_a_pass_may_take_is_an_error_for_the_others() {
    let (rig, _) = Rig::on_sqlite();
    rig.publish("video", "1.0.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("", Fault::Gate(gate.clone()), Some(1));
    let holder = rig.spawn(&["run"]);
    until("the pass is under way", || {
        !rig.artifactory.requests().is_empty()
    });
    kill(holder.id(), Signal::STOP);
    let limits = ["--max-duration", "1m", "--deploy-timeout", "1m"];
    let others = |code: i32| {
        for arguments in [
            &["run"][..],
            &["run", "--lock-wait", "10ms"],
            &["deploy", "video", "1.0.0"],
            &["baseline", "video=1.0.0", "--new"],
            &["settle", "video", "--as", "deployed"],
        ] {
            let ran = rig.run(&[arguments, &limits].concat());
            assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
            let pid = format!("pid {}", holder.id());
            assert!(ran.stderr.contains(&pid), "{ran:#?}");
        }
    };
    others(75);
    rig.sql("UPDATE artifactory_lease SET since = since - 400000");
    others(75);
    rig.sql("UPDATE artifactory_lease SET since = since - 21000");
    others(69);
    kill(holder.id(), Signal::KILL);
    gate.open();
    Ran::wait(holder);
    assert_eq!(rig.run(&["run"]).code, Some(0), "the lock went with it");
    assert_eq!(rig.posted(), ["1.0.0"]);
}
