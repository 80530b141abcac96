//! What the Go program was seen to answer. Two differences are meant: errors are JSON, and
//! `force` has a body and takes POST.

use crate::server::{ACCEPT, AUTHORIZATION, Answer, CONTENT_TYPE, Server, TOKEN, request};

const HEADERS: &str = "Invalid Content-Type or Accept header value.";
const METHOD: &str = "Invalid Method for this route.";
const TOKEN_TEXT: &str = "Invalid authorization.";
const NOT_FOUND: &str = "404 page not found";

const INFO: &str = r#"{"options":{"name":"rig-monitor","hostName":"127.0.0.1","domain":"example.com","environment":"development","deployURL":"http://127.0.0.1:26660","artAPIEndpoint":"http://127.0.0.1:26680/artifactory/api","artPollingInterval":3600,"artDeployRepo":"cluster-deploys-development","artPayloadRepo":"cluster-payloads","port":26670,"profPort":0,"maxProcs":0,"debugEnabled":false}}"#;

/// The headers that every answer of the program has, as the Go program spells them.
fn has_the_headers(answer: &Answer) {
    let header = |name| {
        answer
            .header(name)
            .unwrap_or_else(|| panic!("{name}: {answer:?}"))
    };
    assert_eq!(header("Content-Type"), "application/json;charset=utf-8");
    assert_eq!(header("Server"), "rig-monitor");
    let date = header("Date");
    assert!(date.len() == 31 && date.ends_with(" +0000"), "{date}");
    let id = uuid::Uuid::parse_str(header("X-Request-Id")).unwrap();
    assert_eq!(id.get_version_num(), 4);
    assert_eq!(header("X-Request-Id"), id.to_string().to_uppercase());
    // In the order of the Go program: that of their names, and the length last.
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.filter(|name| *name != "Connection").collect();
    let (last, others) = names.split_last().unwrap();
    assert_eq!(*last, "Content-Length");
    assert!(others.is_sorted(), "{names:?}");
    // What RFC 9110 asks for and the Go program left out.
    let methods = ["GET", "GET, POST"];
    let is_allow = |allow: &str| methods.contains(&allow);
    assert_eq!(
        answer.status() == 405,
        answer.header("Allow").is_some_and(is_allow)
    );
    let challenge = answer.header("Www-Authenticate");
    assert_eq!(
        answer.status() == 401,
        challenge.is_some_and(|c| c.starts_with("Bearer realm=\""))
    );
}

fn is_error(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    has_the_headers(answer);
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.text(), format!("{{\"error\":\"{text}\"}}"));
}

fn is_empty(answer: &Answer) {
    assert_eq!(answer.line, "HTTP/1.1 200 OK");
    has_the_headers(answer);
    assert_eq!(answer.header("Content-Length"), Some("0"));
    assert_eq!(answer.text(), "");
}

#[test]
fn errors_come_in_the_order_of_the_original() {
    let server = Server::start();
    let wrong = "Authorization: Bearer nope";
    let raw = "Authorization: x";
    let charset = "Content-Type: application/json; charset=utf-8";
    let anything = "Accept: */*";
    let cases: [(&str, &str, &[&str], u16, &str); 23] = [
        ("POST", "/v1.0/health", &[], 405, METHOD),
        (
            "GET",
            "/v1.0/info",
            &[ACCEPT, CONTENT_TYPE],
            401,
            TOKEN_TEXT,
        ),
        (
            "POST",
            "/v1.0/info",
            &[ACCEPT, CONTENT_TYPE, AUTHORIZATION],
            405,
            METHOD,
        ),
        ("GET", "/v1.0/metrics", &[AUTHORIZATION], 415, HEADERS),
        (
            "GET",
            "/v1.0/force",
            &[ACCEPT, CONTENT_TYPE],
            401,
            TOKEN_TEXT,
        ),
        (
            "GET",
            "/v1.0/force",
            &[ACCEPT, CONTENT_TYPE, wrong],
            401,
            TOKEN_TEXT,
        ),
        (
            "GET",
            "/v1.0/force",
            &[ACCEPT, CONTENT_TYPE, raw],
            401,
            TOKEN_TEXT,
        ),
        ("GET", "/v1.0/force", &[ACCEPT, AUTHORIZATION], 415, HEADERS),
        (
            "GET",
            "/v1.0/force",
            &[anything, CONTENT_TYPE, AUTHORIZATION],
            415,
            HEADERS,
        ),
        (
            "GET",
            "/v1.0/force",
            &[ACCEPT, charset, AUTHORIZATION],
            415,
            HEADERS,
        ),
        ("DELETE", "/v1.0/force", &[], 415, HEADERS),
        (
            "DELETE",
            "/v1.0/force",
            &[ACCEPT, CONTENT_TYPE],
            405,
            METHOD,
        ),
        ("GET", "/v1.0/nope", &[], 404, NOT_FOUND),
        ("GET", "/index.html", &[], 404, NOT_FOUND),
        ("POST", "/", &[], 405, METHOD),
        (
            "GET",
            "/v1.0/info/",
            &[ACCEPT, CONTENT_TYPE, AUTHORIZATION],
            404,
            NOT_FOUND,
        ),
        ("GET", "/debug/pprof/", &[], 404, NOT_FOUND),
        (
            "OPTIONS",
            "/v1.0/info",
            &[ACCEPT, CONTENT_TYPE],
            405,
            METHOD,
        ),
        ("POST", "/nope", &[], 404, NOT_FOUND),
        ("GET", "/v1.0/passes", &[AUTHORIZATION], 415, HEADERS),
        (
            "POST",
            "/v1.0/deploys",
            &[ACCEPT, CONTENT_TYPE],
            405,
            METHOD,
        ),
        ("POST", "/metrics", &[], 405, METHOD),
        ("GET", "/metrics", &[], 401, TOKEN_TEXT),
    ];
    for (method, target, headers, status, text) in cases {
        let answer = server.ask(method, target, headers);
        eprintln!("{method} {target} {headers:?}");
        is_error(&answer, status, text);
    }
}

