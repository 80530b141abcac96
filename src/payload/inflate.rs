//! The inflated bytes of an archive.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

use super::{refusal, refuse};
use crate::error::Result;

/// The most bytes that come out of an archive, headers and padding counted.
const OUT_LIMIT: u64 = 16 << 20;
/// The bytes of a block of tar.
const BLOCK: usize = 512;

/// The inflated stream, cut off at [`OUT_LIMIT`].
pub struct Inflated<'a> {
    gzip: GzDecoder<&'a [u8]>,
    read: u64,
}

impl<'a> Inflated<'a> {
    /// The stream of one gzip member.
    pub fn new(archive: &'a [u8]) -> Self {
        Self {
            gzip: GzDecoder::new(archive),
            read: 0,
        }
    }

    fn inflate(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.gzip.read(buffer).map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => "truncated gzip data",
                _ => "broken gzip data",
            };
            refusal("archive", what).because_of(&error)
        })?;
        self.read += n as u64;
        if self.read > OUT_LIMIT {
            let what = format!("inflates to more than the {OUT_LIMIT} bytes expected at most");
            return refuse("archive", what);
        }
        Ok(n)
    }

    /// Makes sure, after the first zero block behind the members, that only zeros follow, a block of
    /// them at least, and that the gzip member is whole and the only one.
    pub fn finish(mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        let mut zeros = 0;
        loop {
            let n = self.inflate(&mut buffer)?;
            if n == 0 {
                break;
            }
            if buffer[..n].iter().any(|b| *b != 0) {
                let what = "data after the end of the tar, only zero padding expected";
                return refuse("archive", what);
            }
            zeros += n;
        }
        if zeros < BLOCK {
            let what = "truncated tar: one zero block at the end, two expected";
            return refuse("archive", what);
        }
        match self.gzip.into_inner() {
            [] => Ok(()),
            [0x1f, 0x8b, ..] => refuse("archive", "several gzip members, one expected"),
            rest => {
                let what = "bytes of data after the end of the gzip member";
                refuse("archive", format!("{} {what}", rest.len()))
            }
        }
    }
}

/// For the members: a stream that ends before the zero blocks behind them was cut.
impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let what = "truncated tar: no end of archive (two zero blocks), or bytes are missing";
        let outcome = match self.inflate(buffer) {
            Ok(0) if !buffer.is_empty() => refuse("archive", what),
            outcome => outcome,
        };
        outcome.map_err(io::Error::other)
    }
}
