//! The server: listens, starts passes, and ends in good order.
//!
//! It knows a pass only as a subprocess ([`passes`]), so that whatever befalls a pass leaves the
//! server alone, and the other way round.

mod api;
mod child;
mod deploys;
mod gate;
mod hook;
mod listener;
mod metrics;
mod page;
pub mod passes;
mod places;
mod process;
mod profile;
mod replies;
mod store;
mod systemd;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::{error, info};

pub use api::router;
pub use child::Launch;
pub use listener::listen;
pub use metrics::Metrics;
pub use places::Places;
pub use profile::profiler;
pub use store::Store;

use self::passes::{Passes, Runner};
use self::systemd::Systemd;
use crate::config::{Dsn, HookConfig, Network, ServeConfig};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::hangup;
use crate::mask::Masker;
use crate::model::name::Scope;
use crate::model::version::Order;

/// The most connections that are served at a time.
const CONNECTIONS: usize = 1024;
/// The most of them that one address has without having shown a token.
const OF_A_STRANGER: usize = 64;
/// The file descriptors that are left to all but connections.
const OTHER_FILES: usize = 128;
/// How long after SIGTERM all must be over: requests take at most 10 s, a pass at most 18 s.
const END: Duration = Duration::from_millis(19_500);

/// What the HTTP API needs to know.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The header `Server`.
    pub name: String,
    /// What `/v1.0/info` shows.
    pub options: OptionsView,
    /// The ledger.
    pub dsn: Dsn,
    /// The scope whose deploys and passes are shown.
    pub scope: Scope,
    /// The order of versions, which tells whether a hold still holds.
    pub order: Order,
    /// The webhook; without it there is no such route.
    pub hook: Option<HookConfig>,
    /// What takes the secrets of the program out of what clients send.
    pub masker: Masker,
}

/// The options as `/v1.0/info` and `/v1.0/metrics` show them: the keys of the Go program, in its
/// order. The secrets have no key there and none here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionsView {
    /// `--name`.
    pub name: String,
    /// `--hostname`.
    pub host_name: String,
    /// `--domain`.
    pub domain: String,
    /// `--environment`.
    pub environment: String,
    /// `--deploy-url`.
    #[serde(rename = "deployURL")]
    pub deploy_url: String,
    /// `--art-endpoint`.
    #[serde(rename = "artAPIEndpoint")]
    pub art_api_endpoint: String,
    /// `--art-polling`, in seconds.
    pub art_polling_interval: u64,
    /// `--art-deploy-repo`.
    pub art_deploy_repo: String,
    /// `--art-payload-repo`.
    pub art_payload_repo: String,
    /// `--port`.
    pub port: u16,
    /// `--profiler-port`; 0 is none.
    pub prof_port: u16,
    /// `--procs`; 0 is as many as there are processors.
    pub max_procs: u32,
    /// `--debug`.
    pub debug_enabled: bool,
}

/// A server that has its ports, and serves nobody yet.
pub struct Server {
    runtime: Runtime,
    api: Vec<TcpListener>,
    profiler: Option<TcpListener>,
    polling: Option<Duration>,
    proxies: Vec<Network>,
}

impl Server {
    /// Takes the ports.
    ///
    /// Errors: 69 where one is taken or the name of the host is not known.
    pub fn bind(config: &ServeConfig) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.procs)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(|e| Error::unavailable("the threads cannot be started").because_of(&e))?;
        let guard = runtime.enter();
        let api = listener::of_host(&config.hostname, config.port)?;
        let profiler = config
            .profiler_port
            .map(listener::of_loopback)
            .transpose()?;
        drop(guard);
        Ok(Self {
            runtime,
            api,
            profiler,
            polling: config.polling,
            proxies: config.proxies.clone(),
        })
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP, which is a success: it is how a server ends. A
    /// second one of the first two ends the process at once.
    ///
    /// Errors: 69 where a part of the server ends by itself, which is a defect.
    pub fn run(self, config: ServerConfig, launch: Launch) -> Result<Exit> {
        let Self {
            runtime,
            api,
            profiler,
            polling,
            proxies,
        } = self;
        let (stop, _) = watch::channel(false);
        let result = runtime.block_on(async {
            let signals = Signals::listen()?;
            let systemd = Arc::new(Systemd::from_env(&|name| std::env::var_os(name)));
            let status = announce(&api, profiler.as_ref());
            let network = (api, profiler, proxies);
            let parts = Parts::start(config, launch, polling, network, &stop).await;
            systemd.ready(&status);
            parts.attend(signals, &systemd, &stop).await
        });
        // What is blocked in the database is not waited for.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    }
}

