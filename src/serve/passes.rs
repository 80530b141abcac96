//! The passes of a server: asked for by clients and by the clock, run one at a time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::Metrics;
use super::child::{self, Finished, Launch, RESULTS};
use crate::clock::{Clock, System};
use crate::model::report::Report;

/// What became of a wish for a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedState {
    /// It starts now.
    Started,
    /// It follows the one that runs.
    Queued,
}

/// The answer to a wish for a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The id of the pass, which its report will have.
    pub pass: String,
    /// Whether it starts or waits.
    pub state: ForcedState,
}

/// What a server knows of its passes since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassFigures {
    /// The id of the pass that runs.
    pub running: Option<String>,
    /// The id of the pass that follows it.
    pub queued: Option<String>,
    /// The report of the last pass that printed one.
    pub last_report: Option<Arc<Report>>,
    /// The report of the last pass that saw the apps: one that was stopped before (no lease, no
    /// Artifactory) tells nothing of them.
    pub last_survey: Option<Arc<Report>>,
    /// When a pass last ended with exit code 0, in milliseconds since 1970 UTC.
    pub last_success_at: Option<i64>,
    /// When a pass last ended that saw all apps, in milliseconds since 1970 UTC.
    pub last_scan_at: Option<i64>,
    /// How many passes ended, by result: every word of `RESULTS` is there.
    pub results: BTreeMap<&'static str, u64>,
}

/// A handle on the passes of a server; clones share them.
#[derive(Clone)]
pub struct Passes(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    queue: Queue,
    /// All but `running` and `queued`, which the queue knows.
    figures: PassFigures,
}

impl Default for Passes {
    /// No pass runs, and none will before a server starts them.
    fn default() -> Self {
        let figures = PassFigures {
            results: RESULTS.into_iter().map(|word| (word, 0)).collect(),
            ..PassFigures::default()
        };
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                queue: Queue::default(),
                figures,
            }),
            wake: Notify::new(),
        }))
    }
}

impl Passes {
    /// Asks for a pass and says which one it will be. Never blocks. Where the server is asked to
    /// stop before a pass has started, the wish is lost with it.
    pub fn force(&self) -> Forced {
        let forced = self.state().queue.force(new_id);
        self.0.wake.notify_one();
        forced
    }

    /// What is known of the passes now.
    pub fn figures(&self) -> PassFigures {
        let state = self.state();
        PassFigures {
            running: state.queue.running().map(str::to_owned),
            queued: state.queue.queued().map(str::to_owned),
            ..state.figures.clone()
        }
    }

    fn poll(&self) {
        self.state().queue.poll(new_id);
    }

    fn begin(&self) -> Option<String> {
        self.state().queue.begin()
    }

    fn ended(&self, finished: &Finished) {
        let mut state = self.state();
        state.queue.ended();
        let figures = &mut state.figures;
        *figures.results.entry(finished.result).or_default() += 1;
        if finished.code == Some(0) {
            figures.last_success_at = Some(System.now_ms());
        }
        if let Some(report) = &finished.report {
            figures.last_report = Some(Arc::clone(report));
            if report.complete {
                figures.last_scan_at = Some(System.now_ms());
            }
            if report.error.is_none() || !report.apps.is_empty() {
                figures.last_survey = Some(Arc::clone(report));
            }
        }
    }

