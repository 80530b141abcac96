//! `-L`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;

use crate::server::{Answer, Server, request};

fn ask(server: &Server, target: &str) -> Answer {
    let mut stream = TcpStream::connect(server.profiler).unwrap();
    let request = request("GET", target, &[]).replace("Host: x", "Host: localhost:1");
    stream.write_all(request.as_bytes()).unwrap();
    Answer::read(&mut stream)
}

#[test]
fn who_asks_for_another_host_gets_no_profile() {
    let server = Server::start();
    let status = |host: &str| {
        let mut stream = TcpStream::connect(server.profiler).unwrap();
        let text = request("GET", "/debug/pprof/", &[]).replace("Host: x", host);
        stream.write_all(text.as_bytes()).unwrap();
        Answer::read(&mut stream).status()
    };
    for good in [
        "127.0.0.1",
        "127.1.2.3:6060",
        "LocalHost:6060",
        "[::1]:6060",
    ] {
        assert_eq!(status(&format!("Host: {good}")), 200, "{good}");
    }
    for bad in [
        "evil.example",
        "localhost.evil.example",
        "192.0.2.1:6060",
        "127.0.0.1.nip.io",
        "",
    ] {
        assert_eq!(status(&format!("Host: {bad}")), 403, "{bad}");
    }
    for none in ["X: y", "Host: localhost\r\nHost: evil.example"] {
        assert_eq!(status(none), 400, "{none}");
    }
}

#[test]
fn a_profile_is_a_compressed_protocol_buffer_and_only_one_is_taken_at_a_time() {
    let server = Server::start();
    assert_eq!(ask(&server, "/debug/pprof/").status(), 200);
    for bad in ["0", "301", "x", "-1"] {
        let answer = ask(&server, &format!("/debug/pprof/profile?seconds={bad}"));
        assert_eq!(answer.status(), 400, "{bad}");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| ask(&server, "/debug/pprof/profile?seconds=2"));
        scope.spawn(|| {
            let mut x = 1_u64;
            while !done.load(Ordering::Relaxed) {
                x = std::hint::black_box(x.wrapping_mul(7) + 1);
            }
        });
        // Whichever begins first is taken.
        let second = ask(&server, "/debug/pprof/profile?seconds=2");
        let first = taking.join().unwrap();
        done.store(true, Ordering::Relaxed);
        let (taken, refused) = if first.status() == 200 {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            (taken.status(), refused.status()),
            (200, 409),
            "{refused:?}"
        );
        let mut profile = Vec::new();
        let mut gzip = GzDecoder::new(taken.body.as_slice());
        gzip.read_to_end(&mut profile).unwrap();
        let unit = b"nanoseconds";
        assert!(profile.windows(unit.len()).any(|part| part == unit));
    });
}
