//! Reading a body within bounds.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use reqwest::blocking::Response;

use super::describe;
use crate::config::HttpConfig;

/// Why a body could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the reply is larger than {0} bytes")]
    TooLarge(usize),
    /// Not all of it by the deadline.
    #[error("the reply was not complete after {0:?}")]
    TooSlow(Duration),
    /// The connection broke or fell silent.
    #[error("the reply was cut: {0}")]
    Cut(String),
}

/// Reads a body of at most `limit` bytes within `total`.
pub fn read_body(
    response: &mut Response,
    limit: usize,
    total: Duration,
    config: &HttpConfig,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    Bounded::new(response, limit, total, config).read_to_end(&mut body)?;
    Ok(body)
}

/// What a read of [`Bounded`] failed of.
impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        error
            .downcast()
            .unwrap_or_else(|other| Self::Cut(other.kind().to_string()))
    }
}

/// A reader that fails after a number of bytes or a time, always with a [`BodyError`].
pub struct Bounded<R> {
    inner: R,
    limit: usize,
    left: usize,
    total: Duration,
    deadline: Instant,
    config: HttpConfig,
}

impl<R: Read> Bounded<R> {
    /// Bounds a reader.
    pub fn new(inner: R, limit: usize, total: Duration, config: &HttpConfig) -> Self {
        Self {
            inner,
            limit,
            left: limit,
            total,
            deadline: Instant::now() + total,
            config: config.clone(),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::Error::other(BodyError::TooSlow(self.total)));
        }
        match self.inner.read(buf) {
            Ok(n) if n > self.left => Err(io::Error::other(BodyError::TooLarge(self.limit))),
            Ok(n) => {
                self.left -= n;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => Err(io::Error::other(BodyError::Cut(describe_io(
                &e,
                &self.config,
            )))),
        }
    }
}

fn describe_io(error: &io::Error, config: &HttpConfig) -> String {
    match error
        .get_ref()
        .and_then(|e| e.downcast_ref::<reqwest::Error>())
    {
        Some(inner) => describe(inner, config),
        None => config.masker.text(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the peer is gone"))
        }
    }

    fn failure(reader: impl Read, limit: usize, total: Duration) -> BodyError {
        let mut bounded = Bounded::new(reader, limit, total, &HttpConfig::default());
        bounded.read_to_end(&mut Vec::new()).unwrap_err().into()
    }

    #[test]
    fn a_bounded_reader_says_what_it_failed_of() {
        let hour = Duration::from_secs(3600);
        assert_eq!(failure(&b"four"[..], 3, hour), BodyError::TooLarge(3));
        let none = Duration::ZERO;
        assert_eq!(failure(&b"four"[..], 4, none), BodyError::TooSlow(none));
        let cut = BodyError::Cut("the peer is gone".into());
        assert_eq!(failure(Broken, 4, hour), cut);
        let mut whole = Vec::new();
        let mut bounded = Bounded::new(&b"four"[..], 4, hour, &HttpConfig::default());
        assert_eq!(bounded.read_to_end(&mut whole).unwrap(), 4);
    }
}
