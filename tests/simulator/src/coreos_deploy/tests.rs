use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

const HEADERS: &str = "Accept: application/json\r\nContent-Type: application/json\r\nAuthorization: Bearer D3Pl0YT0Ken\r\n";
const BODY: &str = r#"{"serviceName":"video","version":"1.0","numInstances":2,"serviceTemplate":"x","etcd2Keys":{}}"#;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited too long");
        thread::sleep(Duration::from_millis(2));
    }
}

fn send(server: &CoreosDeploy, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.server.port())).unwrap();
    let length = body.len();
    write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    reply
}

fn get(server: &CoreosDeploy, path: &str) -> String {
    send(server, &format!("GET {path}"), HEADERS, "")
}

fn post(server: &CoreosDeploy) -> String {
    send(server, "POST /v1.0/deploy", HEADERS, BODY)
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn header<'a>(reply: &'a str, name: &str) -> &'a str {
    let mut lines = reply.lines().take_while(|line| !line.is_empty());
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or("")
}

#[test]
fn refuses_in_the_recorded_order_with_the_recorded_texts() {
    let server = CoreosDeploy::start();
    let media = "Accept: application/json\r\nContent-Type: application/json\r\n";
    let wrong = format!("{media}Authorization: bearer D3Pl0YT0Ken\r\n");
    let charset = HEADERS.replace(
        "Content-Type: application/json",
        "Content-Type: application/json; charset=utf-8",
    );
    let table = [
        (
            "PUT /v1.0/deploy",
            "",
            "",
            "415 Unsupported Media Type",
            "Invalid Content-Type or Accept header value.\n",
        ),
        (
            "GET /v1.0/info",
            &charset,
            "",
            "415 Unsupported Media Type",
            "Invalid Content-Type or Accept header value.\n",
        ),
        (
            "GET /v1.0/deploy",
            media,
            "",
            "405 Method Not Allowed",
            "Invalid Method for this route.\n",
        ),
        (
            "POST /v1.0/health",
            "",
            "",
            "405 Method Not Allowed",
            "Invalid Method for this route.\n",
        ),
        (
            "POST /v1.0/deploy",
            &wrong,
            "x",
            "401 Unauthorized",
            "Invalid authorization.\n",
        ),
        (
            "POST /v1.0/deploy",
            HEADERS,
            "{\"a",
            "400 Bad Request",
            "Invalid JSON format in text of body in request.\n",
        ),
        (
            "POST /v1.0/deploy",
            HEADERS,
            r#"{"numInstances":"2"}"#,
            "400 Bad Request",
            "Invalid JSON format in text of body in request.\n",
        ),
        (
            "GET /v1.0/nope",
            HEADERS,
            "",
            "404 Not Found",
            "404 page not found\n",
        ),
    ];
    for (line, headers, sent, status, text) in table {
        let reply = send(&server, line, headers, sent);
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{line}: {reply}"
        );
        assert_eq!(body(&reply), text);
        assert_eq!(header(&reply, "Content-Type"), "text/plain; charset=utf-8");
        assert_eq!(header(&reply, "X-Content-Type-Options"), "nosniff");
    }
    assert!(server.deploys().is_empty());
}

#[test]
fn answers_as_recorded() {
    let server = CoreosDeploy::start();
    let table = [
        ("/v1.0/health", "200 OK", ""),
        ("//v1.0/info", "301 Moved Permanently", ""),
        ("/v1.0/status", "301 Moved Permanently", ""),
        (
            "/v1.0/status/a%22b",
            "200 OK",
            r#"{"id":a"b,"error":"sql: no rows in result set"}"#,
        ),
        (
            "/v1.0/status/",
            "200 OK",
            r#"{"id":,"error":"sql: no rows in result set"}"#,
        ),
    ];
    for (path, status, text) in table {
        let reply = get(&server, path);
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{path}: {reply}"
        );
        assert_eq!(body(&reply), text);
        assert_eq!(
            header(&reply, "Content-Type"),
            "application/json;charset=utf-8"
        );
        assert!(header(&reply, "Date").ends_with(" +0000"));
        assert_eq!(header(&reply, "Server"), "rig-deploy");
        let id = header(&reply, "X-Request-Id");
        assert!(
            uuid::Uuid::parse_str(id).is_ok() && id == id.to_uppercase(),
            "{id}"
        );
    }
    let info: Value = serde_json::from_str(body(&get(&server, "/v1.0/info"))).unwrap();
    assert_eq!(info["options"]["environment"], "development");
    assert_eq!(get(&server, "/v1.0/cluster_map?uq=("), "");
    server.set_units_readable(false);
    assert_eq!(
        body(&get(&server, "/v1.0/cluster_map")),
        "Invalid query string. err: stub: list-machines failed\n\n"
    );
}

