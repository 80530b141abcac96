//! The checks that options share.

use crate::cli::variable;
use crate::error::{Error, Result};
use crate::model::name::{NAME_LIMIT, is_app_name};

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
