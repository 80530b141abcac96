//! SIGHUP, which ends a program whose terminal is gone.

use signal_hook::consts::SIGHUP;

/// Whether the process was started with SIGHUP ignored, as `nohup` does. A handler would undo that.
pub fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, SIGHUP)
}

/// Whether a process of this status (`proc_pid_status(5)`) ignores a signal.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGTERM;

    use super::*;

    #[test]
    fn what_is_ignored_stands_in_the_status() {
        for (mask, hangup, terminate) in [
            ("0000000000000000", false, false),
            ("0000000000000001", true, false),
            ("0000000000001000", false, false),
            ("0000000000004001", true, true),
            ("ffffffffffffffff", true, true),
            ("", false, false),
            ("x", false, false),
        ] {
            let status = format!("Name:\tcam\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
            assert_eq!(ignores(&status, SIGHUP), hangup, "{mask}");
            assert_eq!(ignores(&status, SIGTERM), terminate, "{mask}");
        }
        assert!(!ignores("", SIGHUP));
    }
}
