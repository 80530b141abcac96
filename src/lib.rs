//! coreos-artifactory-monitor: one pass from the markers in Artifactory to the deploys of a cluster.
//!
//! The map of the crate. Arrows point one way: `commands` -> `pass` -> {`artifactory`, `payload`,
//! `target`, `ledger`, `output`} -> `model`. `model` decides and does no I/O; the adapters
//! do I/O and decide nothing; they don't know each other.
//!
//! * [`cli`]: what a person may type. [`config`]: what was meant, checked once.
//! * [`commands`]: one file a command, thin.
//! * [`pass`]: scan, plan, prepare, submit, record: the story of one pass.
//! * [`model`]: names, the order of versions, listing, plan, attempt, report.
//! * [`artifactory`]: the folder walk, AQL, downloads.
//! * [`payload`]: archive, metadata, etcd2 keys, template.
//! * [`target`]: the HTTP API of the cluster's deploy service.
//! * [`ledger`]: what is deployed and what was tried.
//! * [`output`]: human, JSON, progress.
//! * [`serve`]: the HTTP API and the clock; starts passes as subprocesses.
//! * [`contain`], [`deadline`], [`error`], [`exit`], [`file`], [`hangup`], [`mask`], [`secret`],
//!   [`text`]: what everybody needs.

pub mod artifactory;
pub mod cli;
pub mod commands;
pub mod config;
pub mod contain;
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