#[test]
fn health_is_empty_and_asks_for_nothing() {
    let server = Server::start();
    is_empty(&server.ask("GET", "/v1.0/health", &[]));
    let old = server.send("GET /v1.0/health HTTP/1.0\r\n\r\n");
    assert_eq!(old.line, "HTTP/1.0 200 OK");
    has_the_headers(&old);
    let head = server.ask("HEAD", "/v1.0/health", &[]);
    assert_eq!(head.status(), 405);
    has_the_headers(&head);
    assert_eq!(
        (head.header("Content-Length"), head.text()),
        (Some("42"), "")
    );
}

#[test]
fn info_shows_the_options_and_no_secret() {
    let server = Server::start();
    let answer = server.get("/v1.0/info");
    assert_eq!(answer.status(), 200);
    has_the_headers(&answer);
    assert_eq!(answer.header("Content-Length"), Some("371"));
    assert_eq!(answer.text(), INFO);
    let body = "Content-Length: 7";
    let headers = [ACCEPT, CONTENT_TYPE, AUTHORIZATION, body];
    let with_body = request("GET", "/v1.0/info", &headers) + "{\"a\":1}";
    assert_eq!(server.send(&with_body).text(), INFO);
}

#[test]
fn unclean_paths_are_redirected() {
    let server = Server::start();
    let answer = server.get("/v1.0//info?x=1");
    assert_eq!(answer.line, "HTTP/1.1 301 Moved Permanently");
    has_the_headers(&answer);
    assert_eq!(answer.header("Location"), Some("/v1.0/info?x=1"));
    assert_eq!(answer.text(), "");
    let away = server.get("//evil.example/");
    assert_eq!(away.header("Location"), Some("/evil.example/"));
}

#[test]
fn the_server_itself_answers_options() {
    let server = Server::start();
    let answer = server.ask("OPTIONS", "*", &[]);
    assert_eq!(answer.line, "HTTP/1.1 200 OK");
    assert_eq!(answer.header("Content-Length"), Some("0"));
    assert!(answer.header("Date").unwrap().ends_with(" GMT"));
    assert_eq!(
        (answer.header("Server"), answer.header("X-Request-Id")),
        (None, None)
    );
}

#[test]
fn metrics_have_the_keys_of_the_original() {
    let server = Server::start();
    for _ in 0..3 {
        server.ask("GET", "/v1.0/health", &[]);
    }
    for path in ["/a", "/b", "/c"] {
        server.ask("GET", path, &[]);
    }
    let answer = server.get("/v1.0/metrics");
    has_the_headers(&answer);
    assert!(answer.text().starts_with(INFO.trim_end_matches('}')));
    let shown = answer.json();
    let stats = &shown["stats"];
    assert_eq!(
        (&stats["requestCount"], &stats["requestBytes"]),
        (&7.into(), &0.into())
    );
    let routes = serde_json::json!({"/v1.0/health": {"requestCount": 3},
        "/v1.0/metrics": {"requestCount": 1}, "other": {"requestCount": 3}});
    assert_eq!(stats["routeStats"], routes);
    let started = stats["startTime"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(started).is_ok(), "{started}");
    assert!(shown["memStats"]["residentBytes"].as_u64().unwrap() > 100_000);
    assert!(shown["passes"]["results"].is_object());
}

#[test]
fn force_starts_one_pass_and_queues_one() {
    let server = Server::start();
    let first = server.get("/v1.0/force");
    has_the_headers(&first);
    assert_eq!(first.json()["state"], "started");
    let all = [ACCEPT, CONTENT_TYPE, AUTHORIZATION];
    let second = server.ask("POST", "/v1.0/force", &all).json();
    assert_eq!(second["state"], "queued");
    let third = server.get("/v1.0/force").json();
    assert_eq!(second, third);
    let path = |reply: &serde_json::Value| {
        let id = reply["passID"].as_str().unwrap();
        server.get(&format!("/v1.0/passes/{id}")).json()["state"].clone()
    };
    assert_eq!(
        (path(&first.json()), path(&second)),
        ("running".into(), "queued".into())
    );
}

#[test]
fn a_token_is_presented_in_one_way() {
    let server = Server::start();
    let status = |lines: &[&str]| {
        let mut headers = vec![ACCEPT, CONTENT_TYPE];
        headers.extend(lines);
        server.ask("GET", "/v1.0/info", &headers).status()
    };
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(status(&[&format!("Authorization: {scheme} {TOKEN}")]), 200);
    }
    for value in [
        format!("Bearer Bearer {TOKEN}"),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {}", TOKEN.to_lowercase()),
        format!("Basic {TOKEN}"),
        format!("Bearer {TOKEN}x"),
        "Bearer".to_owned(),
    ] {
        assert_eq!(
            status(&[&format!("Authorization: {value}")]),
            401,
            "{value}"
        );
    }
    assert_eq!(status(&[AUTHORIZATION, AUTHORIZATION]), 401);
}
