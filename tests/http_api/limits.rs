//! Clients that cost more than they may.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server::{ACCEPT, AUTHORIZATION, Answer, CONNECTIONS, CONTENT_TYPE, Server, request};

const ALL: [&str; 3] = [ACCEPT, CONTENT_TYPE, AUTHORIZATION];

/// Reads until the server closes or resets.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}"),
    }
    bytes
}

fn with(line: &str) -> Vec<&str> {
    let mut headers = ALL.to_vec();
    headers.push(line);
    headers
}

#[test]
fn long_bodies_are_refused() {
    let server = Server::start();
    let announced = request("POST", "/v1.0/force", &with("Content-Length: 65537"));
    let answer = server.send(&announced);
    assert_eq!(
        (answer.status(), answer.header("Connection")),
        (413, Some("close"))
    );
    let mut chunked = request("POST", "/v1.0/force", &with("Transfer-Encoding: chunked"));
    for _ in 0..20 {
        chunked += &["1000\r\n", &"x".repeat(0x1000), "\r\n"].concat();
    }
    assert_eq!(server.send(&chunked).status(), 413);
    let whole = request("POST", "/v1.0/force", &with("Content-Length: 65536"));
    assert_eq!(server.send(&(whole + &"x".repeat(65536))).status(), 200);
    let shown = server.get("/v1.0/metrics").json();
    assert_eq!(shown["stats"]["requestBytes"], 65536);
}

#[test]
fn a_body_that_cannot_be_read_is_the_fault_of_its_client() {
    let server = Server::start();
    let chunked = request("POST", "/v1.0/force", &with("Transfer-Encoding: chunked"));
    let answer = server.send(&(chunked + "fffffffffffffffff1\r\na\r\n0\r\n\r\n"));
    assert_eq!(
        (answer.status(), answer.header("Connection")),
        (400, Some("close"))
    );
}

#[test]
fn a_body_that_is_announced_too_long_is_not_asked_for() {
    let server = Server::start();
    let mut headers = with("Expect: 100-continue");
    headers.push("Content-Length: 20000000");
    let answer = server.send(&request("POST", "/nope", &headers));
    assert_eq!(answer.status(), 413);
}

#[test]
fn large_headers_are_refused() {
    let server = Server::start();
    let long = format!("X-Long: {}", "x".repeat(64 * 1024));
    assert_eq!(server.ask("GET", "/v1.0/health", &[&long]).status(), 431);
    let many: Vec<String> = (0..100).map(|i| format!("X-{i}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(server.ask("GET", "/v1.0/health", &many).status(), 431);
    assert_eq!(server.ask("GET", "/v1.0/health", &[]).status(), 200);
}

#[test]
fn no_more_than_32_kib_of_header_pass() {
    let server = Server::start();
    for (bytes, status) in [(30_000, 200), (33_000, 431), (40_000, 431)] {
        let one = format!("X-Long: {}", "x".repeat(bytes));
        assert_eq!(
            server.ask("GET", "/v1.0/health", &[&one]).status(),
            status,
            "{bytes}"
        );
        let many: Vec<String> = (0..40)
            .map(|i| format!("X-{i}: {}", "x".repeat(bytes / 40)))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(
            server.ask("GET", "/v1.0/health", &many).status(),
            status,
            "{bytes}"
        );
    }
    let target = format!("/v1.0/health?{}", "x".repeat(40_000));
    assert_eq!(server.ask("GET", &target, &[]).status(), 431);
}

#[test]
fn one_host_is_asked_for() {
    let server = Server::start();
    let status = |lines: &str| {
        let text = format!("GET /v1.0/health HTTP/{lines}\r\nConnection: close\r\n\r\n");
        server.send(&text).status()
    };
    for good in [
        "1.1\r\nHost: x:80",
        "1.1\r\nHost: [::1]",
        "1.1\r\nHost:",
        "1.0",
    ] {
        assert_eq!(status(good), 200, "{good}");
    }
    for bad in [
        "1.1",
        "1.1\r\nHost: x\r\nHost: x",
        "1.0\r\nHost: x\r\nHost: y",
        "1.1\r\nHost: a b",
        "1.1\r\nHost: x/y",
        "1.1\r\nHost: u@x",
    ] {
        assert_eq!(status(bad), 400, "{bad}");
    }
}

#[test]
fn a_wrong_token_costs_time_and_a_right_one_does_not() {
    let server = Server::start();
    let wrong = [ACCEPT, CONTENT_TYPE, "Authorization: Bearer wrong"];
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(server.ask("GET", "/v1.0/info", &wrong).status(), 401));
        }
        scope.spawn(|| {
            for _ in 0..5 {
                assert_eq!(server.get("/v1.0/info").status(), 200);
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(1));
        });
    });
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    let challenge = |headers: &[&str]| {
        let answer = server.ask("GET", "/v1.0/info", headers);
        answer.header("Www-Authenticate").map(str::to_owned)
    };
    let realm = "Bearer realm=\"coreos-artifactory-monitor\"";
    assert_eq!(challenge(&ALL[..2]).as_deref(), Some(realm));
    let invalid = format!("{realm}, error=\"invalid_token\"");
    assert_eq!(challenge(&wrong), Some(invalid));
}

