//! The checks that options share.

use std::time::Duration;

use crate::cli::variable;
use crate::error::{Error, Result};
use crate::model::name::{NAME_LIMIT, is_app_name};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The option and its variable, as errors name them.
pub(super) fn named(long: &str) -> String {
    format!("--{long} ({})", variable(long))
}

/// Domain, environment and repositories become part of file names and paths of URLs.
pub(super) fn check_name(long: &str, value: &str) -> Result<()> {
    if is_app_name(value) {
        return Ok(());
    }
    Err(
        Error::usage(format!("{} cannot be \"{value}\"", named(long))).hint(format!(
            "up to {NAME_LIMIT} letters, digits, '.', '_' and '-', a letter or digit first"
        )),
    )
}

/// Errors (exit 2): a duration out of its range.
pub(super) fn between(
    long: &str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{} is {}; it must be from {} to {}",
        named(long),
        humantime::format_duration(value),
        humantime::format_duration(least),
        humantime::format_duration(most),
    )))
}
