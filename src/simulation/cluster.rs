//! A coreos-deploy with its cluster, as the real one was seen to behave: one deploy at a time, of
//! all others the reply is lost; while one runs nothing answers; who waits is served in any order,
//! and between two deploys the service answers for a moment.

use std::time::Duration;

use crate::model::units::Unit;

/// How long destroyed units are still listed as running, at most (seen on fleet).
const LINGER: Duration = Duration::from_secs(12);

/// The service of somebody else.
pub const STRANGER: &str = "stranger";

/// What becomes of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All units come up.
    Succeeds,
    /// So many units come up, fewer than asked for; the former ones stay.
    Fails(u32),
    /// The service dies while it is at work; so many units are up.
    Dies(u32),
}

/// A deploy that was accepted.
#[derive(Clone, Debug)]
pub struct Deploy {
    /// Its number: the id and the suffix are made of it.
    pub number: usize,
    /// The service.
    pub service: String,
    /// The version.
    pub version: String,
    /// The units asked for.
    pub instances: u32,
    /// What becomes of it.
    pub fate: Fate,
    /// How long it takes.
    pub takes: Duration,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether its attempt was given up for another one while it was on its way.
    pub is_given_up: bool,
}

impl Deploy {
    /// The id that coreos-deploy gives it.
    pub fn id(&self) -> String {
        format!("id-{}", self.number)
    }
}

/// The service and the cluster behind it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Every deploy that was begun, oldest first.
    pub deploys: Vec<Deploy>,
    /// The one that is at work, and when it ends.
    at_work: Option<(usize, Duration)>,
    /// Those that wait for it.
    waiting: Vec<Deploy>,
    /// When the next of them begins.
    next: Duration,
    /// Service, unit, and when it is no longer listed.
    units: Vec<(String, Unit, Option<Duration>)>,
    posts: usize,
}

impl Cluster {
    /// Whether a deploy is at work: nothing answers.
    pub fn is_busy(&self) -> bool {
        self.at_work.is_some()
    }

    /// Whether a deploy waits.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether one of ours is at work or waits.
    pub fn has_ours(&self) -> bool {
        let at_work = self.at_work.map(|(index, _)| &self.deploys[index]);
        let mut all = self.waiting.iter().chain(at_work);
        all.any(|deploy| deploy.service != STRANGER && !deploy.is_given_up)
    }

    /// When the deploy that is at work ends, where another one waits for it.
    pub fn gap(&self) -> Option<Duration> {
        self.at_work
            .filter(|_| self.has_waiting())
            .map(|(_, end)| end)
    }

    /// The number of the next deploy.
    pub fn next_number(&mut self) -> usize {
        self.posts += 1;
        self.posts
    }

    /// Takes a request. True where it began at once, so that its reply is sent.
    pub fn post(&mut self, deploy: Deploy, now: Duration) -> bool {
        if self.is_busy() || self.has_waiting() {
            self.waiting.push(deploy);
            return false;
        }
        self.begin(deploy, now);
        true
    }

    fn begin(&mut self, deploy: Deploy, now: Duration) {
        self.at_work = Some((self.deploys.len(), now + deploy.takes));
        self.deploys.push(deploy);
    }

    /// Lets happen what happens until `now`.
    pub fn advance(&mut self, now: Duration, rng: &mut fastrand::Rng) {
        loop {
            if let Some((index, end)) = self.at_work.filter(|(_, end)| *end <= now) {
                self.at_work = None;
                self.end(index, end);
                self.next = end + Duration::from_secs(rng.u64(1..5));
            } else if self.at_work.is_none() && self.has_waiting() && self.next <= now {
                let deploy = self.waiting.remove(rng.usize(..self.waiting.len()));
                self.begin(deploy, self.next);
            } else {
                break;
            }
        }
        self.units
            .retain(|(_, _, gone)| gone.is_none_or(|gone| gone > now));
    }

    fn end(&mut self, index: usize, at: Duration) {
        let deploy = &mut self.deploys[index];
        deploy.ended = true;
        let deploy = deploy.clone();
        let up = match deploy.fate {
            Fate::Succeeds => {
                let former = self
                    .units
                    .iter_mut()
                    .filter(|(service, _, gone)| *service == deploy.service && gone.is_none());
                for (_, _, gone) in former {
                    *gone = Some(at + LINGER);
                }
                deploy.instances
            }
            Fate::Fails(up) | Fate::Dies(up) => up,
        };
        self.units.extend((1..=up).map(|index| {
            let unit = Unit {
                version: deploy.version.clone(),
                suffix: format!("{:08}", deploy.number),
                cycle: 'A',
                index,
                running: true,
            };
            (deploy.service.clone(), unit, None)
        }));
    }

    /// The units of a service that are listed.
    pub fn units(&self, service: &str) -> Vec<Unit> {
        let own = self.units.iter().filter(|(name, ..)| name == service);
        own.map(|(_, unit, _)| unit.clone()).collect()
    }

    /// The version that a service really runs: that of the last deploy that came up whole.
    pub fn runs(&self, service: &str) -> Option<&str> {
        let whole = |d: &&Deploy| d.service == service && d.ended && d.fate == Fate::Succeeds;
        self.deploys
            .iter()
            .rev()
            .find(whole)
            .map(|d| d.version.as_str())
    }
}
