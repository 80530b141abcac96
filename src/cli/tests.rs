use super::*;
use std::time::Duration;

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::parse_from_args(["cam"].iter().chain(line))
}

fn every_argument() -> Vec<Arg> {
    let command = Cli::command_line();
    command
        .get_subcommands()
        .chain([&command])
        .flat_map(clap::Command::get_arguments)
        .cloned()
        .collect()
}

/// The options that a person is told of.
fn options() -> impl Iterator<Item = Arg> {
    every_argument()
        .into_iter()
        .filter(|a| a.get_long().is_some() && !a.is_hide_set())
}

/// Secrets and their files: their variables are `config`'s to read.
fn is_secret(long: &str) -> bool {
    let long = long.strip_suffix("-file").unwrap_or(long);
    [
        "deploy-token",
        "art-password",
        "art-token",
        "art-api-key",
        "dsn",
        "hook-secret",
    ]
    .contains(&long)
}

#[test]
fn clap_finds_no_fault() {
    Cli::command_line().debug_assert();
    <Cli as CommandFactory>::command().debug_assert();
}

#[test]
fn everything_has_help() {
    for arg in every_argument() {
        assert!(arg.get_help().is_some(), "{}", arg.get_id());
    }
}

#[test]
fn every_option_of_all_commands_has_its_variable_and_no_other_has() {
    assert!(options().count() > 45);
    let command = Cli::command_line();
    let of_all: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
    for arg in options() {
        let long = arg.get_long().unwrap();
        if !of_all.contains(&long) || long == "settings" {
            // It belongs to one call, or replaces them.
            assert_eq!(arg.get_env(), None, "{long}");
        } else if is_secret(long) {
            assert_eq!(arg.get_env(), None, "{long}");
            let help = arg.get_help().unwrap().to_string();
            assert!(
                help.contains(&format!("[env: {}", variable(long))),
                "{help}"
            );
        } else {
            assert_eq!(arg.get_env().unwrap(), variable(long).as_str(), "{long}");
            assert!(arg.is_hide_env_values_set(), "{long}");
        }
    }
}

#[test]
fn the_spelling_with_underscores_is_an_alias() {
    for arg in options() {
        let long = arg.get_long().unwrap();
        if long.contains('-') {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            assert_eq!(aliases, [long.replace('-', "_")], "{long}");
        }
    }
}

#[test]
fn the_original_s_command_line_is_understood() {
    let cli = parse(&[
        "-N",
        "San Francisco",
        "-H",
        "0.0.0.0",
        "-O",
        "example.com",
        "-E",
        "development",
        "-s",
        "http://dev-coreos.example.com:80",
        "-k",
        "D3Pl0YT0Ken",
        "-a",
        "https://example.artifactoryonline.com/exampletest/api",
        "-u",
        "sysadm",
        "-w",
        "letmein",
        "-g",
        "600",
        "-t",
        "cluster-deploys-dev",
        "-y",
        "cluster-payloads",
        "-p",
        "8080",
        "-X",
        "2",
        "-L",
        "-1",
        "-d",
        "--dsn",
        "sqlite:/tmp/l",
    ])
    .unwrap();
    assert!(cli.command.is_none());
    assert_eq!(cli.global.scope.domain.as_deref(), Some("example.com"));
    assert_eq!(cli.global.server.art_polling, Duration::from_secs(600));
    assert_eq!(cli.global.server.profiler_port, Some(-1));
    assert!(cli.global.output.debug);
    assert_eq!(
        cli.global.artifactory.art_password.unwrap().expose(),
        "letmein"
    );

    let old = parse(&[
        "--deploy_url",
        "http://a",
        "--art_deploy_repo",
        "r",
        "--profiler_port",
        "0",
    ]);
    assert_eq!(
        old.unwrap().global.deploy.deploy_url.as_deref(),
        Some("http://a")
    );
}

