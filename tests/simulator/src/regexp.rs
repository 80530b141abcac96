//! The part of Go's regular expressions that filters of `cluster_map` use: literals, escapes, `.`,
//! classes, groups, alternatives, `? * + {n} {n,} {n,m}`, `^` and `$`.

use std::iter::Peekable;
use std::str::Chars;

enum Node {
    Any,
    Char(char),
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
    },
    Start,
    End,
    Group(Vec<Vec<Node>>),
    Repeat {
        node: Box<Node>,
        min: usize,
        max: usize,
    },
}

/// A compiled expression.
pub(crate) struct Regexp(Node);

impl Regexp {
    /// Compiles, or gives `None` where Go would panic.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let mut chars = pattern.chars().peekable();
        let node = alternatives(&mut chars)?;
        chars.peek().is_none().then_some(Self(node))
    }

    /// Tells whether it matches anywhere in a line.
    pub(crate) fn is_match(&self, line: &str) -> bool {
        let text: Vec<char> = line.chars().collect();
        (0..=text.len()).any(|at| step(&self.0, &text, at, &mut |_| true))
    }
}

type Input<'a> = Peekable<Chars<'a>>;

fn alternatives(chars: &mut Input) -> Option<Node> {
    let mut all = vec![Vec::new()];
    loop {
        match chars.peek() {
            None | Some(')') => return Some(Node::Group(all)),
            Some('|') => {
                chars.next();
                all.push(Vec::new());
            }
            Some(_) => {
                let node = atom(chars)?;
                let node = repeated(node, chars)?;
                all.last_mut()?.push(node);
            }
        }
    }
}

fn atom(chars: &mut Input) -> Option<Node> {
    Some(match chars.next()? {
        '.' => Node::Any,
        '^' => Node::Start,
        '$' => Node::End,
        '(' => {
            if chars.next_if_eq(&'?').is_some() {
                chars.next_if_eq(&':')?;
            }
            let group = alternatives(chars)?;
            chars.next_if_eq(&')')?;
            group
        }
        '[' => class(chars)?,
        '\\' => escape(chars.next()?)?,
        '*' | '+' | '?' => return None,
        other => Node::Char(other),
    })
}

fn escape(c: char) -> Option<Node> {
    let ranges = match c {
        'd' => vec![('0', '9')],
        'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        's' => vec![(' ', ' '), ('\t', '\r')],
        't' => return Some(Node::Char('\t')),
        _ if c.is_alphanumeric() => return None,
        _ => return Some(Node::Char(c)),
    };
    Some(Node::Class { not: false, ranges })
}

fn class(chars: &mut Input) -> Option<Node> {
    let not = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Node::Class { not, ranges }),
            '\\' => match escape(chars.next()?)? {
                Node::Char(c) => c,
                Node::Class { ranges: more, .. } => {
                    ranges.extend(more);
                    continue;
                }
                _ => return None,
            },
            c => c,
        };
        let mut ahead = chars.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *chars = ahead;
                last
            }
            _ => first,
        };
        ranges.push((first, last));
    }
}

fn repeated(node: Node, chars: &mut Input) -> Option<Node> {
    let (min, max) = match chars.peek() {
        Some('*') => (0, usize::MAX),
        Some('+') => (1, usize::MAX),
        Some('?') => (0, 1),
        Some('{') => {
            let count: String = chars.clone().skip(1).take_while(|c| *c != '}').collect();
            for _ in 0..=count.chars().count() {
                chars.next();
            }
            let (min, max) = count.split_once(',').unwrap_or((&count, &count));
            let max = if max.is_empty() {
                usize::MAX
            } else {
                max.parse().ok()?
            };
            (min.parse().ok()?, max)
        }
        _ => return Some(node),
    };
    chars.next()?;
    Some(Node::Repeat {
        node: Box::new(node),
        min,
        max,
    })
}

type Next<'a> = &'a mut dyn FnMut(usize) -> bool;

fn step(node: &Node, text: &[char], at: usize, next: Next) -> bool {
    let one = |fits: &dyn Fn(char) -> bool| text.get(at).is_some_and(|c| fits(*c));
    match node {
        Node::Any => one(&|c| c != '\n') && next(at + 1),
        Node::Char(wanted) => one(&|c| c == *wanted) && next(at + 1),
        Node::Class { not, ranges } => {
            one(&|c| ranges.iter().any(|(a, z)| (*a..=*z).contains(&c)) != *not) && next(at + 1)
        }
        Node::Start => at == 0 && next(at),
        Node::End => at == text.len() && next(at),
        Node::Group(all) => all.iter().any(|nodes| sequence(nodes, text, at, next)),
        Node::Repeat { node, min, max } => repeat(node, *min, *max, text, at, next),
    }
}

fn sequence(nodes: &[Node], text: &[char], at: usize, next: Next) -> bool {
    match nodes.split_first() {
        None => next(at),
        Some((first, rest)) => step(first, text, at, &mut |at| sequence(rest, text, at, next)),
    }
}

fn repeat(node: &Node, min: usize, max: usize, text: &[char], at: usize, next: Next) -> bool {
    let again = max > 0
        && step(node, text, at, &mut |to| {
            to > at && repeat(node, min.saturating_sub(1), max - 1, text, to, next)
        });
    again || (min == 0 && next(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_what_go_matches() {
        let table = [
            ("video", "example-video-1", true),
            (
                r"^example\-video\-1\.0-[a-z0-9]{8}@[AB][0-9]+\.service",
                "example-video-1.0-abcd1234@A1.service\tx",
                true,
            ),
            (
                r"example-video-1\.0-[a-z0-9]{8}@",
                "example-video-1x0-abcd1234@A1",
                false,
            ),
            (r"-[a-z0-9]{8}@", "x-abcd123@A1", false),
            (r"(a|bc)+$", "xxabca", true),
            (r"^(?:a|bc)$", "ab", false),
            (r"[^0-9]{2,3}x", "12abx", true),
            (r"\d\s\w", "a1 b", true),
            ("a*b?c", "aac", true),
        ];
        for (pattern, line, want) in table {
            let regexp = Regexp::new(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(regexp.is_match(line), want, "{pattern} on {line}");
        }
        for bad in ["(", ")", "[a", "*", "a{x}", "\\", "\\q", "(?P"] {
            assert!(Regexp::new(bad).is_none(), "{bad}");
        }
    }
}
