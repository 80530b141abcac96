//! The POST.

use super::*;
use crate::error::Kind;

const OTHER: &str = "00000000-0000-4000-8000-00000000000a";

fn submit(reply: impl Into<Vec<u8>>) -> Submission {
    client(&Server::of(reply).url).submit(&request())
}

#[test]
fn a_post_says_what_the_service_compares() {
    let server = Server::of(reply("200 OK", &format!(r#"{{"deployID":"{ID}"}}"#)));
    assert_eq!(
        client(&server.url).submit(&request()),
        Submission::Accepted(ID.into())
    );
    let (_, text) = server.requests().remove(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /v1.0/deploy HTTP/1.1"));
    let headers: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
    let token = format!("authorization: bearer {}", TOKEN.to_ascii_lowercase());
    for line in [
        "accept: application/json",
        "content-type: application/json",
        token.as_str(),
    ] {
        assert_eq!(
            headers.iter().filter(|h| *h == line).count(),
            1,
            "{line} in {headers:?}"
        );
    }
    assert!(!headers.iter().any(|h| h.starts_with("accept-encoding:")));
    assert!(text.contains(&format!("Bearer {TOKEN}")));
    assert_eq!(
        body,
        r#"{"serviceName":"app","version":"1.0","numInstances":2,"serviceTemplate":"[Unit]\n","etcd2Keys":{"/k":"v"}}"#
    );
}

#[test]
fn a_post_without_a_reply_is_lost_and_sent_once() {
    let cut_head = "HTTP/1.1 200 OK\r\nX-Request-Id: 2777AB74";
    for script in [
        Script::Send(vec![]),
        Script::Silent,
        Script::Send(cut_head.into()),
        Script::Send("nonsense\r\n\r\n".into()),
    ] {
        let server = Server::start(vec![
            script,
            Script::Send(reply("200 OK", &format!(r#"{{"deployID":"{ID}"}}"#))),
        ]);
        assert!(matches!(
            client(&server.url).submit(&request()),
            Submission::Lost(_)
        ));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn what_a_status_says_of_a_post() {
    // Status, whether it is a refusal, whether that counts, the exit of the pass.
    let refusals = [
        ("400 Bad Request", true, None),
        ("404 Not Found", true, None),
        ("405 Method Not Allowed", true, None),
        ("415 Unsupported Media Type", true, None),
        ("401 Unauthorized", false, Some(Kind::Credentials)),
        ("403 Forbidden", false, Some(Kind::Credentials)),
        ("429 Too Many Requests", false, Some(Kind::Busy)),
        (
            "301 Moved Permanently\r\nLocation: /v1.0/info",
            false,
            Some(Kind::Usage),
        ),
        (
            "307 Temporary Redirect\r\nLocation: /v1.0/deploy",
            false,
            Some(Kind::Usage),
        ),
        ("304 Not Modified", false, Some(Kind::Usage)),
    ];
    for (status, must_count, exit) in refusals {
        let server = Server::of(reply(
            status,
            if status.starts_with("304") {
                ""
            } else {
                "why not\n"
            },
        ));
        match client(&server.url).submit(&request()) {
            Submission::Refused {
                reason,
                counts,
                stop,
            } => {
                assert_eq!(
                    (counts, stop.map(|e| e.kind)),
                    (must_count, exit),
                    "{status}"
                );
                assert!(reason.contains(&status[..3]), "{reason}");
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(server.requests().len(), 1, "{status}");
    }
    for status in [
        "402 x", "406 x", "408 x", "409 x", "413 x", "425 x", "500 x", "502 x", "503 x", "504 x",
        "599 x",
    ] {
        // An id in the reply to a failure may be a proxy's.
        let head = format!("{status}\r\nX-Request-Id: {ID}");
        let answer = submit(reply(
            &head,
            &format!(r#"{{"error":"boom","deployID":"{ID}"}}"#),
        ));
        assert!(
            matches!(answer, Submission::Lost(_)),
            "{status}: {answer:?}"
        );
    }
}

#[test]
fn an_id_is_rescued_from_the_header() {
    let body = format!(r#"{{"deployID":"{OTHER}"}}"#);
    let head = format!("200 OK\r\nX-Request-Id: {ID}");
    let raw = |tail: &str| format!("HTTP/1.1 {head}\r\n{tail}");
    // The body wins where it can be read.
    assert_eq!(
        submit(reply(&head, &body)),
        Submission::Accepted(OTHER.into())
    );
    let huge = "x".repeat(REPLY_LIMIT + 1);
    let damaged = [
        raw("Content-Length: 51\r\n\r\n{\"d"),
        raw(&format!("Content-Length: 90\r\n\r\n{body}")),
        raw("Transfer-Encoding: chunked\r\n\r\n33\r\n{\"deployID\""),
        raw("Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(&format!("Content-Length: {}\r\n\r\n{huge}", huge.len())),
        raw("Content-Length: 0\r\n\r\n"),
        raw("Content-Length: 6\r\n\r\n<html>"),
        raw("Content-Length: 2\r\n\r\n{}"),
        raw("Content-Length: 9\r\n\r\n{\"deplo\0}"),
    ];
    for reply in damaged {
        let shown: String = reply.chars().take(160).collect();
        assert_eq!(submit(reply), Submission::Accepted(ID.into()), "{shown}");
    }
    for head in [
        "200 OK",
        "200 OK\r\nX-Request-Id: 7",
        "202 Accepted\r\nX-Request-Id: \u{1}",
    ] {
        assert!(
            matches!(submit(reply(head, "{}")), Submission::Lost(_)),
            "{head}"
        );
    }
}

#[test]
fn nothing_sent_is_a_refusal_that_ends_the_pass() {
    match client(&refusing()).submit(&request()) {
        Submission::Refused {
            counts: false,
            stop: Some(error),
            ..
        } => assert_eq!(error.kind, Kind::Unavailable),
        other => panic!("{other:?}"),
    }
}
