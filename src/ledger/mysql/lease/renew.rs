//! A lease that is held: a thread renews it, and releases it at the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::decide::{Next, Outcome, Timing, next};
use super::row;
use crate::clock::SharedClock;
use crate::error::Error;
use crate::ledger::mysql::session::Session;
use crate::ledger::sql::Failure;
use crate::ledger::{Fence, Lease};
use crate::model::name::Scope;
use crate::threads;

/// How long the holder waits for the release of its lease; after that it expires by itself.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

/// A held lease; dropping it has the thread release it.
pub struct MysqlLease {
    fence: Fence,
    clock: SharedClock,
    /// When something may be sent, by the boot clock.
    send_at: Duration,
    validity: Validity,
    /// Its end is the sign to stop.
    stop: Option<Sender<Infallible>>,
    done: Receiver<Infallible>,
}

impl Lease for MysqlLease {
    fn fence(&self) -> &Fence {
        &self.fence
    }

    fn is_held(&self) -> bool {
        self.validity.holds_at(self.clock.elapsed())
    }

    fn send_delay(&self) -> Duration {
        self.send_at.saturating_sub(self.clock.elapsed())
    }
}

impl Drop for MysqlLease {
    fn drop(&mut self) {
        self.stop = None;
        // A thread that hangs in a read is left behind.
        let _ = self.done.recv_timeout(RELEASE_WAIT);
    }
}

/// Until when a lease may be relied upon, in nanoseconds of the boot clock; 0 once it is lost.
/// The thread moves it on.
#[derive(Clone, Debug, Default)]
struct Validity(Arc<AtomicU64>);

impl Validity {
    fn extend(&self, end: Duration) {
        self.0.store(nanoseconds(end), Ordering::SeqCst);
    }

    fn lose(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    fn holds_at(&self, now: Duration) -> bool {
        nanoseconds(now) < self.0.load(Ordering::SeqCst)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What the thread renews a lease with.
pub struct Renewer {
    /// A connection of its own.
    pub session: Session,
    /// Whose lease.
    pub scope: Scope,
    /// By which it is ours.
    pub fence: Fence,
    /// When it renews, and when it gives up.
    pub timing: Timing,
    /// The boot clock.
    pub clock: SharedClock,
    /// A time before the claim, then the last successful renewal, was sent.
    pub renewed: Duration,
    /// When renewing ends.
    pub end: Duration,
}

impl Renewer {
    /// Starts the thread; nothing may be sent before `send_at`.
    pub fn start(self, send_at: Duration) -> std::io::Result<MysqlLease> {
        let (stop, stopped) = channel();
        let (running, done) = channel::<Infallible>();
        let validity = Validity::default();
        validity.extend(self.renewed.saturating_add(self.timing.validity));
        let lease = MysqlLease {
            fence: self.fence.clone(),
            clock: self.clock.clone(),
            send_at,
            validity: validity.clone(),
            stop: Some(stop),
            done,
        };
        let thread = std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                self.run(&validity, &stopped, send_at);
                drop(running);
            })?;
        threads::leave(thread);
        Ok(lease)
    }

    /// Before `send_at` the lease is left to expire in place of released: whoever took it then would
    /// not know that something is still on its way.
    fn run(mut self, validity: &Validity, stopped: &Receiver<Infallible>, send_at: Duration) {
        let mut pause = self.timing.interval;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if self.clock.elapsed() >= self.end {
                let _ = stopped.recv();
                break;
            }
            match next(self.renew(validity), &self.timing) {
                Next::Renew(after) => pause = after,
                Next::Nothing => return validity.lose(),
                Next::Release => {
                    validity.lose();
                    let _ = stopped.recv();
                    break;
                }
            }
        }
        if self.clock.elapsed() >= send_at {
            self.release();
        }
    }

    fn renew(&mut self, validity: &Validity) -> Outcome {
        let now = self.clock.elapsed();
        let renewed = (self.session).call(|conn| row::renew(conn, &self.scope, &self.fence));
        match renewed {
            Ok(true) => {
                self.renewed = now;
                validity.extend(now.saturating_add(self.timing.validity));
                Outcome::Renewed
            }
            Ok(false) => {
                tracing::debug!("the lease of {} was lost", self.scope);
                Outcome::Gone
            }
            Err(failure) => {
                let error = Error::from(failure);
                tracing::debug!("the lease could not be renewed: {}", error.one_line());
                Outcome::Failed(self.clock.since(self.renewed))
            }
        }
    }

    /// Once more where a lock was in the way, or the connection was cut: then on a new one. Only our
    /// own row is freed, so that it may have been done already.
    fn release(&mut self) {
        let mut release =
            || (self.session).call(|conn| row::release(conn, &self.scope, &self.fence));
        if let Err(Failure::Conflict(_) | Failure::Lost(_) | Failure::Passing(_)) = release() {
            let _ = release();
        }
    }
}
