use super::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

fn send(port: u16, line: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let end = reply
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(reply.len(), |at| at + 4);
    let body = reply.split_off(end);
    (String::from_utf8(reply).unwrap(), body)
}

fn get(server: &Artifactory, path: &str) -> (String, String) {
    let (head, body) = send(
        server.server.port(),
        &format!("GET /artifactory/{path}"),
        "",
        "",
    );
    (head, String::from_utf8(body).unwrap())
}

fn aql(server: &Artifactory, query: &str) -> (String, Value) {
    let (head, body) = send(
        server.server.port(),
        "POST /artifactory/api/search/aql",
        "Content-Type: text/plain\r\n",
        query,
    );
    let text = String::from_utf8(body).unwrap();
    // One chunk, as the bodies here are short.
    let text = text
        .split_once("\r\n")
        .map_or("", |(_, rest)| rest.trim_end_matches("\r\n0\r\n\r\n"))
        .to_owned();
    assert!(text.is_empty() || text.starts_with('\n'), "{text}");
    (head, serde_json::from_str(&text).unwrap_or(Value::Null))
}

const QUERY: &str = r#"items.find({"repo":"deploys","type":"file","name":{"$match":"*.deploy"}}).include("repo","path","name","created","sha256")"#;

fn published() -> Artifactory {
    let server = Artifactory::start();
    server.publish("video", "1.0+1", b"payload".to_vec());
    server
}

#[test]
fn shows_folders_and_files() {
    let server = published();
    server.set_marker_age("video", "1.0+1", Duration::from_secs(3600));
    let (head, body) = get(&server, "api/storage/deploys/");
    assert!(head.contains(
        "Content-Type: application/vnd.org.jfrog.artifactory.storage.FolderInfo+json\r\n"
    ));
    assert!(head.contains("\r\nDate: ") && head.contains(" GMT\r\n"));
    let root: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(root["path"], "/");
    assert_eq!(
        root["children"],
        serde_json::json!([{"uri": "/video", "folder": true}])
    );
    assert_eq!(root["uri"], format!("{}/api/storage/deploys", server.url()));
    assert!(body.rfind("\"uri\"") > body.find("\"children\""));
    let info: Value =
        serde_json::from_str(&get(&server, "api/storage/deploys/video/1.0%2B1.deploy").1).unwrap();
    assert_eq!(info["size"], "0");
    assert_eq!(
        info["checksums"]["sha1"],
        "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    );
    assert!(info["created"].as_str().unwrap().ends_with("-08:00"));
}

#[test]
fn fails_as_real_servers_do() {
    let server = published();
    let table = [
        ("api/storage/nope", "404", "Unable to find item"),
        (
            "api/storage/deploys/video/2.deploy",
            "404",
            "Unable to find item",
        ),
        (
            "/api/storage/deploys",
            "500",
            "Repo key cannot be empty. Path: api/storage/deploys",
        ),
        ("payloads/video/nope", "404", "File not found."),
        (
            "nope/x",
            "404",
            "Failed to find the repository 'nope' specified in the request.",
        ),
        ("api/nope", "404", "Not Found"),
    ];
    for (path, status, message) in table {
        let (head, body) = get(&server, path);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {head}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errors"][0]["message"], message);
    }
    let (head, _) = get(&server, "payloads/video");
    assert!(
        head.starts_with("HTTP/1.1 302 ")
            && head.contains(&format!("Location: {}/payloads/video/\r\n", server.url()))
    );
    assert!(get(&server, "payloads/video/").1.contains("Index of"));
}

#[test]
fn answers_aql() {
    let server = published();
    let (head, found) = aql(&server, QUERY);
    assert!(head.contains("Transfer-Encoding: chunked"));
    assert_eq!(found["results"][0]["path"], "video");
    assert_eq!(found["results"][0]["name"], "1.0+1.deploy");
    assert!(found["results"][0].get("size").is_none());
    assert_eq!(found["range"]["total"], 1);
    let (_, none) = aql(&server, &QUERY.replace("deploys", "typo"));
    assert_eq!(
        (&none["results"], &none["range"]["total"]),
        (&serde_json::json!([]), &serde_json::json!(0))
    );
    server.repo_kind("deploys", RepoKind::Remote);
    assert_eq!(aql(&server, QUERY).1["results"], serde_json::json!([]));
    server.repo_kind("deploys", RepoKind::Virtual);
    assert_eq!(aql(&server, QUERY).1["results"][0]["repo"], "deploys-local");
    server.aql(AqlMode::Trimmed);
    assert!(aql(&server, QUERY).1["range"]["notification"].is_string());
    server.aql(AqlMode::Refused(403));
    assert!(aql(&server, QUERY).0.starts_with("HTTP/1.1 403 "));
    server.aql(AqlMode::On);
    for (kind, query, status) in [
        ("text/plain", "items.find({})", 400),
        ("application/json", QUERY, 415),
        ("text/plain", "", 400),
        (
            "text/plain",
            r#"items.find({"repo":"deploys"}).include("name")"#,
            400,
        ),
        (
            "text/plain",
            r#"items.find({"repo":"deploys"}).limit(1).include("repo")"#,
            400,
        ),
    ] {
        let (head, _) = send(
            server.server.port(),
            "POST /artifactory/api/search/aql",
            &format!("Content-Type: {kind}\r\n"),
            query,
        );
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{query}: {head}"
        );
    }
}

