//! Looks a template over before the engine sees it.
//!
//! gtmpl-ng 1.0.0 never returns on some escapes, overflows its stack on deep nesting and takes
//! some things that Go 1.19 does not (`range` over an int, `else with`, arguments to a value in
//! parentheses) or treats them differently (numbers with a point, large numbers). None of that comes
//! through here. The rest, the grammar above all, is left to the engine.

use std::collections::BTreeSet;

use super::functions;
use super::template::NAME;

/// The most bytes of a template.
const TEMPLATE_LIMIT: usize = 64 << 10;
/// The most parentheses open at a time, and the most blocks.
const NESTING_LIMIT: usize = 50;
/// The most `else` of a template.
const ELSE_LIMIT: usize = 200;

/// What separates operands.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// One `{{…}}` of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The line it starts on, from 1.
    pub line: usize,
    /// The byte of that line it starts at, from 1.
    pub column: usize,
    /// Its text, braces included.
    pub text: String,
}

/// Returns the actions of a template that the engine may be given, or what is wrong with it.
pub fn check(text: &str) -> Result<Vec<Action>, String> {
    if text.len() > TEMPLATE_LIMIT {
        let length = text.len();
        let most = format!("at most {TEMPLATE_LIMIT} expected");
        return Err(format!("line 1: a template of {length} bytes, {most}"));
    }
    let mut actions = Vec::new();
    let mut seen = Seen::default();
    let mut position = 0;
    while let Some(found) = text[position..].find("{{") {
        let start = position + found;
        let line = 1 + text[..start].matches('\n').count();
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let mut scan = Scan {
            rest: &text[start + 2..],
            ..Scan::default()
        };
        let outcome = scan.action(&mut seen);
        position = text.len() - scan.rest.len();
        if let Err(what) = outcome {
            let end = scan.rest.find("}}").map_or(scan.rest.len(), |at| at + 2);
            let action = shown(&text[start..position + end]);
            return Err(format!("line {line}: {action}: {what}"));
        }
        actions.push(Action {
            line,
            column: start - line_start + 1,
            text: shown(&text[start..position]),
        });
    }
    Ok(actions)
}

/// The start of an action, on one line.
fn shown(action: &str) -> String {
    const LIMIT: usize = 80;
    let line = action.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// What is counted over the whole template.
#[derive(Default)]
struct Seen<'a> {
    open: usize,
    elses: usize,
    names: BTreeSet<&'a str>,
}

/// One command: between `|`, `:=`, `=`, `(` and `)`.
#[derive(Default)]
struct Command {
    operands: usize,
    starts_with_parenthesis: bool,
}

/// The scan of one action.
#[derive(Default)]
struct Scan<'a> {
    rest: &'a str,
    commands: Vec<Command>,
    words: Vec<&'a str>,
    /// The character before is the last of an operand.
    after_operand: bool,
    /// The next string names a template that is defined here.
    names_template: bool,
}

type Checked = Result<(), String>;

fn unsupported(what: &str) -> Checked {
    Err(format!("{what} is not supported"))
}

