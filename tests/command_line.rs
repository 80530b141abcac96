//! The command line and its environment, on the real binary.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use assert_cmd::Command;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coreos-artifactory-monitor"));
    command.env_clear().env("HOME", "/nonexistent");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_shows_no_value_of_the_environment() {
    let variables: Vec<String> = text(&program().arg("--help").output().unwrap().stdout)
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .filter(|word| word.starts_with("CAM_") || word.starts_with("COREOS_DEPLOY_"))
        .map(str::to_string)
        .collect();
    assert!(variables.iter().any(|v| v == "CAM_ART_PASSWORD"));
    for line in [
        &["--help"][..],
        &["-h"],
        &["scan", "--help"],
        &["help", "deploy"],
    ] {
        let mut command = program();
        for variable in &variables {
            command.env(variable, "canary");
        }
        let output = command.args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line:?}");
        assert!(output.stderr.is_empty());
        assert!(!text(&output.stdout).contains("canary"), "{line:?}");
    }
}

#[test]
fn variables_are_read_and_checked() {
    let refused = |name: &str, value: &OsStr| {
        let output = program().env(name, value).arg("run").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    assert!(refused("CAM_DEBUG", OsStr::new("perhaps")).contains("CAM_DEBUG"));
    assert!(refused("CAM_JOBS", OsStr::new("0")).contains("CAM_JOBS"));
    assert!(refused("CAM_DSN", OsStr::new("u:canary@h/d")).contains("CAM_DSN"));
    assert!(refused("CAM_DEPLOY_TOKEN", OsStr::from_bytes(b"\xff")).contains("CAM_DEPLOY_TOKEN"));
    refused("CAM_DOMAIN", OsStr::from_bytes(b"\xff"));
    for yes in ["true", "false", "1", "0", "yes", "no"] {
        let mut command = program();
        command.env("CAM_DEBUG", yes).env("CAM_JOBS", "0");
        let output = command.output().unwrap();
        assert!(text(&output.stderr).contains("--jobs"), "{yes}");
    }
}
