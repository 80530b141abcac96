//! A coreos-deploy that does not take the deploy.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use simulator::Fault;

use crate::support::{Rig, TOKEN, app, until};

#[test]
fn nothing_is_sent_to_another_scope() {
    for (domain, environment) in [
        ("example.com", "production"),
        ("example.org", "development"),
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0.0");
        rig.deploy.set_scope(domain, environment);
        let ran = rig.run(&["run"]);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains(domain) && ran.stderr.contains(environment));
        assert!(rig.posted().is_empty());
        assert!(rig.states().is_empty());
        let ran = rig.run(&["run", "--skip-scope-check"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(rig.posted(), ["1.0.0"]);
    }
}

/// Begins a deploy as another client would, and leaves the reply unread.
pub fn deploy_of_somebody_else(rig: &Rig) -> TcpStream {
    let before = rig.deploy.runs().len();
    let url = rig.deploy.url();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
    let body =
        r#"{"serviceName":"x","version":"1","numInstances":1,"serviceTemplate":"","etcd2Keys":{}}"#;
    let head = format!(
        "POST /v1.0/deploy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .expect("it reads");
    until("the other deploy runs", || rig.deploy.runs().len() > before);
    stream
}

#[test]
fn a_busy_coreos_deploy_is_left_alone() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.deploy_takes(Duration::from_secs(120));
    let _stream = deploy_of_somebody_else(&rig);
    rig.deploy.reset_requests();
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(75), "{ran:#?}");
    assert!(ran.stderr.contains("busy"), "{ran:#?}");
    assert!(rig.posted().is_empty());
    assert!(rig.states().is_empty());
}

#[test]
fn an_unreachable_or_broken_coreos_deploy_is_69_and_uses_up_no_attempt() {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    rig.deploy.stop_listening();
    assert_eq!(rig.run(&["run"]).code, Some(69));
    rig.deploy.resume();
    rig.deploy.fault("/v1.0/info", Fault::Status(503), Some(1));
    assert_eq!(rig.run(&["run"]).code, Some(69));
    rig.deploy.fault("/v1.0/info", Fault::Html200, Some(1));
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(69), "{ran:#?}");
    assert!(rig.states().is_empty());
    let ran = rig.run(&["run", "--max-attempts", "1"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn refused_credentials_end_the_pass() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    rig.deploy.set_token("another");
    assert_eq!(rig.run(&["run"]).code, Some(77));
    assert!(rig.posted().is_empty());
    rig.deploy.set_token(TOKEN);
    // What was refused last is tried last.
    for (status, first, other) in [(401, "audio", "video"), (403, "video", "audio")] {
        rig.forget();
        rig.deploy
            .fault("/v1.0/deploy", Fault::Status(status), Some(1));
        let report = rig.json(&["run", "--max-attempts", "1"], 77);
        assert_eq!(app(&report, first)["outcome"], "refused", "{status}");
        assert_eq!(app(&report, other)["outcome"], serde_json::Value::Null);
        assert_eq!(rig.posted().len(), 1);
    }
    // They were no attempts that count.
    let report = rig.json(&["run", "--max-attempts", "1"], 0);
    assert_eq!(report["summary"]["deployed"], 2);
}

#[test]
fn what_the_reply_to_the_post_is_taken_for() {
    let elsewhere = vec![("Location".to_owned(), "/v1.0/elsewhere".to_owned())];
    let cases = [
        (Fault::Status(400), 1, "refused"),
        (Fault::Status(404), 1, "refused"),
        (Fault::Status(405), 1, "refused"),
        (Fault::Status(415), 1, "refused"),
        (
            // Every deploy would be answered so: the pass ends.
            Fault::StatusWith(307, elsewhere, String::new()),
            2,
            "refused",
        ),
        (Fault::Status(500), 4, "unknown"),
        (Fault::Status(502), 4, "unknown"),
        (Fault::Drop, 4, "unknown"),
    ];
    for (fault, code, outcome) in cases {
        let what = format!("{fault:?}");
        let rig = Rig::new();
        rig.publish("audio", "1.0.0");
        rig.deploy.fault("/v1.0/deploy", fault, Some(1));
        let report = rig.json(&["run"], code);
        assert_eq!(app(&report, "audio")["outcome"], outcome, "{what}");
        assert_eq!(rig.posted(), ["1.0.0"], "{what}");
        let requests = rig.deploy.requests();
        let followed = requests.iter().any(|r| r.path.contains("elsewhere"));
        assert!(!followed, "{what}");
    }
}

#[test]
fn a_refused_deploy_counts_waits_and_is_given_up() {
    let rig = Rig::new();
    rig.publish("audio", "1.0.0");
    rig.publish("video", "1.0.0");
    rig.deploy
        .fault("/v1.0/deploy", Fault::Status(400), Some(1));
    // The other app goes on.
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "audio")["outcome"], "refused");
    assert_eq!(app(&report, "video")["outcome"], "succeeded");
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "audio")["action"], "waiting");
    let report = rig.json(&["run", "--max-attempts", "1"], 1);
    assert_eq!(app(&report, "audio")["action"], "given-up");
    assert_eq!(rig.posted().len(), 2);
}
