use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder, SslOpts};

use super::MariaDb;
use crate::{Cut, Lost};

fn cell(text: &str) -> Vec<Option<String>> {
    vec![Some(text.to_owned())]
}

fn connect(port: u16, database: &str) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(MariaDb::USER))
        .pass(Some(MariaDb::PASSWORD))
        .db_name(Some(database));
    Conn::new(options)
}

#[test]
fn databases_are_apart_and_take_scripts() {
    let server = MariaDb::shared();
    let script = "CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (1, NULL), (2, 'x;y')";
    let one = server.database_from(script);
    let other = server.database();
    assert_ne!(one, other);
    let rows = server.sql(&one, "SELECT a, b FROM t ORDER BY a; SELECT 3");
    let row = |a: &str, b: Option<&str>| vec![Some(a.to_owned()), b.map(ToOwned::to_owned)];
    assert_eq!(
        rows,
        Ok(vec![row("1", None), row("2", Some("x;y")), cell("3")])
    );
    assert!(server.sql(&other, "SELECT * FROM t").is_err());
    let second_fails = server.sql(&other, "SELECT 1; SELECT * FROM t");
    assert!(second_fails.is_err_and(|error| error.contains("1146")));

    let old = server.database_in("utf8mb3", "utf8mb3_unicode_ci");
    let charset = server.sql(&old, "SELECT @@character_set_database");
    assert_eq!(charset, Ok(vec![cell("utf8mb3")]));
}

#[test]
fn its_user_has_rights_on_its_databases_only() {
    let server = MariaDb::shared();
    let database = server.database();
    let mut connection = connect(server.port(), &database).unwrap();
    connection.query_drop("CREATE TABLE t (a INT)").unwrap();
    assert!(connection.query_drop("SET GLOBAL read_only = 1").is_err());
    assert!(connect(server.port(), "mysql").is_err());
    let dsn = format!(
        "cam:{}@tcp(127.0.0.1:{})/{database}",
        MariaDb::PASSWORD,
        server.port()
    );
    assert_eq!(server.dsn(&database), dsn);
}

#[test]
fn its_certificate_is_valid_for_its_address() {
    let server = MariaDb::shared();
    let database = server.database();
    let with = |tls: SslOpts| {
        let options = OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(server.port())
            .prefer_socket(false)
            .user(Some(MariaDb::USER))
            .pass(Some(MariaDb::PASSWORD))
            .db_name(Some(&database))
            .ssl_opts(tls);
        Conn::new(options)
    };
    let trusted = SslOpts::default().with_root_cert_path(Some(server.ca_file()));
    let mut connection = with(trusted).unwrap();
    let cipher: Option<(String, String)> = connection
        .query_first("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        .unwrap();
    assert!(cipher.is_some_and(|(_, cipher)| !cipher.is_empty()));
    assert!(with(SslOpts::default()).is_err());
}

#[test]
fn what_it_committed_survives_a_kill() {
    let server = MariaDb::start();
    let database = server.database_from("CREATE TABLE t (a INT PRIMARY KEY)");
    for number in 0..20 {
        let insert = format!("INSERT INTO t VALUES ({number})");
        server.sql(&database, &insert).unwrap();
        if number % 10 == 9 {
            server.kill();
            assert!(server.sql(&database, "SELECT 1").is_err());
            server.restart();
        }
    }
    let count = server.sql(&database, "SELECT COUNT(*) FROM t");
    assert_eq!(count, Ok(vec![cell("20")]));
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}

#[test]
fn a_stopped_server_answers_when_it_goes_on() {
    let server = MariaDb::start();
    let database = server.database();
    let mut connection = connect(server.port(), &database).unwrap();
    let (sender, answer) = mpsc::channel();
    server.stop_responding();
    thread::scope(|scope| {
        scope.spawn(move || sender.send(connection.query_first::<u8, _>("SELECT 1").unwrap()));
        let early = answer.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err());
        server.resume();
        assert_eq!(answer.recv(), Ok(Some(1)));
    });
}

const TELL: &str = "SIMULATOR_TEST_TELL";

/// A part of the next test: it runs in a process of its own, which is killed.
#[test]
fn a_process_with_a_server() {
    let Some(file) = env::var_os(TELL) else {
        return;
    };
    let directory = MariaDb::shared().directory().display().to_string();
    fs::write(file, directory).unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn it_vanishes_with_a_process_that_is_killed() {
    let told = env::temp_dir().join(format!("cam-told-{}", uuid::Uuid::new_v4()));
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "mariadb::tests::a_process_with_a_server"])
        .env(TELL, &told)
        .spawn()
        .unwrap();
    let until = |what: &dyn Fn() -> bool| {
        (0..3_000).any(|_| {
            thread::sleep(Duration::from_millis(20));
            what()
        })
    };
    let read = || fs::read_to_string(&told).unwrap_or_default();
    assert!(until(&|| !read().is_empty()));
    let directory = read();
    let pid = fs::read_to_string(Path::new(&directory).join("pid")).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    fs::remove_file(&told).unwrap();
    assert!(until(&|| !Path::new(&directory).exists()));
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_commit_arrives_whose_reply_is_lost() {
    let server = MariaDb::shared();
    let cut = Cut::before(server.port());
    for (lost, number, expected) in [(Lost::Reply, 1, "1"), (Lost::Request, 2, "0")] {
        let database = server.database_from("CREATE TABLE t (a INT PRIMARY KEY)");
        let mut connection = connect(cut.port(), &database).unwrap();
        connection.query_drop("BEGIN").unwrap();
        connection.query_drop("INSERT INTO t VALUES (1)").unwrap();
        cut.lose(lost, "COMMIT");
        assert!(connection.query_drop("COMMIT").is_err());
        assert_eq!(cut.sprung(), number);
        // Once: the next one is not cut.
        let mut connection = connect(cut.port(), &database).unwrap();
        connection.query_drop("BEGIN").unwrap();
        connection.query_drop("COMMIT").unwrap();
        let rows = server.sql(&database, "SELECT COUNT(*) FROM t");
        assert_eq!(rows, Ok(vec![cell(expected)]), "{lost:?}");
    }
}
