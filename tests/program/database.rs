//! A ledger on a server that fails in mid-pass: each failure has its exit code, and leaves what the
//! next pass carries on from.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use simulator::{Cut, Fault, Gate, Lost};

use crate::support::{Ledger, Ran, Rig, app, kill, until};

/// A rig on `MariaDB` with one release to deploy.
fn rig(ledger: Ledger) -> Rig {
    let rig = Rig::on(ledger);
    rig.publish("video", "1.0.0");
    rig
}

/// Runs the program with another DSN.
fn by(rig: &Rig, dsn: &str, arguments: &[&str]) -> Ran {
    let mut command = rig.std_command(arguments);
    command.env("CAM_DSN", dsn);
    Ran::of(&command.output().expect("the program starts"))
}

#[test]
fn a_connection_that_is_cut_loses_and_doubles_nothing() {
    for lost in [Lost::Request, Lost::Reply] {
        for statement in [
            "COMMIT",
            "UPDATE artifactory_lease",
            "INSERT INTO artifactory_attempts",
            "UPDATE artifactory_attempts",
            "INSERT INTO artifactory_passes",
            "SELECT",
        ] {
            let rig = rig(Ledger::mariadb());
            let (server, database) = rig.ledger.server();
            assert_eq!(rig.run(&["migrate"]).code, Some(0));
            let cut = Cut::before(server.port());
            cut.lose(lost, statement);
            let ran = by(&rig, &server.dsn_at(cut.port(), database), &["run"]);
            assert_eq!(cut.sprung(), 1, "{statement} {lost:?}: {ran:#?}");
            assert!(
                matches!(ran.code, Some(0 | 69)),
                "{statement} {lost:?}: {ran:#?}"
            );
            let posted = rig.posted().len();
            assert!(
                posted == 1 || ran.code == Some(69),
                "{statement} {lost:?}: {ran:#?}"
            );
            let next = rig.run(&["run", "--lock-wait", "60s"]);
            assert_eq!(
                next.code,
                Some(0),
                "{statement} {lost:?}: {ran:#?} {next:#?}"
            );
            assert_eq!(
                rig.posted(),
                ["1.0.0"],
                "{statement} {lost:?}: {ran:#?} {next:#?}"
            );
            assert_eq!(
                rig.states(),
                ["video 1.0.0 succeeded"],
                "{statement} {lost:?}"
            );
        }
    }
}

/// Waits until the id of a deploy is recorded.
fn until_submitted(rig: &Rig) {
    let submitted = "SELECT 1 FROM artifactory_attempts WHERE state = 'submitted'";
    until("its id is recorded", || {
        rig.ledger.sql(submitted).is_ok_and(|rows| !rows.is_empty())
    });
}

#[test]
fn a_server_that_is_started_again_in_mid_deploy_is_waited_for() {
    let rig = rig(Ledger::on_own_server());
    let (server, _) = rig.ledger.server();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let pass = rig.spawn(&["run", "--lease-ttl", "60s"]);
    until_submitted(&rig);
    server.kill();
    rig.deploy.deploy_takes(Duration::ZERO);
    until("it is done", || rig.deploy.deploys()[0].status != 1);
    // Where it was asked before, it answers now.
    until("that is known", || {
        let requests = rig.deploy.requests();
        requests.iter().any(|r| r.path.contains("/status/"))
    });
    server.restart();
    let ran = Ran::wait(pass);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
}

#[test]
fn a_server_that_stays_away_leaves_what_the_next_pass_carries_on_from() {
    let rig = rig(Ledger::on_own_server());
    let (server, _) = rig.ledger.server();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let pass = rig.spawn(&["run"]);
    until_submitted(&rig);
    server.kill();
    rig.deploy.deploy_takes(Duration::ZERO);
    let ran = Ran::wait(pass);
    assert_eq!(ran.code, Some(4), "{ran:#?}");
    let id = &rig.deploy.deploys()[0].id;
    assert!(ran.stderr.contains(id.as_str()), "{id}: {ran:#?}");
    assert_eq!(
        rig.run(&["run"]).code,
        Some(69),
        "nothing is done without a ledger"
    );
    server.restart();
    let report = rig.json(&["run", "--lock-wait", "60s"], 0);
    assert_eq!(app(&report, "video")["outcome"], "succeeded", "{report:#}");
    assert_eq!(rig.posted(), ["1.0.0"]);
    assert_eq!(rig.states(), ["video 1.0.0 succeeded"]);
}

