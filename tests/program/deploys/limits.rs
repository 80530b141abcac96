//! Passes that are limited, interrupted, or not alone.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use simulator::{Behaviour, Fault, Gate};

use crate::support::{Ran, Rig, app, kill, until};

#[test]
fn a_pass_that_is_terminated_is_carried_on_by_the_next() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let child = rig.spawn(&["run"]);
    // There is a ledger to read from then on.
    until("audio is posted", || rig.posted().len() == 1);
    until("audio is being deployed", || {
        rig.states() == ["audio 1.0.0 submitted"]
    });
    let asked = Instant::now();
    kill(child.id(), Signal::TERM);
    let ran = Ran::wait(child);
    assert_eq!(ran.code, Some(143), "{ran:#?}");
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(rig.states(), ["audio 1.0.0 submitted"]);
    // So is one that only asks what became of it, and one that an operator began.
    let before = rig.deploy.requests().len();
    let child = rig.spawn(&["deploy", "video", "1.0.0"]);
    until("audio is asked about", || {
        rig.deploy.requests().len() > before
    });
    kill(child.id(), Signal::INT);
    let ran = Ran::wait(child);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    assert_eq!(rig.posted().len(), 1);

    rig.deploy.deploy_takes(Duration::from_millis(20));
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted().len(), 2);
    let states = ["audio 1.0.0 succeeded", "video 1.0.0 succeeded"];
    assert_eq!(rig.states(), states);
}

#[test]
fn a_pass_whose_terminal_is_closed_ends_as_if_terminated() {
    for line in [&["run"][..], &["deploy", "video", "1.0.0"]] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        // It never ends, and its polls are answered: one that hangs would cut the report off.
        rig.deploy.next_deploy(Behaviour::Die { units: 2 });
        let child = rig.spawn(&[line, &["--output", "json"]].concat());
        until("video is posted", || rig.posted().len() == 1);
        until("video is being deployed", || {
            rig.states() == ["video 1.0.0 submitted"]
        });
        // A shell sends it, and so does the kernel.
        kill(child.id(), Signal::HUP);
        kill(child.id(), Signal::HUP);
        let ran = Ran::wait(child);
        assert_eq!(ran.code, Some(143), "{line:?}: {ran:#?}");
        let report = ran.json();
        assert_eq!(report["exitCode"], 143, "{report:#}");
        assert_eq!(app(&report, "video")["outcome"], "submitted");
        assert_eq!(rig.states(), ["video 1.0.0 submitted"]);
        let kept = rig.sql("SELECT report FROM artifactory_passes");
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(kept.concat()[0].as_ref().unwrap().contains("143"));
    }
}

#[test]
fn a_pass_under_nohup_outlives_its_terminal() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let usual = rig.std_command(&["run"]);
    let child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(usual.get_program())
        .args(usual.get_args())
        .env_clear()
        .envs(usual.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("sh runs");
    until("video is posted", || rig.posted().len() == 1);
    kill(child.id(), Signal::HUP);
    rig.deploy.deploy_takes(Duration::ZERO);
    let ran = Ran::wait(child);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
}

#[test]
fn an_interrupted_deploy_of_an_operator_stays_recorded() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.next_deploy(Behaviour::Die { units: 2 });
    let child = rig.spawn(&["deploy", "video", "1.0.0", "--output", "json"]);
    until("video is posted", || rig.posted().len() == 1);
    until("video is being deployed", || {
        rig.states() == ["video 1.0.0 submitted"]
    });
    kill(child.id(), Signal::INT);
    let ran = Ran::wait(child);
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    let report = ran.json();
    assert_eq!(report["exitCode"], 130);
    assert_eq!(app(&report, "video")["outcome"], "submitted");
}