#[test]
fn deploys_in_turn_and_answers_nobody_meanwhile() {
    let server = CoreosDeploy::start();
    server.deploy_takes(LONG);
    let reply = post(&server);
    let id = header(&reply, "X-Request-Id");
    assert_eq!(body(&reply), format!("{{\"deployID\":\"{id}\"}}"));
    let reply = thread::scope(|scope| {
        let reply = scope.spawn(|| get(&server, &format!("/v1.0/status/{id}")));
        until(|| server.requests().len() == 2);
        assert!(!reply.is_finished());
        server.deploy_takes(Duration::ZERO);
        reply.join().unwrap()
    });
    // What it says was so at the end of the deploy.
    let row: Value = serde_json::from_str(body(&reply)).unwrap();
    assert_eq!(row["status"], 2);
    assert_eq!(row["message"], "Service deployed successfully.");
    let keys = [
        "deployID",
        "domain",
        "environment",
        "serviceName",
        "version",
        "suffix",
        "numInstances",
        "status",
        "message",
        "log",
        "updatedAt",
        "createdAt",
    ];
    let places: Vec<usize> = keys
        .iter()
        .map(|key| body(&reply).find(&format!("\"{key}\":")).unwrap())
        .collect();
    assert!(places.is_sorted());
    let first = server.deploys()[0].suffix.clone();
    assert_eq!(
        server.units(),
        [1, 2].map(|n| format!("video-1.0-{first}@A{n}.service"))
    );
    post(&server);
    let map = get(
        &server,
        r"/v1.0/cluster_map?uq=video-1%5C.0-%5Ba-z0-9%5D%7B8%7D@",
    );
    let second = server.deploys()[1].suffix.clone();
    assert!(
        body(&map).contains(&format!("video-1.0-{second}@B2.service")) && !map.contains(&first),
        "{map}"
    );
    assert!(!map.contains("control@1"));
}

#[test]
fn drops_late_replies_but_runs_the_waiting_deploy() {
    let server = CoreosDeploy::start();
    server.deploy_takes(LONG);
    assert!(!post(&server).is_empty());
    let limit = Duration::from_millis(100);
    server.write_timeout(limit);
    let (status, second) = thread::scope(|scope| {
        let status = scope.spawn(|| get(&server, "/v1.0/health"));
        let second = scope.spawn(|| post(&server));
        until(|| server.requests().len() == 3);
        until(|| server.requests().iter().all(|r| r.at.elapsed() > limit));
        server.deploy_takes(Duration::ZERO);
        (status.join().unwrap(), second.join().unwrap())
    });
    assert_eq!((status.as_str(), second.as_str()), ("", ""));
    server.write_timeout(Duration::from_secs(10));
    get(&server, "/v1.0/health");
    assert_eq!(
        server
            .deploys()
            .iter()
            .map(|row| row.status)
            .collect::<Vec<_>>(),
        [2, 2]
    );
}

#[test]
fn behaves_badly_when_asked() {
    let server = CoreosDeploy::start();
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    server.on_post(Box::new(move |value| {
        *count.lock().unwrap() += usize::from(value["version"] == "1.0");
    }));
    server.fault("/deploy", Fault::LoseReply, Some(1));
    server.fault("/deploy", Fault::LoseReplyNotRun, Some(1));
    server.fault("/deploy", Fault::CutBody, Some(1));
    assert_eq!(post(&server), "");
    assert_eq!(server.runs().len(), 1);
    assert_eq!(post(&server), "");
    assert_eq!(server.runs().len(), 1);
    let cut = post(&server);
    assert_eq!(body(&cut), "{\"d");
    assert_eq!(header(&cut, "X-Request-Id"), server.runs()[1].id);
    server.next_deploy(Behaviour::NoRow);
    server.next_deploy(Behaviour::Fail(
        "Unable to submit service template.".to_owned(),
    ));
    server.next_deploy(Behaviour::Die { units: 1 });
    let unrecorded = post(&server);
    assert!(
        get(
            &server,
            &format!("/v1.0/status/{}", header(&unrecorded, "X-Request-Id"))
        )
        .contains("no rows")
    );
    for _ in 0..2 {
        post(&server);
    }
    get(&server, "/v1.0/health");
    assert_eq!(
        server
            .deploys()
            .iter()
            .map(|row| row.status)
            .collect::<Vec<_>>(),
        [2, 2, 3, 1]
    );
    assert_eq!(server.runs().len(), 5);
    assert_eq!(server.units().len(), 3);
    assert_eq!((server.posts().len(), *seen.lock().unwrap()), (6, 6));
}

#[test]
fn a_crash_leaves_the_row_at_one() {
    let server = CoreosDeploy::start();
    server.deploy_takes(LONG);
    let reply = post(&server);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| post(&server));
        until(|| server.posts().len() == 2);
        server.restart();
        assert_eq!(waiting.join().unwrap(), "");
    });
    let id = header(&reply, "X-Request-Id");
    assert!(
        get(&server, &format!("/v1.0/status/{id}"))
            .contains(r#""status":1,"message":"Start deploy.","log":"Start deploy.""#)
    );
    assert_eq!(server.runs().len(), 1);
    server.stop_listening();
    assert!(TcpStream::connect(("127.0.0.1", server.server.port())).is_err());
    server.resume();
    assert!(get(&server, "/v1.0/health").starts_with("HTTP/1.1 200 OK"));
}