#[test]
fn options_stand_on_either_side_of_the_command() {
    for line in [["--jobs", "3", "scan"], ["scan", "--jobs", "3"]] {
        assert_eq!(parse(&line).unwrap().global.artifactory.jobs, 3);
    }
    let cli = parse(&[
        "--app",
        "a,b",
        "--exclude-app",
        "x",
        "scan",
        "--app=c*",
        "--exclude_app",
        "y",
    ]);
    let rules = cli.unwrap().global.rules;
    assert_eq!(rules.app, ["a", "b", "c*"]);
    assert_eq!(rules.exclude_app, ["x", "y"]);
    assert_eq!(
        parse(&["scan", "--app", "c"]).unwrap().global.rules.app,
        ["c"]
    );
    assert_eq!(
        parse(&["--app", "c", "run"]).unwrap().global.rules.app,
        ["c"]
    );
}

#[test]
fn defaults_are_the_documented_ones() {
    let args = parse(&[]).unwrap().global;
    assert_eq!(args.scope.environment, "development");
    assert_eq!(args.server.hostname, "localhost");
    assert_eq!(args.server.port, 8080);
    assert_eq!(args.rules.max_deploys, 25);
    assert_eq!(args.rules.max_attempts, 5);
    assert_eq!(args.rules.retry_after, Duration::from_secs(300));
    assert_eq!(args.rules.payload_wait, Duration::from_secs(3600));
    assert_eq!(args.rules.max_duration, Duration::from_secs(3600));
    assert_eq!(args.ledger.lock_wait, Duration::ZERO);
    assert_eq!(args.deploy.deploy_timeout, Duration::from_secs(600));
    assert_eq!(args.deploy.unknown_hold.0, Some(Duration::from_secs(900)));
    assert_eq!(args.artifactory.connect_timeout, Duration::from_secs(5));
    assert_eq!(args.artifactory.jobs, 8);
    assert_eq!(args.output.output, OutputFormat::Human);
}

#[test]
fn commands_and_their_arguments() {
    let command = |line: &[&str]| parse(line).unwrap().command.unwrap();
    assert!(matches!(command(&["run"]), Command::Run { .. }));
    assert!(matches!(command(&["serve", "-p", "1"]), Command::Serve));
    assert!(matches!(command(&["token", "revoke", "7"]),
        Command::Token { action: TokenAction::Revoke { token } } if token == "7"));
    let id = "0A3C5B64-1D7C-4E0B-9F7E-2D1C0B9A8F7E";
    assert!(matches!(command(&["run", "--pass-id", id]),
        Command::Run { pass_id: Some(given), stop_at_eof: false } if given == id.to_lowercase()));
    assert!(matches!(
        command(&["dry-run", "--show-values"]),
        Command::DryRun {
            exit_code: false,
            show_values: true
        }
    ));
    assert!(
        matches!(command(&["deploy", "web", "1.0+b", "--force", "--app", "x"]),
        Command::Deploy { app, version, force: true, no_hold: false } if app == "web" && version == "1.0+b")
    );
    assert!(matches!(
        command(&["history"]),
        Command::History {
            app: None,
            limit: 20
        }
    ));
    assert!(matches!(command(&["hold", "web", "--for", "2d"]),
        Command::Hold { for_: Some(d), .. } if d == Duration::from_secs(172_800)));
    assert!(matches!(command(&["baseline", "a", "b=1.0"]),
        Command::Baseline { apps, .. } if apps == ["a", "b=1.0"]));
}

