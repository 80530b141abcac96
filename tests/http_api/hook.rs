//! The webhook.

use coreos_artifactory_monitor::config::HookAuth;

use crate::server::{AUTHORIZATION, Answer, Server, request};

const SECRET: &str = "h00k-s3cret";
/// An event as Artifactory sends one.
const EVENT: &str = r#"{"domain":"artifact","event_type":"deployed","data":{"repo_key":"cluster-deploys-dev","path":"video/1.0.deploy","name":"1.0.deploy","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"subscription_key":"monitor","source":"jfrog/jfrt@01h"}"#;
/// What `openssl dgst -sha256 -hmac` says of it.
const SIGNATURE: &str = "908e7e7fc269a551cf78957c332f0d0e6517d929e64e893626c4e739c8dc2766";

fn send(server: &Server, shown: &str, event: &str) -> Answer {
    let shown = format!("X-JFrog-Event-Auth: {shown}");
    let length = format!("Content-Length: {}", event.len());
    let kind = "Content-Type: application/json";
    server.send(&(request("POST", "/v1.0/hook", &[kind, &shown, &length]) + event))
}

#[test]
fn a_signed_event_forces_a_pass_and_a_repeated_one_no_more() {
    let server = Server::with_hook(HookAuth::Hmac, SECRET);
    let first = send(&server, SIGNATURE, EVENT);
    assert_eq!(first.status(), 200, "{}", first.text());
    assert_eq!(first.json()["state"], "started");
    let again = [0; 3].map(|_| send(&server, SIGNATURE, EVENT).json());
    let passes = again.each_ref().map(|answer| &answer["passID"]);
    assert!(again.iter().all(|answer| answer["state"] == "queued"));
    assert!(passes.iter().all(|pass| *pass == passes[0]), "{passes:?}");
    assert_ne!(&first.json()["passID"], passes[0]);
    // It is the same queue as everybody's.
    assert_eq!(&server.get("/v1.0/force").json()["passID"], passes[0]);
    let figures = server.get("/v1.0/metrics").json();
    let of_hook = &figures["stats"]["routeStats"]["/v1.0/hook"];
    assert_eq!(of_hook["requestCount"], 4);
    assert_eq!(of_hook["requestBytes"], 4 * EVENT.len());
}

#[test]
fn what_is_not_signed_is_refused_and_starts_nothing() {
    let server = Server::with_hook(HookAuth::Hmac, SECRET);
    let changed = EVENT.replace("video", "audio");
    let prefixed = format!("sha256={SIGNATURE}");
    for (shown, event) in [
        (SIGNATURE, changed.as_str()),
        (SIGNATURE, ""),
        (SECRET, EVENT),
        (&prefixed, EVENT),
        ("", EVENT),
    ] {
        let answer = send(&server, shown, event);
        assert_eq!(answer.status(), 401, "{shown}");
        assert_eq!(answer.header("Connection"), Some("close"));
        assert_eq!(
            answer.header("Www-Authenticate"),
            Some("JFrog-Event-Auth realm=\"coreos-artifactory-monitor\"")
        );
    }
    // A token is no signature.
    let with_token = server.ask("POST", "/v1.0/hook", &[AUTHORIZATION]);
    assert_eq!(with_token.status(), 401);
    assert!(server.get("/v1.0/passes").json()["running"].is_null());
    let metrics = server.get("/metrics");
    let counted = "http_requests_total{route=\"/v1.0/hook\",method=\"POST\",code=\"401\"} 6";
    assert!(metrics.text().contains(counted), "{}", metrics.text());
}

#[test]
fn a_plain_secret_is_taken_where_that_is_configured() {
    let server = Server::with_hook(HookAuth::Plain, SECRET);
    assert_eq!(send(&server, SIGNATURE, EVENT).status(), 401);
    assert_eq!(send(&server, "h00k-s3creT", EVENT).status(), 401);
    assert_eq!(send(&server, SECRET, "{}").json()["state"], "started");
}

#[test]
fn events_are_bounded_and_posted() {
    let server = Server::with_hook(HookAuth::Plain, SECRET);
    assert_eq!(
        send(&server, SECRET, &"x".repeat(64 * 1024 + 1)).status(),
        413
    );
    let get = server.ask("GET", "/v1.0/hook", &["X-JFrog-Event-Auth: h00k-s3cret"]);
    assert_eq!((get.status(), get.header("Allow")), (405, Some("POST")));
    assert!(server.get("/v1.0/passes").json()["running"].is_null());
    assert_eq!(send(&server, SECRET, &"x".repeat(64 * 1024)).status(), 200);
}

#[test]
fn without_a_secret_there_is_no_such_route() {
    let server = Server::start();
    for shown in [SIGNATURE, SECRET, ""] {
        assert_eq!(send(&server, shown, EVENT).status(), 404);
    }
}
