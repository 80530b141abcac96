use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::cli::Cli;
use crate::error::Kind;

const CANARY: &str = "canary-5eCr3t";

/// A configuration from a command line and variables, `HOME` among them.
fn config(line: &str, variables: &[(&str, &str)]) -> Result<Config> {
    let mut env: BTreeMap<&str, &str> = BTreeMap::from([("HOME", "/home/u")]);
    env.extend(variables.iter().copied());
    let cli = Cli::parse_from_args(["cam"].into_iter().chain(line.split_whitespace())).unwrap();
    Config::from_cli(&cli, &|name| env.get(name).map(OsString::from))
}

fn refusal(line: &str, variables: &[(&str, &str)]) -> Error {
    let error = config(line, variables).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    error
}

fn token(line: &str, variables: &[(&str, &str)]) -> Option<String> {
    let config = config(&format!("-s https://c {line}"), variables).unwrap();
    let token = config.deploy().unwrap().token.clone();
    token.map(|t| t.expose().to_string())
}

fn file(directory: &Path, name: &str, content: impl AsRef<[u8]>, mode: u32) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn the_nearest_secret_counts() {
    let dir = tempfile::tempdir().unwrap();
    let by_option = format!(
        "--deploy-token-file {}",
        file(dir.path(), "a", "of-file\n", 0o600)
    );
    let by_variable = file(dir.path(), "b", "of-variable-file\r\n", 0o600);
    file(
        dir.path(),
        "deploy-token",
        "of-systemd\n\n".trim_end(),
        0o400,
    );
    let credentials = ("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap());
    let variable = ("CAM_DEPLOY_TOKEN", "of-variable");
    let variable_file = ("CAM_DEPLOY_TOKEN_FILE", by_variable.as_str());
    let foreign = ("COREOS_DEPLOY_TOKEN", "of-variable");
    for (line, variables, expected) in [
        (
            "-k of-option",
            vec![variable, credentials],
            Some("of-option"),
        ),
        (
            by_option.as_str(),
            vec![variable, credentials],
            Some("of-file"),
        ),
        (
            "",
            vec![variable, foreign, credentials],
            Some("of-variable"),
        ),
        ("", vec![foreign, credentials], Some("of-variable")),
        (
            "",
            vec![variable_file, credentials],
            Some("of-variable-file"),
        ),
        ("", vec![credentials], Some("of-systemd")),
        ("", vec![("CREDENTIALS_DIRECTORY", "/nonexistent")], None),
        ("", vec![("COREOS_DEPLOY_TOKEN", "")], None),
        ("", vec![], None),
    ] {
        assert_eq!(
            token(line, &variables).as_deref(),
            expected,
            "{line} {variables:?}"
        );
    }
}

#[test]
fn two_forms_on_one_level_are_refused() {
    let text = refusal("-k canary-5eCr3t --deploy-token-file /x", &[]).message;
    assert!(
        text.contains("--deploy-token and --deploy-token-file"),
        "{text}"
    );
    let file = ("CAM_DEPLOY_TOKEN_FILE", "/x");
    for variables in [
        [("CAM_DEPLOY_TOKEN", CANARY), file],
        [("COREOS_DEPLOY_TOKEN", CANARY), file],
        [
            ("CAM_DEPLOY_TOKEN", CANARY),
            ("COREOS_DEPLOY_TOKEN", "other"),
        ],
    ] {
        let text = refusal("", &variables).message;
        assert!(
            text.contains(variables[0].0) && text.contains(variables[1].0),
            "{text}"
        );
    }
}

#[test]
fn two_ways_of_authentication_are_refused() {
    let error = refusal("-u me -w canary-5eCr3t", &[("CAM_ART_TOKEN", CANARY)]);
    assert!(
        error.message.contains("--art-password and CAM_ART_TOKEN"),
        "{error:?}"
    );
    refusal("--art-token canary-5eCr3t --art-api-key canary-5eCr3t", &[]);
    refusal("--art-userid me", &[]);
    refusal("--art-userid me --art-token canary-5eCr3t", &[]);
    refusal("--art-userid m:e -w canary-5eCr3t", &[]);
    refusal("", &[("CAM_ART_PASSWORD", CANARY)]);
}

#[test]
fn files_that_hold_no_secret_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("empty", Vec::new()),
        ("newline", b"\n".to_vec()),
        ("lines", b"canary-5eCr3t\nb\n".to_vec()),
        ("two", b"canary-5eCr3t\n\n".to_vec()),
        ("nul", b"canary-5eCr3t\0".to_vec()),
        ("latin1", b"canary-5eCr3t\xff".to_vec()),
        ("large", CANARY.as_bytes().repeat(6000)),
    ] {
        let path = file(dir.path(), name, content, 0o600);
        let error = refusal("", &[("CAM_DEPLOY_TOKEN_FILE", &path)]);
        assert!(error.message.contains("CAM_DEPLOY_TOKEN_FILE"), "{error:?}");
    }
    let directory = dir.path().to_str().unwrap();
    refusal(&format!("--art-token-file {directory}"), &[]);
    refusal("--art-token-file /nonexistent", &[]);
    refusal("", &[("CAM_DEPLOY_TOKEN", "")]);
}

