//! The standard error of a pass as lines, bounded each and in all.

use crate::text::printable;

/// The most bytes of a line; the rest of it is left out.
const LINE_LIMIT: usize = 2048;
/// The most bytes of all lines of one pass.
const LIMIT: usize = 1024 * 1024;

/// Cuts a stream of bytes into lines that are fit to print.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    total: usize,
}

impl Lines {
    /// Takes bytes and gives every line that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], say: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            let room = LINE_LIMIT.saturating_sub(self.line.len());
            let kept = text.unwrap_or(piece);
            self.line.extend_from_slice(&kept[..kept.len().min(room)]);
            if text.is_some() {
                self.end(say);
            }
        }
    }

    /// Gives the last line, if one was begun.
    pub(super) fn end(&mut self, say: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() || self.total > LIMIT {
            return;
        }
        self.total += line.len();
        if self.total > LIMIT {
            say("it says more than is repeated here");
        } else {
            say(&printable(&String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut said = Vec::new();
        let mut say = |line: &str| said.push(line.to_owned());
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.push(chunk, &mut say);
        }
        lines.end(&mut say);
        said
    }

    #[test]
    fn lines_are_put_together_and_made_printable() {
        let chunks: [&[u8]; 3] = [b"error: a", b"b\r\n\n\x1b[31mred\n", b"\xff last"];
        assert_eq!(
            lines(&chunks),
            ["error: ab", "\\u{1b}[31mred", "\u{fffd} last"]
        );
    }

    #[test]
    fn a_line_and_all_lines_are_bounded() {
        let long = lines(&["x".repeat(100_000).as_bytes(), b"\nshort\n"]);
        assert_eq!(long.len(), 2);
        assert!(long[0].chars().count() < 600);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let many = lines(&vec![line.as_slice(); 5000]);
        assert!(many.len() < 1100, "{}", many.len());
        assert_eq!(many.last().unwrap(), "it says more than is repeated here");
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_changes_nothing(text in "[a-z\n]{0,300}", at in 0..300usize) {
            let bytes = text.as_bytes();
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(lines(&[a, b]), lines(&[bytes]));
        }
    }
}
