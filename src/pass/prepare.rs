//! Downloads, verifies and renders payloads, ahead of the deploys and in parallel.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::World;
use crate::artifactory::Artifactory;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ledger::{BadPayload, Snapshot};
use crate::model::name::payload_name;
use crate::model::plan::Step;
use crate::model::request::DeployRequest;
use crate::payload;

/// Payloads in memory at once: each can be 8 MiB.
const AT_ONCE: usize = 3;

/// A payload that can be submitted.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The app's folder.
    pub app: String,
    /// The version.
    pub version: String,
    /// What will be sent.
    pub request: DeployRequest,
    /// SHA-256 of the payload, where Artifactory knows it.
    pub payload_sha256: Option<String>,
    /// SHA-256 of the rendered template.
    pub template_sha256: String,
}

/// What came of preparing one deploy.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// It can be submitted.
    Ready(Box<Ready>),
    /// The marker came before the payload.
    Waiting(String),
    /// It can't be submitted; of a bad payload, what to remember.
    Error(Error, Option<BadPayload>),
}

/// Prepares all due deploys. An `Err` ends the pass.
pub fn prepare(
    world: &World<'_>,
    artifactory: &Artifactory,
    snapshot: &Snapshot,
    due: &[&Step],
) -> Vec<Result<Prepared>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Prepared>>>> =
        due.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some((step, slot)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            due.get(i).zip(results.get(i))
        } {
            let result = match (world.stopped(), &step.newest) {
                (Some(stop), _) => Err(stop),
                (None, Some(version)) => {
                    prepare_one(world, artifactory, snapshot, &step.app, version, true)
                }
                (None, None) => Err(Error::unavailable(format!(
                    "{}: the plan names no version",
                    step.app
                ))),
            };
            *slot
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(due.len()) {
            scope.spawn(work);
        }
    });
    results
        .into_iter()
        .map(|slot| {
            slot.into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .unwrap_or_else(|| Err(Error::unavailable("a payload was not looked at")))
        })
        .collect()
}

/// Prepares one deploy. With `wait_for_marker`, a payload that is not there is waited for while
/// its marker is younger than `--payload-wait`.
pub fn prepare_one(
    world: &World<'_>,
    artifactory: &Artifactory,
    snapshot: &Snapshot,
    app: &str,
    version: &str,
    wait_for_marker: bool,
) -> Result<Prepared> {
    match attempt(world, artifactory, snapshot, app, version, wait_for_marker) {
        Ok(prepared) => Ok(prepared),
        // Refused credentials and a configuration that can't be right end the pass; anything else is this app's.
        Err(e)
            if matches!(
                e.exit,
                Exit::Credentials | Exit::Usage | Exit::Interrupted | Exit::Terminated
            ) =>
        {
            Err(e)
        }
        Err(e) => Ok(Prepared::Error(e, None)),
    }
}

fn attempt(
    world: &World<'_>,
    artifactory: &Artifactory,
    snapshot: &Snapshot,
    app: &str,
    version: &str,
    wait_for_marker: bool,
) -> Result<Prepared> {
    let file = format!("{}.tar.gz", payload_name(world.scope, app, version));
    let Some(checksum) = artifactory.checksum(app, &file)? else {
        return missing(world, artifactory, app, version, &file, wait_for_marker);
    };
    if checksum.is_sha1() {
        world.output.note(&format!(
            "{app}: Artifactory gives no SHA-256 of {file}; verified by SHA-1"
        ));
    }
    if let Some(bad) = snapshot.bad_payloads.get(app)
        && bad.version == version
        && bad.checksum == checksum.as_str()
    {
        return Ok(Prepared::Error(
            Error::new(Exit::Failed, &bad.error),
            Some(bad.clone()),
        ));
    }
    let bytes = artifactory.download(app, &file, &checksum)?;
    Ok(match payload::open(&bytes, world.scope, app, version) {
        Ok(opened) => Prepared::Ready(Box::new(Ready {
            app: app.to_owned(),
            version: version.to_owned(),
            request: opened.request,
            payload_sha256: (!checksum.is_sha1()).then(|| checksum.as_str().to_owned()),
            template_sha256: opened.template_sha256,
        })),
        Err(error) => {
            let remember = BadPayload {
                version: version.to_owned(),
                checksum: checksum.as_str().to_owned(),
                error: error.one_line(),
            };
            Prepared::Error(error, Some(remember))
        }
    })
}

fn missing(
    world: &World<'_>,
    artifactory: &Artifactory,
    app: &str,
    version: &str,
    file: &str,
    wait: bool,
) -> Result<Prepared> {
    let gone = || {
        Error::new(
            Exit::Failed,
            format!("{app}: the payload {app}/{file} is not in Artifactory"),
        )
    };
    if !wait {
        return Ok(Prepared::Error(gone(), None));
    }
    let age = artifactory.marker_age(app, version)?;
    let limit = world.config.rules.payload_wait;
    let shown = humantime::format_duration(Duration::from_secs(age.as_secs()));
    // Told again and again: what grows would look like news each time.
    let longest = humantime::format_duration(limit);
    Ok(if age < limit {
        Prepared::Waiting(format!(
            "the payload {file} is not there yet; marked {shown} ago"
        ))
    } else {
        Prepared::Error(
            gone().because(format!(
                "its marker has waited for it for more than --payload-wait {longest}"
            )),
            None,
        )
    })
}
