//! How the ledgers of 1.0.0 were made: by its own binary, each in one state.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use simulator::{Behaviour, Fault};

use crate::support::{Ledger, Ran, Rig, kill, until};

/// What names the binary of another version.
const OTHER: &str = "CAM_OTHER_PROGRAM";
type Bring = fn(&Old);
/// What brings a ledger into each state.
const STATES: [(&str, Bring); 15] = [
    ("succeeded", succeeded),
    ("submitting", submitting),
    ("submitted", submitted),
    ("unknown", unknown),
    ("failed", failed),
    ("refused", refused),
    ("observed", observed),
    ("abandoned, and unknown again", abandoned),
    ("baseline", baseline),
    ("held", held),
    ("rolled back", rolled_back),
    ("rolled back, and unknown", rollback_unknown),
    ("given up", given_up),
    ("a bad payload", bad_payload),
    ("taken over", taken_over),
];

/// A rig with the binary of another version.
pub struct Old {
    pub rig: Rig,
}

impl Old {
    fn command(&self, arguments: &[&str]) -> Command {
        let usual = self.rig.std_command(arguments);
        let program = std::env::var_os(OTHER).expect("CAM_OTHER_PROGRAM names its binary");
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(usual.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .args(usual.get_args());
        command
    }

    pub fn run(&self, arguments: &[&str], code: i32) -> Ran {
        let ran = Ran::of(&self.command(arguments).output().expect("it starts"));
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
        ran
    }

    fn publish(&self, version: &str) {
        self.rig.publish("video", version);
    }

    fn fault(&self, fault: Fault) {
        self.rig.deploy.fault("/v1.0/deploy", fault, Some(1));
    }
}

fn succeeded(old: &Old) {
    old.publish("1.0.0");
    old.run(&["run"], 0);
}

fn submitting(old: &Old) {
    old.publish("1.0.0");
    old.fault(Fault::Hang(Duration::from_secs(60)));
    let mut pass = old.command(&["run"]).spawn().expect("it starts");
    until("the request", || !old.rig.posted().is_empty());
    kill(pass.id(), Signal::KILL);
    pass.wait().expect("it ends");
}

fn submitted(old: &Old) {
    old.publish("1.0.0");
    old.rig.deploy.next_deploy(Behaviour::Die { units: 0 });
    old.run(&["run", "--deploy-timeout", "1s"], 4);
}

fn unknown(old: &Old) {
    old.publish("1.0.0");
    old.fault(Fault::LoseReplyNotRun);
    old.run(&["run"], 4);
}

fn failed(old: &Old) {
    old.publish("1.0.0");
    let fails = Behaviour::Fail("No machine.".to_owned());
    old.rig.deploy.next_deploy(fails);
    old.run(&["run"], 1);
}

fn refused(old: &Old) {
    old.publish("1.0.0");
    old.fault(Fault::Status(400));
    old.run(&["run"], 1);
}

fn observed(old: &Old) {
    old.publish("1.0.0");
    old.fault(Fault::LoseReply);
    old.run(&["run"], 4);
    old.run(&["run"], 0);
}

fn abandoned(old: &Old) {
    unknown(old);
    old.fault(Fault::LoseReplyNotRun);
    old.run(&["run", "--unknown-hold", "1ms"], 4);
}

fn baseline(old: &Old) {
    old.publish("1.0.0");
    old.run(&["baseline"], 0);
}

fn held(old: &Old) {
    succeeded(old);
    old.run(&["hold", "video", "--reason", "audit"], 0);
}

fn rolled_back(old: &Old) {
    succeeded(old);
    old.publish("1.1.0");
    old.run(&["run"], 0);
    old.run(&["rollback", "video"], 0);
}

fn rollback_unknown(old: &Old) {
    succeeded(old);
    old.publish("1.1.0");
    old.run(&["run"], 0);
    old.fault(Fault::LoseReplyNotRun);
    old.run(&["rollback", "video"], 4);
}

fn given_up(old: &Old) {
    failed(old);
    old.run(&["run", "--max-attempts", "1"], 1);
}

fn bad_payload(old: &Old) {
    let bytes = b"no archive".to_vec();
    old.rig.artifactory.publish("video", "1.0.0", bytes);
    old.run(&["run"], 1);
}

/// The daemon of 2015 was stopped in a deploy of which the cluster has no record.
fn taken_over(old: &Old) {
    old.rig.publish("audio", "1.0.0");
    old.run(&["run"], 0);
    old.rig.sql(
        "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, version,
             status, updated_at, created_at)
         VALUES ('00000000-0000-4000-8000-000000000000', 'example.com', 'development', 'video',
             '1.0.0', 1, '2015-09-23 16:41:00', '2015-09-23 16:41:00')",
    );
    old.run(&["run", "--deploy-timeout", "1s"], 4);
}

/// All that a ledger holds, as statements, one a line; of passes the last alone.
fn dump(ledger: &Ledger) -> String {
    let mut statements = String::new();
    let mut tables = ledger.tables();
    // What is referred to stands first.
    tables.sort_by_key(|table| table == "artifactory_attempt_events");
    for table in tables.iter().filter(|t| *t != "sqlite_sequence") {
        let columns = ledger.columns(table);
        let quoted: Vec<String> = columns.iter().map(|c| format!("quote({c})")).collect();
        let last = if table == "artifactory_passes" {
            "ORDER BY seq DESC LIMIT 1"
        } else {
            "ORDER BY 1"
        };
        let query = format!("SELECT {} FROM {table} {last}", quoted.join(", "));
        for row in ledger.sql(&query).expect("a table can be read") {
            let cells: Vec<String> = row.into_iter().flatten().collect();
            let (columns, cells) = (columns.join(", "), cells.join(", "));
            writeln!(
                statements,
                "INSERT INTO {table} ({columns}) VALUES ({cells});"
            )
            .expect("a string takes it");
        }
    }
    statements
}

fn make(kind: &str, ledger: impl Fn(&std::path::Path) -> Ledger) {
    let mut text = format!(
        "-- Ledgers as 1.0.0 (commit cdf7912) left them, each in one state, as rows for the tables of
-- db/{kind}/0001 to 0003. Made by its own binary:
-- CAM_OTHER_PROGRAM=/path/to/it cargo test --test program ledgers::making -- --ignored
"
    );
    for (state, bring) in STATES {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let rig = Rig::on(ledger(&directory.path().join("ledger.db")));
        let old = Old { rig };
        bring(&old);
        write!(text, "\n-- ledger: {state}\n{}", dump(&old.rig.ledger)).expect("a string takes it");
    }
    let place = format!(
        "{}/tests/program/ledgers/{kind}.sql",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::write(place, text).expect("it can be written");
}

#[test]
#[ignore = "needs the binary of 1.0.0"]
fn the_ledgers_of_sqlite() {
    make("sqlite", |file| Ledger::Sqlite(file.to_owned()));
}

#[test]
#[ignore = "needs the binary of 1.0.0"]
fn the_ledgers_of_mariadb() {
    make("mysql", |_| Ledger::mariadb());
}
