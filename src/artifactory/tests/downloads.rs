//! Downloads that are cut, republished, redirected and wrapped on their way.

use std::io::Write as _;

use sha2::{Digest, Sha256};

use crate::artifactory::tests::server::{Reply, Server, json, reply, with_headers};
use crate::artifactory::{Checksum, Payload, Releases};
use crate::config::ListingMode;
use crate::error::{Kind, Result};

const INFO: &str = "GET /artifactory/api/storage/p/a/f";
const DOWNLOAD: &str = "GET /artifactory/p/a/f";
const EXPIRED: &str =
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";

fn sha256(body: &[u8]) -> Checksum {
    Checksum::Sha256(format!("{:x}", Sha256::digest(body)))
}

fn info(bytes: &[u8]) -> Reply {
    let (size, checksum) = (bytes.len(), sha256(bytes));
    let checksum = checksum.as_str();
    json(
        200,
        &format!(r#"{{"size":"{size}","checksums":{{"sha256":"{checksum}"}}}}"#),
    )
}

fn file(bytes: impl AsRef<[u8]>) -> Reply {
    reply(200, "application/x-gzip", bytes)
}

/// A reply that ends with its connection: nothing says how long it is.
fn endless(body: &str) -> Reply {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Downloads what was `payload` when it was looked up.
fn download(server: &Server) -> Result<Payload> {
    let client = server.client(ListingMode::Auto);
    client.download("a", "f", &sha256(b"payload"))
}

fn is_payload(result: Result<Payload>) -> bool {
    result.unwrap()
        == Payload {
            bytes: b"payload".to_vec(),
            checksum: sha256(b"payload"),
        }
}

#[test]
fn a_download_that_was_cut_is_begun_again() {
    for cuts in [1, 2, 3, 4] {
        let server = Server::new(move |asked, n| match asked.line.as_str() {
            INFO => info(b"payload"),
            // The second request is the look at the file.
            _ if n < cuts + usize::from(cuts > 1) => endless("payl"),
            _ => endless("payload"),
        });
        let result = download(&server);
        let asked = server.lines();
        let looks = asked.iter().filter(|line| *line == INFO).count();
        assert_eq!((asked.len() - looks, looks), (4.min(cuts + 1), 1), "{cuts}");
        if cuts < 4 {
            assert!(is_payload(result), "{cuts}");
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.one_line().contains("4 of 7 bytes"), "{error:?}");
        }
    }
}

#[test]
fn a_file_that_is_published_again_meanwhile_is_taken_as_it_is_now() {
    for (first, second) in [
        ("new file", "-"),
        ("old file", "new file"),
        ("payl", "new file"),
    ] {
        let server = Server::new(move |asked, n| match asked.line.as_str() {
            INFO => info(b"new file"),
            _ if n == 0 => file(first),
            _ => file(second),
        });
        let payload = download(&server).unwrap();
        assert_eq!(payload.bytes, b"new file", "{first}");
        assert_eq!(payload.checksum, sha256(b"new file"), "{first}");
        let mut expected = vec![DOWNLOAD, INFO];
        expected.extend((second != "-").then_some(DOWNLOAD));
        assert_eq!(server.lines(), expected);
    }
}

#[test]
fn a_file_that_is_gone_meanwhile_is_told() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        INFO => json(
            404,
            r#"{"errors":[{"status":404,"message":"Unable to find item"}]}"#,
        ),
        _ => file("old"),
    });
    let error = download(&server).unwrap_err();
    assert!(error.one_line().contains("Unable to find"), "{error:?}");
    assert_eq!(server.lines(), [DOWNLOAD, INFO]);
}

