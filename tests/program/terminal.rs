//! What people and scripts see: help, errors, colour, hostile names, and one JSON document a run.

use serde_json::Value;
use simulator::{Auth, Behaviour, Fault};

use crate::replaced;
use crate::support::{Ran, Rig};

const ESC: char = '\u{1b}';
/// Names that would move a cursor, forge a line, or turn the text around.
const HOSTILE: [&str; 6] = [
    "esc\u{1b}[2J\u{1b}]0;owned\u{7}",
    "bidi\u{202e}gnp.exe",
    "line\nerror: forged",
    "return\rforged",
    "c1\u{9b}31mred",
    "hidden\u{200b}\u{feff}\u{7f}",
];
const COMMANDS: [&str; 16] = [
    "run",
    "scan",
    "dry-run",
    "deploy",
    "status",
    "history",
    "hold",
    "release",
    "rollback",
    "baseline",
    "migrate",
    "serve",
    "health",
    "token",
    "completions",
    "man",
];

/// Whether a character must not reach a terminal; lines end with a newline.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn safe(what: &str, ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let found = text.chars().find(|c| is_unsafe(*c));
        assert_eq!(found, None, "{what}: {ran:#?}");
        let forged = |l: &str| l.starts_with("error: forged") || l.starts_with("forged");
        assert!(!text.lines().any(forged), "{what}: {ran:#?}");
    }
}

#[test]
fn help_fits_eighty_columns() {
    let rig = Rig::new();
    let mut lines: Vec<Vec<&str>> = vec![vec!["--help"], vec!["-h"], vec!["help"]];
    for command in COMMANDS {
        lines.extend([
            vec![command, "--help"],
            vec![command, "-h"],
            vec!["help", command],
        ]);
    }
    for line in lines {
        let ran = rig.run(&line);
        assert_eq!(ran.code, Some(0), "{line:?}");
        assert_eq!(ran.stderr, "", "{line:?}");
        assert!(ran.stdout.contains("Usage:"), "{line:?}");
        for text in ran.stdout.lines() {
            assert!(text.chars().count() <= 80, "{line:?}: {text}");
        }
        safe(&format!("{line:?}"), &ran);
    }
}

#[test]
fn every_command_is_in_the_help_and_every_option_under_a_heading() {
    let rig = Rig::new();
    let help = rig.run(&["--help"]).stdout;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    for heading in [
        "Scope:",
        "Artifactory:",
        "coreos-deploy:",
        "Ledger:",
        "Rules:",
        "Output:",
    ] {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading}");
    }
    let version = rig.run(&["--version"]);
    assert_eq!(version.code, Some(0));
    let expected = concat!(
        "coreos-artifactory-monitor ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    );
    assert_eq!(version.stdout, expected);
}

/// A rig of which one pass says something of every kind: deployed, failed, refused payload.
fn eventful() -> Rig {
    let rig = Rig::new();
    rig.publish("good", "1.0");
    rig.publish("late", "1.0");
    rig.artifactory.put_marker("waits", "1.0");
    rig.artifactory
        .publish("broken", "1.0", b"no archive".to_vec());
    rig.deploy
        .next_deploy(Behaviour::Fail("fleet said no".to_owned()));
    rig
}

#[test]
fn a_pipe_gets_no_escape_sequence_unless_asked_for() {
    for term in ["xterm-256color", "dumb", ""] {
        for no_color in [None, Some("1")] {
            for when in [None, Some("auto"), Some("never")] {
                let rig = eventful();
                let option: Vec<&str> = when.into_iter().flat_map(|w| ["--color", w]).collect();
                for arguments in [
                    &["scan", "-v"][..],
                    &["-v"],
                    &["status"],
                    &["history"],
                    &["--jobs=0"],
                ] {
                    let mut command = rig.std_command(&[&option, arguments].concat());
                    command.env("TERM", term);
                    no_color.map(|value| command.env("NO_COLOR", value));
                    let ran = Ran::of(&command.output().unwrap());
                    assert!(!ran.stdout.contains(ESC), "{term} {arguments:?} {ran:#?}");
                    assert!(!ran.stderr.contains(ESC), "{term} {arguments:?} {ran:#?}");
                }
            }
        }
    }
}

