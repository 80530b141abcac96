//! A loopback coreos-deploy with its one mutex.

mod cluster;
mod routes;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::fault::{Fault, Faults};
use crate::http::{LOOPBACK, Request, Server, Stop};
use crate::lock;
use cluster::Cluster;

/// What becomes of an accepted deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Status 2; its units run, older ones of the service are gone.
    Succeed,
    /// Status 3 with this message; no unit appears.
    Fail(String),
    /// Status 3 with this message; so many units run nevertheless.
    FailPartly(String, usize),
    /// The row stays at status 1 for ever; so many units run.
    Die {
        /// How many units run.
        units: usize,
    },
    /// The row could not be inserted: "no rows" for ever. The deploy runs nevertheless.
    NoRow,
}

/// A deploy that was accepted.
#[derive(Clone, Debug)]
pub struct DeployRow {
    /// The deploy's id.
    pub id: String,
    /// The service's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How many units it asks for.
    pub instances: i64,
    /// 1 started, 2 succeeded, 3 failed.
    pub status: u8,
    /// The eight characters in the names of its units.
    pub suffix: String,
    /// What `/status` says of it.
    pub message: String,
    /// The log of its steps.
    pub log: String,
    /// Whether it is in the database.
    pub recorded: bool,
    /// When it began.
    pub created: SystemTime,
    /// When its row was last written.
    pub updated: SystemTime,
}

type Hook = dyn Fn(&Value) + Send;

/// What requests and running deploys share.
struct State {
    stop: Arc<Stop>,
    faults: Faults,
    hook: Mutex<Option<Box<Hook>>>,
    posts: Mutex<Vec<Value>>,
    mutex: Busy,
    inner: Mutex<Inner>,
}

struct Inner {
    domain: String,
    environment: String,
    token: String,
    takes: Duration,
    write_timeout: Duration,
    port: u16,
    queue: VecDeque<Behaviour>,
    rows: Vec<DeployRow>,
    cluster: Cluster,
}

/// The mutex of the process: held by each request for a moment and by a deploy to its end. Which of
/// those that wait gets it next is not said.
#[derive(Default)]
struct Busy {
    held: Mutex<(bool, u64)>,
    changed: Condvar,
}

impl Busy {
    /// The life of the process, counted up by each crash.
    fn life(&self) -> u64 {
        lock(&self.held).1
    }

