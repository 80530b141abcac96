//! Episodes: what happens in one, drawn from a seed.

use std::sync::Mutex;
use std::time::Duration;

use super::check;
use super::host::Ports as Steps;
use super::store::Store;
use super::world::{Actor, Fault, Shared, Task, Work, World};
use crate::artifactory::Releases;
use crate::cli::{Cli, Command, SettleAs};
use crate::clock::SharedClock;
use crate::commands::{self, Context};
use crate::config::{ColorMode, Config};
use crate::error::Result;
use crate::exit::Exit;
use crate::ledger::{Access, Ledger};
use crate::output::{Output, Terminal};
use crate::pass::{Interrupt, Ports};
use crate::target::Target;

/// The apps of an episode. The folder is the service's name, too.
pub const APPS: [&str; 2] = ["web", "video"];
/// The versions that are marked one after the other, oldest first.
const VERSIONS: [&str; 6] = ["1.0", "1.1", "1.2", "2.0", "2.1", "3.0"];
/// How often all is tried again at the end, at most.
const LAST_ROUNDS: usize = 14;

/// What all episodes are run with.
pub struct Setting {
    cli: Cli,
    config: Config,
}

impl Setting {
    /// The defaults of the program.
    pub fn new() -> Self {
        let line = "x --domain example.com --deploy-url http://127.0.0.1:1 --dsn sqlite:/none/x.db \
                    --art-endpoint http://127.0.0.1:1 --art-deploy-repo d --art-payload-repo p run";
        let cli =
            Cli::parse_from_args(line.split_whitespace().map(std::ffi::OsString::from)).unwrap();
        let config = Config::from_cli(&cli, &|_| None).unwrap();
        Self { cli, config }
    }

    /// Carries out one command, as a process of its own would.
    fn carry_out(&self, actor: &Actor, command: &Command) {
        let terminal = Terminal::detect(ColorMode::Never, &|_| None);
        let mut output = Output::new(self.config.output, terminal);
        output.captured = Some(Mutex::default());
        let ports = Steps(actor.clone());
        let context = Context {
            cli: &self.cli,
            config: &self.config,
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

/// One episode.
pub fn episode(setting: &Setting, seed: u64, faults: u32) -> Shared {
    let shared = Shared::new(seed, faults);
    for app in APPS {
        shared
            .world()
            .markers
            .insert(app.to_owned(), vec![VERSIONS[0].to_owned()]);
    }
    let rounds = shared.world().rng.usize(3..9);
    for _ in 0..rounds {
        let commands = {
            let mut world = shared.world();
            between(&mut world);
            let said = word(&mut world);
            let at_once = [1, 1, 1, 2, 2, 3][world.rng.usize(..6)];
            said.map_or_else(
                || (0..at_once).map(|_| draw(&mut world)).collect::<Vec<_>>(),
                |command| vec![command],
            )
        };
        run(setting, &shared, &commands);
    }
    to_rest(setting, &shared);
    shared
}

/// Runs commands at once.
pub fn run(setting: &Setting, shared: &Shared, commands: &[Command]) {
    let tasks = commands.iter().map(|command| {
        let host = shared.world().rng.usize(..3);
        let work: Work<'_> = Box::new(move |actor: Actor| setting.carry_out(&actor, command));
        (commands::name(command), host, work)
    });
    shared.run_all(tasks.collect());
}

/// What happens between commands: time passes, versions are marked.
fn between(world: &mut World) {
    let time = [1, 30, 400, 1000, 4000][world.rng.usize(..5)];
    world.wait(Duration::from_secs(time));
    match world.rng.u32(..30) {
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

/// A pass.
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
fn settle(world: &World) -> Option<Command> {
    let open = world.store.attempts.iter().find(|a| a.state.is_open())?;
    if world.cluster.is_busy() {
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
    settle(world).or_else(|| {
        let seen = world.store.snapshot();
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

fn baseline(world: &World, app: &str) -> Option<Command> {
    if world.cluster.is_busy() {
        return None;
    }
    let runs = world.runs(app)?;
    Some(Command::Baseline {
        apps: vec![format!("{app}={runs}")],
        new: true,
    })
}

/// All is well again: the passes and, where they can't, an operator bring everything to rest.
fn to_rest(setting: &Setting, shared: &Shared) {
    shared.world().heal();
    for app in APPS {
        run(
            setting,
            shared,
            &[Command::Release {
                app: Some(app.to_owned()),
                all: false,
            }],
        );
    }
    let thaw = Command::Release {
        app: None,
        all: true,
    };
    run(setting, shared, &[thaw]);
    for round in 0..LAST_ROUNDS {
        shared.world().wait(Duration::from_secs(1300));
        let told = (round >= LAST_ROUNDS / 2)
            .then(|| said(&shared.world()))
            .flatten();
        run(setting, shared, &[told.unwrap_or_else(pass)]);
        let world = shared.world();
        let is_open = world.store.attempts.iter().any(|a| a.state.is_open());
        let is_done = |t: &Task| t.command == "run" && t.exit == Some(0);
        if round > 2 && !is_open && world.tasks.last().is_some_and(is_done) {
            break;
        }
    }
    check::at_rest(&mut shared.world());
}
