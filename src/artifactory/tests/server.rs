//! A scripted server: it answers what the test says, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::artifactory::Artifactory;
use crate::config::{ArtifactoryConfig, Credentials, HttpConfig, ListingMode};
use crate::secret::Secret;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and target, such as `GET /artifactory/api/storage/r`.
    pub line: String,
    /// The lower-cased header lines.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// A reply: raw bytes, after which the connection is closed.
pub type Reply = Vec<u8>;

/// A reply of a status, a content type and a body.
pub fn reply(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Reply {
    with_headers(status, &[("Content-Type", kind)], body)
}

/// A JSON reply.
pub fn json(status: u16, body: &str) -> Reply {
    reply(status, "application/json", body)
}

/// A reply with these headers.
pub fn with_headers(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut out = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            out.push_str(part);
        }
    }
    out.push_str("Connection: close\r\n\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// A reply that says how long it is and then stops short.
pub fn cut(body: &str) -> Reply {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len() + 9
    )
    .into_bytes()
}

/// The server. Dropping it asserts that it was asked at all.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    quiet: bool,
}

impl Server {
    /// Answers with `answer`, which is given the request and how many came before it.
    pub fn new(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, answer.as_ref()));
            }
        });
        Self {
            url,
            asked,
            quiet: false,
        }
    }

    /// Says that this server must not be asked: it asserts that instead.
    pub fn unasked(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }

    /// A client of this server, with a password.
    pub fn client(&self, listing: ListingMode) -> Artifactory {
        let password = Secret::new("hunter2".into());
        self.client_as(listing, Credentials::Basic("ci".into(), password))
    }

    /// A client of this server with these credentials.
    pub fn client_as(&self, listing: ListingMode, credentials: Credentials) -> Artifactory {
        let base = format!("{}/artifactory", self.url);
        let config = ArtifactoryConfig {
            api: format!("{base}/api"),
            base,
            credentials,
            deploy_repo: "r".into(),
            payload_repo: "p".into(),
            listing,
            jobs: 4,
        };
        let http = HttpConfig {
            connect_timeout: Duration::from_secs(5),
            ..HttpConfig::default()
        };
        let mut artifactory = Artifactory::new(&config, &http).unwrap();
        artifactory.client.delay = Duration::from_millis(1);
        artifactory
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let asked = self.asked.lock().unwrap().len();
            assert_eq!(asked == 0, self.quiet, "asked {asked} times");
        }
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked, usize) -> Reply) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), String::new());
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        headers.push_str(&header.to_ascii_lowercase());
    }
    let length = headers
        .lines()
        .find_map(|h| h.strip_prefix("content-length: "))
        .map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = Asked {
        line: line.trim().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    let before = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    let mut stream = reader.into_inner();
    // A client that has seen enough may have closed.
    let _ = stream.write_all(&answer(&asked, before));
}
