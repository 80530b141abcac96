//! `deploy APP VERSION`: this version now, whatever is newest.

use std::collections::BTreeSet;

use super::context::Context;
use super::in_session;
use super::names::unknown;
use super::operator::operator;
use super::settle::close;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::ledger::{Attempt, Snapshot};
use crate::model::attempt::{State, Word};
use crate::model::listing::{AppFilter, ListingBuilder};
use crate::model::plan::Hold;
use crate::pass::{self, Invocation, Job, Prepared, Preparer, Session};

/// What an operator asks for.
pub(super) struct Asked<'a> {
    pub(super) command: &'static str,
    pub(super) app: &'a str,
    pub(super) version: &'a str,
    /// Also where it is deployed already.
    pub(super) force: bool,
    pub(super) no_hold: bool,
    /// What it goes back from: passes are kept from deploying that again.
    pub(super) back_from: Option<&'a str>,
}

/// Deploys one version.
pub(super) fn run(context: &Context<'_>, asked: &Asked<'_>) -> Result<Exit> {
    let invocation = Invocation::about(asked.command, asked.app, operator());
    in_session(context, &invocation, |session| {
        let given_up = |a: &Attempt| asked.force && a.app == asked.app && a.state == State::Unknown;
        let (snapshot, _) = resolve(session, given_up)?;
        carry_out(session, &snapshot, asked)
    })
}

/// Takes over, and resolves what is open (else exit 4), but for what will be given up. Returns
/// which attempts were open, too.
pub(super) fn resolve(
    session: &mut Session<'_>,
    is_given_up: impl Fn(&Attempt) -> bool,
) -> Result<(Snapshot, Vec<String>)> {
    let before = pass::begin(session)?;
    if before.open.is_empty() {
        return Ok((before, Vec::new()));
    }
    let snapshot = pass::resolve_open(session, &before)?;
    if !snapshot.open.iter().all(is_given_up) {
        return Err(Error::new(
            Kind::Unknown,
            "an attempt of this scope is still open: nothing was sent",
        )
        .hint(
            "`status` shows it; the next pass looks again, and `settle` closes it on your word",
        ));
    }
    let were_open = before.open.into_iter().map(|a| a.id).collect();
    Ok((snapshot, were_open))
}

/// Gives up what is still open of the app, right before something else is sent.
fn give_up(session: &mut Session<'_>, snapshot: &Snapshot, asked: &Asked<'_>) -> Result<()> {
    if snapshot.open.is_empty() {
        return Ok(());
    }
    pass::check_target(session)?;
    let (app, version) = (asked.app, asked.version);
    let why = format!("given up for a deploy of {version} by {}", operator());
    let nothing = BTreeSet::new();
    let word = (Word::NotDeployed, why.as_str(), &nothing);
    let fence = session.lease.fence();
    let is_its = |a: &Attempt| a.app == app;
    for attempt in close(session.ledger.as_mut(), fence, snapshot, is_its, word)? {
        let (id, version) = (&attempt.id, &attempt.version);
        let what = format!("{app}: attempt {id} of {version} is given up");
        session.output.warning(&what);
    }
    Ok(())
}

/// Deploys what was ordered, unless it is deployed already.
pub(super) fn carry_out(
    session: &mut Session<'_>,
    snapshot: &Snapshot,
    asked: &Asked<'_>,
) -> Result<()> {
    let deployed = snapshot
        .records
        .get(asked.app)
        .and_then(|r| r.deployed.clone());
    if deployed.as_deref() == Some(asked.version) && !asked.force {
        session.report().deployed_already(asked.app, asked.version);
        if !session.output.is_json() {
            let what = format!("{} {} is deployed already", asked.app, asked.version);
            session.output.line(&what);
        }
        return Ok(());
    }
    let rules = session.rules;
    let is_older = |d: &&str| rules.order.key(asked.version) < rules.order.key(d);
    let above = asked.back_from.or(deployed.as_deref().filter(is_older));
    let place_hold = match above {
        Some(above) if !asked.no_hold => Some(hold_for(session, asked, above)?),
        _ => None,
    };
    session.report().request(
        asked.app,
        deployed,
        asked.version,
        format!("asked for by `{}`", asked.command),
    );
    let (app, version) = (asked.app, asked.version);
    let prepared = Preparer::of(session, snapshot).one(app, version, false)?;
    match prepared {
        Prepared::Ready(ready) => {
            let job = Job {
                ready: &ready,
                command: asked.command,
                unattended: false,
                decides: asked.command == "deploy",
                place_hold,
                snapshot,
            };
            give_up(session, snapshot, asked)?;
            let result = pass::deploy_one(session, &job);
            if job.place_hold.is_some() && session.report().was_tried(asked.app) {
                warn_of_hold(session, asked.app);
            }
            result
        }
        Prepared::Error(error, bad) => {
            let error = of_unknown_app(session, snapshot, app, error)?;
            session
                .report()
                .not_sent(asked.app, Prepared::Error(error.clone(), bad));
            Err(error)
        }
        Prepared::Waiting(reason) => Err(Error::new(Kind::Failed, reason)),
    }
}

/// An error of the payload of an app, or, where neither the ledger nor a marker knows the app, that
/// there is none (exit 2).
fn of_unknown_app(
    session: &Session<'_>,
    snapshot: &Snapshot,
    app: &str,
    error: Error,
) -> Result<Error> {
    if snapshot.knows(app) {
        return Ok(error);
    }
    let nothing = std::collections::BTreeMap::new();
    let all = AppFilter::default();
    let builder = ListingBuilder::new(session.rules.order, all, nothing, false);
    let Ok(listing) = session.releases.list(builder) else {
        return Ok(error);
    };
    if listing.apps.contains_key(app) {
        return Ok(error);
    }
    Err(unknown(snapshot, &listing, session.scope, app).because(error.one_line()))
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
        placed_at: session.clock.now_ms(),
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
