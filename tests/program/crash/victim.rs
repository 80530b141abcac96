//! A site whose program is killed, and what the deploy service witnessed of it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ledger, Ran, Rig, until};

/// The releases of a [`Site`]: app, version, and the service that its payload names.
pub const RELEASES: [(&str, &str, &str); 2] = [
    ("user-api", "2.0.0", "example-user-api"),
    ("video", "1.0.1-22", "example-video"),
];
/// The passes that may be needed after a kill.
const PASSES: usize = 3;
/// Longer than the `--unknown-hold` of [`HASTY`].
pub const PAST_HOLD: Duration = Duration::from_millis(1_100);
/// Short `--unknown-hold` and `--deploy-timeout`, so that a verdict that rests on absence takes
/// seconds.
const HASTY: [&str; 2] = ["1s", "5s"];
/// The same, longer than any test.
const PATIENT: [&str; 2] = ["10m", "10m"];

/// What is seen at the moment of each POST.
struct Witness {
    ledger: Ledger,
    child: Mutex<Option<Child>>,
    kill_at_post: Mutex<Option<usize>>,
    /// The attempt that each POST belongs to.
    attempts: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
}

/// Two servers, two releases that are due, and a program to kill.
pub struct Site {
    pub rig: Rig,
    witness: Arc<Witness>,
}

impl Site {
    pub fn new() -> Self {
        let rig = Rig::new();
        rig.deploy.deploy_takes(Duration::from_millis(150));
        for (app, version, _) in RELEASES {
            rig.publish(app, version);
        }
        let witness = Arc::new(Witness {
            ledger: rig.ledger.clone(),
            child: Mutex::default(),
            kill_at_post: Mutex::default(),
            attempts: Mutex::default(),
            faults: Mutex::default(),
        });
        let observer = Arc::clone(&witness);
        rig.deploy.on_post(Box::new(move |body| observer.see(body)));
        Self { rig, witness }
    }

    /// Starts a pass.
    pub fn start(&self) {
        self.start_with(HASTY);
    }

    /// Starts a pass that asks for the status of its deploys until it is killed.
    pub fn start_patient(&self) {
        self.start_with(PATIENT);
    }

    fn start_with(&self, waits: [&str; 2]) {
        let mut command = self.rig.std_command(&pass(waits));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        *lock(&self.witness.child) = Some(command.spawn().expect("the program starts"));
    }

    /// Starts a pass under `strace`, which kills it where `inject` says.
    pub fn start_traced(&self, inject: &str) {
        let program = self.rig.std_command(&pass(HASTY));
        let mut command = std::process::Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", inject])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .envs(program.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        *lock(&self.witness.child) = Some(command.spawn().expect("strace is installed"));
    }

    /// Kills the pass when the deploy service has read this POST, before it acts.
    pub fn kill_at_post(&self, number: usize) {
        *lock(&self.witness.kill_at_post) = Some(number);
    }

    /// Kills the pass now, if it still runs.
    pub fn kill(&self) {
        self.witness.kill();
    }

