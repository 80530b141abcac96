//! Ledgers that 1.0.0 left, in every state, are carried on.

mod making;
mod neighbours;

use std::fmt::Write as _;
use std::fs;
use std::thread;

use crate::support::{Ledger, Rig};

/// A pass that finds every pause over, and waits for the lease of a pass that was killed.
const PASS: &[&str] = &[
    "run",
    "--unknown-hold",
    "1ms",
    "--retry-after",
    "1ms",
    "--lock-wait",
    "1m",
];
/// A command, how it ends, and the versions that were sent until then.
type Step = (&'static [&'static str], i32, &'static [&'static str]);
/// A ledger of `video`, the versions that are marked, the one that runs, and what is done.
type Case = (
    &'static str,
    &'static [&'static str],
    Option<&'static str>,
    &'static [Step],
);

const CASES: [Case; 19] = [
    (
        "succeeded",
        &["1.0.0", "1.1.0"],
        Some("1.0.0"),
        &[
            (PASS, 0, &["1.1.0"]),
            (&["rollback", "video"], 0, &["1.1.0", "1.0.0"]),
        ],
    ),
    ("succeeded", &["1.0.0"], Some("1.0.0"), &[(PASS, 0, &[])]),
    ("submitting", &["1.0.0"], None, &[(PASS, 0, &["1.0.0"])]),
    ("submitting", &["1.0.0"], Some("1.0.0"), &[(PASS, 0, &[])]),
    ("submitted", &["1.0.0"], None, &[(PASS, 0, &["1.0.0"])]),
    ("submitted", &["1.0.0"], Some("1.0.0"), &[(PASS, 0, &[])]),
    (
        "unknown",
        &["1.0.0"],
        None,
        &[
            (&["settle", "video", "--as", "not-deployed"], 0, &[]),
            (&["run"], 1, &[]),
            (&["deploy", "video", "1.0.0"], 0, &["1.0.0"]),
        ],
    ),
    ("unknown", &["1.0.0"], Some("1.0.0"), &[(&["run"], 0, &[])]),
    ("failed", &["1.0.0"], None, &[(PASS, 0, &["1.0.0"])]),
    ("refused", &["1.0.0"], None, &[(PASS, 0, &["1.0.0"])]),
    ("observed", &["1.0.0"], Some("1.0.0"), &[(PASS, 0, &[])]),
    (
        "abandoned, and unknown again",
        &["1.0.0"],
        None,
        &[
            (PASS, 4, &[]),
            (
                &["settle", "video", "--as", "not-deployed", "--retry"],
                0,
                &[],
            ),
            (PASS, 0, &["1.0.0"]),
        ],
    ),
    (
        "baseline",
        &["1.0.0", "1.1.0"],
        Some("1.0.0"),
        &[(PASS, 0, &["1.1.0"])],
    ),
    (
        "held",
        &["1.0.0", "1.1.0"],
        Some("1.0.0"),
        &[
            (PASS, 0, &[]),
            (&["release", "video"], 0, &[]),
            (PASS, 0, &["1.1.0"]),
        ],
    ),
    (
        "rolled back",
        &["1.0.0", "1.1.0", "1.2.0"],
        Some("1.0.0"),
        &[
            (&["rollback", "video"], 2, &[]),
            (PASS, 0, &["1.2.0"]),
            (&["rollback", "video"], 0, &["1.2.0", "1.0.0"]),
        ],
    ),
    (
        "rolled back, and unknown",
        &["1.0.0", "1.1.0"],
        Some("1.1.0"),
        &[
            (
                &["rollback", "video", "--unknown-hold", "1ms"],
                0,
                &["1.0.0"],
            ),
            (PASS, 0, &["1.0.0"]),
        ],
    ),
    (
        "given up",
        &["1.0.0"],
        None,
        &[
            (&["run", "--max-attempts", "1"], 1, &[]),
            (&["deploy", "video", "1.0.0"], 0, &["1.0.0"]),
        ],
    ),
    (
        "taken over",
        &["1.0.0"],
        Some("1.0.0"),
        &[
            (PASS, 4, &[]),
            (&["settle", "video", "--as", "deployed"], 0, &[]),
        ],
    ),
    (
        "taken over",
        &["1.0.0"],
        None,
        &[
            (PASS, 4, &[]),
            (
                &["settle", "video", "--as", "not-deployed", "--retry"],
                0,
                &[],
            ),
            (PASS, 0, &["1.0.0"]),
        ],
    ),
];

