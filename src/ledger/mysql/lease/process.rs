//! Whether the process that took a lease is dead, where this host can tell.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::clock::{Clock, System};

/// A process, told apart from every other one of all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    /// Inode of the pid namespace.
    namespace: u64,
    pid: u32,
    /// In clock ticks since the system was started.
    start: u64,
}

impl Process {
    /// This process, or `None` where `/proc` doesn't show it as itself (it may be mounted from
    /// another pid namespace).
    pub fn this() -> Option<Self> {
        let pid = std::process::id();
        let stat = Stat::read("/proc/self/stat").filter(|stat| stat.pid == pid)?;
        let boot = System.boot_id();
        let is_word = !boot.is_empty() && !boot.contains(char::is_whitespace);
        is_word.then_some(Self {
            boot,
            namespace: std::fs::metadata("/proc/self/ns/pid").ok()?.ino(),
            pid,
            start: stat.start,
        })
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [boot, namespace, pid, start] = parts[..] else {
            return None;
        };
        (!boot.is_empty()).then_some(Self {
            boot: boot.to_owned(),
            namespace: namespace.parse().ok()?,
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
        })
    }

    /// Whether that process is certainly dead. Processes of other hosts and containers never are,
    /// nor is one that is stopped.
    pub fn knows_dead(&self, other: &Self) -> bool {
        self.boot == other.boot && self.namespace == other.namespace && other.is_dead_here()
    }

    /// Asks the kernel first: `/proc` may hide the processes of other users (`hidepid`). What
    /// can't be seen is not dead.
    fn is_dead_here(&self) -> bool {
        let Some(number) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        if test_kill_process(number) == Err(Errno::SRCH) {
            return true;
        }
        let stat = Stat::read(&format!("/proc/{}/stat", self.pid));
        // A number that was given to another process, or one that nobody has waited for yet.
        stat.filter(|stat| stat.pid == self.pid)
            .is_some_and(|stat| stat.start != self.start || matches!(stat.state, 'Z' | 'X'))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (boot, namespace) = (&self.boot, self.namespace);
        write!(f, "{boot} {namespace} {} {}", self.pid, self.start)
    }
}

/// Fields 1, 3 and 22 of `/proc/<pid>/stat` (proc(5)).
struct Stat {
    pid: u32,
    state: char,
    start: u64,
}

impl Stat {
    fn read(path: &str) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// Field 2 is the name of the program in brackets, which may itself hold brackets and spaces.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let mut fields = tail.split_ascii_whitespace();
        Some(Self {
            pid: head.split_once(' ')?.0.parse().ok()?,
            state: fields.next()?.chars().next()?,
            start: fields.nth(18)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
impl Process {
    /// A child of this process.
    pub fn of(child: &std::process::Child) -> Self {
        let stat = Stat::read(&format!("/proc/{}/stat", child.id())).unwrap();
        Self {
            pid: child.id(),
            start: stat.start,
            ..Self::this().unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use proptest::prelude::*;
    use rustix::process::{Signal, kill_process};

    use super::*;

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn this_process_is_alive() {
        let this = Process::this().unwrap();
        assert_eq!(Process::parse(&this.to_string()), Some(this.clone()));
        assert!(!this.knows_dead(&this));
    }

    #[test]
    fn a_number_that_another_process_has_now_is_dead() {
        let this = Process::this().unwrap();
        let earlier = Process {
            start: this.start - 1,
            ..this.clone()
        };
        assert!(this.knows_dead(&earlier));
    }

    #[test]
    fn a_stopped_process_is_alive_and_a_killed_one_dead_before_and_after_it_is_waited_for() {
        let this = Process::this().unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::of(&child);
        let pid = Pid::from_child(&child);
        let path = format!("/proc/{}/stat", child.id());
        let state = |state| Stat::read(&path).is_some_and(|stat| stat.state == state);

        kill_process(pid, Signal::STOP).unwrap();
        until(|| state('T'));
        assert!(!this.knows_dead(&process));

        kill_process(pid, Signal::KILL).unwrap();
        until(|| state('Z'));
        assert!(this.knows_dead(&process));
        child.wait().unwrap();
        assert!(this.knows_dead(&process));
    }

    #[test]
    fn nothing_is_known_of_other_boots_and_namespaces() {
        let this = Process::this().unwrap();
        let dead = Process {
            start: this.start - 1,
            ..this.clone()
        };
        let boot = "11111111-2222-3333-4444-555555555555".to_owned();
        assert!(!this.knows_dead(&Process {
            boot,
            ..dead.clone()
        }));
        assert!(!this.knows_dead(&Process {
            namespace: this.namespace + 1,
            ..dead
        }));
    }

    #[test]
    fn what_cannot_be_seen_is_not_dead() {
        let this = Process::this().unwrap();
        assert!(!this.knows_dead(&Process {
            pid: 0,
            ..this.clone()
        }));
        assert!(!this.knows_dead(&Process {
            pid: u32::MAX,
            ..this.clone()
        }));
    }

    #[test]
    fn the_name_of_a_program_may_hold_anything() {
        let rest = "S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 11";
        for name in ["sh", "a b", ") Z 1", "((", "x) (y"] {
            let stat = Stat::parse(&format!("42 ({name}) {rest}")).unwrap();
            assert_eq!((stat.pid, stat.state, stat.start), (42, 'S', 98765));
        }
    }

    #[test]
    fn other_words_name_no_process() {
        for text in [
            "",
            " ",
            "b 1 2",
            "b 1 2 3 4",
            "b 1 2 x",
            " 1 2 3",
            "b -1 2 3",
        ] {
            assert_eq!(Process::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = Stat::parse(&text);
            if let Some(process) = Process::parse(&text) {
                prop_assert_eq!(Process::parse(&process.to_string()), Some(process));
            }
        }
    }
}
