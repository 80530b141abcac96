//! What must never be, and where it is looked for.
//!
//! At the arrival of each POST: its intent is committed and open, and nothing else is; it is the
//! first one of its attempt; no other deploy is at work; a pass sends nothing where its first deploys
//! have failed, so many as `--max-failures` says; it sends no older version than the one
//! that runs, none that runs already and alone, none that an operator has rolled back from, and none
//! whose marker was gone when it looked, which it does before each.
//!
//! At the end of each command: an exit code of 0 leaves nothing open.
//!
//! At the end of an episode, when all is well again: what the ledger has as deployed is what runs,
//! and what is newest is deployed, held, or given up with a reason.
//!
//! A ledger that was lost, or is one of before, can't be made up for in all of that. Where it lacks
//! something of an app, no program could keep these, and they are not asked for:
//!
//! * who can't see the units sends on what the ledger says;
//! * a running version that the ledger has another, earlier attempt of looks like that one;
//! * holds are gone: of a ledger of before, what was rolled back from since may be sent again, and of
//!   a lost one as soon as an operator has said by `baseline` what runs;
//! * the version that a ledger of before has as deployed is believed until something else is due.

use super::world::World;
use crate::ledger::{Attempt, Intent};
use crate::model::attempt::State;
use crate::model::plan::{EVERY_APP, Hold};
use crate::model::request::DeployRequest;
use crate::model::version::{Order, VersionKey};

/// What the sample's metadata puts before the name of the app.
const PREFIX: &str = "example-";

/// How long before its request an attempt may have been made, in milliseconds: the wait for its
/// outcome counts from then.
const OLDEST_INTENT: i64 = 61_000;

fn key(version: &str) -> Option<VersionKey> {
    Order::Natural.key(version)
}

fn app_of(service: &str) -> String {
    service.strip_prefix(PREFIX).unwrap_or(service).to_owned()
}

impl World {
    /// The version of an app that really runs.
    pub fn runs(&self, app: &str) -> Option<&str> {
        self.cluster.runs(&format!("{PREFIX}{app}"))
    }

    /// Notes what must not have happened.
    pub fn violation(&mut self, what: String) {
        self.story.push(format!("VIOLATION: {what}"));
        self.broken.push(what);
    }
}

/// A hold, as it was put.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The app, or every one.
    pub app: String,
    /// Up to this version, else all.
    newer_than: Option<String>,
}

impl World {
    /// Whether a version runs on an operator's word, or against it: that is his to answer for.
    fn is_word(&self, app: &str, runs: &str) -> bool {
        let mut own = self.store.attempts.iter().filter(|a| a.app == app);
        let is_dismissed = |a: &Attempt| a.version == runs && a.state == State::Dismissed;
        own.any(|a| a.accounted.contains(runs) || is_dismissed(a))
    }

    /// Remembers a hold. One for a time ends by clocks that are set: it is not remembered.
    pub fn stand(&mut self, app: &str, hold: &Hold) {
        if hold.until.is_none() {
            self.standing.push(Standing {
                app: app.to_owned(),
                newer_than: hold.newer_than.clone(),
            });
        }
    }
}

/// Looks at an intent that was committed.
pub fn intended(world: &mut World, who: usize, intent: &Intent) {
    let (app, version) = (&intent.attempt.app, &intent.attempt.version);
    let what = format!("intent {app} {version}");
    world.tasks[who].intent = Some(intent.attempt.id.clone());
    world.tasks[who].knows.insert(intent.attempt.id.clone());
    if world.store.lease.holder != Some(who) {
        world.violation(format!("{what}: another command holds the lease"));
    }
    let is_held = |hold: &Standing| {
        let is_older = |than: &String| key(version) <= key(than);
        (hold.app == *app || hold.app == EVERY_APP) && hold.newer_than.iter().all(is_older)
    };
    let command = world.tasks[who].command;
    if command == "run" && world.standing.iter().any(is_held) {
        world.violation(format!("{what}: it is held"));
    }
    let others = world.store.attempts.iter().rev();
    let before: Vec<&Attempt> = others
        .filter(|a| a.app == *app && a.id != intent.attempt.id)
        .collect();
    let own = before.iter().filter(|a| a.version == *version);
    let traceless = own
        .take_while(|a| !a.state.is_deployed())
        .filter(|a| a.state == State::Abandoned && a.command != "settle")
        .count();
    let reached = |a: &&&Attempt| a.command != "rollback" && a.state != State::Refused;
    let from = before.iter().find(reached).map(|a| key(&a.version));
    if command == "run" && traceless > 1 {
        world.violation(format!("{what}: two of it have left no trace"));
    }
    if command == "rollback" && from.is_none_or(|from| key(version) >= from) {
        world.violation(format!("{what}: a rollback that does not go back"));
    }
    if let Some(placed) = &intent.place_hold {
        world.stand(app, placed);
    }
}

