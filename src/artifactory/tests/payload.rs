//! Checksums, downloads and the age of markers.

use crate::artifactory::Releases;
use crate::error::Kind;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::artifactory::tests::server::{Reply, Server, cut, json, reply, with_headers};
use crate::artifactory::{Artifactory, Checksum};
use crate::config::{ArtifactoryConfig, Credentials, HttpConfig, ListingMode};
use crate::secret::Secret;

const INFO: &str = "GET /artifactory/api/storage/p/a/a-1.0+b.tar.gz";
const DOWNLOAD: &str = "GET /artifactory/p/a/a-1.0+b.tar.gz";
const FILE: &str = "a-1.0+b.tar.gz";
const FORBIDDEN: &str = r#"{"errors":[{"status":403,"message":"Forbidden"}]}"#;
const MISSING: &str = r#"{"errors":[{"status":404,"message":"Unable to find item"}]}"#;
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn client(server: &Server) -> Artifactory {
    server.client(ListingMode::Auto)
}

fn sha256(body: &[u8]) -> Checksum {
    Checksum::Sha256(format!("{:x}", Sha256::digest(body)))
}

/// What the storage API says of these bytes.
fn info(bytes: &[u8]) -> Reply {
    let (size, checksum) = (bytes.len(), sha256(bytes));
    let checksum = checksum.as_str();
    json(
        200,
        &format!(r#"{{"size":"{size}","checksums":{{"sha256":"{checksum}"}}}}"#),
    )
}

#[test]
fn trap_12_and_13_the_checksum_of_a_file() {
    let long = "AB".repeat(32);
    for (body, expected) in [
        (
            format!(r#"{{"size":"12","checksums":{{"sha1":"{SHA1}","sha256":"{long}"}}}}"#),
            Checksum::Sha256(long.to_lowercase()),
        ),
        (
            format!(r#"{{"size":12,"checksums":{{"sha1":"{SHA1}"}}}}"#),
            Checksum::Sha1(SHA1.into()),
        ),
        (
            format!(r#"{{"checksums":{{"sha1":"{SHA1}","sha256":"../x"}}}}"#),
            Checksum::Sha1(SHA1.into()),
        ),
    ] {
        let server = Server::new(move |_, _| json(200, &body));
        assert_eq!(client(&server).checksum("a", FILE).unwrap(), Some(expected));
        assert_eq!(server.lines(), [INFO]);
    }
}

#[test]
fn what_is_no_payload_is_an_error_of_the_app() {
    for (body, exit) in [
        (r#"{"size":"8388609","checksums":{}}"#, Kind::Failed),
        (r#"{"children":[]}"#, Kind::Failed),
        (r#"{"size":"0","checksums":{}}"#, Kind::Failed),
        (r#"{"size":"1","checksums":{"md5":"x"}}"#, Kind::Failed),
        (r#"{"size":"big"}"#, Kind::Unavailable),
        ("[1]", Kind::Unavailable),
    ] {
        let server = Server::new(move |_, _| json(200, body));
        assert_eq!(
            client(&server).checksum("a", FILE).unwrap_err().kind,
            exit,
            "{body}"
        );
    }
    let server = Server::new(|_, _| json(403, FORBIDDEN));
    assert_eq!(
        client(&server).checksum("a", FILE).unwrap_err().kind,
        Kind::Failed
    );
}

#[test]
fn trap_25_a_missing_payload_is_waited_for_and_the_repository_asked_for_once() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        "GET /artifactory/api/storage/p" => json(200, r#"{"children":[]}"#),
        _ => json(404, MISSING),
    });
    let client = client(&server);
    assert_eq!(client.checksum("a", FILE).unwrap(), None);
    assert_eq!(client.checksum("b", FILE).unwrap(), None);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_missing_payload_repository_is_a_mistake_in_the_configuration() {
    let server = Server::new(|_, _| json(404, MISSING));
    let client = client(&server);
    for _ in 0..2 {
        let error = client.checksum("a", FILE).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains("--art-payload-repo"));
    }
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn trap_06_an_html_404_is_not_waited_for() {
    let server = Server::new(|_, _| reply(404, "text/html;charset=utf-8", "<html>"));
    assert_eq!(
        client(&server).checksum("a", FILE).unwrap_err().kind,
        Kind::Unavailable
    );
}

#[test]
fn trap_11_and_12_downloads_leave_the_api_out_of_the_path() {
    let server = Server::new(|_, _| reply(200, "application/x-gzip", "payload"));
    let body = client(&server)
        .download("a", FILE, &sha256(b"payload"))
        .unwrap();
    assert_eq!(body.bytes, b"payload");
    assert_eq!(server.lines(), ["GET /artifactory/p/a/a-1.0+b.tar.gz"]);
    assert!(server.asked()[0].headers.contains("authorization: basic"));
}

#[test]
fn trap_01_and_02_credentials_do_not_reach_another_origin() {
    for credentials in [
        Credentials::Basic("ci".into(), Secret::new("S3cret".into())),
        Credentials::Bearer(Secret::new("S3cret".into())),
        Credentials::ApiKey(Secret::new("S3cret".into())),
    ] {
        let storage = Server::new(|_, _| reply(200, "application/x-gzip", "payload"));
        let target = format!("{}/bucket?sig=1", storage.url);
        let origin = Server::new(move |_, _| with_headers(302, &[("Location", &target)], ""));
        let client = origin.client_as(ListingMode::Auto, credentials);
        client.download("a", FILE, &sha256(b"payload")).unwrap();
        let sent = |s: &Server| {
            let headers = s.asked()[0].headers.clone();
            headers.contains("authorization") || headers.contains("x-jfrog-art-api")
        };
        assert!(sent(&origin) && !sent(&storage));
        assert_eq!(storage.lines(), ["GET /bucket?sig=1"]);
    }
}

#[test]
fn trap_02_credentials_do_not_come_back_with_the_origin() {
    let origin_url = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let back = origin_url.clone();
    let other = Server::new(move |_, _| {
        let location = format!("{}/again", back.lock().unwrap());
        with_headers(307, &[("Location", &location)], "")
    });
    let away = other.url.clone();
    let origin = Server::new(move |asked, _| match asked.line.as_str() {
        "GET /again" => reply(200, "application/x-gzip", "payload"),
        _ => with_headers(302, &[("Location", &away)], ""),
    });
    origin_url.lock().unwrap().clone_from(&origin.url);
    client(&origin)
        .download("a", FILE, &sha256(b"payload"))
        .unwrap();
    let asked = origin.asked();
    assert!(asked[0].headers.contains("authorization"));
    assert!(!asked[1].headers.contains("authorization"));
}

#[test]
fn a_redirect_within_the_origin_keeps_the_credentials_and_a_loop_ends() {
    let server = Server::new(|_, _| with_headers(302, &[("Location", "/again")], ""));
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert!(error.message.contains("redirects"), "{error}");
    let asked = server.asked();
    assert_eq!(asked.len(), 6);
    assert!(asked.iter().all(|a| a.headers.contains("authorization")));
}

#[test]
fn trap_03_the_bytes_are_verified_and_both_checksums_named() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        INFO => info(b"payload"),
        _ => reply(200, "application/x-gzip", "tampered"),
    });
    let error = client(&server)
        .download("a", FILE, &sha256(b"payload"))
        .unwrap_err();
    assert_eq!(error.kind, Kind::Failed);
    for checksum in [sha256(b"payload"), sha256(b"tampered")] {
        assert!(error.causes[0].contains(checksum.as_str()));
    }
    assert_eq!(server.lines(), [DOWNLOAD, INFO, DOWNLOAD]);
}

#[test]
fn trap_04_and_05_a_page_is_no_payload_even_with_the_right_status() {
    let server = Server::new(|asked, _| {
        if asked.line.ends_with('/') {
            reply(200, "text/html", "<html>Index of")
        } else {
            with_headers(302, &[("Location", "a-1.0+b.tar.gz/")], "")
        }
    });
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert!(error.message.contains("HTML"), "{error}");
    let server = Server::new(|_, _| {
        with_headers(
            302,
            &[("Location", "https://landing.jfrog.com/reactivate-server/x")],
            "",
        )
    });
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert!(error.message.contains("deactivated"), "{error}");
}

#[test]
fn trap_07_a_404_or_a_cut_after_the_checksum_may_pass() {
    let server = Server::new(|_, n| match n {
        0 => json(404, MISSING),
        1 => cut("payl"),
        2 => json(502, ""),
        _ => reply(200, "application/x-gzip", "payload"),
    });
    client(&server)
        .download("a", FILE, &sha256(b"payload"))
        .unwrap();
    let server = Server::new(|_, _| json(404, MISSING));
    let error = client(&server)
        .download("a", FILE, &sha256(b"payload"))
        .unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (Kind::Unavailable, 4));
}

#[test]
fn trap_07_a_blocked_download_is_asked_for_once() {
    let server = Server::new(|_, _| {
        json(
            403,
            r#"{"errors":[{"status":403,"message":"blocked by Xray"}]}"#,
        )
    });
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert_eq!((error.kind, error.causes.len()), (Kind::Failed, 1));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_401_of_a_storage_host_is_not_about_the_credentials() {
    let storage = Server::new(|_, _| reply(401, "application/xml", "<Code>AccessDenied"));
    let target = storage.url.clone();
    let origin = Server::new(move |_, _| with_headers(302, &[("Location", &target)], ""));
    let error = client(&origin)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    let server = Server::new(|_, _| json(401, "{}"));
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (Kind::Credentials, 1));
}

#[test]
fn a_payload_over_the_limit_is_not_read_to_its_end() {
    let server = Server::new(|_, _| reply(200, "application/x-gzip", vec![0; (8 << 20) + 1]));
    let error = client(&server)
        .download("a", FILE, &sha256(b""))
        .unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (Kind::Failed, 1));
}

#[test]
fn trap_16_and_17_the_age_of_a_marker_is_by_the_clock_of_the_server() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (body, seconds) in [
        (
            r#"{"lastUpdated":"1994-11-06T09:49:07.000+01:00","lastModified":"1980-01-01T00:00:00.000Z"}"#,
            30,
        ),
        (r#"{"created":"1994-11-06T08:49:36.000Z"}"#, 1),
        (r#"{"lastUpdated":"1994-11-06T08:50:00.000Z"}"#, 0),
    ] {
        let server = Server::new(move |_, _| with_headers(200, &[("Date", date)], body));
        let age = client(&server).marker_age("a", "1.0").unwrap();
        assert_eq!(age, Duration::from_secs(seconds));
        assert_eq!(
            server.lines(),
            ["GET /artifactory/api/storage/r/a/1.0.deploy"]
        );
    }
    let server = Server::new(|_, _| json(200, "{}"));
    assert_eq!(
        client(&server).marker_age("a", "1.0").unwrap_err().kind,
        Kind::Failed
    );
    let server = Server::new(|_, _| json(404, MISSING));
    assert_eq!(
        client(&server).marker_age("a", "1.0").unwrap_err().kind,
        Kind::Failed
    );
}

#[test]
fn a_marker_is_gone_only_where_artifactory_says_so() {
    let there = r#"{"created":"1994-11-06T08:49:36.000Z","size":"0"}"#;
    for (status, kind, body, is_marked) in [
        (200, "application/json", there, Ok(true)),
        (200, "application/json", r#"{"children":[]}"#, Ok(false)),
        (404, "application/json", MISSING, Ok(false)),
        (404, "text/html", "<html>", Err(Kind::Unavailable)),
        (200, "text/html", "<html>", Err(Kind::Unavailable)),
        (200, "application/json", "{}", Err(Kind::Unavailable)),
        (200, "application/json", "[1]", Err(Kind::Unavailable)),
        (405, "application/json", "{}", Err(Kind::Unavailable)),
        (403, "application/json", FORBIDDEN, Err(Kind::Failed)),
        (401, "application/json", MISSING, Err(Kind::Credentials)),
    ] {
        let server = Server::new(move |_, _| reply(status, kind, body));
        let found = client(&server).is_marked("a", "1.0").map_err(|e| e.kind);
        assert_eq!(found, is_marked, "{status} {body}");
        // What stands before Artifactory may go away.
        let times = if (status, kind) == (404, "text/html") {
            4
        } else {
            1
        };
        let all = vec!["GET /artifactory/api/storage/r/a/1.0.deploy"; times];
        assert_eq!(server.lines(), all, "{status} {body}");
    }
}

#[test]
fn names_that_would_change_the_query_are_refused() {
    let http = HttpConfig {
        connect_timeout: Duration::from_secs(1),
        ..HttpConfig::default()
    };
    for (deploy, payload, credentials) in [
        ("r\"", "p", Credentials::Anonymous),
        ("r", "p/q", Credentials::Anonymous),
        ("", "p", Credentials::Anonymous),
        ("r", "..", Credentials::Anonymous),
        ("r", "p", Credentials::Bearer(Secret::new("a\nb".into()))),
        ("r", "p", Credentials::ApiKey(Secret::new("a\0".into()))),
        (
            "r",
            "p",
            Credentials::Basic("a:b".into(), Secret::new("c".into())),
        ),
    ] {
        let config = ArtifactoryConfig {
            api: "http://h/api".into(),
            base: "http://h".into(),
            credentials,
            deploy_repo: deploy.into(),
            payload_repo: payload.into(),
            listing: ListingMode::Auto,
            jobs: 1,
        };
        let error = Artifactory::new(&config, &http).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
    }
}
