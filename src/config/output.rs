//! The options of how results are shown.

use clap::ValueEnum;

use crate::cli::{Cli, OutputFormat};

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// `--output json`.
    pub json: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-v` counted; `-d` is 2.
    pub verbose: u8,
    /// `--color`.
    pub color: ColorMode,
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

impl OutputConfig {
    /// How results are wanted.
    pub fn from_cli(cli: &Cli) -> Self {
        let args = &cli.global.output;
        Self {
            json: args.output == OutputFormat::Json,
            quiet: args.quiet,
            verbose: args.verbose.max(if args.debug { 2 } else { 0 }),
            color: args.color,
        }
    }
}
