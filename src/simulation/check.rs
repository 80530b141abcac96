//! What must never be, and where it is looked for.
//!
//! At the arrival of each POST: its intent is committed and open, and nothing else is; it is the
//! first one of its attempt; no other deploy is at work; a pass sends no older version than the one
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
use crate::model::attempt::State;
use crate::model::request::DeployRequest;
use crate::model::version::Order;

/// What the sample's metadata puts before the name of the app.
const PREFIX: &str = "example-";

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

/// Looks at a request that arrives.
pub fn arrival(world: &mut World, who: usize, request: &DeployRequest) {
    let (app, version) = (app_of(&request.service_name), request.version.clone());
    let what = format!("POST {app} {version}");
    let open: Vec<_> = world
        .store
        .attempts
        .iter()
        .filter(|a| a.state.is_open())
        .cloned()
        .collect();
    match open.as_slice() {
        [own] if own.state == State::Submitting && own.app == app && own.version == version => {
            if !world.posted.insert(own.id.clone()) {
                world.violation(format!("{what}: the second one of its attempt"));
            }
        }
        [] => world.violation(format!("{what}: no intent is committed")),
        _ => world.violation(format!("{what}: another attempt is open")),
    }
    if world.cluster.is_busy() {
        world.violation(format!("{what}: another deploy is at work"));
    }
    let key = |version: &str| Order::Natural.key(version);
    let runs = world.runs(&app).map(str::to_owned);
    let newer = runs.filter(|runs| key(runs) > key(&version));
    if world.tasks[who].command != "run" {
        world.fled.retain(|(fled, _)| *fled != app);
        if world.tasks[who].command == "rollback" {
            world.fled.extend(newer.map(|newer| (app, newer)));
        }
        return;
    }
    if world.tasks[who].saw.take() != Some((app.clone(), version.clone())) {
        world.violation(format!("{what}: its marker was not seen"));
    }
    if let Some(runs) = world.runs(&app).filter(|_| world.stale.contains_key(&app)) {
        let mut own = world.store.attempts.iter().filter(|a| a.app == app);
        if world.tasks[who].is_blind || own.any(|a| a.version == runs) {
            return;
        }
    }
    if world.fled.contains(&(app.clone(), version.clone())) {
        world.violation(format!("{what}: it was rolled back from"));
    }
    let units = world.cluster.units(&request.service_name);
    let is_alone = units.iter().all(|unit| unit.version == version);
    if is_alone && world.runs(&app) == Some(version.as_str()) {
        world.violation(format!("{what}: it runs already, and it alone"));
    }
    if let Some(runs) = newer {
        let what = format!("{what}: {runs} runs, which is newer");
        world.violation(what);
    }
}

/// Looks at the world after a command has ended by itself.
pub fn ended(world: &mut World, who: usize, exit: u8) {
    world.tell(who, &format!("exit {exit}"));
    world.tasks[who].exit = Some(exit);
    let has_decided = world.tasks[who].command == "baseline" && !world.stale.is_empty();
    if exit == 0 && (world.tasks[who].command == "release" || has_decided) {
        world.fled.clear();
    }
    let is_open = world.store.attempts.iter().any(|a| a.state.is_open());
    if exit == 0 && is_open && world.tasks[who].command == "run" {
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
        if runs != deployed && !is_believed {
            world.violation(format!("{app}: the ledger has {deployed:?}, {runs:?} runs"));
        }
    }
}
