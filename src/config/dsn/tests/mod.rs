mod params;
mod passwords;

use std::time::Duration;

use super::*;
use crate::config::{MysqlAddress, MysqlConfig, MysqlTls};
use crate::error::Kind;
use crate::secret::Secret;

const CANARY: &str = "cAnArY5eCr3t";

fn parse(dsn: &str) -> Result<Dsn> {
    parse_from(dsn, true)
}

/// Reads a DSN that was typed, or one of a variable or a file.
fn parse_from(dsn: &str, typed: bool) -> Result<Dsn> {
    let options = Options {
        typed,
        ca_file: None,
        lease_ttl: Duration::from_secs(60),
        lease_limit: Duration::from_secs(600),
    };
    super::parse(dsn, &options)
}

fn mysql(dsn: &str) -> MysqlConfig {
    match parse(dsn) {
        Ok(Dsn::Mysql(config)) => *config,
        other => panic!("{dsn}: {other:?}"),
    }
}

/// All that anybody could see of an error.
fn text(error: &Error) -> String {
    format!("{error} {error:?} {error:#?} {}", error.one_line())
}

fn refusal(dsn: &str) -> Error {
    let error = parse(dsn).expect_err(dsn);
    assert_eq!(error.kind, Kind::Usage, "{dsn}");
    assert_eq!(error.message, "--dsn (CAM_DSN) cannot be used");
    assert!(!text(&error).contains(CANARY), "{dsn}: {error:?}");
    let hint = error.hint.as_ref().expect(dsn);
    assert!(!hint.ends_with('…'), "{dsn}: {hint}");
    error
}

fn tcp(host: &str, port: u16) -> MysqlAddress {
    MysqlAddress::Tcp(host.to_string(), port)
}

fn socket(path: &str) -> MysqlAddress {
    MysqlAddress::Socket(path.into())
}

/// A DSN, and the user, password, address and database that it names.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    MysqlAddress,
    &'static str,
);

fn assert_places(rows: Vec<Row>) {
    for (dsn, user, password, address, database) in rows {
        let config = mysql(dsn);
        assert_eq!(config.user, user, "{dsn}");
        let found = config.password.as_ref().map(Secret::expose);
        assert_eq!(found, password, "{dsn}");
        assert_eq!(config.address, address, "{dsn}");
        assert_eq!(config.database, database, "{dsn}");
    }
}

#[test]
fn forms_of_go_sql_driver() {
    let home = || tcp("127.0.0.1", 3306);
    assert_places(vec![
        ("u:p@tcp(h:3307)/d", "u", Some("p"), tcp("h", 3307), "d"),
        ("u:p@tcp(h)/d", "u", Some("p"), tcp("h", 3306), "d"),
        ("u:p@(h)/d", "u", Some("p"), tcp("h", 3306), "d"),
        ("u:p@tcp/d", "u", Some("p"), home(), "d"),
        ("u:p@/d", "u", Some("p"), home(), "d"),
        ("u:p@/d?", "u", Some("p"), home(), "d"),
        ("u:@/d", "u", None, home(), "d"),
        ("u@/d", "u", None, home(), "d"),
        ("@/d", "", None, home(), "d"),
        ("tcp(h)/d", "", None, tcp("h", 3306), "d"),
        ("(h:1)/d", "", None, tcp("h", 1), "d"),
        ("u@tcp([::1]:3307)/d", "u", None, tcp("::1", 3307), "d"),
        (
            "u@tcp([2001:db8::1])/d",
            "u",
            None,
            tcp("2001:db8::1", 3306),
            "d",
        ),
        ("u@tcp(::1)/d", "u", None, tcp("::1", 3306), "d"),
        (
            "u@unix(/run/m.sock)/d",
            "u",
            None,
            socket("/run/m.sock"),
            "d",
        ),
        ("u:p:q@unix(/x)/d", "u", Some("p:q"), socket("/x"), "d"),
        ("u@unix/d", "u", None, socket("/tmp/mysql.sock"), "d"),
        (
            "u:p@tcp(h)/a%2Fb%20c+d",
            "u",
            Some("p"),
            tcp("h", 3306),
            "a/b c+d",
        ),
        ("u%40:p%40@/d", "u%40", Some("p%40"), home(), "d"),
        ("u:a@b@/d", "u", Some("a@b"), home(), "d"),
        ("u:a/b@/d", "u", Some("a/b"), home(), "d"),
        ("u:a?b=c&d#e@/d", "u", Some("a?b=c&d#e"), home(), "d"),
        ("u:(a)/b(@/d", "u", Some("(a)/b("), home(), "d"),
        (
            "u:p@tcp(h)/x@tcp(i)/d",
            "u",
            Some("p@tcp(h)/x"),
            tcp("i", 3306),
            "d",
        ),
        ("mysql:p@/d", "mysql", Some("p"), home(), "d"),
        (
            "mariadb:p@tcp(h)/d",
            "mariadb",
            Some("p"),
            tcp("h", 3306),
            "d",
        ),
        (
            "id:password@tcp(your-amazonaws-uri.com:3306)/dbname",
            "id",
            Some("password"),
            tcp("your-amazonaws-uri.com", 3306),
            "dbname",
        ),
    ]);
}

