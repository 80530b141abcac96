//! The world that the commands of an episode share. All that happens in it is drawn from one seed,
//! so that a seed is a story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::check::{self, Standing};
use super::cluster::{Cluster, Deploy};
use super::fault::Fault;
use super::store::Store;
use crate::ledger::Attempt;
use crate::model::attempt::State;
use crate::model::request::DeployRequest;

/// 2026-01-01, in milliseconds since 1970 UTC: what the clocks of all hosts say at first.
const EPOCH_MS: i64 = 1_767_225_600_000;
/// How long a lease outlives its last renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(60);
/// How long after the last renewal its holder still relies on it.
pub const VALIDITY: Duration = Duration::from_secs(55);

/// One run of one command.
#[derive(Debug, Default)]
pub struct Task {
    /// The command, as it is typed.
    pub command: &'static str,
    /// The host that it runs on.
    pub host: usize,
    /// Until when it sleeps or stands still.
    pub wake: Duration,
    /// Since when it stands still: nothing of the process runs.
    pub still_since: Option<Duration>,
    /// Since when the renewals of its lease don't reach the ledger.
    pub cut_since: Option<Duration>,
    /// The attempt whose request it sends.
    pub intent: Option<String>,
    /// The attempts that it has made, or has read of while they were open.
    pub knows: BTreeSet<String>,
    /// Whether it stood still for longer than its lease lives.
    pub has_lost_lease: bool,
    /// Whether it could not see the units when it looked last.
    pub is_blind: bool,
    /// Whether coreos-deploy was busy when it asked last.
    pub was_busy: bool,
    /// After how many failures without a success it sends nothing more; 0 is no limit.
    pub max_failures: usize,
    /// Whether it has ended.
    pub ended: bool,
    /// The marker that it saw when it looked last, and has sent nothing since.
    pub saw: Option<(String, String)>,
    /// The exit code of one that ended by itself.
    pub exit: Option<u8>,
    /// Whether it was ended from outside: nothing that it does while it unwinds has an effect.
    pub crashed: bool,
}

/// One host.
#[derive(Debug, Default)]
pub struct Host {
    /// What its wall clock is ahead of the truth, in milliseconds.
    pub ahead: i64,
}

/// A request that is on its way.
pub struct Flight {
    /// When it arrives.
    pub at: Duration,
    /// Who has sent it.
    pub who: usize,
    /// What it asks for.
    pub request: DeployRequest,
    /// Its attempt.
    pub attempt: Option<String>,
    /// How often people had lifted holds when it was sent.
    pub lifted: u32,
    /// Whether it takes longer than a lease and what is waited after a takeover.
    pub is_late: bool,
    /// What becomes of it.
    pub deploy: Deploy,
}

/// All that is shared.
pub struct World {
    /// What everything is drawn from.
    pub rng: fastrand::Rng,
    /// Of a thousand steps, how many go wrong.
    pub faults: u32,
    /// What goes wrong next, where that is not drawn.
    pub scripted: VecDeque<Fault>,
    /// How many units of a deploy that goes wrong come up, where that is not drawn.
    pub up: Option<u32>,
    /// The faults that happen otherwise than that.
    pub weights: BTreeMap<Fault, u32>,
    /// How often another command gets its turn, of a hundred steps.
    pub switch: u32,
    /// What has gone wrong, by command.
    pub counts: BTreeMap<(&'static str, Fault), u64>,
    /// The true time.
    pub now: Duration,
    /// The marked versions by app.
    pub markers: BTreeMap<String, Vec<String>>,
    /// Those of them that are withdrawn: app and version.
    pub withdrawn: BTreeSet<(String, String)>,
    /// What the database holds.
    pub store: Store,
    /// What a copy of it holds that has not seen the last acquisition of the lease.
    pub copy: Option<Store>,
    /// A copy of it that an operator keeps.
    pub backup: Option<Store>,
    /// The apps of which the ledger has lost something, and the attempts of them that it had left.
    pub stale: BTreeMap<String, BTreeSet<String>>,
    /// How many seconds later than the first the commands begin that are run at once.
    pub starts: Vec<u64>,
    /// How long it takes to read the markers.
    pub reading: Duration,
    /// Whether no operator is needed for what is open.
    pub is_left_alone: bool,
    /// Whether the lease is a kernel lock, which dies with its process and never expires.
    pub is_file: bool,
    /// The cluster.
    pub cluster: Cluster,
    /// The requests that have not arrived yet.
    pub flights: Vec<Flight>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Every command of the episode.
    pub tasks: Vec<Task>,
    /// Which of them runs.
    pub turn: Option<usize>,
    /// The attempts of which a request has arrived.
    pub posted: BTreeSet<String>,
    /// Apps and versions that an operator has rolled back from, until he says otherwise.
    pub fled: BTreeSet<(String, String)>,
    /// How often people have lifted holds.
    pub lifted: u32,
    /// The holds that were put, as they were put, and not lifted.
    pub standing: Vec<Standing>,
    /// The greatest token of an attempt whose request has arrived.
    pub token: i64,
    /// What happened, step by step.
    pub story: Vec<String>,
    /// What must not have happened.
    pub broken: Vec<String>,
}

impl World {
    /// Adds a line to the story.
    pub fn tell(&mut self, who: usize, what: &str) {
        let task = &self.tasks[who];
        let (at, host, command) = (self.now.as_secs_f64(), task.host, task.command);
        self.story
            .push(format!("{at:9.1}s host {host} {command}[{who}]: {what}"));
    }

