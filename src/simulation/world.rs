//! The world that the commands of an episode share, and the one thread of them that may run.
//!
//! Every call of a port is a step. Before a step the world may let another command run first, end
//! the command (a crash), or let it stand still; all of it is drawn from one seed, so that a seed
//! is a story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cluster::Cluster;
use super::store::Store;
use crate::clock::Clock;

/// 2026-01-01, in milliseconds since 1970 UTC: what the clocks of all hosts say at first.
const EPOCH_MS: i64 = 1_767_225_600_000;
/// How long a lease outlives its last renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(60);
/// How often another command gets its turn, of a hundred steps.
const SWITCH: u32 = 20;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process ends before a step.
    CrashBefore,
    /// The process ends after a step, of which it hears nothing.
    CrashAfter,
    /// The process stands still.
    Pause,
    /// The clock of the host is set.
    ClockStep,
    /// The ledger can't be reached; nothing is done.
    LedgerAway,
    /// The ledger has done it, and can't be reached to say so.
    LostCommit,
    /// The database fails over to a copy that has not seen the last acquisition of the lease. What
    /// a server loses that says it has it is not promised to be made up for: a deploy that was
    /// recorded as ended is one of the past.
    FailOver,
    /// Between two commands: the ledger is gone, and a new one is made.
    LedgerLost,
    /// Between two commands: the ledger is one of before.
    LedgerRestored,
    /// The request never arrives.
    LostRequest,
    /// The reply never arrives.
    LostReply,
    /// The reply comes minutes later.
    LateReply,
    /// The request is refused.
    Refused,
    /// The service is not reached.
    TargetAway,
    /// The deploy fails.
    DeployFails,
    /// The service dies in a deploy.
    DeployDies,
    /// The deploy takes longer than `--deploy-timeout`.
    DeployHangs,
    /// The markers can't be read.
    MarkersAway,
    /// A marker is withdrawn.
    Withdrawn,
    /// The markers that were withdrawn are there again.
    MarkedAgain,
}

/// What a command that crashed unwinds with.
pub struct Crash;

/// One run of one command.
#[derive(Debug)]
pub struct Task {
    /// The command, as it is typed.
    pub command: &'static str,
    /// The host that it runs on.
    pub host: usize,
    /// Until when it sleeps or stands still.
    wake: Duration,
    /// Since when it stands still: nothing of the process runs.
    still_since: Option<Duration>,
    /// Whether it stood still for longer than its lease lives.
    pub has_lost_lease: bool,
    /// Whether it could not see the units when it looked last.
    pub is_blind: bool,
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
    ahead: i64,
}

/// All that is shared.
pub struct World {
    /// What everything is drawn from.
    pub rng: fastrand::Rng,
    /// Of a thousand steps, how many go wrong.
    pub faults: u32,
    /// What goes wrong next, where that is not drawn.
    pub scripted: VecDeque<Fault>,
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
    /// Whether the lease is a kernel lock, which dies with its process and never expires.
    pub is_file: bool,
    /// The cluster.
    pub cluster: Cluster,
    hosts: Vec<Host>,
    /// Every command of the episode.
    pub tasks: Vec<Task>,
    turn: Option<usize>,
    /// The attempts of which a request has arrived.
    pub posted: BTreeSet<String>,
    /// Apps and versions that an operator has rolled back from, until he says otherwise.
    pub fled: BTreeSet<(String, String)>,
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
        let happens = self.rng.u32(..1000) < self.faults || is_next;
        if is_next {
            self.scripted.pop_front();
        }
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

    /// The ledger is lost, or is one of before. Apps of which it lacks something are stale.
    pub fn replace_ledger(&mut self, fault: Fault, by: Store) {
        let ids = |store: &Store, app: &str| -> BTreeSet<String> {
            let own = store.attempts.iter().filter(|a| a.app == app);
            own.map(|a| a.id.clone()).collect()
        };
        for app in self.markers.keys() {
            let left = ids(&by, app);
            if left != ids(&self.store, app) {
                self.stale.insert(app.clone(), left);
            }
        }
        if fault == Fault::LedgerRestored {
            self.fled.clear();
        }
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

    fn pass(&mut self, until: Duration) {
        self.now = self.now.max(until);
        let Self {
            cluster, rng, now, ..
        } = self;
        cluster.advance(*now, |waiting| rng.usize(..waiting));
    }

    /// Whose turn is next: often the same command's, else one that is awake; where all sleep, the
    /// time passes until one wakes.
    fn next_turn(&mut self, me: usize) {
        let now = self.now;
        let awake: Vec<usize> = self
            .living()
            .filter(|t| self.tasks[*t].wake <= now)
            .collect();
        let stays = awake.contains(&me) && self.rng.u32(..100) >= SWITCH;
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

    fn wall_ms(&self, host: usize) -> i64 {
        let true_ms = EPOCH_MS + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX / 2);
        true_ms + self.hosts[host].ahead
    }

    /// What the thread that renews the lease of a living process has done until now.
    pub fn renew(&mut self) {
        let lease = &mut self.store.lease;
        let Some(task) = lease.holder.and_then(|who| self.tasks.get(who)) else {
            return;
        };
        if !task.ended && !task.crashed && !task.has_lost_lease {
            lease.ends = lease
                .ends
                .max(task.still_since.unwrap_or(self.now) + LEASE_TTL);
        }
    }
}

/// What a process does.
pub type Work<'a> = Box<dyn FnOnce(Actor) + Send + 'a>;

/// The world, and the turns in it.
#[derive(Clone)]
pub struct Shared(Arc<(Mutex<World>, Condvar)>);

impl Shared {
    /// A world without anything in it.
    pub fn new(seed: u64, faults: u32) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let is_file = rng.bool();
        let world = World {
            rng,
            faults,
            scripted: VecDeque::new(),
            counts: BTreeMap::new(),
            now: Duration::ZERO,
            markers: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            store: Store::default(),
            copy: None,
            backup: None,
            stale: BTreeMap::new(),
            is_file,
            cluster: Cluster::default(),
            hosts: (0..3).map(|_| Host::default()).collect(),
            tasks: Vec::new(),
            turn: None,
            posted: BTreeSet::new(),
            fled: BTreeSet::new(),
            story: Vec::new(),
            broken: Vec::new(),
        };
        Self(Arc::new((Mutex::new(world), Condvar::new())))
    }