/// How many connections there may be: as many file descriptors are asked for, and what the host does
/// not allow is done without.
fn room() -> usize {
    let wanted = u64::try_from(CONNECTIONS + OTHER_FILES).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let allowed = |current: Option<u64>| current.is_none_or(|current| current >= wanted);
    if allowed(limit.current) {
        return CONNECTIONS;
    }
    let current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let raised = Rlimit { current, ..limit };
    let current = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| current);
    let current = usize::try_from(current.unwrap_or(wanted)).unwrap_or(usize::MAX);
    current.saturating_sub(OTHER_FILES).clamp(16, CONNECTIONS)
}

/// Logs where the server listens; the result is one line of it.
fn announce(api: &[TcpListener], profiler: Option<&TcpListener>) -> String {
    let url = |listener: &TcpListener| {
        let address = listener.local_addr();
        address.map_or_else(|e| e.to_string(), |address| format!("http://{address}"))
    };
    for listener in api {
        info!("listening on {}", url(listener));
    }
    if let Some(listener) = profiler {
        info!("CPU profiles on {}/debug/pprof/profile", url(listener));
    }
    let urls: Vec<String> = api.iter().map(url).collect();
    format!("listening on {}", urls.join(" and "))
}

/// What runs until the server ends.
struct Parts {
    runner: JoinHandle<()>,
    listeners: JoinSet<()>,
    passes: Passes,
}

impl Parts {
    async fn start(
        config: ServerConfig,
        launch: Launch,
        polling: Option<Duration>,
        (api, profiler, proxies): (Vec<TcpListener>, Option<TcpListener>, Vec<Network>),
        stop: &watch::Sender<bool>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let passes = Passes::default();
        let store = Store::new(&config);
        store.start(stop.subscribe()).await;
        let app = router(
            Arc::new(config),
            passes.clone(),
            Arc::clone(&metrics),
            store,
        );
        let mut listeners = JoinSet::new();
        let places = Places::new(room(), OF_A_STRANGER, proxies);
        for listener in api {
            let (app, places) = (app.clone(), Arc::clone(&places));
            listeners.spawn(listen(listener, app, places, stop.subscribe()));
        }
        if let Some(listener) = profiler {
            listeners.spawn(self::profiler(listener, stop.subscribe()));
        }
        let runner = Runner {
            passes: passes.clone(),
            launch,
            polling,
            metrics,
        };
        let runner = tokio::spawn(runner.run(stop.subscribe()));
        Self {
            runner,
            listeners,
            passes,
        }
    }

    /// Waits for a signal, then for the end of all parts. The watchdog hears from us while all of
    /// them are there, a thread is free and the queue of passes answers.
    async fn attend(
        mut self,
        mut signals: Signals,
        systemd: &Arc<Systemd>,
        stop: &watch::Sender<bool>,
    ) -> Result<Exit> {
        let mut watchdog = systemd.watchdog().map(every);
        let lost = loop {
            tokio::select! {
                name = signals.first() => {
                    info!("{name}: ending what runs");
                    break None;
                }
                _ = &mut self.runner => break Some("what starts passes"),
                _ = self.listeners.join_next() => break Some("a listener"),
                () = tick(&mut watchdog) => beat(&self.passes, systemd),
            }
        };
        systemd.stopping();
        stop.send_replace(true);
        tokio::spawn(async move {
            let (name, exit) = signals.second().await;
            error!("{name} again: ending at once");
            std::process::exit(i32::from(exit.code()));
        });
        let all = async {
            if !self.runner.is_finished() {
                let _ = (&mut self.runner).await;
            }
            while self.listeners.join_next().await.is_some() {}
        };
        if timeout(END, all).await.is_err() {
            error!("not everything ended in time: ending without it");
        }
        match lost {
            None => Ok(Exit::Success),
            Some(part) => Err(Error::unavailable(format!("{part} ended by itself"))
                .hint("this is a defect: please report")),
        }
    }
}

/// Tells the watchdog that the server is alive, from a thread that serves requests: where all of
/// them are stuck, it is not told.
fn beat(passes: &Passes, systemd: &Arc<Systemd>) {
    let (passes, systemd) = (passes.clone(), Arc::clone(systemd));
    tokio::spawn(async move {
        let _ = passes.figures();
        systemd.alive();
    });
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => pending().await,
    }
}

/// The signals that end a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it stays ignored (`nohup`).
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Error::unavailable("signals cannot be listened to").because_of(&e))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: if hangup::is_ignored() {
                None
            } else {
                Some(listen(SignalKind::hangup())?)
            },
        })
    }

    /// The first one's name.
    async fn first(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = hangup => "SIGHUP",
        }
    }

    /// The next one that ends the process at once, and its exit code. SIGHUP is none: a terminal
    /// that closes sends it more than once, and a service manager right after SIGTERM.
    async fn second(&mut self) -> (&'static str, Exit) {
        tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", Exit::Interrupted),
            _ = self.terminate.recv() => ("SIGTERM", Exit::Terminated),
        }
    }
}
