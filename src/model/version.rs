//! The order of versions.

mod generated;
mod natural;
mod semver;
mod words;

#[cfg(test)]
mod tests;

use natural::NaturalKey;
use semver::SemverKey;

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

    /// The first word of a version that says nothing to this order: whether it means a pre-release is
    /// known to nobody but its team, and it was compared as text.
    pub fn unknown_word(self, version: &str) -> Option<String> {
        match self {
            Order::Natural => natural::unknown_word(version),
            Order::Semver => None,
        }
    }
}

impl std::fmt::Display for VersionKey {
    /// How the version is read: its parts in brackets, in the order in which they are compared.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Key::Natural(key) => key.fmt(f),
            Key::Semver(key) => key.fmt(f),
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