/// Looks at a request that is sent.
pub fn sent(world: &mut World, who: usize, request: &DeployRequest) {
    let lease = &world.store.lease;
    let is_ours = lease.holder == Some(who) && (world.is_file || world.now < lease.ends);
    if !is_ours {
        let what = format!("{} {}", request.service_name, request.version);
        world.violation(format!("POST {what}: the lease is not held"));
    }
    if world.tasks[who].was_busy {
        let what = &request.service_name;
        world.violation(format!(
            "POST {what}: coreos-deploy was busy when asked last"
        ));
    }
    let task = &world.tasks[who];
    let (mut failed, mut succeeded) = (0, 0);
    for own in world.store.made_by(who) {
        failed += usize::from(matches!(own.state, State::Failed | State::Refused));
        succeeded += usize::from(own.state == State::Succeeded);
    }
    let is_braked = (1..=failed).contains(&task.max_failures) && succeeded == 0;
    if task.command == "run" && is_braked {
        let what = format!("{} {}", request.service_name, request.version);
        world.violation(format!(
            "POST {what}: {failed} before it have failed, and none not"
        ));
    }
    let now = i64::try_from(world.now.as_millis()).unwrap_or(i64::MAX);
    let intent = world.tasks[who].intent.as_deref();
    let mut all = world.store.attempts.iter();
    let own = all.find(|a| Some(a.id.as_str()) == intent);
    let made = own
        .and_then(|a| a.made.boot.as_ref())
        .map_or(now, |(_, made)| *made);
    if now - made > OLDEST_INTENT {
        let what = format!("{} {}", request.service_name, request.version);
        world.violation(format!("POST {what}: its age counts from long before it"));
    }
}

/// Looks at a request that arrives.
pub fn arrival(world: &mut World, who: usize, request: &DeployRequest, attempt: Option<&str>) {
    let (app, version) = (app_of(&request.service_name), request.version.clone());
    let what = format!("POST {app} {version}");
    let is_open = |a: &&Attempt| a.state.is_open();
    let open: Vec<_> = world.store.attempts.iter().filter(is_open).collect();
    match open.as_slice() {
        [own] if Some(own.id.as_str()) == attempt && own.app == app && own.version == version => {
            let id = own.id.clone();
            let token = own.token;
            if !world.posted.insert(id) {
                world.violation(format!("{what}: the second one of its attempt"));
            }
            if token < world.token {
                world.violation(format!("{what}: one with a greater token has arrived"));
            }
            world.token = token;
        }
        [] => world.violation(format!("{what}: no intent is committed")),
        _ => world.violation(format!("{what}: another attempt is open")),
    }
    if world.cluster.has_ours() {
        world.violation(format!("{what}: another deploy is at work"));
    }
    let runs = world.runs(&app).map(str::to_owned);
    let newer = runs.filter(|runs| key(runs) > key(&version));
    let has_fled = world.fled.contains(&(app.clone(), version.clone()));
    match world.tasks[who].command {
        "run" => unattended(world, who, request, (&app, &version, newer, has_fled)),
        "rollback" => {
            if has_fled {
                world.violation(format!("{what}: a rollback to what was rolled back from"));
            }
            world.fled.extend(newer.map(|newer| (app, newer)));
        }
        _ => world.fled.retain(|(fled, _)| *fled != app),
    }
}

