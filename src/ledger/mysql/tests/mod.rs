mod cuts;
mod fence;
mod hostile;
mod moments;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mysql::consts::CapabilityFlags;
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use simulator::MariaDb;

use super::*;
use crate::clock::testing::Hand;
use crate::clock::{Clock, System};
use crate::config::{MysqlAddress, MysqlTls};
use crate::error::{Error, Kind};
use crate::ledger::contract::{self, Fixture};
use crate::ledger::sql::Failure;
use crate::ledger::{Intended, Intent, Lease, PassRecord, Snapshot};
use crate::model::attempt::{Move, State};
use crate::model::name::Scope;
use crate::secret::Secret;

const README: &str = include_str!("../../../../db/README.md");

/// A database with the two users of `db/README.md`.
struct Database {
    name: String,
}

impl Database {
    fn new() -> Self {
        Self::from(MariaDb::shared().database())
    }

    fn from(name: String) -> Self {
        let database = Self { name };
        database.grant(0);
        database
    }

    /// Runs one of the SQL blocks of the README, for this database.
    fn grant(&self, block: usize) {
        let blocks: Vec<&str> = README.split("```sql\n").skip(1).collect();
        let sql = blocks[block].split("```").next().unwrap();
        let (migrate, run) = (
            format!("{}_migrate", self.name),
            format!("{}_run", self.name),
        );
        let sql = sql
            .replace("`cam`", &format!("`{}`", self.name))
            .replace("cam_migrate", &migrate)
            .replace("cam_run", &run);
        MariaDb::shared().sql("", &sql).unwrap();
    }

    fn config(&self, user: &str, password: &str) -> MysqlConfig {
        MysqlConfig {
            address: MysqlAddress::Tcp("127.0.0.1".to_owned(), MariaDb::shared().port()),
            user: format!("{}_{user}", self.name),
            password: Some(Secret::new(password.to_owned())),
            database: self.name.clone(),
            tls: MysqlTls::Off,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(20),
            session: Vec::new(),
            lease_ttl: Duration::from_secs(60),
            lease_limit: Duration::from_secs(3600),
            masker: crate::mask::Masker::default(),
        }
    }

    fn migrating(&self) -> MysqlConfig {
        self.config("migrate", "choose-one")
    }

    fn running(&self) -> MysqlConfig {
        self.config("run", "choose-another")
    }

    /// Migrates, and makes the user for everyday runs.
    fn ready(self) -> Self {
        open(&self.migrating(), Access::Write).unwrap();
        self.grant(1);
        self
    }

    fn sql(&self, sql: &str) -> simulator::Rows {
        MariaDb::shared().sql(&self.name, sql).unwrap()
    }

    /// A row of the original's table.
    fn row(&self, app: &str, version: &str, status: u8) {
        self.sql(&format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, version,
                 status, updated_at, created_at)
             VALUES ('', 'example.com', 'qa', '{app}', '{version}', {status},
                 '2015-09-23 16:41:00', '2015-09-23 16:41:00')"
        ));
    }
}

/// The contract holds for the user that has the fewest rights.
impl Fixture for Database {
    fn open(&self) -> Box<dyn Ledger> {
        open(&self.running(), Access::Write).unwrap()
    }

    fn sql(&self, sql: &str) -> std::result::Result<usize, String> {
        let config = self.running();
        let options = OptsBuilder::new()
            .prefer_socket(false)
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(MariaDb::shared().port())
            .user(Some(config.user))
            .pass(config.password.map(|p| p.expose().to_owned()))
            .db_name(Some(config.database))
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS);
        let mut conn = Conn::new(options).map_err(|e| e.to_string())?;
        conn.query_drop(sql).map_err(|e| e.to_string())?;
        Ok(usize::try_from(conn.affected_rows()).unwrap())
    }
}

