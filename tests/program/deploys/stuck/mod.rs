//! The README's table "Stuck?": a fault makes each state, what the table says leads out, and the
//! pass after that finds nothing to do.

mod apps;
mod daemon;
mod ledgers;
mod outcomes;

use simulator::Fault;

use crate::support::{Ledger, Ran, Rig, app};

/// The first column of the table, and the tests that try the row.
const ROWS: [(&str, &str); 19] = [
    (
        "exit 4, `unknown` or `submitted` in `status`",
        "outcomes::an_outcome_that_is_not_known",
    ),
    (
        "exit 4 for hours, \"an operator decides\"",
        "outcomes::twice_without_a_trace, outcomes::a_hold_that_never_ends",
    ),
    (
        "`unaccounted`",
        "ledgers::a_version_that_the_ledger_has_nothing_of",
    ),
    ("`given-up`", "apps::attempts_that_are_used_up"),
    (
        "`given-up`, \"an operator said\"",
        "apps::what_was_said_not_to_be_deployed",
    ),
    ("`held`", "apps::a_hold_of_somebody_who_is_gone"),
    ("`ahead`", "apps::a_newest_marker_that_is_older"),
    ("`gone`", "apps::markers_that_were_withdrawn"),
    (
        "`error`, and the app's payload is named",
        "apps::a_payload_that_cannot_be_used",
    ),
    (
        "exit 5, more deploys than `--max-deploys`",
        "ledgers::a_new_ledger_over_a_running_cluster",
    ),
    (
        "exit 1, \"the first 3 deploys of this pass failed\"",
        "outcomes::a_cluster_that_is_ill",
    ),
    (
        "exit 5, \"another command changed it\"",
        "apps::two_commands_at_once",
    ),
    (
        "exit 75 at every pass, \"another pass holds the lease\"",
        "ledgers::a_lease_of_a_host_that_vanished",
    ),
    (
        "exit 69, \"no pass takes longer than\"",
        "ledgers::a_holder_that_stands_still",
    ),
    (
        "exit 75, then 69, \"busy\"",
        "outcomes::a_coreos_deploy_that_hangs",
    ),
    (
        "exit 69, \"holds no marker at all\"",
        "apps::not_one_marker_is_left",
    ),
    (
        "exit 2, \"older schema\" or \"newer program\"",
        "ledgers::a_migration_that_was_cut_off, ledgers::a_ledger_of_a_newer_program",
    ),
    (
        "`created the ledger`, where there was one",
        "ledgers::a_ledger_that_was_lost",
    ),
    (
        "a ledger that was restored from a backup",
        "ledgers::a_ledger_of_before",
    ),
];

/// Runs a command and says how it must end.
fn ends(rig: &Rig, code: i32, arguments: &[&str]) -> Ran {
    let ran = rig.run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
    ran
}

/// All that it said.
fn said(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

/// The next pass has nothing to do and to say.
fn is_clean(rig: &Rig) {
    let sent = rig.posted().len();
    let ran = ends(rig, 0, &["run"]);
    assert_eq!(said(&ran), "", "{:?}", rig.states());
    assert_eq!(rig.posted().len(), sent);
}

/// The next pass sends nothing, since `video` is held.
fn stays_held(rig: &Rig) {
    let sent = rig.posted().len();
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "held", "{report:#}");
    assert_eq!(rig.posted().len(), sent);
}

/// `video` 1.0.0 runs, and 1.1.0 is marked.
fn upgrade_is_due() -> Rig {
    let rig = Rig::new();
    rig.publish("video", "1.0.0");
    ends(&rig, 0, &["run"]);
    rig.publish("video", "1.1.0");
    rig.forget();
    rig
}

/// The next request never arrives, and nobody says so.
fn lose_request(rig: &Rig) {
    rig.deploy
        .fault("/v1.0/deploy", Fault::LoseReplyNotRun, Some(1));
}

/// All tables are gone, as where the file or the database was lost.
fn lose(rig: &Rig) {
    match &rig.ledger {
        Ledger::Sqlite(file) => {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{end}", file.display()));
            }
        }
        Ledger::MariaDb(server, database) => {
            let again = format!("DROP DATABASE {database}; CREATE DATABASE {database}");
            server.sql("", &again).expect("it is made again");
        }
    }
}

#[test]
fn each_row_of_the_table_is_tried() {
    let readme = include_str!("../../../../README.md");
    let (_, stuck) = readme.split_once("\n## Stuck?\n").expect("the section");
    let (table, _) = stuck.split_once("\n## ").expect("the next one");
    let cells = |row: &str| {
        row.split(" | ")
            .next()
            .map(|c| c.trim_start_matches("| ").to_owned())
    };
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let first: Vec<String> = rows.skip(1).filter_map(cells).collect();
    assert_eq!(first, ROWS.map(|(row, _)| row));
    let sources = [
        include_str!("apps.rs"),
        include_str!("ledgers.rs"),
        include_str!("outcomes.rs"),
    ]
    .concat();
    for name in ROWS.iter().flat_map(|(_, tests)| tests.split(", ")) {
        let (_, name) = name.split_once("::").expect("a module and a test");
        let test = format!("#[test]\nfn {name}() {{");
        assert!(sources.contains(&test), "{name}");
    }
}
