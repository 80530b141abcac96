//! Strict `SemVer` 2.0.0 (<https://semver.org>).

use super::{Number, joined};

/// Precedence of SemVer 2.0.0, section 11. Build metadata has none and is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SemverKey {
    core: [Number; 3],
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    PreRelease(Vec<Identifier>),
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Numeric(Number),
    Text(String),
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identifier::Numeric(number) => number.fmt(f),
            Identifier::Text(text) => f.write_str(text),
        }
    }
}

impl std::fmt::Display for SemverKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", joined(&self.core))?;
        match &self.stage {
            Stage::PreRelease(identifiers) => write!(f, " [{}]", joined(identifiers)),
            Stage::Release => Ok(()),
        }
    }
}

impl SemverKey {
    /// The key of a version that is strict `SemVer`.
    pub fn new(version: &str) -> Option<Self> {
        let (version, build) = match version.split_once('+') {
            Some((version, build)) => (version, Some(build)),
            None => (version, None),
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let (core, stage) = match version.split_once('-') {
            Some((core, identifiers)) => {
                let identifiers = identifiers.split('.').map(Identifier::new);
                (core, Stage::PreRelease(identifiers.collect::<Option<_>>()?))
            }
            None => (version, Stage::Release),
        };
        let numbers: Option<Vec<Number>> = core.split('.').map(semver_number).collect();
        Some(Self {
            core: numbers?.try_into().ok()?,
            stage,
        })
    }
}

impl Identifier {
    fn new(text: &str) -> Option<Self> {
        if !is_identifier(text) {
            None
        } else if text.bytes().all(|b| b.is_ascii_digit()) {
            semver_number(text).map(Identifier::Numeric)
        } else {
            Some(Identifier::Text(text.to_owned()))
        }
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A number without leading zeros.
fn semver_number(text: &str) -> Option<Number> {
    let plain = text == "0"
        || (!text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| Number::new(text))
}