/// The original's tables, as its dump makes them, in this character set and collation.
fn original(charset: &str, collation: &str) -> Database {
    let database = Database::from(MariaDb::shared().database_in(charset, collation));
    for table in [
        "artifactory_auth_tokens (id int(11) NOT NULL AUTO_INCREMENT, token varchar(255) NOT NULL,
             created_at datetime NOT NULL, updated_at datetime NOT NULL,
             name varchar(255) DEFAULT NULL, notes text, PRIMARY KEY (id),
             UNIQUE KEY id_UNIQUE (id), UNIQUE KEY token_UNIQUE (token))",
        "artifactory_deploys (id int(11) NOT NULL AUTO_INCREMENT, deploy_id varchar(255) NOT NULL,
             domain varchar(255) NOT NULL, environment varchar(255) NOT NULL,
             service_name varchar(255) NOT NULL, version varchar(255) NOT NULL,
             status int(11) NOT NULL DEFAULT '1', updated_at datetime NOT NULL,
             created_at datetime NOT NULL, PRIMARY KEY (id), UNIQUE KEY id_UNIQUE (id),
             UNIQUE KEY key_UNIQUE (domain, environment, service_name))",
    ] {
        database.sql(&format!(
            "CREATE TABLE {table} ENGINE=InnoDB CHARACTER SET {charset} COLLATE {collation}"
        ));
    }
    database
}

#[test]
fn keeps_the_contract() {
    contract::suite(&|| Box::new(Database::new().ready()));
}

#[test]
fn keeps_the_contract_on_the_originals_tables() {
    // A collation that keeps names apart, so that every part of the suite can make its rows.
    contract::suite(&|| Box::new(original("utf8mb3", "utf8mb3_bin").ready()));
}

#[test]
fn many_may_migrate_at_once() {
    let database = Database::new();
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| open(&database.migrating(), Access::Write).unwrap());
        }
    });
    let names = database.sql("SELECT name FROM artifactory_migrations ORDER BY number");
    let names: Vec<String> = names
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "0001_original",
            "0002_ledger",
            "0003_pass_ids",
            "0004_verdicts_and_indexes",
            "0005_facts"
        ]
    );
}

#[test]
fn a_migration_that_was_cut_off_is_carried_on() {
    for cut in [
        "DELETE FROM artifactory_migrations WHERE number > 1",
        "DELETE FROM artifactory_migrations WHERE number > 2",
        "DELETE FROM artifactory_migrations; ALTER TABLE artifactory_passes DROP KEY artifactory_passes_pass;
         DROP TABLE artifactory_holds",
    ] {
        let database = Database::new().ready();
        database.sql(cut);
        let clock = Hand::shared();
        let opened = open_by(clock.clone(), &database.running(), Access::ReadOnly);
        let error = opened.err().unwrap();
        assert!(error.kind == Kind::Usage && error.hint.is_some(), "{error:?}");
        assert!(clock.elapsed() > MIGRATION / 2, "who migrates is waited for");
        open(&database.migrating(), Access::Write).unwrap();
        let mut ledger = open(&database.migrating(), Access::ReadOnly).unwrap();
        assert_eq!(ledger.snapshot(&contract::scope()), Ok(Snapshot::default()));
    }
}

#[test]
fn an_empty_database_is_an_empty_ledger_and_stays_empty() {
    let database = Database::new();
    let mut ledger = open(&database.migrating(), Access::ReadOnly).unwrap();
    assert_eq!(ledger.snapshot(&contract::scope()), Ok(Snapshot::default()));
    assert!(database.sql("SHOW TABLES").is_empty());
}

#[test]
fn a_newer_schema_is_refused() {
    let database = Database::new().ready();
    database.sql("INSERT INTO artifactory_migrations VALUES (99, '0099', 0)");
    for access in [Access::ReadOnly, Access::Write] {
        let error = open(&database.running(), access).err().unwrap();
        assert_eq!(error.kind, Kind::Usage, "{error:?}");
    }
}

#[test]
fn the_grants_for_running_do_not_migrate() {
    let database = original("utf8mb3", "utf8mb3_general_ci");
    database.sql(&format!(
        "CREATE USER '{0}_run'@'%' IDENTIFIED BY 'choose-another';
         GRANT SELECT, INSERT, UPDATE ON `{0}`.* TO '{0}_run'@'%'",
        database.name
    ));
    let error = open(&database.running(), Access::Write).err().unwrap();
    assert!(
        error.hint.as_deref().unwrap().contains("db/README.md"),
        "{error:?}"
    );
}

