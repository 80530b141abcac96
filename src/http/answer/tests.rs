use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

const ARTIFACTORY: Peer = Peer::Artifactory {
    has_credentials: true,
    address_hint: "check --art-endpoint",
};
const MISSING: &str = r#"{"errors":[{"status":404,"message":"Unable to find item"}]}"#;

fn answer(peer: Peer, status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut reply = axum::http::Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(*name, *value);
    }
    let reply = Response::from(reply.body(body.to_owned()).unwrap());
    Answer::read(peer, reply, &HttpConfig::default())
}

#[test]
fn a_status_says_whether_to_ask_again() {
    let page = [("content-type", "text/html"), ("retry-after", "7")];
    for status in [408, 429, 500, 502, 503] {
        for headers in [&page[..], &page[1..]] {
            let wait = answer(ARTIFACTORY, status, headers, "").meaning.wait();
            assert_eq!(wait, Some(Duration::from_secs(7)), "{status}");
        }
    }
    for status in [302, 400, 401, 405, 407, 415] {
        let meaning = answer(ARTIFACTORY, status, &page, "").meaning;
        assert_eq!(meaning.wait(), None, "{status}");
    }
    assert_eq!(Meaning::Unreachable.wait(), Some(Duration::ZERO));
    assert_eq!(Meaning::OutOfTime.wait(), None);
}