impl<'a> Scan<'a> {
    /// Scans one action, after its `{{`; `rest` is then what follows its `}}`.
    fn action(&mut self, seen: &mut Seen<'a>) -> Checked {
        self.trim_marker();
        if self.rest.starts_with("/*") {
            return self.comment();
        }
        self.commands.push(Command::default());
        loop {
            if let Some(rest) = self.rest.strip_prefix("}}") {
                self.rest = rest;
                return self.block(seen);
            }
            let Some(c) = self.rest.chars().next() else {
                return Err("unclosed action".into());
            };
            match c {
                c if BLANKS.contains(&c) => self.space(),
                '"' => self.quoted(seen)?,
                '`' => self.raw(seen)?,
                '\'' => self.character()?,
                '(' => self.open()?,
                ')' => self.close()?,
                '|' | '=' => self.next_command(c.len_utf8()),
                ':' => self.next_command(if self.rest.starts_with(":=") { 2 } else { 1 }),
                '$' => {
                    self.operand()?;
                    self.take(1);
                    self.word();
                }
                '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.field()?;
                }
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                c if c.is_alphanumeric() || c == '_' => self.identifier()?,
                c => return Err(format!("unexpected {c:?}")),
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn trim_marker(&mut self) {
        let mut chars = self.rest.chars();
        if chars.next() == Some('-') && chars.next().is_some_and(|c| BLANKS.contains(&c)) {
            self.take(2);
        }
    }

    fn comment(&mut self) -> Checked {
        let Some(end) = self.rest[2..].find("*/") else {
            self.rest = "";
            return Err("unclosed comment".into());
        };
        self.take(end + 4);
        let close = self
            .rest
            .strip_prefix(BLANKS)
            .and_then(|rest| rest.strip_prefix("-}}"))
            .or_else(|| self.rest.strip_prefix("}}"));
        let Some(rest) = close else {
            return Err("a comment has to end right before }}".into());
        };
        self.rest = rest;
        Ok(())
    }

    fn space(&mut self) {
        self.take(1);
        self.after_operand = false;
        if self.rest.starts_with("-}}") {
            self.take(1);
        }
    }

    /// Notes the start of an operand.
    fn operand(&mut self) -> Checked {
        if std::mem::replace(&mut self.after_operand, true) {
            return Err("a space between operands expected".into());
        }
        if let Some(command) = self.commands.last_mut() {
            command.operands += 1;
            if command.operands > 1 && command.starts_with_parenthesis {
                return Err("a value in parentheses takes no arguments".into());
            }
        }
        Ok(())
    }

    fn next_command(&mut self, bytes: usize) {
        self.take(bytes);
        self.after_operand = false;
        if let Some(command) = self.commands.last_mut() {
            *command = Command::default();
        }
    }

    fn open(&mut self) -> Checked {
        self.operand()?;
        self.take(1);
        self.after_operand = false;
        if let Some(command) = self.commands.last_mut() {
            command.starts_with_parenthesis |= command.operands == 1;
        }
        self.commands.push(Command::default());
        if self.commands.len() > NESTING_LIMIT {
            return unsupported("more than 50 open parentheses");
        }
        Ok(())
    }

    fn close(&mut self) -> Checked {
        self.take(1);
        self.after_operand = true;
        self.commands.pop();
        if self.commands.is_empty() {
            return Err("unexpected )".into());
        }
        Ok(())
    }

    fn quoted(&mut self, seen: &mut Seen<'a>) -> Checked {
        self.operand()?;
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let text = self.take(at + 1);
                    return self.named(&text[1..at], seen);
                }
                '\\' => escape(chars.next())?,
                '\n' => break,
                _ => {}
            }
        }
        self.rest = "";
        Err("unterminated quoted string".into())
    }

    fn raw(&mut self, seen: &mut Seen<'a>) -> Checked {
        self.operand()?;
        let Some(end) = self.rest[1..].find('`') else {
            self.rest = "";
            return Err("unterminated raw string".into());
        };
        let text = self.take(end + 2);
        if text.contains(['\\', '\r']) {
            return unsupported("a backslash or carriage return in a raw string");
        }
        self.named(&text[1..=end], seen)
    }

    /// Go takes no second definition of a template; the engine would.
    fn named(&mut self, name: &'a str, seen: &mut Seen<'a>) -> Checked {
        if std::mem::take(&mut self.names_template) {
            if name.contains('\\') {
                return unsupported("a template's name with an escape");
            }
            if name == NAME || !seen.names.insert(name) {
                return Err(format!("a second definition of the template {name:?}"));
            }
        }
        Ok(())
    }

    fn character(&mut self) -> Checked {
        self.operand()?;
        let mut chars = self.rest.chars().skip(1);
        match (chars.next(), chars.next()) {
            (Some(c), Some('\'')) if !matches!(c, '\\' | '\'' | '\n') => {
                self.take(2 + c.len_utf8());
                Ok(())
            }
            _ => unsupported("a character constant other than one plain character"),
        }
    }

    fn field(&mut self) -> Checked {
        // Behind a variable, a field or a parenthesis it is a part of that operand.
        if !self.after_operand {
            self.operand()?;
        }
        self.take(1);
        self.word();
        Ok(())
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        self.take(end)
    }

    fn number(&mut self) -> Checked {
        self.operand()?;
        let mut previous = ' ';
        let end = self
            .rest
            .find(|c: char| {
                let sign = matches!(c, '+' | '-') && (previous == ' ' || "eEpP".contains(previous));
                previous = c;
                !(c.is_alphanumeric() || matches!(c, '_' | '.') || sign)
            })
            .unwrap_or(self.rest.len());
        let text = self.take(end);
        if is_integer(text) {
            Ok(())
        } else {
            unsupported(&format!("the number {text}"))
        }
    }

    fn identifier(&mut self) -> Checked {
        let first = self.words.is_empty() && self.commands[0].operands == 0;
        let word = self.word();
        let keyword = match (word, self.words.as_slice()) {
            ("range" | "break" | "continue", _) => {
                return unsupported(&format!("{word}, there is nothing to iterate over,"));
            }
            ("nil" | "call" | "slice", _) => return unsupported(word),
            ("if" | "else" | "end" | "with" | "define" | "template" | "block", []) if first => true,
            ("if", ["else"]) => true,
            ("with", ["else"]) => return unsupported("else with"),
            _ => false,
        };
        if keyword {
            self.words.push(word);
            self.names_template = matches!(word, "define" | "block");
            return Ok(());
        }
        if matches!(word, "true" | "false") || functions::ALL.iter().any(|(name, _)| *name == word)
        {
            return self.operand();
        }
        Err(format!("function {word:?} not defined"))
    }

    /// Counts the blocks that an action opens and closes.
    fn block(&self, seen: &mut Seen<'a>) -> Checked {
        match self.words.first() {
            Some(&("if" | "with" | "define" | "block")) => seen.open += 1,
            Some(&"end") => seen.open = seen.open.saturating_sub(1),
            Some(&"else") => seen.elses += 1,
            _ => {}
        }
        if seen.open > NESTING_LIMIT {
            return unsupported("nesting of more than 50 blocks");
        }
        if seen.elses > ELSE_LIMIT {
            return unsupported("more than 200 else branches");
        }
        Ok(())
    }
}

/// Judges what follows a backslash in a quoted string.
fn escape(next: Option<(usize, char)>) -> Checked {
    match next {
        Some((_, '"' | 'n' | 't' | 'r')) => Ok(()),
        _ => unsupported(r#"an escape other than \" \n \t \r"#),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let based = |prefix: &str, base: u32| {
        digits.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric())
                && i64::from_str_radix(rest, base).is_ok()
        })
    };
    let decimal = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && digits.parse::<i64>().is_ok();
    decimal || based("0x", 16) || based("0o", 8) || based("0b", 2)
}
