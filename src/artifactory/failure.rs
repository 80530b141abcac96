//! A read that failed, and whether another try may mend it.

use std::time::Duration;

use crate::error::Error;

/// A read that failed.
#[derive(Debug)]
pub struct Failure {
    /// What it means for the caller.
    pub error: Error,
    /// The status that came, or `None` where another try may end better.
    pub status: Option<u16>,
    /// Whether the answer was a page for people: not Artifactory's word.
    pub html: bool,
    /// Whether not even a connection was made.
    pub unreachable: bool,
    /// What `Retry-After` asks for.
    pub retry_after: Option<Duration>,
}

/// The result of a read.
pub type Outcome<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that another try would only repeat.
    pub fn lasting(status: u16, error: Error) -> Self {
        Self {
            status: Some(status),
            ..Self::passing(error)
        }
    }

    /// A failure that another try may mend.
    pub fn passing(error: Error) -> Self {
        Self {
            error,
            status: None,
            html: false,
            unreachable: false,
            retry_after: None,
        }
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
        Self::lasting(0, error)
    }
}
