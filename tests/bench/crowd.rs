//! Many apps with many markers, and a program that is measured. Shared by the scale tests and the
//! benchmark.
#![allow(dead_code, reason = "each of the two uses its own part of this")]

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use simulator::Artifactory;

/// Marks versions `1.0.0` to `1.0.<versions - 1>` of `apps` apps. Nobody asks for their payloads.
pub fn mark(artifactory: &Artifactory, apps: usize, versions: usize) {
    for app in 0..apps {
        for version in 0..versions {
            artifactory.put_marker(&format!("app-{app:03}"), &format!("1.0.{version}"));
        }
    }
}

/// What a run of the program took.
pub struct Measured {
    /// How it ended.
    pub status: ExitStatus,
    /// From its start to its end.
    pub wall: Duration,
    /// The most memory that was resident, in KiB.
    pub peak_kib: u64,
}

/// Runs the program with its output thrown away. The peak is the kernel's own high-water mark, read
/// every other millisecond: what is used in the last one only is missed.
pub fn measure(mut command: Command) -> Measured {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let mut peak_kib = 0;
    loop {
        peak_kib = peak_kib.max(high_water_mark(&child).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child of ours") {
            let wall = started.elapsed();
            return Measured {
                status,
                wall,
                peak_kib,
            };
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// `VmHWM` of a process, in KiB.
fn high_water_mark(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
