//! What deploys: a port, and what stands behind it.

pub mod coreos_deploy;

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::model::attempt::Status;
use crate::model::request::DeployRequest;
use crate::model::units::Unit;

/// What deploys. It is asked by one deploy at a time, and decides nothing: what an answer means for
/// an attempt is [`crate::model::attempt`]'s to say. Nobody above retries a submission; every other
/// method may be called again. All are bounded in time.
pub trait Target: Sync {
    /// Lets nothing that is asked from now on outlive an end by more than about a second. A
    /// submission is not cut short: its reply would be lost.
    fn until(&mut self, deadline: Deadline);
    /// Asks who the service works for, within seconds.
    fn info(&self) -> Probe;
    /// Whether the service is idle, by several answers over some time. `cancelled` is asked
    /// meanwhile; a cancellation ends it with `false`.
    fn is_quiet(&self, cancelled: &dyn Fn() -> bool) -> bool;
    /// The units of one service that the cluster has, of all versions, each once, sorted. Units
    /// that were just destroyed may still be listed as running for some seconds (seen on fleet).
    ///
    /// Errors: the cluster can't be read (exit 69; 77 for refused credentials).
    fn units(&self, service_name: &str) -> Result<Vec<Unit>>;
    /// Submits a deploy, once.
    fn submit(&self, request: &DeployRequest) -> Submission;
    /// What the service knows of a deploy. `service_name` "" is not compared: of a deploy that was
    /// taken over from the original's table it was never known.
    fn status(&self, id: &str, service_name: &str, version: &str) -> Status;
}

/// Who the service says it works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its domain.
    pub domain: String,
    /// Its environment.
    pub environment: String,
    /// Both, fit to show.
    pub shown: String,
}

/// What became of asking the service who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answered in time.
    Answered(Info),
    /// It was connected to, and fell silent or closed the connection: what a running deploy looks
    /// like; why.
    Busy(String),
    /// It can't be used. Exit 69: not reached, 5xx, 404, or an answer of something else; 77: 401
    /// or 403; 2: a redirect.
    Failed(Error),
}

/// What became of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Accepted, with this id.
    Accepted(String),
    /// Certainly not accepted.
    Refused {
        /// Why, on one line.
        reason: String,
        /// Whether the refusal is about this request, so that it counts as one of its attempts.
        counts: bool,
        /// Set where further requests would fare no better: the pass ends with it.
        stop: Option<Error>,
    },
    /// May have been accepted; no id is known; why, on one line.
    Lost(String),
}
