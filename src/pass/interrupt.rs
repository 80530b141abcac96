//! SIGINT, SIGTERM, and SIGHUP, which is taken for SIGTERM.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clock::{Clock, sleep_unless};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::hangup;
use crate::threads;

/// Notes the first signal; a second one ends the process at once, which is as safe as `kill -9`.
///
/// SIGHUP never counts as a second one: a terminal that closes sends it more than once, and a
/// service manager right after SIGTERM.
#[derive(Clone)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    hangup: Arc<AtomicBool>,
    critical: Arc<Mutex<()>>,
    is_installed: bool,
}

impl Interrupt {
    /// No handlers: for commands that change nothing, which a signal may end anywhere.
    pub fn none() -> Self {
        Self {
            signal: Arc::new(AtomicUsize::new(0)),
            hangup: Arc::new(AtomicBool::new(false)),
            critical: Arc::new(Mutex::new(())),
            is_installed: false,
        }
    }

    /// Installs the handlers. SIGHUP stays ignored where it is (`nohup`).
    pub fn install() -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::unavailable("signal handlers cannot be installed").because_of(&e)
        };
        let mut this = Self::none();
        let again = Arc::new(AtomicBool::new(false));
        for (signal, kind) in [(SIGINT, Kind::Interrupted), (SIGTERM, Kind::Terminated)] {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_conditional_shutdown(
                signal,
                i32::from(Exit::of(kind).code()),
                Arc::clone(&again),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&again)))
            .and_then(|_| {
                signal_hook::flag::register_usize(signal, Arc::clone(&this.signal), number)
            })
            .map_err(failed)?;
        }
        if !hangup::is_ignored() {
            signal_hook::flag::register(SIGHUP, Arc::clone(&this.hangup)).map_err(failed)?;
        }
        this.is_installed = true;
        Ok(this)
    }

    /// Takes the end of standard input for SIGTERM: whoever holds its other end is gone, or wants
    /// the pass to stop. It does not count as a first signal, after which a second one would end
    /// the process at once: a service manager may send SIGTERM to both as well.
    ///
    /// Errors: 69 where the system has no thread left for it.
    pub fn stop_at_eof(&self) -> Result<()> {
        let signal = Arc::clone(&self.signal);
        let wait = move || {
            wait_for_end(std::io::stdin());
            let number = usize::try_from(SIGTERM).unwrap_or_default();
            // A signal that came before keeps its meaning.
            let _ = signal.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        };
        let started = std::thread::Builder::new().name("stdin".into()).spawn(wait);
        let thread = started
            .map_err(|e| Error::shortage("standard input cannot be watched").because_of(&e))?;
        threads::leave(thread);
        Ok(())
    }

    /// Whether signals are heeded at all.
    pub const fn is_installed(&self) -> bool {
        self.is_installed
    }

    /// Which signal came, if one came.
    pub fn requested(&self) -> Option<Kind> {
        match i32::try_from(self.signal.load(Ordering::Relaxed)) {
            Ok(SIGINT) => Some(Kind::Interrupted),
            Ok(SIGTERM) => Some(Kind::Terminated),
            _ if self.hangup.load(Ordering::Relaxed) => Some(Kind::Terminated),
            _ => None,
        }
    }

    /// While the guard lives the process is not ended early by a signal: from the intent of a POST to
    /// the record of its reply.
    pub fn critical(&self) -> MutexGuard<'_, ()> {
        self.critical.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether such a guard lives.
    pub fn is_critical(&self) -> bool {
        matches!(self.critical.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Sleeps, but not past a signal. Returns false when one came.
    pub fn sleep(&self, clock: &dyn Clock, time: Duration) -> bool {
        sleep_unless(clock, time, || self.requested().is_some())
    }
}

/// Reads and forgets until there is no more.
fn wait_for_end(mut input: impl Read) {
    let mut bytes = [0; 64];
    loop {
        match input.read(&mut bytes) {
            Ok(0) => return,
            Err(e) if e.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_asks_for_the_end_and_sigint_keeps_its_code() {
        let interrupt = Interrupt::none();
        assert_eq!(interrupt.requested(), None);
        interrupt.hangup.store(true, Ordering::Relaxed);
        assert_eq!(interrupt.requested(), Some(Kind::Terminated));
        let number = usize::try_from(SIGINT).unwrap();
        interrupt.signal.store(number, Ordering::Relaxed);
        assert_eq!(interrupt.requested(), Some(Kind::Interrupted));
    }
}
