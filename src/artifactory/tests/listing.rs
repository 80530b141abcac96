//! The listing: by AQL, by the folders, and when which.

use crate::artifactory::Releases;
use std::collections::BTreeMap;

use crate::artifactory::tests::server::{Asked, Reply, Server, cut, json, reply, with_headers};
use crate::config::{Credentials, ListingMode};
use crate::error::{Kind, Result};
use crate::model::listing::{AppFilter, Listing, ListingBuilder};
use crate::model::version::Order;
use crate::secret::Secret;

const AQL: &str = "POST /artifactory/api/search/aql";
const ROOT: &str = "GET /artifactory/api/storage/r";
const FOLDER: &str = "GET /artifactory/api/storage/r/a";
const REPOSITORIES: &str = "GET /artifactory/api/repositories";
const ROWS: &str = r#"{"results":[{"repo":"r","path":"a","name":"1.0.deploy"}],"range":{"start_pos":0,"end_pos":1,"total":1}}"#;
const NO_ROWS: &str = r#"{"results":[],"range":{"start_pos":0,"end_pos":0,"total":0}}"#;
const FORBIDDEN: &str = r#"{"errors":[{"status":403,"message":"Forbidden"}]}"#;
const MISSING: &str = r#"{"errors":[{"status":404,"message":"Unable to find item"}]}"#;

fn builder(include: &[&str]) -> ListingBuilder {
    let filter = AppFilter {
        include: include.iter().map(|s| (*s).to_owned()).collect(),
        exclude: Vec::new(),
    };
    ListingBuilder::new(Order::Natural, filter, BTreeMap::new(), false)
}

fn list(server: &Server, mode: ListingMode) -> Result<Listing> {
    server.client(mode).list(builder(&[]))
}

/// A repository with one app, `a`, which has one marker, 1.0.
fn folders(asked: &Asked) -> Reply {
    match asked.line.as_str() {
        ROOT => reply(
            200,
            "application/vnd.org.jfrog.artifactory.storage.FolderInfo+json",
            r#"{"repo":"r","path":"/","children":[{"uri":"/a","folder":true},{"uri":"/.jfrog","folder":true}]}"#,
        ),
        FOLDER => json(
            200,
            r#"{"repo":"r","path":"/a","children":[{"uri":"/1.0.deploy","folder":false},{"uri":"/x","folder":true}]}"#,
        ),
        _ => json(404, MISSING),
    }
}

fn aql_answers(aql: Reply) -> Server {
    Server::new(move |asked, _| {
        if asked.line == AQL {
            aql.clone()
        } else {
            folders(asked)
        }
    })
}