#[test]
fn colour_comes_where_it_is_always_wanted_but_never_into_json() {
    let rig = eventful();
    let mut command = rig.std_command(&["--color", "always"]);
    let ran = Ran::of(&command.env("TERM", "xterm").output().unwrap());
    assert!(ran.stdout.contains(ESC), "{ran:#?}");
    let ran = rig.run(&["--color", "always", "deploy", "good", "3"]);
    assert!(ran.stderr.contains(ESC), "{ran:#?}");
    for command in [&["scan"][..], &[], &["status"], &["history"]] {
        let ran = rig.run(&[command, &["--color", "always", "--output", "json"]].concat());
        assert!(!ran.stdout.contains(ESC), "{ran:#?}");
        ran.json();
    }
}

#[test]
fn every_error_goes_to_stderr_and_says_so_first() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    // That a ledger was made goes before an error, so one is there already.
    rig.run(&["migrate"]);
    let check = |what: &str, ran: &Ran, code: i32| {
        assert_eq!(ran.code, Some(code), "{what}: {ran:#?}");
        assert!(ran.stderr.starts_with("error: "), "{what}: {ran:#?}");
        if !what.contains("deploy") {
            assert_eq!(ran.stdout, "", "{what}: {ran:#?}");
        }
        for line in ran.stderr.lines().skip(1) {
            let known = ["  ", "Usage: ", "For more information"];
            let good = line.is_empty() || known.iter().any(|k| line.starts_with(k));
            assert!(good, "{what}: {line}");
        }
        safe(what, ran);
    };
    let bad = [
        &["--jobs", "0"][..],
        &["--no-such-option"],
        &["--output", "xml"],
        &["nonsense"],
        &["--app", "mistyped"],
        &["--art-token", "second"],
        &["--ca-file", "/nonexistent"],
    ];
    for arguments in bad {
        check(&format!("{arguments:?}"), &rig.run(arguments), 2);
        let quiet = rig.run(&[arguments, &["-q"]].concat());
        check(&format!("{arguments:?} -q"), &quiet, 2);
    }
    let readers = [
        &["run"][..],
        &["scan"],
        &["dry-run"],
        &["deploy", "video", "1.0"],
        &["baseline"],
    ];
    rig.artifactory.require(Auth::Bearer("other".to_owned()));
    for command in readers {
        check(&format!("401 {command:?}"), &rig.run(command), 77);
    }
    rig.artifactory.stop_listening();
    for command in readers {
        check(&format!("down {command:?}"), &rig.run(command), 69);
    }
}

#[test]
fn hostile_names_and_messages_never_come_out_raw() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    for name in HOSTILE {
        rig.artifactory.put_marker(name, "1.0");
        rig.artifactory.put_marker("video", name);
        rig.deploy.next_deploy(Behaviour::Fail(name.to_owned()));
    }
    let commands = [
        &["scan"][..],
        &["scan", "-v"],
        &["scan", "--app", "video", "-v"],
        &["dry-run", "-v"],
        &["-vv", "--retry-after", "0"],
        &["status"],
        &["history", "-v"],
    ];
    for listing in ["aql", "folders"] {
        for command in commands {
            for format in ["human", "json"] {
                let options = ["--listing", listing, "--output", format];
                let ran = rig.run(&[command, &options].concat());
                safe(&format!("{command:?} {options:?}"), &ran);
                assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
            }
        }
    }
    assert!(!rig.posted().is_empty());
    assert!(rig.states().iter().all(|s| s.starts_with("video 1.0 ")));
    assert!(rig.run(&["scan", "-v"]).stdout.contains("bidi"));
}

#[test]
fn hostile_error_bodies_never_come_out_raw() {
    for (n, text) in HOSTILE.into_iter().enumerate() {
        let body = match n % 2 {
            0 => serde_json::json!({"errors": [{"status": 400, "message": text}]}).to_string(),
            _ => text.to_owned(),
        };
        let fault = |status| Fault::StatusWith(status, vec![], body.clone());
        for part in ["/api/", "/api/storage/deploys/video", "/payloads/"] {
            let rig = Rig::new();
            rig.publish("video", "1.0");
            rig.artifactory.fault(part, fault(400), None);
            for format in ["human", "json"] {
                let ran = rig.run(&["-vv", "--listing", "folders", "--output", format]);
                safe(&format!("{part} {text:?} {format}"), &ran);
                assert!(matches!(ran.code, Some(1 | 69)), "{ran:#?}");
            }
        }
        for (part, status) in [
            ("/v1.0/info", 500),
            ("/v1.0/deploy", 400),
            ("/v1.0/info", 401),
        ] {
            let rig = Rig::new();
            rig.publish("video", "1.0");
            rig.deploy.fault(part, fault(status), None);
            for format in ["human", "json"] {
                let ran = rig.run(&["-vv", "--retry-after", "0", "--output", format]);
                safe(&format!("{part} {text:?} {format}"), &ran);
                assert!(matches!(ran.code, Some(1 | 69 | 77)), "{ran:#?}");
            }
            safe("status", &rig.run(&["status"]));
            safe("history", &rig.run(&["history", "-v", "--output", "json"]));
        }
    }
}

