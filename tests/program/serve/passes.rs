//! Passes by the clock and on demand.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use simulator::{Fault, Gate};

use super::server::Server;
use crate::replaced;
use crate::support::{PASSWORD, Rig, TOKEN, until};

#[test]
fn the_first_pass_starts_with_the_server_and_others_follow() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let server = Server::start(&rig, &["-g", "1"]);
    until("the first deploy", || rig.posted() == ["1.0"]);
    rig.publish("video", "1.1");
    until("the second deploy", || rig.posted() == ["1.0", "1.1"]);
    until("idle passes", || server.ended("success").len() >= 3);
    assert_eq!(rig.states(), ["video 1.0 succeeded", "video 1.1 succeeded"]);
    assert!(server.children().len() <= 1);
}

#[test]
fn without_polling_only_a_request_starts_a_pass() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let server = Server::idle(&rig);
    // As long as a server with the shortest polling takes for its first passes.
    let others = Rig::new();
    let polling = Server::start(&others, &["-g", "1"]);
    until("passes of another", || polling.ended("success").len() >= 2);
    assert_eq!(server.started(), [""; 0]);
    assert_eq!(
        server.request("GET", "/v1.0/health").unwrap(),
        (200, String::new())
    );
    let (pass, state) = server.force();
    assert_eq!(state, "started");
    until("its end", || server.ended("success") == [pass.as_str()]);
    assert_eq!(rig.posted(), ["1.0"]);
    assert_eq!(server.children(), [0; 0]);
}

#[test]
fn two_hundred_requests_are_one_pass_that_runs_and_one_that_follows() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("", Fault::Gate(gate.clone()), Some(1));
    let server = Server::idle(&rig);
    let answers: Vec<(String, String)> = std::thread::scope(|scope| {
        let ask = || server.force();
        let all: Vec<_> = (0..200).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    gate.open();
    let with = |state: &str| -> BTreeSet<&str> {
        let these = answers.iter().filter(|(_, s)| s == state);
        these.map(|(pass, _)| pass.as_str()).collect()
    };
    let (started, queued) = (with("started"), with("queued"));
    assert_eq!((started.len(), queued.len()), (1, 1));
    assert_eq!(answers.iter().filter(|(_, s)| s == "started").count(), 1);
    let expected: Vec<&str> = started.into_iter().chain(queued).collect();
    until("both", || server.ended("success") == expected);
    // The next one that starts is one that is asked for now.
    let (next, state) = server.force();
    assert_eq!(state, "started");
    until("its end", || server.ended("success").contains(&next));
    assert_eq!(server.started(), [&expected[..], &[&next]].concat());
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn a_report_is_found_under_the_id_that_was_answered() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let server = Server::idle(&rig);
    let (pass, _) = server.force();
    until("its end", || server.ended("success") == [pass.as_str()]);
    let (status, body) = server
        .request("GET", &format!("/v1.0/passes/{pass}"))
        .unwrap();
    assert_eq!(status, 200, "{body}");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["pass"], pass.as_str());
    assert_eq!(report["summary"]["deployed"], 1);
}

#[test]
fn a_pass_finds_its_options_in_its_environment_and_no_secret_in_its_arguments() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("", Fault::Gate(gate.clone()), Some(1));
    let line = [
        "serve",
        "-H",
        "127.0.0.1",
        "-p",
        "0",
        "-g",
        "0",
        "-k",
        TOKEN,
        "--app",
        "v*",
    ];
    let mut command = rig.std_command(&line);
    command
        .env_remove("COREOS_DEPLOY_TOKEN")
        .env("AWS_SECRET_ACCESS_KEY", "canary");
    let server = Server::of(&rig, &mut command);
    let (pass, _) = server.force();
    let child = server.child();
    // Between fork and exec a child looks like its parent.
    until("its first request", || {
        !rig.artifactory.requests().is_empty()
    });
    let read = |name: &str| -> std::io::Result<Vec<String>> {
        let bytes = fs::read(format!("/proc/{child}/{name}"))?;
        let text = String::from_utf8(bytes).unwrap();
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    };
    let arguments = read("cmdline").unwrap();
    let expected = [
        "run",
        "--output",
        "json",
        "--stop-at-eof",
        "--pass-id",
        &pass,
    ];
    assert_eq!(arguments[1..], expected);
    let environment = read("environ");
    gate.open();
    // The memory of a pass is its own: none but root can look.
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(environment.is_ok(), is_root);
    let Ok(environment) = environment else { return };
    for pair in [
        &format!("CAM_DEPLOY_TOKEN={TOKEN}"),
        &format!("CAM_ART_PASSWORD={PASSWORD}"),
        "CAM_APP=v*",
        "CAM_DOMAIN=example.com",
    ] {
        assert!(
            environment.iter().any(|p| p == pair),
            "{pair}: {environment:#?}"
        );
    }
    assert!(
        !environment
            .iter()
            .any(|p| p.contains("canary") || p.starts_with("CAM_PORT"))
    );
    until("its end", || server.ended("success") == [pass.as_str()]);
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn what_a_pass_cannot_do_is_a_result_and_the_server_goes_on() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let server = Server::idle(&rig);
    rig.artifactory.stop_listening();
    assert_eq!(server.pass(), "unavailable");
    assert!(
        !server.lines_with("error: ").is_empty(),
        "{:#?}",
        server.log()
    );
    rig.artifactory.resume();
    rig.deploy.set_token("another");
    assert_eq!(server.pass(), "credentials");
    rig.deploy.set_token(TOKEN);
    assert_eq!(server.pass(), "success");
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn a_pass_that_the_lease_refuses_is_no_error_of_the_server() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let server = Server::idle(&rig);
    let other = rig.spawn(&["run"]);
    until("the other pass", || rig.posted() == ["1.0"]);
    assert_eq!(server.pass(), "try_later");
    rig.deploy.deploy_takes(Duration::ZERO);
    let other = crate::support::Ran::wait(other);
    assert_eq!(other.code, Some(0), "{other:#?}");
    assert_eq!(server.pass(), "success");
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn a_relative_ledger_is_the_same_one_in_every_pass() {
    let (rig, file) = Rig::on_sqlite();
    rig.publish("video", "1.0");
    let line = ["serve", "-H", "127.0.0.1", "-p", "0", "-g", "0"];
    let mut command = replaced::command(&rig, "dsn", "ledger.db", &line);
    command.current_dir(rig.path());
    let server = Server::of(&rig, &mut command);
    assert_eq!(server.pass(), "success");
    assert_eq!(rig.states(), ["video 1.0 succeeded"]);
    assert!(file.exists());
}

#[test]
fn a_ledger_that_is_not_there_yet_keeps_no_server_from_starting() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let folder = rig.path().join("state");
    fs::write(&folder, "in the way").unwrap();
    let dsn = folder.join("ledger.db").display().to_string();
    let line = ["serve", "-H", "127.0.0.1", "-p", "0", "-g", "1"];
    let mut command = replaced::command(&rig, "dsn", &dsn, &line);
    let server = Server::of(&rig, &mut command);
    assert_eq!(server.request("GET", "/v1.0/health").unwrap().0, 200);
    assert!(!server.lines_with("error: ").is_empty());
    until("passes that fail", || {
        server.ended("unavailable").len() >= 2
    });
    assert_eq!(server.ended("success"), [""; 0]);
    fs::remove_file(&folder).unwrap();
    until("the deploy", || !server.ended("success").is_empty());
    assert_eq!(rig.posted(), ["1.0"]);
}
