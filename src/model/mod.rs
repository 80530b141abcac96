//! The decisions of the program, as values and functions of values: no I/O, no clock.

pub mod attempt;
pub mod listing;
pub mod name;
pub mod plan;
pub mod report;
pub mod request;
pub mod rollback;
pub mod time;
pub mod units;
pub mod version;
