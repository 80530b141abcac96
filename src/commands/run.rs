//! `run`: one pass.

use super::{Invocation, under_lease};
use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::pass;

/// Runs one pass.
pub(super) fn run(config: &Config, output: &Output, invocation: &Invocation<'_>) -> Result<Exit> {
    under_lease(config, output, invocation, &mut pass::run)
}
