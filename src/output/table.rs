//! Tables of text.

use console::measure_text_width;

use crate::text::printable;

/// Columns under headers, two spaces apart. Where a width is given, the last column is cut to it;
/// nothing is ever cut for a pipe.
pub fn render(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let cells: Vec<Vec<String>> =
        std::iter::once(headers.iter().map(|h| (*h).to_owned()).collect())
            .chain(
                rows.iter()
                    .map(|row| row.iter().map(|cell| printable(cell)).collect()),
            )
            .collect();
    let widths: Vec<usize> = (0..headers.len())
        .map(|i| {
            cells
                .iter()
                .filter_map(|row| row.get(i))
                .map(|c| measure_text_width(c))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - measure_text_width(cell) + 2));
        }
        let line = line.trim_end();
        match width {
            Some(width) => out.push_str(&console::truncate_str(line, width, "…")),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_only_a_terminal_cuts() {
        let rows = vec![
            vec!["a".into(), "long text".into()],
            vec!["bcd".into(), "\u{1b}[31m".into()],
        ];
        assert_eq!(
            render(&["X", "Y"], &rows, None),
            "X    Y\na    long text\nbcd  \\u{1b}[31m\n"
        );
        assert_eq!(
            render(&["X", "Y"], &rows, Some(8)),
            "X    Y\na    lo…\nbcd  \\u…\n"
        );
    }
}