/// An empty rig over the ledger that 1.0.0 left in this state.
fn left_in(state: &str) -> Rig {
    let rig = Rig::new();
    let kind = match &rig.ledger {
        Ledger::Sqlite(_) => "sqlite",
        Ledger::MariaDb(..) => "mysql",
    };
    let read = |path: String| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}: {path}"));
    let here = env!("CARGO_MANIFEST_DIR");
    let mut script = "CREATE TABLE artifactory_migrations (number BIGINT NOT NULL PRIMARY KEY,
        name VARBINARY(255) NOT NULL, applied_at BIGINT NOT NULL);\n"
        .to_owned();
    for migration in ["0001_original", "0002_ledger", "0003_pass_ids"] {
        let text = read(format!("{here}/db/{kind}/{migration}.sql"));
        writeln!(script, "{text}").expect("a string takes it");
    }
    let all = read(format!("{here}/tests/program/ledgers/{kind}.sql"));
    let mut ledgers = all.split("-- ledger: ");
    let own = ledgers.find(|text| text.lines().next() == Some(state));
    let own = own.unwrap_or_else(|| panic!("no ledger {state}"));
    script.push_str(own.trim_start_matches(state));
    rig.ledger.load(&script);
    rig
}

fn carry_on((state, marked, runs, steps): &Case) {
    let rig = left_in(state);
    for version in *marked {
        rig.publish("video", version);
    }
    if *state == "taken over" {
        rig.publish("audio", "1.0.0");
    }
    if let Some(version) = runs {
        let suffix = "x7a2k9qw";
        rig.deploy
            .add_units("example-video", version, suffix, 'A', 2, true);
    }
    // Who reads changes nothing, and says what to do.
    let status = rig.run(&["status"]);
    assert_eq!(status.code, Some(2), "{state}: {status:#?}");
    assert!(status.stderr.contains("`migrate`"), "{state}: {status:#?}");
    for (arguments, code, posted) in *steps {
        let ran = rig.run(arguments);
        let seen = rig.states();
        assert_eq!(ran.code, Some(*code), "{state}: {seen:?} {ran:#?}");
        assert_eq!(rig.posted(), *posted, "{state}: {arguments:?} {ran:#?}");
    }
    let sent = rig.posted().len();
    let ran = rig.run(&["run"]);
    let all = rig.states();
    assert_eq!(ran.code, Some(0), "{state}: {all:?} {ran:#?}");
    assert_eq!(rig.posted().len(), sent, "{state}: {all:?}");
    let is_open = |s: &String| {
        ["submitting", "submitted", "unknown"]
            .iter()
            .any(|w| s.ends_with(w))
    };
    assert!(!all.iter().any(is_open), "{state}: {all:?}");
}

#[test]
fn each_is_carried_on_and_comes_to_rest() {
    thread::scope(|scope| {
        for case in &CASES {
            scope.spawn(move || carry_on(case));
        }
    });
}

#[test]
fn what_was_known_of_a_payload_and_said_of_an_app_is_still_known() {
    let rig = left_in("a bad payload");
    rig.artifactory
        .publish("video", "1.0.0", b"no archive".to_vec());
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(rig.downloads(), 0, "it is the same as before");
    rig.publish("video", "1.0.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    assert_eq!(rig.posted(), ["1.0.0"]);

    let rig = left_in("held");
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    let status = rig.run(&["status", "video"]);
    assert!(status.stdout.contains("audit"), "{status:#?}");
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);

    let rig = left_in("given up");
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    let status = rig.run(&["status"]);
    assert!(status.stdout.contains("No machine."), "{status:#?}");
}
