//! How a server begins and ends, and `health`.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::server::{Server, is_alive};
use crate::support::{Ran, Rig, kill, until};

#[test]
fn a_signal_is_how_a_server_ends() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let rig = Rig::new();
        let mut server = Server::start(&rig, &[]);
        until("the first pass", || !server.ended("success").is_empty());
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    }
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let rig = Rig::new();
    let mut server = Server::unheard(&rig, &["-g", "0", "-d"]);
    for _ in 0..3 {
        assert_eq!(server.request("GET", "/v1.0/nope").unwrap().0, 404);
        assert_eq!(server.request("GET", "/v1.0/info").unwrap().0, 200);
    }
    rig.publish("video", "1.0");
    server.force();
    until("the deploy", || rig.states() == ["video 1.0 succeeded"]);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_pass_that_runs_ends_in_good_order() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let mut server = Server::idle(&rig);
    server.force();
    let child = server.child();
    until("the POST", || rig.posted() == ["1.0"]);
    server.signal(Signal::TERM);
    // A service manager may send it to the pass as well; that is no second signal.
    kill(child, Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!is_alive(child));
    let ended = server.lines_with(" ended: ");
    assert!(
        ended[0].contains("ended: interrupted, exit code 143"),
        "{ended:?}"
    );
    rig.deploy.deploy_takes(Duration::ZERO);
    until("the outcome", || {
        rig.run(&["run", "--unknown-hold", "1s"]).code == Some(0)
    });
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn a_terminal_that_closes_ends_server_and_pass_in_good_order() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let mut server = Server::idle(&rig);
    server.force();
    let child = server.child();
    until("the POST", || rig.posted() == ["1.0"]);
    // A shell and the kernel both send it.
    kill(child, Signal::HUP);
    server.signal(Signal::HUP);
    server.until_logged("SIGHUP: ending what runs");
    server.signal(Signal::HUP);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!is_alive(child));
    let ended = server.lines_with(" ended: ");
    assert!(
        ended[0].contains("ended: interrupted, exit code 143"),
        "{ended:?}"
    );
    assert_eq!(rig.states(), ["video 1.0 submitted"]);
}

#[test]
fn a_server_under_nohup_outlives_its_terminal() {
    let rig = Rig::new();
    let usual = rig.std_command(&["serve", "-H", "127.0.0.1", "-p", "0", "-g", "0"]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(usual.get_program())
        .args(usual.get_args())
        .env_clear()
        .envs(usual.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let mut server = Server::of(&rig, &mut command);
    server.signal(Signal::HUP);
    assert_eq!(server.request("GET", "/v1.0/health").unwrap().0, 200);
    assert_eq!(server.pass(), "success");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.lines_with("SIGHUP"), [""; 0]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let mut server = Server::idle(&rig);
    server.force();
    let child = server.child();
    until("the POST", || rig.posted() == ["1.0"]);
    // A pass that is stopped cannot end.
    kill(child, Signal::STOP);
    server.signal(Signal::TERM);
    server.until_logged("ending what runs");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(143));
    kill(child, Signal::CONT);
    until("the orphan ends by itself", || !is_alive(child));
}

#[test]
fn a_pass_that_does_not_end_is_killed_in_time() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let mut server = Server::idle(&rig);
    server.force();
    let child = server.child();
    until("the POST", || rig.posted() == ["1.0"]);
    kill(child, Signal::STOP);
    let begun = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(begun.elapsed() > Duration::from_secs(15));
    assert!(!is_alive(child));
    assert_eq!(server.ended("killed").len(), 1);
}

#[test]
fn an_incomplete_configuration_is_exit_2_before_anything_happens() {
    let rig = Rig::new();
    for line in [
        &["-N", "a\nb"][..],
        &["-L", "70000"],
        &["-g", "1ms"],
        &["-H", ""],
        &["--jobs", "0"],
        &["--ca-file", "/nonexistent"],
        &["--art-token", "x"],
    ] {
        let ran = rig.run(&[&["serve", "-p", "0"], line].concat());
        assert_eq!(ran.code, Some(2), "{line:?}: {ran:#?}");
    }
    for missing in ["-O", "-a", "-t", "-s"] {
        let command = rig.std_command(&["serve", "-p", "0"]);
        let mut line: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let at = line.iter().position(|a| a == missing).unwrap();
        line.drain(at..at + 2);
        let mut command = std::process::Command::new(command.get_program());
        command.env_clear().env("HOME", rig.path()).args(line);
        command
            .env("CAM_ART_USERID", "u")
            .env("CAM_ART_PASSWORD", "p");
        let ran = Ran::of(&command.output().unwrap());
        assert_eq!(ran.code, Some(2), "{missing}: {ran:#?}");
    }
    assert!(rig.is_untouched());
}

#[test]
fn a_port_that_is_taken_is_exit_69() {
    let rig = Rig::new();
    let server = Server::idle(&rig);
    let port = server.port.to_string();
    let ran = rig.run(&["serve", "-H", "127.0.0.1", "-p", &port]);
    assert_eq!(ran.code, Some(69), "{ran:#?}");
    assert!(
        ran.stderr
            .contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains("hint: "), "{ran:#?}");
}

#[test]
fn health_asks_the_server_and_nobody_else() {
    let rig = Rig::new();
    let mut server = Server::idle(&rig);
    let port = server.port.to_string();
    let health = |host: &str| {
        let mut command =
            std::process::Command::new(env!("CARGO_BIN_EXE_coreos-artifactory-monitor"));
        command.env_clear().env("HOME", rig.path());
        command
            .env("CAM_PORT", &port)
            .env("http_proxy", "http://127.0.0.1:1");
        Ran::of(&command.args(["health", "-H", host]).output().unwrap())
    };
    for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
        let ran = health(host);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (Some(0), "", "")
        );
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().signal(), None);
    let ran = health("127.0.0.1");
    assert_eq!(ran.code, Some(69), "{ran:#?}");
    assert!(
        ran.stderr.contains(&format!(
            "http://127.0.0.1:{port}/v1.0/health is not healthy"
        )),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains("nothing listens there"), "{ran:#?}");
    let ran = health("no-such-host.invalid");
    assert_eq!(ran.code, Some(69), "{ran:#?}");
    assert!(
        ran.stderr.contains("the host name does not resolve"),
        "{ran:#?}"
    );
    assert_eq!(rig.run(&["health", "-p", "0"]).code, Some(2));
}

#[test]
fn the_options_of_an_old_command_line_stand_on_either_side_of_the_word() {
    let rig = Rig::new();
    let old = [
        "-N",
        "San Francisco",
        "-H",
        "127.0.0.1",
        "-g",
        "600",
        "-p",
        "0",
        "-X",
        "2",
        "-L",
        "-1",
    ];
    let before: Vec<&str> = old.iter().copied().chain(["serve"]).collect();
    let after: Vec<&str> = ["serve"].into_iter().chain(old).collect();
    for line in [before, after] {
        let server = Server::of(&rig, &mut rig.std_command(&line));
        until("the first pass", || server.ended("success").len() == 1);
    }
}
