//! A server to test, and a client that sends exactly what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coreos_artifactory_monitor::config::{Dsn, HookAuth, HookConfig};
use coreos_artifactory_monitor::ledger::{self, Access, Ledger};
use coreos_artifactory_monitor::mask::Masker;
use coreos_artifactory_monitor::model::name::Scope;
use coreos_artifactory_monitor::model::version::Order;
use coreos_artifactory_monitor::secret::Secret;
use coreos_artifactory_monitor::serve::passes::Passes;
use coreos_artifactory_monitor::serve::{
    Metrics, OptionsView, Places, ServerConfig, Store, listen, profiler, router,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The token that a server of these tests knows.
pub const TOKEN: &str = "S0M3B3EARERTOK3N";
/// The most connections of a server of these tests.
pub const CONNECTIONS: usize = 512;
/// Longest wait of the client for a byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub metrics: Arc<Metrics>,
    pub profiler: SocketAddr,
    dsn: Dsn,
    stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
    ended: Option<tokio::task::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// A server with an empty ledger that holds one plain token.
    pub fn start() -> Self {
        Self::over(|_| ())
    }

    /// The same over a ledger that something is written to before.
    pub fn over(write: impl FnOnce(&mut dyn Ledger)) -> Self {
        Self::of(None, write)
    }

    /// The same with a webhook.
    pub fn with_hook(auth: HookAuth, secret: &str) -> Self {
        let secret = Secret::new(secret.into());
        Self::of(Some(HookConfig { secret, auth }), |_| ())
    }

    fn of(hook: Option<HookConfig>, write: impl FnOnce(&mut dyn Ledger)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dsn = Dsn::Sqlite(folder.path().join("ledger.db"));
        let mut ledger = ledger::open(&dsn, Access::Write).unwrap();
        ledger.add_token("test", TOKEN).unwrap();
        write(ledger.as_mut());
        drop(ledger);
        let config = Arc::new(ServerConfig {
            name: "rig-monitor".into(),
            hook,
            options: options(),
            dsn: dsn.clone(),
            scope: scope(),
            order: Order::Natural,
            masker: Masker::default(),
        });
        let metrics = Arc::new(Metrics::new());
        let (stop, stopped) = watch::channel(false);
        let runtime = Runtime::new().unwrap();
        let (address, profiler, ended) = runtime.block_on(async {
            let store = Store::new(&config);
            store.start(stopped.clone()).await;
            let app = router(config, Passes::default(), metrics.clone(), store);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let profiles = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let places = Places::new(CONNECTIONS, CONNECTIONS, Vec::new());
            let at = profiles.local_addr().unwrap();
            tokio::spawn(profiler(profiles, stopped.clone()));
            (
                address,
                at,
                tokio::spawn(listen(listener, app, places, stopped)),
            )
        });
        Self {
            address,
            metrics,
            profiler,
            dsn,
            stop,
            runtime: Some(runtime),
            ended: Some(ended),
            _folder: folder,
        }
    }

    /// The ledger, to write to.
    pub fn ledger(&self) -> Box<dyn Ledger> {
        ledger::open(&self.dsn, Access::Write).unwrap()
    }

    /// Tells the server to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end.
    pub fn wait(&mut self) {
        if let (Some(runtime), Some(ended)) = (&self.runtime, self.ended.take()) {
            runtime.block_on(ended).unwrap();
        }
    }

    /// Whether it takes no connection any more, now or soon.
    pub fn is_closed(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if TcpStream::connect(self.address).is_err() {
                return true;
            }
        }
        false
    }

    /// A connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request with these header lines and reads the answer.
    pub fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        self.send(&request(method, target, headers))
    }

    /// Asks with all that a route may want to see.
    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[ACCEPT, CONTENT_TYPE, AUTHORIZATION])
    }

    /// Sends bytes as they are, on a connection of their own, and reads to its end.
    pub fn send(&self, bytes: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        Answer::read(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

pub const ACCEPT: &str = "Accept: application/json";
pub const CONTENT_TYPE: &str = "Content-Type: application/json";
pub const AUTHORIZATION: &str = "Authorization: Bearer S0M3B3EARERTOK3N";

/// The text of a request after which the server closes.
pub fn request(method: &str, target: &str, headers: &[&str]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for line in headers {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads until the server closes.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = bytes.split_at(end.expect("an answer"));
        let head = std::str::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self {
            line,
            headers: headers.collect(),
            body: body[4..].to_vec(),
        }
    }

    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The header of this name, letter by letter.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

pub fn scope() -> Scope {
    Scope {
        domain: "example.com".into(),
        environment: "development".into(),
    }
}

fn options() -> OptionsView {
    OptionsView {
        name: "rig-monitor".into(),
        host_name: "127.0.0.1".into(),
        domain: "example.com".into(),
        environment: "development".into(),
        deploy_url: "http://127.0.0.1:26660".into(),
        art_api_endpoint: "http://127.0.0.1:26680/artifactory/api".into(),
        art_polling_interval: 3600,
        art_deploy_repo: "cluster-deploys-development".into(),
        art_payload_repo: "cluster-payloads".into(),
        port: 26670,
        prof_port: 0,
        max_procs: 0,
        debug_enabled: false,
    }
}