    /// Draws whether a fault happens to a command now.
    pub fn draws(&mut self, who: usize, fault: Fault) -> bool {
        let is_next = self.scripted.front() == Some(&fault);
        if is_next {
            self.scripted.pop_front();
        } else if self.faults == 0 {
            return false;
        }
        let weight = self.weights.get(&fault).copied();
        let happens = is_next || self.rng.u32(..1000) < weight.unwrap_or(self.faults);
        if happens {
            let command = self.tasks[who].command;
            *self.counts.entry((command, fault)).or_default() += 1;
            self.tell(who, &format!("  {fault:?}"));
        }
        happens
    }

    /// Of the chances of a command's step, the fault that happens to it.
    pub fn draw(&mut self, who: usize, chances: &[Fault]) -> Option<Fault> {
        chances
            .iter()
            .copied()
            .find(|fault| self.draws(who, *fault))
    }

    /// What people do to the markers while a command runs: one is withdrawn, or all are back.
    pub fn touch_markers(&mut self, who: usize) {
        let newest = |(app, versions): (&String, &Vec<String>)| {
            Some((app.clone(), versions.last()?.clone()))
        };
        let newest: Vec<_> = self.markers.iter().filter_map(newest).collect();
        if !newest.is_empty() && self.draws(who, Fault::Withdrawn) {
            self.withdrawn
                .insert(newest[self.rng.usize(..newest.len())].clone());
        }
        if !self.withdrawn.is_empty() && self.draws(who, Fault::MarkedAgain) {
            self.withdrawn.clear();
        }
    }

    /// Whether a version is marked now.
    pub fn is_marked(&self, app: &str, version: &str) -> bool {
        let is_listed = |versions: &Vec<String>| versions.iter().any(|v| v == version);
        self.markers.get(app).is_some_and(is_listed)
            && !self
                .withdrawn
                .contains(&(app.to_owned(), version.to_owned()))
    }

    /// Nothing happens but what happens by itself.
    pub fn wait(&mut self, time: Duration) {
        self.pass(self.now + time);
    }

    /// Whether a request is on its way, or waits for another deploy to end.
    pub fn has_flights(&self) -> bool {
        !self.flights.is_empty() || self.cluster.has_waiting()
    }

    /// Lets the time pass until there is none.
    pub fn land(&mut self) {
        while self.has_flights() {
            self.wait(Duration::from_secs(60));
        }
    }

