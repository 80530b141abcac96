//! Priorities of lines that the journal of systemd takes.
//!
//! A service's stderr has no priorities of its own: the journal reads `<N>` before a line as one
//! (`sd-daemon(3)`), and leaves it out. So `journalctl -p err` finds what went wrong.

use std::io::{self, Stderr, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The priority of a line, by its number in `syslog(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// What went wrong.
    Error = 3,
    /// What may go wrong.
    Warning = 4,
    /// What happens once, and may be a mistake.
    Notice = 5,
    /// A detail.
    Info = 6,
    /// What the libraries do.
    Debug = 7,
}

impl From<&Level> for Priority {
    fn from(level: &Level) -> Self {
        match *level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// A text as the journal takes it: each of its lines has the priority.
pub fn prioritized(text: &str, priority: Priority) -> String {
    let line = |line: &str| format!("<{}>{line}", priority as u8);
    text.split_inclusive('\n').map(line).collect()
}

/// Where events are written: stderr, with priorities where that is the journal.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// Whether it is.
    pub is_journal: bool,
}

/// Where one event is written.
#[derive(Debug)]
pub struct Event(Option<Priority>);

impl<'a> MakeWriter<'a> for Events {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event(None)
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Event {
        Event(self.is_journal.then(|| Priority::from(of.level())))
    }
}

impl Write for Event {
    /// An event comes as one text: with its priority it is written as one, too.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut stderr: Stderr = io::stderr();
        match self.0 {
            None => stderr.write_all(event),
            Some(priority) => {
                let text = String::from_utf8_lossy(event);
                stderr.write_all(prioritized(&text, priority).as_bytes())
            }
        }?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_priority() {
        for (text, priority, expected) in [
            ("", Priority::Error, ""),
            ("error: x\n", Priority::Error, "<3>error: x\n"),
            (
                "error: x\n  hint: y\n",
                Priority::Error,
                "<3>error: x\n<3>  hint: y\n",
            ),
            ("warning: x", Priority::Warning, "<4>warning: x"),
            ("<0>forged\n", Priority::Notice, "<5><0>forged\n"),
        ] {
            assert_eq!(prioritized(text, priority), expected);
        }
        assert_eq!(Priority::from(&Level::TRACE), Priority::Debug);
    }
}
