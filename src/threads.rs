//! Work that several threads share, with as many of them as there are to be had.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{Builder, JoinHandle, scope};
use std::time::Duration;

/// Why work has no result.
#[derive(Debug)]
pub enum Unfinished {
    /// The system has no thread for it.
    NotStarted(io::Error),
    /// It took too long. The thread is left behind.
    Late,
    /// It panicked.
    Broken,
}

/// Runs `work` in a thread of its own, and waits for it at most this long: nothing but the end of
/// the process ends a system call that hangs.
pub fn within<T: Send + 'static>(
    time: Duration,
    thread: Builder,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (done, result) = channel();
    let work = move || {
        // Nobody waits any more where this fails.
        let _ = done.send(work());
    };
    let thread = thread.spawn(work).map_err(Unfinished::NotStarted)?;
    let result = match result.recv_timeout(time) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Disconnected) => Err(Unfinished::Broken),
        Err(RecvTimeoutError::Timeout) => {
            leave(thread);
            return Err(Unfinished::Late);
        }
    };
    // It has nothing more to do; what became of it was told.
    let _ = thread.join();
    result
}

/// Leaves a thread behind without detaching it. To detach one that ends at that moment reads its memory
/// after it was freed, and crashes (glibc bug 19951, seen with 2.36).
pub fn leave<T>(thread: JoinHandle<T>) {
    std::mem::forget(thread);
}

/// Runs `work` in this many threads at once; in fewer where the system has no more, in the end in this
/// one alone. Each call takes its part of the work until nothing is left.
pub fn at_once(count: usize, work: impl Fn() + Sync) {
    scope(|threads| {
        let mut started = 0;
        while started < count && Builder::new().spawn_scoped(threads, &work).is_ok() {
            started += 1;
        }
        if started < count {
            work();
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn work_that_takes_too_long_is_left_behind() {
        let hour = Duration::from_secs(3600);
        assert!(matches!(within(hour, Builder::new(), || 7), Ok(7)));
        let (end, never) = channel::<()>();
        let late = within(Duration::from_millis(1), Builder::new(), move || {
            never.recv()
        });
        assert!(matches!(late, Err(Unfinished::Late)));
        drop(end);
        let broken = within(hour, Builder::new(), || {
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(matches!(broken, Err(Unfinished::Broken)));
        let huge = Builder::new().stack_size(usize::MAX / 4);
        let not_started = within(hour, huge, || ());
        assert!(matches!(not_started, Err(Unfinished::NotStarted(_))));
    }

    #[test]
    fn all_of_the_work_is_done() {
        for count in [0, 1, 3] {
            let done = AtomicUsize::new(0);
            at_once(count, || {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), count);
        }
    }
}
