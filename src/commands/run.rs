//! `run`: one pass.

use super::in_session;
use crate::config::Config;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Output;
use crate::pass::{self, Invocation};

/// Runs one pass.
pub(super) fn run(config: &Config, output: &Output, invocation: &Invocation<'_>) -> Result<Exit> {
    in_session(config, output, invocation, pass::run)
}
