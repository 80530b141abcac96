use super::*;
use crate::config::dsn::params::duration;

#[test]
fn timeouts() {
    let of = |parameters: &str| {
        let config = mysql(&format!("u@tcp(h)/d{parameters}"));
        [
            config.connect_timeout,
            config.read_timeout,
            config.write_timeout,
        ]
        .map(|timeout| timeout.as_millis())
    };
    assert_eq!(of(""), [10_000, 30_000, 30_000]);
    assert_eq!(
        of("?timeout=5s&readTimeout=1m30s&writeTimeout=1h"),
        [5_000, 90_000, 3_600_000]
    );
    assert_eq!(
        of("?timeout=0&readTimeout=0s&writeTimeout=1ms"),
        [10_000, 30_000, 1]
    );
}

#[test]
fn session_variables_become_literals() {
    for (parameter, name, literal) in [
        ("sql_mode=''", "sql_mode", "''"),
        ("sql_mode=%27traditional%27", "sql_mode", "'TRADITIONAL'"),
        (
            "sql_mode=%22STRICT_ALL_TABLES,NO_ZERO_DATE%22",
            "sql_mode",
            "'STRICT_ALL_TABLES,NO_ZERO_DATE'",
        ),
        (
            "tx_isolation='read-committed'",
            "tx_isolation",
            "'READ-COMMITTED'",
        ),
        (
            "transaction_isolation=%27SERIALIZABLE%27",
            "transaction_isolation",
            "'SERIALIZABLE'",
        ),
        ("wait_timeout=60", "wait_timeout", "60"),
        ("max_statement_time=1.5", "max_statement_time", "1.5"),
        ("wsrep_sync_wait=7", "wsrep_sync_wait", "7"),
    ] {
        let expected = [(name.to_string(), literal.to_string())];
        for dsn in [
            format!("u@/d?{parameter}"),
            format!("mysql://h/d?{parameter}"),
        ] {
            assert_eq!(mysql(&dsn).session, expected, "{dsn}");
        }
    }
}

#[test]
fn parameters_without_effect() {
    for parameter in [
        "",
        "&",
        "parseTime=true",
        "parseTime=true&",
        "&parseTime=0&&loc=Europe%2FBerlin",
        "loc=Local",
        "charset=utf8mb4",
        "charset=utf8mb4,latin1",
        "charset=latin1,utf8",
        "charset=utf8mb3",
        "collation=utf8mb4_general_ci",
        "collation=UTF8_bin",
        "interpolateParams=true&multiStatements=1&allowNativePasswords=False",
        "checkConnLiveness=true&clientFoundRows=true&columnsWithAlias=false",
        "rejectReadOnly=true&compress=true&maxAllowedPacket=4194304",
        "maxAllowedPacket=-1&timeTruncate=1s&connectionAttributes=a:b",
        "allowOldPasswords=false&allowCleartextPasswords=0&allowAllFiles=false",
        "time_zone=%27%2B00:00%27",
        "time_zone=%22utc%22",
    ] {
        let plain = mysql("u:p@tcp(h)/d");
        assert_eq!(mysql(&format!("u:p@tcp(h)/d?{parameter}")), plain);
        assert_eq!(mysql(&format!("mysql://u:p@h/d?{parameter}")), plain);
    }
}

#[test]
fn values_that_cannot_be_used_are_refused_by_name() {
    for parameter in [
        "tls=cAnArY5eCr3t",
        "tls=",
        "tls",
        "tls=tRuE",
        "tls=%zz",
        "timeout=5",
        "timeout=-5s",
        "readTimeout=cAnArY5eCr3t",
        "readTimeout=61m",
        "writeTimeout=999us",
        "parseTime=yes",
        "maxAllowedPacket=4M",
        "charset=latin1",
        "charset=",
        "collation=latin1_swedish_ci",
        "allowOldPasswords=true",
        "allowCleartextPasswords=1",
        "allowAllFiles=true",
        "serverPubKey=cAnArY5eCr3t",
        "foreign_key_checks=0",
        "time_zone='SYSTEM'",
        "time_zone='+00:00'",
        "time_zone=UTC",
        "sql_mode=TRADITIONAL",
        "sql_mode='",
        "sql_mode='%22",
        "sql_mode='ANSI_QUOTES'",
        "sql_mode='ORACLE'",
        "sql_mode='TRADITIONAL',autocommit=0,sql_mode=''",
        "sql_mode='cAnArY5eCr3t'",
        "sql_mode='a\\'",
        "tx_isolation='READ-UNCOMMITTED'",
        "tx_isolation=1",
        "wait_timeout='5'",
        "wait_timeout=-1",
        "wait_timeout=1e3",
        "wait_timeout=1.",
        "wait_timeout=.5",
        "wait_timeout=",
        "wait_timeout=1;DROP",
        "wait_timeout=1,autocommit=0",
        "lock_wait_timeout=%40%40x",
        "wait_timeout=1234567890123",
    ] {
        let name = parameter.split('=').next().unwrap();
        for start in ["u:cAnArY5eCr3t@tcp(h)/d", "mysql://u:cAnArY5eCr3t@h/d"] {
            let error = refusal(&format!("{start}?{parameter}"));
            assert!(error.causes[0].contains(name), "{parameter}: {error:?}");
        }
    }
    for parameter in [
        "ssl-mode=VERIFY_CA",
        "ssl-mode=",
        "require_ssl=false",
        "require_ssl=cAnArY5eCr3t",
    ] {
        let error = refusal(&format!("mysql://u:cAnArY5eCr3t@h/d?{parameter}"));
        let name = parameter.split('=').next().unwrap();
        assert!(error.causes[0].contains(name), "{parameter}: {error:?}");
    }
}