#[test]
fn a_second_process_asks_nobody_anything() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("/api/", Fault::Gate(gate.clone()), Some(1));
    let first = rig.spawn(&["run"]);
    until("the first process has the lease", || {
        rig.artifactory.requests().len() == 1
    });
    let second = rig.run(&["run"]);
    assert_eq!(second.code, Some(75), "{second:#?}");
    let refused = rig.json(&["deploy", "video", "1.0.0"], 75);
    assert_eq!(refused["exitCode"], 75);
    assert_eq!(rig.artifactory.requests().len(), 1);
    assert!(rig.deploy.requests().is_empty());
    // What only looks needs no lease.
    let status = rig.json(&["status"], 0);
    assert_eq!(status["lease"]["held"], true);

    let third = rig.spawn(&["run", "--lock-wait", "1m"]);
    gate.open();
    let (first, third) = (Ran::wait(first), Ran::wait(third));
    assert_eq!(
        (first.code, third.code),
        (Some(0), Some(0)),
        "{first:#?} {third:#?}"
    );
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn what_was_not_reached_in_time_is_left_for_the_next_pass() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    let slow = Fault::Delay(Duration::from_millis(1_500));
    rig.artifactory.fault("/api/", slow, Some(1));
    let report = rig.json(&["run", "--max-duration", "1s"], 75);
    assert_eq!(report["complete"], false);
    assert!(rig.posted().is_empty());

    rig.deploy.next_deploy(Behaviour::Die { units: 2 });
    let begun = Instant::now();
    let report = rig.json(&["run", "--max-duration", "6s"], 4);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(app(&report, "audio")["outcome"], "submitted");
    assert_eq!(app(&report, "video")["outcome"], serde_json::Value::Null);
    assert_eq!(report["complete"], false);
    assert_eq!(rig.posted().len(), 1);
}

#[test]
fn an_app_without_wildcard_that_matches_nothing_is_a_mistake() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    let ran = rig.run(&["run", "--app", "vidoe"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("vidoe"), "{ran:#?}");
    assert_eq!(rig.run(&["run", "--app", "x*"]).code, Some(0));
    assert!(rig.posted().is_empty());
    assert_eq!(rig.run(&["run", "--app", "v*"]).code, Some(0));
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
    assert_eq!(rig.run(&["run", "--exclude-app", "audio"]).code, Some(0));
    assert_eq!(rig.posted().len(), 1);
}

#[test]
fn a_silent_artifactory_does_not_outlast_the_pass() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.artifactory
        .fault("/api/", Fault::Hang(Duration::from_secs(20)), None);
    let ran = rig.run(&["run", "--max-duration", "2s"]);
    assert_eq!(ran.code, Some(75), "{ran:#?}");
    assert!(ran.stderr.contains("--max-duration"), "{ran:#?}");
    assert!(rig.states().is_empty());
}

#[test]
fn a_dry_run_stops_where_a_pass_would() {
    let rig = Rig::new();
    for index in 0..4 {
        rig.publish(&format!("app{index}"), "1.0.0");
    }
    let ran = rig.run(&["dry-run", "--max-deploys", "3"]);
    assert_eq!(ran.code, Some(5), "{ran:#?}");
    let ran = rig.run(&["scan", "--max-deploys", "3"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("a pass would stop here"), "{ran:#?}");
}

#[test]
fn a_poll_that_hangs_outlives_neither_the_deploy_timeout_nor_the_pass() {
    for limit in ["--deploy-timeout", "--max-duration"] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        let hang = Fault::Hang(Duration::from_secs(600));
        rig.deploy.fault("/v1.0/status/", hang, None);
        let started = Instant::now();
        let report = rig.json(&["run", limit, "2s"], 4);
        let took = started.elapsed();
        // One poll is given up after 15 s by itself.
        assert!(took < Duration::from_secs(10), "{limit}: {took:?}");
        assert_eq!(app(&report, "video")["outcome"], "submitted", "{limit}");
        rig.deploy.clear_faults();
        rig.json(&["run"], 0);
        assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
    }
}

