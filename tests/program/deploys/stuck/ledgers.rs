//! Ledgers and leases that are not what they were.

use rustix::process::Signal;
use simulator::{Fault, Gate};

use super::{ends, is_clean, lose, said, stays_held, upgrade_is_due};
use crate::support::{Ledger, Ran, Rig, app, kill, until};

/// Units of `video` that somebody deployed by hand.
fn by_hand(rig: &Rig, version: &str) {
    rig.deploy.clear_units();
    rig.deploy
        .add_units("example-video", version, "x7a2k9qw", 'A', 2, true);
}

#[test]
fn a_version_that_the_ledger_has_nothing_of() {
    for (way, posted) in [
        (&["baseline", "video=1.0.5"][..], 1),
        (&["deploy", "video", "1.1.0"], 1),
    ] {
        let rig = upgrade_is_due();
        by_hand(&rig, "1.0.5");
        let report = rig.json(&["run"], 1);
        assert_eq!(app(&report, "video")["action"], "unaccounted", "{report:#}");
        assert!(rig.posted().is_empty());
        ends(&rig, 0, way);
        ends(&rig, 0, &["run"]);
        assert_eq!(rig.posted().len(), posted, "{way:?}");
        is_clean(&rig);
    }
}

#[test]
fn a_new_ledger_over_a_running_cluster() {
    for way in [&["baseline"][..], &["run", "--max-deploys", "3"]] {
        let rig = Rig::new();
        for name in ["a", "b", "c"] {
            rig.publish(name, "1.0.0");
            let service = format!("example-{name}");
            rig.deploy
                .add_units(&service, "1.0.0", "x7a2k9qw", 'A', 2, true);
        }
        let ran = ends(&rig, 5, &["run", "--max-deploys", "2"]);
        assert!(said(&ran).contains("`baseline`"), "{ran:#?}");
        ends(&rig, 0, way);
        assert!(rig.posted().is_empty(), "{way:?}");
        is_clean(&rig);
    }
}

