//! Scenes: short episodes that lead up to one danger, and draw the faults at it.

use std::time::Duration;

use super::fault::Fault;
use super::store::Store;
use super::walk::{APPS, Episode, VERSIONS, pass, settle};
use super::world::World;
use crate::cli::Command;
use crate::ledger::{Attempt, TAKEOVER};
use crate::model::attempt::State;

/// A scene.
type Scene = fn(&Episode<'_>);

/// All scenes, and what each is about.
pub const ALL: [(&str, Scene); 13] = [
    ("requests that are lost", lost),
    ("requests that come late, while clocks are set", late),
    ("a server that another deploy keeps busy", queue),
    ("a process that stands still after its commit", still),
    ("a fail-over that gives a token twice", fail_over),
    ("holds upon holds", holds),
    ("rollbacks, one after the other", rollbacks),
    ("ledgers that are lost, or of before", ledgers),
    ("a takeover while a request is on its way", takeover),
    ("older markers, after versions that failed", older),
    ("an operator's word on what is open", words),
    ("two operators at once", operators),
    ("what the original daemon left", original),
];

/// The app that a scene is about.
const APP: &str = APPS[0];

impl World {
    /// From now on these faults happen so often, of a thousand times.
    fn weigh(&mut self, weights: &[(Fault, u32)]) {
        self.weights.extend(weights.iter().copied());
    }

    fn wait_some(&mut self, seconds: &[u64]) {
        let time = seconds[self.rng.usize(..seconds.len())];
        self.wait(Duration::from_secs(time));
    }
}

fn deploy(version: &str, force: bool) -> Command {
    Command::Deploy {
        app: APP.to_owned(),
        version: version.to_owned(),
        force,
        no_hold: false,
    }
}

fn rollback() -> Command {
    Command::Rollback {
        app: APP.to_owned(),
    }
}

impl Episode<'_> {
    /// Marks versions and deploys each, with nothing going wrong.
    fn deploy_well(&self, versions: &[&str]) {
        let faults = std::mem::take(&mut self.world().faults);
        for version in versions {
            self.mark(APP, version);
            self.run(&[pass()]);
            self.world().wait(Duration::from_secs(60));
        }
        self.world().faults = faults;
    }
}

fn lost(episode: &Episode<'_>) {
    episode.world().weigh(&[
        (Fault::LostRequest, 700),
        (Fault::LostReply, 200),
        (Fault::CrashAfter, 60),
    ]);
    for _ in 0..5 {
        episode.world().wait_some(&[30, 1000, 1300, 4000]);
        episode.run(&[pass()]);
    }
}

fn late(episode: &Episode<'_>) {
    episode.world().weigh(&[
        (Fault::LateRequest, 500),
        (Fault::ClockStep, 150),
        (Fault::CrashAfter, 100),
    ]);
    for _ in 0..5 {
        episode.world().wait_some(&[1, 30, 60, 100]);
        episode.run(&[pass()]);
    }
}

fn queue(episode: &Episode<'_>) {
    episode
        .world()
        .weigh(&[(Fault::Stranger, 700), (Fault::LostReply, 300)]);
    for _ in 0..4 {
        {
            let mut world = episode.world();
            // Between two deploys the service answers.
            let gap = world.cluster.gap().filter(|gap| *gap > world.now);
            let time = gap.map_or(Duration::from_secs(60), |gap| gap.saturating_sub(world.now));
            world.wait(time);
        }
        episode.run(&[pass()]);
    }
}

fn still(episode: &Episode<'_>) {
    episode
        .world()
        .weigh(&[(Fault::PauseAfter, 100), (Fault::Pause, 50)]);
    for _ in 0..3 {
        episode.world().wait_some(&[1, 100, 1000]);
        episode.run(&[pass(), pass()]);
    }
}

fn fail_over(episode: &Episode<'_>) {
    {
        let mut world = episode.world();
        world.is_file = false;
        world.switch = 50;
        world.weigh(&[(Fault::FailOver, 300)]);
    }
    for version in &VERSIONS[1..4] {
        episode.world().wait_some(&[1, 100, 1000]);
        episode.run(&[pass(), pass(), rollback()]);
        episode.mark(APP, version);
    }
}

fn holds(episode: &Episode<'_>) {
    episode.deploy_well(&VERSIONS[1..2]);
    for version in &VERSIONS[2..5] {
        let commands = {
            let mut world = episode.world();
            let hold = |newer_than: Option<&str>| Command::Hold {
                app: Some(APP.to_owned()),
                all: false,
                for_: None,
                newer_than: newer_than.map(str::to_owned),
                reason: None,
                new: true,
            };
            let first = [None, Some("1.2"), Some("3.0")][world.rng.usize(..3)];
            let older = [rollback(), deploy("1.0", false), hold(Some("1.2"))];
            [hold(first), older[world.rng.usize(..3)].clone()]
        };
        for command in commands {
            episode.run(&[command]);
        }
        episode.mark(APP, version);
        episode.world().wait(Duration::from_secs(60));
        episode.run(&[pass()]);
        let released = Command::Release {
            app: Some(APP.to_owned()),
            all: false,
        };
        if episode.world().rng.bool() {
            episode.run(&[released]);
        }
    }
}

