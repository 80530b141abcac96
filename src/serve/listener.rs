//! The accept loop, and what a client may cost.
//!
//! `axum::serve` gives hyper no timer, so that a header that never ends is waited for without an
//! end; hence a loop of our own.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::gate::{Client, HEADER_BYTES};
use super::places::Places;
use crate::error::{Error, Result};

/// The most of those that are too many whose end is waited for, so that the 503 arrives.
const TURNED_AWAY: usize = 64;
/// The longest wait for a whole header, and so for the next request of a connection: 10 s are
/// promised, the cutting included.
const HEADER_WAIT: Duration = Duration::from_millis(9_500);
/// The longest wait for the client to take a byte.
const WRITE_WAIT: Duration = Duration::from_secs(15);
/// The most fields of a header; more is 431.
const HEADER_FIELDS: usize = 64;
/// The longest wait, at the end, for requests that are being answered.
const GRACE: Duration = Duration::from_secs(10);
/// The longest wait for the client to close, so that it gets the answer before a reset.
const LINGER: Duration = Duration::from_secs(1);
/// The most bytes that are thrown away during that wait.
const LINGER_BYTES: usize = 1024 * 1024;
/// The answer to a connection too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/json;charset=utf-8\r\nContent-Length: 32\r\n\
    Connection: close\r\n\r\n{\"error\":\"Too many connections\"}";

/// Serves `app` until `shutdown` holds true, or its sender is gone. Then nothing is accepted any
/// more, requests that are being answered get 10 s, and the rest is cut.
///
/// Limits: a header of 32 KiB and 64 fields in 10 s, 10 s between two requests, 15 s for the client
/// to take a byte, and as many connections as there are places. Where no other one may be cut for one
/// more ([`Places`]), it gets 503 at once. Bodies are bounded by the routes.
pub async fn listen(
    listener: TcpListener,
    app: Router,
    places: Arc<Places>,
    shutdown: watch::Receiver<bool>,
) {
    serve(listener, app, places, shutdown, true).await;
}

/// [`listen`]; `half_closed`: whether a client that has closed its side still gets an answer.
/// Where not, an answer that takes long ends when the client goes away.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    places: Arc<Places>,
    shutdown: watch::Receiver<bool>,
    half_closed: bool,
) {
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    let mut connections = JoinSet::new();
    let mut stop = shutdown.clone();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly a lack of file descriptors, which time alone can mend.
                tracing::warn!(target: "serve", %error, "no connection can be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Some(place) = places.take(peer.ip()) {
            full = false;
            let (app, stop) = (app.clone(), shutdown.clone());
            connections.spawn(async move {
                let client = Client { peer, place };
                tokio::select! {
                    () = client.place.lost() => {}
                    () = connection(stream, client.clone(), app, stop, half_closed) => {}
                }
            });
            continue;
        }
        if !full {
            full = true;
            let most = places.most();
            tracing::warn!(target: "serve", "{most} clients with a token are served: more get 503");
        }
        if let Ok(permit) = turned_away.clone().try_acquire_owned() {
            connections.spawn(async move {
                let _permit = permit;
                turn_away(stream).await;
            });
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, finished).await.is_err() {
        tracing::warn!(target: "serve", "requests that took too long to finish are cut");
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    client: Client,
    app: Router,
    mut stop: watch::Receiver<bool>,
    half_closed: bool,
) {
    // Without it answers wait for the acknowledgement of what went before; nothing breaks.
    let _ = stream.set_nodelay(true);
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: Request<Incoming>| {
        // One with a body may still wait for its client.
        let is_whole = request.body().is_end_stream();
        let answering = is_whole.then(|| client.place.answering());
        request.extensions_mut().insert(client.clone());
        let answer = app.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(answering);
            answer
        })
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_WAIT));
    let io = TokioIo::new(Box::pin(stream));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_FIELDS)
        .title_case_headers(true)
        .half_close(half_closed)
        .serve_connection(io, service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    match ended {
        Ok(()) => linger(connection.into_parts().io.into_inner()).await,
        Err(error) if error.is_parse() => linger(connection.into_parts().io.into_inner()).await,
        // A client that went away, or was cut.
        Err(_) => {}
    }
}

