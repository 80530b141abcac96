//! Versions that tools make of builds, without a word that says so.

use super::natural::Parts;
use super::words::is_number;

/// What a tool added.
pub struct Generated<'a> {
    /// What stands between the leading numbers and it.
    pub before: &'a str,
    /// The time of the build or commit, and what follows.
    pub stamp: &'a str,
    /// Whether it leads to what stands before it; else it follows that, and that is a pre-release.
    pub is_before: bool,
}

/// What Maven or Go added to a version, if one of them did.
pub fn find<'a>(parts: &Parts<'a>) -> Option<Generated<'a>> {
    unique_snapshot(parts.rest).or_else(|| pseudo_version(parts))
}

/// The name under which Maven's repositories keep one build of a snapshot: `-20230101.123456-1`.
fn unique_snapshot(rest: &str) -> Option<Generated<'_>> {
    let (named, build) = rest.rsplit_once('-')?;
    let at = named.rfind('-')?;
    let (date, time) = named[at + 1..].split_once('.')?;
    let is_unique = is_date(date) && is_time(time) && is_number(build);
    is_unique.then(|| Generated {
        before: &rest[..at],
        stamp: &rest[at..],
        is_before: true,
    })
}

/// A pseudo-version of Go: `v2.0.0-20190101000000-abcdefabcdef` before any tag,
/// `v1.2.4-0.20190101000000-abcdefabcdef` after v1.2.3,
/// `v1.2.3-rc.1.0.20190101000000-abcdefabcdef` after v1.2.3-rc.1.
fn pseudo_version<'a>(parts: &Parts<'a>) -> Option<Generated<'a>> {
    let rest = parts.rest;
    let (named, hash) = rest.rsplit_once('-')?;
    let is_hash = hash.len() == 12 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let at = named.len().checked_sub(14)?;
    let (before, stamp) = named.split_at_checked(at)?;
    let (date, time) = stamp.split_at_checked(8)?;
    if !is_hash || !is_date(date) || !is_time(time) {
        return None;
    }
    let is_untagged = || {
        let numbers: Vec<&str> = parts.numbers.split('.').collect();
        matches!(numbers.as_slice(), [_, "0", "0"])
    };
    let is_before = before == "-0." || (before == "-" && is_untagged());
    let start = if is_before { 0 } else { at };
    (is_before || before.ends_with(".0.")).then(|| Generated {
        before: &rest[..start],
        stamp: &rest[start..],
        is_before,
    })
}

/// `YYYYMMDD`.
fn is_date(digits: &str) -> bool {
    digits.len() == 8
        && is_number(digits)
        && ("01"..="12").contains(&&digits[4..6])
        && ("01"..="31").contains(&&digits[6..])
}

/// `HHMMSS`.
fn is_time(digits: &str) -> bool {
    digits.len() == 6
        && is_number(digits)
        && ("00"..="23").contains(&&digits[..2])
        && ("00"..="59").contains(&&digits[2..4])
        && ("00"..="60").contains(&&digits[4..])
}