#[test]
fn forms_of_urls() {
    assert_places(vec![
        ("mysql://u:p@h:3307/d", "u", Some("p"), tcp("h", 3307), "d"),
        ("mysql://u:p@h/d?", "u", Some("p"), tcp("h", 3306), "d"),
        ("MariaDB://u@h/d", "u", None, tcp("h", 3306), "d"),
        ("mysql://u:@h/d", "u", None, tcp("h", 3306), "d"),
        ("mysql://h/d", "", None, tcp("h", 3306), "d"),
        ("mysql://u:p:q@h/d", "u", Some("p:q"), tcp("h", 3306), "d"),
        (
            "mysql://u%3A:p%40%2F%3f%25@h/d%2Fe",
            "u:",
            Some("p@/?%"),
            tcp("h", 3306),
            "d/e",
        ),
        (
            "mysql://u:a+b@h/c+d",
            "u",
            Some("a+b"),
            tcp("h", 3306),
            "c+d",
        ),
        (
            "mysql://u:p%C3%A4@h/d",
            "u",
            Some("pä"),
            tcp("h", 3306),
            "d",
        ),
        ("mysql://u@[::1]:3307/d", "u", None, tcp("::1", 3307), "d"),
        (
            "mysql://u@[2001:db8::1]/d",
            "u",
            None,
            tcp("2001:db8::1", 3306),
            "d",
        ),
        (
            "mysql://u@/d?socket=%2Frun%2Fm.sock",
            "u",
            None,
            socket("/run/m.sock"),
            "d",
        ),
        (
            "mysql:///d?socket=/run/m.sock",
            "",
            None,
            socket("/run/m.sock"),
            "d",
        ),
        (
            "mysql://u:p@localhost/d?socket=/x",
            "u",
            Some("p"),
            socket("/x"),
            "d",
        ),
    ]);
}

#[test]
fn paths_stay_paths() {
    for path in [
        "/var/lib/x/ledger.db",
        "./a.db",
        "../a.db",
        "a.db",
        "dir/a.db",
        "tcp/a.db",
        "unix/a.db",
        "/a(b)/c.db",
        "./tcp(h)/d",
        "./a:b",
        "dir/a:b",
        "it's.db",
        "/x/~backup/a.db",
        "/a b/c.db",
    ] {
        assert_eq!(parse(path), Ok(Dsn::Sqlite(path.into())), "{path}");
    }
    for (dsn, path) in [
        ("sqlite:/var/a@b", "/var/a@b"),
        ("sqlite:./u:p@tcp(h)/d", "./u:p@tcp(h)/d"),
        ("sqlite:///x", "/x"),
        ("SQLite:/x", "/x"),
        ("SQLITE:x", "x"),
        ("sQlItE:///x", "/x"),
        ("sqlite:./~x", "./~x"),
        ("sqlite:./a:b", "./a:b"),
    ] {
        assert_eq!(parse(dsn), Ok(Dsn::Sqlite(path.into())), "{dsn}");
    }
}

