//! How a command that may deploy ends: with one document and, where it had the lease, one record.
//!
//! A signal asks the command to stop at its next safe point. Where a peer, the database or a reader
//! keeps it from getting there in time, the one who watches it makes record and document of what was
//! found out so far, and ends the process: as safe as `kill -9`, and not as silent. So it does where
//! the command takes longer than any may, since a peer goes on sending and is never late.

use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope as Threads};
use std::time::Duration;

use super::{Interrupt, Ports, ReportBuilder};
use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Access, PassRecord};
use crate::model::name::Scope;
use crate::output::Output;

/// How long the command gets to stop by itself, counted anew from the end of a critical section.
const GRACE: Duration = Duration::from_secs(3);
/// The same at most: a reply to a POST that is not there after 10 s was dropped.
const LONGEST: Duration = Duration::from_secs(13);
/// How long the record may take, and how long the document: less in all than who started us waits
/// (`serve`: 18 s).
const LAST_STEP: Duration = Duration::from_secs(2);
/// How often it is looked for a signal.
const TICK: Duration = Duration::from_millis(50);

/// How far a command has got with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It works.
    Working,
    /// Its record is being made.
    Recording,
    /// Its record is made, if there is to be one.
    Recorded,
    /// It tells how it ended.
    Telling(Exit),
    /// Nothing is left to do.
    Over,
    /// Who watches it does the rest.
    TakenOver,
}

/// What is left to do for the one who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Record and document.
    All,
    /// The document: the record is made, or tried without an end.
    Document,
    /// The exit.
    Exit(Exit),
    /// Nothing: the command has ended after all.
    Nothing,
}

struct Progress {
    stage: Stage,
    has_lease: bool,
}

