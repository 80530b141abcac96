//! Downloads, verifies and renders payloads, ahead of the deploys and in parallel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::session::stopped;
use super::{Interrupt, Session};
use crate::artifactory::{self, Checksum, Releases};
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::ledger::{BadPayload, Snapshot};
use crate::model::name::{Scope, payload_name};
use crate::model::plan::Step;
use crate::model::request::DeployRequest;
use crate::output::Output;
use crate::payload;
use crate::threads;

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

impl Prepared {
    /// What can be submitted.
    pub fn ready(&self) -> Option<&Ready> {
        match self {
            Self::Ready(ready) => Some(ready),
            Self::Waiting(_) | Self::Error(..) => None,
        }
    }
}

/// Turns versions into what can be submitted. Threads share it.
pub struct Preparer<'a> {
    /// Where payloads come from.
    pub releases: &'a dyn Releases,
    /// The scope.
    pub scope: &'a Scope,
    /// Where notes go.
    pub output: &'a Output,
    /// Payloads that were refused before.
    pub bad_payloads: &'a BTreeMap<String, BadPayload>,
    /// `--payload-wait`.
    pub payload_wait: Duration,
    /// Whether somebody wants us to stop.
    pub interrupt: &'a Interrupt,
    /// When the pass must end.
    pub deadline: &'a Deadline,
}

impl<'a> Preparer<'a> {
    /// The one of a session.
    pub fn of(session: &'a Session<'_>, snapshot: &'a Snapshot) -> Self {
        Self {
            releases: session.releases.as_ref(),
            scope: session.scope,
            output: session.output,
            bad_payloads: &snapshot.bad_payloads,
            payload_wait: session.rules.payload_wait,
            interrupt: &session.interrupt,
            deadline: &session.deadline,
        }
    }