#[test]
fn hostile_arguments_never_come_out_raw() {
    let rig = Rig::new();
    for name in HOSTILE {
        for long in [
            "art-deploy-repo",
            "art-payload-repo",
            "domain",
            "environment",
            "ca-file",
            "art-endpoint",
            "deploy-url",
            "art-password-file",
            "deploy-token-file",
        ] {
            let mut command = replaced::command(&rig, long, name, &[]);
            let secret = long.strip_suffix("-file").filter(|s| *s != "ca");
            if secret.is_some() {
                command.env_remove("CAM_ART_PASSWORD");
                command.env_remove("COREOS_DEPLOY_TOKEN");
            }
            let ran = Ran::of(&command.output().unwrap());
            assert_eq!(ran.code, Some(2), "{long}: {ran:#?}");
            safe(long, &ran);
        }
    }
}

#[test]
fn quiet_prints_errors_and_nothing_else() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    // That a ledger was made is said all the same, so one is there already.
    rig.run(&["migrate"]);
    let ran = rig.run(&["-q"]);
    assert_eq!((ran.code, &*ran.stderr, &*ran.stdout), (Some(0), "", ""));
    let ran = rig.run(&["-q", "--app", "mistyped"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
    rig.publish("video", "1.1");
    rig.deploy.next_deploy(Behaviour::Fail("no".to_owned()));
    let ran = rig.run(&["-q"]);
    assert_eq!(ran.code, Some(1));
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("video"));
}

#[test]
fn json_is_one_valid_document_whatever_the_outcome() {
    let check = |what: &str, rig: &Rig, arguments: &[&str], code: i32| -> Value {
        let ran = rig.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!(ran.code, Some(code), "{what}: {ran:#?}");
        let document = ran.json();
        assert!(document.is_object(), "{what}");
        document
    };
    let report = |what: &str, rig: &Rig, arguments: &[&str], code: i32| {
        let document = check(what, rig, arguments, code);
        assert_eq!(document["exitCode"], code, "{what}: {document:#}");
        for key in [
            "pass",
            "command",
            "domain",
            "startedAt",
            "finishedAt",
            "summary",
        ] {
            assert!(!document[key].is_null(), "{what}: no {key} in {document:#}");
        }
        assert!(document["apps"].is_array(), "{what}");
        let stopped = !matches!(code, 0 | 1 | 3);
        let says_why = document["error"].is_string();
        assert!(says_why == stopped || code == 1, "{what}: {document:#}");
    };
    let rig = eventful();
    report("scan", &rig, &["scan"], 0);
    report("pending", &rig, &["scan", "--exit-code"], 3);
    report("dry-run", &rig, &["dry-run"], 1);
    report("guard", &rig, &["--max-deploys", "1"], 5);
    report("mixed", &rig, &[], 1);
    report("again", &rig, &["--retry-after", "0"], 1);
    report("deployed already", &rig, &["deploy", "late", "1.0"], 0);
    report("no payload", &rig, &["deploy", "late", "7"], 1);
    report("mistyped", &rig, &["--app", "mistyped"], 2);
    report("mistyped scan", &rig, &["scan", "--app", "mistyped"], 2);
    check("status", &rig, &["status"], 0);
    check("history", &rig, &["history"], 0);
    check("hold", &rig, &["hold", "late"], 0);
    check("release", &rig, &["release", "late"], 0);
    rig.deploy.stop_listening();
    rig.publish("good", "2.0");
    report("coreos-deploy down", &rig, &[], 69);
    rig.artifactory.stop_listening();
    for command in [
        &["run"][..],
        &["scan"],
        &["dry-run"],
        &["deploy", "good", "2.0"],
    ] {
        report("Artifactory down", &rig, command, 69);
    }
    std::fs::write(rig.path().join("text"), "no database".repeat(100)).unwrap();
    let dsn = rig.path().join("text").display().to_string();
    for command in ["run", "scan", "dry-run", "status", "history"] {
        let ran = replaced::run(&rig, "dsn", &dsn, &[command, "--output", "json"]);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        assert_eq!(ran.json()["exitCode"], 2, "{ran:#?}");
    }
}

