//! Random walks over the commands: faults, kills and two commands at once, drawn from a seed. At the
//! arrival of each POST the ledger is read, and at the end the cluster and the ledger say the same.
//!
//! `CAM_WALKS=300 cargo test --test program walk` walks farther; `CAM_SEED` is where it begins.

mod witness;

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use simulator::{Behaviour, Fault};

use crate::support::{Ran, Rig, until};
use witness::Witness;

/// The apps of a walk; the service of each is `example-` and its name.
const APPS: [&str; 2] = ["user-api", "video"];
/// The versions that are marked one after the other, oldest first.
const VERSIONS: [&str; 6] = ["1.0", "1.1", "1.2", "2.0", "2.1", "3.0"];
/// The walks of a test run.
const WALKS: u64 = 8;
/// Walks at once: they mostly wait.
const AT_ONCE: usize = 4;
/// How many commands may be needed when all is well again.
const LAST: usize = 60;

#[test]
fn nothing_wrong_is_sent_and_all_comes_to_rest() {
    let first = number("CAM_SEED").unwrap_or(1);
    let end = first + number("CAM_WALKS").unwrap_or(WALKS);
    let seed = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = seed.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if let Err(story) = Walk::new(seed).run() {
                        failed.lock().unwrap().push((seed, story));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    if let Some((seed, story)) = failed.first() {
        panic!("seeds {seeds:?}\nseed {seed}:\n{}", story.join("\n"));
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A site, and what happens to it.
struct Walk {
    rng: Rng,
    rig: Rig,
    witness: Arc<Witness>,
    /// How many versions of each app have been marked.
    marked: [usize; 2],
    story: Vec<String>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let rig = Rig::new();
        rig.deploy.deploy_takes(Duration::from_millis(100));
        let witness = Arc::new(Witness::new(rig.ledger.clone()));
        let observer = Arc::clone(&witness);
        rig.deploy.on_post(Box::new(move |body| observer.see(body)));
        for app in APPS {
            rig.publish(app, VERSIONS[0]);
        }
        Self {
            rng: Rng::with_seed(seed),
            rig,
            witness,
            marked: [1; 2],
            story: Vec::new(),
        }
    }

    /// The story of a walk on which something went wrong.
    fn run(mut self) -> Result<(), Vec<String>> {
        for _ in 0..self.rng.usize(4..10) {
            self.change_markers();
            self.draw_fault();
            self.step();
        }
        let mut wrong = self.end_well();
        wrong.extend(self.witness.wrong());
        if wrong.is_empty() {
            return Ok(());
        }
        self.story.extend(wrong);
        Err(self.story)
    }

    /// A version is marked, or the newest marker of an app is withdrawn.
    fn change_markers(&mut self) {
        let index = self.rng.usize(..APPS.len());
        let (app, marked) = (APPS[index], self.marked[index]);
        let tell = match self.rng.u32(..6) {
            0..3 if marked < VERSIONS.len() => {
                self.rig.publish(app, VERSIONS[marked]);
                self.marked[index] += 1;
                format!("{app} {} is marked", VERSIONS[marked])
            }
            3 if marked > 1 => {
                let path = format!("{app}/{}.deploy", VERSIONS[marked - 1]);
                self.rig.artifactory.remove("deploys", &path);
                self.marked[index] -= 1;
                format!("{path} is withdrawn")
            }
            _ => return,
        };
        self.story.push(tell);
    }

    fn draw_fault(&mut self) {
        let times = Some(self.rng.u32(1..3));
        let (status, late) = (Fault::Status(500), Fault::Delay(Duration::from_millis(300)));
        let of_all = [status, Fault::Drop, Fault::CutBody, Fault::Html200, late];
        let of_post = [Fault::LoseReply, Fault::LoseReplyNotRun, Fault::CutBody];
        let pick = |rng: &mut Rng, faults: &[Fault]| faults[rng.usize(..faults.len())].clone();
        let tell = match self.rng.u32(..10) {
            0..3 => {
                let fault = pick(&mut self.rng, &of_post);
                let tell = format!("POST: {fault:?}");
                self.rig.deploy.fault("/v1.0/deploy", fault, Some(1));
                tell
            }
            3 => {
                let fault = pick(&mut self.rng, &of_all);
                let tell = format!("coreos-deploy: {fault:?}");
                self.rig.deploy.fault("", fault, times);
                tell
            }
            4 => {
                let fault = pick(&mut self.rng, &of_all);
                let tell = format!("Artifactory: {fault:?}");
                self.rig.artifactory.fault("", fault, times);
                tell
            }
            5 => {
                let behaviours = [
                    Behaviour::Fail("no machine".into()),
                    Behaviour::NoRow,
                    Behaviour::Die { units: 2 },
                ];
                let behaviour = behaviours[self.rng.usize(..3)].clone();
                let tell = format!("the next deploy: {behaviour:?}");
                self.rig.deploy.next_deploy(behaviour);
                tell
            }
            _ => return,
        };
        self.story.push(tell);
    }

    /// One command, or two at once, perhaps killed.
    fn step(&mut self) {
        let app = APPS[self.rng.usize(..APPS.len())];
        let version = VERSIONS[self.rng.usize(..4)];
        let line: Vec<String> = match self.rng.u32(..16) {
            0..9 => vec!["run".into()],
            9..11 => words(&["rollback", app]),
            11 => words(&["deploy", app, version]),
            12 => words(&["deploy", app, version, "--force", "--no-hold"]),
            13 => return self.alone(&words(&["hold", app, "--new"])),
            14 => return self.alone(&words(&["release", app])),
            _ => return self.alone(&words(&["forget", app])),
        };
        let both = self.rng.u32(..4) == 0;
        let kill = self.rng.u32(..3) == 0;
        let first = self.start(&line);
        let other = both.then(|| self.start(&words(&["run"])));
        if kill {
            self.kill(first);
        } else {
            self.end(&line, first);
        }
        if let Some(other) = other {
            self.end(&words(&["run"]), other);
        }
    }

    fn alone(&mut self, line: &[String]) {
        let child = self.start(line);
        self.end(line, child);
    }

    fn start(&self, line: &[String]) -> Child {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let mut command = self.rig.std_command(&line);
        command
            .args(["--lock-wait", "30s", "--retry-after", "1s"])
            .args(["--unknown-hold", "1s", "--deploy-timeout", "3s", "--quiet"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    fn end(&mut self, line: &[String], child: Child) -> Option<i32> {
        let ran = Ran::wait(child);
        let told = [ran.stdout.trim(), ran.stderr.trim()].join(" ");
        let line = line.join(" ");
        self.story.push(format!("{line}: {:?} {told}", ran.code));
        if !matches!(ran.code, Some(0 | 1 | 2 | 4 | 5 | 69 | 75)) {
            self.witness
                .note(format!("{line} exits with {:?}", ran.code));
        }
        if line.starts_with("release") && ran.code == Some(0) {
            self.witness.allow_again();
        }
        ran.code
    }

    /// Kills a command when the servers have got so many requests more, or at a POST.
    fn kill(&mut self, mut child: Child) {
        let (artifactory, deploy) = (&self.rig.artifactory, &self.rig.deploy);
        let count = || artifactory.requests().len() + deploy.requests().len();
        let enough = count() + self.rng.usize(..25);
        let posts = deploy.posts().len() + usize::from(self.rng.bool()) * 99;
        let child_ends = Mutex::new(&mut child);
        until("it is killed, or ends", || {
            let mut child = child_ends.lock().expect("nobody else has it");
            let has_ended = child.try_wait().expect("a child of ours").is_some();
            has_ended || count() >= enough || deploy.posts().len() > posts
        });
        let _ = child.kill();
        child.wait().expect("a child of ours");
        self.story.push("killed".to_owned());
    }

    /// All is well again: passes and, where they can't go on, an operator bring everything to rest.
    /// Returns what is wrong then.
    fn end_well(&mut self) -> Vec<String> {
        self.rig.artifactory.clear_faults();
        self.rig.deploy.clear_faults();
        for app in APPS {
            self.alone(&words(&["release", app]));
        }
        for round in 0..LAST {
            let child = self.start(&words(&["run"]));
            let code = self.end(&words(&["run"]), child);
            if code == Some(0) && self.witness.open().is_empty() {
                return self.differences();
            }
            if round > LAST / 3 {
                self.help();
            }
        }
        vec!["it does not come to rest".to_owned()]
    }

    /// What an operator does who has looked.
    fn help(&mut self) {
        for (app, version) in self.witness.open() {
            let word = if self.runs(&app) == Some(version) {
                "deployed"
            } else {
                "not-deployed"
            };
            self.alone(&words(&["settle", &app, "--as", word]));
        }
        for (index, app) in APPS.into_iter().enumerate() {
            let newest = VERSIONS[self.marked[index] - 1];
            if self.runs(app).as_deref() != Some(newest) {
                self.alone(&words(&["deploy", app, newest, "--force", "--no-hold"]));
            }
        }
    }

    /// Apps whose version in the ledger is not the one that runs.
    fn differences(&self) -> Vec<String> {
        let status = self.rig.json(&["status"], 0);
        let apps = status["apps"].as_array().expect("apps is an array");
        let differs = |app: &Value| {
            let (name, deployed) = (app["app"].as_str()?, app["deployed"].as_str());
            let runs = self.runs(name);
            (runs.as_deref() != deployed)
                .then(|| format!("{name}: the ledger has {deployed:?}, {runs:?} runs"))
        };
        apps.iter().filter_map(differs).collect()
    }

    /// The version of the app whose units are in the cluster.
    fn runs(&self, app: &str) -> Option<String> {
        let units = self.rig.deploy.units();
        let is_of = |version: &&str| {
            let prefix = format!("example-{app}-{version}-");
            units.iter().any(|unit| unit.starts_with(&prefix))
        };
        VERSIONS.into_iter().rev().find(is_of).map(str::to_owned)
    }
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|&word| word.to_owned()).collect()
}