fn rollbacks(episode: &Episode<'_>) {
    episode.deploy_well(&VERSIONS[1..4]);
    if episode.world().rng.bool() {
        episode.run(&[deploy("1.1", true)]);
    }
    episode
        .world()
        .weigh(&[(Fault::LostReply, 50), (Fault::DeployFails, 100)]);
    let mut markers = VERSIONS[4..].iter();
    for _ in 0..5 {
        episode.world().wait_some(&[1, 30, 1000]);
        let drawn = episode.world().rng.u32(..4);
        let commands = match drawn {
            0 => {
                let next = markers.next();
                if let Some(next) = next {
                    episode.mark(APP, next);
                }
                vec![pass()]
            }
            1 => vec![rollback(), rollback()],
            2 => vec![rollback(), pass()],
            _ => vec![rollback()],
        };
        episode.run(&commands);
    }
}

fn ledgers(episode: &Episode<'_>) {
    episode.deploy_well(&VERSIONS[1..2]);
    {
        let mut world = episode.world();
        world.backup = Some(world.store.clone());
    }
    episode.deploy_well(&VERSIONS[2..4]);
    let is_back = episode.world().rng.bool();
    if is_back {
        episode.run(&[rollback()]);
    }
    {
        let mut world = episode.world();
        world.land();
        let before = world.backup.clone().filter(|_| world.rng.bool());
        match before {
            Some(before) => world.replace_ledger(Fault::LedgerRestored, before),
            None => world.replace_ledger(Fault::LedgerLost, Store::default()),
        }
        // The markers of the newest versions are gone, too.
        let left = world.rng.usize(1..5);
        world
            .markers
            .entry(APP.to_owned())
            .or_default()
            .truncate(left);
    }
    for _ in 0..3 {
        episode.world().wait_some(&[60, 1000]);
        episode.run(&[pass()]);
    }
}

fn takeover(episode: &Episode<'_>) {
    {
        let mut world = episode.world();
        world.is_file = false;
        world.starts = vec![0, 60, 63];
        let reading = world.rng.u64(44..54);
        world.reading = Duration::from_secs(reading);
        world.weigh(&[(Fault::RenewalsCut, 600), (Fault::SlowRequest, 900)]);
    }
    // Of the apps, the one that a pass sends first.
    let forced = Command::Deploy {
        app: APPS[1].to_owned(),
        version: VERSIONS[0].to_owned(),
        force: true,
        no_hold: true,
    };
    for _ in 0..3 {
        episode.run(&[pass(), forced.clone(), forced.clone()]);
        episode.world().wait_some(&[60, 1000]);
    }
    let mut world = episode.world();
    world.reading = Duration::ZERO;
    world.starts.clear();
}

/// The daemon wrote the version before its POST, and the id after it: an id may be the one of the
/// deploy before. Whose it is, coreos-deploy knows.
fn original(episode: &Episode<'_>) {
    episode.deploy_well(&VERSIONS[1..3]);
    {
        let mut world = episode.world();
        let last = world.store.attempts.iter().rev().find(|a| a.app == APP);
        let Some(last) = last.cloned().filter(|a| a.state.is_deployed()) else {
            return;
        };
        world.is_left_alone = true;
        let version = VERSIONS[world.rng.usize(3..5)].to_owned();
        world.store.attempts.push(Attempt {
            id: "taken over".to_owned(),
            version,
            state: State::Submitted,
            suffixes_before: None,
            command: TAKEOVER.to_owned(),
            ..last
        });
    }
    episode.run(&[pass()]);
}

fn older(episode: &Episode<'_>) {
    episode.world().weigh(&[(Fault::DeployFails, 500)]);
    episode.mark(APP, VERSIONS[1]);
    episode.run(&[pass()]);
    episode.world().weigh(&[(Fault::DeployFails, 0)]);
    episode.run(&[deploy(VERSIONS[2], false)]);
    for _ in 0..3 {
        episode.world().wait_some(&[60, 700, 4000]);
        episode.run(&[pass()]);
    }
}

fn words(episode: &Episode<'_>) {
    episode.world().weigh(&[
        (Fault::LostReply, 500),
        (Fault::LostRequest, 300),
        (Fault::DeployDies, 200),
    ]);
    for version in &VERSIONS[1..4] {
        episode.run(&[pass()]);
        episode.world().wait_some(&[60, 1000]);
        let said = settle(&episode.world());
        if let Some(said) = said {
            episode.run(&[said]);
        }
        episode.mark(APP, version);
    }
}

fn operators(episode: &Episode<'_>) {
    episode.deploy_well(&VERSIONS[1..3]);
    episode.world().switch = 50;
    for version in &VERSIONS[3..5] {
        episode.mark(APP, version);
        let both = {
            let mut world = episode.world();
            let mut any = || match world.rng.u32(..4) {
                0 => deploy("1.1", false),
                1 => deploy(version, false),
                2 => pass(),
                _ => rollback(),
            };
            [any(), any(), any()]
        };
        episode.run(&both);
        episode.world().wait_some(&[1, 100, 1000]);
    }
}
