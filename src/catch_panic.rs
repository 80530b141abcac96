//! Panics of libraries that are fed by strangers: caught, and not reported as our own.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; `None` is a panic. Whatever `work` was changing must not be used after that.
pub fn run<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(before);
    result.ok()
}

/// Whether this thread is inside [`run`]: the program's panic hook says nothing then.
pub fn is_caught() -> bool {
    CATCHING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught() {
        assert_eq!(run(|| 1), Some(1));
        assert_eq!(run(|| -> i32 { panic!("of a library, on purpose") }), None);
        assert!(!is_caught());
        assert_eq!(run(is_caught), Some(true));
    }
}
