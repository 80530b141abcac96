//! A small HTTP/1.1 server: one thread a connection, keep-alive, read timeouts, replies that can go
//! wrong on purpose.

mod request;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::lock;
use request::{READ_TIMEOUT, read_request};

pub use request::Request;

/// How the body of a response goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sending {
    /// At once, with its length.
    Whole,
    /// In chunks.
    Chunked,
    /// So many bytes of the declared length, then the connection is closed.
    Cut(usize),
    /// Byte by byte, with this pause.
    Drip(Duration),
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) sending: Sending,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
            sending: Sending::Whole,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn sent(mut self, sending: Sending) -> Self {
        self.sending = sending;
        self
    }
}

/// Any free port of the loopback interface.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is answered.
    Respond(Response),
    /// The connection is closed without a byte.
    Close,
}

impl Reply {
    pub(crate) fn map(self, change: impl FnOnce(Response) -> Response) -> Self {
        match self {
            Self::Respond(response) => Self::Respond(change(response)),
            Self::Close => Self::Close,
        }
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}

/// Ends the waits of a server that is dropped.
#[derive(Default)]
pub(crate) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits for this long, or until the server is dropped: then `true`.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let set = lock(&self.set);
        self.changed
            .wait_timeout_while(set, time, |set| !*set)
            .map_or(true, |(set, _)| *set)
    }

    fn set(&self) {
        *lock(&self.set) = true;
        self.changed.notify_all();
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// What the threads of a server share.
struct Shared {
    handler: Box<Handler>,
    stop: Arc<Stop>,
    log: Mutex<Vec<Request>>,
    streams: Mutex<Vec<Weak<TcpStream>>>,
    dripped: AtomicUsize,
}

/// A listening server; stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<(Arc<AtomicBool>, JoinHandle<()>)>>,
}

impl Server {
    /// Listens on an address; port 0 is any free one.
    pub(crate) fn start(
        address: SocketAddr,
        stop: Arc<Stop>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener
            .local_addr()
            .expect("the address of a bound socket");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            stop,
            log: Mutex::default(),
            streams: Mutex::default(),
            dripped: AtomicUsize::new(0),
        });
        let server = Self {
            address,
            shared,
            listening: Mutex::new(None),
        };
        server.listen(listener);
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).clone()
    }

    pub(crate) fn forget_requests(&self) {
        lock(&self.shared.log).clear();
    }

    /// How many bytes of bodies went out one by one.
    pub(crate) fn dripped(&self) -> usize {
        self.shared.dripped.load(Ordering::SeqCst)
    }

    fn listen(&self, listener: TcpListener) {
        let end = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&self.shared), Arc::clone(&end));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.attend(stream));
            }
        });
        *lock(&self.listening) = Some((end, thread));
    }

    /// Stops listening and cuts every connection: clients are refused from now on.
    pub(crate) fn pause(&self) {
        let Some((end, thread)) = lock(&self.listening).take() else {
            return;
        };
        end.store(true, Ordering::SeqCst);
        // `accept` has no time limit: a connection wakes it.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        let _ = thread.join();
        for stream in lock(&self.shared.streams).iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the same port.
    pub(crate) fn resume(&self) {
        if lock(&self.listening).is_some() {
            return;
        }
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => return self.listen(listener),
                Err(error) => assert!(Instant::now() < until, "{}: {error}", self.address),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        self.pause();
    }
}

impl Shared {
    fn attend(&self, stream: TcpStream) {
        let stream = Arc::new(stream);
        {
            let mut streams = lock(&self.streams);
            streams.retain(|other| other.strong_count() > 0);
            streams.push(Arc::downgrade(&stream));
        }
        let _ = self.converse(&stream);
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn converse(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        let mut buffer = Vec::new();
        loop {
            let request = match read_request(stream, &mut buffer)? {
                Ok(request) => request,
                Err(reason) => {
                    let text = format!("400 Bad Request{reason}");
                    let head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
                    return write!(stream, "HTTP/1.1 {text}\r\n{head}\r\n\r\n{text}");
                }
            };
            lock(&self.log).push(request.clone());
            let Reply::Respond(response) = (self.handler)(&request) else {
                return Ok(());
            };
            let close = request
                .header("connection")
                .is_some_and(|v| v.eq_ignore_ascii_case("close"));
            self.send(stream, &request, &response)?;
            if close || matches!(response.sending, Sending::Cut(_)) {
                return Ok(());
            }
        }
    }

    fn send(
        &self,
        mut stream: &TcpStream,
        request: &Request,
        response: &Response,
    ) -> io::Result<()> {
        let chunked = matches!(response.sending, Sending::Chunked);
        let mut out = format!(
            "HTTP/1.1 {} {}\r\n",
            response.status,
            phrase(response.status)
        );
        for (name, value) in &response.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        if chunked {
            out += "Transfer-Encoding: chunked\r\n\r\n";
        } else {
            let _ = write!(out, "Content-Length: {}\r\n\r\n", response.body.len());
        }
        let mut out = out.into_bytes();
        if request.method == "HEAD" {
            return stream.write_all(&out);
        }
        match response.sending {
            Sending::Whole => out.extend(&response.body),
            Sending::Cut(count) => out.extend(response.body.iter().take(count)),
            Sending::Chunked => {
                for part in response.body.chunks(4096) {
                    write!(out, "{:x}\r\n", part.len())?;
                    out.extend(part);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n\r\n");
            }
            Sending::Drip(pause) => {
                stream.write_all(&out)?;
                for byte in &response.body {
                    stream.write_all(&[*byte])?;
                    self.dripped.fetch_add(1, Ordering::SeqCst);
                    if self.stop.wait(pause) {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
                return Ok(());
            }
        }
        stream.write_all(&out)
    }
}

/// The reason phrase of a status.
pub(crate) fn phrase(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|s| s.canonical_reason())
        .unwrap_or("Status")
}
