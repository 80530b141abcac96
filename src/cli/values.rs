//! How single values are read.

use std::time::Duration;

use clap::ValueEnum;

use crate::model::name;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Human,
    /// One document for programs
    Json,
}

/// `--listing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
#[expect(missing_docs, reason = "clap would print them as help")]
pub enum ListingMode {
    // AQL, and the folders where AQL can't be trusted.
    #[default]
    Auto,
    // AQL or nothing.
    Aql,
    // Only the folders.
    Folders,
}

/// `--hook-auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
#[expect(missing_docs, reason = "clap would print them as help")]
pub enum HookAuth {
    // HMAC-SHA256 of the event.
    #[default]
    Hmac,
    // The secret itself.
    Plain,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
#[expect(missing_docs, reason = "clap would print them as help")]
pub enum ColorMode {
    // Where a terminal takes it and `NO_COLOR` is not set.
    #[default]
    Auto,
    Always,
    Never,
}

/// `settle --as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SettleAs {
    /// It was deployed: the version counts as deployed
    Deployed,
    /// It was not: passes leave that version alone
    NotDeployed,
}

/// `--unknown-hold`: how long an attempt of unknown outcome is left open; `None` is `never`
/// (closed by an operator only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownHold(pub Option<Duration>);

/// The variable of an option: `CAM_` and its long name in capitals.
pub fn variable(long: &str) -> String {
    format!("CAM_{}", long.to_ascii_uppercase().replace('-', "_"))
}

/// A duration as humantime reads it; a bare `0` is zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text)
        .map_err(|_| "not a duration; write it like 90s, 5m or 1h30m".to_string())
}

/// A duration of this range.
pub(super) fn within(
    least: Duration,
    most: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| match duration(text)? {
        value if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!(
            "it must be from {} to {}",
            humantime::format_duration(least),
            humantime::format_duration(most)
        )),
    }
}

/// A pause between passes, where a bare number counts seconds; zero is no polling.
pub(super) fn polling(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse::<u32>();
    let text = seconds.map_or_else(|_| text.to_owned(), |seconds| format!("{seconds}s"));
    match duration(&text)? {
        Duration::ZERO => Ok(Duration::ZERO),
        _ => within(SECOND, 7 * DAY)(&text),
    }
}

/// A duration or `never`.
pub(super) fn unknown_hold(text: &str) -> Result<UnknownHold, String> {
    if text.trim().eq_ignore_ascii_case("never") {
        return Ok(UnknownHold(None));
    }
    within(Duration::ZERO, 365 * DAY)(text).map(|d| UnknownHold(Some(d)))
}

/// The text, where it is good.
fn accept(text: &str, good: bool, otherwise: &str) -> Result<String, String> {
    good.then(|| text.to_owned())
        .ok_or_else(|| otherwise.to_owned())
}

/// A pattern of app names: the characters of a name, `*` and `?`.
pub(super) fn glob(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
    accept(
        text,
        (1..=name::NAME_LIMIT).contains(&text.len()) && text.chars().all(is_part),
        "a pattern is made of letters, digits, '.', '_', '-', '*' and '?'",
    )
}

/// The name of an app.
pub(super) fn app_name(text: &str) -> Result<String, String> {
    let words = "a name is made of letters, digits, '.', '_' and '-'; a letter or digit is first";
    accept(text, name::is_app_name(text), words)
}

/// A version.
pub(super) fn version(text: &str) -> Result<String, String> {
    let words =
        "a version is made of letters, digits, '.', '_', '-' and '+'; a letter or digit is first";
    accept(text, name::is_version(text), words)
}

/// The name of a token: one printable line, as a person would write it.
pub(super) fn token_name(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty()
        && text.chars().count() <= name::NAME_LIMIT
        && crate::text::escaped(text) == text;
    let words = "a name is one line of up to 128 printable characters";
    accept(text, good, words)
}

/// The id of a pass: a UUID.
pub(super) fn pass_id(text: &str) -> Result<String, String> {
    uuid::Uuid::parse_str(text)
        .map(|id| id.to_string())
        .map_err(|_| "not a UUID".to_string())
}

/// `APP` or `APP=VERSION`.
pub(super) fn app_and_version(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((app, given)) => app_name(app).and(version(given)),
        None => app_name(text),
    }
    .map(|_| text.to_owned())
}
