use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::*;
use crate::error::Kind;
use crate::ledger::contract::{self, Fixture};
use crate::ledger::sql::intents;
use crate::ledger::{Intended, Ledger, Snapshot};
use crate::model::attempt::State;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state/ledger.db")
    }
}

impl Fixture for Directory {
    fn open(&self) -> Box<dyn Ledger> {
        Box::new(open(&self.file(), Access::Write).unwrap())
    }

    fn sql(&self, sql: &str) -> std::result::Result<usize, String> {
        let conn = Connection::open(self.file()).map_err(|e| e.to_string())?;
        conn.pragma_update(None, "foreign_keys", true)
            .map_err(|e| e.to_string())?;
        conn.execute(sql, []).map_err(|e| e.to_string())
    }
}

#[test]
fn keeps_the_contract() {
    contract::suite(&|| {
        let directory = Directory::new();
        directory.open();
        Box::new(directory)
    });
}

#[test]
fn reading_a_missing_ledger_changes_nothing() {
    let directory = Directory::new();
    let mut ledger = open(&directory.file(), Access::ReadOnly).unwrap();
    assert_eq!(ledger.snapshot(&contract::scope()), Ok(Snapshot::default()));
    assert_eq!(directory.0.path().read_dir().unwrap().count(), 0);
}

#[test]
fn files_are_for_their_owner_only() {
    let directory = Directory::new();
    let mut ledger = directory.open();
    let _lease = ledger.acquire(&contract::scope(), Duration::ZERO).unwrap();
    for entry in directory.file().parent().unwrap().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
}

#[test]
fn unusable_files_are_refused_and_left_alone() {
    let directory = Directory::new();
    let path = |name: &str| directory.0.path().join(name);
    std::fs::write(
        path("text"),
        "no database, but long enough to have a header".repeat(99),
    )
    .unwrap();
    std::os::unix::fs::symlink("text", path("link")).unwrap();
    for name in ["text", "link", "."] {
        for access in [Access::ReadOnly, Access::Write] {
            let error = open(&path(name), access).err().unwrap();
            assert_eq!(error.kind, Kind::Usage, "{name}");
        }
    }
}

#[test]
fn other_schemas_are_refused() {
    let directory = Directory::new();
    drop(directory.open());
    directory
        .sql("INSERT INTO artifactory_migrations VALUES (99, '0099', 0)")
        .unwrap();
    assert_eq!(
        open(&directory.file(), Access::Write).err().unwrap().kind,
        Kind::Usage
    );
    let older = directory.0.path().join("older");
    rusqlite::Connection::open(&older)
        .and_then(|conn| conn.execute_batch("CREATE TABLE artifactory_deploys (id INTEGER)"))
        .unwrap();
    let error = open(&older, Access::ReadOnly).err().unwrap();
    assert!(error.hint.is_some() && error.kind == Kind::Usage);
}

#[test]
fn the_originals_tables_are_read_as_they_are() {
    let directory = Directory::new();
    let file = directory.0.path().join("original.db");
    let original = concat!(include_str!("../../../db/sqlite/0001_original.sql"),
        "INSERT INTO artifactory_deploys VALUES
            (7, 'id', 'example.com', 'qa', 'video', '1.0', 2, '2015-09-23 16:41:00', '2015-09-23 16:41:00'),
            (9, '', 'example.com', 'qa', 'web', '2.0', 3, '2015-09-23 16:41:00', '2015-09-23 16:41:00');
         INSERT INTO artifactory_auth_tokens VALUES
            (3, 'secret', '2015-09-23 16:41:00', '2015-09-23 16:41:00', NULL, 'note');");
    rusqlite::Connection::open(&file)
        .and_then(|conn| conn.execute_batch(original))
        .unwrap();
    let before = std::fs::read(&file).unwrap();
    let mut read = open(&file, Access::ReadOnly).unwrap();
    let seen = read.snapshot(&contract::scope()).unwrap();
    let tokens = read.tokens().unwrap();
    assert_eq!((tokens.len(), tokens[0].id), (1, 3));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let mut written = open(&file, Access::Write).unwrap();
    assert_eq!(written.opened().0, Migrated::Updated);
    assert_eq!(written.snapshot(&contract::scope()).unwrap(), seen);
    assert_eq!(seen.records["video"].deployed.as_deref(), Some("1.0"));
    assert_eq!(seen.latest["web"].state, State::Failed);
}

#[test]
fn a_file_that_was_only_just_created_is_an_empty_ledger() {
    let directory = Directory::new();
    let file = directory.0.path().join("new.db");
    std::fs::write(&file, "").unwrap();
    let mut ledger = open(&file, Access::ReadOnly).unwrap();
    assert_eq!(ledger.snapshot(&contract::scope()), Ok(Snapshot::default()));
    assert_eq!(file.metadata().unwrap().len(), 0);
    assert!(open(&file, Access::Write).is_ok());
}

#[test]
fn many_may_start_at_once_and_one_intends() {
    let directory = Directory::new();
    std::thread::scope(|threads| {
        for _ in 0..6 {
            threads.spawn(|| directory.open().snapshot(&contract::scope()).unwrap());
        }
    });
    let scope = contract::scope();
    let lease = directory
        .open()
        .acquire(&scope, Duration::ZERO)
        .unwrap()
        .unwrap();
    let fence = lease.fence().clone();
    let committed: usize = std::thread::scope(|threads| {
        let racing = ["a", "b", "c", "d"].map(|id| {
            let (directory, scope, fence) = (&directory, &scope, &fence);
            threads.spawn(move || {
                let path = directory.file();
                let conn = connect(&path).unwrap();
                let watch = Watch::Nothing;
                let mut file = SqliteFile { conn, path, watch };
                let intent = contract::intent(id, "x", "1");
                let intended = intents::intend(&mut file, scope, &intent, (fence, 1));
                intended.unwrap() == Intended::Committed
            })
        });
        racing.map(|t| usize::from(t.join().unwrap())).iter().sum()
    });
    assert_eq!(committed, 1);
}

/// The statements, with their values, of what is done with a ledger of so many apps.
fn statements(apps: usize, work: fn(&mut SqliteLedger)) -> (Directory, Vec<String>) {
    let directory = Directory::new();
    let mut ledger = directory.open();
    for app in 0..apps {
        let row = format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name,
                 version, status, updated_at, created_at)
             VALUES ('', 'example.com', 'qa', 'app{app}', '1.0', 2, '2015-09-23 16:41:00',
                 '2015-09-23 16:41:00')"
        );
        directory.sql(&row).unwrap();
    }
    ledger
        .take_over(&contract::scope(), &contract::fence(1))
        .unwrap();
    let mut ledger = open(&directory.file(), Access::Write).unwrap();
    let statements = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&statements);
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            let sql = statement.expanded_sql().unwrap();
            seen.lock().unwrap().push(sql);
        }
    };
    let conn = &mut ledger.engine.conn;
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))
        .unwrap();
    work(&mut ledger);
    drop(ledger);
    let statements = Arc::into_inner(statements).unwrap();
    (directory, statements.into_inner().unwrap())
}

