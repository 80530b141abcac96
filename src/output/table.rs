//! Tables of text.

use console::{measure_text_width, pad_str, truncate_str};

use crate::text::printable;

/// Renders columns under headers, two spaces apart. Where a width is given, lines are cut to it
/// with `…`, which takes from the last column first; without one nothing is ever cut.
pub fn render(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let headers = headers.iter().map(|header| printable(header)).collect();
    let rows = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(headers).chain(rows).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| widest(lines.iter().filter_map(|line| line.get(i))))
        .collect();
    let mut out = String::new();
    for cells in &lines {
        let padded: Vec<_> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| pad_str(cell, *width, console::Alignment::Left, None))
            .collect();
        let line = padded.join("  ");
        match width {
            Some(width) => out.push_str(&truncate_str(line.trim_end(), width, "…")),
            None => out.push_str(line.trim_end()),
        }
        out.push('\n');
    }
    out
}

/// The columns that the widest of some texts takes.
pub fn widest<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts
        .map(|text| measure_text_width(text))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["a".into(), "long text".into()],
            vec!["bcd".into(), "\u{1b}[31m".into()],
            vec!["日".into(), String::new()],
        ]
    }

    #[test]
    fn columns_line_up_and_foreign_text_is_escaped() {
        assert_eq!(
            render(&["X", "Y"], &rows(), None),
            "X    Y\na    long text\nbcd  \\u{1b}[31m\n日\n"
        );
    }

    #[test]
    fn only_a_terminal_cuts() {
        assert_eq!(
            render(&["X", "Y"], &rows(), Some(8)),
            "X    Y\na    lo…\nbcd  \\u…\n日\n"
        );
    }

    #[test]
    fn rows_of_any_length_are_printed() {
        let rows = vec![vec!["a".into(), "b".into(), "c".into()], vec![]];
        assert_eq!(render(&["X"], &rows, None), "X\na  b  c\n\n");
    }
}
