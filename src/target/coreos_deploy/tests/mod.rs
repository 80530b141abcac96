//! The client against a scripted server.

mod server;
mod submission;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::TcpListener;

use super::*;
use crate::error::Kind;
use crate::mask::Masker;
use crate::model::request::DeployRequest;
use crate::model::units::{running_now, suffixes};
use server::{Script, Server, reply};

const TOKEN: &str = "D3Pl0Y-T0Ken";
const ID: &str = "2777AB74-BA51-4449-9723-06D20AE05EDA";
const INFO: &str = r#"{"options":{"domain":"example.com","environment":"development"}}"#;

fn client(url: &str) -> CoreosDeploy {
    let config = DeployConfig {
        url: url.to_owned(),
        token: Some(Secret::new(TOKEN.into())),
        timeout: Duration::from_secs(60),
        unknown_hold: None,
        skip_scope_check: false,
    };
    let http = HttpConfig {
        connect_timeout: Duration::from_secs(3),
        masker: Masker::new([(None, &Secret::new(TOKEN.into()))]),
        ..HttpConfig::default()
    };
    let mut client = CoreosDeploy::new(&config, &http).unwrap();
    client.limits = Limits {
        info: Duration::from_millis(500),
        reply: Duration::from_millis(800),
        quiet_answer: Duration::from_millis(500),
        quiet_gap: Duration::from_millis(20),
    };
    client
}

/// An address that refuses connections.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn request() -> DeployRequest {
    DeployRequest {
        service_name: "app".into(),
        version: "1.0".into(),
        num_instances: 2,
        service_template: "[Unit]\n".into(),
        etcd2_keys: BTreeMap::from([("/k".into(), "v".into())]),
    }
}

