//! What the integration tests share: the real binary between two simulators.
#![allow(dead_code, reason = "each test crate uses its own part of this")]

mod ledger;

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use simulator::{Artifactory, Auth, CoreosDeploy, Payload, Rows};
use tempfile::TempDir;

pub use ledger::Ledger;

/// The only user that the Artifactory of a [`Rig`] knows.
pub const USER: &str = "sysadm";
/// The password of [`USER`].
pub const PASSWORD: &str = "letmein";
/// The token that coreos-deploy takes.
pub const TOKEN: &str = "D3Pl0YT0Ken";

/// An Artifactory, a coreos-deploy and an empty ledger.
pub struct Rig {
    /// Where releases are published.
    pub artifactory: Artifactory,
    /// What they are deployed to.
    pub deploy: CoreosDeploy,
    /// The ledger, past the program.
    pub ledger: Ledger,
    dir: TempDir,
}

/// What one run of the program came to.
#[derive(Debug)]
pub struct Ran {
    /// The exit code, where it was no signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Rig {
    /// Starts both servers, with a ledger of the kind that `CAM_TEST_LEDGER` names: `sqlite` (the
    /// default) or `mariadb`.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::with(Ledger::new(dir.path().join("ledger.db")), dir)
    }

    /// [`Rig::new`] for what is about a ledger in a file, and that file.
    pub fn on_sqlite() -> (Self, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("ledger.db");
        (Self::with(Ledger::Sqlite(file.clone()), dir), file)
    }

    /// [`Rig::new`] for what is about this ledger.
    pub fn on(ledger: Ledger) -> Self {
        Self::with(ledger, tempfile::tempdir().expect("a temporary directory"))
    }

    fn with(ledger: Ledger, dir: TempDir) -> Self {
        let artifactory = Artifactory::start();
        artifactory.require(Auth::Basic(USER.to_owned(), PASSWORD.to_owned()));
        Self {
            artifactory,
            deploy: CoreosDeploy::start(),
            ledger,
            dir,
        }
    }

    /// The directory that is the program's home and holds its ledger, where that is a file.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs one SQL statement on the ledger, past the program.
    pub fn sql(&self, statement: &str) -> Rows {
        let rows = self.ledger.sql(statement);
        rows.unwrap_or_else(|error| panic!("{error}: {statement}"))
    }

    /// Whether the program has made neither a file nor a table.
    pub fn is_untouched(&self) -> bool {
        let mut files = self.path().read_dir().expect("it can be read");
        files.next().is_none() && self.ledger.tables().is_empty()
    }

    /// Publishes a usual release.
    pub fn publish(&self, app: &str, version: &str) {
        self.artifactory
            .publish(app, version, Payload::sample(app, version).build());
    }

    /// The program with the options of this rig before `arguments`, and an environment that holds
    /// nothing but `PATH`, `HOME` and the credentials.
    pub fn std_command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command =
            std::process::Command::new(env!("CARGO_BIN_EXE_coreos-artifactory-monitor"));
        let api = format!("{}/api", self.artifactory.url());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("CAM_ART_USERID", USER)
            .env("CAM_ART_PASSWORD", PASSWORD)
            .env("COREOS_DEPLOY_TOKEN", TOKEN)
            .args(["-O", "example.com", "-E", "development", "-a", &api])
            .args(["-t", "deploys", "-y", "payloads"])
            .args(["-s", &self.deploy.url()])
            .stdin(Stdio::null());
        self.ledger.give(&mut command);
        command.args(arguments);
        command
    }

    /// [`Rig::std_command`] for `assert_cmd`; a run of over two minutes is killed.
    pub fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.std_command(arguments));
        command.timeout(Duration::from_secs(120));
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(
            &self
                .command(arguments)
                .output()
                .expect("the program starts"),
        )
    }

    /// Runs the program with `--output json` and checks its exit code.
    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let ran = self.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
        ran.json()
    }

    /// Starts the program with its output piped.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.std_command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// The attempts in the ledger, newest first: objects with `attempt`, `app`, `version`, `state`,
    /// `deployID`, `message` and more.
    pub fn attempts(&self) -> Vec<Value> {
        let document = self.json(&["history", "--limit", "1000"], 0);
        document["attempts"]
            .as_array()
            .expect("attempts is an array")
            .clone()
    }

    /// The attempts in the ledger as `app version state`, oldest first.
    pub fn states(&self) -> Vec<String> {
        let word = |attempt: &Value, key: &str| attempt[key].as_str().unwrap_or("-").to_owned();
        let line = |a: &Value| {
            ["app", "version", "state"]
                .map(|key| word(a, key))
                .join(" ")
        };
        self.attempts().iter().rev().map(line).collect()
    }

    /// The versions of the POSTs so far.
    pub fn posted(&self) -> Vec<String> {
        let posts = self.deploy.posts();
        let version = |post: &Value| post["version"].as_str().unwrap_or("-").to_owned();
        posts.iter().map(version).collect()
    }

    /// How many payloads were downloaded so far.
    pub fn downloads(&self) -> usize {
        let requests = self.artifactory.requests();
        let is_download = |path: &str| path.ends_with(".tar.gz") && !path.contains("/api/");
        requests.iter().filter(|r| is_download(&r.path)).count()
    }

    /// Forgets the requests to both servers so far.
    pub fn forget(&self) {
        self.artifactory.reset_requests();
        self.deploy.reset_requests();
    }
}

impl Ran {
    /// What a finished process came to.
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits for a process that [`Rig::spawn`] started.
    pub fn wait(child: Child) -> Self {
        Self::of(&child.wait_with_output().expect("the program ends"))
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:#?}"))
    }
}

/// One app of a report.
pub fn app<'a>(report: &'a Value, name: &str) -> &'a Value {
    let apps = report["apps"].as_array().expect("apps is an array");
    let found = apps.iter().find(|app| app["app"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// Sends a signal.
pub fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    kill_process(pid, signal).expect("it is there");
}

/// Waits until something is so, for at most 90 s: only what never comes is a fault.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
