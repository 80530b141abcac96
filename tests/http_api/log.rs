//! The access log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::server::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, Server, TOKEN};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn requests_are_logged_without_their_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = Server::start();
    let secret = "X-Secret: hidden1";
    let headers = [ACCEPT, CONTENT_TYPE, AUTHORIZATION, secret];
    let unknown = server.ask("GET", "/only/here\u{202e}?token=hidden2", &headers);
    let known = server.ask("GET", "/v1.0/passes/hidden3?token=hidden4", &headers);
    server.ask("GET", "/v1.0/health", &[secret]);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = |answer: &crate::server::Answer| {
        let id = answer.header("X-Request-Id").unwrap();
        let found: Vec<&str> = text.lines().filter(|line| line.contains(id)).collect();
        assert_eq!(found.len(), 1, "{text}");
        found[0].to_owned()
    };
    let line_of_unknown = line(&unknown);
    for part in [
        " INFO access: ",
        "method=\"GET\"",
        "route=\"other\"",
        "status=404",
        "bytes=30",
        "path=\"/only/here",
        "peer=127.0.0.1:",
        "duration_ms=",
    ] {
        assert!(line_of_unknown.contains(part), "{part}: {line_of_unknown}");
    }
    assert!(
        line(&known).contains("route=\"/v1.0/passes/{id}\""),
        "{}",
        line(&known)
    );
    for hidden in ["hidden", TOKEN, "\u{202e}"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}
