//! A read that failed, and whether another try may mend it.

use std::time::Duration;

use crate::error::{Error, Kind};

/// A read that failed.
#[derive(Debug)]
pub struct Failure {
    /// What it means for the caller.
    pub error: Error,
    /// The status of the answer, where it is the answer that failed it.
    pub status: Option<u16>,
    /// Whether another try may end better.
    pub retry: Retry,
    /// Whether the answer was a page for people: not Artifactory's word.
    pub html: bool,
    /// Whether not even a connection was made.
    pub unreachable: bool,
}

/// Whether another try may end better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would only repeat the failure.
    Never,
    /// It may, after our own time.
    Soon,
    /// It may, but not before the time that `Retry-After` asks for.
    After(Duration),
}

/// The result of a read.
pub type ReadResult<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that another try would only repeat.
    pub fn lasting(error: Error) -> Self {
        Self {
            error,
            status: None,
            retry: Retry::Never,
            html: false,
            unreachable: false,
        }
    }

    /// A failure that another try may mend.
    pub fn passing(error: Error) -> Self {
        Self {
            retry: Retry::Soon,
            ..Self::lasting(error)
        }
    }

    /// The failure of an answer with this status. 401 and 403 are never tried again: that locks
    /// accounts.
    pub fn answered(status: u16, error: Error) -> Self {
        let retry = match status {
            408 | 429 | 500..=599 => Retry::Soon,
            _ => Retry::Never,
        };
        Self {
            status: Some(status),
            retry,
            ..Self::lasting(error)
        }
    }

    /// The failure of an app alone, not of the pass.
    pub fn of_app(mut self) -> Self {
        self.error.kind = Kind::Failed;
        self
    }

    /// Whether Artifactory itself said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404) && !self.html
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::lasting(error)
    }
}
