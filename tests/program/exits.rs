//! The table of situations in the documentation of the exit codes, row by row.

use std::any::Any;
use std::process::Child;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use simulator::{Behaviour, Fault, Gate};

use crate::deploys::refusals::deploy_of_somebody_else;
use crate::support::{Rig, TOKEN, kill, until};

/// What must live while the command runs.
type Guard = Option<Box<dyn Any>>;
type Bring = fn(&Rig) -> Guard;

/// What brings `video`, of which 1.0.0 runs and 1.1.0 is marked, into a situation.
const SITUATIONS: [(&str, Bring); 20] = [
    ("nothing is due", |rig| {
        assert_eq!(rig.run(&["run"]).code, Some(0));
        None
    }),
    ("a deploy is due", |_| None),
    ("the deploy fails", fails),
    ("the deploy is refused", |rig| {
        on_post(rig, Fault::Status(400))
    }),
    ("the deploy failed before", |rig| {
        fails(rig);
        assert_eq!(rig.run(&["run"]).code, Some(1));
        None
    }),
    ("the reply is lost", |rig| {
        on_post(rig, Fault::LoseReplyNotRun)
    }),
    ("the reply was lost before", |rig| {
        on_post(rig, Fault::LoseReplyNotRun);
        assert_eq!(rig.run(&["run"]).code, Some(4));
        None
    }),
    ("the payload cannot be used", |rig| {
        let bytes = b"no archive".to_vec();
        rig.artifactory.publish("video", "1.1.0", bytes);
        None
    }),
    ("the payload is not there yet", |rig| {
        rig.artifactory.put_marker("video", "1.2.0");
        None
    }),
    ("another version runs", |rig| {
        rig.deploy.clear_units();
        rig.deploy
            .add_units("example-video", "1.0.5", "x7a2k9qw", 'A', 2, true);
        None
    }),
    ("three deploys are due", |rig| {
        rig.publish("audio", "1.0.0");
        rig.publish("web", "1.0.0");
        None
    }),
    ("no marker is left", |rig| {
        rig.artifactory.remove("deploys", "video");
        None
    }),
    ("Artifactory is away", |rig| {
        rig.artifactory.stop_listening();
        None
    }),
    ("Artifactory refuses the password", |rig| {
        rig.artifactory.fault("/api/", Fault::Status(401), None);
        None
    }),
    ("coreos-deploy is away", |rig| {
        rig.deploy.stop_listening();
        None
    }),
    ("coreos-deploy refuses the token", |rig| {
        rig.deploy.set_token(&format!("not {TOKEN}"));
        None
    }),
    ("coreos-deploy is busy", |rig| {
        rig.deploy.deploy_takes(Duration::from_secs(600));
        rig.deploy.restart();
        Some(Box::new(deploy_of_somebody_else(rig)))
    }),
    ("coreos-deploy is of another scope", |rig| {
        rig.deploy.set_scope("example.org", "development");
        None
    }),
    ("another pass is at work", |rig| {
        Some(Box::new(AtWork::new(rig)))
    }),
    ("the ledger is of a newer program", |rig| {
        rig.sql("INSERT INTO artifactory_migrations VALUES (99, '0099', 0)");
        None
    }),
];

fn on_post(rig: &Rig, fault: Fault) -> Guard {
    rig.deploy.fault("/v1.0/deploy", fault, Some(1));
    None
}

fn fails(rig: &Rig) -> Guard {
    rig.deploy
        .next_deploy(Behaviour::Fail("No machine.".to_owned()));
    None
}

/// A pass that waits for Artifactory.
struct AtWork(Child, Gate);

impl AtWork {
    fn new(rig: &Rig) -> Self {
        let gate = Gate::default();
        rig.artifactory
            .fault("/api/", Fault::Gate(gate.clone()), Some(1));
        let pass = rig.spawn(&["run"]);
        until("it is at work", || !rig.artifactory.requests().is_empty());
        Self(pass, gate)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        kill(self.0.id(), Signal::KILL);
        self.1.open();
        let _ = self.0.wait();
    }
}

/// A row of the table: what it expects, and what is so.
fn tried(row: &str) -> (String, String) {
    let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
    let [situation, command, code, says] = cells[..] else {
        panic!("a row of another shape: {row}");
    };
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("video", "1.1.0");
    rig.forget();
    let (_, bring) = SITUATIONS
        .iter()
        .find(|(name, _)| *name == situation)
        .unwrap_or_else(|| panic!("no situation {situation}"));
    let _guard = bring(&rig);
    let arguments: Vec<&str> = command.split(' ').collect();
    let ran = rig.run(&arguments);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let is_told = if says == "-" {
        said.is_empty()
    } else {
        said.contains(says)
    };
    let is_so = ran.code.is_some_and(|c| c.to_string() == code) && is_told;
    let found = if is_so {
        row.to_owned()
    } else {
        format!("{row} {ran:#?}")
    };
    (row.to_owned(), found)
}

#[test]
fn each_situation_has_its_exit_code_and_its_words() {
    let table = include_str!("../../src/exit.md");
    let rows: Vec<&str> = table
        .lines()
        .filter(|l| l.starts_with("| "))
        .skip(1)
        .collect();
    for (name, _) in SITUATIONS {
        let is_used = rows
            .iter()
            .any(|row| row.starts_with(&format!("| {name} |")));
        assert!(is_used, "{name}");
    }
    let tried: Vec<(String, String)> = thread::scope(|scope| {
        let threads: Vec<_> = rows
            .iter()
            .map(|row| scope.spawn(move || tried(row)))
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("it ends"))
            .collect()
    });
    let wrong: Vec<&str> = tried
        .iter()
        .filter(|(row, found)| row != found)
        .map(|(_, found)| found.as_str())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
