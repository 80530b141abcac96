//! The table of the commands: each of them in each state of an app, without a fault but the one that
//! made the state.

use std::time::Duration;

use super::fault::Fault;
use super::store::Store;
use super::walk::{self, Episode, Setting};
use crate::cli::{Command, SettleAs};

/// The app.
const APP: &str = "web";
/// The table that the code's documentation has.
const TABLE: &str = include_str!("../commands/table.md");

type Bring = fn(&Site<'_>);
/// What brings a fresh app into each state.
const STATES: [(&str, Bring); 20] = [
    ("never deployed", |site| {
        site.mark(&["1.0", "1.1"]);
    }),
    ("1.0 runs, 1.1 is due", |site| {
        site.deployed("1.0");
        site.mark(&["1.1"]);
    }),
    ("1.1 runs", |site| site.upgraded()),
    ("1.1 runs, and a repetition failed", |site| {
        site.upgraded();
        site.fails(Fault::DeployFails, deploy("1.1", true));
    }),
    ("1.1 failed, one unit of it is up", |site| {
        site.up(1);
        site.upgrade_fails(Fault::DeployFails);
    }),
    ("1.1 failed, none of it is up", |site| {
        site.up(0);
        site.upgrade_fails(Fault::DeployFails);
    }),
    ("1.1 was refused", |site| site.upgrade_fails(Fault::Refused)),
    ("1.1 is given up", |site| {
        site.upgrade_fails(Fault::Refused);
        for _ in 0..4 {
            site.0.world().wait(Duration::from_secs(90_000));
            site.fails(Fault::Refused, walk::pass());
        }
    }),
    ("1.1 unknown, and runs", |site| {
        site.upgrade_fails(Fault::LostReply);
    }),
    ("1.1 unknown, and does not run", |site| {
        site.upgrade_fails(Fault::LostRequest);
    }),
    ("1.1 died, one unit of it is up", |site| {
        site.up(1);
        site.died();
    }),
    ("1.1 died, none of it is up", |site| {
        site.up(0);
        site.died();
    }),
    ("1.1 settled as not deployed", |site| {
        site.upgrade_fails(Fault::LostRequest);
        site.run(settle(Some(SettleAs::NotDeployed), false));
    }),
    ("1.0 runs, 1.1 is due, held", |site| {
        site.deployed("1.0");
        site.mark(&["1.1"]);
        site.run(hold());
    }),
    ("rolled back from 1.1 to 1.0", |site| {
        site.upgraded();
        site.run(rollback());
    }),
    ("1.1 runs, 1.0 alone is marked", |site| {
        site.upgraded();
        site.unmark("1.1");
    }),
    ("1.1 runs, nothing is marked", |site| {
        site.upgraded();
        site.unmark("1.0");
        site.unmark("1.1");
    }),
    ("retired, nothing is marked", |site| {
        site.upgraded();
        site.unmark("1.0");
        site.unmark("1.1");
        site.run(forget());
    }),
    ("retired, 1.0 is marked again", |site| {
        site.upgraded();
        site.unmark("1.0");
        site.unmark("1.1");
        site.run(forget());
        site.mark(&["1.0"]);
    }),
    ("0.9 runs, unknown to the ledger", |site| {
        site.deployed("0.9");
        site.unmark("0.9");
        site.0
            .world()
            .replace_ledger(Fault::LedgerLost, Store::default());
        site.mark(&["1.0", "1.1"]);
    }),
];

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

fn forget() -> Command {
    Command::Forget {
        app: APP.to_owned(),
    }
}

fn hold() -> Command {
    Command::Hold {
        app: Some(APP.to_owned()),
        all: false,
        for_: None,
        newer_than: None,
        reason: None,
        new: false,
    }
}

fn settle(as_: Option<SettleAs>, retry: bool) -> Command {
    Command::Settle {
        app: APP.to_owned(),
        as_,
        retry,
        reason: None,
    }
}

/// The columns, in their order.
fn commands() -> Vec<Command> {
    let release = Command::Release {
        app: Some(APP.to_owned()),
        all: false,
    };
    let baseline = Command::Baseline {
        apps: vec![format!("{APP}=1.1")],
        new: false,
    };
    vec![
        walk::pass(),
        deploy("1.0", false),
        deploy("1.1", false),
        deploy("1.1", true),
        rollback(),
        hold(),
        release,
        settle(Some(SettleAs::Deployed), false),
        settle(Some(SettleAs::NotDeployed), false),
        settle(None, true),
        baseline,
        forget(),
    ]
}

/// A world in which nothing goes wrong but what is asked for.
struct Site<'a>(Episode<'a>);

