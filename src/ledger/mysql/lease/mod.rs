//! The lease: a row that its holder renews, with a fencing token.
//!
//! Nothing here frees a lease early by a clock that is wrong, and even if it did: every intent is
//! a conditional write on the same row, under the token.

mod decide;
mod process;
mod renew;
mod row;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use super::session::Session;
use crate::clock::{SharedClock, System};
use crate::config::MysqlConfig;
use crate::error::{Error, Result};
use crate::ledger::sql::Failure;
use crate::ledger::{Fence, Lease};
use crate::model::name::Scope;
use decide::{Known, Step, Timing, Watch, decide};
use process::Process;
use renew::Renewer;
pub use row::info;
use row::{Claimant, Row};

/// The pause before another look at a lease that somebody holds, in milliseconds.
const POLL_MS: Range<u64> = 200..1000;
/// The pause after a conflict or a lost connection, in milliseconds.
const PAUSE_MS: Range<u64> = 20..100;
/// How long conflicts are retried even where there is no time to wait: the other side may have
/// lost too.
const CONTENTION: Duration = Duration::from_millis(500);
/// How often in a row the connection may be lost.
const LOSSES: u32 = 3;

/// Takes the lease of a scope on a connection of its own, waiting at most `wait`; `None`: somebody
/// else holds it. An expired lease is watched for a whole TTL, whatever `wait` is.
pub fn acquire(
    config: &MysqlConfig,
    scope: &Scope,
    wait: Duration,
) -> Result<Option<Box<dyn Lease>>> {
    let timing = Timing::of(config.lease_ttl);
    Acquisition::begin(config, scope, timing, System::shared())?.run(wait)
}

/// Taking a lease, from the first look to the end.
struct Acquisition<'a> {
    session: Session,
    scope: &'a Scope,
    timing: Timing,
    clock: SharedClock,
    start: Duration,
    this: Option<Process>,
    claimant: Claimant,
    /// How long the lease is renewed.
    limit: Duration,
    /// The row as it was seen so far.
    watch: Option<Watch>,
    /// Whether the last claim that was sent was on somebody's lease.
    is_takeover: bool,
}

/// What came of one look at the row.
enum Look {
    /// The lease is ours, by a claim that was sent after this time.
    Taken { token: i64, before: Duration },
    /// Somebody holds it, and we waited for long enough.
    Held,
    /// Somebody holds it: look again in this time at the latest.
    Wait(Duration),
}

impl<'a> Acquisition<'a> {
    fn begin(
        config: &MysqlConfig,
        scope: &'a Scope,
        timing: Timing,
        clock: SharedClock,
    ) -> Result<Self> {
        let start = clock.elapsed();
        // A connection that is silent must not use up the lease.
        let bounded = MysqlConfig {
            connect_timeout: config.connect_timeout.min(timing.silence),
            read_timeout: config.read_timeout.min(timing.silence),
            write_timeout: config.write_timeout.min(timing.silence),
            ..config.clone()
        };
        let this = Process::this();
        Ok(Self {
            session: Session::open(&bounded)?,
            scope,
            timing,
            clock,
            start,
            claimant: Claimant {
                id: uuid::Uuid::new_v4().to_string(),
                process: this.as_ref().map(ToString::to_string).unwrap_or_default(),
                ttl: timing.ttl,
            },
            this,
            limit: config.lease_limit,
            watch: None,
            is_takeover: false,
        })
    }

    fn run(mut self, wait: Duration) -> Result<Option<Box<dyn Lease>>> {
        let deadline = self.start.saturating_add(wait);
        let contention = self.start.saturating_add(wait.max(CONTENTION));
        let mut losses = 0;
        loop {
            let pause = match self.look(deadline) {
                Ok(Look::Taken { token, before }) => return self.start(token, before).map(Some),
                Ok(Look::Wait(most)) => {
                    losses = 0;
                    most.min(jitter(POLL_MS))
                }
                Err(Failure::Conflict(_)) if self.clock.elapsed() < contention => jitter(PAUSE_MS),
                Ok(Look::Held) | Err(Failure::Conflict(_)) => return Ok(None),
                Err(Failure::Lost(error)) => {
                    losses += 1;
                    if losses >= LOSSES {
                        return Err(error);
                    }
                    // What was claimed may be ours: the next look tells.
                    jitter(PAUSE_MS)
                }
                Err(Failure::Passing(error) | Failure::Refused(error)) => return Err(error),
            };
            self.clock.sleep(pause);
        }
    }

    /// Reads the row and acts upon it.
    fn look(&mut self, deadline: Duration) -> std::result::Result<Look, Failure> {
        let now = self.clock.elapsed();
        let row = self.session.call(|conn| row::read(conn, self.scope))?;
        let watch = Watch::see(self.watch.take(), &row, self.clock.elapsed());
        let known = Known {
            me: &self.claimant.id,
            timing: self.timing,
            now,
            deadline,
            is_dead: self.is_dead(&row),
        };
        let step = decide(&row, &watch, &known);
        self.watch = Some(watch);
        match step {
            Step::Held => return Ok(Look::Held),
            Step::Wait(most) => return Ok(Look::Wait(most)),
            Step::Take => self.is_takeover = false,
            Step::TakeOver => self.is_takeover = true,
            // Nobody knows since when: claimed once more, the answer tells.
            Step::Ours => {}
        }
        let before = self.clock.elapsed();
        let claim = |conn: &mut _| row::claim(conn, self.scope, &self.claimant, &row);
        match self.session.call(claim)? {
            Some(token) => Ok(Look::Taken { token, before }),
            None => Err(Failure::Conflict(Error::unavailable(
                "somebody else took the lease",
            ))),
        }
    }

    fn is_dead(&self, row: &Row) -> bool {
        match (&self.this, Process::parse(&row.process)) {
            (Some(this), Some(holder)) => this.knows_dead(&holder),
            _ => false,
        }
    }

    fn start(self, token: i64, before: Duration) -> Result<Box<dyn Lease>> {
        let send_at = if self.is_takeover {
            tracing::info!("took over the lease of {}", self.scope);
            self.clock.elapsed().saturating_add(self.timing.send_delay)
        } else {
            Duration::ZERO
        };
        let renewer = Renewer {
            session: self.session,
            scope: self.scope.clone(),
            fence: Fence {
                token,
                holder: self.claimant.id,
            },
            timing: self.timing,
            clock: self.clock,
            renewed: before,
            end: before.saturating_add(self.limit),
        };
        match renewer.start(send_at) {
            Ok(lease) => Ok(Box::new(lease)),
            Err(e) => {
                let message = format!("cannot renew the lease of {}", self.scope);
                Err(Error::shortage(message).because_of(&e))
            }
        }
    }
}

/// A time by chance, so that many hosts don't come at once for ever.
fn jitter(milliseconds: Range<u64>) -> Duration {
    Duration::from_millis(fastrand::u64(milliseconds))
}
