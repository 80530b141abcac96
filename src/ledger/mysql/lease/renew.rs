//! The thread that renews a lease, and releases it at the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::row::{self, Tenure};
use super::timing::Timing;
use crate::clock::{Clock, System};
use crate::error::Error;
use crate::ledger::mysql::session::Session;
use crate::ledger::sql::Failure;

/// How long the holder waits for the release of its lease; after that it expires by itself.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

/// Until when a lease may be relied upon, by the boot clock. Shared with the thread.
#[derive(Clone, Debug)]
struct Validity(Arc<AtomicU64>);

impl Validity {
    const LOST: u64 = 0;

    fn until(end: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(nanoseconds(end))))
    }

    fn extend(&self, end: Duration) {
        self.0.store(nanoseconds(end), Ordering::SeqCst);
    }

    fn lose(&self) {
        self.0.store(Self::LOST, Ordering::SeqCst);
    }

    fn holds_at(&self, now: Duration) -> bool {
        nanoseconds(now) < self.0.load(Ordering::SeqCst)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The other end of the thread: dropping it has the lease released.
pub struct Renewal {
    validity: Validity,
    /// Its end is the sign to stop.
    stop: Option<Sender<Infallible>>,
    done: Receiver<Infallible>,
}

impl Renewal {
    /// Starts the thread. `since` is a time before the claim was sent, `limit` how long after it
    /// the lease is renewed.
    pub fn start(
        session: Session,
        tenure: Tenure,
        since: Duration,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let timing = Timing { ttl: tenure.ttl };
        let validity = Validity::until(since.saturating_add(timing.validity()));
        let (stop, stopped) = channel();
        let (running, done) = channel::<Infallible>();
        let work = Work {
            session,
            tenure,
            timing,
            validity: validity.clone(),
            renewed: since,
            end: since.saturating_add(limit),
            stopped,
        };
        std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                work.run();
                drop(running);
            })?;
        Ok(Self {
            validity,
            stop: Some(stop),
            done,
        })
    }

    /// Whether the lease is ours at this moment.
    pub fn is_valid(&self) -> bool {
        self.validity.holds_at(System.elapsed())
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.stop = None;
        // A thread that hangs in a read is left behind.
        let _ = self.done.recv_timeout(RELEASE_WAIT);
    }
}

/// How a renewal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is ours for another while.
    Renewed,
    /// The row is somebody else's.
    Gone,
    /// The server could not be asked; time since the last success.
    Failed(Duration),
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Renews again in this time.
    Renew(Duration),
    /// Nothing more: the lease is lost, and its row too.
    Nothing,
    /// Gives the lease up, but still frees the row at the end, should it be ours.
    Release,
}

fn next(outcome: Outcome, timing: Timing) -> Next {
    match outcome {
        Outcome::Renewed => Next::Renew(timing.interval()),
        Outcome::Gone => Next::Nothing,
        Outcome::Failed(silence) if silence >= timing.give_up() => Next::Release,
        Outcome::Failed(_) => Next::Renew(timing.retry()),
    }
}

struct Work {
    session: Session,
    tenure: Tenure,
    timing: Timing,
    validity: Validity,
    /// A time before the last successful renewal was sent.
    renewed: Duration,
    /// When renewing ends.
    end: Duration,
    stopped: Receiver<Infallible>,
}

impl Work {
    fn run(mut self) {
        let mut pause = self.timing.interval();
        while !self.is_stopped(pause) {
            if System.elapsed() >= self.end {
                self.wait_for_stop();
                break;
            }
            let outcome = self.renew();
            match next(outcome, self.timing) {
                Next::Renew(after) => pause = after,
                Next::Nothing => {
                    self.validity.lose();
                    return;
                }
                Next::Release => {
                    self.validity.lose();
                    self.wait_for_stop();
                    break;
                }
            }
        }
        self.release();
    }

    fn is_stopped(&self, within: Duration) -> bool {
        self.stopped.recv_timeout(within) != Err(RecvTimeoutError::Timeout)
    }

    fn wait_for_stop(&self) {
        let _ = self.stopped.recv();
    }

    fn renew(&mut self) -> Outcome {
        let now = System.elapsed();
        match self.session.call(|conn| row::renew(conn, &self.tenure)) {
            Ok(true) => {
                self.renewed = now;
                self.validity
                    .extend(now.saturating_add(self.timing.validity()));
                Outcome::Renewed
            }
            Ok(false) => {
                tracing::debug!("the lease of {} was lost", self.tenure.scope);
                Outcome::Gone
            }
            Err(failure) => {
                let error = Error::from(failure);
                tracing::debug!("the lease could not be renewed: {}", error.one_line());
                Outcome::Failed(System.elapsed().saturating_sub(self.renewed))
            }
        }
    }

    /// Once more where a lock was in the way, or the connection was cut: then on a new one. Only our
    /// own row is freed, so that it may have been done already.
    fn release(&mut self) {
        let freed = self.session.call(|conn| row::release(conn, &self.tenure));
        if let Err(Failure::Conflict(_) | Failure::Lost(_) | Failure::Passing(_)) = freed {
            let _ = self.session.call(|conn| row::release(conn, &self.tenure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Timing = Timing {
        ttl: Duration::from_secs(60),
    };

    #[test]
    fn failures_are_retried_until_the_lease_is_given_up() {
        let s = Duration::from_secs;
        for (outcome, expected) in [
            (Outcome::Renewed, Next::Renew(s(10))),
            (Outcome::Gone, Next::Nothing),
            (Outcome::Failed(s(0)), Next::Renew(s(1))),
            (Outcome::Failed(s(39)), Next::Renew(s(1))),
            (Outcome::Failed(s(40)), Next::Release),
            (Outcome::Failed(s(4000)), Next::Release),
        ] {
            assert_eq!(next(outcome, RHYTHM), expected, "{outcome:?}");
        }
    }

    #[test]
    fn a_lease_is_valid_to_its_end_and_what_is_lost_is_not() {
        let ms = Duration::from_millis;
        let validity = Validity::until(ms(100));
        assert!(validity.holds_at(ms(99)) && !validity.holds_at(ms(100)));
        validity.extend(ms(200));
        assert!(validity.holds_at(ms(199)) && !validity.holds_at(ms(200)));
        validity.lose();
        assert!(!validity.holds_at(ms(0)));
    }
}
