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
mod timing;

use std::time::Duration;

use mysql::Conn;

use super::session::{Session, Sql};
use crate::clock::{Clock, System};
use crate::config::MysqlConfig;
use crate::error::{Error, Result};
use crate::ledger::sql::Failure;
use crate::ledger::{Fence, Lease, LeaseInfo};
use crate::model::name::Scope;
use decide::{Circumstances, Step, Watch, decide};
use process::Process;
use renew::Renewal;
use row::{Claim, Claimant, Row, Tenure};
use timing::Timing;

/// The pause before another look at a lease that somebody holds, in milliseconds.
const POLL_MS: std::ops::Range<u64> = 200..1000;
/// The pause after a conflict or a lost connection, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 20..100;
/// How long conflicts are retried even where there is no time to wait: the other side may have
/// lost too.
const CONTENTION: Duration = Duration::from_millis(500);
/// How often in a row the connection may be lost.
const LOSSES: u32 = 3;

/// A held lease.
struct MysqlLease {
    fence: Fence,
    renewal: Renewal,
    /// When something may be sent, by the boot clock.
    send_at: Duration,
}

impl Lease for MysqlLease {
    fn fence(&self) -> &Fence {
        &self.fence
    }

    fn is_held(&self) -> bool {
        self.renewal.is_valid()
    }

    fn send_delay(&self) -> Duration {
        self.send_at.saturating_sub(System.elapsed())
    }
}

/// Takes the lease of a scope on a connection of its own, waiting at most `wait`; `None`: somebody
/// else holds it. An expired lease is watched for a whole TTL, whatever `wait` is.
pub fn acquire(
    config: &MysqlConfig,
    scope: &Scope,
    wait: Duration,
) -> Result<Option<Box<dyn Lease>>> {
    let mut acquisition = Acquisition::begin(config, scope, wait)?;
    let Some(taken) = acquisition.run()? else {
        return Ok(None);
    };
    let lease = acquisition.start(&taken, config.lease_limit)?;
    Ok(Some(Box::new(lease)))
}

/// Who holds the lease of a scope, or held it last.
pub fn info(conn: &mut Conn, scope: &Scope) -> Sql<Option<LeaseInfo>> {
    row::info(conn, scope)
}

/// A claim that went through.
#[derive(Clone, Copy, Debug)]
struct Taken {
    token: i64,
    /// A time before the claim was sent.
    sent: Duration,
    /// Whether it was taken from somebody.
    is_takeover: bool,
}

/// Taking a lease, from the first look to the end.
struct Acquisition<'a> {
    session: Session,
    scope: &'a Scope,
    timing: Timing,
    this: Option<Process>,
    claimant: Claimant,
    deadline: Duration,
    /// Until when conflicts are retried.
    contention: Duration,
    /// Whether a claim on somebody's lease was sent.
    has_taken_over: bool,
    losses: u32,
}

/// The result of talking to the server.
type Tried<T> = std::result::Result<T, Failure>;

/// What came of one look at the row.
enum Round {
    Taken(Taken),
    Held,
    /// Look again after this time.
    Again(Duration),
}

impl<'a> Acquisition<'a> {
    fn begin(config: &MysqlConfig, scope: &'a Scope, wait: Duration) -> Result<Self> {
        let start = System.elapsed();
        let timing = Timing {
            ttl: config.lease_ttl,
        };
        let this = Process::this();
        Ok(Self {
            session: Session::open(&bounded(config, timing))?,
            scope,
            timing,
            claimant: Claimant {
                id: uuid::Uuid::new_v4().to_string(),
                process: this.as_ref().map(ToString::to_string).unwrap_or_default(),
                ttl: config.lease_ttl,
            },
            this,
            deadline: start.saturating_add(wait),
            contention: start.saturating_add(wait.max(CONTENTION)),
            has_taken_over: false,
            losses: 0,
        })
    }

