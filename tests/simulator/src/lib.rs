//! Loopback Artifactory, coreos-deploy and `MariaDB`, for the integration tests and the
//! demonstration.
//!
//! The first two speak HTTP/1.1 on `127.0.0.1`, each on a port of its own, from threads of the calling
//! process, and behave as the real servers do where a client can notice: header rules and their
//! order, texts, the one mutex of coreos-deploy that is held for a whole deploy, replies that are
//! dropped when they come late, the oddities of the storage API and of AQL. They stop when dropped. `MariaDB` is the real one, run
//! on a directory of its own.
//!
//! ```no_run
//! use simulator::{Artifactory, CoreosDeploy, Payload};
//! let artifactory = Artifactory::start();
//! artifactory.publish("video", "1.0.1-22", Payload::sample("video", "1.0.1-22").build());
//! let deploy = CoreosDeploy::start();
//! // … run the program against artifactory.url() and deploy.url() …
//! assert_eq!(deploy.posts().len(), 1);
//! ```

mod artifactory;
mod cdn;
mod coreos_deploy;
mod cut;
mod date;
mod encoding;
mod fault;
mod http;
mod mariadb;
mod payload;
mod race;

pub use artifactory::{AqlMode, Artifactory, Auth, RepoKind};
pub use cdn::Cdn;
pub use coreos_deploy::{Behaviour, CoreosDeploy, DeployRow};
pub use cut::{Cut, Lost};
pub use fault::{Fault, Gate};
pub use http::Request;
pub use mariadb::{MariaDb, Rows};
pub use payload::Payload;
pub use race::{Race, Tally};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever befell a thread that held the lock before: a failed assertion in a hook must not
/// hide behind a poisoned mutex.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