    /// Waits until the pass is gone, and says whether a signal ended it.
    pub fn wait(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match &mut *lock(&self.witness.child) {
                None => return true,
                Some(child) => {
                    if let Some(status) = child.try_wait().expect("a child of ours") {
                        return status.signal().is_some();
                    }
                }
            }
            assert!(Instant::now() < end, "the pass does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Makes passes until one exits 0, and checks that all is as if nobody had been killed.
    pub fn settle(&self, scenario: &str) {
        *lock(&self.witness.kill_at_post) = None;
        let mut told: Vec<Ran> = Vec::new();
        while told.last().is_none_or(|ran| ran.code != Some(0)) {
            assert!(told.len() < PASSES, "{scenario}: not settled: {told:#?}");
            if !told.is_empty() {
                thread::sleep(PAST_HOLD);
            }
            told.push(self.rig.run(&pass(HASTY)));
        }
        let posts = self.rig.deploy.posts().len();
        let again = self.rig.run(&pass(HASTY));
        assert_eq!(again.code, Some(0), "{scenario}: {again:#?}");
        assert_eq!(again.stdout, "", "{scenario}: nothing was left to do");
        assert_eq!(self.rig.deploy.posts().len(), posts, "{scenario}");
        self.check(scenario, posts);
    }

    fn check(&self, scenario: &str, posts: usize) {
        let faults = lock(&self.witness.faults);
        assert!(faults.is_empty(), "{scenario}: {faults:#?}");
        assert_eq!(self.deployed(), expected(), "{scenario}");

        let attempts = self.rig.attempts();
        let mut posted = lock(&self.witness.attempts).clone();
        assert_eq!(posted.len(), posts, "{scenario}");
        posted.sort();
        posted.dedup();
        assert_eq!(posted.len(), posts, "{scenario}: two POSTs for one attempt");
        let known = |id: &String| attempts.iter().any(|a| a["attempt"] == id.as_str());
        assert!(posted.iter().all(known), "{scenario}: {attempts:#?}");
        let open = |a: &Value| {
            ["submitting", "submitted", "unknown"]
                .iter()
                .any(|state| a["state"] == *state)
        };
        assert!(!attempts.iter().any(open), "{scenario}: {attempts:#?}");

        // The cluster: each release was started once, and runs.
        let runs = self.rig.deploy.runs();
        for (_, version, service) in RELEASES {
            let of_it = runs
                .iter()
                .filter(|r| r.name == service && r.version == version);
            assert_eq!(of_it.count(), 1, "{scenario}: {runs:#?}");
        }
        assert_eq!(runs.len(), RELEASES.len(), "{scenario}: {runs:#?}");
        assert_eq!(self.rig.deploy.units().len(), 2 * RELEASES.len());
    }

    fn deployed(&self) -> BTreeMap<String, String> {
        let status = self.rig.json(&["status"], 0);
        let apps = status["apps"].as_array().expect("apps is an array");
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        apps.iter()
            .map(|app| (text(&app["app"]), text(&app["deployed"])))
            .collect()
    }

    /// Waits until coreos-deploy has got so many requests whose path holds `part`.
    pub fn until_deploy_got(&self, number: usize, part: &str) {
        until("coreos-deploy gets a request", || {
            let requests = self.rig.deploy.requests();
            requests.iter().filter(|r| r.path.contains(part)).count() >= number
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.witness.kill();
    }
}

impl Witness {
    /// Sees a POST: its intent must stand in the ledger at this moment, and be that of one attempt.
    fn see(&self, body: &Value) {
        match self.submitting(body) {
            Ok(found) if found.len() == 1 => lock(&self.attempts).extend(found),
            other => lock(&self.faults).push(format!("a POST of {body} with intents {other:?}")),
        }
        if *lock(&self.kill_at_post) == Some(lock(&self.attempts).len()) {
            self.kill();
        }
    }

    fn submitting(&self, body: &Value) -> Result<Vec<String>, String> {
        let rows = self.ledger.sql(
            "SELECT id, service_name, version FROM artifactory_attempts WHERE state = 'submitting'",
        )?;
        let wanted = [&body["serviceName"], &body["version"]].map(Value::as_str);
        let of_it = rows
            .iter()
            .filter(|row| row[1..].iter().map(Option::as_deref).eq(wanted));
        Ok(of_it.filter_map(|row| row[0].clone()).collect())
    }

    fn kill(&self) {
        if let Some(mut child) = lock(&self.child).take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }
}

/// The command line of a pass with these waits. In `MariaDB` the lease outlives a pass that was
/// killed.
fn pass([hold, timeout]: [&str; 2]) -> Vec<&str> {
    let mut line = vec!["run", "--lock-wait", "30s", "--retry-after", "1s"];
    line.extend(["--unknown-hold", hold, "--deploy-timeout", timeout]);
    line
}

/// What an undisturbed pass deploys.
fn expected() -> BTreeMap<String, String> {
    RELEASES
        .map(|(app, version, _)| (app.to_owned(), version.to_owned()))
        .into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