struct Shared {
    interrupt: Interrupt,
    report: Mutex<ReportBuilder>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// The end of one command, and what has been found out until then. Shared with who watches it.
#[derive(Clone)]
pub struct Ending(Arc<Shared>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ending {
    /// Of a command that begins.
    pub fn new(interrupt: Interrupt, report: ReportBuilder) -> Self {
        Self(Arc::new(Shared {
            interrupt,
            report: Mutex::new(report),
            progress: Mutex::new(Progress {
                stage: Stage::Working,
                has_lease: false,
            }),
            changed: Condvar::new(),
        }))
    }

    /// What was found out so far. Nothing may be waited for while it is held.
    pub fn report(&self) -> MutexGuard<'_, ReportBuilder> {
        lock(&self.0.report)
    }

    /// Whether somebody wants the command to stop.
    pub fn interrupt(&self) -> &Interrupt {
        &self.0.interrupt
    }

    /// The command holds the lease from now on: its end is recorded.
    pub fn with_lease(&self) {
        lock(&self.0.progress).has_lease = true;
    }

    /// The command makes its record.
    pub fn recording(&self) {
        self.enter(Stage::Recording);
    }

    /// The record is made.
    pub fn recorded(&self) {
        self.enter(Stage::Recorded);
    }

    /// The command tells how it ended.
    pub fn telling(&self, exit: Exit) {
        self.enter(Stage::Telling(exit));
    }

    /// Goes on to a stage; never, where who watches does the rest.
    fn enter(&self, stage: Stage) {
        let mut progress = lock(&self.0.progress);
        while progress.stage == Stage::TakenOver {
            progress = self
                .0
                .changed
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
        progress.stage = stage;
        self.0.changed.notify_all();
    }

    /// Carries out a command, and sees to its end should a signal come that it doesn't heed in time,
    /// or should it take longer than `limit`.
    ///
    /// Errors: those of the command; 69 where it can't be watched.
    pub fn watched(
        &self,
        ports: &dyn Ports,
        (scope, output): (&Scope, &Output),
        limit: Duration,
        command: impl FnOnce() -> Result<Exit>,
    ) -> Result<Exit> {
        std::thread::scope(|threads| {
            let over = Over(self);
            if self.0.interrupt.is_installed() {
                let watch = move || self.watch(threads, ports, (scope, output), limit);
                Builder::new()
                    .name("watch".into())
                    .spawn_scoped(threads, watch)
                    .map_err(|e| Error::shortage("signals cannot be watched for").because_of(&e))?;
            }
            let ended = command();
            let exit = ended
                .as_ref()
                .map_or_else(|e| Exit::of(e.kind), |exit| *exit);
            self.telling(exit);
            drop(over);
            ended
        })
    }

    fn watch<'scope>(
        &'scope self,
        threads: &'scope Threads<'scope, '_>,
        ports: &'scope dyn Ports,
        (scope, output): (&'scope Scope, &'scope Output),
        limit: Duration,
    ) {
        let clock = ports.clock();
        let Some(error) = self.until_stopped(&clock, limit) else {
            return;
        };
        if !self.is_patience_over(&clock) {
            return;
        }
        let exit = match self.take_over(LAST_STEP) {
            Rest::Nothing => return,
            Rest::Exit(exit) => exit,
            rest @ (Rest::All | Rest::Document) => {
                let last = Last {
                    threads,
                    ports,
                    scope,
                    output,
                };
                last.word(&mut self.report(), rest == Rest::All, error)
            }
        };
        std::process::exit(i32::from(exit.code()));
    }

    /// Waits for a signal, or for the end of the time that there is, and says what to tell of it;
    /// `None` where the command ended before.
    fn until_stopped(&self, clock: &SharedClock, limit: Duration) -> Option<Error> {
        let begun = clock.elapsed();
        let carries_on = "what was submitted stays recorded; the next pass carries on";
        loop {
            if let Some(kind) = self.0.interrupt.requested() {
                let message = "interrupted while it had to wait for somebody else";
                return Some(Error::new(kind, message).hint(carries_on));
            }
            if clock.since(begun) > limit {
                let limit = humantime::format_duration(limit);
                let message = format!("not over after {limit}, which no command takes");
                let error = Error::unavailable(message)
                    .because("Artifactory, the ledger or coreos-deploy kept it without an end");
                return Some(error.hint(carries_on));
            }
            if self.is_over_after(TICK) {
                return None;
            }
        }
    }

    /// Lets the command stop by itself; false where it did.
    fn is_patience_over(&self, clock: &SharedClock) -> bool {
        let begun = clock.elapsed();
        let mut calm = begun;
        while clock.since(calm) < GRACE && clock.since(begun) < LONGEST {
            if self.is_over_after(TICK) {
                return false;
            }
            if self.0.interrupt.is_critical() {
                calm = clock.elapsed();
            }
        }
        true
    }

    /// Whether the command has ended, after `time` at the latest.
    fn is_over_after(&self, time: Duration) -> bool {
        let progress = lock(&self.0.progress);
        let waits = |p: &mut Progress| p.stage != Stage::Over;
        let waited = self.0.changed.wait_timeout_while(progress, time, waits);
        let (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        progress.stage == Stage::Over
    }

    /// Takes the rest over from the command. What it has just begun it may finish.
    fn take_over(&self, patience: Duration) -> Rest {
        let progress = lock(&self.0.progress);
        let is_at_it = |p: &mut Progress| !matches!(p.stage, Stage::Working | Stage::Over);
        let waited = self
            .0
            .changed
            .wait_timeout_while(progress, patience, is_at_it);
        let (mut progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let rest = match progress.stage {
            Stage::Over => return Rest::Nothing,
            Stage::Telling(exit) => Rest::Exit(exit),
            Stage::Working if progress.has_lease => Rest::All,
            _ => Rest::Document,
        };
        progress.stage = Stage::TakenOver;
        rest
    }
}

/// Ends the watch, however the command ended.
struct Over<'a>(&'a Ending);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.enter(Stage::Over);
    }
}

/// What record and document of a command are made with that doesn't end by itself.
struct Last<'scope, 'env> {
    threads: &'scope Threads<'scope, 'env>,
    ports: &'scope dyn Ports,
    scope: &'scope Scope,
    output: &'scope Output,
}