#[test]
fn a_pass_that_finds_nothing_to_do_is_silent() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    rig.json(&[], 0);
    for arguments in [&[][..], &["run"], &["-q"]] {
        let ran = rig.run(arguments);
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    }
    assert!(rig.run(&["-v"]).stdout.contains("video"));
}

/// A rig of which every pass exits with 1: an app whose only release failed.
fn failing() -> Rig {
    let rig = Rig::new();
    rig.publish("web", "1.2.0");
    rig.deploy
        .next_deploy(Behaviour::Fail("No machine.".to_owned()));
    assert_eq!(rig.run(&[]).code, Some(1));
    rig
}

#[test]
fn a_failed_app_in_its_pause_is_told_at_every_pass() {
    let rig = failing();

    for arguments in [&[][..], &["run"], &["dry-run"], &["dry-run", "--exit-code"]] {
        for _ in 0..2 {
            let ran = rig.run(arguments);
            assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:#?}");
            let told = "attempt 1 of 5 failed: No machine. (log: stub: start failed); next try in ";
            let lines: Vec<&str> = ran.stdout.lines().filter(|l| l.contains(told)).collect();
            assert_eq!(lines.len(), 1, "{arguments:?}: {ran:#?}");
            assert!(lines[0].starts_with("web"), "{ran:#?}");
        }
    }
    let scan = rig.run(&["scan", "--exit-code"]);
    assert_eq!(scan.code, Some(1), "{scan:#?}");
    assert!(scan.stdout.contains("attempt 1 of 5 failed: No machine"));
}

#[test]
fn an_app_that_is_given_up_is_told_at_every_pass() {
    let rig = failing();
    for arguments in [&[][..], &["dry-run"]] {
        for _ in 0..2 {
            let ran = rig.run(&[arguments, &["--max-attempts", "1"]].concat());
            assert_eq!(ran.code, Some(1), "{ran:#?}");
            let told =
                "attempt 1 of 1 failed: No machine. (log: stub: start failed); no more are made";
            assert!(ran.stdout.contains(told), "{ran:#?}");
        }
    }
}

#[test]
fn who_wants_it_quiet_is_told_of_a_failure_once() {
    let rig = failing();
    for _ in 0..2 {
        let ran = rig.run(&["-q"]);
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(1), "", ""));
    }
    let given_up = ["-q", "--max-attempts", "1"];
    let ran = rig.run(&given_up);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stdout.contains("no more are made"), "{ran:#?}");
    let ran = rig.run(&given_up);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(1), "", ""));
    // A bad payload, which is looked at again at every pass, too.
    rig.artifactory
        .publish("web", "1.3.0", b"no archive".to_vec());
    let ran = rig.run(&["-q"]);
    assert!(ran.stdout.contains("web"), "{ran:#?}");
    let ran = rig.run(&["-q"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(1), "", ""));
    // What is asked for is answered.
    let ran = rig.run(&["-q", "deploy", "web", "1.3.0"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(!ran.stderr.is_empty(), "{ran:#?}");
}

#[test]
fn no_exit_code_but_0_is_without_a_word() {
    let rig = failing();
    for app in ["good", "bad", "closed"] {
        rig.publish(app, "1.0");
    }
    let forbidden = Fault::Status(403);
    rig.artifactory
        .fault("/api/storage/deploys/closed", forbidden, None);
    rig.artifactory
        .publish("bad", "2.0", b"no archive".to_vec());
    let options = ["--listing", "folders", "--retry-after", "1h"];
    let check = |arguments: &[&str]| {
        let ran = rig.run(&[&options, arguments].concat());
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_ne!(ran.code, Some(0), "{arguments:?}: {ran:#?}");
        assert!(!said.trim().is_empty(), "{arguments:?}: {ran:#?}");
        said
    };
    for arguments in [
        &["scan"][..],
        &["scan", "--exit-code"],
        &["dry-run"],
        &["dry-run", "--exit-code"],
        &["--max-deploys", "1"],
        &["--max-duration", "1ms"],
        &["status", "nowhere"],
        &["history", "nowhere"],
        &["release", "nowhere"],
        &["hold", "nowhere"],
        &["baseline", "nowhere"],
        &["rollback", "web"],
        &["deploy", "web", "9"],
        &["token", "revoke", "9"],
        &["health", "--port", "1"],
    ] {
        check(arguments);
    }
    for _ in 0..2 {
        let said = check(&["run"]);
        for app in ["bad", "closed", "web"] {
            let told = |line: &str| line.starts_with(app);
            assert!(said.lines().any(told), "{app} in {said}");
        }
    }
    let lost = Fault::LoseReplyNotRun;
    rig.deploy.fault("/v1.0/deploy", lost, Some(1));
    rig.publish("good", "2.0");
    let said = check(&["run", "--unknown-hold", "1h"]);
    assert!(said.contains("good"), "{said}");
    check(&["run", "--unknown-hold", "1h"]);
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let rig = Rig::new();
    for command in [&["status"][..], &["status", "--output", "json"], &["man"]] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut run = rig.std_command(command);
        let ran = Ran::of(&run.stdout(full).output().unwrap());
        assert_eq!(ran.code, Some(69), "{ran:#?}");
        assert!(
            ran.stderr.contains("the result cannot be written"),
            "{ran:#?}"
        );
    }
}

