//! A ledger that is empty, or was lost, beside a cluster that is not.

use simulator::{Behaviour, Fault};

use crate::support::{Rig, until};

#[test]
fn a_lost_ledger_does_not_redeploy_the_cluster() {
    let rig = Rig::new();
    let mut states = Vec::new();
    for index in 0..10 {
        let app = format!("app{index}");
        rig.publish(&app, "1.0.0");
        states.push(format!("{app} 1.0.0 observed"));
        let service = format!("example-{app}");
        let cycle = if index % 2 == 0 { 'A' } else { 'B' };
        rig.deploy
            .add_units(&service, "1.0.0", "x7a2k9qw", cycle, 2, true);
    }
    let report = rig.json(&["run"], 0);
    assert_eq!(report["summary"]["deployed"], 10);
    assert!(rig.posted().is_empty());
    assert_eq!(rig.states(), states);
    assert_eq!(rig.run(&["run"]).stdout, "");
}

#[test]
fn units_that_do_not_run_or_are_too_few_are_not_taken_for_a_deploy() {
    let rig = Rig::new();
    rig.publish("dead", "1.0.0");
    rig.publish("few", "1.0.0");
    let suffix = "x7a2k9qw";
    rig.deploy
        .add_units("example-dead", "1.0.0", suffix, 'A', 2, false);
    rig.deploy
        .add_units("example-few", "1.0.0", suffix, 'A', 1, true);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted().len(), 2);
}

