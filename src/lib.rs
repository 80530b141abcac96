//! coreos-artifactory-monitor: one pass from the markers in Artifactory to the deploys of a cluster.
//!
//! # How a pass flows
//!
//! `main` reads the command line ([`cli`]) and what was meant by it ([`config`]). A command
//! ([`commands`]) opens a [`pass::Session`]: clients, ledger, lease, deadline, in this order. Then
//! [`pass::run`] resumes what is open, scans the markers ([`artifactory`]), plans ([`model::plan`]),
//! prepares what is due ([`payload`]), and deploys it one after the other: the intent goes into the
//! [`ledger`] before the request goes to the [`target`], and its outcome after. The report that comes of
//! it is printed by [`output`]. [`serve`] starts such passes as processes of their own.
//!
//! # What each room may know
//!
//! Arrows point one way: `commands` -> {`pass`, `serve`} -> {`artifactory`, `payload`, `target`,
//! `ledger`, `output`} -> `model`. `model` decides, and does no I/O; the adapters do I/O and decide
//! nothing, and don't know each other. A test holds the arrows (`tests/project/architecture.rs`).
//! Ports, each with its contract: [`artifactory::Releases`], [`target::Target`], [`ledger::Ledger`],
//! [`ledger::Lease`].
//!
//! What everybody needs: [`catch_panic`], [`clock`], [`deadline`], [`error`], [`exit`], [`mod@file`],
//! [`hangup`], [`http`], [`mask`], [`secret`], [`text`], [`threads`].
//!
//! # Words that ledger, JSON and screens share
//!
//! * *marker*: the empty file `<version>.deploy` that says that a version is ready.
//! * *scope*: one domain and one environment; a pass works on one.
//! * *attempt*: one intention to deploy one version of one app. Open while its outcome is not known
//!   (`submitting`, `submitted`, `unknown`); [`model::attempt`] has its states and moves.
//! * *hold*: what keeps passes from deploying an app.
//! * *lease*: the right to deploy in a scope, of one process at a time; its *token* grows with each.
//! * *pass*: one run from the markers to the report.

pub mod artifactory;
pub mod catch_panic;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod deadline;
pub mod error;
pub mod exit;
pub mod file;
pub mod hangup;
pub mod http;
pub mod ledger;
pub mod mask;
pub mod model;
pub mod output;
pub mod pass;
pub mod payload;
pub mod secret;
pub mod serve;
pub mod target;
pub mod text;
pub mod threads;

#[cfg(test)]
mod simulation;