#[test]
fn a_variable_of_an_option_that_belongs_to_one_call_is_told_of() {
    let told = |line: &str, variables: &[(&str, &str)]| {
        let config = config(&format!("{line} --dsn sqlite:/x"), variables).unwrap();
        (config.alerts, config.warnings)
    };
    let set = [("CAM_FORCE", "true"), ("CAM_LIMIT", "many")];
    let force = "CAM_FORCE is set and has no effect: give --force".to_owned();
    let limit = "CAM_LIMIT is set and has no effect: give --limit".to_owned();
    let (alerts, warnings) = told("deploy a 1", &set);
    assert_eq!(
        (alerts, warnings),
        (vec![force.clone()], vec![limit.clone()])
    );
    let (alerts, warnings) = told("history", &set);
    assert_eq!(
        (alerts, warnings),
        (vec![limit.clone()], vec![force.clone()])
    );
    assert_eq!(told("run", &set), (vec![], vec![force, limit]));
    assert_eq!(told("deploy a 1", &[("CAM_FORCE", "")]), (vec![], vec![]));
    assert_eq!(told("hold a", &[("CAM_JOBS", "3")]), (vec![], vec![]));
}

#[test]
fn what_others_can_see_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let open = file(dir.path(), "open", CANARY, 0o644);
    let closed = file(dir.path(), "closed", CANARY, 0o600);
    let warnings = |line: &str| config(line, &[]).unwrap().warnings;
    let exposed = |line: &str| config(line, &[]).unwrap().alerts;
    assert!(exposed("--art-token canary-5eCr3t")[0].contains("--art-token-file"));
    assert!(exposed("--dsn sqlite:/x").is_empty());
    assert!(exposed("--dsn u@tcp(localhost)/d").is_empty());
    let of_dsn = exposed("--dsn u:canary-5eCr3t@/d");
    assert!(
        of_dsn.len() == 1 && of_dsn[0].contains("--dsn-file"),
        "{of_dsn:?}"
    );
    let by_variable = config("", &[("CAM_DSN", "u:canary-5eCr3t@/d")]);
    assert!(by_variable.unwrap().alerts.is_empty());
    assert_eq!(warnings(&format!("--art-token-file {open}")).len(), 1);
    assert!(warnings(&format!("--art-token-file {closed}")).is_empty());
    assert!(warnings("--dsn sqlite:/x").is_empty());
    assert!(warnings("-s http://c.example:80")[0].contains("c.example"));
    for quiet in [
        "https://c",
        "http://localhost:80",
        "http://127.0.0.9",
        "http://[::1]:80/",
    ] {
        assert!(warnings(&format!("-s {quiet}")).is_empty(), "{quiet}");
    }
}

#[test]
fn no_debug_shows_a_secret() {
    let full = "-s https://c -k canary-5eCr3t -a https://a/api -t r -y p --jobs 3";
    for way in [
        "-u me -w canary-5eCr3t",
        "--art-token canary-5eCr3t",
        "--art-api-key canary-5eCr3t",
    ] {
        let line = format!("{full} {way}");
        let cli = Cli::parse_from_args(["cam"].into_iter().chain(line.split_whitespace())).unwrap();
        assert!(!format!("{cli:?}").contains(CANARY));
        let config = config(&line, &[]).unwrap();
        assert!(!format!("{config:?}").contains(CANARY));
        assert_eq!(config.artifactory().unwrap().jobs, 3);
    }
}

