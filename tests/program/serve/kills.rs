//! `kill -9` of a pass, of the server, and of both: no zombie, no second deploy, and the next
//! request for a pass works.

use std::time::Duration;

use rustix::process::Signal;

use super::server::{Server, is_alive};
use crate::support::{Rig, kill, until};

/// A server in whose pass a deploy runs until [`settles`], and the process of that pass.
fn in_mid_deploy(rig: &Rig) -> (Server, u32) {
    rig.deploy.deploy_takes(Duration::from_secs(600));
    rig.publish("video", "1.0");
    let server = Server::idle(rig);
    server.force();
    let child = server.child();
    until("the POST", || rig.posted() == ["1.0"]);
    (server, child)
}

/// Asks for passes until the deploy is settled: it was made once.
fn settles(rig: &Rig, server: &Server) {
    rig.deploy.deploy_takes(Duration::ZERO);
    until("the deploy's outcome", || server.pass() == "success");
    assert_eq!(server.children(), [0; 0]);
    assert_eq!(rig.posted(), ["1.0"]);
    let states = rig.states();
    assert_eq!(states.len(), 1, "{states:?}");
    assert!(
        ["video 1.0 succeeded", "video 1.0 observed"].contains(&states[0].as_str()),
        "{states:?}"
    );
    rig.publish("video", "1.1");
    assert_eq!(server.pass(), "success");
    assert_eq!(rig.posted(), ["1.0", "1.1"]);
}

#[test]
fn of_the_pass() {
    let rig = Rig::new();
    let (server, child) = in_mid_deploy(&rig);
    kill(child, Signal::KILL);
    server.until_logged(" ended: killed, no exit code");
    assert_eq!(server.children(), [0; 0]);
    settles(&rig, &server);
}

#[test]
fn of_the_server() {
    let rig = Rig::new();
    let (mut server, child) = in_mid_deploy(&rig);
    server.signal(Signal::KILL);
    server.wait();
    rig.deploy.deploy_takes(Duration::ZERO);
    until("the orphan ends by itself", || !is_alive(child));
    let server = Server::idle(&rig);
    settles(&rig, &server);
}

#[test]
fn of_both() {
    let rig = Rig::new();
    let (mut server, child) = in_mid_deploy(&rig);
    server.signal(Signal::KILL);
    kill(child, Signal::KILL);
    server.wait();
    until("the pass is gone", || !is_alive(child));
    let server = Server::idle(&rig);
    settles(&rig, &server);
}