#[test]
fn headers_do_not_decide_about_bytes_that_the_checksum_proves() {
    for headers in [
        [("Content-Encoding", "aws-chunked"), ("X-A", "b")],
        [
            ("Content-Encoding", "gzip"),
            ("Content-Type", "application/x-gzip"),
        ],
        [("Content-Encoding", "none"), ("X-A", "b")],
        [("Content-Encoding", "br"), ("X-A", "b")],
        [("Content-Type", "text/html"), ("X-A", "b")],
        [("X-Folded", "one\r\n two"), ("X-A", "b\r\n\tc")],
    ] {
        let server = Server::new(move |_, _| with_headers(200, &headers, "payload"));
        assert!(is_payload(download(&server)), "{headers:?}");
        assert_eq!(server.lines(), [DOWNLOAD]);
    }
    // Compressed on its way indeed, with and without a word of it.
    for headers in [&[("Content-Encoding", "gzip")][..], &[]] {
        let server = Server::new(move |_, _| with_headers(200, headers, gzip(b"payload")));
        assert!(is_payload(download(&server)));
    }
}

#[test]
fn json_that_parses_is_json_whatever_the_headers_say() {
    let sums = info(b"payload");
    let body = String::from_utf8(sums).unwrap();
    let body = body.split_once("\r\n\r\n").unwrap().1.to_owned();
    for (headers, packed) in [
        (&[("Content-Encoding", "UTF-8")][..], false),
        (&[("Content-Encoding", "gzip")], false),
        (&[("Content-Encoding", "gzip")], true),
        (&[("Content-Type", "text/plain")], false),
        (&[], true),
    ] {
        let body = if packed {
            gzip(body.as_bytes())
        } else {
            body.clone().into_bytes()
        };
        let server = Server::new(move |_, _| with_headers(200, headers, &body));
        let found = server.client(ListingMode::Auto).checksum("a", "f").unwrap();
        assert_eq!(found, Some(sha256(b"payload")), "{headers:?} {packed}");
    }
}

#[test]
fn an_address_of_the_store_that_expired_is_asked_for_afresh() {
    for status in [400, 401, 403, 404, 503] {
        let store = Server::new(move |_, n| match n {
            0 => reply(status, "application/xml", EXPIRED),
            _ => file("payload"),
        });
        let target = format!("{}/bucket?sig=hunter2", store.url);
        let server = Server::new(move |_, _| with_headers(302, &[("Location", &target)], ""));
        assert!(is_payload(download(&server)), "{status}");
        assert_eq!(server.lines(), [DOWNLOAD; 2], "{status}");
    }
}

#[test]
fn a_store_that_fails_is_named_and_not_artifactory() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let store = Server::new(|_, _| reply(403, "application/xml", EXPIRED));
    for (origin, words) in [
        (closed, "was not reached"),
        (
            store.url.clone(),
            "answered 403 Forbidden: AccessDenied: Request has expired",
        ),
    ] {
        let target = format!("{origin}/bucket?sig=hunter2");
        let server = Server::new(move |_, _| with_headers(302, &[("Location", &target)], ""));
        let error = download(&server).unwrap_err();
        let line = error.one_line();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(
            line.contains(&format!("the store behind Artifactory, {origin},")),
            "{line}"
        );
        assert!(line.contains(words) && !line.contains("hunter2"), "{line}");
        assert_eq!(server.lines(), [DOWNLOAD; 4]);
    }
}

#[test]
fn what_answers_in_artifactorys_place_says_nothing_of_a_payload() {
    for (status, kind, body) in [
        (404, "text/plain", "default backend - 404"),
        (
            404,
            "application/json",
            r#"{"message":"no Route matched with those values"}"#,
        ),
        (403, "text/plain", "error code: 1010"),
        (404, "application/json", ""),
    ] {
        let server = Server::new(move |_, _| reply(status, kind, body));
        let client = server.client(ListingMode::Auto);
        let error = client.checksum("a", "f").unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{body}");
        assert!(error.message.contains("before Artifactory"), "{error:?}");
        let error = client.download("a", "f", &sha256(b"")).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{body}");
        assert_eq!(server.asked().len(), 8, "{body}");
    }
    let offline =
        r#"{"errors":[{"status":404,"message":"The repository 'p' is assumed offline"}]}"#;
    let server = Server::new(move |_, _| json(404, offline));
    let found = server.client(ListingMode::Auto).checksum("a", "f");
    let error = found.unwrap_err();
    assert!(error.one_line().contains("assumed offline"), "{error:?}");
    assert_eq!(server.lines(), [INFO; 4]);
}
