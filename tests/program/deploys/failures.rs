//! Deploys that fail, and releases that cannot be deployed.

use std::time::Duration;

use simulator::{Behaviour, Fault, Gate, Payload};

use crate::support::{PASSWORD, Ran, Rig, app, until};

#[test]
fn a_failed_deploy_is_reported_retried_and_given_up() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    for _ in 0..2 {
        rig.deploy
            .next_deploy(Behaviour::Fail("No machine.".into()));
    }
    let failed = rig.run(&["run"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.stdout.contains("No machine."), "{failed:#?}");
    // Waits; with -q that is not told again.
    let waiting = rig.run(&["run"]);
    assert_eq!(waiting.code, Some(1));
    assert!(waiting.stdout.contains("next try in"), "{waiting:#?}");
    let silent = rig.run(&["run", "-q"]);
    assert_eq!(silent.code, Some(1));
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
    assert_eq!(rig.posted().len(), 1);

    let retry = ["run", "--retry-after", "1ms", "--max-attempts", "2"];
    let report = rig.json(&retry, 1);
    assert_eq!(app(&report, "video")["action"], "retry");
    assert_eq!(rig.posted().len(), 2);

    let given_up = rig.run(&retry);
    assert_eq!(given_up.code, Some(1), "{given_up:#?}");
    assert!(given_up.stdout.contains("video"), "{given_up:#?}");
    let silent = rig.run(&[&retry[..], &["-q"]].concat());
    assert_eq!(silent.code, Some(1));
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
    assert_eq!(rig.posted().len(), 2);

    // An operator is not bound by that, and a newer release starts afresh.
    let ran = rig.run(&["deploy", "video", "1.0.0", "--max-attempts", "2"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    rig.publish("video", "1.0.1");
    assert_eq!(rig.run(&retry).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0", "1.0.0", "1.0.0", "1.0.1"]);
}

#[test]
fn the_back_off_doubles_and_a_retry_can_succeed() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    for _ in 0..2 {
        rig.deploy
            .next_deploy(Behaviour::FailPartly("no".into(), 1));
    }
    let retry = ["run", "--retry-after", "1s"];
    let wait = || {
        let report = rig.json(&["run", "--retry-after", "1h"], 1);
        let video = app(&report, "video");
        assert_eq!(video["action"], "waiting");
        let reason = video["reason"].as_str().unwrap();
        let (_, left) = reason.rsplit_once("next try in ").unwrap();
        humantime::parse_duration(left).unwrap()
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(rig.run(&retry).code, Some(1));
    assert!(wait() <= hour, "{:?}", wait());
    until("the second attempt", || {
        let code = rig.run(&retry).code;
        assert_eq!(code, Some(1));
        rig.posted().len() == 2
    });
    assert!((hour..=2 * hour).contains(&wait()), "{:?}", wait());
    assert_eq!(rig.posted().len(), 2);
    until("the third attempt", || rig.run(&retry).code == Some(0));
    assert_eq!(rig.posted().len(), 3);
}

#[test]
fn one_failure_does_not_keep_the_other_apps_from_being_deployed() {
    let rig = Rig::new();
    for app in ["a", "b", "c"] {
        rig.publish(app, "1.0.0");
    }
    rig.artifactory
        .publish("b", "1.0.1", b"no archive".to_vec());
    rig.deploy.next_deploy(Behaviour::Fail("no".into()));
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "a")["outcome"], "failed");
    assert_eq!(app(&report, "b")["outcome"], "error");
    assert_eq!(app(&report, "c")["outcome"], "succeeded");
    assert_eq!(rig.states(), ["a 1.0.0 failed", "c 1.0.0 succeeded"]);
}

#[test]
fn a_marker_waits_for_its_payload_and_not_for_ever() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.artifactory.put_marker("video", "1.0.0");
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "waiting");
    assert_eq!(report["summary"]["deployed"], 1);
    let ran = rig.run(&["run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:#?}");

    let age = Duration::from_secs(7_200);
    rig.artifactory.set_marker_age("video", "1.0.0", age);
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "video")["outcome"], "error");
    let patient = rig.json(&["run", "--payload-wait", "3h"], 0);
    assert_eq!(app(&patient, "video")["action"], "waiting");

    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().len(), 2);
}