    /// Prepares all due deploys. An `Err` ends the pass.
    pub fn all(&self, due: &[&Step]) -> Vec<Result<Prepared>> {
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<Result<Prepared>>>> =
            due.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while let Some((step, slot)) = {
                let i = next.fetch_add(1, Ordering::Relaxed);
                due.get(i).zip(results.get(i))
            } {
                let result = self.step(step);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        threads::at_once(AT_ONCE.min(due.len()), work);
        results
            .into_iter()
            .map(|slot| {
                slot.into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .unwrap_or_else(|| Err(Error::unavailable("a payload was not looked at")))
            })
            .collect()
    }

    fn step(&self, step: &Step) -> Result<Prepared> {
        if let Some(stop) = stopped(self.interrupt, self.deadline) {
            return Err(stop);
        }
        match &step.newest {
            Some(version) => self.one(&step.app, version, true),
            None => Err(Error::unavailable(format!(
                "{}: the plan names no version",
                step.app
            ))),
        }
    }

    /// Prepares one deploy. For a pass (`is_pass`), a payload that is not there is waited for while
    /// its marker is younger than `--payload-wait`, and one that was refused before is not read again.
    pub fn one(&self, app: &str, version: &str, is_pass: bool) -> Result<Prepared> {
        self.attempt(app, version, is_pass).or_else(of_app)
    }

    fn attempt(&self, app: &str, version: &str, is_pass: bool) -> Result<Prepared> {
        let file = file(self.scope, app, version);
        let Some(checksum) = self.releases.checksum(app, &file)? else {
            return self.missing(app, version, &file, is_pass);
        };
        if checksum.is_sha1() {
            self.output.note(&format!(
                "{app}: Artifactory gives no SHA-256 of {file}; verified by SHA-1"
            ));
        }
        // An operator who asks for it has it looked at afresh.
        if is_pass
            && let Some(bad) = self.bad_payloads.get(app)
            && bad.version == version
            && bad.checksum == checksum.as_str()
        {
            let error = Error::new(Kind::Failed, &bad.error);
            return Ok(Prepared::Error(error, Some(bad.clone())));
        }
        // The checksum may be another by now.
        let artifactory::Payload { bytes, checksum } =
            self.releases.download(app, &file, &checksum)?;
        Ok(match payload::open(&bytes, self.scope, app, version) {
            Ok(opened) => {
                if let Some(note) = opened.note {
                    self.output.note(&format!("{app} {version}: {note}"));
                }
                Prepared::Ready(Box::new(Ready {
                    app: app.to_owned(),
                    version: version.to_owned(),
                    request: opened.request,
                    payload_sha256: (!checksum.is_sha1()).then(|| checksum.as_str().to_owned()),
                    template_sha256: opened.template_sha256,
                }))
            }
            Err(error) => refused(error, version, &checksum),
        })
    }

    fn missing(&self, app: &str, version: &str, file: &str, wait: bool) -> Result<Prepared> {
        let gone = Error::new(
            Kind::Failed,
            format!("{app}: the payload {app}/{file} is not in Artifactory"),
        );
        if !wait {
            return Ok(Prepared::Error(gone, None));
        }
        let age = self.releases.marker_age(app, version)?;
        let shown = humantime::format_duration(Duration::from_secs(age.as_secs()));
        // Told again and again: what grows would look like news each time.
        let longest = humantime::format_duration(self.payload_wait);
        Ok(if age < self.payload_wait {
            Prepared::Waiting(format!(
                "the payload {file} is not there yet; marked {shown} ago"
            ))
        } else {
            let why =
                format!("its marker has waited for it for more than --payload-wait {longest}");
            Prepared::Error(gone.because(why), None)
        })
    }
}

/// Looks at the marker of a version again, right before it is deployed by a pass: what was withdrawn
/// since it was listed is not sent, nor is what can't be told.
pub fn look_again(releases: &dyn Releases, ready: Box<Ready>) -> Result<Prepared> {
    let (app, version) = (&ready.app, &ready.version);
    match releases.is_marked(app, version) {
        Ok(true) => Ok(Prepared::Ready(ready)),
        Ok(false) => Ok(Prepared::Waiting(format!(
            "its marker {version}.deploy was withdrawn after it was listed; nothing was sent"
        ))),
        Err(error) => {
            let what =
                format!("{app} {version}: nothing was sent, as its marker can't be read again");
            let unread = Error::new(error.kind, what).because(error.one_line());
            of_app(Error {
                hint: error.hint,
                ..unread
            })
        }
    }
}

/// A payload that can't be used. What is wrong with it is remembered; a shortage of ours says nothing of
/// it.
fn refused(error: Error, version: &str, checksum: &Checksum) -> Prepared {
    let remember = (error.kind == Kind::Failed).then(|| BadPayload {
        version: version.to_owned(),
        checksum: checksum.as_str().to_owned(),
        error: error.one_line(),
    });
    Prepared::Error(error, remember)
}

/// An error of one app, unless it ends the pass: refused credentials, and a configuration that can't
/// be right.
fn of_app(error: Error) -> Result<Prepared> {
    match error.kind {
        Kind::Credentials | Kind::Usage | Kind::Interrupted | Kind::Terminated => Err(error),
        _ => Ok(Prepared::Error(error, None)),
    }
}

/// Whether Artifactory has the payload of a version.
pub fn has_payload(
    releases: &dyn Releases,
    scope: &Scope,
    app: &str,
    version: &str,
) -> Result<bool> {
    let found = releases.checksum(app, &file(scope, app, version))?;
    Ok(found.is_some())
}

fn file(scope: &Scope, app: &str, version: &str) -> String {
    format!("{}.tar.gz", payload_name(scope, app, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_a_payload_is_remembered() {
        let checksum = Checksum::Sha256("00".repeat(32));
        for (error, is_remembered) in [
            (Error::new(Kind::Failed, "no archive"), true),
            (Error::shortage("no thread"), false),
            (Error::new(Kind::Busy, "no time"), false),
        ] {
            let Prepared::Error(_, bad) = refused(error.clone(), "1.0", &checksum) else {
                panic!("it can be submitted");
            };
            assert_eq!(bad.is_some(), is_remembered, "{error}");
        }
    }
}
