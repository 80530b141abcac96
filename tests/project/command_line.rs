//! The command line and its environment, on the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Stdio};

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

/// The error of a command that writes, in this folder: exit 2, and the folder is as it was.
fn refused_in(folder: &Path, command: &mut Command) -> String {
    let names = || -> Vec<_> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = names();
    let output = command
        .current_dir(folder)
        .args(["release", "video", "-O", "example.com"])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(
        stderr.contains("caused by: ") && stderr.contains("hint: "),
        "{stderr}"
    );
    assert_eq!(names(), before, "{stderr}");
    stderr
}

#[test]
fn a_mistyped_dsn_is_no_other_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    let file = file.to_str().unwrap();
    for (dsn, part) in [
        (format!("\"sqlite:{file}\""), "quotation mark"),
        (format!("'{file}'"), "quotation mark"),
        (format!("sqlite:'{file}'"), "quotation mark"),
        (format!(" sqlite:{file}"), "blank"),
        (format!("{file} "), "blank"),
        (format!("SQLite3:{file}"), "scheme"),
        (format!("POSTGRES:{file}"), "scheme"),
        (format!("file:{file}"), "scheme"),
        (format!("sqlite:sqlite:{file}"), "scheme"),
        (format!("sqlite:{file}?mode=ro"), "parameters"),
        (format!("{file}?_journal=WAL"), "parameters"),
        ("~/l.db".to_owned(), "shell"),
        ("sqlite:~/l.db".to_owned(), "shell"),
        ("$HOME/l.db".to_owned(), "shell"),
        ("'mysql://u:canary@h/d'".to_owned(), "quotation mark"),
        ("Postgres://u:canary@h/d".to_owned(), "scheme"),
    ] {
        let secret = tempfile::tempdir().unwrap();
        let path = secret.path().join("dsn");
        fs::write(&path, &dsn).unwrap();
        let folder = folder.path();
        for stderr in [
            refused_in(folder, program().args(["--dsn", &dsn])),
            refused_in(folder, program().env("CAM_DSN", &dsn)),
            refused_in(folder, program().arg("--dsn-file").arg(&path)),
            refused_in(folder, program().env("CAM_DSN_FILE", &path)),
            refused_in(
                folder,
                program().env("CREDENTIALS_DIRECTORY", secret.path()),
            ),
        ] {
            assert!(stderr.contains(part), "{dsn}: {stderr}");
            assert!(!stderr.contains("canary"), "{stderr}");
        }
    }
}

#[test]
fn a_relative_ledger_is_one_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for dsn in ["l.db", "./l.db", "sqlite:l.db"] {
        let secret = tempfile::tempdir().unwrap();
        let path = secret.path().join("dsn");
        fs::write(&path, format!("{dsn}\n")).unwrap();
        let folder = folder.path();
        for stderr in [
            refused_in(folder, program().env("CAM_DSN", dsn)),
            refused_in(folder, program().arg("--dsn-file").arg(&path)),
            refused_in(
                folder,
                program().env("CREDENTIALS_DIRECTORY", secret.path()),
            ),
        ] {
            assert!(stderr.contains("relative path"), "{dsn}: {stderr}");
        }
    }
    for dsn in ["a.db", "./b.db", "SQLite:c.db", "sqlite:./d.db"] {
        let output = program()
            .current_dir(folder.path())
            .args(["token", "add", "ci", "--dsn", dsn])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{dsn}: {output:?}");
        let name = dsn.rsplit([':', '/']).next().unwrap();
        let file = folder.path().join(name);
        let said = format!("created the ledger {}", file.display());
        assert!(text(&output.stderr).contains(&said), "{dsn}: {output:?}");
        assert!(file.is_file(), "{dsn}");
    }
}

/// A command that reads Artifactory, at work; one that hangs is killed.
fn scan(file: impl FnOnce(&mut std::process::Command) -> &mut std::process::Command) -> Child {
    let mut command = std::process::Command::new("timeout");
    command
        .args(["60", env!("CARGO_BIN_EXE_coreos-artifactory-monitor")])
        .env_clear()
        .env("HOME", "/nonexistent")
        .args(["scan", "-O", "example.com", "-a", "http://127.0.0.1:1/api"])
        .args(["-t", "deploys", "-y", "payloads"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    file(&mut command).spawn().unwrap()
}

#[test]
fn a_file_that_has_no_end_is_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("art-token");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let huge = folder.path().join("huge");
    File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let (fifo, huge) = (fifo.as_path(), huge.as_path());
    let zero = Path::new("/dev/zero");
    let directory = folder.path();
    let mut running = Vec::new();
    for (path, secret, certificates) in [
        (fifo, "its end was not reached", "not a regular file"),
        (zero, "larger than 64 KiB", "not a regular file"),
        (huge, "larger than 64 KiB", "larger than 8192 KiB"),
        (directory, "directory", "directory"),
    ] {
        // All at once: a FIFO has ten seconds to bring its writer.
        for (option, why) in [
            ("--art-token-file", secret),
            ("--dsn-file", secret),
            ("--ca-file", certificates),
        ] {
            let child = scan(|command| command.arg(option).arg(path));
            running.push((option, path, why, child));
        }
        if path != directory {
            let child = scan(|command| command.env("SSL_CERT_FILE", path));
            running.push(("SSL_CERT_FILE", path, certificates, child));
        }
        let child = scan(|command| command.env("CAM_ART_PASSWORD_FILE", path));
        running.push(("CAM_ART_PASSWORD_FILE", path, secret, child));
        let child = scan(|command| {
            command
                .args(["--dsn", "mysql://u@127.0.0.1:1/d", "--dsn-ca-file"])
                .arg(path)
        });
        running.push(("--dsn-ca-file", path, certificates, child));
    }
    let child = scan(|command| command.env("CREDENTIALS_DIRECTORY", directory));
    let why = "its end was not reached";
    running.push(("CREDENTIALS_DIRECTORY", fifo, why, child));
    for (place, path, why, child) in running {
        let output = child.wait_with_output().unwrap();
        let stderr = text(&output.stderr);
        let what = format!("{place} {}: {stderr}", path.display());
        assert_eq!(output.status.code(), Some(2), "{what}");
        assert!(stderr.contains(place) && stderr.contains(why), "{what}");
        assert!(stderr.contains(path.to_str().unwrap()), "{what}");
    }
}

#[test]
fn what_a_shell_puts_in_place_of_a_command_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    let script = format!(
        "\"$0\" migrate --dsn-file <(echo sqlite:{})",
        file.display()
    );
    let output = std::process::Command::new("bash")
        .args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_coreos-artifactory-monitor"),
        ])
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(file.is_file());
}