#[test]
fn a_marker_that_is_withdrawn_while_a_pass_reads_payloads_is_not_deployed() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let gate = Gate::default();
    let payload = "/artifactory/payloads/video/";
    let fault = Fault::Gate(gate.clone());
    rig.artifactory.fault(payload, fault, None);
    let child = rig.spawn(&["run", "--output", "json"]);
    until("the download", || {
        let requests = rig.artifactory.requests();
        requests.iter().any(|r| r.path.starts_with(payload))
    });
    rig.artifactory.remove("deploys", "video/1.0.0.deploy");
    gate.open();
    let ran = Ran::wait(child);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let report = ran.json();
    assert_eq!(app(&report, "video")["action"], "waiting", "{report:#}");
    assert!(rig.deploy.requests().is_empty());

    rig.artifactory.put_marker("video", "1.0.0");
    rig.json(&["run"], 0);
    assert_eq!(rig.posted(), ["1.0.0"]);
    // What an operator asks for needs no marker.
    rig.publish("video", "1.1.0");
    rig.artifactory.remove("deploys", "video/1.1.0.deploy");
    rig.json(&["deploy", "video", "1.1.0"], 0);
    assert_eq!(rig.posted(), ["1.0.0", "1.1.0"]);
}

#[test]
fn a_missing_payload_repository_is_a_configuration_error() {
    let rig = Rig::new();
    rig.artifactory.put_marker("video", "1.0.0");
    rig.artifactory.remove("payloads", "");
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("payloads"), "{ran:#?}");
}

#[test]
fn a_bad_payload_is_downloaded_again_only_when_it_changed() {
    let rig = Rig::new();
    rig.artifactory
        .publish("video", "1.0.0", b"no archive".to_vec());
    for _ in 0..3 {
        let report = rig.json(&["run"], 1);
        assert_eq!(app(&report, "video")["outcome"], "error");
        assert_eq!(rig.downloads(), 1);
    }
    assert!(rig.deploy.requests().is_empty());
    assert!(rig.states().is_empty());
    let other = Payload::sample("video", "1.0.1");
    rig.artifactory.publish("video", "1.0.0", other.build());
    assert_eq!(rig.run(&["run"]).code, Some(1));
    assert_eq!(rig.downloads(), 2);
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!((rig.downloads(), rig.posted().len()), (3, 1));
}

#[test]
fn what_this_machine_is_short_of_is_no_fact_about_a_payload() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // The rendering wants a large stack, secrets and certificates want descriptors.
    for (limit, value) in [("-v", "300000"), ("-v", "200000"), ("-n", "8"), ("-n", "5")] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        let secret = dir.path().join("password");
        std::fs::write(&secret, PASSWORD).expect("it can be written");
        let run = rig.std_command(&["run"]);
        let mut short = std::process::Command::new("sh");
        short
            .args(["-c", "ulimit $0 $1; shift; exec \"$@\"", limit, value])
            .arg(run.get_program())
            .args(run.get_args())
            .arg("--art-password-file")
            .arg(&secret)
            .env_clear()
            .envs(
                run.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env_remove("CAM_ART_PASSWORD");
        let ran = Ran::of(&short.output().expect("a shell"));
        let what = format!("{limit} {value}: {ran:#?}");
        assert!(matches!(ran.code, Some(0 | 69 | 75)), "{what}");
        assert!(!ran.stderr.contains("internal error"), "{what}");
        let again = rig.run(&["run"]);
        assert_eq!(again.code, Some(0), "{what}, then {again:#?}");
        assert_eq!(rig.posted(), ["1.0.0"], "{what}");
    }
}
