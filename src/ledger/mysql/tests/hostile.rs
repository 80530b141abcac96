//! Servers that are not what they seem.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;
use crate::error::Kind;
use crate::mask::Masker;

/// A packet of the protocol: length, number, content.
fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], content].concat()
}

fn read_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut content = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut content).ok()?;
    Some(content)
}

fn greeting(plugin: &str) -> Vec<u8> {
    let capabilities: u32 = 0x01ff_f7ff & !0x0800;
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut content = b"\x0a8.4.0\0\x01\0\0\0abcdefgh\0".to_vec();
    content.extend([a, b, 45, 2, 0, c, d, 21]);
    content.extend([0; 10]);
    content.extend(b"ijklmnopqrst\0");
    content.extend(plugin.as_bytes());
    content.push(0);
    packet(0, &content)
}

const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];

/// Serves one connection and gives all that the client sent.
fn server(
    serve: impl FnOnce(&mut TcpStream) -> Option<()> + Send + 'static,
) -> (MysqlConfig, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        serve(&mut stream);
        let mut sent = Vec::new();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let _ = stream.read_to_end(&mut sent);
        sent
    });
    let config = MysqlConfig {
        address: MysqlAddress::Tcp("127.0.0.1".to_owned(), port),
        user: "cam".to_owned(),
        password: Some(Secret::new("c4nary".to_owned())),
        database: "cam".to_owned(),
        tls: MysqlTls::Off,
        ca_file: None,
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_secs(1),
        session: Vec::new(),
        lease_ttl: Duration::from_secs(60),
        lease_limit: Duration::from_secs(60),
        masker: Masker::default(),
    };
    (config, served)
}

fn refusal(config: &MysqlConfig) -> Error {
    let error = Error::from(Session::open(config).err().expect("no server at all"));
    assert!(!format!("{error:?}").contains("c4nary"), "{error:?}");
    error
}

#[test]
fn a_server_that_asks_for_a_file_gets_nothing() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"the content of a file of ours").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let (config, served) = server(move |stream| {
        stream.write_all(&greeting("mysql_native_password")).ok()?;
        read_packet(stream)?;
        stream.write_all(&packet(2, &OK)).ok()?;
        // The first statement is answered with a LOCAL INFILE request.
        read_packet(stream)?;
        stream
            .write_all(&packet(1, &[b"\xfb", path.as_bytes()].concat()))
            .ok()
    });
    assert_eq!(refusal(&config).kind, Kind::Unavailable);
    let sent = served.join().unwrap();
    let is_content = |window: &[u8]| window == b"content";
    assert!(!sent.windows(7).any(is_content), "{sent:?}");
    // An empty packet ends the file; a goodbye may follow.
    assert!(sent.len() < 16, "{sent:?}");
}

#[test]
fn a_server_that_breaks_the_driver_is_an_error() {
    let (config, served) = server(|stream| {
        stream.write_all(&greeting("caching_sha2_password")).ok()?;
        read_packet(stream)?;
        // "Authenticate in full", and a key that is none.
        stream.write_all(&packet(2, &[1, 4])).ok()?;
        read_packet(stream)?;
        stream.write_all(&packet(4, b"\x01no key at all")).ok()
    });
    let error = refusal(&config);
    assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
    served.join().unwrap();
}

#[test]
fn a_server_that_asks_for_the_password_in_clear_does_not_get_it() {
    let (config, served) =
        server(|stream| stream.write_all(&greeting("mysql_clear_password")).ok());
    refusal(&config);
    let sent = served.join().unwrap();
    assert!(!sent.windows(6).any(|w| w == b"c4nary"), "{sent:?}");
    let (config, served) = server(|stream| {
        stream.write_all(&greeting("mysql_native_password")).ok()?;
        read_packet(stream)?;
        stream
            .write_all(&packet(2, b"\xfemysql_clear_password\0"))
            .ok()
    });
    refusal(&config);
    let sent = served.join().unwrap();
    assert!(!sent.windows(6).any(|w| w == b"c4nary"), "{sent:?}");
}

#[test]
fn rubbish_and_silence_are_errors() {
    type Serve = fn(&mut TcpStream) -> Option<()>;
    let servers: [Serve; 6] = [
        |_| Some(()),
        |stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok(),
        |stream| stream.write_all(&packet(0, b"\x0a")).ok(),
        |stream| stream.write_all(&packet(0, &[0xff; 300])).ok(),
        |stream| stream.write_all(&[0xff; 4]).ok(),
        |stream| {
            stream.write_all(&greeting("mysql_native_password")).ok()?;
            read_packet(stream)?;
            stream
                .write_all(&packet(2, b"\xff\x15\x04#28000Access denied \x1b[31mred"))
                .ok()
        },
    ];
    for (number, serve) in servers.into_iter().enumerate() {
        let (config, served) = server(serve);
        let error = refusal(&config);
        let expected = if number == 5 {
            Kind::Credentials
        } else {
            Kind::Unavailable
        };
        assert_eq!(error.kind, expected, "{number}: {error:?}");
        assert!(!error.one_line().contains('\x1b'), "{error:?}");
        served.join().unwrap();
    }
}

#[test]
fn a_server_that_says_our_password_is_not_quoted() {
    let (mut config, _) = server(|stream| {
        let error = b"\xff\x15\x04#28000no cam:c4nary+Pass/1, Basic Y2FtOmM0bmFyeStQYXNzLzE=, c4nary%2BPass%2f1";
        stream.write_all(&greeting("mysql_native_password")).ok()?;
        read_packet(stream)?;
        stream.write_all(&packet(2, error)).ok()
    });
    let password = Secret::new("c4nary+Pass/1".to_owned());
    config.masker = Masker::new([(Some("cam"), &password)]);
    config.password = Some(password);
    let error = refusal(&config);
    assert!(
        format!("{error:?}").contains("no cam:***, Basic ***, ***"),
        "{error:?}"
    );
}