#[test]
fn a_lease_of_a_host_that_vanished() {
    let rig = Rig::on(Ledger::mariadb());
    rig.publish("video", "1.0.0");
    ends(&rig, 0, &["run"]);
    rig.publish("video", "1.1.0");
    rig.sql(
        "UPDATE artifactory_lease SET holder_id = 'deadbeef', holder = 'vanished pid 7',
             process = 'another boot', expires_at = UTC_TIMESTAMP(6) + INTERVAL ttl_ms * 1000
             MICROSECOND",
    );
    rig.forget();
    let ran = ends(&rig, 75, &["run"]);
    assert!(said(&ran).contains("vanished pid 7"), "{ran:#?}");
    let ran = ends(&rig, 0, &["status"]);
    assert!(said(&ran).contains("vanished pid 7"), "{ran:#?}");
    assert!(rig.posted().is_empty());
    ends(&rig, 0, &["run", "--lock-wait", "2m"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn a_holder_that_stands_still() {
    let rig = upgrade_is_due();
    let gate = Gate::default();
    rig.artifactory
        .fault("", Fault::Gate(gate.clone()), Some(1));
    let holder = rig.spawn(&["run"]);
    until("it is under way", || !rig.artifactory.requests().is_empty());
    // On a server its lease ends by itself; the lock of a file does not.
    if let Ledger::Sqlite(_) = rig.ledger {
        kill(holder.id(), Signal::STOP);
        rig.sql("UPDATE artifactory_lease SET since = since - 10000000");
        let ran = ends(&rig, 69, &["run"]);
        assert!(said(&ran).contains("no pass takes longer than"), "{ran:#?}");
    }
    kill(holder.id(), Signal::KILL);
    gate.open();
    Ran::wait(holder);
    ends(&rig, 0, &["run", "--lock-wait", "2m"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn a_migration_that_was_cut_off() {
    let rig = upgrade_is_due();
    // Its changes are there, in part or all, and it is not noted as done. In a file it is done as a
    // whole or not at all.
    match rig.ledger {
        Ledger::Sqlite(_) => {
            for column in ["boot_id", "boot_ms", "asked_by", "accounted"] {
                rig.sql(&format!(
                    "ALTER TABLE artifactory_attempts DROP COLUMN {column}"
                ));
            }
            for column in ["busy_since", "unaccounted", "forgiven"] {
                rig.sql(&format!(
                    "ALTER TABLE artifactory_passes DROP COLUMN {column}"
                ));
            }
        }
        Ledger::MariaDb(..) => {
            rig.sql("ALTER TABLE artifactory_attempts DROP COLUMN accounted");
        }
    }
    rig.sql("DELETE FROM artifactory_migrations WHERE number = 5");
    for reader in ["status", "scan", "history"] {
        let ran = ends(&rig, 2, &[reader]);
        assert!(said(&ran).contains("older schema"), "{ran:#?}");
        assert!(said(&ran).contains("`migrate`"), "{ran:#?}");
    }
    ends(&rig, 0, &["migrate"]);
    ends(&rig, 0, &["status"]);
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn a_ledger_of_a_newer_program() {
    let rig = upgrade_is_due();
    rig.sql("INSERT INTO artifactory_migrations VALUES (99, '0099', 0)");
    for command in [
        &["run"][..],
        &["status"],
        &["migrate"],
        &["settle", "video", "--retry"],
    ] {
        let ran = ends(&rig, 2, command);
        assert!(said(&ran).contains("newer program"), "{ran:#?}");
    }
    assert!(rig.posted().is_empty());
    // The next release only adds: this one works beside it.
    rig.sql("DELETE FROM artifactory_migrations WHERE number = 99");
    let next = "INSERT INTO artifactory_migrations SELECT MAX(number) + 1, 'next', 0 FROM
        artifactory_migrations";
    rig.sql(next);
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.posted(), ["1.1.0"]);
    is_clean(&rig);
}

#[test]
fn a_ledger_that_was_lost() {
    let rig = upgrade_is_due();
    ends(&rig, 0, &["run"]);
    ends(&rig, 0, &["rollback", "video"]);
    lose(&rig);
    rig.forget();
    // The next pass would send what was just rolled back from.
    let ran = ends(&rig, 1, &["run"]);
    assert!(said(&ran).contains("created the ledger"), "{ran:#?}");
    assert!(said(&ran).contains("unaccounted"), "{ran:#?}");
    assert!(rig.posted().is_empty());
    let held = ["hold", "video", "--newer-than", "1.1.0"];
    ends(&rig, 0, &held);
    ends(&rig, 0, &["baseline", "video=1.0.0"]);
    stays_held(&rig);
    rig.publish("video", "1.2.0");
    ends(&rig, 0, &["run"]);
    assert_eq!(rig.posted(), ["1.2.0"]);
    is_clean(&rig);
}

#[test]
fn a_ledger_of_before() {
    for (way, posted) in [
        (&["baseline", "video=1.1.0"][..], &["1.2.0"][..]),
        (&["deploy", "video", "1.2.0"], &["1.2.0"]),
    ] {
        let (rig, file) = Rig::on_sqlite();
        rig.publish("video", "1.0.0");
        ends(&rig, 0, &["run"]);
        let backup = rig.path().join("backup.db");
        let copy = format!("VACUUM INTO '{}'", backup.display());
        rig.sql(&copy);
        rig.publish("video", "1.1.0");
        ends(&rig, 0, &["run"]);
        lose(&rig);
        std::fs::rename(&backup, &file).expect("it is put back");
        rig.forget();
        // What runs is found out where it is what is marked.
        let report = rig.json(&["run", "--exclude-app", "nothing"], 0);
        assert_eq!(app(&report, "video")["outcome"], "observed", "{report:#}");
        // And where it is not, an operator says what is right.
        by_hand(&rig, "1.1.5");
        rig.publish("video", "1.2.0");
        let report = rig.json(&["run"], 1);
        assert_eq!(app(&report, "video")["action"], "unaccounted", "{report:#}");
        assert!(rig.posted().is_empty());
        ends(&rig, 0, way);
        ends(&rig, 0, &["run"]);
        assert_eq!(rig.posted(), posted);
        is_clean(&rig);
    }
}
