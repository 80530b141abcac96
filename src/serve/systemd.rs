//! Telling systemd how the server is, by the protocol of `sd_notify(3)`: a datagram to the socket
//! that `$NOTIFY_SOCKET` names. Without that variable nothing is sent.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where the service manager listens, if there is one.
pub(super) struct Systemd {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads `$NOTIFY_SOCKET`, `$WATCHDOG_USEC` and `$WATCHDOG_PID` (`sd_watchdog_enabled(3)`).
    pub(super) fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let number = |name: &str| -> Option<u64> { env(name)?.to_str()?.parse().ok() };
        let ours = match env("WATCHDOG_PID") {
            Some(_) => number("WATCHDOG_PID") == Some(std::process::id().into()),
            None => true,
        };
        let to = env("NOTIFY_SOCKET").and_then(|name| connect(&name));
        let period = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0 && to.is_some());
        Self {
            to,
            watchdog: period.map(|usec| Duration::from_micros(usec.div_ceil(2))),
        }
    }

    /// How often the watchdog wants to hear from us: half of what it waits.
    pub(super) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The server can be used; `status` is what `systemctl status` shows.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!(
            "READY=1\nSTATUS={}",
            crate::text::printable(status)
        ));
    }

    /// The server is about to end.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=ending what runs");
    }

    /// The server is alive.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// A service manager that does not listen loses the message: there is nobody else to tell.
    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// A path, or the name of an abstract socket after `@`.
fn connect(name: &OsString) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systemd(variables: &[(&str, &str)]) -> Systemd {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Systemd::from_env(&get)
    }

    fn received(socket: &UnixDatagram) -> String {
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut bytes = [0; 200];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn both_kinds_of_socket_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("cam-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, named) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.display().to_string(),
            ),
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                format!("@{name}"),
            ),
        ] {
            let systemd = systemd(&[("NOTIFY_SOCKET", &named)]);
            assert_eq!(systemd.watchdog(), None);
            systemd.ready("listening\non a\u{1b}");
            assert_eq!(
                received(&socket),
                "READY=1\nSTATUS=listening\\u{a}on a\\u{1b}"
            );
            systemd.alive();
            assert_eq!(received(&socket), "WATCHDOG=1");
            systemd.stopping();
            assert!(received(&socket).starts_with("STOPPING=1\n"));
        }
    }

    #[test]
    fn the_watchdog_is_fed_in_half_its_time_when_it_is_ours() {
        let socket = ("NOTIFY_SOCKET", "/nonexistent/socket");
        let period = ("WATCHDOG_USEC", "30000000");
        let pid = std::process::id().to_string();
        let half = Some(Duration::from_secs(15));
        assert_eq!(systemd(&[socket, period]).watchdog(), half);
        assert_eq!(
            systemd(&[socket, period, ("WATCHDOG_PID", &pid)]).watchdog(),
            half
        );
        assert_eq!(
            systemd(&[socket, period, ("WATCHDOG_PID", "1")]).watchdog(),
            None
        );
        assert_eq!(systemd(&[period]).watchdog(), None);
        for odd in ["", "0", "-1", "x"] {
            assert_eq!(systemd(&[socket, ("WATCHDOG_USEC", odd)]).watchdog(), None);
        }
        // Nobody listens there: nothing happens.
        systemd(&[socket]).alive();
        systemd(&[("NOTIFY_SOCKET", "relative")]).alive();
    }
}
