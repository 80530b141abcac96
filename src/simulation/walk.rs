//! Episodes: what happens in one, drawn from a seed.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::check;
use super::fault::Fault;
use super::host::Ports as Steps;
use super::store::Store;
use super::turns::{Actor, Shared, Work};
use super::world::{Task, World};
use crate::artifactory::Releases;
use crate::cli::{Cli, Command, SettleAs};
use crate::clock::SharedClock;
use crate::commands::{self, Context};
use crate::config::{ColorMode, Config};
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{Access, Ledger, Snapshot};
use crate::model::attempt::State;
use crate::output::{Output, Terminal};
use crate::pass::{Interrupt, Ports};
use crate::target::Target;

/// The apps of an episode. The folder is the service's name, too.
pub const APPS: [&str; 2] = ["web", "video"];
/// The versions that are marked one after the other, oldest first.
pub const VERSIONS: [&str; 6] = ["1.0", "1.1", "1.2", "2.0", "2.1", "3.0"];
/// How often all is tried again at the end, at most.
const LAST_ROUNDS: usize = 14;

/// What all episodes are run with.
pub struct Setting {
    /// A command that gives up at once where another one is at work, and one that waits for it.
    each: [(Cli, Config); 2],
}

impl Setting {
    /// The defaults of the program.
    pub fn new() -> Self {
        let with = |(wait, failures): (&str, &str)| {
            let line = format!(
                "x --domain example.com --deploy-url http://127.0.0.1:1 --dsn sqlite:/none/x.db \
                 --art-endpoint http://127.0.0.1:1 --art-deploy-repo d --art-payload-repo p \
                 --lock-wait {wait} --max-failures {failures} run"
            );
            let words = line.split_whitespace().map(std::ffi::OsString::from);
            let cli = Cli::parse_from_args(words).unwrap();
            let config = Config::from_cli(&cli, &|_| None).unwrap();
            (cli, config)
        };
        Self {
            // Two apps are not enough for the usual brake.
            each: [("0s", "3"), ("5m", "1")].map(with),
        }
    }

    /// Carries out one command, as a process of its own would.
    fn carry_out(&self, actor: &Actor, command: &Command, is_patient: bool) {
        let (cli, config) = &self.each[usize::from(is_patient)];
        actor.look().tasks[actor.who].max_failures = config.rules.max_failures;
        let terminal = Terminal::detect(ColorMode::Never, &|_| None);
        let mut output = Output::new(config.output, terminal);
        output.captured = Some(Mutex::default());
        let ports = Steps(actor.clone());
        let context = Context {
            cli,
            config,
            output: &output,
            ports: &ports,
        };
        let ended = commands::carry_out(&context, command);
        let exit = match &ended {
            Ok(exit) => *exit,
            Err(error) => Exit::of(error.kind),
        };
        let mut world = actor.look();
        if let Err(error) = &ended {
            world.tell(actor.who, &error.one_line());
        }
        check::ended(&mut world, actor.who, exit.code());
    }
}

impl Ports for Steps {
    fn clock(&self) -> SharedClock {
        std::sync::Arc::new(self.0.clone())
    }

    fn ledger(&self, _: Access) -> Result<Box<dyn Ledger>> {
        Ok(Box::new(self.clone()))
    }

    fn releases(&self) -> Result<Box<dyn Releases>> {
        Ok(Box::new(self.clone()))
    }

    fn target(&self) -> Result<Box<dyn Target>> {
        Ok(Box::new(self.clone()))
    }

    fn interrupt(&self) -> Result<Interrupt> {
        Ok(Interrupt::none())
    }
}

/// Something that is done to the world of an episode, or in it.
pub struct Episode<'a> {
    setting: &'a Setting,
    shared: Shared,
}

/// One episode: of the scenes each has its turn, and the walk through all has every second one.
pub fn episode(setting: &Setting, seed: u64, faults: u32) -> Shared {
    let episode = Episode::new(setting, seed, faults);
    for app in APPS {
        episode.mark(app, VERSIONS[0]);
    }
    match usize::try_from(seed).unwrap_or(0) {
        even if even % 2 == 0 => episode.walk(),
        odd => super::scenes::ALL[odd / 2 % super::scenes::ALL.len()].1(&episode),
    }
    episode.to_rest();
    episode.shared
}

impl<'a> Episode<'a> {
    /// A world in which nothing has happened. `faults` of a thousand steps go wrong.
    pub fn new(setting: &'a Setting, seed: u64, faults: u32) -> Self {
        let shared = Shared::new(seed, faults);
        Self { setting, shared }
    }
}

