//! `run`: one pass.

use super::under_lease;
use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::pass;

/// Runs one pass.
pub fn run(config: &Config, output: &Output) -> Result<Exit> {
    under_lease(config, output, "run", &mut pass::run)
}