    /// Waits for the mutex; `false` when the process died meanwhile.
    fn take(&self, life: u64) -> bool {
        let mut held = lock(&self.held);
        while held.0 && held.1 == life {
            held = self
                .changed
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let alive = held.1 == life;
        held.0 |= alive;
        alive
    }

    fn give(&self, life: u64) {
        let mut held = lock(&self.held);
        if held.1 == life {
            held.0 = false;
        }
        drop(held);
        self.changed.notify_all();
    }

    /// Lets time go by, which may change meanwhile; `false` when the process died meanwhile.
    fn work(&self, life: u64, time: impl Fn() -> Duration) -> bool {
        let begun = Instant::now();
        let mut held = lock(&self.held);
        loop {
            let left = time().saturating_sub(begun.elapsed());
            if held.1 != life || left.is_zero() {
                return held.1 == life;
            }
            held = self
                .changed
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Lets the deploy that runs look at its time again.
    fn look_again(&self) {
        drop(lock(&self.held));
        self.changed.notify_all();
    }

    fn crash(&self) {
        let mut held = lock(&self.held);
        *held = (false, held.1 + 1);
        drop(held);
        self.changed.notify_all();
    }
}

/// A coreos-deploy on the loopback interface; stops when dropped.
pub struct CoreosDeploy {
    server: Server,
    state: Arc<State>,
}

impl CoreosDeploy {
    /// Starts it for `example.com`, `development` and the token `D3Pl0YT0Ken`. A deploy takes 20 ms
    /// and succeeds.
    pub fn start() -> Self {
        Self::start_at(LOOPBACK)
    }

    /// Starts it on this address.
    pub fn start_at(address: SocketAddr) -> Self {
        let stop = Arc::new(Stop::default());
        let state = Arc::new(State {
            stop: Arc::clone(&stop),
            faults: Faults::default(),
            hook: Mutex::new(None),
            posts: Mutex::default(),
            mutex: Busy::default(),
            inner: Mutex::new(Inner {
                domain: "example.com".to_owned(),
                environment: "development".to_owned(),
                token: "D3Pl0YT0Ken".to_owned(),
                takes: Duration::from_millis(20),
                write_timeout: Duration::from_secs(10),
                port: 0,
                queue: VecDeque::new(),
                rows: Vec::new(),
                cluster: Cluster::default(),
            }),
        });
        let answering = Arc::clone(&state);
        let server = Server::start(address, stop, move |request| answering.answer(request));
        lock(&state.inner).port = server.port();
        Self { server, state }
    }

    /// Gives its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Sets how long deploys hold the mutex, the one that runs included.
    pub fn deploy_takes(&self, time: Duration) {
        lock(&self.state.inner).takes = time;
        self.state.mutex.look_again();
    }

    /// Sets how long after the header of its request a reply may still go out (10 s).
    pub fn write_timeout(&self, time: Duration) {
        lock(&self.state.inner).write_timeout = time;
    }

    /// Queues what becomes of the next deploy that has none yet; the others succeed.
    pub fn next_deploy(&self, behaviour: Behaviour) {
        lock(&self.state.inner).queue.push_back(behaviour);
    }

    /// Asks for a fault on requests whose path holds `route_contains`, so many times, or always.
    pub fn fault(&self, route_contains: &str, fault: Fault, times: Option<u32>) {
        self.state.faults.add(route_contains, fault, times);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Sets the domain and environment it says it serves.
    pub fn set_scope(&self, domain: &str, environment: &str) {
        let mut inner = lock(&self.state.inner);
        domain.clone_into(&mut inner.domain);
        environment.clone_into(&mut inner.environment);
    }

    /// Sets the only token it takes.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.state.inner).token);
    }

    /// Gives the requests that were read completely.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Forgets the requests and POSTs so far.
    pub fn reset_requests(&self) {
        self.server.forget_requests();
        lock(&self.state.posts).clear();
    }

    /// Gives the bodies of the POSTs to `/v1.0/deploy` that were read completely, acted upon or not;
    /// `null` for one that is not JSON.
    pub fn posts(&self) -> Vec<Value> {
        lock(&self.state.posts).clone()
    }

    /// Gives how many bytes of its replies went out so far under [`Fault::Drip`].
    pub fn dripped(&self) -> usize {
        self.server.dripped()
    }

    /// Gives the rows of the database.
    pub fn deploys(&self) -> Vec<DeployRow> {
        self.runs().into_iter().filter(|row| row.recorded).collect()
    }

    /// Gives the deploys that were accepted, recorded or not.
    pub fn runs(&self) -> Vec<DeployRow> {
        lock(&self.state.inner).rows.clone()
    }

    /// Gives the names of the units in the cluster.
    pub fn units(&self) -> Vec<String> {
        lock(&self.state.inner).cluster.names()
    }

    /// Adds `n` units of a service, cycle `A` or `B`, running or failed.
    pub fn add_units(
        &self,
        name: &str,
        version: &str,
        suffix: &str,
        cycle: char,
        n: usize,
        running: bool,
    ) {
        lock(&self.state.inner)
            .cluster
            .add(name, version, suffix, cycle, n, running);
    }

    /// Removes every unit.
    pub fn clear_units(&self) {
        lock(&self.state.inner).cluster.clear();
    }

    /// Lets `cluster_map` work, or answer 406.
    pub fn set_units_readable(&self, readable: bool) {
        lock(&self.state.inner).cluster.readable = readable;
    }

    /// Stops listening and cuts every connection; deploys go on.
    pub fn stop_listening(&self) {
        self.server.pause();
    }

    /// Listens again, on the same port.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// Crashes and starts again: connections are cut, what runs dies with its row at status 1, what
    /// waits is never done.
    pub fn restart(&self) {
        self.server.pause();
        self.state.mutex.crash();
        self.server.resume();
    }

    /// Sets what is called when a POST to `/v1.0/deploy` has been read completely, before anything is
    /// done about it; with `null` for a body that is not JSON.
    pub fn on_post(&self, hook: Box<dyn Fn(&Value) + Send>) {
        *lock(&self.state.hook) = Some(hook);
    }
}

impl Drop for CoreosDeploy {
    fn drop(&mut self) {
        // Deploys and requests that wait end with the process.
        self.state.mutex.crash();
    }
}

#[cfg(test)]
mod tests;