#[test]
fn of_two_names_that_the_collation_takes_for_one_the_one_with_the_row_goes_on() {
    let s = contract::scope();
    for (charset, collation) in [
        ("utf8mb3", "utf8mb3_general_ci"),
        ("utf8mb4", "utf8mb4_unicode_ci"),
        ("latin1", "latin1_swedish_ci"),
    ] {
        let database = original(charset, collation).ready();
        database.row("APP3", "1.0", 2);
        let mut ledger = Fixture::open(&database);
        let conflicts = ledger
            .name_conflicts(&s, &["app3", "APP3", "other"])
            .unwrap();
        assert_eq!(
            conflicts.into_iter().collect::<Vec<_>>(),
            [("app3".to_owned(), "APP3".to_owned())]
        );
        let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
        let intent = |id: &str, app: &str| contract::intent(id, app, "1.1");
        let taken = Intended::NameTaken("APP3".to_owned());
        assert_eq!(ledger.intend(&s, &intent("a", "app3"), &*lease), Ok(taken));
        let baseline = contract::attempt("b", "app3", "1.1", State::Baseline);
        let recorded = ledger.record(&s, &baseline, None, lease.fence());
        assert_eq!(recorded, Ok(Some("APP3".to_owned())));
        assert!(ledger.history(&s, None, 9).unwrap().is_empty());
        ledger.take_over(&s, lease.fence()).unwrap();
        let latest = &ledger.snapshot(&s).unwrap().latest["APP3"];
        let intent = Intent {
            after: Some(latest.id.clone()),
            ..intent("c", "APP3")
        };
        let committed = ledger.intend(&s, &intent, &*lease);
        assert_eq!(committed, Ok(Intended::Committed));
        let rows = database.sql("SELECT service_name, version, status FROM artifactory_deploys");
        assert_eq!(
            rows,
            [["APP3", "1.1", "1"].map(|c| Some(c.to_owned())).to_vec()]
        );
    }
}

#[test]
fn a_scope_in_other_letters_is_another_scope() {
    let database = original("utf8mb3", "utf8mb3_general_ci").ready();
    database.row("app", "1.0", 2);
    let other = Scope {
        domain: "Example.com".to_owned(),
        ..contract::scope()
    };
    let mut ledger = Fixture::open(&database);
    assert!(ledger.snapshot(&other).unwrap().records.is_empty());
    let conflicts = ledger.name_conflicts(&other, &["app"]).unwrap();
    assert_eq!(conflicts["app"], "app of example.com qa");
}

#[test]
fn any_sql_mode_will_do() {
    for mode in [
        "''",
        "'TRADITIONAL,ONLY_FULL_GROUP_BY,ANSI_QUOTES'",
        "'NO_BACKSLASH_ESCAPES'",
    ] {
        let database = original("utf8mb3", "utf8mb3_general_ci").ready();
        database.sql(
            "SET sql_mode = ''; INSERT INTO artifactory_deploys (deploy_id, domain, environment,
                 service_name, version, status, updated_at, created_at)
             VALUES ('', 'example.com', 'qa', 'zero', '1.0', 3, '0000-00-00', '0000-00-00')",
        );
        let mut config = database.running();
        config.session = vec![("sql_mode".to_owned(), mode.to_owned())];
        let mut ledger = open(&config, Access::Write).unwrap();
        let s = contract::scope();
        let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
        ledger.take_over(&s, lease.fence()).unwrap();
        assert_eq!(
            ledger.snapshot(&s).unwrap().records["zero"]
                .floor
                .as_deref(),
            Some("1.0")
        );
        let long = contract::attempt("a", &"x".repeat(256), "1", State::Baseline);
        assert!(
            ledger
                .record(&s, &long, None, lease.fence())
                .is_err_and(|e| e.kind == Kind::Unavailable),
            "a name is never cut"
        );
        assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 1);
    }
}

