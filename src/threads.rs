//! Work that several threads share, with as many of them as there are to be had.

use std::thread::{Builder, scope};

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
