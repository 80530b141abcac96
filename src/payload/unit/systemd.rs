//! Units as systemd reads them (`config_parse` of version 252).

use super::{Assignment, Fault, Reading};

/// Reads a unit.
pub fn read(unit: &str) -> Reading {
    let mut assignments = Vec::new();
    let mut section: Option<String> = None;
    for (number, line) in logical_lines(unit) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let fault = |what: String| Err(Fault::new(number, what));
        if let Some(header) = line.strip_prefix('[') {
            let Some(name) = header.strip_suffix(']') else {
                return fault(format!("{line:?} is no section, systemd refuses the unit"));
            };
            if !is_known(name) {
                return fault(format!("systemd knows no section [{name}] and ignores it"));
            }
            section = Some(name.to_owned());
            continue;
        }
        let Some(section) = &section else {
            return fault("before the first section, where it is ignored".into());
        };
        match line.split_once('=') {
            None => return fault("no '=', systemd ignores the line".into()),
            Some(("", _)) => return fault("no name before '=', systemd ignores the line".into()),
            Some((name, value)) => assignments.push(Assignment {
                section: section.clone(),
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
        }
    }
    Ok(assignments)
}

fn is_known(section: &str) -> bool {
    matches!(section, "Unit" | "Service" | "Install") || section.starts_with("X-")
}

/// The lines, continued ones in one, with the number of the first. Comments are left out, inside of
/// a continued line too.
fn logical_lines(unit: &str) -> Vec<(usize, String)> {
    let unit = unit.strip_prefix('\u{feff}').unwrap_or(unit);
    let mut lines = Vec::new();
    let mut continued: Option<(usize, String)> = None;
    for (line, number) in unit.split('\n').zip(1..) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (first, mut whole) = continued.take().unwrap_or((number, String::new()));
        whole.push_str(line);
        let backslashes = whole.bytes().rev().take_while(|b| *b == b'\\').count();
        if backslashes % 2 == 1 {
            whole.pop();
            whole.push(' ');
            continued = Some((first, whole));
        } else {
            lines.push((first, whole));
        }
    }
    lines.extend(continued);
    lines
}
