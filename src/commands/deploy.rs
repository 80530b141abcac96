//! `deploy APP VERSION`: this version now, whatever is newest.

use super::in_session;
use super::operator::operator;
use super::settle::close;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Snapshot};
use crate::model::attempt::{State, Word};
use crate::model::listing::{AppFilter, ListingBuilder};
use crate::model::plan::Hold;
use crate::output::Output;
use crate::pass::{self, Invocation, Job, Prepared, Preparer, Session, now_ms};

/// What an operator asks for.
pub(super) struct Asked<'a> {
    pub(super) command: &'static str,
    pub(super) app: &'a str,
    pub(super) version: &'a str,
    /// Also where it is deployed already.
    pub(super) force: bool,
    pub(super) no_hold: bool,
    /// What it goes back from: passes are kept from deploying that again.
    pub(super) above: Option<&'a str>,
}

/// Deploys one version.
pub(super) fn run(config: &Config, output: &Output, asked: &Asked<'_>) -> Result<Exit> {
    let invocation = Invocation::about(asked.command, asked.app);
    in_session(config, output, &invocation, |session| {
        let prepared = if asked.force {
            give_up_unknown(session, asked)?
        } else {
            None
        };
        let snapshot = match &prepared {
            // Nothing will be sent: what is wrong with the payload is what has to be told.
            Some(Prepared::Error(..) | Prepared::Waiting(_)) => pass::begin(session)?,
            _ => resolve(session)?.0,
        };
        carry_out(session, &snapshot, asked, prepared)
    })
}

/// Takes over, and resolves what is open (else exit 4). Returns which attempts were open, too.
pub(super) fn resolve(session: &mut Session<'_>) -> Result<(Snapshot, Vec<String>)> {
    let snapshot = pass::begin(session)?;
    if snapshot.open.is_empty() {
        return Ok((snapshot, Vec::new()));
    }
    if !pass::resolve_open(session, &snapshot)? {
        return Err(Error::new(
            Exit::Unknown,
            "an attempt of this scope is still open: nothing was sent",
        )
        .hint(
            "`status` shows it; the next pass looks again, and `settle` closes it on your word",
        ));
    }
    let were_open = snapshot.open.into_iter().map(|a| a.id).collect();
    Ok((session.ledger.snapshot(session.scope)?, were_open))
}

/// Gives up the `unknown` attempts of the app, once the payload that takes their place is ready.
fn give_up_unknown(session: &mut Session<'_>, asked: &Asked<'_>) -> Result<Option<Prepared>> {
    let snapshot = pass::begin(session)?;
    let is_unknown = |a: &Attempt| a.app == asked.app && a.state == State::Unknown;
    if !snapshot.open.iter().any(is_unknown) {
        return Ok(None);
    }
    let (app, version) = (asked.app, asked.version);
    let prepared = Preparer::of(session, &snapshot).one(app, version, false)?;
    if matches!(prepared, Prepared::Ready(_)) {
        let why = format!("given up for a deploy of {version} by {}", operator());
        let token = session.token();
        for attempt in close(
            session.ledger.as_mut(),
            token,
            &snapshot,
            is_unknown,
            (Word::NotDeployed, &why),
        )? {
            let (id, version) = (&attempt.id, &attempt.version);
            session
                .output
                .warning(&format!("{app}: attempt {id} of {version} is given up"));
        }
    }
    Ok(Some(prepared))
}

/// Deploys what was ordered, unless it is deployed already.
pub(super) fn carry_out(
    session: &mut Session<'_>,
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    prepared: Option<Prepared>,
) -> Result<()> {
    let deployed = snapshot
        .records
        .get(asked.app)
        .and_then(|r| r.deployed.clone());
    if deployed.as_deref() == Some(asked.version) && !asked.force {
        session.report.deployed_already(asked.app, asked.version);
        if !session.output.is_json() {
            let what = format!("{} {} is deployed already", asked.app, asked.version);
            session.output.line(&what);
        }
        return Ok(());
    }
    let rules = session.rules;
    let is_older = |d: &&str| rules.order.key(asked.version) < rules.order.key(d);
    let above = asked.above.or(deployed.as_deref().filter(is_older));
    let place_hold = match above {
        Some(above) if !asked.no_hold => Some(hold_for(session, asked, above)?),
        _ => None,
    };
    session.report.request(
        asked.app,
        deployed,
        asked.version,
        format!("asked for by `{}`", asked.command),
    );
    let prepared = if let Some(prepared) = prepared {
        prepared
    } else {
        let (app, version) = (asked.app, asked.version);
        Preparer::of(session, snapshot).one(app, version, false)?
    };
    match prepared {
        Prepared::Ready(ready) => {
            let job = Job {
                ready: &ready,
                command: asked.command,
                respect_holds: false,
                place_hold,
                observe: None,
            };
            let result = pass::deploy_one(session, &job);
            if job.place_hold.is_some() && session.report.was_tried(asked.app) {
                warn_of_hold(session, asked.app);
            }
            result
        }
        Prepared::Error(error, bad) => {
            session
                .report
                .not_sent(asked.app, Prepared::Error(error.clone(), bad));
            Err(error)
        }
        Prepared::Waiting(reason) => Err(Error::new(Exit::Failed, reason)),
    }
}

/// The hold that keeps passes from undoing a deploy of an older version: until a version newer than
/// the newest marker, and than `above`, is marked.
pub(super) fn hold_for(session: &Session<'_>, asked: &Asked<'_>, above: &str) -> Result<Hold> {
    let rules = session.rules;
    let filter = AppFilter {
        include: vec![asked.app.to_owned()],
        exclude: Vec::new(),
    };
    let nothing = std::collections::BTreeMap::new();
    let builder = ListingBuilder::new(rules.order, filter, nothing, false);
    let unread = |e: Error| {
        e.because("an older version is held until one newer than the newest marker appears, so the markers must be read")
            .hint("`deploy --no-hold` deploys without a hold")
    };
    let mut listing = session.releases.list(builder).map_err(unread)?;
    let offered = listing.apps.remove(asked.app).unwrap_or_default();
    if let Some(reason) = offered.unreadable {
        return Err(unread(Error::unavailable(reason)));
    }
    let key = |v: &str| rules.order.key(v);
    let newest = offered.newest.filter(|newest| key(newest) > key(above));
    Ok(Hold {
        reason: format!("`{}` of {}", asked.command, asked.version),
        until: None,
        newer_than: Some(newest.unwrap_or_else(|| above.to_owned())),
        placed_by: asked.command.to_owned(),
        placed_at: now_ms(),
    })
}

/// Says what stands on an app now; a hold that was put is put beside the one that stood.
pub(super) fn warn_of_hold(session: &mut Session<'_>, app: &str) {
    match session.ledger.snapshot(session.scope) {
        Ok(snapshot) => {
            if let Some(hold) = snapshot.holds.get(app) {
                let what = format!("{app} is {}", hold.describe());
                session.output.warning(&what);
            }
        }
        Err(error) => session.output.note(&format!("{app}: {}", error.one_line())),
    }
}
