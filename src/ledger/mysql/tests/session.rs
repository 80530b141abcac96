//! What a connection is set to, whatever the server would give it.

use super::*;

#[test]
fn the_modes_of_the_server_do_not_count() {
    let server = MariaDb::start();
    server
        .sql(
            "",
            "SET GLOBAL sql_mode = 'ORACLE,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES'",
        )
        .unwrap();
    let config = MysqlConfig {
        address: MysqlAddress::Socket(server.socket()),
        user: "root".to_owned(),
        password: None,
        database: server.database(),
        ..Database {
            name: String::new(),
        }
        .running()
    };
    let mut ledger = open(&config, Access::Write).unwrap();
    let s = contract::scope();
    let lease = ledger.acquire(&s, Duration::ZERO).unwrap().unwrap();
    let video = contract::attempt("a", "video", "1", State::Baseline);
    let recorded = ledger.record(&s, &video, None, lease.fence());
    assert_eq!(recorded, Ok(None));
    assert_eq!(ledger.history(&s, None, 9).unwrap().len(), 1);
}

#[test]
fn no_statement_waits_for_a_table_for_ever() {
    let seconds = |session: &[(&str, &str)]| {
        let mut config = Database::new().migrating();
        let own = session.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        config.session = own.collect();
        let mut session = Session::open(&config).unwrap();
        let query = "SELECT @@SESSION.lock_wait_timeout, @@SESSION.innodb_lock_wait_timeout";
        let row: Option<(u64, u64)> = session.call(|conn| Ok(conn.query_first(query)?)).unwrap();
        row.unwrap()
    };
    assert_eq!(seconds(&[]), (60, 5));
    let given = [
        ("lock_wait_timeout", "7"),
        ("innodb_lock_wait_timeout", "3"),
    ];
    assert_eq!(seconds(&given), (7, 3));
}