/// What a command waits for, in vain.
#[derive(Clone, Copy, Debug)]
enum Waits {
    Markers,
    Payload,
    Answer(&'static str),
    Lease,
}

/// A command that waits for somebody, once it does.
fn waiting(rig: &Rig, waits: Waits) -> (Child, Option<Child>) {
    let hang = || Fault::Hang(Duration::from_secs(600));
    let json = ["run", "--output", "json"];
    let asked = |artifactory: bool, part: &str| {
        let requests = if artifactory {
            rig.artifactory.requests()
        } else {
            rig.deploy.requests()
        };
        requests.iter().any(|r| r.path.contains(part))
    };
    match waits {
        Waits::Markers | Waits::Payload => {
            let part = match waits {
                Waits::Markers => "/api/",
                _ => ".tar.gz",
            };
            rig.artifactory.fault(part, hang(), None);
            let child = rig.spawn(&json);
            until("Artifactory is asked", || asked(true, part));
            (child, None)
        }
        Waits::Answer(part) => {
            rig.deploy.fault(part, hang(), None);
            let child = rig.spawn(&json);
            until("coreos-deploy is asked", || asked(false, part));
            (child, None)
        }
        Waits::Lease => {
            let (holder, _) = waiting(rig, Waits::Answer("/v1.0/info"));
            let child = rig.spawn(&["run", "--output", "json", "--lock-wait", "10m", "-v"]);
            until("the handlers are there", || {
                let status = format!("/proc/{}/task", child.id());
                // Who watches for signals has a thread of its own.
                std::fs::read_dir(status).is_ok_and(|threads| threads.count() > 1)
            });
            (child, Some(holder))
        }
    }
}

#[test]
fn a_signal_ends_a_command_that_waits_with_one_document_and_one_record() {
    let signals = [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 143)];
    std::thread::scope(|threads| {
        for waits in [
            (Waits::Markers, None),
            (Waits::Payload, Some(Value::Null)),
            (Waits::Answer("/v1.0/info"), Some(Value::Null)),
            (Waits::Answer("/v1.0/cluster_map"), Some(Value::Null)),
            (Waits::Answer("/v1.0/status/"), Some("submitted".into())),
            (Waits::Lease, None),
        ] {
            threads.spawn(move || signals.map(|signal| ends(&waits, signal)));
        }
    });
}

/// Sends a signal to a command that waits, and looks at its end; `outcome` is that of the app that is
/// due, once it is known to be.
fn ends((waits, outcome): &(Waits, Option<Value>), (signal, code): (Signal, i32)) {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    let (child, holder) = waiting(&rig, *waits);
    let asked = Instant::now();
    kill(child.id(), signal);
    let ran = Ran::wait(child);
    let took = asked.elapsed();
    assert_eq!(ran.code, Some(code), "{waits:?} {signal:?}: {ran:#?}");
    assert!(took < Duration::from_secs(12), "{waits:?}: {took:?}");
    let report = ran.json();
    assert_eq!(report["exitCode"], code, "{waits:?}: {report:#}");
    assert_eq!(report["complete"], false, "{waits:?}: {report:#}");
    if let Some(outcome) = outcome {
        assert_eq!(&app(&report, "video")["outcome"], outcome, "{waits:?}");
    }
    // Who never had the lease has made no pass.
    let records = rig.sql("SELECT seq FROM artifactory_passes").len();
    assert_eq!(
        records,
        usize::from(holder.is_none()),
        "{waits:?} {signal:?}"
    );
    if let Some(mut holder) = holder {
        let _ = (holder.kill(), holder.wait());
    }
}

#[test]
fn a_signal_in_a_post_waits_for_its_reply_and_not_for_ever() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.write_timeout(Duration::from_secs(600));
    let hang = Fault::Hang(Duration::from_secs(600));
    rig.deploy.fault("/v1.0/deploy", hang, None);
    let child = rig.spawn(&["run", "--output", "json"]);
    until("video is posted", || rig.posted().len() == 1);
    let asked = Instant::now();
    kill(child.id(), Signal::TERM);
    let ran = Ran::wait(child);
    assert!(asked.elapsed() < Duration::from_secs(18));
    assert_eq!(ran.code, Some(143), "{ran:#?}");
    let report = ran.json();
    assert_eq!(app(&report, "video")["outcome"], "unknown", "{report:#}");
    assert_eq!(rig.sql("SELECT seq FROM artifactory_passes").len(), 1);
}