impl Site<'_> {
    /// Runs a command and gives its exit code.
    fn run(&self, command: Command) -> u8 {
        self.0.run(&[command]);
        let world = self.0.world();
        world
            .tasks
            .last()
            .and_then(|task| task.exit)
            .expect("it ended by itself")
    }

    /// Runs a command to which this happens.
    fn fails(&self, fault: Fault, command: Command) {
        self.0.world().scripted.push_back(fault);
        assert_ne!(self.run(command), 0, "{fault:?}");
        assert!(self.0.world().scripted.is_empty(), "{fault:?}");
    }

    /// From now on, this many units of what fails come up.
    fn up(&self, units: u32) {
        self.0.world().up = Some(units);
    }

    fn mark(&self, versions: &[&str]) {
        let mut world = self.0.world();
        let marked = world.markers.entry(APP.to_owned()).or_default();
        marked.extend(versions.iter().map(|v| (*v).to_owned()));
    }

    fn unmark(&self, version: &str) {
        let mut world = self.0.world();
        let marked = world.markers.entry(APP.to_owned()).or_default();
        marked.retain(|v| v != version);
    }

    fn deployed(&self, version: &str) {
        self.mark(&[version]);
        assert_eq!(self.run(walk::pass()), 0);
    }

    fn upgraded(&self) {
        self.deployed("1.0");
        self.deployed("1.1");
    }

    fn upgrade_fails(&self, fault: Fault) {
        self.deployed("1.0");
        self.mark(&["1.1"]);
        self.fails(fault, walk::pass());
    }

    /// The deploy of 1.1 never ends, and `--unknown-hold` is over.
    fn died(&self) {
        self.upgrade_fails(Fault::DeployDies);
        self.0.world().wait(Duration::from_secs(900));
    }

    /// How often each version of the app was sent.
    fn sent(&self) -> Vec<String> {
        let world = self.0.world();
        let own = world
            .cluster
            .deploys
            .iter()
            .filter(|d| d.service.ends_with(APP));
        own.map(|d| d.version.clone()).collect()
    }
}

/// What a command comes to in a state.
fn cell(setting: &Setting, bring: Bring, command: Command) -> String {
    let site = Site(Episode::new(setting, 1, 0));
    // Another app keeps the listing from being empty.
    let other = vec!["1.0".to_owned()];
    site.0.world().markers.insert("video".to_owned(), other);
    site.run(walk::pass());
    bring(&site);
    site.0.world().wait(Duration::from_secs(60));
    let before = site.sent().len();
    let exit = site.run(command);
    let sent = site.sent()[before..].join(" and ");
    let world = site.0.world();
    assert!(
        world.broken.is_empty(),
        "{:?}\n{}",
        world.broken,
        world.story.join("\n")
    );
    let sent = if sent.is_empty() { "-" } else { &sent };
    let held = if world.store.holds.contains_key(APP) {
        " held"
    } else {
        ""
    };
    format!("{sent}{held} {exit}")
}

#[test]
fn each_command_does_in_each_state_what_the_table_says() {
    let setting = Setting::new();
    let rows = STATES.map(|(state, bring)| {
        let cells = commands().into_iter().map(|c| cell(&setting, bring, c));
        let cells: Vec<String> = std::iter::once(state.to_owned()).chain(cells).collect();
        format!("| {} |", cells.join(" | "))
    });
    let told: Vec<&str> = TABLE
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert_eq!(rows.join("\n"), told.join("\n"));
}