    /// The world as it is. Only who has the turn, or nobody's turn, may change it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs commands at once until the last one has ended. Each is told who it is.
    pub fn run_all(&self, commands: Vec<(&'static str, usize, Work<'_>)>) {
        let first = self.world().tasks.len();
        {
            let mut world = self.world();
            for (command, host, _) in &commands {
                let wake = world.now;
                world.tasks.push(Task {
                    command,
                    host: *host,
                    wake,
                    still_since: None,
                    has_lost_lease: false,
                    is_blind: false,
                    ended: false,
                    saw: None,
                    exit: None,
                    crashed: false,
                });
            }
            world.next_turn(first);
        }
        std::thread::scope(|threads| {
            for (number, (_, _, work)) in commands.into_iter().enumerate() {
                let actor = Actor {
                    shared: self.clone(),
                    who: first + number,
                };
                threads.spawn(move || {
                    actor.wait_for_turn();
                    let mine = actor.clone();
                    let ended =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(mine)));
                    let defect = ended.err().filter(|cause| !cause.is::<Crash>());
                    let mut world = actor.shared.world();
                    if defect.is_some() {
                        world.broken.push("a command panicked".to_owned());
                    }
                    world.tasks[actor.who].ended = true;
                    world.store.process_ended(actor.who);
                    world.next_turn(actor.who);
                    drop(world);
                    actor.shared.0.1.notify_all();
                });
            }
        });
    }
}

/// A running command, as the world sees it.
#[derive(Clone)]
pub struct Actor {
    shared: Shared,
    /// Its number in [`World::tasks`].
    pub who: usize,
}

impl Actor {
    fn wait_for_turn(&self) {
        let mut world = self.shared.world();
        while world.turn != Some(self.who) {
            world = self
                .shared
                .0
                .1
                .wait(world)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The world, between two steps.
    pub fn look(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    /// Whether the command was ended: what it does while it unwinds has no effect.
    pub fn is_crashed(&self) -> bool {
        self.look().tasks[self.who].crashed
    }

    /// Sleeps until `wake`, and lets others run meanwhile.
    fn yield_until(&self, wake: Duration) {
        let mut world = self.look();
        world.tasks[self.who].wake = wake;
        world.next_turn(self.who);
        let is_mine = world.turn == Some(self.who);
        drop(world);
        if !is_mine {
            self.shared.0.1.notify_all();
            self.wait_for_turn();
        }
    }

    /// A step begins: others may run first, the process may stand still or end here. With
    /// `may_pause` false it does not stand still: between the last look at the lease and the POST
    /// nobody can help a process that does.
    pub fn step(&self, what: &str, may_pause: bool) -> MutexGuard<'_, World> {
        let now = self.look().now;
        self.yield_until(now);
        let mut world = self.look();
        world.tell(self.who, what);
        if may_pause && world.draws(self.who, Fault::Pause) {
            let time = Duration::from_secs([1, 20, 61, 200, 1500][world.rng.usize(..5)]);
            let (since, wake) = (world.now, world.now + time);
            world.tasks[self.who].still_since = Some(since);
            drop(world);
            self.yield_until(wake);
            world = self.look();
            // A lease that is not relied upon any more stays lost.
            let stood = world.now.saturating_sub(since);
            let task = &mut world.tasks[self.who];
            task.still_since = None;
            task.has_lost_lease |= stood >= LEASE_TTL / 12 * 11;
        }
        world.touch_markers(self.who);
        if world.draws(self.who, Fault::ClockStep) {
            let step = [-1, 1][world.rng.usize(..2)] * [2, 1200, 31_536_000][world.rng.usize(..3)];
            let host = world.tasks[self.who].host;
            world.hosts[host].ahead = step * 1000;
        }
        if world.draws(self.who, Fault::CrashBefore) {
            self.crash(world);
        }
        world
    }

    /// A step ends: the process may end here.
    pub fn done(&self, mut world: MutexGuard<'_, World>) {
        if world.draws(self.who, Fault::CrashAfter) {
            self.crash(world);
        }
    }

    fn crash(&self, mut world: MutexGuard<'_, World>) -> ! {
        world.tasks[self.who].crashed = true;
        world.store.process_ended(self.who);
        drop(world);
        // No panic hook: this is no defect.
        std::panic::resume_unwind(Box::new(Crash));
    }
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "command {}", self.who)
    }
}

impl Clock for Actor {
    fn now_ms(&self) -> i64 {
        let world = self.look();
        world.wall_ms(world.tasks[self.who].host)
    }

    fn elapsed(&self) -> Duration {
        self.look().now
    }

    fn boot_id(&self) -> String {
        let world = self.look();
        // A file is of one host.
        let host = if world.is_file {
            0
        } else {
            world.tasks[self.who].host
        };
        format!("boot of {host}")
    }

    fn sleep(&self, time: Duration) {
        let wake = self.look().now + time;
        self.yield_until(wake);
    }
}
