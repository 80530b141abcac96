//! Secrets are canaries: looked for in everything that the program prints, writes and sends to
//! others, whichever way they were given and whatever goes wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use simulator::{Artifactory, Auth, Behaviour, Cdn, Fault, MariaDb, Payload};
use tempfile::TempDir;

mod echoes;
mod foreign;

use crate::replaced;
use crate::support::{Ledger, Rig};

const USER: &str = "sysadm";
const ART: &str = "c4nary+Art/p=ss&word~1";
const DEPLOY: &str = "c4nary+Deploy/t=ken&~2";
const ETCD: &str = "c4nary-etcd-value-3";
/// Part of the data source name of a ledger in `MariaDB`.
const LEDGER: &str = MariaDb::PASSWORD;

/// The ways to authenticate to Artifactory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Password,
    Token,
    ApiKey,
}

/// The ways to give a secret.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Argument,
    File,
    Variable,
    VariableFile,
    Credentials,
}

const KINDS: [Kind; 3] = [Kind::Password, Kind::Token, Kind::ApiKey];
const SOURCES: [Source; 5] = [
    Source::Argument,
    Source::File,
    Source::Variable,
    Source::VariableFile,
    Source::Credentials,
];

impl Kind {
    fn long(self) -> &'static str {
        match self {
            Self::Password => "art-password",
            Self::Token => "art-token",
            Self::ApiKey => "art-api-key",
        }
    }

    fn auth(self) -> Auth {
        match self {
            Self::Password => Auth::Basic(USER.to_owned(), ART.to_owned()),
            Self::Token => Auth::Bearer(ART.to_owned()),
            Self::ApiKey => Auth::ApiKey(ART.to_owned()),
        }
    }
}

/// Two simulators and the secrets that they ask for.
struct Safe {
    rig: Rig,
    kind: Kind,
    source: Source,
    /// Apart from the rig's directory, which is searched for them.
    files: TempDir,
}

impl Safe {
    fn new(kind: Kind, source: Source) -> Self {
        let rig = Rig::new();
        rig.artifactory.require(kind.auth());
        rig.deploy.set_token(DEPLOY);
        let files = tempfile::tempdir().unwrap();
        for (long, secret) in [(kind.long(), ART), ("deploy-token", DEPLOY)] {
            fs::write(files.path().join(long), format!("{secret}\n")).unwrap();
        }
        Self {
            rig,
            kind,
            source,
            files,
        }
    }

    /// The program with its secrets given as this one wants.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.rig.std_command(&[]);
        self.give(&mut command);
        command.args(arguments);
        command
    }

    fn give(&self, command: &mut Command) {
        command
            .env_remove("CAM_ART_USERID")
            .env_remove("CAM_ART_PASSWORD")
            .env_remove("COREOS_DEPLOY_TOKEN")
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace");
        if self.kind == Kind::Password {
            command.env("CAM_ART_USERID", USER);
        }
        for (long, secret) in [(self.kind.long(), ART), ("deploy-token", DEPLOY)] {
            let variable = format!("CAM_{}", long.to_uppercase().replace('-', "_"));
            let file = self.files.path().join(long);
            match self.source {
                Source::Argument => command.args([&format!("--{long}"), secret]),
                Source::File => command.arg(format!("--{long}-file")).arg(file),
                Source::Variable => command.env(variable, secret),
                Source::VariableFile => command.env(variable + "_FILE", file),
                Source::Credentials => command.env("CREDENTIALS_DIRECTORY", self.files.path()),
            };
        }
    }

    /// Runs the program, looks for the secrets, and gives what it printed.
    fn run(&self, arguments: &[&str], code: i32) -> Output {
        self.check(self.command(arguments), arguments, code)
    }

    /// [`Safe::run`] with an option (its long name) at this value.
    fn run_with(&self, long: &str, value: &str, arguments: &[&str]) -> Output {
        let mut command = replaced::command(&self.rig, long, value, &[]);
        self.give(&mut command);
        command.args(arguments);
        self.check(command, arguments, 69)
    }

    fn check(&self, mut command: Command, arguments: &[&str], code: i32) -> Output {
        let output = command.output().unwrap();
        let what = format!("{:?} by {:?}: {arguments:?}", self.kind, self.source);
        assert_eq!(output.status.code(), Some(code), "{what}: {output:?}");
        self.search(&what, &output);
        output
    }

    fn search(&self, what: &str, output: &Output) {
        let needles = needles(&[ART, DEPLOY, LEDGER]);
        absent(what, "stdout", &output.stdout, &needles);
        absent(what, "stderr", &output.stderr, &needles);
        search_rig(what, &self.rig, &needles);
    }
}

