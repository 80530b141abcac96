//! Requests, and how they are read.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Status};

/// How long a connection may take over its next request, as recorded of coreos-deploy.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that a request's header and body may hold, each.
const LIMIT: usize = 16 << 20;

/// A request that was read completely.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as sent, with its query.
    pub path: String,
    /// The headers in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When its header had been read.
    pub at: Instant,
}

impl Request {
    /// Gives the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Gives the path without its query, as sent.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Gives a decoded parameter of the query; `+` is a space.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value.into_owned())
    }
}

/// Reads more bytes before `until`; the end of the stream and the end of the time are both errors.
fn fill(mut stream: &TcpStream, buffer: &mut Vec<u8>, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() || buffer.len() > 2 * LIMIT {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut part = [0; 16 * 1024];
    let count = stream.read(&mut part)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.extend(&part[..count]);
    Ok(())
}

/// Understands the header of a request, and says how long it is, once all of it is there.
fn parse(bytes: &[u8]) -> httparse::Result<(Request, usize)> {
    let mut headers = [EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    let Status::Complete(length) = parsed.parse(bytes)? else {
        return Ok(Status::Partial);
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers = parsed.headers.iter();
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: headers
            .map(|h| (h.name.to_owned(), text(h.value)))
            .collect(),
        body: Vec::new(),
        at: Instant::now(),
    };
    Ok(Status::Complete((request, length)))
}

/// Reads a request; what lies behind it stays in `buffer`. The inner error ends a 400's first line.
pub(super) fn read_request(
    stream: &TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<Request, &'static str>> {
    let until = Instant::now() + READ_TIMEOUT;
    let (mut request, start) = loop {
        match parse(buffer) {
            Ok(Status::Complete(read)) => break read,
            Ok(Status::Partial) => fill(stream, buffer, until)?,
            Err(_) => return Ok(Err("")),
        }
    };
    if request.header("host").is_none() {
        return Ok(Err(": missing required Host header"));
    }
    if request.header("transfer-encoding").is_some() {
        return Ok(Err(": a body in chunks is not understood"));
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse);
    let Ok(length @ ..=LIMIT) = length else {
        return Ok(Err(""));
    };
    while buffer.len() < start + length {
        fill(stream, buffer, until)?;
    }
    request.body = buffer[start..start + length].to_vec();
    buffer.drain(..start + length);
    Ok(Ok(request))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::Arc;

    use crate::http::{LOOPBACK, Response, Server, Stop};

    fn echo() -> Server {
        Server::start(LOOPBACK, Arc::new(Stop::default()), |request| {
            let query = request.query("q").unwrap_or_default();
            let body = String::from_utf8_lossy(&request.body);
            Response::new(
                200,
                "text/plain",
                format!("{} {query} {body}", request.method),
            )
            .into()
        })
    }

    fn talk(sent: &str) -> String {
        let server = echo();
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut got = String::new();
        let _ = stream.read_to_string(&mut got);
        got
    }

    #[test]
    fn keeps_the_connection_for_the_next_request() {
        let got = talk(concat!(
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
            "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /b?p=1&q=a%2B+c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ));
        let head = |length| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        assert_eq!(
            got,
            format!("{}POST  hi{}{}GET a+ c ", head(8), head(6), head(9))
        );
    }

    #[test]
    fn refuses_what_is_no_request_as_recorded() {
        let head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";
        for (sent, text) in [
            ("garbage\r\n\r\n", "400 Bad Request"),
            (
                "GET / HTTP/1.1\r\n\r\n",
                "400 Bad Request: missing required Host header",
            ),
        ] {
            assert_eq!(talk(sent), format!("HTTP/1.1 {text}\r\n{head}{text}"));
        }
    }
}