#[test]
fn trap_22_and_23_one_query_with_credentials_sent_unasked() {
    let server = aql_answers(json(200, ROWS));
    let client = server.client(ListingMode::Auto);
    let listing = client.list(builder(&[])).unwrap();
    assert_eq!((listing.source, listing.empty), ("aql", false));
    assert_eq!(listing.apps["a"].newest.as_deref(), Some("1.0"));
    let asked = server.asked();
    assert_eq!((asked.len(), client.requests()), (1, 1));
    assert!(
        asked[0]
            .headers
            .contains("authorization: basic y2k6ahvudgvymg==")
    );
    assert!(asked[0].headers.contains("content-type: text/plain"));
    assert!(asked[0].headers.contains("accept-encoding: identity"));
    assert!(asked[0].body.contains(r#"{"repo":"r","type":"file""#));
}

#[test]
fn where_aql_proves_nothing_the_folders_are_read() {
    let trimmed = ROWS.replace(r#""total":1"#, r#""notification":"trimmed""#);
    for aql in [
        json(400, "Failed to parse query: items.find()"),
        json(403, FORBIDDEN),
        json(404, MISSING),
        json(405, ""),
        json(415, ""),
        json(429, "too many requests"),
        json(500, ""),
        json(200, &trimmed),
        json(200, &ROWS.replace(r#""repo":"r""#, r#""repo":"r-local""#)),
        json(200, r#"{"results":[]}"#),
        json(200, r#"{"errors":[]}"#),
        reply(200, "text/html", "<html>"),
        with_headers(302, &[("Location", "https://h/x")], ""),
        cut(&ROWS[..ROWS.len() - 2]),
    ] {
        let server = aql_answers(aql.clone());
        let listing = list(&server, ListingMode::Auto).unwrap();
        assert_eq!(listing.source, "folders");
        assert_eq!(listing.apps["a"].markers, 1);
        let server = aql_answers(aql);
        let error = list(&server, ListingMode::Aql).unwrap_err();
        assert!(
            matches!(error.kind, Kind::Unavailable | Kind::Credentials),
            "{error:?}"
        );
        assert!(server.lines().iter().all(|l| l == AQL));
    }
}

#[test]
fn rows_that_parse_are_rows_whatever_the_headers_say() {
    for (encoding, packed) in [
        ("gzip", false),
        ("UTF-8", false),
        ("gzip", true),
        ("x", true),
    ] {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, ROWS.as_bytes()).unwrap();
        let body = if packed {
            packer.finish().unwrap()
        } else {
            ROWS.as_bytes().to_vec()
        };
        let server = aql_answers(with_headers(200, &[("Content-Encoding", encoding)], body));
        let listing = list(&server, ListingMode::Aql).unwrap();
        assert_eq!(listing.apps["a"].markers, 1, "{encoding} {packed}");
    }
}

#[test]
fn trap_21_a_cut_answer_is_asked_for_again_with_a_fresh_listing() {
    let server = Server::new(|_, n| match n {
        0 => cut(r#"{"results":[{"repo":"r","path":"ghost","name":"9.deploy"}"#),
        1 => json(
            200,
            r#"{"results":[{"repo":"r","path":"ghost","name":"9.deploy"},"#,
        ),
        _ => json(200, ROWS),
    });
    let listing = list(&server, ListingMode::Auto).unwrap();
    assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn trap_20_a_mistyped_repository_is_no_empty_one() {
    for mode in [ListingMode::Auto, ListingMode::Aql, ListingMode::Folders] {
        let server = Server::new(|asked, _| match asked.line.as_str() {
            AQL => json(200, NO_ROWS),
            _ => json(404, MISSING),
        });
        let error = list(&server, mode).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains("--art-deploy-repo"), "{error}");
    }
}

#[test]
fn trap_06_an_html_404_is_no_word_about_the_repository() {
    let server = Server::new(|_, _| reply(404, "text/html", "<title>HTTP Status 404"));
    let error = list(&server, ListingMode::Folders).unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.hint.unwrap().contains("--art-endpoint"));
}

#[test]
fn trap_20_no_rows_and_what_kind_of_repository_it_is() {
    let kinds = [
        (r#"[{"key":"r","type":"LOCAL"}]"#, "aql"),
        (r#"[{"key":"r","type":"VIRTUAL"}]"#, "folders"),
        (r#"[{"key":"r","type":"REMOTE"}]"#, "folders"),
        (r#"[{"key":"other","type":"LOCAL"}]"#, "folders"),
        ("[", "folders"),
    ];
    for (repositories, source) in kinds {
        let server = Server::new(move |asked, _| match asked.line.as_str() {
            AQL => json(200, NO_ROWS),
            REPOSITORIES => json(200, repositories),
            _ => folders(asked),
        });
        let listing = list(&server, ListingMode::Auto).unwrap();
        assert_eq!(listing.source, source, "{repositories}");
        assert_eq!(listing.empty, source == "aql");
    }
}

#[test]
fn an_empty_repository_takes_two_requests_to_prove() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        AQL => json(200, NO_ROWS),
        _ => json(200, r#"{"repo":"r","path":"/","children":[]}"#),
    });
    assert!(list(&server, ListingMode::Auto).unwrap().empty);
    assert_eq!(server.lines(), [AQL, ROOT]);
}

#[test]
fn trap_24_a_401_is_asked_once_and_ends_it_all() {
    for mode in [ListingMode::Auto, ListingMode::Folders] {
        let server = Server::new(|_, _| json(401, r#"{"errors":[{"message":"Bad credentials"}]}"#));
        let client = server.client(mode);
        let error = client.list(builder(&[])).unwrap_err();
        assert_eq!(
            (error.kind, error.hint.is_some()),
            (Kind::Credentials, true)
        );
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(
            client.list(builder(&[])).unwrap_err().kind,
            Kind::Credentials
        );
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn trap_24_a_403_on_everything_is_credentials_and_not_tried_again() {
    let server =
        Server::new(|_, _| json(403, r#"{"errors":[{"status":403,"message":"blocked"}]}"#));
    let error = list(&server, ListingMode::Auto).unwrap_err();
    assert_eq!(error.kind, Kind::Credentials);
    assert_eq!(error.causes, ["blocked"]);
    assert_eq!(server.lines(), [AQL, ROOT]);
}

#[test]
fn trap_24_a_busy_server_is_asked_four_times() {
    for status in [408, 429, 500, 503] {
        let server = Server::new(move |_, _| reply(status, "text/html", "<html>starting"));
        let error = list(&server, ListingMode::Folders).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert_eq!(server.asked().len(), 4, "{status}");
    }
    let server = Server::new(|_, _| with_headers(429, &[("Retry-After", "3600")], ""));
    assert!(list(&server, ListingMode::Folders).is_err());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_that_recovers_is_read() {
    let server = Server::new(|asked, n| match n {
        0 => json(503, ""),
        1 => Vec::new(),
        2 => with_headers(429, &[("Retry-After", "0")], ""),
        _ => folders(asked),
    });
    assert_eq!(list(&server, ListingMode::Folders).unwrap().apps.len(), 1);
}

#[test]
fn trap_04_a_deactivated_server_is_named_and_not_followed() {
    let server = Server::new(|_, _| {
        let location = "https://landing.jfrog.com/reactivate-server/x";
        with_headers(302, &[("Location", location)], "")
    });
    let error = list(&server, ListingMode::Auto).unwrap_err();
    assert!(error.message.contains("deactivated"), "{error}");
    assert_eq!(server.lines(), [AQL, ROOT]);
}

#[test]
fn an_app_that_cannot_be_read_is_skipped_and_the_others_go_on() {
    for bad in [
        json(403, FORBIDDEN),
        json(404, MISSING),
        json(500, ""),
        json(200, r#"{"errors":[]}"#),
        json(200, r#"{"size":"1","checksums":{}}"#),
        reply(200, "text/html", "<html>"),
        reply(200, "application/json", vec![b' '; (8 << 20) + 1]),
    ] {
        let server = Server::new(move |asked, _| match asked.line.as_str() {
            ROOT => json(
                200,
                r#"{"children":[{"uri":"/a","folder":true},{"uri":"/b","folder":true}]}"#,
            ),
            FOLDER => folders(asked),
            _ => bad.clone(),
        });
        let listing = list(&server, ListingMode::Folders).unwrap();
        assert!(listing.apps["b"].unreadable.is_some());
        assert_eq!(listing.apps["a"].newest.as_deref(), Some("1.0"));
        assert!(listing.apps["a"].unreadable.is_none());
    }
}

#[test]
fn a_401_on_a_folder_ends_the_walk() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        ROOT => folders(asked),
        _ => json(401, "{}"),
    });
    let error = list(&server, ListingMode::Folders).unwrap_err();
    assert_eq!(error.kind, Kind::Credentials);
}

#[test]
fn a_server_that_goes_away_during_the_walk_ends_it() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::new(|_, _| Vec::new()).unasked();
    server.url = format!("http://{}", listener.local_addr().unwrap());
    let root = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let body = r#"{"children":[{"uri":"/a","folder":true}]}"#;
        stream.write_all(&json(200, body)).unwrap();
    });
    let error = list(&server, ListingMode::Folders).unwrap_err();
    root.join().unwrap();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.message.starts_with("folder r/a"), "{error}");
}

#[test]
fn only_wanted_folders_are_asked_for() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        ROOT => json(
            200,
            r#"{"children":[{"uri":"/a","folder":true},{"uri":"/b","folder":true}]}"#,
        ),
        _ => json(200, r#"{"children":[]}"#),
    });
    let client = server.client(ListingMode::Folders);
    let listing = client.list(builder(&["a"])).unwrap();
    assert_eq!(server.lines(), [ROOT, FOLDER]);
    assert!(
        !listing.empty,
        "the folder that was passed over may hold markers"
    );
}

#[test]
fn nobody_there_is_unavailable_and_not_asked_for_folders_too() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::new(|_, _| Vec::new()).unasked();
    server.url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let client = server.client(ListingMode::Auto);
    let error = client.list(builder(&[])).unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert_eq!(client.requests(), 4);
}

#[test]
fn trap_22_an_anonymous_user_whom_aql_refuses_may_still_read_folders() {
    let server = aql_answers(json(401, "{}"));
    let client = server.client_as(ListingMode::Auto, Credentials::Anonymous);
    assert_eq!(client.list(builder(&[])).unwrap().source, "folders");
    let body = r#"{"errors":[{"status":401,"message":"Authentication is required"}]}"#;
    let server = Server::new(move |_, _| json(401, body));
    let client = server.client_as(ListingMode::Auto, Credentials::Anonymous);
    let error = client.list(builder(&[])).unwrap_err();
    assert_eq!(error.kind, Kind::Credentials);
    assert!(error.message.contains("asks for credentials"), "{error}");
}

#[test]
fn each_way_to_authenticate_sends_its_header() {
    let secret = || Secret::new("S3cret".into());
    for (credentials, header) in [
        (
            Credentials::Bearer(secret()),
            Some("authorization: bearer s3cret"),
        ),
        (
            Credentials::ApiKey(secret()),
            Some("x-jfrog-art-api: s3cret"),
        ),
        (Credentials::Anonymous, None),
    ] {
        let server = aql_answers(json(200, ROWS));
        server
            .client_as(ListingMode::Auto, credentials)
            .list(builder(&[]))
            .unwrap();
        let headers = server.asked()[0].headers.clone();
        assert!(headers.contains(header.unwrap_or_default()));
        assert_eq!(headers.contains("s3cret"), header.is_some());
    }
}

#[test]
fn aql_that_is_silent_once_is_not_waited_for_again() {
    let server = Server::new(|asked, _| match asked.line.as_str() {
        AQL => loop {
            std::thread::park();
        },
        _ => folders(asked),
    });
    let mut client = server.client(ListingMode::Auto);
    client.client.idle = std::time::Duration::from_millis(200);
    let listing = client.list(builder(&[])).unwrap();
    assert_eq!(listing.source, "folders");
    let reason = listing.aql_refused.unwrap();
    assert!(reason.contains("no answer from 127.0.0.1:"), "{reason}");
    let asked = server.lines();
    assert_eq!(asked.iter().filter(|line| *line == AQL).count(), 1);
}

#[test]
fn a_gateways_word_on_the_listing_is_not_artifactorys() {
    for (status, kind, body) in [
        (404, "text/plain", "404 page not found"),
        (403, "text/html", "<title>Blocked</title>"),
    ] {
        let server = Server::new(move |_, _| reply(status, kind, body));
        let error = list(&server, ListingMode::Auto).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("before Artifactory"), "{error:?}");
        let expected = [&[AQL][..], &[ROOT; 4]].concat();
        assert_eq!(server.lines(), expected);
    }
}