#[test]
fn a_get_has_the_same_headers() {
    let server = Server::of(reply("200 OK", INFO));
    assert!(matches!(client(&server.url).info(), Probe::Answered(_)));
    let text = server.requests()[0].1.to_ascii_lowercase();
    for line in [
        "get /v1.0/info http/1.1\r\n",
        "\r\naccept: application/json\r\n",
        "\r\ncontent-type: application/json\r\n",
        "\r\nauthorization: bearer ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[test]
fn every_request_has_a_connection_of_its_own() {
    let body = format!(r#"{{"deployID":"{ID}"}}"#);
    let server = Server::start(vec![Script::KeepOpen(reply("200 OK", &body))]);
    let client = client(&server.url);
    for _ in 0..2 {
        let _ = client.status(ID, "app", "1.0");
        assert_eq!(client.submit(&request()), Submission::Accepted(ID.into()));
    }
    let connections: Vec<usize> = server.requests().iter().map(|(n, _)| *n).collect();
    assert_eq!(connections, [0, 1, 2, 3]);
}

#[test]
fn info_tells_busy_from_unusable() {
    let answer = |script: Script| client(&Server::start(vec![script]).url).info();
    let send = |status: &str, body: &str| answer(Script::Send(reply(status, body)));
    let expected = Info {
        domain: "example.com".into(),
        environment: "development".into(),
        shown: "example.com development".into(),
    };
    assert_eq!(send("200 OK", INFO), Probe::Answered(expected));
    for script in [
        Script::Silent,
        Script::Send(vec![]),
        Script::Send("HTTP/1.1 200".into()),
        Script::Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".into()),
        Script::KeepOpen("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".into()),
    ] {
        assert!(matches!(answer(script), Probe::Busy(_)));
    }
    let huge = "1".repeat(REPLY_LIMIT + 1);
    for (status, body, exit) in [
        ("401 x", "Invalid authorization.", Kind::Credentials),
        ("403 x", "", Kind::Credentials),
        ("404 x", "", Kind::Unavailable),
        ("500 x", INFO, Kind::Unavailable),
        ("503 x", "", Kind::Unavailable),
        ("301 x\r\nLocation: /", "", Kind::Usage),
        ("200 OK", "<html>", Kind::Unavailable),
        ("200 OK", "{}", Kind::Unavailable),
        ("200 OK", &huge, Kind::Unavailable),
    ] {
        match send(status, body) {
            Probe::Failed(error) => {
                assert_eq!(error.kind, exit, "{status}");
                let names_token = error.hint.is_some_and(|h| h.contains("--deploy-token"));
                assert_eq!(names_token, exit == Kind::Credentials, "{status}");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    let mail = Script::Send("220 mail ready\r\n\r\n".into());
    assert!(matches!(answer(mail), Probe::Failed(e) if e.kind == Kind::Unavailable));
    assert!(matches!(client(&refusing()).info(), Probe::Failed(e) if e.kind == Kind::Unavailable));
}

#[test]
fn quiet_is_three_answers() {
    let good = Script::Send(reply("200 OK", INFO));
    let server = Server::start(vec![good.clone()]);
    assert!(client(&server.url).is_quiet(&|| false));
    assert_eq!(server.requests().len(), 3);

    let server = Server::start(vec![good.clone(), Script::Send(vec![]), good.clone()]);
    assert!(!client(&server.url).is_quiet(&|| false));
    assert_eq!(server.requests().len(), 2);

    let server = Server::start(vec![good]);
    let asked = Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 1
    };
    assert!(!client(&server.url).is_quiet(&cancelled));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn units_are_asked_for_by_an_escaped_pattern() {
    let map = r#"{"machines":[{"machine":"m","units":[{"unit":"app-1.0+b-abcdefgh@A1.service","hash":"h","active":"active","load":"loaded","sub":"running"}]}]}"#;
    let server = Server::of(reply("200 OK", map));
    let units = client(&server.url).units("app").unwrap();
    assert_eq!(suffixes(&units), ["abcdefgh"]);
    assert_eq!(running_now(&units), 1);
    let path = r"GET /v1.0/cluster_map?uq=%28%5E%7C%5Cs%29app-.%2B-%5Ba-z0-9%5D%7B8%7D%40%5BAB%5D%5B0-9%5D%2B%5C.service%28%5Cs%7C%24%29 HTTP/1.1";
    assert_eq!(server.requests()[0].1.lines().next(), Some(path));
}

#[test]
fn a_cluster_that_cannot_be_read_is_an_error() {
    for (bytes, exit) in [
        (vec![], Kind::Unavailable),
        (
            reply("406 Not Acceptable", "Invalid query string."),
            Kind::Unavailable,
        ),
        (reply("500 x", r#"{"machines":[]}"#), Kind::Unavailable),
        (reply("401 x", ""), Kind::Credentials),
        (reply("200 OK", "{}"), Kind::Unavailable),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"machines\":[]}".to_vec(),
            Kind::Unavailable,
        ),
    ] {
        assert_eq!(
            client(&Server::of(bytes).url)
                .units("app")
                .unwrap_err()
                .kind,
            exit
        );
    }
}

#[test]
fn a_status_counts_only_in_a_whole_200() {
    let good = format!(r#"{{"deployID":"{ID}","serviceName":"app","version":"1.0","status":2}}"#);
    let read = |bytes: Vec<u8>| {
        let server = Server::of(bytes);
        let status = client(&server.url).status(ID, "app", "1.0");
        assert!(
            server.requests()[0]
                .1
                .starts_with(&format!("GET /v1.0/status/{ID} "))
        );
        status
    };
    assert_eq!(read(reply("200 OK", &good)), Status::Succeeded);
    let no_rows = format!(r#"{{"id":{ID},"error":"sql: no rows in result set"}}"#);
    assert_eq!(read(reply("200 OK", &no_rows)), Status::NoRows);
    let failed = good.replace(":2}", r#":3,"message":"no\u001b[31m unit"}"#);
    assert_eq!(
        read(reply("200 OK", &failed)),
        Status::Failed("no\\u{1b}[31m unit".into())
    );
    let huge = format!("{good}{}", " ".repeat(REPLY_LIMIT));
    for bytes in [
        vec![],
        reply("500 x", &good),
        reply("500 x", &no_rows),
        reply("401 x", &good),
        reply("301 x\r\nLocation: /", &good),
        reply("202 x", &good),
        reply("200 OK", &huge),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{good}").into_bytes(),
    ] {
        assert!(matches!(read(bytes), Status::Inconclusive(_)));
    }
    let silent = Server::start(vec![Script::Silent]);
    assert!(matches!(
        client(&silent.url).status(ID, "app", "1.0"),
        Status::Inconclusive(_)
    ));
    assert!(matches!(
        client(&refusing()).status(ID, "app", "1.0"),
        Status::Inconclusive(_)
    ));
    for no_id in ["", ".", ".."] {
        assert!(matches!(
            client(&silent.url).status(no_id, "app", "1.0"),
            Status::Inconclusive(_)
        ));
    }
    assert_eq!(silent.requests().len(), 1);
}

#[test]
fn the_token_is_in_no_text() {
    let echo = format!("you sent Authorization: Bearer {TOKEN}");
    let mut texts = Vec::new();
    for status in [
        "200 OK", "301 x", "400 x", "401 x", "406 x", "429 x", "500 x",
    ] {
        for body in [
            echo.clone(),
            format!(
                r#"{{"deployID":"{ID}","serviceName":"app","version":"1.0","status":3,"message":"{echo}"}}"#
            ),
        ] {
            let server = Server::of(reply(status, &body));
            let client = client(&server.url);
            texts.push(format!("{:?}", client.info()));
            texts.push(format!("{:?}", client.units("app")));
            texts.push(format!("{:?}", client.submit(&request())));
            texts.push(format!("{:?}", client.status(ID, "app", "1.0")));
            texts.push(format!("{client:?}"));
            assert!(server.requests()[0].1.contains(TOKEN));
        }
    }
    assert!(texts.iter().any(|t| t.contains("Bearer ***")));
    for text in texts {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[test]
fn a_token_that_no_header_can_hold_is_a_usage_error() {
    let error = headers(Some(&Secret::new("hunter2\n".into()))).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn no_question_outlives_the_end_of_the_pass_by_more_than_a_second() {
    let silent = Server::start(vec![Script::Silent]);
    let mut client = client(&silent.url);
    let long = Duration::from_secs(60);
    client.limits = Limits {
        info: long,
        reply: long,
        quiet_answer: long,
        quiet_gap: Duration::ZERO,
    };
    let hand = crate::clock::testing::Hand::shared();
    client.until(Deadline::new(hand, Duration::ZERO));
    let started = Instant::now();
    assert!(matches!(client.info(), Probe::Busy(_)));
    assert!(client.units("app").is_err());
    let unknown = client.status(ID, "app", "1.0");
    assert!(matches!(unknown, Status::Inconclusive(_)));
    assert!(!client.is_quiet(&|| false));
    assert!(started.elapsed() < long / 4, "{:?}", started.elapsed());
}