#[test]
fn silent_clients_are_cut() {
    let server = Server::start();
    let mut nothing = server.connect();
    let mut half = server.connect();
    half.write_all(b"GET /v1.0/health HTT").unwrap();
    let mut body = server.connect();
    let announced = request("POST", "/v1.0/force", &with("Content-Length: 9"));
    body.write_all(announced.as_bytes()).unwrap();
    assert_eq!(server.ask("GET", "/v1.0/health", &[]).status(), 200);
    assert_eq!(rest(&mut nothing), b"");
    assert_eq!(rest(&mut half), b"");
    assert_eq!(Answer::read(&mut body).status(), 408);
}

#[test]
fn connections_are_kept_and_requests_may_follow_closely() {
    let server = Server::start();
    let mut stream = server.connect();
    let keep = "GET /v1.0/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = request("GET", "/v1.0/nope", &[]);
    stream
        .write_all([keep, keep, &last].concat().as_bytes())
        .unwrap();
    let bytes = rest(&mut stream);
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert_eq!(text.matches("HTTP/1.1 404 Not Found").count(), 1, "{text}");
}

#[test]
fn a_refused_request_ends_its_connection() {
    let server = Server::start();
    let wrong = [ACCEPT, CONTENT_TYPE, "Authorization: Bearer wrong"];
    for (method, target, headers, status) in [
        ("GET", "/v1.0/info", &[ACCEPT, CONTENT_TYPE][..], 401),
        ("GET", "/v1.0/info", &wrong, 401),
        ("GET", "/nope", &ALL, 404),
        ("GET", "/v1.0/passes/none", &ALL, 404),
        ("PUT", "/v1.0/health", &ALL, 405),
        ("GET", "/v1.0/info", &[], 415),
    ] {
        let mut stream = server.connect();
        let lines = headers.join("\r\n") + if headers.is_empty() { "" } else { "\r\n" };
        let kept = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        // The second one is not answered.
        stream.write_all((kept.clone() + &kept).as_bytes()).unwrap();
        let text = String::from_utf8(rest(&mut stream)).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
}

/// As many files as the host allows: the clients of a test are here too.
fn raise_files() {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Whether the server has closed the connection, now or soon.
fn is_cut(stream: &mut TcpStream) -> bool {
    rest(stream).is_empty()
}

/// Where the slow, the idle and the hostile hold all connections, everybody else is served: each
/// new connection costs the oldest one without a token its place.
#[test]
fn nobody_is_kept_out_by_clients_that_hold_connections() {
    raise_files();
    let server = Server::start();
    let half = "GET /v1.0/health HTT";
    let begun = request("POST", "/v1.0/force", &["Content-Length: 9"]);
    let kept = "GET /v1.0/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut held: Vec<TcpStream> = (0..CONNECTIONS + 100)
        .map(|i| {
            let mut stream = server.connect();
            let sent = ["", half, &begun, kept][i % 4];
            stream.write_all(sent.as_bytes()).unwrap();
            if sent == kept {
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"HTTP/1.1 200");
            }
            stream
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(server.ask("GET", "/v1.0/health", &[]).status(), 200);
    }
    // The last one is not cut.
    let last = held.last_mut().unwrap();
    last.write_all(request("GET", "/v1.0/nope", &[]).as_bytes())
        .unwrap();
    let text = String::from_utf8(rest(last)).unwrap();
    assert!(text.contains("HTTP/1.1 404 "), "{text}");
    // The first ones are, and not for their own slowness, which would be told.
    for stream in &mut held[..50] {
        let text = String::from_utf8(rest(stream)).unwrap();
        let kept = text.matches("HTTP/1.1 200").count();
        assert!(text.matches("HTTP/1.1 ").count() == kept, "{text}");
    }
}

/// Who asks for something again and again prolongs nothing by it.
#[test]
fn a_busy_client_without_a_token_is_no_younger_for_it() {
    raise_files();
    let server = Server::start();
    let kept = "GET /v1.0/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let healthy = |stream: &mut TcpStream| {
        stream.write_all(kept.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    };
    let mut busy: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    busy.iter_mut().for_each(healthy);
    // Between its connection and its request an honest client is as idle as any.
    let mut honest = server.connect();
    let _idle: Vec<TcpStream> = (21..CONNECTIONS).map(|_| server.connect()).collect();
    busy.iter_mut().for_each(healthy);
    let _more: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    assert!(busy.iter_mut().all(is_cut));
    honest
        .write_all(request("GET", "/v1.0/info", &ALL).as_bytes())
        .unwrap();
    assert_eq!(Answer::read(&mut honest).status(), 200);
}

#[test]
fn who_has_shown_a_token_keeps_the_connection() {
    raise_files();
    let server = Server::start();
    let lines = ALL.map(|line| format!("{line}\r\n")).concat();
    let kept = format!("GET /v1.0/info HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let mut known = server.connect();
    let mut info = || {
        known.write_all(kept.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let count = known.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    };
    info();
    let _idle: Vec<TcpStream> = (0..CONNECTIONS + 50).map(|_| server.connect()).collect();
    info();
}

#[test]
fn at_the_end_what_runs_is_finished_and_nothing_new_begins() {
    let mut server = Server::start();
    let mut running = server.connect();
    let mut headers = with("Content-Length: 2");
    headers.push("Expect: 100-continue");
    let begun = request("POST", "/v1.0/force", &headers);
    running.write_all(begun.as_bytes()).unwrap();
    // The server says so when it has begun with the request.
    let mut asked_for_more = [0; 25];
    running.read_exact(&mut asked_for_more).unwrap();
    assert_eq!(&asked_for_more, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut idle = server.connect();
    idle.write_all(b"GET /v1.0/health HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut first = [0; 1];
    idle.read_exact(&mut first).unwrap();
    server.stop();
    rest(&mut idle);
    assert!(server.is_closed());
    running.write_all(b"{}").unwrap();
    assert_eq!(Answer::read(&mut running).status(), 200);
    server.wait();
}

#[test]
fn clients_that_do_not_read_are_cut() {
    let server = Server::start();
    let mut stream = server.connect();
    let ask = "GET /v1.0/health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let failed = loop {
        if let Err(error) = stream.write_all(ask.as_bytes()) {
            break error;
        }
    };
    let cut = [
        std::io::ErrorKind::ConnectionReset,
        std::io::ErrorKind::BrokenPipe,
    ];
    assert!(cut.contains(&failed.kind()), "{failed}");
    assert_eq!(server.ask("GET", "/v1.0/health", &[]).status(), 200);
}