/// Looks at a request that arrives after an operator has given its attempt up for another one
/// (`deploy --force`). What the former holder of a lease has sent last must be there before.
pub fn given_up(world: &mut World, request: &DeployRequest) {
    let is_open = world.store.attempts.iter().any(|a| a.state.is_open());
    if is_open || world.cluster.has_ours() {
        let what = format!("POST {} {}", request.service_name, request.version);
        world.violation(format!("{what}: it was given up, and a later one is sent"));
    }
}

/// Looks at a request of a pass.
fn unattended(
    world: &mut World,
    who: usize,
    request: &DeployRequest,
    (app, version, newer, has_fled): (&String, &String, Option<String>, bool),
) {
    let what = format!("POST {app} {version}");
    if world.tasks[who].saw.take() != Some((app.clone(), version.clone())) {
        world.violation(format!("{what}: its marker was not seen"));
    }
    if let Some(runs) = world.runs(app).filter(|_| world.stale.contains_key(app)) {
        let mut own = world.store.attempts.iter().filter(|a| a.app == *app);
        if world.tasks[who].is_blind || own.any(|a| a.version == runs) {
            return;
        }
    }
    if has_fled {
        world.violation(format!("{what}: it was rolled back from"));
    }
    // What was retired and is marked again is new; who can't see the units sends it.
    let before = world.store.attempts.iter().rev();
    let before = before.filter(|a| a.app == *app).nth(1);
    if world.tasks[who].is_blind && before.is_some_and(|a| a.state == State::Retired) {
        return;
    }
    let units = world.cluster.units(&request.service_name);
    let is_alone = units.iter().all(|unit| unit.version == *version);
    if is_alone && world.runs(app) == Some(version.as_str()) {
        world.violation(format!("{what}: it runs already, and it alone"));
    }
    if let Some(runs) = newer.filter(|runs| !world.is_word(app, runs)) {
        world.violation(format!("{what}: {runs} runs, which is newer"));
    }
}

/// Looks at the world after a command has ended by itself.
pub fn ended(world: &mut World, who: usize, exit: u8) {
    world.tell(who, &format!("exit {exit}"));
    world.tasks[who].exit = Some(exit);
    let has_decided = world.tasks[who].command == "baseline" && !world.stale.is_empty();
    if exit == 0 && (world.tasks[who].command == "release" || has_decided) {
        world.lifted += 1;
        world.fled.clear();
    }
    // What another command does once the lease is lost, this one can't know.
    let task = &world.tasks[who];
    let mut known = world.store.attempts.iter();
    let is_open = known.any(|a| a.state.is_open() && task.knows.contains(&a.id));
    if exit == 0 && is_open && task.command == "run" {
        world.violation("a pass exits 0 and leaves an attempt open".to_owned());
    }
}

/// Looks at the world when all is well again.
pub fn at_rest(world: &mut World) {
    let seen = world.store.snapshot();
    if !seen.open.is_empty() {
        world.violation("an attempt stays open".to_owned());
    }
    for app in world.markers.keys().cloned().collect::<Vec<_>>() {
        if seen.is_retired(&app) {
            continue;
        }
        let runs = world.runs(&app).map(str::to_owned);
        let deployed = seen.records.get(&app).and_then(|r| r.deployed.clone());
        let attempts = world.store.attempts.iter().rev();
        let mut good = attempts.filter(|a| a.app == app && a.state.is_deployed());
        let (left, good) = (world.stale.get(&app), good.next());
        // A ledger that was lost says nothing of what it never saw deployed.
        let is_believed = left.is_some_and(|left| good.is_none_or(|a| left.contains(&a.id)));
        // An operator has given up what came after all (`deploy --force`), or what ran.
        let mut all = world.cluster.deploys.iter();
        let is_given_up = all.any(|d| d.is_given_up && app_of(&d.service) == app)
            || runs.as_ref().is_some_and(|runs| world.is_word(&app, runs));
        if runs != deployed && !is_believed && !is_given_up {
            world.violation(format!("{app}: the ledger has {deployed:?}, {runs:?} runs"));
        }
    }
}
