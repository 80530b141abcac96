//! The row that the daemon of 2015 leaves, at each moment of its life, is carried on.

use std::thread;

use simulator::Behaviour;

use super::{ends, lose};
use crate::support::Rig;

/// Whose id stands in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    None,
    /// That of the deploy of 1.0.0.
    Before,
    /// That of the deploy of 1.1.0.
    Own,
}
use Id::{Before, None as NoId, Own};

/// What became of the deploy of 1.1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    NotSent,
    Succeeded,
    Failed,
    Died,
}
use Became::{Died, Failed, NotSent, Succeeded};

/// Whether 1.0.0 was deployed; version, status and id of the row; what became of 1.1.0, which is the
/// newest marker. Then what each command comes to: its exit code, where the newest attempt of the
/// ledger stands, and how many requests were sent. `run`; `run` past every pause; and, where that
/// leads nowhere, what an operator says.
const MOMENTS: [(bool, &str, u8, Id, Became, &str); 14] = [
    (true, "1.0.0", 2, Before, NotSent, "run 0 1.1.0 succeeded 1"),
    (
        true,
        "1.1.0",
        1,
        Before,
        NotSent,
        "run 1 1.1.0 failed 0, run 1 1.1.0 failed 0, \
            deploy 0 1.1.0 succeeded 1, run 0 1.1.0 succeeded 1",
    ),
    (
        true,
        "1.1.0",
        1,
        Before,
        Succeeded,
        "run 1 1.1.0 failed 0, run 0 1.1.0 observed 0",
    ),
    (true, "1.1.0", 1, Own, Succeeded, "run 0 1.1.0 succeeded 0"),
    (
        true,
        "1.1.0",
        1,
        Own,
        Failed,
        "run 1 1.1.0 failed 0, run 1 1.1.0 failed 0, \
            deploy 0 1.1.0 succeeded 1, run 0 1.1.0 succeeded 1",
    ),
    (
        true,
        "1.1.0",
        1,
        Own,
        Died,
        "run 4 1.1.0 unknown 0, run 4 1.1.0 unknown 0, settle 0 1.1.0 abandoned 0, run 1 1.1.0 abandoned 0, \
            deploy 0 1.1.0 succeeded 1, run 0 1.1.0 succeeded 1",
    ),
    (true, "1.1.0", 2, Own, Succeeded, "run 0 1.1.0 baseline 0"),
    (true, "1.1.0", 3, Own, Succeeded, "run 0 1.1.0 succeeded 0"),
    (
        true,
        "1.1.0",
        3,
        Own,
        Failed,
        "run 1 1.1.0 failed 0, run 1 1.1.0 failed 0, \
            deploy 0 1.1.0 succeeded 1, run 0 1.1.0 succeeded 1",
    ),
    (
        true,
        "1.1.0",
        3,
        Before,
        NotSent,
        "run 1 1.1.0 failed 0, run 1 1.1.0 failed 0, \
            deploy 0 1.1.0 succeeded 1, run 0 1.1.0 succeeded 1",
    ),
    (false, "", 1, NoId, NotSent, "run 0 1.1.0 succeeded 1"),
    (false, "1.1.0", 1, NoId, NotSent, "run 0 1.1.0 succeeded 1"),
    (false, "1.1.0", 1, NoId, Succeeded, "run 0 1.1.0 observed 0"),
    (false, "1.1.0", 3, NoId, NotSent, "run 0 1.1.0 succeeded 1"),
];

/// Deploys a version, as the daemon did, and gives the id.
fn deploy(rig: &Rig, version: &str, behaviour: Behaviour) -> String {
    rig.publish("video", version);
    rig.deploy.next_deploy(behaviour);
    rig.run(&["run", "--deploy-timeout", "1s"]);
    let ids = rig.attempts();
    ids[0]["deployID"].as_str().expect("an id").to_owned()
}

fn left(was_deployed: bool, row: (&str, u8, Id), own: Became) -> Rig {
    let rig = Rig::new();
    let no = "No machine.".to_owned();
    let before = was_deployed.then(|| deploy(&rig, "1.0.0", Behaviour::Succeed));
    let own = match own {
        NotSent => None,
        Succeeded => Some(deploy(&rig, "1.1.0", Behaviour::Succeed)),
        Failed => Some(deploy(&rig, "1.1.0", Behaviour::Fail(no))),
        Died => Some(deploy(&rig, "1.1.0", Behaviour::Die { units: 0 })),
    };
    lose(&rig);
    ends(&rig, 0, &["migrate"]);
    let (version, status, id) = row;
    let id = match id {
        NoId => String::new(),
        Before => before.expect("a deploy of 1.0.0"),
        Own => own.expect("a deploy of 1.1.0"),
    };
    rig.sql(&format!(
        "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, version,
             status, updated_at, created_at)
         VALUES ('{id}', 'example.com', 'development', 'video', '{version}', {status},
             '2015-09-23 16:41:00', '2015-09-23 16:41:00')"
    ));
    rig.publish("video", "1.1.0");
    rig.forget();
    rig
}

/// What came of it, command by command.
fn trail(rig: &Rig) -> String {
    let past: &[&str] = &["run", "--retry-after", "1ms", "--unknown-hold", "1ms"];
    let settle: &[&str] = &["settle", "video", "--as", "not-deployed", "--retry"];
    let asked: &[&str] = &["deploy", "video", "1.1.0"];
    let mut trail = Vec::new();
    let mut next = vec![settle, past, asked, past, &["run"]];
    while let Some(command) = next.pop() {
        let code = rig.run(command).code.expect("an exit code");
        let states = rig.states();
        let state = states.last().map_or("nothing", |s| &s["video ".len()..]);
        let word = command[0];
        trail.push(format!("{word} {code} {state} {}", rig.posted().len()));
        match (word, code) {
            ("run", 0) => break,
            ("run", 4) if trail.len() == 2 => next = vec![&["run"], asked, past, settle],
            _ => {}
        }
    }
    // The next one finds nothing to do.
    let last = rig.run(&["run"]);
    if last.code != Some(0) || !last.stdout.is_empty() {
        trail.push(format!("and then {last:?}"));
    }
    trail.join(", ")
}

#[test]
fn each_moment_of_its_life_is_carried_on() {
    let found: Vec<String> = thread::scope(|scope| {
        let each = MOMENTS.map(|(was_deployed, version, status, id, own, _)| {
            scope.spawn(move || {
                let rig = left(was_deployed, (version, status, id), own);
                trail(&rig)
            })
        });
        each.into_iter()
            .map(|t| t.join().expect("it ends"))
            .collect()
    });
    let told = |trail: &str, m: &(bool, &str, u8, Id, Became, &str)| {
        format!("{} {:?} {} {:?} {:?}: {trail}", m.0, m.1, m.2, m.3, m.4)
    };
    let expected = MOMENTS.map(|m| told(m.5, &m));
    let found: Vec<String> = found
        .iter()
        .zip(&MOMENTS)
        .map(|(f, m)| told(f, m))
        .collect();
    assert_eq!(found.join("\n"), expected.join("\n"));
}