#[test]
fn dsns() {
    let path = |dsn: &str| config(&format!("--dsn {dsn}"), &[]).unwrap().dsn.unwrap();
    for (dsn, expected) in [
        ("sqlite:/var/l.db", "/var/l.db"),
        ("sqlite:l.db", "l.db"),
        ("sqlite:///var/l.db", "/var/l.db"),
        ("sqlite:/var/a@b", "/var/a@b"),
        ("/var/l", "/var/l"),
    ] {
        assert_eq!(path(dsn), Dsn::Sqlite(expected.into()), "{dsn}");
    }
    for dsn in [
        "mysql://u:canary-5eCr3t@h:3306/d",
        "u:canary-5eCr3t@tcp(h:3306)/d?tls=true",
        "u:canary-5eCr3t@unix(/run/s)/d",
        "u:canary-5eCr3t@/d",
        "tcp(h)/d",
        "MariaDB://u:canary-5eCr3t@h/d",
    ] {
        assert!(matches!(path(dsn), Dsn::Mysql(_)), "{dsn}");
    }
    for dsn in [
        "postgres://u:canary-5eCr3t@h/d",
        "sqlite:",
        "sqlite://x",
        ":memory:",
        "sqlite::memory:",
        "file:x",
        "/var/",
        "/",
        ".",
        "sqlite:..",
        "/tmp",
    ] {
        refusal(&format!("--dsn {dsn}"), &[]);
    }
}

#[test]
fn the_options_of_a_ledger_on_mysql() {
    let mysql = |line: &str| match config(line, &[]).map(|c| c.dsn.unwrap()) {
        Ok(Dsn::Mysql(config)) => *config,
        other => panic!("{other:?}"),
    };
    let dir = tempfile::tempdir().unwrap();
    let ca = file(dir.path(), "ca.pem", "any", 0o644);
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let plain = mysql("--dsn u@/d");
    assert_eq!(plain.ca_file, None);
    assert_eq!(plain.lease_ttl, minutes(1));
    assert_eq!(plain.lease_limit, minutes(60 + 10 + 5));
    let full = mysql(&format!(
        "--dsn u@/d --dsn-ca-file {ca} --lease-ttl 2s --max-duration 2m --deploy-timeout 3m"
    ));
    assert_eq!(full.ca_file.as_deref(), Some(Path::new(&ca)));
    assert_eq!(full.lease_ttl, Duration::from_secs(2));
    assert_eq!(full.lease_limit, minutes(2 + 3 + 5));
    let rules = config("--max-duration 2m --deploy-timeout 3m", &[])
        .unwrap()
        .rules;
    assert_eq!(rules.longest_hold, full.lease_limit);
    let directory = dir.path().to_str().unwrap();
    for unusable in ["/nonexistent/ca.pem", directory] {
        let line = format!("--dsn u:canary-5eCr3t@/d --dsn-ca-file {unusable}");
        let error = refusal(&line, &[]);
        assert!(error.message.contains("--dsn-ca-file (CAM_DSN_CA_FILE)"));
        assert!(error.message.contains(unusable) && !error.causes.is_empty());
    }
    // A ledger in a file speaks to nobody.
    config("--dsn sqlite:/x --dsn-ca-file /nonexistent", &[]).unwrap();
}

#[test]
fn an_open_way_to_mysql_is_warned_of() {
    let warnings = |dsn: &str| config(&format!("--dsn {dsn}"), &[]).unwrap().warnings;
    for (parameters, words) in [
        ("tls=false", "is not encrypted"),
        ("tls=skip-verify", "does not verify"),
        ("tls=preferred", "does not verify"),
    ] {
        let given = warnings(&format!("u:canary-5eCr3t@tcp(db.example)/d?{parameters}"));
        assert_eq!(given.len(), 1, "{given:?}");
        assert!(given[0].contains(words) && given[0].contains("db.example"));
        assert!(!given[0].contains(CANARY));
        for quiet in ["tcp(localhost)", "tcp([::1]:3307)", "tcp(127.8.9.1)", ""] {
            let given = warnings(&format!("u:canary-5eCr3t@{quiet}/d?{parameters}"));
            assert!(given.is_empty(), "{given:?}");
        }
    }
    assert!(warnings("u:canary-5eCr3t@tcp(db.example)/d").is_empty());
    assert!(warnings("u@unix(/run/s)/d?tls=false").is_empty());
}