#[test]
fn wrong_command_lines_are_exit_2() {
    for line in [
        &["--nope"][..],
        &["nope"],
        &["deploy"],
        &["deploy", "a/b", "1"],
        &["deploy", "a", "1/2"],
        &["--app", "a/b"],
        &["--app", ""],
        &["--max-deploys", "x"],
        &["--retry-after", "5"],
        &["--retry-after", ""],
        &["--retry-after", "31d"],
        &["--max-duration", "0"],
        &["--max-attempts", "0"],
        &["--deploy-timeout", "10ms"],
        &["--unknown-hold", "366d"],
        &["--lease-ttl", "0s"],
        &["--lease-ttl", "1999ms"],
        &["--lease-ttl", "3601s"],
        &["--jobs", "0"],
        &["--jobs", "65"],
        &["-g", "1ms"],
        &["-g", "8d"],
        &["--unknown-hold", "soon"],
        &["baseline", "a="],
        &["-p", "70000"],
        &["--order", "date"],
        &["--max-deploys", "1", "--max-deploys", "2"],
        &["hold", "a", "--newer-than", "/"],
        &["token"],
        &["token", "add", ""],
        &["token", "add", "a\nb"],
        &["run", "--pass-id", "x"],
        &["--pass-id", "0a3c5b64-1d7c-4e0b-9f7e-2d1c0b9a8f7e"],
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        assert!(error.use_stderr());
    }
    for line in [
        &["-h"][..],
        &["--help"],
        &["-V"],
        &["scan", "--help"],
        &["help", "scan"],
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 0, "{line:?}");
        assert!(!error.use_stderr());
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_utf8_are_exit_2() {
    use std::os::unix::ffi::OsStringExt;
    let bad = OsString::from_vec(vec![0xff]);
    for option in ["--domain", "--dsn", "--app"] {
        let error = Cli::parse_from_args(["cam".into(), option.into(), bad.clone()]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{option}");
    }
}

#[test]
fn an_error_names_option_and_variable() {
    for (name, value) in [
        ("--max-deploys", "x"),
        ("--retry-after", "x"),
        ("--retry-after", "31d"),
        ("--jobs", "65"),
        ("--listing", "x"),
    ] {
        let text = parse(&["scan", name, value]).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
        assert!(text.contains(&variable(&name[2..])), "{text}");
    }
}

#[test]
fn an_error_names_no_variable_that_is_not_read() {
    for line in [
        ["history", "--limit", "x"],
        ["hold", "--for", "x"],
        ["hold", "--newer-than", "/"],
    ] {
        let text = parse(&line).unwrap_err().to_string();
        assert!(text.contains(line[1]) && !text.contains("CAM_"), "{text}");
    }
}

#[test]
fn help_fits_80_columns() {
    let mut command = Cli::command_line();
    command.build();
    let mut all = vec![command.clone()];
    all.extend(command.get_subcommands().cloned());
    for mut command in all {
        let text = command.render_long_help().to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
        }
    }
}

#[test]
fn durations() {
    assert_eq!(values::duration("0"), Ok(Duration::ZERO));
    assert_eq!(values::duration(" 1h30m"), Ok(Duration::from_secs(5400)));
    assert!(values::duration("-1s").is_err());
    assert!(values::duration("99999999999999999999y").is_err());
    assert_eq!(values::polling("300"), values::polling("5m"));
    assert_eq!(values::polling("0"), Ok(Duration::ZERO));
    assert_eq!(values::unknown_hold("never"), Ok(UnknownHold(None)));
}

#[test]
fn the_original_s_options_are_taken_as_go_takes_them() {
    let seconds = |line: &[&str]| {
        let cli = Cli::parse_from_args(["cam"].iter().chain(line)).unwrap();
        cli.global.server.art_polling.as_secs()
    };
    for line in [
        &["serve", "-g", "600", "-g", "300"][..],
        &["-g", "600", "serve", "--art-polling", "300"],
        &["serve", "-art_polling", "300"],
        &["serve", "-art_polling=600", "-art-polling=300"],
        &["-g", "600", "-g", "500", "serve", "-g", "400", "-g", "300"],
    ] {
        assert_eq!(seconds(line), 300, "{line:?}");
    }
    for (line, debug, domain) in [
        (&["-d=true"][..], true, None),
        (&["-d=false"], false, None),
        (&["-d", "-d=0"], false, None),
        (&["-d", "run"], true, None),
        (&["-debug", "-domain=x.org"], true, Some("x.org")),
        (&["-dq", "-O", "a", "-O", "b"], true, Some("b")),
        (
            &["-debug=true", "-domain", "a", "run", "-O", "b"],
            true,
            Some("b"),
        ),
    ] {
        let cli = Cli::parse_from_args(["cam"].iter().chain(line)).unwrap();
        assert_eq!(cli.global.output.debug, debug, "{line:?}");
        assert_eq!(cli.global.scope.domain.as_deref(), domain, "{line:?}");
    }
    // Our own options, and what is no name of the original's.
    for line in [
        &["--max-deploys", "1", "--max-deploys", "2"][..],
        &["-max_deploys", "1"],
        &["-art_pollin", "300"],
        &["run", "--", "-domain", "x"],
    ] {
        assert!(
            Cli::parse_from_args(["cam"].iter().chain(line)).is_err(),
            "{line:?}"
        );
    }
}
