//! Units as fleet reads them (go-systemd's `unit/deserialize.go`).

use super::{Assignment, Fault, Reading};

/// The most bytes of a line: lines are read through a buffer of 2048 bytes.
const LINE_LIMIT: usize = 2047;

/// Reads a unit. fleet itself reports nothing of what it drops: text before the first section, and
/// what a comment that ends in a backslash swallows.
pub fn read(unit: &str) -> Reading {
    let too_long = unit.split('\n').position(|line| line.len() > LINE_LIMIT);
    if let Some(line) = too_long {
        let what = format!("fleet reads at most {LINE_LIMIT} bytes of a line");
        return Err(Fault::new(line + 1, what));
    }
    let unit = unit.strip_prefix('\u{feff}').unwrap_or(unit);
    let mut lines = Lines {
        lines: unit.split('\n').collect(),
        at: 0,
    };
    let mut assignments = Vec::new();
    let mut section: Option<String> = None;
    while let Some((line, number)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() {
            continue;
        }
        if line.starts_with(['#', ';']) {
            lines.skip_comment(line)?;
            continue;
        }
        let fault = |what: String| Err(Fault::new(number, what));
        if let Some(header) = line.strip_prefix('[') {
            section = match header.split_once(']') {
                Some((name, after)) if after.trim().is_empty() => Some(name.to_owned()),
                _ => return fault(format!("{:?} is no section for fleet", line.trim_end())),
            };
            continue;
        }
        let Some(section) = &section else {
            return fault("before the first section, where fleet drops it".into());
        };
        let Some((name, value)) = line.split_once('=') else {
            return fault("no '=', fleet refuses the unit".into());
        };
        assignments.push(Assignment {
            section: section.clone(),
            name: name.trim().to_owned(),
            value: lines.value(value),
        });
    }
    Ok(assignments)
}

/// The lines of a unit, one after the other.
struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(&'a str, usize)> {
        let line = self.lines.get(self.at)?;
        self.at += 1;
        Some((*line, self.at))
    }

    /// The whole of a value that begins so. It goes on behind a backslash that is the last byte of a
    /// line, unless the next line is blank.
    fn value(&mut self, start: &str) -> String {
        let mut whole = start.to_owned();
        let mut line = start;
        while line.ends_with('\\') && !line.trim().is_empty() {
            let Some((next, _)) = self.next() else {
                break;
            };
            line = next;
            if line.trim().is_empty() {
                break;
            }
            whole.push('\n');
            whole.push_str(line);
        }
        whole.trim().to_owned()
    }

    /// Goes past what continues a comment. Comments and blank lines are no loss.
    fn skip_comment(&mut self, comment: &str) -> Result<(), Fault> {
        let mut line = comment;
        while line.trim_end_matches(' ').ends_with('\\') {
            let Some((next, number)) = self.next() else {
                break;
            };
            line = next;
            let text = line.trim();
            if !text.is_empty() && !text.starts_with(['#', ';']) {
                let what = "fleet takes it for a part of the comment above, which ends in \\";
                return Err(Fault::new(number, what));
            }
        }
        Ok(())
    }
}