/// What the journal takes has a priority on each line; a file that merely is stderr has none.
#[test]
fn the_journal_is_told_priorities() {
    let rig = Rig::new();
    let file = rig.path().join("stderr");
    for is_journal in [true, false] {
        let stderr = std::fs::File::create(&file).unwrap();
        let stat = rustix::fs::fstat(&stderr).unwrap();
        let inode = stat.st_ino + u64::from(!is_journal);
        let mut command = rig.std_command(&["run", "--retry-after", "soon"]);
        command.env("JOURNAL_STREAM", format!("{}:{inode}", stat.st_dev));
        assert_eq!(command.stderr(stderr).status().unwrap().code(), Some(2));
        let told = std::fs::read_to_string(&file).unwrap();
        assert!(told.contains("soon"), "{told}");
        let prefix = if is_journal { "<3>" } else { "" };
        let is_told = |line: &str| line.starts_with(prefix) && line.starts_with('<') == is_journal;
        assert!(told.lines().all(is_told), "{told}");
    }
}

/// A step of GitHub Actions has summary, outputs and annotations, and no text of a peer forges any.
#[test]
fn a_step_of_github_actions_is_told() {
    let rig = Rig::new();
    rig.publish("good", "1.0.0");
    rig.publish("bad", "1.0.0");
    let forged = "no <b>machine</b>, 100% | ##[error]x".to_owned();
    rig.deploy.next_deploy(Behaviour::Fail(forged));
    let file = |name: &str| rig.path().join(name);
    let step = |arguments: &[&str]| {
        let mut command = rig.std_command(arguments);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", file("summary"))
            .env("GITHUB_OUTPUT", file("outputs"));
        Ran::of(&command.output().unwrap())
    };
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let ran = step(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let outputs = "exit-code=1\ndue=2\ndeployed=1\nfailed=1\nunknown=0\n";
    assert_eq!(read("outputs"), outputs);
    let summary = read("summary");
    assert!(
        summary.starts_with("### run: development of example"),
        "{summary}"
    );
    assert!(
        summary.contains("| bad | - | 1.0.0 | new | failed | no \\<b\\>"),
        "{summary}"
    );
    let annotation = "\n::error title=bad 1.0.0::no <b>machine</b>, 100%25 | # #[error]x";
    assert!(ran.stderr.contains(annotation), "{ran:#?}");
    assert!(!ran.stdout.contains("##["), "{ran:#?}");
    // A document is what it is elsewhere, and the runner finds nothing in it.
    let ran = step(&["history", "--output", "json"]);
    assert!(!ran.stdout.contains("##["), "{ran:#?}");
    assert!(ran.json().to_string().contains("##[error]x"));
    let ran = step(&["run", "--art-endpoint", "x"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("\n::error::"), "{ran:#?}");
    assert!(read("outputs").ends_with("exit-code=2\ndue=0\ndeployed=0\nfailed=0\nunknown=0\n"));
}
