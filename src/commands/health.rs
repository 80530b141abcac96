//! `health`: is the server of this host alive?

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::Output;

/// The longest wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const PATH: &str = "/v1.0/health";
/// The most bytes of a status line.
const LINE_LIMIT: usize = 1024;

/// Asks the server, which is on this host: no proxy is looked for.
pub fn run(config: &Config, output: &Output) -> Result<Exit> {
    let serve = config.serve()?;
    if serve.port == 0 {
        return Err(Error::usage(
            "--port (CAM_PORT) is 0, which names no server",
        ));
    }
    let host = reachable(&serve.hostname);
    let url = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("http://[{address}]:{}{PATH}", serve.port),
        Err(_) => format!("http://{host}:{}{PATH}", serve.port),
    };
    let failed =
        |why: &str| Error::unavailable(format!("{url} does not say that it is well")).because(why);
    let line = ask(&host, serve.port).map_err(|e| failed(&e.to_string()))?;
    if status(&line) != Some(200) {
        return Err(failed(&format!(
            "it answered {}",
            config.http.masker.text(&line)
        )));
    }
    if output.is_json() {
        output.json(&json!({"url": url, "healthy": true}));
    } else {
        output.note(&format!("{url} is well"));
    }
    Ok(Exit::Success)
}

/// An address that stands for all of a host's is reached by loopback.
fn reachable(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(v6)) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    }
}

/// The first line of the answer, from the first address that answers.
fn ask(host: &str, port: u16) -> io::Result<String> {
    let end = Instant::now() + TIMEOUT;
    let mut last = io::Error::other("the name stands for no address");
    for address in (host, port).to_socket_addrs()? {
        match ask_one(address, end) {
            Ok(line) => return Ok(line),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn ask_one(address: SocketAddr, end: Instant) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, left(end)?)?;
    stream.set_write_timeout(Some(left(end)?))?;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    // A byte at a time, so that one that drips is cut off at the end of the time.
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        stream.set_read_timeout(Some(left(end)?))?;
        let count = stream.read(&mut byte).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => late(),
            _ => e,
        })?;
        if count == 0 || line.len() >= LINE_LIMIT {
            return Err(io::Error::other("it sent no line of HTTP"));
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(late())
    } else {
        Ok(left)
    }
}

fn late() -> io::Error {
    io::Error::other("it did not answer within 5 s")
}

/// The status of a status line (RFC 9112, section 4).
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0"), "127.0.0.1");
        assert_eq!(reachable("::"), "::1");
        assert_eq!(reachable("localhost"), "localhost");
        assert_eq!(reachable("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn only_a_status_is_a_status() {
        assert_eq!(status("HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status("HTTP/1.0 503"), Some(503));
        for line in ["", "200", "HTTP/1.1", "HTTP/2 200", "SSH-2.0-x 200"] {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_no_server_is_an_error_soon() {
        for says in [&b""[..], b"220 smtp\n", &[b'x'; 5000]] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(says);
            });
            let line = ask("127.0.0.1", port);
            assert!(line.is_err() || status(&line.unwrap()).is_none());
            server.join().unwrap();
        }
    }
}