    /// The ledger is lost, or is one of before. What is on its way then, nobody can know of: there is
    /// nothing. Apps of which it lacks something are stale.
    pub fn replace_ledger(&mut self, fault: Fault, by: Store) {
        let ids = |store: &Store, app: &str| -> BTreeSet<String> {
            let own = store.attempts.iter().filter(|a| a.app == app);
            own.map(|a| a.id.clone()).collect()
        };
        // Those too that have no marker at the moment.
        let known = self.store.attempts.iter().map(|a| a.app.clone());
        let apps: BTreeSet<String> = known.chain(self.markers.keys().cloned()).collect();
        for app in apps {
            let left = ids(&by, &app);
            if left != ids(&self.store, &app) {
                self.stale.insert(app, left);
            }
        }
        if fault == Fault::LedgerRestored {
            self.fled.clear();
        }
        self.standing.clear();
        self.token = 0;
        *self.counts.entry(("nobody", fault)).or_default() += 1;
        self.story.push(format!("  {fault:?}"));
        self.copy = None;
        self.store = by;
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults = 0;
        self.withdrawn.clear();
        self.hosts.iter_mut().for_each(|host| host.ahead = 0);
        self.story.push("  all is well again".to_owned());
    }

    /// Lets the time pass. What is on its way arrives meanwhile.
    fn pass(&mut self, until: Duration) {
        let due = |flight: &Flight| flight.at <= until;
        while let Some(next) = (0..self.flights.len())
            .filter(|at| due(&self.flights[*at]))
            .min_by_key(|at| self.flights[*at].at)
        {
            let flight = self.flights.remove(next);
            self.advance(flight.at);
            self.tell(flight.who, "  its request arrives");
            self.arrive(flight);
        }
        self.advance(until);
    }

    fn arrive(&mut self, mut flight: Flight) {
        let attempt = flight.attempt.as_deref();
        let is_own = |a: &&Attempt| Some(a.id.as_str()) == attempt;
        let own = self.store.attempts.iter().find(is_own);
        flight.deploy.is_given_up = own.is_some_and(|a| a.state == State::Dismissed);
        if !flight.deploy.is_given_up {
            let fled = self.fled.clone();
            check::arrival(self, flight.who, &flight.request, attempt);
            if flight.lifted != self.lifted {
                // Whoever lifts a hold after a rollback wants the newest again.
                self.fled = fled;
            }
        } else if !flight.is_late && !self.is_file {
            check::given_up(self, &flight.request);
        }
        let now = self.now;
        self.cluster.post(flight.deploy, now);
    }

    fn advance(&mut self, until: Duration) {
        self.now = self.now.max(until);
        let Self {
            cluster, rng, now, ..
        } = self;
        cluster.advance(*now, rng);
    }

    /// Whether something of ours or of others is at work, waits, or is on its way.
    pub fn is_at_rest(&self) -> bool {
        !self.has_flights() && !self.cluster.is_busy()
    }

    /// Whose turn is next: often the same command's, else one that is awake; where all sleep, the
    /// time passes until one wakes.
    pub fn next_turn(&mut self, me: usize) {
        let now = self.now;
        let awake: Vec<usize> = self
            .living()
            .filter(|t| self.tasks[*t].wake <= now)
            .collect();
        let stays = awake.contains(&me) && self.rng.u32(..100) >= self.switch;
        self.turn = if stays {
            Some(me)
        } else if awake.is_empty() {
            let first = self.living().min_by_key(|t| self.tasks[*t].wake);
            if let Some(first) = first {
                self.pass(self.tasks[first].wake);
            }
            first
        } else {
            Some(awake[self.rng.usize(..awake.len())])
        };
    }

    fn living(&self) -> impl Iterator<Item = usize> {
        let tasks = self.tasks.iter().enumerate();
        tasks
            .filter(|(_, task)| !task.ended)
            .map(|(index, _)| index)
    }

    /// What the wall clock of a host says.
    pub fn wall_ms(&self, host: usize) -> i64 {
        let true_ms = EPOCH_MS + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX / 2);
        true_ms + self.hosts[host].ahead
    }

    /// The renewals of a command's lease have not reached the ledger since then.
    pub fn cut(&mut self, who: usize, since: Duration) {
        self.tasks[who].cut_since.get_or_insert(since);
        if self.store.lease.holder == Some(who) {
            self.store.lease.ends = since + LEASE_TTL;
        }
    }

    /// What the thread that renews the lease of a living process has done until now.
    pub fn renew(&mut self) {
        let lease = &mut self.store.lease;
        let Some(task) = lease.holder.and_then(|who| self.tasks.get(who)) else {
            return;
        };
        if !task.ended && !task.crashed && !task.has_lost_lease {
            let last = task.cut_since.or(task.still_since).unwrap_or(self.now);
            lease.ends = lease.ends.max(last + LEASE_TTL);
        }
    }
}
