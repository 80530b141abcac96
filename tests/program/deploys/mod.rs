//! Passes and commands of the real binary, over HTTP, from Artifactory to the cluster and back.

mod failures;
mod forget;
mod holds;
mod limits;
mod lost;
mod names;
mod operator;
pub mod refusals;
mod reports;
mod rollback;
mod sample;
mod settle;
mod stuck;
mod taking_over;
