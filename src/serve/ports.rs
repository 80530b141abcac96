//! Taking the ports of the server.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

use crate::error::{Error, Result};

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
        match listen(address) {
            Ok(listener) => listeners.push(listener),
            Err(e) if is_no_address_of_ours(&e) => missing = Some(e),
            Err(e) => return Err(taken(address, &e)),
        }
    }
    if listeners.is_empty() {
        let none = || io::Error::other("the name stands for no address");
        return Err(failed(&missing.unwrap_or_else(none)));
    }
    Ok(listeners)
}

/// Listens on IPv4's loopback address.
pub(super) fn of_loopback(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    listen(address).map_err(|e| taken(address, &e))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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
    use super::*;
    use crate::exit::Exit;

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