    /// A thread that panicked cannot have left the state half changed: every change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// What starts the passes of a server.
pub(super) struct Runner {
    pub(super) passes: Passes,
    pub(super) launch: Launch,
    /// From the end of a pass to the start of the next; `None`: only when asked to.
    pub(super) polling: Option<Duration>,
    pub(super) metrics: Arc<Metrics>,
}

impl Runner {
    /// Runs one pass after the other until told to stop; one that runs then is ended first. With
    /// polling the first pass starts at once.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        if self.polling.is_some() {
            self.passes.poll();
        }
        while !*stop.borrow_and_update() {
            if let Some(pass) = self.passes.begin() {
                self.run_one(&pass, &stop).await;
                continue;
            }
            // A new pause whenever a pass ended: a forced one restarts the interval.
            tokio::select! {
                () = self.passes.0.wake.notified() => {}
                () = pause(self.polling) => self.passes.poll(),
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn run_one(&self, pass: &str, stop: &watch::Receiver<bool>) {
        info!("pass {pass} starts");
        let finished = child::run(&self.launch, pass, stop.clone()).await;
        let line = described(pass, &finished);
        match finished.result {
            "success" | "try_later" | "interrupted" => info!("{line}"),
            _ => warn!("{line}"),
        }
        let report = finished.report.as_deref();
        self.metrics
            .observe_pass(finished.result, finished.duration, report);
        self.passes.ended(&finished);
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// How a pass ended, on one line. What stopped it, it has said itself.
fn described(pass: &str, finished: &Finished) -> String {
    let code = finished.code.map_or_else(
        || "no exit code".to_owned(),
        |code| format!("exit code {code}"),
    );
    let time = finished.duration.as_secs_f64();
    let mut line = format!(
        "pass {pass} ended: {}, {code}, {time:.1} s",
        finished.result
    );
    if let Some(report) = &finished.report {
        let s = report.summary;
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "; {} apps, {} due, {} deployed, {} failed, {} unknown",
            s.apps, s.due, s.deployed, s.failed, s.unknown
        );
    }
    line
}

/// The pass that runs and the one that follows, by id. A value without clock or I/O.
#[derive(Debug, Default)]
pub(super) struct Queue {
    running: Option<Running>,
    queued: Option<String>,
}

/// A pass that was promised: it stands here from the promise on, before its process does.
#[derive(Debug)]
struct Running {
    pass: String,
    /// Whether its process was asked for.
    begun: bool,
}

impl Queue {
    /// Asks for a pass: one that starts now, or the one that follows what runs, which is the same
    /// for all who ask meanwhile. `new_id` names a pass where one is made.
    pub(super) fn force(&mut self, new_id: impl FnOnce() -> String) -> Forced {
        if self.running.is_none() {
            let pass = new_id();
            self.promise(pass.clone());
            return Forced {
                pass,
                state: ForcedState::Started,
            };
        }
        Forced {
            pass: self.queued.get_or_insert_with(new_id).clone(),
            state: ForcedState::Queued,
        }
    }

    /// Asks for a pass because it is time: one that runs is as good.
    pub(super) fn poll(&mut self, new_id: impl FnOnce() -> String) {
        if self.running.is_none() {
            self.promise(new_id());
        }
    }

    /// Takes the pass whose process is to be started now, once.
    pub(super) fn begin(&mut self) -> Option<String> {
        let next = self.running.as_mut().filter(|running| !running.begun)?;
        next.begun = true;
        Some(next.pass.clone())
    }

    /// Notes that the pass is over: what was queued is next.
    pub(super) fn ended(&mut self) {
        self.running = None;
        if let Some(pass) = self.queued.take() {
            self.promise(pass);
        }
    }

    /// The pass that runs.
    pub(super) fn running(&self) -> Option<&str> {
        self.running.as_ref().map(|running| running.pass.as_str())
    }

    /// The pass that follows.
    pub(super) fn queued(&self) -> Option<&str> {
        self.queued.as_deref()
    }

    fn promise(&mut self, pass: String) {
        self.running = Some(Running { pass, begun: false });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::path::Path;

    use super::*;

    /// A server's passes, each of them this shell script with the pass's id as `$1`.
    fn start(
        script: &str,
        polling: Option<Duration>,
    ) -> (
        Passes,
        Arc<Metrics>,
        watch::Sender<bool>,
        tokio::task::JoinHandle<()>,
    ) {
        let passes = Passes::default();
        let metrics = Arc::new(Metrics::new());
        let (stop, stopped) = watch::channel(false);
        let runner = Runner {
            passes: passes.clone(),
            launch: Launch::script(script),
            polling,
            metrics: Arc::clone(&metrics),
        };
        let task = tokio::spawn(runner.run(stopped));
        (passes, metrics, stop, task)
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..1500 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited too long: {what}");
    }

    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_at_once_are_one_that_runs_and_one_that_follows() {
        let dir = tempfile::tempdir().unwrap();
        let (log, go) = (dir.path().join("log"), dir.path().join("go"));
        let script = format!(
            "echo begin $1 >> {log}; while [ ! -e {go} ]; do sleep 0.02; done; echo end $1 >> {log}",
            log = log.display(),
            go = go.display()
        );
        let (passes, _, stop, task) = start(&script, None);
        let asked: Vec<_> = (0..200)
            .map(|_| {
                let passes = passes.clone();
                tokio::spawn(async move { passes.force() })
            })
            .collect();
        let mut forced = Vec::new();
        for asked in asked {
            forced.push(asked.await.unwrap());
        }
        let started: Vec<_> = forced
            .iter()
            .filter(|f| f.state == ForcedState::Started)
            .collect();
        let queued: Vec<_> = forced
            .iter()
            .filter(|f| f.state == ForcedState::Queued)
            .collect();
        assert_eq!((started.len(), queued.len()), (1, 199));
        assert!(queued.iter().all(|f| f.pass == queued[0].pass));
        let figures = passes.figures();
        assert_eq!(figures.running.as_deref(), Some(started[0].pass.as_str()));
        assert_eq!(figures.queued.as_deref(), Some(queued[0].pass.as_str()));
        std::fs::write(&go, "").unwrap();
        until("both", || passes.figures().results["success"] == 2).await;
        let (a, b) = (&started[0].pass, &queued[0].pass);
        let expected = [
            format!("begin {a}"),
            format!("end {a}"),
            format!("begin {b}"),
            format!("end {b}"),
        ];
        assert_eq!(lines(&log), expected);
        assert_eq!(passes.figures().running, None);
        assert!(passes.figures().last_success_at.is_some());
        stop.send(true).unwrap();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn the_clock_starts_passes_and_the_first_one_comes_at_once() {
        let (passes, _, stop, task) = start("exit 75", Some(Duration::from_millis(50)));
        until("three passes", || {
            passes.figures().results["try_later"] >= 3
        })
        .await;
        stop.send(true).unwrap();
        task.await.unwrap();
        let (passes, _, stop, task) = start("exit 0", Some(Duration::from_secs(3600)));
        until("the first pass", || {
            passes.figures().results["success"] == 1
        })
        .await;
        stop.send(true).unwrap();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn without_polling_nothing_starts_by_itself() {
        let (passes, _, stop, task) = start("exit 0", None);
        let forced = passes.force();
        assert_eq!(forced.state, ForcedState::Started);
        until("the pass", || passes.figures().results["success"] == 1).await;
        assert_eq!(passes.figures().results.values().sum::<u64>(), 1);
        stop.send(true).unwrap();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_the_pass_that_runs_and_starts_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        // `read` waits for the end of standard input, as a pass does.
        let script = format!("echo $1 >> {}; read line; exit 143", log.display());
        let (passes, _, stop, task) = start(&script, Some(Duration::from_secs(1)));
        until("the pass", || lines(&log).len() == 1).await;
        passes.force();
        stop.send(true).unwrap();
        task.await.unwrap();
        assert_eq!(lines(&log).len(), 1);
        assert_eq!(passes.figures().results["interrupted"], 1);
    }

    #[test]
    fn a_pass_that_saw_no_app_hides_none() {
        let passes = Passes::default();
        let scope = crate::model::name::Scope {
            domain: "example.com".into(),
            environment: "qa".into(),
        };
        let end = |stopped: Option<&crate::error::Error>| {
            let (report, _) =
                crate::pass::ReportBuilder::new("run", System::shared()).report(&scope, stopped);
            let pass = report.pass.clone();
            passes.ended(&Finished {
                result: "success",
                code: None,
                report: Some(Arc::new(report)),
                duration: Duration::ZERO,
            });
            pass
        };
        let saw = end(None);
        let refused = end(Some(&crate::error::Error::unavailable("no Artifactory")));
        let figures = passes.figures();
        assert_eq!(figures.last_survey.unwrap().pass, saw);
        assert_eq!(figures.last_report.unwrap().pass, refused);
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_started_is_a_result_and_no_end() {
        let passes = Passes::default();
        let (stop, stopped) = watch::channel(false);
        let runner = Runner {
            passes: passes.clone(),
            launch: Launch::script("").of(Path::new("/nonexistent")),
            polling: None,
            metrics: Arc::new(Metrics::new()),
        };
        let task = tokio::spawn(runner.run(stopped));
        for count in 1..=3 {
            assert_eq!(passes.force().state, ForcedState::Started);
            until("the error", || passes.figures().results["error"] == count).await;
        }
        stop.send(true).unwrap();
        task.await.unwrap();
    }

    #[test]
    fn one_runs_one_follows_and_all_who_ask_are_told_which() {
        let mut queue = Queue::default();
        assert_eq!(queue.begin(), None);
        let first = queue.force(|| "a".into());
        assert_eq!(
            (first.pass.as_str(), first.state),
            ("a", ForcedState::Started)
        );
        let second = queue.force(|| "b".into());
        assert_eq!(
            (second.pass.as_str(), second.state),
            ("b", ForcedState::Queued)
        );
        assert_eq!(queue.begin().as_deref(), Some("a"));
        assert_eq!(queue.begin(), None);
        assert_eq!(queue.force(|| "c".into()).pass, "b");
        queue.poll(|| "d".into());
        assert_eq!((queue.running(), queue.queued()), (Some("a"), Some("b")));
        queue.ended();
        assert_eq!((queue.running(), queue.queued()), (Some("b"), None));
        assert_eq!(queue.begin().as_deref(), Some("b"));
        queue.ended();
        assert_eq!(queue.begin(), None);
        assert_eq!(queue.running(), None);
        queue.poll(|| "e".into());
        assert_eq!(queue.begin().as_deref(), Some("e"));
    }

    proptest! {
        /// Whatever happens in whatever order: processes one at a time, each promised id is begun
        /// exactly once, in the order of the promises.
        #[test]
        fn every_promise_is_kept_once(events in proptest::collection::vec(0..4u8, 0..200)) {
            let mut queue = Queue::default();
            let (mut promised, mut begun) = (Vec::new(), Vec::new());
            let (mut id, mut process) = (0, false);
            let mut drain = 0;
            let mut events = events.into_iter();
            loop {
                let event = match events.next() {
                    Some(event) => event,
                    None if drain < 8 => { drain += 1; 2 + drain % 2 }
                    None => break,
                };
                let mut new_id = || { id += 1; id.to_string() };
                match event {
                    0 => {
                        let idle = queue.running().is_none();
                        let forced = queue.force(&mut new_id);
                        prop_assert_eq!(forced.state == ForcedState::Started, idle);
                        if promised.last() != Some(&forced.pass) {
                            promised.push(forced.pass);
                        }
                    }
                    1 => {
                        queue.poll(&mut new_id);
                        let running = queue.running().unwrap().to_owned();
                        if !promised.contains(&running) {
                            promised.push(running);
                        }
                    }
                    2 => if let Some(pass) = queue.begin() {
                        prop_assert!(!process);
                        process = true;
                        begun.push(pass);
                    },
                    _ => if std::mem::take(&mut process) {
                        queue.ended();
                    },
                }
            }
            prop_assert_eq!(begun, promised);
            prop_assert_eq!(queue.running(), None);
        }
    }
}
