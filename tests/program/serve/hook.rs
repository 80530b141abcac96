//! Artifactory's webhook, from an event to the deploy.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use simulator::{Fault, Gate};

use super::server::Server;
use crate::support::{Rig, until};

const SECRET: &str = "h00k-s3cret-0f-a-test";
/// What the button "Test" sends.
const EVENT: &str = r#"{"domain":"artifact","event_type":"deployed","data":{"repo_key":"sample_repo","path":"sample_dir/sample_art","name":"sample_art","sha256":"","size":0}}"#;

/// Posts an event and gives the answer.
fn post(server: &Server, shown: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("a connection");
    write!(
        stream,
        "POST /v1.0/hook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-JFrog-Event-Auth: {shown}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{EVENT}",
        EVENT.len()
    )
    .expect("the event is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn signature(secret: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    let bytes = mac.chain_update(EVENT).finalize().into_bytes();
    let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
    hex.collect::<Vec<String>>().concat()
}

#[test]
fn an_event_leads_to_the_deploy_and_its_secret_goes_nowhere() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let gate = Gate::default();
    rig.artifactory
        .fault("", Fault::Gate(gate.clone()), Some(1));
    let file = rig.path().join("hook-secret");
    // As an editor leaves it.
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.to_str().unwrap();
    let server = Server::start(&rig, &["-g", "0", "--hook-secret-file", path]);
    for wrong in [SECRET, &signature("another"), ""] {
        assert!(post(&server, wrong).starts_with("HTTP/1.1 401 "));
    }
    assert_eq!(server.started(), [""; 0]);
    assert!(post(&server, &signature(SECRET)).contains("\"state\":\"started\""));
    let environment = fs::read(format!("/proc/{}/environ", server.child())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("HOOK"));
    // Sent again while that pass runs: one more follows, and no more than one.
    for _ in 0..5 {
        assert!(post(&server, &signature(SECRET)).contains("\"state\":\"queued\""));
    }
    gate.open();
    until("both passes", || server.ended("success").len() == 2);
    assert_eq!(rig.posted(), ["1.0"]);
    assert_eq!(server.started().len(), 2);
    let log = server.log().join("\n");
    for hidden in [SECRET, &signature(SECRET), &signature("another")] {
        assert!(!log.contains(hidden), "{log}");
    }
    let refused = server.lines_with("/v1.0/hook");
    let refused = refused
        .iter()
        .filter(|line| line.contains("status=401 bytes"))
        .count();
    assert_eq!(refused, 1, "{log}");
}

#[test]
fn the_secret_may_be_a_credential_and_must_be_usable() {
    let rig = Rig::new();
    let credentials = rig.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("hook-secret"), SECRET).unwrap();
    let mut command = rig.std_command(&["serve", "-H", "127.0.0.1", "-p", "0", "-g", "0"]);
    command.env("CREDENTIALS_DIRECTORY", &credentials);
    command.env("CAM_HOOK_AUTH", "plain");
    let server = Server::of(&rig, &mut command);
    assert!(post(&server, &signature(SECRET)).starts_with("HTTP/1.1 401 "));
    assert!(post(&server, SECRET).starts_with("HTTP/1.1 200 "));
    drop(server);
    let refused = rig.run(&["serve", "-p", "0", "--hook-secret", ""]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--hook-secret"),
        "{}",
        refused.stderr
    );
}