#[test]
fn a_signal_while_the_server_is_away_still_leaves_a_document() {
    let rig = rig(Ledger::on_own_server());
    let (server, _) = rig.ledger.server();
    rig.deploy.deploy_takes(Duration::from_secs(600));
    let pass = rig.spawn(&["run", "--output", "json"]);
    until_submitted(&rig);
    server.kill();
    rig.deploy.deploy_takes(Duration::ZERO);
    until("that is known", || rig.deploy.deploys()[0].status != 1);
    let asked = Instant::now();
    kill(pass.id(), Signal::TERM);
    let ran = Ran::wait(pass);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(18), "{took:?}");
    assert_eq!(ran.code, Some(143), "{ran:#?}");
    let report = ran.json();
    assert_eq!(app(&report, "video")["outcome"], "submitted", "{report:#}");
    server.restart();
    rig.json(&["run", "--lock-wait", "3m"], 0);
    assert_eq!(rig.posted(), ["1.0.0"]);
}

#[test]
fn nothing_is_done_without_a_ledger_that_can_be_written() {
    let rig = rig(Ledger::on_own_server());
    let (server, database) = rig.ledger.server();
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    server
        .sql("", "SET GLOBAL read_only = 1")
        .expect("root may");
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(69), "{ran:#?}");
    assert!(ran.stderr.contains("read-only"), "{ran:#?}");
    assert_eq!(rig.run(&["scan"]).code, Some(0), "reading goes on");
    rig.forget();
    for (dsn, code) in [
        (server.dsn(database).replacen("cam:", "cam:x", 1), 77),
        (server.dsn("cam_nowhere"), 2),
        ("u:p@tcp(127.0.0.1:1)/db".to_owned(), 69),
        ("u:p@unix(/nowhere/socket)/db".to_owned(), 69),
        (format!("{}?tls=true", server.dsn(database)), 69),
    ] {
        for command in ["run", "scan", "status"] {
            let ran = by(&rig, &dsn, &[command]);
            assert_eq!(ran.code, Some(code), "{command}: {ran:#?}");
            assert!(!ran.stderr.contains("p4ss"), "{ran:#?}");
        }
    }
    assert!(rig.artifactory.requests().is_empty() && rig.deploy.requests().is_empty());
    let secure = format!("{}?tls=true", server.dsn(database));
    let ca_file = server.ca_file();
    let ran = by(
        &rig,
        &secure,
        &["status", "--dsn-ca-file", ca_file.to_str().expect("UTF-8")],
    );
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