#[test]
fn only_its_own_shape_makes_a_404_or_403_the_servers_word() {
    let own = |status: u16| format!(r#"{{"errors":[{{"status":{status},"message":"x"}}]}}"#);
    for (headers, body, is_own) in [
        (&[][..], own(404), true),
        (
            &[("content-type", "application/json"), ("server", "nginx")],
            own(404),
            true,
        ),
        (
            &[("x-jfrog-version", "Artifactory/7.23.3 72303900")],
            String::new(),
            true,
        ),
        (
            &[("x-artifactory-id", "d9b0"), ("server", "cloudflare")],
            "x".into(),
            true,
        ),
        (&[("server", "Artifactory/4.1.0")], String::new(), true),
        (
            &[("x-jfrog-version", "7"), ("content-type", "text/html")],
            String::new(),
            false,
        ),
        (
            &[("x-jfrog-version", "7")],
            "<!DOCTYPE html><title>x".into(),
            false,
        ),
        (&[], own(403), false),
        (&[], String::new(), false),
        (
            &[("content-type", "text/plain")],
            "default backend - 404".into(),
            false,
        ),
        (&[], r#"{"errors":[]}"#.into(), false),
        (&[], r#"{"errors":["no"]}"#.into(), false),
        (&[], r#"{"errors":[{"message":"x"}]}"#.into(), false),
        (
            &[],
            r#"{"errors":[{"code":"NAME_UNKNOWN","status":404,"message":"x"}]}"#.into(),
            false,
        ),
        (
            &[],
            r#"{"errors":[{"status":"404","title":"x","message":"x"}]}"#.into(),
            false,
        ),
        (&[], r#"{"status":404,"message":"x"}"#.into(), false),
        (&[("server", "Artifactorium")], "{}".into(), false),
    ] {
        let judged = answer(ARTIFACTORY, 404, headers, &body);
        assert_eq!(judged.is_own, is_own, "{headers:?} {body}");
        let expected = if is_own {
            Meaning::NotFound
        } else {
            Meaning::Foreign
        };
        assert_eq!(judged.meaning, expected, "{headers:?} {body}");
        let error = judged.error(ARTIFACTORY, "folder r/a");
        assert_eq!(error.kind, Kind::Unavailable);
        assert_eq!(
            !error.message.contains("before Artifactory"),
            is_own,
            "{error:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn each_error_names_the_culprit_what_it_said_and_what_to_do() {
    let html = ("content-type", "text/html");
    let nginx = ("server", "nginx/1.22.1");
    for (status, headers, body, kind, words) in [
        (
            404,
            &[][..],
            MISSING,
            Kind::Unavailable,
            &["Artifactory answered 404", "Unable to find item"][..],
        ),
        (
            403,
            &[("server", "cloudflare")],
            "error code: 1010",
            Kind::Unavailable,
            &[
                "something before Artifactory answered 403",
                "cloudflare: error code: 1010",
                "let it through",
            ],
        ),
        (
            400,
            &[html, nginx],
            "<title>400 No required SSL certificate was sent</title>",
            Kind::Unavailable,
            &["nginx/1.22.1: 400 No required SSL", "--client-cert"],
        ),
        (
            400,
            &[html, nginx],
            "<title>400 The plain HTTP request was sent to HTTPS port</title>",
            Kind::Unavailable,
            &["https://"],
        ),
        (
            502,
            &[html, nginx],
            "<title>502 Bad Gateway</title>",
            Kind::Unavailable,
            &["something before", "502 Bad Gateway", "can't reach it"],
        ),
        (
            503,
            &[
                ("server", "squid/5.7"),
                ("x-squid-error", "ERR_CONNECT_FAIL 111"),
            ],
            "",
            Kind::Unavailable,
            &["squid/5.7, ERR_CONNECT_FAIL 111"],
        ),
        (
            504,
            &[("via", "1.1 proxy.example (squid/5.7)")],
            "",
            Kind::Unavailable,
            &["proxy.example"],
        ),
        (
            401,
            &[html, nginx, ("www-authenticate", "Basic realm=\"staff\"")],
            "",
            Kind::Credentials,
            &[
                "something before Artifactory answered 401",
                "nginx/1.22.1, Basic realm=\"staff\"",
                "ask who runs it",
            ],
        ),
        (
            401,
            &[],
            r#"{"errors":[{"status":401,"message":"Bad credentials"}]}"#,
            Kind::Credentials,
            &[
                "x: Artifactory refused the credentials (401)",
                "Bad credentials",
                "--art-userid",
            ],
        ),
        (407, &[], "", Kind::Unavailable, &["407", "USER:PASSWORD"]),
        (
            302,
            &[("location", "https://login.example/auth?sig=hunter2")],
            "",
            Kind::Unavailable,
            &[
                "something before",
                "it redirects to https://login.example",
                "login page",
            ],
        ),
        (
            429,
            &[("retry-after", "3600")],
            "",
            Kind::Unavailable,
            &["429", "wait for 1h", "1m", "less often"],
        ),
        (
            404,
            &[("x-artifactory-id", "1")],
            "The repository 'x' is assumed offline",
            Kind::Unavailable,
            &["assumed offline"],
        ),
        (
            418,
            &[],
            "teapot",
            Kind::Unavailable,
            &["something before", "teapot", "--art-endpoint"],
        ),
    ] {
        let judged = answer(ARTIFACTORY, status, headers, body);
        let error = judged.error(ARTIFACTORY, "x");
        let told = format!("{} hint: {:?}", error.one_line(), error.hint);
        assert_eq!(error.kind, kind, "{told}");
        for word in words {
            assert!(told.contains(word), "{word:?} in {told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_offline_is_not_missing() {
    let headers = [("x-artifactory-id", "1")];
    let judged = answer(ARTIFACTORY, 404, &headers, "'x' is assumed offline");
    assert_eq!(judged.meaning, Meaning::Passing(Duration::ZERO));
}

#[test]
fn a_store_is_begun_again_and_named_by_its_origin() {
    let store = Peer::Store("https://s3.example");
    let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    for status in [400, 401, 403, 404, 410, 500, 503] {
        let judged = answer(store, status, &[], body);
        assert_eq!(judged.meaning, Meaning::Passing(Duration::ZERO), "{status}");
        let error = judged.error(store, "download of p/a/f");
        assert_eq!(error.kind, Kind::Unavailable, "{status}");
        assert!(error.message.contains("https://s3.example"), "{error:?}");
        assert_eq!(error.causes, ["AccessDenied: Request has expired"]);
    }
}

#[test]
fn what_answers_for_coreos_deploy_is_told_from_it() {
    let own = [
        ("server", "rig-deploy"),
        ("x-request-id", "A731C22D-5424-49F4-96AD-FC00DD48839E"),
    ];
    for (headers, body, is_own) in [
        (&own[..], "Invalid authorization.\n", true),
        (&[], "no", true),
        (&own[..1], "x", false),
        (&own, "<html>", false),
        (&[("via", "1.1 squid")], "", false),
    ] {
        let judged = answer(Peer::CoreosDeploy, 503, headers, body);
        assert_eq!(judged.is_own, is_own, "{headers:?}");
        let told = judged.told(Peer::CoreosDeploy);
        assert_eq!(
            told.starts_with("coreos-deploy answered 503"),
            is_own,
            "{told}"
        );
    }
}

#[test]
fn only_a_proxy_that_says_so_has_not_sent_a_request() {
    for (status, word, is_undelivered) in [
        (503, "ERR_CONNECT_FAIL 111", true),
        (503, "ERR_DNS_FAIL 0", true),
        (403, "ERR_ACCESS_DENIED 0", true),
        (407, "", true),
        (502, "ERR_READ_ERROR 0", false),
        (504, "ERR_READ_TIMEOUT 0", false),
        (502, "ERR_ZERO_SIZE_OBJECT 0", false),
        (503, "ERR_CONNECT_FAILING", false),
        (503, "", false),
    ] {
        let judged = answer(Peer::CoreosDeploy, status, &[("x-squid-error", word)], "");
        assert_eq!(judged.is_undelivered, is_undelivered, "{status} {word}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let wait = |text: &str| parse_retry_after(text, now);
    for (text, seconds) in [
        ("7", 7),
        (" 0 ", 0),
        ("99999999999999999999999", u64::MAX),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
        ("Sun, 06 Nov 1994 08:59:47 GMT", 610),
        ("Sun, 06 Nov 1994 08:39:47 GMT", 0),
    ] {
        assert_eq!(wait(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for text in ["soon", "", "Sun, 06 Nov 1994 08:59:47 PST", "1994-11-06"] {
        assert_eq!(wait(text), None, "{text}");
    }
    let judged = answer(
        ARTIFACTORY,
        503,
        &[("retry-after", "99999999999999999999999")],
        "",
    );
    assert!(
        judged
            .error(ARTIFACTORY, "x")
            .one_line()
            .contains("Retry-After")
    );
}

proptest! {
    #[test]
    fn no_retry_after_panics(text in "\\PC{0,40}") {
        let _ = parse_retry_after(&text, UNIX_EPOCH);
    }
}