    fn run(&mut self) -> Result<Option<Taken>> {
        let mut watch = None;
        loop {
            let round = match self.round(&mut watch) {
                Ok(round) => round,
                Err(Failure::Conflict(_)) => self.contended(),
                Err(Failure::Lost(error)) => {
                    self.losses += 1;
                    if self.losses >= LOSSES {
                        return Err(error);
                    }
                    // What was claimed may be ours: the next look tells.
                    Round::Again(some(PAUSE_MS))
                }
                Err(Failure::Passing(error) | Failure::Refused(error)) => return Err(error),
            };
            match round {
                Round::Taken(taken) => return Ok(Some(taken)),
                Round::Held => return Ok(None),
                Round::Again(pause) => std::thread::sleep(pause),
            }
        }
    }

    /// Reads the row and acts upon it.
    fn round(&mut self, watch: &mut Option<Watch>) -> Tried<Round> {
        let now = System.elapsed();
        let row = self.read()?;
        let seen = Watch::see(watch.take(), &row, System.elapsed());
        let step = decide(
            &row,
            &seen,
            &Circumstances {
                me: &self.claimant.id,
                timing: self.timing,
                now,
                deadline: self.deadline,
                is_dead: self.is_dead(&row),
            },
        );
        *watch = Some(seen);
        match step {
            Step::Take => self.claim(&Claim::Free, false),
            // Nobody knows since when: claimed once more, the answer tells.
            Step::Ours => self.claim(&Claim::Unchanged(row), self.has_taken_over),
            Step::TakeOver => {
                self.has_taken_over = true;
                self.claim(&Claim::Unchanged(row), true)
            }
            Step::Wait(most) => {
                self.losses = 0;
                Ok(Round::Again(most.min(some(POLL_MS))))
            }
            Step::Held => Ok(Round::Held),
        }
    }

    fn read(&mut self) -> Tried<Row> {
        let scope = self.scope;
        let read = |session: &mut Session| session.call(|conn| row::read(conn, scope));
        if let Some(row) = read(&mut self.session)? {
            return Ok(row);
        }
        self.session.call(|conn| row::create(conn, scope))?;
        read(&mut self.session)?.ok_or_else(|| {
            Failure::Refused(Error::unavailable(format!(
                "the lease of {scope} was made and is not there"
            )))
        })
    }

    fn is_dead(&self, row: &Row) -> bool {
        match (&self.this, Process::parse(&row.process)) {
            (Some(this), Some(holder)) => this.knows_dead(&holder),
            _ => false,
        }
    }

    fn claim(&mut self, claim: &Claim, is_takeover: bool) -> Tried<Round> {
        let sent = System.elapsed();
        let (scope, who) = (self.scope, &self.claimant);
        let token = self
            .session
            .call(|conn| row::claim(conn, scope, who, claim))?;
        Ok(match token {
            Some(token) => Round::Taken(Taken {
                token,
                sent,
                is_takeover,
            }),
            None => self.contended(),
        })
    }

    /// Somebody else was faster, or as fast.
    fn contended(&self) -> Round {
        if System.elapsed() < self.contention {
            Round::Again(some(PAUSE_MS))
        } else {
            Round::Held
        }
    }

    fn start(self, taken: &Taken, limit: Duration) -> Result<MysqlLease> {
        let send_at = if taken.is_takeover {
            tracing::info!("took over the lease of {}", self.scope);
            System.elapsed().saturating_add(self.timing.send_delay())
        } else {
            Duration::ZERO
        };
        let tenure = Tenure {
            scope: self.scope.clone(),
            holder_id: self.claimant.id,
            token: taken.token,
            ttl: self.timing.ttl,
        };
        let fence = Fence {
            token: tenure.token,
            holder: tenure.holder_id.clone(),
        };
        let renewal = Renewal::start(self.session, tenure, taken.sent, limit).map_err(|e| {
            Error::shortage(format!("cannot renew the lease of {}", self.scope)).because_of(&e)
        })?;
        Ok(MysqlLease {
            fence,
            renewal,
            send_at,
        })
    }
}

/// A connection that is silent must not use up the lease.
fn bounded(config: &MysqlConfig, timing: Timing) -> MysqlConfig {
    let most = timing.silence();
    MysqlConfig {
        connect_timeout: config.connect_timeout.min(most),
        read_timeout: config.read_timeout.min(most),
        write_timeout: config.write_timeout.min(most),
        ..config.clone()
    }
}

/// A time by chance, so that many hosts don't come at once for ever.
fn some(milliseconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(fastrand::u64(milliseconds))
}