#[test]
fn what_may_be_meant_otherwise_is_no_path() {
    for (dsn, part) in [
        ("\"sqlite:/x\"", "quotation mark"),
        ("'/x'", "quotation mark"),
        ("'mysql://u:cAnArY5eCr3t@h/d'", "quotation mark"),
        ("\"u:cAnArY5eCr3t@tcp(h)/d\"", "quotation mark"),
        ("“/x”", "quotation mark"),
        ("sqlite:\"/x\"", "quotation mark"),
        ("/x'", "quotation mark"),
        (" sqlite:/x", "blank"),
        ("/x ", "blank"),
        ("/x\u{a0}", "blank"),
        ("sqlite: /x", "blank"),
        (" u:cAnArY5eCr3t@tcp(h)/d", "blank"),
        ("/x/l.db # the ledger", "'#'"),
        ("sqlite:/x/l.db#x", "'#'"),
        ("/x/${STATE}/l.db", "'$'"),
        ("/x/$X/l.db", "'$'"),
        ("/x/l.db;", "';'"),
        ("/x/%i.db", "'%'"),
        ("/x/{env}/l.db", "'{'"),
        ("/x/l.db\u{200b}", "200b"),
        ("sqlite3:/x", "scheme"),
        ("SQLite3:/x", "scheme"),
        ("postgres:/x", "scheme"),
        ("POSTGRES://cAnArY5eCr3t/d", "scheme"),
        ("file:/x", "scheme"),
        ("jdbc:sqlite:/x", "scheme"),
        ("jdbc:mysql://cAnArY5eCr3t/d", "scheme"),
        ("sqlite :/x", "scheme"),
        ("a:b", "scheme"),
        ("C:\\x", "scheme"),
        ("db.example:3306/cAnArY5eCr3t", "scheme"),
        ("Mysql:cAnArY5eCr3t", "no database"),
        ("MYSQL:/cAnArY5eCr3t", "neither tcp nor unix"),
        ("sqlite:mysql://cAnArY5eCr3t/y", "second scheme"),
        ("sqlite:sqlite:/x", "second scheme"),
        ("sqlite:File:/x", "second scheme"),
        ("sqlite:u:cAnArY5eCr3t@tcp(h)/d", "second scheme"),
        ("sqlite:/x?mode=ro", "parameters"),
        ("sqlite:///x?cache=shared", "parameters"),
        ("/x?tls=true", "parameters"),
        ("x?", "parameters"),
        ("~", "shell"),
        ("~/x", "shell"),
        ("sqlite:~/x", "shell"),
        ("sqlite:~cam/x", "shell"),
        ("sqlite:///~/x", "shell"),
        ("/home/~/x", "shell"),
        ("$HOME/x", "shell"),
        ("sqlite:${HOME}/x", "shell"),
        ("sqlite://x", "not sqlite:PATH"),
        ("SQLITE://localhost/x", "not sqlite:PATH"),
    ] {
        for typed in [true, false] {
            let error = parse_from(dsn, typed).expect_err(dsn);
            assert!(error.causes[0].contains(part), "{dsn}: {error:?}");
            assert!(!text(&error).contains(CANARY), "{dsn}: {error:?}");
        }
        refusal(dsn);
    }
}

