//! The order of versions.

use std::cmp::Ordering;

#[cfg(test)]
mod tests;

/// Which order versions are compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
#[expect(missing_docs, reason = "clap would print them as help")]
pub enum Order {
    // A total preorder on all names (the default).
    #[default]
    Natural,
    // Strict SemVer 2.
    Semver,
}

/// A version, ready to be compared: [`Ord`] is the order that made it. Equal keys are versions
/// that the order can't tell apart (`1.0` and `1.0.0`).
///
/// Keys of different orders have no common meaning; they are comparable only so that the order
/// stays total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionKey(Key);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Natural(NaturalKey),
    Semver(SemverKey),
}

impl Order {
    /// The name on the command line: `natural` or `semver`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Order::Natural => "natural",
            Order::Semver => "semver",
        }
    }

    /// The order of that name.
    pub fn parse(name: &str) -> Option<Order> {
        [Order::Natural, Order::Semver]
            .into_iter()
            .find(|order| order.as_str() == name)
    }

    /// The key of a version, or `None` where this order has no place for it. Natural order has a
    /// place for every text; [`Order::Semver`] only for what is strict SemVer 2.0.0
    /// (<https://semver.org>), whose build metadata it does not compare.
    pub fn key(self, version: &str) -> Option<VersionKey> {
        match self {
            Order::Natural => Some(VersionKey(Key::Natural(NaturalKey::new(version)))),
            Order::Semver => SemverKey::new(version).map(|key| VersionKey(Key::Semver(key))),
        }
    }
}

impl std::fmt::Display for VersionKey {
    /// How the version is read: its parts in brackets, in the order in which they are compared.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Key::Natural(key) => {
                write!(f, "[{}]", joined(&key.numbers))?;
                for (lead, runs) in [(" ", &key.rest), (" + ", &key.build)] {
                    if !runs.0.is_empty() {
                        write!(f, "{lead}[{}]", joined(&runs.0))?;
                    }
                }
                Ok(())
            }
            Key::Semver(key) => {
                write!(f, "[{}]", joined(&key.core))?;
                match &key.stage {
                    Stage::PreRelease(identifiers) => write!(f, " [{}]", joined(identifiers)),
                    Stage::Release => Ok(()),
                }
            }
        }
    }
}

fn joined<T: std::fmt::Display>(parts: &[T]) -> String {
    parts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A number of any length. Derived order compares the length first, which is the order of numbers
/// because `text` has no leading zeros; zero is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    len: usize,
    text: String,
}

impl Number {
    fn new(digits: &str) -> Self {
        let text = digits.trim_start_matches('0').to_owned();
        Self {
            len: text.len(),
            text,
        }
    }

    const fn is_zero(&self) -> bool {
        self.len == 0
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_zero() { "0" } else { &self.text })
    }
}

/// Field by field: the leading numbers, the rest up to a `+`, what follows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NaturalKey {
    /// Without trailing zeros: what remains ends above zero, so the order of `Vec`, in which a
    /// prefix is less, is the order of numbers in which the missing ones are 0.
    numbers: Vec<Number>,
    rest: Runs,
    build: Runs,
}

impl NaturalKey {
    fn new(version: &str) -> Self {
        let bare = version
            .strip_prefix(['v', 'V'])
            .filter(|after| starts_with_digit(after))
            .unwrap_or(version);
        let (numbers, after) = leading_numbers(bare);
        let (rest, build) = after.split_once('+').unwrap_or((after, ""));
        Self {
            numbers,
            rest: Runs::new(rest),
            build: Runs::new(build),
        }
    }
}

/// Cuts the dotted numbers off the front, without their trailing zeros.
fn leading_numbers(text: &str) -> (Vec<Number>, &str) {
    let mut numbers = Vec::new();
    let mut left = text;
    while starts_with_digit(left) {
        let (digits, after) = cut(left, Class::Digit);
        numbers.push(Number::new(digits));
        left = match after.strip_prefix('.') {
            Some(next) if starts_with_digit(next) => next,
            _ => {
                left = after;
                break;
            }
        };
    }
    while numbers.last().is_some_and(Number::is_zero) {
        numbers.pop();
    }
    (numbers, left)
}

/// One run of digits or letters. The order of the variants is the order of runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    PreRelease(PreRelease),
    Zero,
    Word(String),
    Positive(Number),
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Run::PreRelease(word) => f.write_str(match word {
                PreRelease::Snapshot => "snapshot",
                PreRelease::Alpha => "alpha",
                PreRelease::Beta => "beta",
                PreRelease::Milestone => "milestone",
                PreRelease::Preview => "preview",
                PreRelease::Candidate => "candidate",
            }),
            Run::Zero => f.write_str("0"),
            Run::Word(word) => write!(f, "word:{word}"),
            Run::Positive(number) => number.fmt(f),
        }
    }
}

/// What a pre-release word means, earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PreRelease {
    Snapshot,
    Alpha,
    Beta,
    Milestone,
    Preview,
    Candidate,
}

/// Runs, followed by infinitely many zeros that are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Runs(Vec<Run>);

impl Runs {
    fn new(text: &str) -> Self {
        let mut runs = Vec::new();
        let mut left = text;
        while let Some(first) = left.chars().next() {
            let class = Class::of(first);
            let (run, after) = cut(left, class);
            match class {
                Class::Digit => runs.push(number_run(run)),
                Class::Letter => runs.push(word_run(run, starts_with_digit(after))),
                Class::Separator => {}
            }
            left = after;
        }
        // Equality has to agree with the comparison, for which a missing run is 0.
        while runs.last() == Some(&Run::Zero) {
            runs.pop();
        }
        Self(runs)
    }

    fn at(&self, i: usize) -> &Run {
        self.0.get(i).unwrap_or(&Run::Zero)
    }
}

impl Ord for Runs {
    fn cmp(&self, other: &Self) -> Ordering {
        let len = self.0.len().max(other.0.len());
        (0..len)
            .map(|i| self.at(i).cmp(other.at(i)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Runs {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn number_run(digits: &str) -> Run {
    let number = Number::new(digits);
    if number.is_zero() {
        Run::Zero
    } else {
        Run::Positive(number)
    }
}

fn word_run(word: &str, before_digit: bool) -> Run {
    let lower = word.to_lowercase();
    let meaning = match lower.as_str() {
        "dev" | "snapshot" | "nightly" => PreRelease::Snapshot,
        "alpha" => PreRelease::Alpha,
        "beta" => PreRelease::Beta,
        "milestone" => PreRelease::Milestone,
        "pre" | "preview" => PreRelease::Preview,
        "rc" | "cr" => PreRelease::Candidate,
        // 1.0.2a is the fix after 1.0.2 (OpenSSL), 1.0a2 the alpha before 1.0 (Python).
        "a" if before_digit => PreRelease::Alpha,
        "b" if before_digit => PreRelease::Beta,
        "m" if before_digit => PreRelease::Milestone,
        _ => return Run::Word(lower),
    };
    Run::PreRelease(meaning)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Letter,
    Separator,
}

impl Class {
    fn of(c: char) -> Self {
        if c.is_ascii_digit() {
            Class::Digit
        } else if c.is_alphabetic() {
            Class::Letter
        } else {
            Class::Separator
        }
    }
}

/// Cuts the characters of one class off the front.
fn cut(text: &str, class: Class) -> (&str, &str) {
    let end = text.find(|c| Class::of(c) != class).unwrap_or(text.len());
    text.split_at(end)
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Precedence of SemVer 2.0.0, section 11. Build metadata has none and is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SemverKey {
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

impl SemverKey {
    fn new(version: &str) -> Option<Self> {
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
