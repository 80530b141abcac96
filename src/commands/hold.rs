//! `hold APP` and `release APP`.

use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::model::plan::Hold;
use crate::output::Output;
use crate::pass::{now_ms, open_to_write};

/// The hold that an operator asks for.
pub(super) struct Wanted<'a> {
    pub(super) app: &'a str,
    pub(super) for_: Option<std::time::Duration>,
    pub(super) newer_than: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

/// Keeps passes from deploying an app.
pub(super) fn hold(config: &Config, output: &Output, wanted: &Wanted<'_>) -> Result<Exit> {
    let app = wanted.app;
    let now = now_ms();
    let hold = Hold {
        reason: wanted.reason.unwrap_or("no reason given").to_owned(),
        until: wanted
            .for_
            .map(|d| now.saturating_add(i64::try_from(d.as_millis()).unwrap_or(i64::MAX))),
        newer_than: wanted.newer_than.map(str::to_owned),
        placed_by: "hold".to_owned(),
        placed_at: now,
    };
    open_to_write(config, output)?.hold(config.scope()?, app, &hold)?;
    if output.is_json() {
        output.json(&serde_json::json!({"app": app, "held": true, "reason": hold.reason, "until": hold.until, "newerThan": hold.newer_than}));
    } else {
        output.line(&format!("{} is {}", app, hold.describe()));
    }
    Ok(Exit::Success)
}

/// Lifts a hold.
pub fn release(config: &Config, output: &Output, app: &str) -> Result<Exit> {
    let lifted = open_to_write(config, output)?.release(config.scope()?, app)?;
    if output.is_json() {
        output.json(&serde_json::json!({"app": app, "held": false, "lifted": lifted}));
    } else if lifted {
        output.line(&format!("{app} is released"));
    } else {
        output.line(&format!("{app} was not held"));
    }
    Ok(Exit::Success)
}