#[test]
fn a_relative_path_is_one_that_was_typed() {
    for dsn in ["x", "./x", "../x", "a/b", "sqlite:x", "SQLite:./x"] {
        assert!(parse_from(dsn, true).is_ok(), "{dsn}");
        let error = parse_from(dsn, false).expect_err(dsn);
        assert_eq!(error.kind, Kind::Usage, "{dsn}");
        assert!(error.causes[0].contains("relative"), "{dsn}: {error:?}");
    }
    for dsn in ["/x", "sqlite:/x", "sqlite:///x", "u:p@/d", "mysql://h/d"] {
        assert!(parse_from(dsn, false).is_ok(), "{dsn}");
    }
}

#[test]
fn what_is_malformed_is_refused_by_its_part() {
    for (dsn, part) in [
        ("u:cAnArY5eCr3t@tcp(h)", "no database"),
        ("u:cAnArY5eCr3t@tcp(h)/", "no database"),
        ("u:cAnArY5eCr3t@tcp(h)/?tls=true", "no database"),
        ("u:cAnArY5eCr3t@h", "no database"),
        ("mysql:cAnArY5eCr3t", "no database"),
        ("mysql://u:cAnArY5eCr3t@h", "no database"),
        ("mysql://u:cAnArY5eCr3t@h/?tls=true", "no database"),
        ("u:cAnArY5eCr3t@tcp()/d", "no host"),
        ("u:cAnArY5eCr3t@tcp(:3306)/d", "no host"),
        ("mysql://u:cAnArY5eCr3t@/d", "no host"),
        ("mysql://u:cAnArY5eCr3t@:3306/d", "no host"),
        ("u:cAnArY5eCr3t@tcp(h:0)/d", "port"),
        ("u:cAnArY5eCr3t@tcp(h:)/d", "port"),
        ("u:cAnArY5eCr3t@tcp(h:+1)/d", "port"),
        ("u:cAnArY5eCr3t@tcp(h:65536)/d", "port"),
        ("u:cAnArY5eCr3t@tcp(h:1:2)/d", "port"),
        ("u:x@tcp(h:cAnArY5eCr3t)/d", "port"),
        ("mysql://u:cAnArY5eCr3t/d", "port"),
        ("mysql://u:cAnArY5eCr3t@h:0/d", "port"),
        ("u:x@tcp(h cAnArY5eCr3t)/d", "host"),
        ("mysql://u:p@tcp(cAnArY5eCr3t)/d", "host"),
        ("u:x@tcp([cAnArY5eCr3t])/d", "IPv6"),
        ("u:x@tcp([::1)/d", "IPv6"),
        ("u:x@tcp([::1]3306)/d", "IPv6"),
        ("u:x@tcp(::1:3306)/d", "may end in a port"),
        ("mysql://u@2001:db8::1:3306/d", "may end in a port"),
        ("u:x@unix(cAnArY5eCr3t)/d", "socket"),
        ("u:x@unix()/d", "socket"),
        ("mysql://u@/d?socket=cAnArY5eCr3t", "socket"),
        (
            "mysql://u@db.example/d?socket=/x",
            "both a host and a socket",
        ),
        ("u:x@tcp(cAnArY5eCr3t/d", "')'"),
        ("u:x@tcp(h)cAnArY5eCr3t/d", "')'"),
        ("u:cAnArY5eCr3t@tcp(h)/d?loc=Europe/Berlin", "')'"),
        ("u:cAnArY5eCr3t@h/d", "neither tcp nor unix"),
        ("u:cAnArY5eCr3t@TCP(h)/d", "neither tcp nor unix"),
        ("u:cAnArY5eCr3t@udp(h)/d", "neither tcp nor unix"),
        ("u:cAnArY5eCr3t/d@x/y", "neither tcp nor unix"),
        ("postgres://u:cAnArY5eCr3t@h/d", "scheme"),
        ("postgres://cAnArY5eCr3t/d", "scheme"),
        ("dir/cAnArY5eCr3t@x/ledger.db", "neither tcp nor unix"),
        ("/dir/cAnArY5eCr3t@/ledger.db", "path or a DSN"),
        ("./cAnArY5eCr3t@tcp(h)/d", "path or a DSN"),
        ("u:a/cAnArY5eCr3t@tcp(h)", "follows its last '/'"),
        ("u:@/x?cAnArY5eCr3t=1@tcp(h)", "follows its last '/'"),
        ("mysql://u:cAnArY5eCr3t@x@h/d", "'@'"),
        ("mysql://u:1/cAnArY5eCr3t@h/d", "'@'"),
        ("mysql://u:1/d?cAnArY5eCr3t=1@h/d", "'@'"),
        ("mysql://u:1#cAnArY5eCr3t@h/d", "'#'"),
        ("mysql://u:p@h/d/cAnArY5eCr3t", "more than one '/'"),
        ("mysql://u:cAnArY5eCr3t%@h/d", "password is not percent"),
        ("mysql://u:cAnArY5eCr3t%f@h/d", "password is not percent"),
        ("mysql://u:cAnArY5eCr3t%+1@h/d", "password is not percent"),
        ("mysql://u:cAnArY5eCr3t%ff@h/d", "password is not percent"),
        ("mysql://u:cAnArY5eCr3t%00@h/d", "password is not percent"),
        ("mysql://%zz:cAnArY5eCr3t@h/d", "user is not percent"),
        ("u:cAnArY5eCr3t@/d%2", "database is not percent"),
        ("u:cAnArY5eCr3t\0@/d", "password holds a control"),
        ("u:cAnArY5eCr3t@/d?tls=true&tls=true", "tls is given twice"),
        ("u:cAnArY5eCr3t@/d?loc=UTC&loc=UTC", "loc is given twice"),
        (
            "mysql://h/d?tls=true&ssl-mode=DISABLED",
            "two of its parameters",
        ),
        ("u@unix(/x)/d?tls=true", "unix socket"),
        ("u@unix(/x)/d?tls=skip-verify", "unix socket"),
    ] {
        let error = refusal(dsn);
        assert!(error.causes[0].contains(part), "{dsn}: {error:?}");
    }
}

