//! Tar headers that different readers take for different things.

use tar::Header;

use super::{refusal, refuse};
use crate::error::Result;

/// Magic and version of POSIX, of GNU tar, and of what was before both.
const POSIX: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

/// Refuses a header of which readers have different names or sizes.
///
/// The prefix of a name is POSIX's. Some readers (Python's) put it before the name whatever the magic
/// says, others only where magic or version are exact, GNU tar has times in its place.
pub fn check(header: &Header) -> Result<()> {
    let bytes = header.as_bytes();
    let (magic, prefix) = (&bytes[257..265], &bytes[345..500]);
    if magic != POSIX && prefix.iter().any(|b| *b != 0) {
        let whose = if magic == GNU { "GNU's" } else { "not POSIX's" };
        let what = format!("a tar header that is {whose} and has bytes where POSIX has a prefix");
        let error = refusal("archive", format!("{what}: readers differ in the name"));
        return Err(error.hint("`tar --format=pax -czf` makes one that all read alike"));
    }
    let size = &header.as_old().size;
    if size[0] & 0x80 != 0 {
        return refuse("archive", "a size in binary, which is for 8 GiB or more");
    }
    let digits = size.trim_ascii_start();
    let end = digits.iter().position(|b| matches!(b, b' ' | 0));
    let (digits, padding) = digits.split_at(end.unwrap_or(digits.len()));
    let is_octal = !digits.is_empty() && digits.iter().all(|b| matches!(b, b'0'..=b'7'));
    if !is_octal || padding.iter().any(|b| !matches!(b, b' ' | 0)) {
        return refuse("archive", "a tar header with a broken size");
    }
    Ok(())
}
