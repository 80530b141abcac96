//! `settle APP --as deployed|not-deployed`: an operator's word on an open attempt.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::context::Context;
use super::names::with_nearest;
use super::operator::operator;
use crate::cli::SettleAs;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Fence, Ledger, Snapshot};
use crate::model::attempt::{Circumstances, Event, State, Word, advance};
use crate::model::name::Scope;
use crate::model::plan;
use crate::output::Output;
use crate::pass;

/// What an operator says.
pub(super) struct Wanted<'a> {
    pub(super) app: &'a str,
    pub(super) word: Option<SettleAs>,
    pub(super) retry: bool,
    pub(super) reason: Option<&'a str>,
}

impl Wanted<'_> {
    /// What is said of an open attempt; nothing, where only `--retry` was given.
    fn word(&self) -> Result<Option<Word>> {
        Ok(Some(match (self.word, self.retry) {
            (Some(SettleAs::Deployed), true) => {
                return Err(Error::usage("--retry is for what was not deployed")
                    .hint("give `--as not-deployed --retry`, or `--as deployed` alone"));
            }
            (Some(SettleAs::Deployed), false) => Word::Deployed,
            (Some(SettleAs::NotDeployed), true) => Word::TryAgain,
            (Some(SettleAs::NotDeployed), false) => Word::NotDeployed,
            (None, _) => return Ok(None),
        }))
    }

    fn why(&self, what: &str) -> String {
        let reason = self.reason.map_or(String::new(), |r| format!(": {r}"));
        format!("{what} by {}{reason}", operator())
    }
}

/// Closes the open attempts of one app, in whatever state they are. Asks nobody about them: this is
/// for what cannot be found out. What else runs is noted, where it can be seen.
pub(super) fn run(context: &Context<'_>, wanted: &Wanted<'_>) -> Result<Exit> {
    let (scope, word) = (context.scope()?, wanted.word()?);
    let (ports, output) = (context.ports, context.output);
    let mut ledger = pass::open_to_write(ports, output)?;
    let lease = pass::take_lease(
        ledger.as_mut(),
        scope,
        output,
        &context.config.rules,
        ports.clock().as_ref(),
        &[wanted.app],
    )?;
    ledger.take_over(scope, lease.fence())?;
    let snapshot = ledger.snapshot(scope)?;
    let open = snapshot.open.iter().find(|a| a.app == wanted.app);
    let is_open = open.is_some();
    let beside = match open.or_else(|| snapshot.latest.get(wanted.app)) {
        Some(known) => pass::beside(
            ports,
            ledger.as_mut(),
            (scope, context.config.rules.order),
            &snapshot,
            known,
        )?,
        None => BTreeSet::new(),
    };
    let settled = match word {
        Some(word) if is_open => {
            let why = wanted.why(match word {
                Word::Deployed => "settled as deployed",
                Word::NotDeployed => "settled as not deployed",
                Word::TryAgain => "settled as not deployed, to be tried again,",
            });
            let fence = lease.fence();
            let is_its = |a: &Attempt| a.app == wanted.app;
            let said = (word, why.as_str(), &beside);
            close(ledger.as_mut(), fence, &snapshot, is_its, said)?
        }
        None if is_open => {
            return Err(Error::usage(format!("{} has an open attempt", wanted.app))
                .hint("say what became of it: `--as deployed`, or `--as not-deployed --retry`"));
        }
        None => {
            let clock = ports.clock();
            let made = (lease.fence(), clock.as_ref());
            try_again(ledger.as_mut(), scope, made, &snapshot, (wanted, &beside))?
        }
        Some(_) => return Err(nothing_open(&snapshot, wanted.app)),
    };
    show(output, &settled);
    Ok(Exit::Success)
}