#[test]
fn a_snapshot_takes_as_many_statements_for_one_app_as_for_many() {
    let count = |apps| statements(apps, read).1.len();
    assert_eq!((count(1), count(60)), (11, 11));
}

fn read(ledger: &mut SqliteLedger) {
    let snapshot = ledger.snapshot(&contract::scope()).unwrap();
    assert!(!snapshot.records.is_empty());
}

#[test]
fn taking_over_nothing_takes_two_statements_and_writes_nothing() {
    for apps in [1, 60] {
        let (_, statements) = statements(apps, |ledger| {
            ledger
                .take_over(&contract::scope(), &contract::fence(1))
                .unwrap();
        });
        assert_eq!(statements.len(), 2, "{statements:#?}");
        assert!(statements.iter().all(|sql| sql.starts_with("SELECT")));
    }
}

/// By an index, that is: what a ledger that has grown costs is not seen in small ones.
#[test]
fn a_snapshot_reads_attempts_by_what_it_looks_for() {
    let (directory, statements) = statements(1, read);
    let conn = Connection::open(directory.file()).unwrap();
    let mut steps = Vec::new();
    for sql in statements.iter().filter(|sql| sql.contains("SELECT")) {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.extend(rows.map(|row| (row.unwrap(), sql)));
    }
    let of = |word: &str| steps.iter().filter(|step| step.0.contains(word)).count();
    assert_eq!(
        (of("artifactory_attempts_app"), of("_attempts_state")),
        (6, 2),
        "{steps:#?}"
    );
    for (step, sql) in &steps {
        let is_list = step == "SCAN apps";
        assert!(is_list || !step.starts_with("SCAN"), "{step}: {sql}");
        assert!(
            !step.contains("(domain=? AND environment=?)") || !step.contains("_attempts_version"),
            "{step}: {sql}"
        );
    }
}

/// The triggers, whoever writes.
#[test]
fn the_database_holds_history_and_moves() {
    let directory = Directory::new();
    let mut ledger = directory.open();
    for (number, from) in State::ALL.into_iter().enumerate() {
        // The triggers look at the state, not at the verdict beside it.
        for to in State::ALL.into_iter().filter(|to| to.verdict().is_none()) {
            let id = format!("m{number}-{}", to.as_str());
            directory.sql(&contract::raw_attempt(&id, from)).unwrap();
            let to_state = to.as_str();
            let update =
                format!("UPDATE artifactory_attempts SET state = '{to_state}' WHERE id = '{id}'");
            assert_eq!(
                directory.sql(&update).is_ok(),
                from.may_become(to),
                "{from:?} {to:?}"
            );
        }
    }
    let baseline = contract::attempt("a", "x", "1", State::Baseline);
    ledger
        .record(&contract::scope(), &baseline, None, &contract::fence(1))
        .unwrap();
    for table in ["artifactory_attempts", "artifactory_attempt_events"] {
        let replace = format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}");
        assert!(directory.sql(&replace).is_err(), "{table}");
    }
}

#[test]
fn names_with_spaces_are_names_of_their_own() {
    let directory = Directory::new();
    let mut ledger = directory.open();
    for (app, version) in [("done", "1"), ("done ", "2")] {
        let row = format!(
            "INSERT INTO artifactory_deploys (deploy_id, domain, environment, service_name, \
             version, status, updated_at, created_at) VALUES ('', 'example.com', 'qa', '{app}', \
             '{version}', 3, '2018-02-14 00:28:07', '2018-02-14 00:28:07')"
        );
        directory.sql(&row).unwrap();
    }
    let seen = ledger.snapshot(&contract::scope()).unwrap();
    assert_eq!(seen.records["done"].floor.as_deref(), Some("1"));
    assert_eq!(seen.records["done "].troubled["2"].attempts, 1);
}

#[test]
#[ignore = "a measurement"]
fn scale() {
    crate::ledger::scale::passes_without_work(&|| {
        let directory = Directory::new();
        directory.open();
        Box::new(directory)
    });
}
