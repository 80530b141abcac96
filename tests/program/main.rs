//! The real binary between two simulators, with its ledger in `SQLite`, or in `MariaDB` where
//! `CAM_TEST_LEDGER` says so. What brings a ledger of its own stands in `database` and `lease`.

mod crash;
mod database;
mod deploys;
mod exits;
mod faults;
mod files;
mod hostile;
mod lease;
mod ledgers;
mod proxies;
mod replaced;
mod scale;
mod secrets;
mod serve;
mod support;
mod terminal;
mod walk;
