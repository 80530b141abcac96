//! What this process uses, as Linux tells it under `/proc/self` (proc(5)).

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The figures; what the system does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessFigures {
    /// Memory in RAM, in bytes.
    pub(super) resident_bytes: u64,
    /// The most that ever was in RAM, in bytes.
    pub(super) peak_resident_bytes: u64,
    /// Address space, in bytes.
    pub(super) virtual_bytes: u64,
    /// Memory of the heap and other private data, in bytes.
    pub(super) data_bytes: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Open file descriptors.
    pub(super) open_files: u64,
    /// The most file descriptors that may be open; 0 is no limit.
    pub(super) max_open_files: u64,
    /// Time on processors, user and system, in seconds; subprocesses are not in it.
    pub(super) cpu_seconds: f64,
}

impl ProcessFigures {
    /// Reads them.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = std::time::Duration::try_from(cpu).unwrap_or_default();
        Self {
            open_files: open_files(),
            max_open_files: number(&limits, "Max open files"),
            cpu_seconds: cpu.as_secs_f64(),
            ..Self::of_status(&status)
        }
    }

    fn of_status(status: &str) -> Self {
        Self {
            resident_bytes: kilobytes(status, "VmRSS:"),
            peak_resident_bytes: kilobytes(status, "VmHWM:"),
            virtual_bytes: kilobytes(status, "VmSize:"),
            data_bytes: kilobytes(status, "VmData:"),
            threads: number(status, "Threads:"),
            ..Self::default()
        }
    }
}

/// The descriptors without the one that reading them takes.
fn open_files() -> u64 {
    let count = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(count).unwrap_or(0).saturating_sub(1)
}

fn kilobytes(text: &str, key: &str) -> u64 {
    number(text, key).saturating_mul(1024)
}

/// The first word behind `key`: in `limits` the soft limit, which is the one in force.
fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    let word = value.and_then(|value| value.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_kernel_are_read() {
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmHWM:\t 12 kB\nVmRSS:\t  8 kB\nThreads:\t3\n";
        let figures = ProcessFigures::of_status(status);
        assert_eq!(figures.virtual_bytes, 2_097_152);
        assert_eq!((figures.resident_bytes, figures.threads), (8192, 3));
        assert_eq!(figures.peak_resident_bytes, 12 * 1024);
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(number(limits, "Max open files"), 1024);
        assert_eq!(
            number("Max open files unlimited unlimited", "Max open files"),
            0
        );
        assert_eq!(number("VmRSS: many kB", "VmRSS:"), 0);
    }

    #[test]
    fn this_process_uses_something() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes > 100_000, "{figures:?}");
        assert!(figures.threads > 0 && figures.open_files > 2, "{figures:?}");
    }
}
