//! The unit file: a Go text/template over the metadata.
//!
//! What Go 1.19 refuses is refused, what it renders is rendered to the same bytes, or refused where
//! the engine (gtmpl-ng) could differ: `guard` and `functions` see to that. The
//! test's table, `tests/template_cases.json`, is what Go's own text/template says of each case, on a
//! pointer to `struct{Name, Version, ImageVersion string; NumInstances int}` with the values of the
//! test: an output, or an error of parsing or execution. `refused` marks, by hand, what Go renders
//! and this module does not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use gtmpl_ng::{Context, ErrorContext, ExecError, Limits, Number, ParseError, Template, Value};
use rustix::time::{ClockId, clock_gettime};

use super::archive::File;
use super::functions;
use super::guard::{self, Action};
use super::metadata::Metadata;
use super::{RECORD_LIMIT, refusal, refuse};
use crate::catch_panic;
use crate::error::{Error, Result};
use crate::threads::{self, Unfinished};

/// How long the engine may render.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long is waited for the engine; parsing does not know the deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// The engine recurses on nested actions. The memory is reserved, not used.
const STACK: usize = 64 << 20;
/// One template is rendered at a time. The engine reads it in a thread that it detaches, which is
/// safe only while no stack as large as ours is freed (see [`threads::leave`]).
static RENDERING: Mutex<()> = Mutex::new(());
/// The name that errors of the original client give to the template.
pub(super) const NAME: &str = "service template";

/// Renders the unit file for what the metadata says.
pub fn render(file: &File, metadata: &Metadata) -> Result<String> {
    let refused = |what: String| refusal(&file.name, what);
    let actions = guard::check(&file.text).map_err(refused)?;
    // No field of a template can be named so, and nothing else prints this text: if it's in the
    // output, the template printed the whole data, which the engine writes unlike Go.
    let canary = uuid::Uuid::new_v4().simple().to_string();
    let data = data(metadata, &canary);
    let text = file.text.clone();
    let thread = Builder::new().name("template".into()).stack_size(STACK);
    let work = move || catch_panic::run(|| run(text, data));
    let one = RENDERING.lock().unwrap_or_else(PoisonError::into_inner);
    let rendered = threads::within(PATIENCE, thread, work);
    drop(one);
    let rendered = match rendered {
        Err(Unfinished::Late) | Ok(Some(Err(Failure { is_ours: true, .. }))) => {
            return Err(short(&file.name, "this machine was too slow"));
        }
        Err(Unfinished::NotStarted(error)) => {
            return Err(short(&file.name, "no thread can be started").because_of(&error));
        }
        Ok(Some(outcome)) => {
            outcome.map_err(|failure| refused(failure.describe(&actions, &canary)))?
        }
        Ok(None) | Err(Unfinished::Broken) => {
            let what = "rendering broke down, the template is not supported";
            return refuse(&file.name, what);
        }
    };
    if let Some(at) = rendered.find(&canary) {
        let line = 1 + rendered[..at].matches('\n').count();
        let what = "printing the whole data ({{.}}, {{$}}) is not supported";
        return refuse(
            &file.name,
            format!("rendered line {line}: {what}, {FIELDS} expected"),
        );
    }
    Ok(rendered)
}

/// A file that could not be rendered for want of something of ours: no fact about it.
fn short(file: &str, what: &str) -> Error {
    Error::shortage(format!("{file} cannot be rendered now: {what}"))
}

const FIELDS: &str = ".Name, .Version, .ImageVersion or .NumInstances";

fn data(metadata: &Metadata, canary: &str) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    Value::Object(HashMap::from([
        ("Name".to_owned(), text(&metadata.name)),
        ("Version".to_owned(), text(&metadata.version)),
        ("ImageVersion".to_owned(), text(&metadata.image_version)),
        (
            "NumInstances".to_owned(),
            Value::Number(Number::signed(i64::from(metadata.num_instances))),
        ),
        ("\0".to_owned(), text(canary)),
    ]))
}

/// Where the engine failed, and why.
struct Failure {
    at: Option<ErrorContext>,
    what: String,
    /// Whether it is the time of the machine that was short.
    is_ours: bool,
}

impl Failure {
    fn describe(self, actions: &[Action], canary: &str) -> String {
        let what = if self.what.contains(canary) {
            format!("no such field, {FIELDS} expected")
        } else {
            self.what
        };
        let Some(at) = self.at else {
            return what;
        };
        let mut before = actions.iter().rev();
        match before.find(|action| (action.line, action.column) <= (at.line, at.col)) {
            Some(action) => format!("line {}: {}: {what}", at.line, action.text),
            None => format!("line {}: {what}", at.line),
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::WithContext(at, what) => Self {
                at: Some(at),
                what,
                is_ours: false,
            },
            other => Self {
                at: None,
                what: other.to_string(),
                is_ours: false,
            },
        }
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Structured(error) => Self {
                at: Some(error.context),
                what: error.message,
                is_ours: false,
            },
            other => Self {
                at: None,
                what: other.to_string(),
                is_ours: false,
            },
        }
    }
}

fn run(text: String, data: Value) -> std::result::Result<String, Failure> {
    let mut template = Template::with_limits(
        Limits::default()
            .with_deadline(DEADLINE)
            .with_output_bytes(2 * RECORD_LIMIT)
            .with_function_output(2 * RECORD_LIMIT),
    );
    NAME.clone_into(&mut template.name);
    template.funcs.clear();
    template.add_funcs(&functions::ALL);
    template.parse(text)?;
    let rendered = template.render(&Context::from(data));
    rendered.map_err(|error| {
        let is_late = matches!(error, ExecError::DeadlineExceeded { .. });
        Failure {
            is_ours: is_late && !used_its_time(thread_time()),
            ..Failure::from(error)
        }
    })
}

/// The time that this thread has computed for.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Whether a template that was stopped at the deadline had computed for most of the time: else the
/// machine had no time for it, which says nothing of the template.
fn used_its_time(computed: Duration) -> bool {
    computed >= DEADLINE / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_is_missed_without_computing_is_the_machines_fault() {
        assert!(!used_its_time(Duration::ZERO));
        assert!(!used_its_time(Duration::from_millis(300)));
        assert!(used_its_time(DEADLINE));
        assert!(thread_time() < DEADLINE);
    }
}
