//! Whether the process that took a lease is dead, where this host can tell.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

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
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let stat = parse_stat(&read("/proc/self/stat")?)?;
        let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
        let is_whole = stat.pid == pid && !boot.is_empty() && !boot.contains(char::is_whitespace);
        is_whole.then_some(Self {
            boot,
            namespace,
            pid,
            start: stat.start,
        })
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let process = Self {
            boot: parts.next().filter(|boot| !boot.is_empty())?.to_owned(),
            namespace: parts.next()?.parse().ok()?,
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(process)
    }

    /// Whether that process is certainly dead. Processes of other hosts and containers never are,
    /// nor is one that is stopped.
    pub fn knows_dead(&self, other: &Self) -> bool {
        self.boot == other.boot
            && self.namespace == other.namespace
            && other.is_dead_by(&look(other.pid))
    }

    fn is_dead_by(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Nothing => true,
            // A number that was given to another process, or one that nobody has waited for yet.
            Seen::Process(stat) => stat.start != self.start || matches!(stat.state, 'Z' | 'X'),
            Seen::Unknown => false,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boot,
            namespace,
            pid,
            start,
        } = self;
        write!(f, "{boot} {namespace} {pid} {start}")
    }
}

/// What there is under a pid.
enum Seen {
    Nothing,
    Process(Stat),
    Unknown,
}

struct Stat {
    pid: u32,
    state: char,
    start: u64,
}

/// Asks the kernel first: `/proc` may hide the processes of other users (`hidepid`).
fn look(pid: u32) -> Seen {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Seen::Unknown;
    };
    if test_kill_process(number) == Err(Errno::SRCH) {
        return Seen::Nothing;
    }
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| parse_stat(&text))
        .filter(|stat| stat.pid == pid)
        .map_or(Seen::Unknown, Seen::Process)
}

/// Fields 1, 3 and 22 of `/proc/<pid>/stat` (proc(5)). The second one is the name of the program
/// in brackets, which may itself hold brackets and spaces.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let mut fields = tail.split_ascii_whitespace();
    Some(Stat {
        pid: head.split_once(' ')?.0.parse().ok()?,
        state: fields.next()?.chars().next()?,
        start: fields.nth(18)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use proptest::prelude::*;
    use rustix::process::{Signal, kill_process};

    use super::*;

    /// `child`, as seen from here.
    pub fn process_of(child: &Child) -> Process {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        Process {
            pid: child.id(),
            start: parse_stat(&text).unwrap().start,
            ..Process::this().unwrap()
        }
    }

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
        let process = process_of(&child);
        let pid = Pid::from_child(&child);
        let state = |state| matches!(look(child.id()), Seen::Process(s) if s.state == state);

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
        assert!(!this.is_dead_by(&Seen::Unknown));
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
            let stat = parse_stat(&format!("42 ({name}) {rest}")).unwrap();
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
            let _ = parse_stat(&text);
            if let Some(process) = Process::parse(&text) {
                prop_assert_eq!(Process::parse(&process.to_string()), Some(process));
            }
        }
    }
}