#[test]
fn redirects_downloads_to_a_store_that_takes_no_credentials() {
    let server = published();
    let path = "payloads/video/example.com-development-video-1.0+1.tar.gz";
    let (head, body) = get(&server, path);
    assert_eq!(body, "payload");
    assert!(
        head.contains("Content-Type: application/x-gzip\r\n")
            && head.contains("X-Checksum-Sha256: ")
    );
    let cdn = Cdn::start();
    server.redirect_downloads(&cdn);
    let (head, _) = get(&server, path);
    let at = head.find(&cdn.url()).unwrap() + cdn.url().len();
    let target = head[at..].lines().next().unwrap().to_owned();
    let port = cdn.url().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(send(port, &format!("GET {target}"), "", "").1, b"payload");
    let (head, _) = send(
        port,
        &format!("GET {target}"),
        "Authorization: Basic eA==\r\n",
        "",
    );
    assert!(head.starts_with("HTTP/1.1 400 "));
    assert_eq!(cdn.requests().len(), 2);
}

#[test]
fn wants_the_credentials_it_was_told() {
    let server = published();
    let ask = |headers: &str| {
        send(
            server.server.port(),
            "GET /artifactory/api/repositories",
            headers,
            "",
        )
        .0
    };
    server.require(Auth::Basic("sysadm".to_owned(), "letmein".to_owned()));
    assert!(ask("Authorization: Basic c3lzYWRtOmxldG1laW4=\r\n").starts_with("HTTP/1.1 200 "));
    let refused = ask("");
    assert!(
        refused.starts_with("HTTP/1.1 401 ")
            && refused.contains("WWW-Authenticate: Basic realm=\"Artifactory Realm\"")
    );
    server.require(Auth::ApiKey("k".to_owned()));
    assert!(ask("X-JFrog-Art-Api: k\r\n").starts_with("HTTP/1.1 200 "));
    assert!(ask("X-JFrog-Art-Api: x\r\n").starts_with("HTTP/1.1 403 "));
}

#[test]
fn fails_as_asked() {
    let server = published();
    let ask = || get(&server, "api/storage/deploys");
    server.fault("storage", Fault::Status(503), Some(1));
    server.fault("storage", Fault::Html200, Some(1));
    server.fault("storage", Fault::CutJson, Some(1));
    server.fault("storage", Fault::Drop, Some(1));
    server.fault("storage", Fault::Hang(Duration::from_millis(30)), Some(1));
    server.fault("storage", Fault::CutBody, Some(1));
    assert!(ask().0.starts_with("HTTP/1.1 503 "));
    assert!(ask().1.starts_with("<html>"));
    assert!(serde_json::from_str::<Value>(&ask().1).is_err());
    assert_eq!(ask().0, "");
    assert_eq!(ask().0, "");
    assert_eq!(ask().1, "{\n ");
    assert!(ask().0.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.requests().len(), 7);
}
