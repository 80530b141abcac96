//! Names that nobody knows: a slip of the hand is no success.

use simulator::Fault;

use crate::support::{Ran, Rig};

/// Refused, for being unknown, with the name that was meant.
fn refused(ran: &Ran, meant: &str) {
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert_eq!(ran.stdout, "", "{ran:#?}");
    let hint = format!("did you mean {meant}?");
    assert!(ran.stderr.contains(&hint), "{hint} in {ran:#?}");
}

/// `svc-04` is deployed, `svc-05` is marked, `svc-06` is held ahead of its first release.
fn three_apps() -> Rig {
    let rig = Rig::new();
    rig.publish("svc-04", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("svc-05", "1.0.0");
    assert_eq!(rig.run(&["hold", "svc-06", "--new"]).code, Some(0));
    rig.forget();
    rig
}

#[test]
fn a_name_that_nobody_knows_is_refused_with_the_nearest_one() {
    let rig = three_apps();
    for (name, meant) in [
        ("svc_04", "svc-04"),
        ("SVC-05", "svc-05"),
        ("svc-006", "svc-06"),
    ] {
        let version = format!("{name}=1.0.0");
        for command in [
            &["hold", name][..],
            &["hold", name, "--newer-than", "1.0.0"],
            &["release", name],
            &["baseline", name],
            &["baseline", &version],
            &["status", name],
            &["history", name],
        ] {
            refused(&rig.run(command), meant);
        }
        let document = rig.json(&["hold", name], 2);
        let error = document["error"].as_str().unwrap();
        assert!(error.contains(name), "{error}");
    }
    assert_eq!(rig.states(), ["svc-04 1.0.0 succeeded"]);
    let holds = rig.json(&["status"], 0)["holds"].clone();
    assert_eq!(holds.as_array().unwrap().len(), 1, "{holds}");
}

#[test]
fn a_name_that_the_ledger_or_a_marker_knows_is_taken() {
    let rig = three_apps();
    for name in ["svc-04", "svc-05", "svc-06"] {
        for command in ["status", "history", "hold", "release"] {
            let ran = rig.run(&[command, name]);
            assert_eq!(ran.code, Some(0), "{command} {name}: {ran:#?}");
        }
    }
    let ran = rig.run(&["baseline", "svc-04=1.0.0", "svc-05"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn artifactory_is_asked_only_for_what_the_ledger_does_not_know() {
    let rig = three_apps();
    for command in ["status", "history", "hold", "release"] {
        assert_eq!(rig.run(&[command, "svc-04"]).code, Some(0));
    }
    assert_eq!(rig.run(&["baseline", "svc-04=1.0.0"]).code, Some(0));
    assert!(rig.artifactory.requests().is_empty());
    rig.artifactory.stop_listening();
    for command in ["status", "history", "release"] {
        assert_eq!(rig.run(&[command, "svc-04"]).code, Some(0));
        let ran = rig.run(&[command, "svc-05"]);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains("markers cannot be read"), "{ran:#?}");
    }
    let ran = rig.run(&["baseline", "svc-05=1.0.0"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("--new"), "{ran:#?}");
    let ran = rig.run(&["baseline", "svc-05=1.0.0", "--new"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn where_artifactory_is_not_configured_the_ledger_alone_knows() {
    let rig = three_apps();
    let run = |arguments: &[&str]| {
        let program = rig.std_command(&[]).get_program().to_owned();
        let mut command = std::process::Command::new(program);
        command.env_clear().env("HOME", rig.path());
        rig.ledger.give(&mut command);
        command.args(["-O", "example.com", "-E", "development"]);
        Ran::of(&command.args(arguments).output().unwrap())
    };
    for command in ["status", "history", "release", "hold"] {
        let ran = run(&[command, "svc-04"]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:#?}");
        let unknown = run(&[command, "svc-05"]);
        let code = if command == "hold" { 0 } else { 2 };
        assert_eq!(unknown.code, Some(code), "{unknown:#?}");
        assert!(unknown.stderr.contains("--art-endpoint"), "{unknown:#?}");
    }
}

#[test]
fn a_mistyped_environment_is_refused() {
    let rig = three_apps();
    for command in [
        &["hold", "svc-06"][..],
        &["release", "svc-06"],
        &["status", "svc-06"],
        &["history", "svc-06"],
        &["baseline", "svc-06=1.0.0"],
    ] {
        let ran = rig.run(&[command, &["-E", "developmnet"]].concat());
        assert_eq!(ran.code, Some(2), "{command:?}: {ran:#?}");
        let what = "the ledger has nothing of example.com developmnet";
        assert!(ran.stderr.contains(what), "{ran:#?}");
    }
    assert_eq!(rig.run(&["status", "-E", "developmnet"]).code, Some(0));
}

#[test]
fn a_name_that_no_app_can_have_is_refused() {
    let rig = Rig::new();
    let long = "a".repeat(129);
    for name in ["", "-a", ".a", "a/b", "a b", "ü", &long] {
        for command in ["hold", "release", "baseline", "status", "history"] {
            let ran = rig.run(&[command, "--", name]);
            assert_eq!(ran.code, Some(2), "{command} {name}: {ran:#?}");
        }
        let ran = rig.run(&["hold", "--new", "--", name]);
        assert_eq!(ran.code, Some(2), "{name}: {ran:#?}");
    }
    assert!(rig.is_untouched());
}

#[test]
fn migrate_makes_the_tables_and_does_nothing_else() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.json(&["migrate"], 0)["ledger"], "made");
    let tables = rig.ledger.tables();
    let ours = |t: &String| t == "artifactory_attempts";
    assert!(tables.iter().any(ours), "{tables:?}");
    let ran = rig.run(&["migrate"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stdout.contains("already"), "{ran:#?}");
    assert!(rig.artifactory.requests().is_empty() && rig.deploy.requests().is_empty());
    assert!(rig.attempts().is_empty());
    assert_eq!(rig.json(&["migrate"], 0)["ledger"], "unchanged");
}

#[test]
fn migrate_updates_a_database_of_the_original() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    for table in [
        "artifactory_attempt_events",
        "artifactory_attempts",
        "artifactory_holds",
        "artifactory_lease",
        "artifactory_passes",
        "artifactory_migrations",
    ] {
        rig.sql(&format!("DROP TABLE {table}"));
    }
    assert_eq!(rig.run(&["status"]).code, Some(0), "it is read as it is");
    assert_eq!(rig.json(&["migrate"], 0)["ledger"], "updated");
    assert_eq!(rig.run(&["status"]).code, Some(0));
}

#[test]
fn what_artifactory_says_of_a_name_is_told_without_our_password() {
    const PASSWORD: &str = "canary-of-the-password";
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    let said = format!(r#"{{"errors":[{{"status":403,"message":"not for {PASSWORD}"}}]}}"#);
    let refusal = Fault::StatusWith(403, Vec::new(), said);
    rig.artifactory.fault("/api/", refusal, None);
    for (line, code) in [
        (&["release", "typo"][..], 2),
        (&["status", "typo"], 2),
        (&["history", "typo"], 2),
        (&["baseline", "typo=1"], 2),
        (&["hold", "typo"], 0),
    ] {
        let mut command = rig.command(line);
        let output = command.env("CAM_ART_PASSWORD", PASSWORD).output().unwrap();
        let ran = Ran::of(&output);
        assert_eq!(ran.code, Some(code), "{line:?}: {ran:#?}");
        assert!(ran.stderr.contains("not for ***"), "{line:?}: {ran:#?}");
        assert!(!format!("{ran:?}").contains(PASSWORD), "{line:?}: {ran:#?}");
    }
}

#[test]
fn a_hold_in_an_environment_that_was_mistyped_is_refused() {
    let rig = Rig::new();
    rig.publish("svc-04", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    for arguments in [&["-E", "developement"][..], &["-O", "example.org"]] {
        let ran = rig.run(&[&["hold", "svc-04"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(
            ran.stderr.contains("but svc-04 in example.com development"),
            "{ran:#?}"
        );
        let ran = rig.run(&[&["hold", "svc-04", "--new"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
}