#[test]
fn the_ledger_s_place_without_a_dsn() {
    let place = |variables: &[(&str, &str)]| config("", variables).unwrap().dsn.unwrap();
    let below = |path: &str| Dsn::Sqlite(path.into());
    let home = below("/home/u/.local/state/coreos-artifactory-monitor/ledger.sqlite");
    let xdg = ("XDG_STATE_HOME", "/xdg");
    assert_eq!(place(&[]), home);
    assert_eq!(place(&[("XDG_STATE_HOME", "rel")]), home);
    assert_eq!(
        place(&[xdg]),
        below("/xdg/coreos-artifactory-monitor/ledger.sqlite")
    );
    assert_eq!(
        place(&[xdg, ("STATE_DIRECTORY", "/s/a:/s/b")]),
        below("/s/a/ledger.sqlite")
    );
    assert_eq!(place(&[xdg, ("STATE_DIRECTORY", "")]), place(&[xdg]));
    for relative in ["state", "./state", "~/state", "\"/s/a\"", ":/s/b"] {
        let error = refusal("", &[xdg, ("STATE_DIRECTORY", relative)]);
        assert!(error.message.contains("STATE_DIRECTORY"), "{error:?}");
    }
    assert!(refusal("", &[("HOME", "")]).hint.unwrap().contains("--dsn"));
}

#[test]
fn bad_values_are_refused_by_option_and_variable() {
    let full = "-a https://a/api -t r -y";
    for (line, option) in [
        ("-O a/b", "domain"),
        ("-E .x", "environment"),
        (&format!("{full} r"), "art-payload-repo"),
        (&format!("{full} a/b"), "art-payload-repo"),
        ("-a nonsense -t r -y p", "art-endpoint"),
        ("-a https://a/api -t r", "art-payload-repo"),
        ("-s nonsense", "deploy-url"),
    ] {
        let text = refusal(line, &[]).message;
        assert!(
            text.contains(&format!("--{option} (CAM_")),
            "{line}: {text}"
        );
        assert!(
            text.contains(&crate::cli::variable(option)),
            "{line}: {text}"
        );
    }
    assert!(
        config("status -a https://a/api", &[])
            .unwrap()
            .artifactory
            .is_none()
    );
}

#[test]
fn what_a_command_needs_is_named() {
    let config = config("", &[]).unwrap();
    for (error, option) in [
        (config.scope().unwrap_err(), "--domain (CAM_DOMAIN)"),
        (
            config.artifactory().unwrap_err(),
            "--art-endpoint (CAM_ART_ENDPOINT)",
        ),
        (config.deploy().unwrap_err(), "--deploy-url (CAM_DEPLOY_URL"),
    ] {
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains(option), "{error:?}");
    }
}

#[test]
fn a_hold_that_is_shorter_than_a_deploy_is_warned_of() {
    for (line, warned) in [
        ("--unknown-hold 5m", true),
        ("--unknown-hold 10m", false),
        ("--unknown-hold never --deploy-timeout 1h", false),
        ("--deploy-timeout 16m", true),
        ("", false),
    ] {
        let config = config(&format!("-O a.b -s https://c {line} run"), &[]).unwrap();
        let is_told = |w: &String| w.contains("--unknown-hold");
        assert_eq!(config.warnings.iter().any(is_told), warned, "{line}");
    }
}

#[test]
fn rules_and_output_are_carried_over() {
    let c = config(
        "-O d.example -d --app a* --exclude-app ab --output json --max-deploys 0 \
        --unknown-hold never -s https://c",
        &[],
    )
    .unwrap();
    assert_eq!(c.scope().unwrap().to_string(), "d.example development");
    assert!(c.output.json && c.output.verbose == 2);
    assert!(c.rules.filter.wants("aa") && !c.rules.filter.wants("ab"));
    assert_eq!(
        (c.rules.max_deploys, c.deploy().unwrap().unknown_hold),
        (0, None)
    );
    let of_client = config("", &[("COREOS_DEPLOY_URL", "https://c/")]).unwrap();
    assert_eq!(of_client.deploy().unwrap().url, "https://c");
}
