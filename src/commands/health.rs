//! `health`: is the server of this host alive?

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::time::Duration;

use serde_json::json;

use crate::config::{Config, HttpConfig};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::http;
use crate::output::Output;

/// The longest wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const PATH: &str = "/v1.0/health";

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
    let unhealthy = |why: String| Error::unavailable(format!("{url} is not healthy")).because(why);
    if let Err(cause) = (host.as_str(), serve.port).to_socket_addrs() {
        return Err(unhealthy("the host name does not resolve".to_owned()).because_of(&cause));
    }
    ask(&config.http, &url, TIMEOUT).map_err(unhealthy)?;
    if output.is_json() {
        output.json(&json!({"url": url, "healthy": true}));
    } else {
        output.note(&format!("{url} is healthy"));
    }
    Ok(Exit::Success)
}

/// Why the server is not healthy.
fn ask(config: &HttpConfig, url: &str, wait: Duration) -> std::result::Result<(), String> {
    let client = http::client_of_this_host(config, wait).map_err(|e| e.one_line())?;
    let answer = client.get(url).send().map_err(|failed| {
        if failed.is_timeout() {
            format!("it did not answer within {} s", wait.as_secs())
        } else if is_refused(&failed) {
            "nothing listens there".to_owned()
        } else if failed.is_connect() {
            http::describe(&failed, config)
        } else {
            "what answers there does not speak HTTP".to_owned()
        }
    })?;
    match answer.status().as_u16() {
        200 => Ok(()),
        status => Err(format!("it answered with status {status}")),
    }
}

fn is_refused(failed: &dyn std::error::Error) -> bool {
    let causes = std::iter::successors(failed.source(), |cause| cause.source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// An address that stands for all of a host's is reached by loopback.
fn reachable(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(v6)) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::config::Proxies;
    use crate::mask::Masker;

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0"), "127.0.0.1");
        assert_eq!(reachable("::"), "::1");
        assert_eq!(reachable("localhost"), "localhost");
        assert_eq!(reachable("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn why_a_server_is_not_healthy_is_said_in_plain_words() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let full = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n";
        let other = "what answers there does not speak HTTP";
        for (says, why) in [
            (Some(ok), None),
            (Some(full), Some("it answered with status 503")),
            (Some(moved), Some("it answered with status 302")),
            (Some("220 smtp\r\n"), Some(other)),
            (Some(""), Some(other)),
            (Some("HTTP/1.1 2"), Some(other)),
            (None, Some("it did not answer within 0 s")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
            let config = HttpConfig {
                connect_timeout: TIMEOUT,
                ca_file: Some("/nonexistent".into()),
                masker: Masker::default(),
                client_cert: None,
                proxies: Proxies::default(),
            };
            let wait = says.map_or(Duration::from_millis(50), |_| Duration::from_secs(60));
            let asked = std::thread::scope(|scope| {
                let server = scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut request = [0; 1000];
                    let _ = stream.read(&mut request);
                    let _ = stream.write_all(says.unwrap_or_default().as_bytes());
                    // Who says nothing keeps the connection until the client gives up.
                    let _ = says.is_none().then(|| stream.read(&mut request));
                });
                let asked = ask(&config, &url, wait);
                server.join().unwrap();
                asked
            });
            assert_eq!(asked.err().as_deref(), why, "{says:?}");
            drop(listener);
            let refused = ask(&config, &url, TIMEOUT).unwrap_err();
            assert_eq!(refused, "nothing listens there");
        }
    }
}