/// As what stands in a URL must be.
fn percent(text: &str) -> String {
    let encoded = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(b).to_string()
        }
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// The secrets as they are, in base64, in hexadecimal, and percent-encoded.
fn needles(secrets: &[&str]) -> Vec<String> {
    let mut needles = Vec::new();
    for secret in secrets {
        needles.push((*secret).to_owned());
        needles.push(base64(secret.as_bytes()));
        needles.push(base64(format!("{USER}:{secret}").as_bytes()));
        needles.push(percent(secret));
        needles.push(percent(secret).to_lowercase());
        let hex = echoes::hex(secret);
        needles.extend([hex.to_uppercase(), hex]);
        let url_safe = |n: &String| n.replace('+', "-").replace('/', "_");
        let others: Vec<String> = needles.iter().map(url_safe).collect();
        needles.extend(others);
        // The beginning, whatever stands around it, and however it was cut or escaped.
        needles.push(secret[..6].to_owned());
    }
    needles
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |n, i| n << 8 | usize::from(*group.get(i).unwrap_or(&0)));
        for i in 0..=group.len() {
            out.push(char::from(DIGITS[bits >> (18 - 6 * i) & 63]));
        }
    }
    // Without padding: it is found in padded text too, unless the last digits hold other bits.
    out
}

fn absent(what: &str, place: &str, bytes: &[u8], needles: &[String]) {
    // The needles are ASCII. The search of text is fast where that of windows is not.
    let text = String::from_utf8_lossy(bytes);
    for needle in needles {
        let found = text.contains(needle.as_str());
        assert!(!found, "{what}: {needle} in {place}: {text}");
    }
}

/// Looks in all that the program keeps: its files, and a ledger that is not one of them.
fn search_rig(what: &str, rig: &Rig, needles: &[String]) {
    search_files(what, rig.path(), needles);
    if matches!(rig.ledger, Ledger::MariaDb(..)) {
        absent(what, "the ledger", rig.ledger.dump().as_bytes(), needles);
    }
}

fn search_files(what: &str, below: &Path, needles: &[String]) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_files(what, &path, needles);
        } else {
            let place = path.display().to_string();
            absent(what, &place, &fs::read(&path).unwrap(), needles);
        }
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert_eq!(base64(b"sysadm:letmein"), "c3lzYWRtOmxldG1laW4");
    let hit = |text: &str| {
        let needles = needles(&[ART]);
        std::panic::catch_unwind(|| absent("", "", text.as_bytes(), &needles)).is_err()
    };
    assert!(hit(&format!("x{ART}x")) && hit("c4nary%2BArt%2Fp%3Dss%26word~1"));
    assert!(hit(&base64(format!("{USER}:{ART}").as_bytes())));
    assert!(!hit("nothing"));
}

#[test]
fn no_secret_shows_whichever_way_it_is_given() {
    for kind in KINDS {
        for source in SOURCES {
            let safe = Safe::new(kind, source);
            let cdn = Cdn::start();
            safe.rig.artifactory.redirect_downloads(&cdn);
            safe.rig.publish("video", "1.0");
            safe.run(&["scan", "-vv"], 0);
            safe.run(&["dry-run", "-vv", "--show-values"], 0);
            safe.run(&["-vv"], 0);
            safe.run(&["status", "-vv"], 0);
            safe.run(&["history", "-vv", "--output", "json"], 0);
            assert_eq!(safe.rig.posted(), ["1.0"]);
            let requests = cdn.requests();
            assert!(!requests.is_empty());
            let shown = format!("{requests:?}");
            let needles = needles(&[ART, DEPLOY, LEDGER]);
            absent("download", "the other host", shown.as_bytes(), &needles);
        }
    }
}

#[test]
fn a_secret_on_the_command_line_works_with_a_warning() {
    for kind in KINDS {
        let safe = Safe::new(kind, Source::Argument);
        safe.rig.publish("video", "1.0");
        let stderr = String::from_utf8(safe.run(&["scan"], 0).stderr).unwrap();
        for long in [kind.long(), "deploy-token"] {
            assert!(
                stderr.lines().any(|l| l.starts_with("warning: ")
                    && l.contains(&format!("--{long} "))
                    && l.contains("ps")),
                "{stderr}"
            );
        }
        let safe = Safe::new(kind, Source::Variable);
        safe.rig.publish("video", "1.0");
        let stderr = String::from_utf8(safe.run(&["scan"], 0).stderr).unwrap();
        assert_eq!(stderr, "");
    }
}

