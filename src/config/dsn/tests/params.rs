use super::*;

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
    // As Go prints them.
    assert_eq!(
        of("?timeout=1m0.5s&readTimeout=0h1m30s&writeTimeout=1500us"),
        [60_500, 90_000, 1]
    );
}

#[test]
fn numbers_of_the_session_are_set() {
    for (parameter, name, literal) in [
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
        "time_zone='SYSTEM'&charset=latin1&collation=latin1_swedish_ci",
        "sql_mode='ANSI_QUOTES'&tx_isolation='READ-UNCOMMITTED'&parseTime=yes&loc=%zz",
        "sql_mode='TRADITIONAL',autocommit=0,sql_mode=''&transaction_isolation=1",
        "allowOldPasswords=true&allowCleartextPasswords=1&allowAllFiles=true",
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
        "tls=%zz",
        "timeout=5",
        "timeout=-5s",
        "readTimeout=cAnArY5eCr3t",
        "readTimeout=61m",
        "writeTimeout=999us",
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
        ("serverPubKey=cAnArY5eCr3t", 1),
        ("foreign_key_checks=0", 1),
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
fn every_parameter_that_a_hint_names_is_known() {
    let hint = refusal("mysql://h/d?x=1").hint.unwrap();
    let names = hint.strip_prefix("known are ").unwrap();
    let (names, _) = names.split_once(", and what").unwrap();
    assert!(names.split(", ").count() > 14, "{names}");
    for name in names.split(", ") {
        let error = refusal(&format!("mysql://h/d?{name}"));
        assert!(
            error.causes[0].contains("has no value"),
            "{name}: {error:?}"
        );
    }
}