#[test]
fn a_server_is_spoken_to_over_tls_or_not_at_all() {
    let server = MariaDb::shared();
    let database = Database::new();
    let with = |tls: MysqlTls, ca_file: Option<PathBuf>, host: &str| {
        let config = MysqlConfig {
            tls,
            ca_file,
            address: MysqlAddress::Tcp(host.to_owned(), server.port()),
            ..database.migrating()
        };
        let mut session = Session::open(&config)?;
        session.call(|conn| {
            let row: Option<(String, String)> =
                conn.query_first("SHOW STATUS LIKE 'Ssl_cipher'")?;
            Ok(row.unwrap().1)
        })
    };
    let cipher =
        |result: std::result::Result<String, Failure>| result.map_err(Error::from).unwrap();
    let ca = Some(server.ca_file());
    assert!(!cipher(with(MysqlTls::Verified, ca.clone(), "127.0.0.1")).is_empty());
    assert!(!cipher(with(MysqlTls::Verified, ca.clone(), "localhost")).is_empty());
    assert!(!cipher(with(MysqlTls::Unverified, None, "127.0.0.1")).is_empty());
    assert!(!cipher(with(MysqlTls::Preferred, None, "127.0.0.1")).is_empty());
    assert_eq!(cipher(with(MysqlTls::Off, None, "127.0.0.1")), "");
    // An authority that nobody trusts, and a name that the certificate doesn't have.
    for (ca_file, host) in [(None, "127.0.0.1"), (ca, "0.0.0.0")] {
        let refused = with(MysqlTls::Verified, ca_file, host);
        assert!(
            matches!(refused, Err(Failure::Refused(_))),
            "{host}: {refused:?}"
        );
    }
}

#[test]
fn failures_have_their_exit_codes_and_no_password() {
    let database = Database::new().ready();
    let wrong = |change: &dyn Fn(&mut MysqlConfig)| {
        let mut config = database.running();
        config.password = Some(Secret::new("c4nary".to_owned()));
        change(&mut config);
        let error = open(&config, Access::ReadOnly).err().unwrap();
        assert!(!format!("{error:?}").contains("c4nary"), "{error:?}");
        error.kind
    };
    assert_eq!(wrong(&|_| {}), Kind::Credentials);
    assert_eq!(wrong(&|c| c.user = "nobody".to_owned()), Kind::Credentials);
    assert_eq!(
        wrong(&|c| c.address = MysqlAddress::Tcp("127.0.0.1".to_owned(), 1)),
        Kind::Unavailable
    );
    assert_eq!(
        wrong(&|c| c.address = MysqlAddress::Socket(PathBuf::from("/nowhere"))),
        Kind::Unavailable
    );
    assert_eq!(
        wrong(&|c| c.address = MysqlAddress::Tcp("nowhere.invalid".to_owned(), 3306)),
        Kind::Unavailable
    );
    let server = MariaDb::shared();
    let root = |c: &mut MysqlConfig| {
        c.address = MysqlAddress::Socket(server.socket());
        c.user = "root".to_owned();
        c.password = None;
    };
    assert_eq!(
        wrong(&|c| {
            root(c);
            c.database = "nowhere".to_owned();
        }),
        Kind::Usage
    );
}

#[test]
#[ignore = "a measurement"]
fn scale() {
    crate::ledger::scale::passes_without_work(&|| Box::new(Database::new().ready()));
}

#[test]
fn the_originals_tables_are_read_as_they_are_and_at_once() {
    let s = contract::scope();
    for (charset, collation) in [
        ("utf8mb3", "utf8mb3_general_ci"),
        ("latin1", "latin1_swedish_ci"),
    ] {
        let database = original(charset, collation);
        database.row("video", "1.0", 2);
        database.row("web", "2.0", 3);
        database.row("none", "", 1);
        let begun = System.elapsed();
        let seen = open(&database.migrating(), Access::ReadOnly)
            .and_then(|mut ledger| ledger.snapshot(&s))
            .unwrap();
        assert!(System.since(begun) < MIGRATION / 2);
        assert_eq!(seen.records["video"].deployed.as_deref(), Some("1.0"));
        let tables = database.sql("SHOW TABLES");
        assert_eq!(tables.len(), 2, "{tables:?}");
        open(&database.migrating(), Access::Write).unwrap();
        let taken_over = open(&database.migrating(), Access::Write)
            .and_then(|mut ledger| ledger.snapshot(&s))
            .unwrap();
        assert_eq!(taken_over, seen);
    }
}