#[test]
fn no_process_has_a_secret_among_its_arguments() {
    for source in SOURCES.into_iter().filter(|s| *s != Source::Argument) {
        let safe = Safe::new(Kind::Password, source);
        safe.rig.publish("video", "1.0");
        safe.rig.deploy.deploy_takes(Duration::from_secs(600));
        let mut child = safe
            .command(&[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        crate::support::until("the deploy runs", || !safe.rig.deploy.posts().is_empty());
        assert!(child.try_wait().unwrap().is_none());
        let needles = needles(&[ART, DEPLOY, LEDGER]);
        let mut seen = false;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(arguments) = fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            seen |= entry.file_name().to_string_lossy() == child.id().to_string();
            // Only what works for this rig: others run at the same time.
            let text = String::from_utf8_lossy(&arguments);
            if text.contains(&safe.rig.artifactory.url()) {
                absent("arguments", "a command line", &arguments, &needles);
            }
        }
        assert!(seen);
        safe.rig.deploy.deploy_takes(Duration::ZERO);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        safe.search("while it ran", &output);
    }
}

#[test]
fn no_secret_shows_when_something_goes_wrong() {
    // In parallel: retries make them wait.
    thread::scope(|scope| {
        for kind in KINDS {
            for format in [&["-vv"][..], &["--output", "json"]] {
                scope.spawn(move || {
                    artifactory_goes_wrong(kind, format);
                    coreos_deploy_goes_wrong(kind, format);
                });
            }
        }
        scope.spawn(|| no_tls_where_tls_is_expected("art-endpoint"));
        scope.spawn(|| no_tls_where_tls_is_expected("deploy-url"));
    });
}

fn artifactory_goes_wrong(kind: Kind, format: &[&str]) {
    let with = |more: &[&'static str]| [format, more].concat();
    let safe = Safe::new(kind, Source::Variable);
    let artifactory = &safe.rig.artifactory;
    safe.rig.publish("video", "1.0");
    artifactory.require(Auth::Basic("other".to_owned(), "other".to_owned()));
    safe.run(&with(&[]), 77);
    safe.run(&with(&["scan"]), 77);
    artifactory.require(kind.auth());
    for (part, fault) in [("/api/", Fault::Drop), (".tar.gz", Fault::CutBody)] {
        artifactory.fault(part, fault, None);
        safe.run(&with(&[]), 69);
        artifactory.clear_faults();
    }
    artifactory.stop_listening();
    safe.run(&with(&[]), 69);
}

fn coreos_deploy_goes_wrong(kind: Kind, format: &[&str]) {
    let with = |more: &[&'static str]| [format, more].concat();
    let safe = Safe::new(kind, Source::Variable);
    let deploy = &safe.rig.deploy;
    safe.rig.publish("video", "1.0");
    deploy.set_token("other");
    safe.run(&with(&[]), 77);
    deploy.set_token(DEPLOY);
    deploy.fault("/v1.0/info", Fault::Status(500), None);
    safe.run(&with(&[]), 69);
    deploy.clear_faults();
    deploy.next_deploy(Behaviour::Fail("fleet said no".to_owned()));
    safe.run(&with(&[]), 1);
    safe.run(&with(&["status"]), 0);
    safe.run(&with(&["history"]), 0);
    safe.run(&with(&["deploy", "video", "1.0", "--force"]), 0);
    safe.run(&with(&["deploy", "video", "9.9"]), 1);
    safe.run(&["--jobs", "0"], 2);
    safe.run(&["--no-such-option"], 2);
    safe.rig.publish("video", "1.1");
    deploy.stop_listening();
    safe.run(&with(&[]), 69);
}

fn no_tls_where_tls_is_expected(long: &str) {
    let safe = Safe::new(Kind::Password, Source::Variable);
    safe.rig.publish("video", "1.0");
    let http = match long {
        "deploy-url" => safe.rig.deploy.url(),
        _ => safe.rig.artifactory.url() + "/api",
    };
    safe.run_with(long, &http.replace("http:", "https:"), &["-vv"]);
}

#[test]
fn api_calls_are_not_redirected_to_another_host() {
    let other = Artifactory::start();
    for kind in KINDS {
        let safe = Safe::new(kind, Source::Variable);
        safe.rig.publish("video", "1.0");
        let location = ("Location".to_owned(), format!("{}/api/", other.url()));
        for status in [301, 302, 303, 307, 308] {
            let redirect = Fault::StatusWith(status, vec![location.clone()], String::new());
            safe.rig.artifactory.fault("/api/", redirect.clone(), None);
            safe.run(&["-vv"], 69);
            safe.rig.artifactory.clear_faults();
            safe.rig.deploy.fault("/v1.0/", redirect, None);
            safe.run(&["-vv"], 2);
            safe.rig.deploy.clear_faults();
        }
        assert_eq!(safe.rig.posted(), [""; 0]);
    }
    assert!(other.requests().is_empty());
}

#[test]
fn a_password_inside_an_address_or_a_dsn_is_not_shown() {
    let rig = Rig::new();
    let needles = needles(&[ART]);
    for [long, value] in [
        [
            "art-endpoint",
            "http://sysadm:c4nary+Art@127.0.0.1:1/artifactory/api",
        ],
        ["deploy-url", "http://sysadm:c4nary+Art@127.0.0.1:1"],
        ["dsn", "sysadm:c4nary+Art@tcp(127.0.0.1:1)/db"],
        ["dsn", "mysql://sysadm:c4nary+Art@127.0.0.1:1/db"],
        ["dsn", "postgres://sysadm:c4nary+Art@127.0.0.1:1/db"],
    ] {
        for command in ["run", "status", "scan"] {
            let mut line = replaced::command(&rig, long, value, &[command, "-vv"]);
            let output = line.output().unwrap();
            // A command that does not use it does not look at it.
            let unused = command == "status" || (long, command) == ("deploy-url", "scan");
            assert!(!output.status.success() || unused);
            let what = format!("--{long} {value} {command}");
            absent(&what, "stdout", &output.stdout, &needles);
            absent(&what, "stderr", &output.stderr, &needles);
            search_rig(&what, &rig, &needles);
        }
    }
}

#[test]
fn values_of_etcd_keys_go_to_the_cluster_and_nowhere_else() {
    let rig = Rig::new();
    let keys = format!("/apps/video/db {ETCD}\n/apps/video/mode plain\n");
    let payload = Payload::sample("video", "1.0").etcd2(&keys).build();
    rig.artifactory.publish("video", "1.0", payload);
    // A value beside a mistake: the error names the line and not what stands there.
    for (app, keys) in [
        ("twice", format!("/k {ETCD}\n/k {ETCD}\n")),
        ("nokey", format!("{ETCD} x\n")),
        ("noslash", format!("k {ETCD}\n")),
        ("cluster", format!("/a/current-cycle {ETCD}\n")),
        ("astral", format!("/k {ETCD}\u{1f600}\n")),
    ] {
        let payload = Payload::sample(app, "1.0").etcd2(&keys).build();
        rig.artifactory.publish(app, "1.0", payload);
    }
    let needles = needles(&[ETCD]);
    let silent = |arguments: &[&str], code: i32| {
        let ran = rig.run(arguments);
        let what = format!("{arguments:?}");
        assert_eq!(ran.code, Some(code), "{what}: {ran:#?}");
        absent(&what, "stdout", ran.stdout.as_bytes(), &needles);
        absent(&what, "stderr", ran.stderr.as_bytes(), &needles);
        search_rig(&what, &rig, &needles);
    };
    silent(&["scan", "-vv"], 0);
    silent(&["dry-run", "-vv"], 1);
    silent(&["dry-run", "--output", "json"], 1);
    for arguments in [
        &["dry-run", "--show-values"][..],
        &["dry-run", "--show-values", "--output", "json"],
    ] {
        let shown = rig.run(arguments);
        assert!(shown.stdout.contains(ETCD), "{shown:#?}");
        assert!(!shown.stderr.contains(ETCD), "{shown:#?}");
    }
    rig.deploy.next_deploy(Behaviour::Fail("no".to_owned()));
    silent(&["-vv", "--retry-after", "0"], 1);
    silent(&["-vv", "--retry-after", "0", "--output", "json"], 1);
    silent(&["status", "-vv"], 0);
    silent(&["history", "-vv"], 0);
    silent(&["history", "--output", "json"], 0);
    assert_eq!(rig.posted(), ["1.0", "1.0"]);
    assert!(rig.deploy.posts()[0].to_string().contains(ETCD));
    let asked = format!("{:?}", rig.artifactory.requests());
    absent("requests", "Artifactory", asked.as_bytes(), &needles);
}
