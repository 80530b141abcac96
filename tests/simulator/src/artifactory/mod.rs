//! A loopback Artifactory.

mod aql;
mod routes;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::cdn::{Cdn, Store};
use crate::fault::{Fault, Faults};
use crate::http::{LOOPBACK, Request, Server, Stop};
use crate::lock;
use store::Repo;

/// Where [`Artifactory::publish`] puts markers.
const DEPLOYS: &str = "deploys";
/// Where [`Artifactory::publish`] puts payloads.
const PAYLOADS: &str = "payloads";

/// The only credentials that are taken.
#[derive(Clone, Debug)]
pub enum Auth {
    /// User and password.
    Basic(String, String),
    /// An access token.
    Bearer(String),
    /// A key in `X-JFrog-Art-Api`.
    ApiKey(String),
}

/// How AQL queries are answered.
#[derive(Clone, Debug, Default)]
pub enum AqlMode {
    /// As they should be.
    #[default]
    On,
    /// With this status.
    Refused(u16),
    /// With the first row only and a notification.
    Trimmed,
    /// Cut in the middle, without `range`.
    Cut,
    /// Once for each of these members of a virtual repository, under the member's key.
    Virtual(Vec<String>),
}

/// The class of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RepoKind {
    /// Its files are its own.
    #[default]
    Local,
    /// A cache: AQL knows it as `<key>-cache` only.
    Remote,
    /// A union: AQL gives rows under the key of a member, `<key>-local`.
    Virtual,
}

/// What requests share.
struct State {
    stop: Arc<Stop>,
    faults: Faults,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    base: String,
    auth: Option<Auth>,
    aql: AqlMode,
    cdn: Option<Store>,
    repos: Vec<(String, Repo)>,
}

/// An Artifactory on the loopback interface, with the local repositories `deploys` and `payloads`;
/// anybody may read until [`Artifactory::require`]. Stops when dropped.
pub struct Artifactory {
    server: Server,
    state: Arc<State>,
}

impl Artifactory {
    /// Starts it on a free port.
    pub fn start() -> Self {
        Self::start_at(LOOPBACK)
    }

    /// Starts it on this address.
    pub fn start_at(address: SocketAddr) -> Self {
        let stop = Arc::new(Stop::default());
        let mut inner = Inner::default();
        inner.repo(DEPLOYS);
        inner.repo(PAYLOADS);
        let state = Arc::new(State {
            stop: Arc::clone(&stop),
            faults: Faults::default(),
            inner: Mutex::new(inner),
        });
        let answering = Arc::clone(&state);
        let server = Server::start(address, stop, move |request| answering.answer(request));
        lock(&state.inner).base = format!("http://{}:{}/artifactory", address.ip(), server.port());
        Self { server, state }
    }

    /// Gives the base of downloads; the API is below `/api`.
    pub fn url(&self) -> String {
        lock(&self.state.inner).base.clone()
    }

    /// Uploads the payload of a release for `example.com`, `development`, then its marker.
    pub fn publish(&self, app: &str, version: &str, payload: Vec<u8>) {
        let name = format!("example.com-development-{app}-{version}.tar.gz");
        self.put_payload(app, &name, payload);
        self.put_marker(app, version);
    }

    /// Uploads a file into an app's folder of `payloads`.
    pub fn put_payload(&self, app: &str, file_name: &str, bytes: Vec<u8>) {
        self.put_file(PAYLOADS, &format!("{app}/{file_name}"), bytes);
    }

    /// Uploads `<version>.deploy` into an app's folder of `deploys`.
    pub fn put_marker(&self, app: &str, version: &str) {
        self.put_file(DEPLOYS, &format!("{app}/{version}.deploy"), Vec::new());
    }

    /// Uploads a file; repository and folders are made where they are missing.
    pub fn put_file(&self, repo: &str, path: &str, bytes: Vec<u8>) {
        lock(&self.state.inner).repo(repo).put(path, bytes);
    }

    /// Removes a file, or a folder with all that is in it; `""` removes the repository.
    pub fn remove(&self, repo: &str, path: &str) {
        let mut inner = lock(&self.state.inner);
        if path.is_empty() {
            inner.repos.retain(|(key, _)| key != repo);
        } else {
            inner.repo(repo).remove(path);
        }
    }

    /// Makes a marker this old.
    pub fn set_marker_age(&self, app: &str, version: &str, age: Duration) {
        let at = SystemTime::now()
            .checked_sub(age)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        lock(&self.state.inner)
            .repo(DEPLOYS)
            .set_time(&format!("{app}/{version}.deploy"), at);
    }

    /// Asks for a fault on requests whose path with query holds `path_contains`, so many times, or
    /// always.
    pub fn fault(&self, path_contains: &str, fault: Fault, times: Option<u32>) {
        self.state.faults.add(path_contains, fault, times);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Takes these credentials only: wrong or missing ones are 401, a wrong key is 403.
    pub fn require(&self, auth: Auth) {
        lock(&self.state.inner).auth = Some(auth);
    }

    /// Gives the requests that were read completely.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Forgets the requests so far.
    pub fn reset_requests(&self) {
        self.server.forget_requests();
    }

    /// Sets how AQL queries are answered.
    pub fn aql(&self, mode: AqlMode) {
        lock(&self.state.inner).aql = mode;
    }

    /// Redirects every GET of a file that is not empty to this store.
    pub fn redirect_downloads(&self, to: &Cdn) {
        lock(&self.state.inner).cdn = Some(to.store());
    }

    /// Sets the class of a repository, made where it is missing.
    pub fn repo_kind(&self, repo: &str, kind: RepoKind) {
        lock(&self.state.inner).repo(repo).kind = kind;
    }

    /// Stops listening: connections are refused.
    pub fn stop_listening(&self) {
        self.server.pause();
    }

    /// Listens again, on the same port.
    pub fn resume(&self) {
        self.server.resume();
    }
}

#[cfg(test)]
mod tests;