#[test]
fn unknown_parameters_are_counted_and_never_named() {
    for (parameters, number) in [
        ("cAnArY5eCr3t", 1),
        ("cAnArY5eCr3t=1", 1),
        ("parseTime=true&cAnArY5eCr3t=1", 2),
        ("&parseTime=true&cAnArY5eCr3t", 2),
        ("TLS=cAnArY5eCr3t", 1),
        ("autocommit=cAnArY5eCr3t", 1),
    ] {
        for start in ["u:p@tcp(h)/d", "mysql://u:p@h/d"] {
            let error = refusal(&format!("{start}?{parameters}"));
            let number = format!("number {number} of");
            assert!(error.causes[0].starts_with(&number), "{error:?}");
            assert!(error.hint.unwrap().contains("readTimeout"));
        }
    }
    for of_urls in ["socket=/x", "ssl-mode=DISABLED", "require_ssl=true"] {
        // A '/' that is not escaped would be taken for the one before the database.
        let of_urls = of_urls.replace('/', "%2F");
        let error = refusal(&format!("u:p@tcp(h)/d?{of_urls}"));
        assert!(error.causes[0].contains("not known"), "{error:?}");
        assert!(!error.hint.unwrap().contains("ssl-mode"));
    }
}

#[test]
fn durations_that_go_reads() {
    for (text, micros) in [
        ("0", 0),
        ("+0", 0),
        ("0s", 0),
        ("5s", 5_000_000),
        ("+5s", 5_000_000),
        ("1m30s", 90_000_000),
        ("500ms", 500_000),
        ("1.5h", 5_400_000_000),
        (".5s", 500_000),
        ("1.s", 1_000_000),
        ("1s1s", 2_000_000),
        ("1h0.25m3us", 3_615_000_003),
        ("7\u{b5}s8\u{3bc}s1000ns", 16),
        ("0.0000000000000000000000001s", 0),
    ] {
        assert_eq!(
            duration(text),
            Some(Duration::from_micros(micros)),
            "{text}"
        );
    }
}

#[test]
fn durations_that_go_refuses_and_negative_ones() {
    for text in [
        "",
        "+",
        "5",
        "s",
        ".s",
        "-5s",
        "5 s",
        "5s ",
        "1d",
        "5S",
        "1..5s",
        "5s3",
        "\u{665}s",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert_eq!(duration(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_duration_is_read_or_refused(text in "[0-9.+\u{b5}a-z-]{0,40}") {
        let _ = duration(&text);
    }

    #[test]
    fn durations_in_whole_units_are_exact(h in 0u64..99, m in 0u64..99, ms in 0u64..99_999) {
        let expected = Duration::from_millis((h * 60 + m) * 60_000 + ms);
        proptest::prop_assert_eq!(duration(&format!("{h}h{m}m{ms}ms")), Some(expected));
    }
}

#[test]
fn every_parameter_that_a_hint_names_is_known() {
    let hint = refusal("mysql://h/d?x=1").hint.unwrap();
    let names = hint.strip_prefix("known are ").unwrap();
    let (names, _) = names.split_once(", and what").unwrap();
    assert!(names.split(", ").count() > 20, "{names}");
    for name in names.split(", ") {
        let error = refusal(&format!("mysql://h/d?{name}"));
        assert!(
            error.causes[0].contains("has no value"),
            "{name}: {error:?}"
        );
    }
}