impl<'scope> Last<'scope, '_> {
    /// Records, where it is to be recorded, and tells how the command ended; each in a short time.
    fn word(&self, found: &mut ReportBuilder, is_recorded: bool, error: Error) -> Exit {
        found.leave_due(&error.message);
        let (mut report, exit) = found.report(self.scope, Some(&error));
        let unrecorded = is_recorded
            .then(|| self.record(found.record(report.clone())))
            .flatten();
        if let Some(unrecorded) = &unrecorded {
            let why = unrecorded.one_line();
            let told = report.error.get_or_insert_default();
            told.push_str("; ");
            told.push_str(&why);
        }
        let output = self.output;
        self.bounded(move || {
            output.report(&report, None);
            output.error(&error);
            if let Some(unrecorded) = unrecorded {
                output.error(&unrecorded);
            }
        });
        exit
    }

    /// Why it could not be recorded, if so. The connection of the command may be what hangs.
    fn record(&self, record: PassRecord) -> Option<Error> {
        let (ports, scope) = (self.ports, self.scope);
        let recorded = self.bounded(move || {
            let mut ledger = ports.ledger(Access::Write)?;
            ledger.finish_pass(scope, &record)
        });
        let late = || Err(Error::unavailable("the ledger did not answer in time"));
        recorded.unwrap_or_else(late).err()
    }

    /// Does something for at most [`LAST_STEP`]; `None` where it wasn't done by then.
    fn bounded<T: Send + 'scope>(&self, work: impl FnOnce() -> T + Send + 'scope) -> Option<T> {
        let (sender, receiver) = channel();
        // The receiver is gone when the time was over.
        let work = move || drop(sender.send(work()));
        Builder::new().spawn_scoped(self.threads, work).ok()?;
        receiver.recv_timeout(LAST_STEP).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, System};
    use crate::error::Kind;

    fn ending() -> Ending {
        let report = ReportBuilder::new("run", System::shared());
        Ending::new(Interrupt::none(), report)
    }

    #[test]
    fn each_of_record_and_document_is_made_by_one_of_both() {
        let told = Stage::Telling(Exit::Failed);
        for (stage, has_lease, rest) in [
            (Stage::Working, false, Rest::Document),
            (Stage::Working, true, Rest::All),
            (Stage::Recording, true, Rest::Document),
            (Stage::Recorded, true, Rest::Document),
            (told, true, Rest::Exit(Exit::Failed)),
            (Stage::Over, true, Rest::Nothing),
        ] {
            let ending = ending();
            if has_lease {
                ending.with_lease();
            }
            ending.enter(stage);
            assert_eq!(ending.take_over(Duration::ZERO), rest, "{stage:?}");
        }
    }

    #[test]
    fn what_the_command_has_begun_it_may_finish() {
        let ending = ending();
        ending.recording();
        std::thread::scope(|threads| {
            let rest = threads.spawn(|| ending.take_over(Duration::from_secs(600)));
            ending.recorded();
            ending.telling(Exit::Success);
            ending.enter(Stage::Over);
            assert_eq!(rest.join().unwrap(), Rest::Nothing);
        });
    }

    #[test]
    fn the_command_gets_no_further_once_the_rest_is_taken_over() {
        let ending = ending();
        assert_eq!(ending.take_over(Duration::ZERO), Rest::Document);
        let (sender, told) = channel();
        let of_the_command = ending.clone();
        std::thread::spawn(move || {
            of_the_command.telling(Exit::Success);
            let _ = sender.send(());
        });
        let waited = told.recv_timeout(Duration::from_millis(100));
        assert!(waited.is_err(), "two documents");
    }

    #[test]
    fn a_command_that_takes_longer_than_any_may_is_stopped() {
        let hand = crate::clock::testing::Hand::shared();
        let clock: SharedClock = hand.clone();
        let (ending, limit) = (ending(), Duration::from_secs(3600));
        let began = hand.elapsed();
        std::thread::scope(|threads| {
            let watch = threads.spawn(|| ending.until_stopped(&clock, limit));
            while !watch.is_finished() {
                hand.sleep(TICK);
                std::thread::yield_now();
            }
            let error = watch.join().unwrap().unwrap();
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.message.contains("1h"), "{error:?}");
        });
        assert!(hand.since(began) > limit);
        ending.enter(Stage::Over);
        assert_eq!(ending.until_stopped(&clock, limit), None);
    }

    #[test]
    fn a_critical_section_is_waited_for_but_not_for_ever() {
        let hand = crate::clock::testing::Hand::shared();
        let clock: SharedClock = hand.clone();
        for (is_critical, least) in [(false, GRACE), (true, LONGEST)] {
            let ending = ending();
            let begun = hand.elapsed();
            let critical = is_critical.then(|| ending.interrupt().critical());
            std::thread::scope(|threads| {
                let patience = threads.spawn(|| ending.is_patience_over(&clock));
                while !patience.is_finished() {
                    hand.sleep(TICK);
                    std::thread::yield_now();
                }
                assert!(patience.join().unwrap());
            });
            drop(critical);
            assert!(hand.since(begun) >= least);
        }
        let ended = ending();
        ended.enter(Stage::Over);
        assert!(!ended.is_patience_over(&clock));
    }
}