#[test]
fn an_empty_ledger_deploys_not_the_world_and_baseline_takes_it_over() {
    let rig = Rig::new();
    for index in 0..50 {
        rig.publish(&format!("app{index}"), "1.0.0");
    }
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(5), "{ran:#?}");
    assert!(ran.stderr.contains("--max-deploys"), "{ran:#?}");
    assert!(ran.stderr.contains("`baseline`"), "{ran:#?}");
    assert!(ran.stdout.contains("app49"), "{ran:#?}");
    assert!(rig.posted().is_empty());
    assert!(rig.states().is_empty());
    assert_eq!(rig.downloads(), 0);

    let ran = rig.run(&["baseline"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.states().len(), 50);
    let ran = rig.run(&["run"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:#?}");
    assert!(rig.posted().is_empty());

    rig.publish("app7", "1.0.1");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.1"]);
}

#[test]
fn the_guard_can_be_lifted() {
    let rig = Rig::new();
    for app in ["a", "b", "c"] {
        rig.publish(app, "1.0.0");
    }
    assert_eq!(rig.run(&["run", "--max-deploys", "2"]).code, Some(5));
    assert!(rig.posted().is_empty());
    assert_eq!(rig.run(&["run", "--max-deploys", "3"]).code, Some(0));
    for app in ["a", "b", "c"] {
        rig.publish(app, "1.0.1");
    }
    let ran = rig.run(&["run", "--max-deploys", "2"]);
    assert_eq!(ran.code, Some(5), "{ran:#?}");
    assert!(ran.stderr.contains("--max-deploys"), "{ran:#?}");
    assert_eq!(rig.run(&["run", "--max-deploys", "0"]).code, Some(0));
    assert_eq!(rig.posted().len(), 6);
}

#[test]
fn baseline_of_named_apps_leaves_the_others() {
    let rig = Rig::new();
    for version in ["1.0.0", "1.1.0"] {
        rig.publish("a", version);
        rig.publish("b", version);
        rig.publish("c", version);
    }
    let ran = rig.run(&["baseline", "a", "b=1.0.0"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.states(), ["a 1.1.0 baseline", "b 1.0.0 baseline"]);
    assert_eq!(rig.run(&["baseline", "nowhere"]).code, Some(2));
    assert_eq!(rig.run(&["baseline", "a/b"]).code, Some(2));
    let report = rig.json(&["run"], 0);
    let apps = report["apps"].as_array().unwrap();
    let actions: Vec<_> = apps.iter().map(|app| app["action"].clone()).collect();
    assert_eq!(actions, ["up-to-date", "upgrade", "new"]);
    assert_eq!(rig.posted(), ["1.1.0", "1.1.0"]);
}

#[test]
fn a_failure_of_the_original_that_runs_after_all_is_observed() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    rig.sql(
        "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, version,
             status, updated_at, created_at)
         VALUES ('', 'example.com', 'development', 'video', '1.0.0', 3,
             '2015-09-23 16:41:00', '2015-09-23 16:41:00')",
    );
    rig.deploy
        .add_units("example-video", "1.0.0", "x7a2k9qw", 'A', 2, true);
    let report = rig.json(&["run"], 0);
    assert_eq!(report["summary"]["deployed"], 1, "{report:#}");
    assert_eq!(rig.states().last().unwrap(), "video 1.0.0 observed");
    assert!(rig.posted().is_empty());
}

#[test]
fn a_version_of_a_new_app_is_recorded_without_asking_anybody() {
    let rig = Rig::new();
    let ran = rig.run(&["baseline", "video=1.0.0", "--new"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(rig.deploy.requests().is_empty());
    assert!(rig.artifactory.requests().is_empty());
    assert_eq!(rig.states(), ["video 1.0.0 baseline"]);
}

#[test]
fn units_of_a_deploy_are_not_taken_for_it_while_another_version_runs() {
    let rig = Rig::new();
    rig.publish("video", "0.9.0");
    assert_eq!(rig.run(&["baseline"]).code, Some(0));
    rig.publish("video", "1.0.0");
    rig.publish("audio", "1.0.0");
    for (service, other) in [("example-video", "0.9.0"), ("example-audio-2", "1.0.0")] {
        rig.deploy
            .add_units(service, other, "bbbbbbbb", 'B', 2, true);
    }
    for service in ["example-video", "example-audio"] {
        rig.deploy
            .add_units(service, "1.0.0", "x7a2k9qw", 'A', 2, true);
    }
    assert_eq!(rig.run(&["run"]).code, Some(0));
    let states = [
        "video 0.9.0 baseline",
        "audio 1.0.0 succeeded",
        "video 1.0.0 succeeded",
    ];
    assert_eq!(rig.states(), states);
}

/// What a lost ledger, or one of before, would deploy over.
#[test]
fn versions_that_the_ledger_knows_nothing_of_are_left_until_an_operator_decides() {
    for (decides, states) in [
        (
            &["baseline", "video=2.0.0"][..],
            &["video 2.0.0 baseline"][..],
        ),
        (&["baseline", "video=1.9.0"], &["video 1.9.0 baseline"]),
        (
            &["deploy", "video", "1.0.0", "--no-hold"],
            &["video 1.0.0 succeeded"],
        ),
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        rig.publish("audio", "1.0.0");
        rig.deploy
            .add_units("example-video", "2.0.0", "bbbbbbbb", 'B', 2, true);
        for downloads in [2, 2] {
            let ran = rig.run(&["run", "--output", "json"]);
            assert_eq!(ran.code, Some(1), "{ran:#?}");
            assert!(
                ran.stdout.contains(r#""action": "unaccounted""#),
                "{ran:#?}"
            );
            assert_eq!(rig.downloads(), downloads);
        }
        assert_eq!(rig.posted(), ["1.0.0"]);
        let ran = rig.run(&["scan"]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.stdout.contains("unaccounted"), "{ran:#?}");
        assert!(
            ran.stdout.contains("2.0.0 of service example-video"),
            "{ran:#?}"
        );

        assert_eq!(rig.run(decides).code, Some(0));
        let known = rig.states();
        let video: Vec<&String> = known.iter().filter(|s| s.starts_with("video")).collect();
        assert_eq!(video, states, "{decides:?}");
        rig.publish("video", "2.1.0");
        assert_eq!(rig.run(&["run"]).code, Some(0), "{decides:?}");
        assert_eq!(rig.posted().last().unwrap(), "2.1.0");
    }
}

#[test]
fn units_of_a_service_whose_name_is_longer_are_none_of_another_version() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy
        .add_units("example-video-api", "0.9.0", "bbbbbbbb", 'B', 2, true);
    rig.deploy
        .add_units("example-video", "1.0.0", "x7a2k9qw", 'A', 2, true);
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert!(rig.posted().is_empty());
    assert_eq!(rig.states(), ["video 1.0.0 observed"]);
}

#[test]
fn a_version_that_was_asked_for_is_sent_though_old_units_of_it_are_listed() {
    let rig = Rig::new();
    for version in ["1.0.0", "1.1.0"] {
        rig.publish("video", version);
        assert_eq!(
            rig.run(&["baseline", &format!("video={version}")]).code,
            Some(0)
        );
    }
    // As fleet lists them for some seconds after they were destroyed.
    rig.deploy
        .add_units("example-video", "1.0.0", "x7a2k9qw", 'A', 2, true);
    for (arguments, posted) in [
        (&["deploy", "video", "1.0.0"][..], "1.0.0"),
        (&["deploy", "video", "1.1.0"], "1.1.0"),
        (&["rollback", "video"], "1.0.0"),
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(rig.posted().last().unwrap(), posted);
    }
    assert_eq!(rig.posted().len(), 3);
}

/// What the daemon leaves that is stopped between the new version and its POST: the row has the
/// id of the deploy before.
#[test]
fn the_id_of_the_deploy_before_is_no_deploy_of_the_new_version() {
    for (running, outcome) in [
        (true, "video 1.1.0 observed"),
        (false, "video 1.1.0 succeeded"),
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        assert_eq!(rig.run(&["run"]).code, Some(0));
        rig.publish("video", "1.1.0");
        rig.sql("UPDATE artifactory_deploys SET version = '1.1.0', status = 1");
        if running {
            rig.deploy.clear_units();
            rig.deploy
                .add_units("example-video", "1.1.0", "x7a2k9qw", 'A', 2, true);
        }
        rig.forget();
        let ran = rig.run(&["run"]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert_eq!(rig.states().last().unwrap(), "video 1.1.0 failed");
        let message = rig.attempts()[0]["message"].to_string();
        assert!(message.contains("example-video 1.0.0"), "{message}");
        let ran = rig.run(&["run", "--retry-after", "1ms"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(rig.states().last().unwrap(), outcome);
        assert_eq!(rig.posted().len(), usize::from(!running));
    }
}

#[test]
fn what_the_original_left_as_failed_is_asked_for_once() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.json(&["run"], 0);
    let id = rig.attempts()[0]["deployID"].as_str().unwrap().to_owned();
    let nowhere = "00000000-0000-4000-8000-000000000000";
    for (app, version, id) in [
        ("missed", "1.0.0", id.as_str()),
        ("stale", "2.0.0", &id),
        ("lost", "1.0.0", nowhere),
    ] {
        rig.sql(&format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name,
                 version, status, updated_at, created_at)
             VALUES ('{id}', 'example.com', 'development', '{app}', '{version}', 3,
                 '2015-09-23 16:41:00', '2015-09-23 16:41:00')"
        ));
    }
    rig.forget();
    rig.json(&["run"], 1);
    let mut states = rig.states();
    states.sort();
    let expected = [
        "lost 1.0.0 failed",
        "missed 1.0.0 succeeded",
        "stale 2.0.0 failed",
        "video 1.0.0 succeeded",
    ];
    assert_eq!(states, expected);
    let requests = rig.deploy.requests();
    let asked = requests.iter().filter(|r| r.path.contains("/status/"));
    assert_eq!(asked.count(), 3);
    assert_eq!(rig.posted(), [""; 0]);
    rig.json(&["run"], 0);
}

/// A row of the original's whose status is out of reach just when the hold is over.
#[test]
fn a_status_that_was_out_of_reach_for_a_moment_is_asked_for_again() {
    for (behaviour, state, code) in [
        (Behaviour::Succeed, "observed", 0),
        (Behaviour::Fail("No machine.".to_owned()), "failed", 1),
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        rig.deploy.next_deploy(behaviour);
        rig.run(&["run"]);
        rig.sql("UPDATE artifactory_deploys SET status = 1");
        rig.forget();
        rig.deploy.fault("/status/", Fault::Status(500), None);
        // A verdict wants a quiet server, which one on a busy machine may not be.
        until("it is given up as unreadable", || {
            assert_eq!(rig.run(&["run", "--unknown-hold", "1ms"]).code, Some(4));
            rig.states().last().unwrap() == "video 1.0.0 unknown"
        });
        assert_eq!(rig.run(&["run"]).code, Some(4));
        rig.deploy.clear_faults();
        assert_eq!(rig.run(&["run"]).code, Some(code));
        assert_eq!(
            *rig.states().last().unwrap(),
            format!("video 1.0.0 {state}")
        );
        assert_eq!(rig.posted(), [""; 0]);
    }
}