/// The connections to the server, but for the one that asks.
fn connections(rig: &Rig) -> Vec<String> {
    let (server, _) = rig.ledger.server();
    let query = "SELECT id FROM information_schema.processlist WHERE user = 'cam'";
    let rows = server.sql("", query).expect("root may");
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn a_download_that_takes_longer_than_a_server_keeps_idle_connections_is_no_trouble() {
    let rig = rig(Ledger::on_own_server());
    let (server, _) = rig.ledger.server();
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    server
        .sql("", "SET GLOBAL wait_timeout = 1")
        .expect("root may");
    let gate = Gate::default();
    rig.artifactory
        .fault("/payloads/video/", Fault::Gate(gate.clone()), Some(1));
    let pass = rig.spawn(&["run", "--lease-ttl", "60s"]);
    until("it downloads", || {
        let requests = rig.artifactory.requests();
        requests.iter().any(|r| r.path.contains("/payloads/video/"))
    });
    until("the server cuts what is idle", || {
        connections(&rig).is_empty()
    });
    gate.open();
    let ran = Ran::wait(pass);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0.0"]);
    // The lease's connection was cut as well.
    assert_eq!(rig.run(&["run"]).code, Some(0), "the lease is free");
}

#[test]
fn a_server_that_takes_little_at_once_keeps_a_shorter_report_and_all_is_deployed() {
    let rig = rig(Ledger::on_own_server());
    let (server, _) = rig.ledger.server();
    for app in 0..60 {
        rig.publish(&format!("held{app}"), "1.0.0");
    }
    assert_eq!(rig.run(&["migrate"]).code, Some(0));
    let held = ["hold", "--new", "--reason", "frozen"];
    for app in 0..60 {
        let ran = rig.run(&[&held[..], &[&format!("held{app}")]].concat());
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
    server
        .sql("", "SET GLOBAL max_allowed_packet = 4096")
        .expect("root may");
    for _ in 0..2 {
        let report = rig.json(&["run"], 0);
        assert_eq!(report["summary"]["apps"], 61, "{report:#}");
    }
    assert_eq!(rig.posted(), ["1.0.0"]);
    let kept = rig.sql("SELECT COUNT(*) FROM artifactory_passes WHERE exit_code = 0");
    assert_eq!(kept[0][0].as_deref(), Some("2"));
}

#[test]
fn the_originals_database_is_taken_over_and_its_reader_understands_what_is_written() {
    let rig = rig(Ledger::mariadb());
    rig.publish("APP3", "1.0.1");
    rig.publish("app3", "2.0.0");
    rig.publish("idle", "1.0.0");
    let (server, database) = rig.ledger.server();
    let row = |app: &str, version: &str, status: u8, id: &str, domain: &str| {
        format!(
            "INSERT INTO artifactory_deploys VALUES (NULL, '{id}', '{domain}', 'development',
                 '{app}', '{version}', {status}, '2015-09-23 16:41:00', '2015-09-23 16:41:00');"
        )
    };
    let script = [
        "CREATE TABLE artifactory_deploys (id int(11) NOT NULL AUTO_INCREMENT,
             deploy_id varchar(255) NOT NULL, domain varchar(255) NOT NULL,
             environment varchar(255) NOT NULL, service_name varchar(255) NOT NULL,
             version varchar(255) NOT NULL, status int(11) NOT NULL DEFAULT '1',
             updated_at datetime NOT NULL, created_at datetime NOT NULL, PRIMARY KEY (id),
             UNIQUE KEY id_UNIQUE (id), UNIQUE KEY key_UNIQUE (domain, environment, service_name))
             ENGINE=InnoDB DEFAULT CHARSET=utf8;"
            .to_owned(),
        row("video", "", 1, "", "example.com"),
        row("APP3", "1.0.0", 2, "A", "example.com"),
        row("idle", "1.0.0", 2, "B", "example.com"),
        row("video", "9.9.9", 2, "C", "example.org"),
    ];
    server
        .sql(database, &script.concat())
        .expect("the original's table");
    let columns = rig.sql("SHOW CREATE TABLE artifactory_deploys");
    // What the README's guide does first: it deploys nothing, and shows what would be deployed.
    let made = rig.run(&["migrate"]);
    assert_eq!(made.code, Some(0), "{made:#?}");
    let scan = rig.json(&["scan"], 1);
    assert_eq!(app(&scan, "APP3")["deployed"], "1.0.0");
    assert_eq!(app(&scan, "idle")["action"], "up-to-date");
    assert_eq!(rig.posted().len(), 0);
    let report = rig.json(&["run"], 1);
    assert_eq!(app(&report, "video")["action"], "new");
    assert_eq!(app(&report, "APP3")["action"], "upgrade");
    assert_eq!(app(&report, "idle")["action"], "up-to-date");
    let left = app(&report, "app3");
    assert_eq!(left["action"], "unreadable");
    assert!(
        left["reason"].as_str().expect("text").contains("APP3"),
        "{left}"
    );
    let mut posted = rig.posted();
    posted.sort();
    assert_eq!(posted, ["1.0.0", "1.0.1"]);
    let told = rig.sql(
        "SELECT service_name, version, status, deploy_id <> '' FROM artifactory_deploys
         WHERE domain = 'example.com' ORDER BY id",
    );
    let told: Vec<String> = told
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        told,
        ["video 1.0.0 2 1", "APP3 1.0.1 2 1", "idle 1.0.0 2 1"]
    );
    let now = rig.sql("SHOW CREATE TABLE artifactory_deploys");
    assert_eq!(now[0][1], columns[0][1], "no column is changed");
    assert_eq!(rig.json(&["run"], 1)["summary"]["due"], 0);
}
