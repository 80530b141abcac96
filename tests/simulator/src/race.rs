//! Processes that start a pass at the same moment: one may do it, the others must not.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Artifactory, Auth, CoreosDeploy, Cut, Payload};

const USER: &str = "sysadm";
const PASSWORD: &str = "letmein";
const TOKEN: &str = "D3Pl0YT0Ken";
/// A holder that gets no answer for longer than this may ask again.
const PATIENCE: Duration = Duration::from_secs(8);
/// Longest wait for a process to end.
const END: Duration = Duration::from_secs(60);

/// Races of the program on one ledger. The way to Artifactory is held shut until all but one
/// process of a round are gone, so the holder cannot have ended before the last of them asks.
pub struct Race {
    program: PathBuf,
    ledgers: Vec<String>,
    artifactory: Artifactory,
    gate: Cut,
    deploy: CoreosDeploy,
}

/// What the rounds of a [`Race`] came to: one holder each, the others refused with exit code 75,
/// tokens that rise by one.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Rounds that were run.
    pub rounds: usize,
    /// The rounds that each process won, in the order of its ledgers.
    pub won: Vec<usize>,
    /// The fencing token of the first round.
    pub first_token: i64,
    /// That of the last.
    pub last_token: i64,
    /// Rounds in which the holder alone is known to have sent a request. In the others it was held up
    /// for so long, by processes that watched an expired lease before they gave in, that it may have
    /// asked again, and requests were not counted.
    pub counted: usize,
    /// The longest time from start to end of a process that was refused.
    pub slowest_refusal: Duration,
}

/// Requests to Artifactory, to coreos-deploy, and connections to the former.
type Traffic = [usize; 3];

impl Race {
    /// A race of as many processes as there are data source names: several of one ledger, or those
    /// of the nodes of a cluster.
    pub fn new(program: &Path, ledgers: &[String]) -> Self {
        let artifactory = Artifactory::start();
        artifactory.require(Auth::Basic(USER.to_owned(), PASSWORD.to_owned()));
        artifactory.publish("video", "1.0.0", Payload::sample("video", "1.0.0").build());
        let url = artifactory.url();
        let port = url
            .split(['/', ':'])
            .find_map(|part| part.parse().ok())
            .expect("a URL with a port");
        Self {
            program: program.to_owned(),
            ledgers: ledgers.to_vec(),
            gate: Cut::before(port),
            artifactory,
            deploy: CoreosDeploy::start(),
        }
    }

    /// Runs so many rounds, and says what is wrong with the first bad one.
    pub fn run(&self, rounds: usize) -> Result<Tally, String> {
        self.alone(0, &["baseline"])?;
        let before = self.traffic();
        self.alone(0, &["run"])?;
        let usual = self.since(before);
        let first_token = self.token(0)? + 1;
        let mut tally = Tally {
            rounds,
            won: vec![0; self.ledgers.len()],
            first_token,
            last_token: first_token - 1,
            counted: 0,
            slowest_refusal: Duration::ZERO,
        };
        for round in 0..rounds {
            let bad = |what: String| format!("round {}: {what}", round + 1);
            let before = self.traffic();
            let (winner, refusal) = self.round().map_err(bad)?;
            tally.slowest_refusal = tally.slowest_refusal.max(refusal);
            tally.won[winner] += 1;
            let sent = self.since(before);
            let counts = refusal < PATIENCE;
            tally.counted += usize::from(counts);
            if counts && sent != usual {
                let more = format!("{sent:?} requests, not {usual:?}: a loser asked somebody");
                return Err(bad(more));
            }
            let token = self.token(round % self.ledgers.len()).map_err(bad)?;
            if token != tally.last_token + 1 {
                return Err(bad(format!("token {token} after {}", tally.last_token)));
            }
            tally.last_token = token;
        }
        Ok(tally)
    }

    /// One round; gives the number of the process that had the lease, and when the last of the others
    /// had ended.
    fn round(&self) -> Result<(usize, Duration), String> {
        self.gate.hold(true);
        let spawn = |index: usize| self.command(index, &["run"]).spawn();
        let started = Instant::now();
        let mut running: Vec<(usize, Child)> = Vec::new();
        for index in 0..self.ledgers.len() {
            match spawn(index) {
                Ok(child) => running.push((index, child)),
                Err(error) => return Err(stop(running, &error.to_string())),
            }
        }
        while running.len() > 1 {
            let is_over = |(_, child): &mut (usize, Child)| !matches!(child.try_wait(), Ok(None));
            if let Some(at) = running.iter_mut().position(is_over) {
                let (index, child) = running.swap_remove(at);
                let output = child.wait_with_output().map_err(|e| e.to_string())?;
                if output.status.code() != Some(75) {
                    return Err(stop(running, &told(index, &output)));
                }
            } else if started.elapsed() > END {
                let several = format!("{} processes go on", running.len());
                return Err(stop(running, &several));
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let refusal = started.elapsed();
        self.gate.hold(false);
        let Some((winner, child)) = running.pop() else {
            return Err("no process was started".to_owned());
        };
        let output = child.wait_with_output().map_err(|e| e.to_string())?;
        match output.status.code() {
            Some(0) => Ok((winner, refusal)),
            _ => Err(told(winner, &output)),
        }
    }

    fn traffic(&self) -> Traffic {
        [
            self.artifactory.requests().len(),
            self.deploy.requests().len(),
            self.gate.accepted(),
        ]
    }

    fn since(&self, before: Traffic) -> Traffic {
        let now = self.traffic();
        [0, 1, 2].map(|i| now[i] - before[i])
    }

    /// The fencing token of the last holder.
    fn token(&self, ledger: usize) -> Result<i64, String> {
        let stdout = self.alone(ledger, &["status", "--output", "json"])?;
        let document: Value =
            serde_json::from_str(&stdout).map_err(|e| format!("{e}: {stdout}"))?;
        let lease = &document["lease"];
        if lease["held"] != false {
            return Err(format!("the lease was not released: {lease}"));
        }
        let token = lease["token"].as_i64();
        token.ok_or_else(|| format!("no token in {lease}"))
    }

    fn alone(&self, ledger: usize, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(ledger, arguments).output();
        let output = output.map_err(|e| format!("{}: {e}", self.program.display()))?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            _ => Err(format!("{arguments:?}: {}", told(ledger, &output))),
        }
    }

    fn command(&self, ledger: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let api = format!("http://127.0.0.1:{}/artifactory/api", self.gate.port());
        command
            .env_clear()
            .env("CAM_DSN", &self.ledgers[ledger])
            .env("CAM_ART_USERID", USER)
            .env("CAM_ART_PASSWORD", PASSWORD)
            .env("COREOS_DEPLOY_TOKEN", TOKEN)
            .args(["-O", "example.com", "-E", "development", "-a", &api])
            .args(["-t", "deploys", "-y", "payloads", "-s", &self.deploy.url()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// What a process said at its end.
fn told(process: usize, output: &Output) -> String {
    format!(
        "process {process}: {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Ends the processes of a round that went wrong.
fn stop(running: Vec<(usize, Child)>, why: &str) -> String {
    for (_, mut child) in running {
        let _ = child.kill();
        let _ = child.wait();
    }
    why.to_owned()
}
