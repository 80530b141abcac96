//! The rendered unit file, as the two that will read it do: systemd and fleet.
//!
//! Both readings are made. A unit that one of them takes in full is taken: what the other does not is
//! a note. One that neither does is refused, with the line. Tried with `systemd-analyze verify` 252
//! and with go-systemd's `unit/deserialize.go`, which is what fleet has; the test's table is theirs.

mod fleet;
mod systemd;

/// An option of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    section: String,
    name: String,
    value: String,
}

/// What a reader of units refuses or drops.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    what: String,
}

impl Fault {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }

    fn describe(&self) -> String {
        format!("rendered line {}: {}", self.line, self.what)
    }
}

/// A unit as one reader has it: all that it says, or where the reader refuses or drops something.
type Reading = Result<Vec<Assignment>, Fault>;

/// Checks a unit. Gives what one of the two readers does not take, for a person to know, or why the
/// unit is refused.
pub fn check(unit: &str) -> Result<Option<String>, String> {
    if let Some(line) = unit.split('\n').position(is_conflict_marker) {
        let fault = Fault::new(line + 1, "a marker of a merge conflict");
        return Err(fault.describe());
    }
    let (assignments, note) = match (systemd::read(unit), fleet::read(unit)) {
        (Ok(read), Ok(_)) => (read, None),
        (Ok(read), Err(fault)) => (read, Some(format!("{} (fleet)", fault.describe()))),
        (Err(fault), Ok(read)) => (read, Some(format!("{} (systemd)", fault.describe()))),
        (Err(fault), Err(_)) => return Err(fault.describe()),
    };
    if is_executable(&assignments) {
        Ok(note)
    } else {
        Err("no ExecStart= and no ExecStop= in a [Service] section, systemd refuses that".into())
    }
}

/// What `git` and others leave in a file whose changes contradict each other.
fn is_conflict_marker(line: &str) -> bool {
    let line = line.strip_suffix('\r').unwrap_or(line);
    ["<<<<<<<", "|||||||", ">>>>>>>", "======="]
        .iter()
        .filter_map(|marker| line.strip_prefix(marker))
        .any(|label| label.is_empty() || label.starts_with(' '))
}

/// Whether there is anything to do for a service: an empty value takes back what was said before.
fn is_executable(assignments: &[Assignment]) -> bool {
    let last_of = |section: &str, name: &str| {
        let mut said = assignments.iter().rev();
        said.find(|said| said.section == section && said.name == name)
            .is_some_and(|said| !said.value.is_empty())
    };
    last_of("Service", "ExecStart")
        || last_of("Service", "ExecStop")
        || last_of("Unit", "SuccessAction")
}