async fn turn_away(mut stream: TcpStream) {
    let answered = timeout(LINGER, stream.write_all(FULL)).await;
    if matches!(answered, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Closes our side and throws away what the client still sends: closing with bytes unread resets
/// the connection, which can take the answer away from the client.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let thrown_away = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut buffer = [0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(read) = stream.read(&mut buffer).await {
            if read == 0 || read > left {
                return;
            }
            left -= read;
        }
    };
    let _ = timeout(LINGER, thrown_away).await;
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on every address that a host's name stands for, on the same port. An address that this
/// host does not have (`::1` where there is no IPv6) is left out, as long as another is there. A
/// free port (0) is taken on the first address only, IPv4 first. Call it inside a runtime.
pub(super) fn of_host(host: &str, port: u16) -> Result<Vec<TcpListener>> {
    let failed = |e: &io::Error| {
        Error::unavailable(format!("cannot listen on {host} port {port}")).because_of(e)
    };
    let found = (host, port).to_socket_addrs().map_err(|e| failed(&e))?;
    // Sorted, IPv4 comes first.
    let mut addresses: Vec<SocketAddr> = found.collect::<BTreeSet<_>>().into_iter().collect();
    if port == 0 {
        addresses.truncate(1);
    }
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in addresses {
        match bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(e) if is_no_address_of_ours(&e) => missing = Some(e),
            Err(e) => return Err(taken(address, &e)),
        }
    }
    if listeners.is_empty() {
        let none = || io::Error::other("the host name does not resolve");
        return Err(failed(&missing.unwrap_or_else(none)));
    }
    Ok(listeners)
}

/// Listens on IPv4's loopback address.
pub(super) fn of_loopback(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    bind(address).map_err(|e| taken(address, &e))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port whose connections are still being wound up can be taken again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_no_address_of_ours(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

fn taken(address: SocketAddr, e: &io::Error) -> Error {
    let error = Error::unavailable(format!("cannot listen on {address}")).because_of(e);
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            error.hint("another program has that port: choose one with --port")
        }
        io::ErrorKind::PermissionDenied => error.hint("ports below 1024 are for privileged users"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::exit::Exit;
    use axum::Extension;
    use axum::routing::get;
    use tokio::sync::Notify;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn while_all_have_shown_a_token_one_more_is_turned_away_at_once() {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let app = {
            let (begun, go) = (begun.clone(), go.clone());
            let answer = async move |Extension(client): Extension<Client>| {
                client.place.is_trusted();
                begun.notify_one();
                go.notified().await;
            };
            Router::new().route("/", get(answer))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_keep, stop) = watch::channel(false);
        tokio::spawn(listen(listener, app, Places::new(2, 2, Vec::new()), stop));
        let first = tokio::spawn(ask(address));
        begun.notified().await;
        let second = tokio::spawn(ask(address));
        begun.notified().await;
        let third = ask(address).await;
        assert!(third.starts_with("HTTP/1.1 503 "), "{third}");
        assert!(third.ends_with("{\"error\":\"Too many connections\"}"));
        go.notify_waiters();
        for answered in [first, second] {
            let text = answered.await.unwrap();
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        }
    }

    #[test]
    fn the_answer_to_a_connection_too_many_is_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_listened_on() {
        let first = of_host("127.0.0.1", 0).unwrap();
        assert_eq!(first.len(), 1);
        let port = first[0].local_addr().unwrap().port();
        assert_ne!(port, 0);
        let error = of_host("127.0.0.1", port).unwrap_err();
        assert_eq!(Exit::of(error.kind), Exit::Unavailable);
        assert!(error.message.contains(&port.to_string()), "{error:?}");
        assert!(of_loopback(port).is_err());
        drop(first);
        let all = of_host("localhost", port).unwrap();
        assert!(all.iter().all(|l| l.local_addr().unwrap().port() == port));
        assert!(
            all.iter()
                .all(|l| l.local_addr().unwrap().ip().is_loopback())
        );
    }

    #[tokio::test]
    async fn what_is_no_address_of_this_host_is_an_error() {
        // 203.0.113.0/24 is for documentation (RFC 5737).
        for host in ["203.0.113.7", "no-such-host.invalid"] {
            let error = of_host(host, 0).unwrap_err();
            assert_eq!(Exit::of(error.kind), Exit::Unavailable);
            assert!(error.message.contains(host) && !error.causes.is_empty());
        }
    }
}
