//! The inflated bytes of an archive, block by block.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::archive::OUT_LIMIT;
use super::refuse;
use crate::error::Result;

/// The bytes of a block of tar.
pub const BLOCK: usize = 512;

/// The inflated stream, cut off at [`OUT_LIMIT`].
pub struct Blocks<'a> {
    gzip: GzDecoder<&'a [u8]>,
    read: u64,
}

impl<'a> Blocks<'a> {
    /// The stream of one gzip member.
    pub fn new(archive: &'a [u8]) -> Self {
        Self {
            gzip: GzDecoder::new(archive),
            read: 0,
        }
    }

    /// Fills `buffer` as far as there is data; returns how many bytes there were.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.gzip.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = if error.kind() == std::io::ErrorKind::UnexpectedEof {
                        "truncated gzip data"
                    } else {
                        "broken gzip data"
                    };
                    return Err(refuse("archive", what).because_of(&error));
                }
            }
        }
        self.read += filled as u64;
        if self.read > OUT_LIMIT {
            return Err(refuse(
                "archive",
                format!("inflates to more than the {OUT_LIMIT} bytes expected at most"),
            ));
        }
        Ok(filled)
    }

    /// The next block, `None` at the end of the stream.
    pub fn next(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            n => Err(refuse(
                "archive",
                format!("truncated tar: {n} bytes at the end, blocks of {BLOCK} expected"),
            )),
        }
    }

    /// The `size` bytes after a header, kept or not, and their padding.
    pub fn data(&mut self, name: &str, size: u64, keep: bool) -> Result<Vec<u8>> {
        let mut kept = Vec::new();
        let mut left = size;
        while left > 0 {
            let Some(block) = self.next()? else {
                return Err(refuse(
                    name,
                    format!("truncated tar: {left} of {size} bytes are missing"),
                ));
            };
            let take = left.min(BLOCK as u64);
            if keep {
                kept.extend(block.iter().take(usize::try_from(take).unwrap_or(BLOCK)));
            }
            left -= take;
        }
        Ok(kept)
    }

    /// Makes sure that only zeros follow, and that the gzip member is whole and the only one.
    pub fn end(mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        loop {
            let n = self.fill(&mut buffer)?;
            if buffer[..n].iter().any(|b| *b != 0) {
                return Err(refuse(
                    "archive",
                    "data after the end of the tar, only zero padding expected",
                ));
            }
            if n < buffer.len() {
                break;
            }
        }
        let rest = self.gzip.into_inner();
        if rest.starts_with(&[0x1f, 0x8b]) {
            return Err(refuse("archive", "several gzip members, one expected"));
        }
        if !rest.is_empty() {
            return Err(refuse(
                "archive",
                format!(
                    "{} bytes of data after the end of the gzip member",
                    rest.len()
                ),
            ));
        }
        Ok(())
    }
}
