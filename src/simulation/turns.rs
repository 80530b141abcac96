//! The turns of the commands: of all of them one runs at a time.
//!
//! Every call of a port is a step. Before a step the world may let another command run first, end
//! the command (a crash), or let it stand still; after it, too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cluster::Cluster;
use super::fault::Fault;
use super::store::Store;
use super::world::{Host, Task, VALIDITY, World};
use crate::clock::Clock;

/// The shortest sleep of a command.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// What a command that crashed unwinds with.
pub struct Crash;

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
            up: None,
            weights: BTreeMap::new(),
            switch: 20,
            counts: BTreeMap::new(),
            now: Duration::ZERO,
            markers: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            store: Store::default(),
            copy: None,
            backup: None,
            stale: BTreeMap::new(),
            reading: Duration::ZERO,
            starts: Vec::new(),
            is_left_alone: false,
            is_file,
            cluster: Cluster::default(),
            flights: Vec::new(),
            hosts: (0..3).map(|_| Host::default()).collect(),
            tasks: Vec::new(),
            turn: None,
            posted: BTreeSet::new(),
            fled: BTreeSet::new(),
            lifted: 0,
            standing: Vec::new(),
            token: 0,
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
            for (number, (command, host, _)) in commands.iter().enumerate() {
                let later = world.starts.get(number).copied().unwrap_or(0);
                let wake = world.now + Duration::from_secs(later);
                world.tasks.push(Task {
                    command,
                    host: *host,
                    wake,
                    ..Task::default()
                });
            }
            world.next_turn(first);
        }
        let mut all = commands
            .into_iter()
            .enumerate()
            .map(|(number, (.., work))| {
                let actor = Actor {
                    shared: self.clone(),
                    who: first + number,
                };
                move || actor.carry_out(work)
            });
        if all.len() == 1 {
            // No thread is needed for one alone.
            all.by_ref().for_each(|alone| alone());
        }
        std::thread::scope(|threads| {
            for one in all {
                threads.spawn(one);
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
    fn carry_out(self, work: Work<'_>) {
        self.wait_for_turn();
        let mine = self.clone();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(mine)));
        let defect = ended.err().filter(|cause| !cause.is::<Crash>());
        let mut world = self.look();
        if defect.is_some() {
            world.broken.push("a command panicked".to_owned());
        }
        world.tasks[self.who].ended = true;
        world.store.process_ended(self.who);
        world.next_turn(self.who);
        drop(world);
        self.shared.0.1.notify_all();
    }

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
            world = self.stand_still(world);
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

    /// A step ends: the process may end here, or stand still before it hears of it.
    pub fn done(&self, mut world: MutexGuard<'_, World>) {
        if world.draws(self.who, Fault::CrashAfter) {
            self.crash(world);
        }
        if world.draws(self.who, Fault::PauseAfter) {
            drop(self.stand_still(world));
        }
    }

    fn stand_still<'a>(&'a self, mut world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        let time = Duration::from_secs([1, 20, 61, 200, 1500][world.rng.usize(..5)]);
        let (since, wake) = (world.now, world.now + time);
        world.tasks[self.who].still_since = Some(since);
        drop(world);
        self.yield_until(wake);
        let mut world = self.look();
        // A lease that is not relied upon any more stays lost.
        let stood = world.now.saturating_sub(since);
        let task = &mut world.tasks[self.who];
        task.still_since = None;
        task.has_lost_lease |= stood >= VALIDITY;
        world
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

    /// A sleep is never shorter than it is asked to be; short ones are longer here, since a
    /// thousand of them would be as many turns.
    fn sleep(&self, time: Duration) {
        let wake = self.look().now + time.max(SHORTEST_SLEEP);
        self.yield_until(wake);
    }
}
