//! Following an attempt: what is heard of it, what that means, and the recording of it.

use std::time::Duration;

use super::Session;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Attempt, TAKEN_OVER_FAILED, TAKEOVER};
use crate::model::attempt::{Circumstances, Event, advance, wants_quiet};

/// The first and the longest pause between two polls.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The circumstances of an attempt at this moment.
pub fn circumstances(
    session: &Session<'_>,
    attempt: &Attempt,
    quiet: bool,
    abandoned_before: bool,
) -> Circumstances {
    Circumstances {
        num_instances: attempt.num_instances as usize,
        age: attempt.age(session.clock.as_ref()),
        unknown_hold: session.deploy.unknown_hold,
        quiet,
        abandoned_before,
        taken_over: attempt.command == TAKEOVER,
        had_failed: attempt.command == TAKEOVER && attempt.message == TAKEN_OVER_FAILED,
    }
}

/// Lets the state machine decide, and records its move. Returns whether the attempt moved.
pub fn apply(
    session: &mut Session<'_>,
    attempt: &mut Attempt,
    event: &Event,
    with: &Circumstances,
) -> Result<bool> {
    let Some(step) = advance(attempt.state, event, with) else {
        return Ok(false);
    };
    let (id, from, fence) = (&attempt.id, attempt.state, session.lease.fence());
    let moved = session
        .ledger
        .advance(id, from, &step, attempt.counts, fence)
        .map_err(|e| {
            let id = step.deploy_id.as_ref().or(attempt.deploy_id.as_ref());
            let id = id.map_or_else(String::new, |id| format!(" (deploy id {id})"));
            Error {
                kind: Kind::Unknown,
                ..e
            }
            .because(format!(
                "{} {}: it is {}{id}, but that could not be recorded",
                attempt.app,
                attempt.version,
                step.to.as_str()
            ))
            .hint("the next pass finds out what became of it; nothing is sent before")
        })?;
    if !moved {
        return Err(changed_by_another(attempt));
    }
    attempt.state = step.to;
    attempt.message = step.message;
    attempt.deploy_id = step.deploy_id.or(attempt.deploy_id.take());
    Ok(true)
}

/// The attempt is no longer in the state that it was read in (exit 4).
pub fn changed_by_another(attempt: &Attempt) -> Error {
    let (id, app) = (&attempt.id, &attempt.app);
    Error::new(
        Kind::Unknown,
        format!("attempt {id} of {app} was changed by somebody else"),
    )
}

/// Polls a submitted attempt until it ended, `limit` or the pass is over, or somebody wants us to
/// stop. What is asked meanwhile does not outlive that either.
pub fn poll(
    session: &mut Session<'_>,
    attempt: &mut Attempt,
    limit: Duration,
    abandoned_before: bool,
) -> Result<()> {
    let end = session.deadline.within(limit);
    session.target.until(end.clone());
    let polled = poll_until(session, attempt, &end, abandoned_before);
    session.target.until(session.deadline.clone());
    polled
}

fn poll_until(
    session: &mut Session<'_>,
    attempt: &mut Attempt,
    end: &Deadline,
    abandoned_before: bool,
) -> Result<()> {
    let mut pause = POLL.0;
    let mut is_first = true;
    let id = attempt.deploy_id.clone().unwrap_or_default();
    while session
        .interrupt
        .sleep(session.clock.as_ref(), end.left(pause))
    {
        let ask = |session: &Session<'_>, attempt: &Attempt| {
            let (service, version) = (&attempt.service_name, &attempt.version);
            Event::Status(session.target.status(&id, service, version))
        };
        let mut event = ask(session, attempt);
        let mut with = circumstances(session, attempt, false, abandoned_before);
        if wants_quiet(attempt.state, &event, &with) {
            // Quiet takes its time, and is found once even where `limit` is shorter than that: an
            // attempt that nothing else is heard of would stay open for ever.
            let patience = if is_first { &session.deadline } else { end };
            with.quiet = is_quiet(session, patience);
            // Quiet was waited for: what counts is what the quiet server still says.
            event = ask(session, attempt);
        }
        if apply(session, attempt, &event, &with)? {
            return Ok(());
        }
        if end.is_over() || session.stopped().is_some() {
            break;
        }
        is_first = false;
        pause = (pause * 3 / 2).min(POLL.1);
    }
    attempt.message = "its outcome cannot be read yet; the next pass asks again".to_owned();
    Ok(())
}

/// Whether the target is idle, as far as nobody wants us to stop meanwhile, and the time suffices.
pub fn is_quiet(session: &Session<'_>, end: &Deadline) -> bool {
    let is_stopped = || session.interrupt.requested().is_some() || end.is_over();
    session.target.is_quiet(&is_stopped)
}