/// Lets passes try the versions again that were said not to be deployed.
fn try_again(
    ledger: &mut dyn Ledger,
    scope: &Scope,
    (fence, clock): (&Fence, &dyn Clock),
    snapshot: &Snapshot,
    (wanted, beside): (&Wanted<'_>, &BTreeSet<String>),
) -> Result<Vec<Attempt>> {
    let troubled = snapshot.records.get(wanted.app).map(|r| &r.troubled);
    let dismissed = troubled
        .into_iter()
        .flatten()
        .filter(|(_, trouble)| trouble.state == State::Dismissed);
    let mut again = Vec::new();
    for (version, _) in dismissed {
        let why = wanted.why("allowed to be tried again");
        let said = ("settle", why.as_str());
        let attempt = Attempt {
            accounted: beside.clone(),
            asked_by: Some(operator()),
            ..Attempt::new(wanted.app, version, State::Abandoned, said, clock)
        };
        if let Some(row) = ledger.record(scope, &attempt, None, fence)? {
            return Err(Error::new(Kind::Failed, plan::name_taken(&row)));
        }
        again.push(attempt);
    }
    if again.is_empty() {
        return Err(nothing_open(snapshot, wanted.app));
    }
    Ok(again)
}

fn nothing_open(snapshot: &Snapshot, app: &str) -> Error {
    let error = Error::usage(format!(
        "{app} has no open attempt: there is nothing to settle"
    ));
    let error = match snapshot.latest.get(app) {
        Some(a) => error.because(format!(
            "its last attempt, of {}, is {}",
            a.version,
            a.state.as_str()
        )),
        None => error.because("no attempt of it is recorded"),
    };
    with_nearest(
        error.hint("`status` shows which attempts are open"),
        snapshot,
        app,
    )
}

/// Ends the open attempts that `which` picks, on an operator's word, with who gave it and why, and
/// with what he saw run beside them.
pub(super) fn close(
    ledger: &mut dyn Ledger,
    fence: &Fence,
    snapshot: &Snapshot,
    which: impl Fn(&Attempt) -> bool,
    (word, why, beside): (Word, &str, &BTreeSet<String>),
) -> Result<Vec<Attempt>> {
    let open = snapshot.open.iter().filter(|a| which(a));
    let mut closed = Vec::new();
    for attempt in open {
        let mut attempt = attempt.clone();
        // The word is a verdict by itself: nothing beside it counts.
        let with = Circumstances {
            num_instances: attempt.num_instances as usize,
            age: Duration::ZERO,
            unknown_hold: None,
            quiet: false,
            abandoned_before: false,
            taken_over: false,
            had_failed: false,
        };
        let event = Event::Word(word, why.to_owned());
        // What may be tried again at once uses up no attempt.
        let counts = attempt.counts && word != Word::TryAgain;
        while let Some(mut step) = advance(attempt.state, &event, &with) {
            if !step.to.is_open() && !beside.is_empty() {
                step.accounted = beside.union(&attempt.accounted).cloned().collect();
            }
            if !ledger.advance(&attempt.id, attempt.state, &step, counts, fence)? {
                return Err(pass::changed_by_another(&attempt));
            }
            attempt.state = step.to;
            attempt.message = step.message;
        }
        closed.push(attempt);
    }
    Ok(closed)
}

fn show(output: &Output, settled: &[Attempt]) {
    if output.is_json() {
        let settled: Vec<_> = settled
            .iter()
            .map(|a| json!({"app": a.app, "version": a.version, "attempt": a.id, "state": a.state, "message": a.message}))
            .collect();
        return output.json(&json!({ "settled": settled }));
    }
    for attempt in settled {
        let (app, version) = (&attempt.app, &attempt.version);
        output.line(&format!("{app} {version} is {}", attempt.state.as_str()));
        output.warning(&match attempt.state {
            State::Settled => format!(
                "{app} {version} counts as deployed now: where it does not run after all, `deploy {app} {version} --force` sends it"
            ),
            State::Abandoned => format!(
                "passes may send {version} again: where coreos-deploy is still at work on it, it is deployed twice"
            ),
            _ => format!(
                "passes leave {version} alone until `settle {app} --retry`, `deploy {app} {version}` or a newer marker; where coreos-deploy is still at work on it, the next deploy of this scope runs into it"
            ),
        });
    }
}