impl Episode<'_> {
    /// The world.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    /// Marks a version.
    pub fn mark(&self, app: &str, version: &str) {
        let mut world = self.world();
        let versions = world.markers.entry(app.to_owned()).or_default();
        versions.push(version.to_owned());
    }

    /// Runs commands at once.
    pub fn run(&self, commands: &[Command]) {
        let tasks = commands.iter().map(|command| {
            let (host, is_patient) = {
                let mut world = self.world();
                (world.rng.usize(..3), world.rng.bool())
            };
            let setting = self.setting;
            let work: Work<'_> =
                Box::new(move |actor: Actor| setting.carry_out(&actor, command, is_patient));
            (commands::name(command), host, work)
        });
        let tasks = tasks.collect();
        self.shared.run_all(tasks);
    }

    /// Anything may happen.
    fn walk(&self) {
        let rounds = self.world().rng.usize(2..7);
        for _ in 0..rounds {
            let commands = {
                let mut world = self.world();
                between(&mut world);
                let said = word(&mut world);
                let at_once = [1, 1, 2, 2, 2, 3][world.rng.usize(..6)];
                said.map_or_else(
                    || (0..at_once).map(|_| draw(&mut world)).collect::<Vec<_>>(),
                    |command| vec![command],
                )
            };
            self.run(&commands);
        }
    }

    /// All is well again: the passes and, where they can't, an operator bring everything to rest.
    fn to_rest(&self) {
        self.world().heal();
        let lift = |app: Option<&str>| Command::Release {
            app: app.map(str::to_owned),
            all: app.is_none(),
        };
        for app in [Some(APPS[0]), Some(APPS[1]), None] {
            self.run(&[lift(app)]);
        }
        for round in 0..LAST_ROUNDS {
            self.world().wait(Duration::from_secs(1300));
            let is_told = round >= LAST_ROUNDS / 2 && !self.world().is_left_alone;
            let told = is_told.then(|| said(&self.world())).flatten();
            self.run(&[told.unwrap_or_else(pass)]);
            let world = self.world();
            let is_open = world.store.attempts.iter().any(|a| a.state.is_open());
            let is_done = |t: &Task| t.command == "run" && t.exit == Some(0);
            if round > 1 && !is_open && world.tasks.last().is_some_and(is_done) {
                break;
            }
        }
        check::at_rest(&mut self.world());
    }
}

/// What happens between commands: time passes, versions are marked.
fn between(world: &mut World) {
    let time = [1, 30, 400, 1000, 4000][world.rng.usize(..5)];
    world.wait(Duration::from_secs(time));
    // What is on its way when its ledger goes, nobody can know of.
    let is_quiet = !world.has_flights();
    match world.rng.u32(..30) {
        _ if !is_quiet => {}
        0 => world.replace_ledger(Fault::LedgerLost, Store::default()),
        1..=2 => {
            if let Some(before) = world.backup.clone() {
                world.replace_ledger(Fault::LedgerRestored, before);
            }
        }
        3..=8 => world.backup = Some(world.store.clone()),
        _ => {}
    }
    let app = APPS[world.rng.usize(..APPS.len())].to_owned();
    if world.rng.u32(..4) == 0 {
        world.withdrawn.clear();
    }
    let marked = world.markers.get(&app).map_or(0, Vec::len);
    if world.rng.bool() && marked < VERSIONS.len() {
        let versions = world.markers.entry(app).or_default();
        versions.push(VERSIONS[marked].to_owned());
    } else if world.rng.u32(..8) == 0 {
        // Withdrawn: what is marked next is the oldest again.
        world.markers.remove(&app);
    }
}

/// A command, as an operator or a timer gives it.
fn draw(world: &mut World) -> Command {
    let app = APPS[world.rng.usize(..APPS.len())].to_owned();
    let version = VERSIONS[world.rng.usize(..4)].to_owned();
    match world.rng.u32(..18) {
        0..10 => pass(),
        10..12 => Command::Deploy {
            app,
            version,
            force: world.rng.bool(),
            no_hold: world.rng.u32(..4) == 0,
        },
        12..15 => Command::Rollback { app },
        15 => Command::Hold {
            all: app == APPS[0],
            app: (app != APPS[0]).then_some(app),
            for_: world.rng.bool().then(|| Duration::from_secs(900)),
            newer_than: None,
            reason: None,
            new: true,
        },
        16 => Command::Forget { app },
        _ => Command::Release {
            app: Some(app),
            all: false,
        },
    }
}

/// What a timer starts.
pub const fn pass() -> Command {
    Command::Run {
        pass_id: None,
        stop_at_eof: false,
    }
}

/// An operator's word on what runs. Nothing else is done meanwhile: what he says must not get old.
fn word(world: &mut World) -> Option<Command> {
    let app = APPS[world.rng.usize(..APPS.len())];
    match world.rng.u32(..10) {
        0 => settle(world),
        1 => baseline(world, app),
        _ => None,
    }
}

/// What an operator says who has looked: where nothing is at work he knows what runs.
pub fn settle(world: &World) -> Option<Command> {
    let open = world.store.attempts.iter().find(|a| a.state.is_open())?;
    if !world.is_at_rest() {
        return None;
    }
    let runs = world.runs(&open.app) == Some(open.version.as_str());
    Some(Command::Settle {
        app: open.app.clone(),
        as_: Some(if runs {
            SettleAs::Deployed
        } else {
            SettleAs::NotDeployed
        }),
        retry: false,
        reason: None,
    })
}

/// What leads out where the passes can't go on.
fn said(world: &World) -> Option<Command> {
    let seen = world.store.snapshot();
    settle(world).or_else(|| retry(world, &seen)).or_else(|| {
        let app = seen.unaccounted.keys().next()?;
        let marked = world.markers.get(app)?.last()?;
        baseline(world, app).or_else(|| {
            Some(Command::Deploy {
                app: app.clone(),
                version: marked.clone(),
                force: false,
                no_hold: true,
            })
        })
    })
}

/// What was given up on an operator's word, who went away before it was sent again.
fn retry(world: &World, seen: &Snapshot) -> Option<Command> {
    let (app, _) = world.markers.iter().find(|(app, versions)| {
        let troubled = seen.records.get(*app).map(|record| &record.troubled);
        let newest = troubled.zip(versions.last());
        newest
            .and_then(|(troubled, newest)| troubled.get(newest))
            .is_some_and(|trouble| trouble.state == State::Dismissed)
    })?;
    Some(Command::Settle {
        app: app.clone(),
        as_: None,
        retry: true,
        reason: None,
    })
}

fn baseline(world: &World, app: &str) -> Option<Command> {
    if !world.is_at_rest() {
        return None;
    }
    let runs = world.runs(app)?;
    Some(Command::Baseline {
        apps: vec![format!("{app}={runs}")],
        new: true,
    })
}