#[test]
fn tls_is_on_where_bytes_leave_the_machine() {
    use MysqlTls::{Off, Preferred, Unverified, Verified};
    for (dsn, expected) in [
        ("u@tcp(db.example)/d", Verified),
        ("u@tcp(10.0.0.1)/d", Verified),
        ("u@tcp([2001:db8::1])/d", Verified),
        ("mysql://u@db.example/d", Verified),
        ("u@/d", Off),
        ("u@tcp(localhost)/d", Off),
        ("u@tcp(LOCALHOST:1)/d", Off),
        ("u@tcp(db.localhost)/d", Off),
        ("u@tcp(127.9.9.9)/d", Off),
        ("u@tcp([::1])/d", Off),
        ("u@unix(/x)/d", Off),
        ("u@unix(/x)/d?tls=preferred", Off),
        ("mysql:///d?socket=/x&ssl-mode=disabled", Off),
        ("u@/d?tls=true", Verified),
        ("u@/d?tls=1", Verified),
        ("u@tcp(h)/d?tls=True", Verified),
        ("u@tcp(h)/d?tls=0", Off),
        ("u@tcp(h)/d?tls=FALSE", Off),
        ("u@tcp(h)/d?tls=skip-verify", Unverified),
        ("u@tcp(h)/d?tls=Skip-Verify", Unverified),
        ("u@tcp(h)/d?tls=preferred", Preferred),
        ("mysql://h/d?tls=skip-verify", Unverified),
        ("mysql://h/d?ssl-mode=DISABLED", Off),
        ("mysql://h/d?ssl-mode=PREFERRED", Preferred),
        ("mysql://h/d?ssl-mode=required", Unverified),
        ("mysql://h/d?ssl-mode=VERIFY_IDENTITY", Verified),
        ("mysql://localhost/d?require_ssl=true", Verified),
    ] {
        assert_eq!(mysql(dsn).tls, expected, "{dsn}");
    }
}
