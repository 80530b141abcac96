//! A scripted HTTP server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does once it has read a request.
#[derive(Clone)]
pub(super) enum Script {
    /// Sends it and closes.
    Send(Vec<u8>),
    /// Sends it and serves the next request of the connection the same way.
    KeepOpen(Vec<u8>),
    /// Says nothing for as long as the client stays.
    Silent,
}

/// The requests seen: the number of the connection, and the text.
type Seen = Arc<Mutex<Vec<(usize, String)>>>;

pub(super) struct Server {
    pub(super) url: String,
    seen: Seen,
}

impl Server {
    /// Connection `n` gets script `n`; the last one serves all that follow.
    pub(super) fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let record = seen.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let script = scripts[number.min(scripts.len() - 1)].clone();
                let record = record.clone();
                std::thread::spawn(move || serve(stream.unwrap(), number, &script, &record));
            }
        });
        Self { url, seen }
    }

    pub(super) fn of(reply: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![Script::Send(reply.into())])
    }

    pub(super) fn requests(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, number: usize, script: &Script, seen: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        seen.lock().unwrap().push((number, request));
        match script {
            Script::Send(bytes) => {
                // The client may have gone: it decides how much it reads.
                let _ = stream.write_all(bytes);
                return;
            }
            Script::KeepOpen(bytes) => stream.write_all(bytes).unwrap(),
            Script::Silent => {}
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    let mut length = 0;
    loop {
        let start = text.len();
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
        let line = text[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    text.push_str(std::str::from_utf8(&body).unwrap());
    Some(text)
}

pub(super) fn reply(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
