//! What systemd is told.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::server::Server;
use crate::support::Rig;

#[test]
fn systemd_hears_of_readiness_life_and_end() {
    let rig = Rig::new();
    let path = rig.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let next = || {
        let mut bytes = [0; 500];
        let count = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let mut command = rig.std_command(&["serve", "-H", "127.0.0.1", "-p", "0", "-g", "0"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut server = Server::of(&rig, &mut command);
    let ready = next();
    let status = format!("STATUS=listening on http://127.0.0.1:{}", server.port);
    assert_eq!(ready, format!("READY=1\n{status}"));
    for _ in 0..5 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    server.signal(Signal::TERM);
    let last = loop {
        let message = next();
        if message != "WATCHDOG=1" {
            break message;
        }
    };
    assert!(last.starts_with("STOPPING=1\n"), "{last}");
    assert_eq!(server.wait().code(), Some(0));
}
