//! The natural order: numbers as numbers, pre-releases before what they lead to.
//!
//! A *token* is what stands between separators. It falls into *runs* of digits and of letters.

use std::cmp::Ordering;
use std::fmt;

use super::words::{self, Stage};
use super::{Number, generated, joined};

/// Field by field: the leading numbers, the rest up to a `+`, what follows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NaturalKey {
    /// Without trailing zeros: what remains ends above zero, so the order of `Vec`, in which a
    /// prefix is less, is the order of numbers in which the missing ones are 0.
    numbers: Vec<Number>,
    rest: Runs,
    build: Runs,
}

impl NaturalKey {
    /// The key of any text.
    pub fn new(version: &str) -> Self {
        let parts = Parts::of(version);
        let rest = rest_runs(&parts);
        let mut numbers = numbers(parts.numbers);
        let mut runs = Vec::new();
        if parts.name.is_empty() {
            drop_zeros(&mut numbers, Number::is_zero);
        } else {
            // go1.21rc2, REL_16_BETA1: the numbers behind a name are what is led to.
            runs = name_runs(&parts);
            runs.extend(numbers.drain(..).map(Run::of_number));
            if rest.first() == Some(&Run::Early) {
                drop_zeros(&mut runs, Run::is_zero);
            }
        }
        runs.extend(rest);
        let build = tokens(parts.build).flat_map(|token| token_runs(token, None));
        Self {
            numbers,
            rest: Runs::new(runs),
            build: Runs::new(build.collect()),
        }
    }
}

impl fmt::Display for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", joined(&self.numbers))?;
        for (lead, runs) in [(" ", &self.rest), (" + ", &self.build)] {
            if !runs.0.is_empty() {
                write!(f, "{lead}[{}]", joined(&runs.0))?;
            }
        }
        Ok(())
    }
}

/// The parts of a version, none of which has to be there.
pub struct Parts<'a> {
    /// What stands before the first digit, a `v` right before it apart.
    name: &'a str,
    /// Dotted numbers.
    pub numbers: &'a str,
    /// What follows them, up to a `+`.
    pub rest: &'a str,
    build: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (main, build) = version.split_once('+').unwrap_or((version, ""));
        let bare = main
            .strip_prefix(['v', 'V'])
            .filter(|after| starts_with_digit(after))
            .unwrap_or(main);
        let start = bare.find(|c: char| c.is_ascii_digit());
        let (name, after) = bare.split_at(start.unwrap_or(bare.len()));
        let mut end = 0;
        while starts_with_digit(&after[end..]) {
            end += cut(&after[end..], Class::Digit).0.len();
            match after[end..].strip_prefix('.') {
                Some(next) if starts_with_digit(next) => end += 1,
                _ => break,
            }
        }
        let (numbers, rest) = after.split_at(end);
        Self {
            name,
            numbers,
            rest,
            build,
        }
    }
}

impl Parts<'_> {
    /// What the end of the name means together with the numbers: the M9 of `Finchley.M9`.
    fn stage_of_name(&self) -> Option<Stage> {
        let (_, word) = self
            .name
            .rsplit_once(|c| Class::of(c) == Class::Separator)?;
        let is_token = self
            .rest
            .chars()
            .next()
            .is_none_or(|c| Class::of(c) == Class::Separator);
        let token = [word, self.numbers].concat();
        if self.numbers.is_empty() || !is_token || words::is_hash(&token) {
            return None;
        }
        words::short_stage(&word.to_lowercase(), self.numbers, None)
    }
}

fn numbers(dotted: &str) -> Vec<Number> {
    let digits = dotted.split('.').filter(|digits| !digits.is_empty());
    digits.map(Number::new).collect()
}

fn drop_zeros<T>(of: &mut Vec<T>, is_zero: impl Fn(&T) -> bool) {
    while of.last().is_some_and(&is_zero) {
        of.pop();
    }
}

/// The first word that means nothing to this order: see [`super::Order::unknown_word`].
pub fn unknown_word(version: &str) -> Option<String> {
    let parts = Parts::of(version);
    let rest = generated::find(&parts).map_or(parts.rest, |found| found.before);
    let short = parts.stage_of_name();
    let of_name = tokens(parts.name).find_map(|token| {
        unknown(token, |word| {
            words::stage(word).or(short.filter(|_| word.len() <= 2))
        })
    });
    of_name.or_else(|| {
        let tokens: Vec<Token<'_>> = located(rest).collect();
        tokens.iter().find_map(|token| {
            // 1.0.2a: a letter right behind the numbers.
            let is_fix = token.is_attached && token.text.len() == 1;
            let first = token.stage();
            let stage = |word: &str| words::stage(word).or(first);
            (!is_fix).then(|| unknown(token.text, stage)).flatten()
        })
    })
}

/// The first word of a token that is neither a pre-release's nor otherwise known; a hash whole.
fn unknown(token: &str, stage: impl Fn(&str) -> Option<Stage>) -> Option<String> {
    let mut left = token;
    while let Some(class) = left.chars().next().map(Class::of) {
        let (run, after) = cut(left, class);
        let word = run.to_lowercase();
        if class == Class::Letter && stage(&word).is_none() && !words::is_known(&word, token) {
            let shown = if words::is_hash(token) { token } else { run };
            return Some(shown.to_owned());
        }
        left = after;
    }
    None
}

/// The runs of a name before the numbers. Of a name like `Hoxton.RC1` they are what is led to.
fn name_runs(parts: &Parts<'_>) -> Vec<Run> {
    let mut runs: Vec<Run> = tokens(parts.name)
        .flat_map(|token| token_runs(token, None))
        .collect();
    if let (Some(last), Some(stage)) = (runs.last_mut(), parts.stage_of_name()) {
        *last = Run::PreRelease(stage);
    }
    let early = runs
        .iter()
        .position(|run| matches!(run, Run::PreRelease(_)));
    if let Some(at) = early {
        runs.insert(at, Run::Early);
    }
    runs
}

/// The runs behind the numbers. Of a pre-release the first is [`Run::Early`].
fn rest_runs(parts: &Parts<'_>) -> Vec<Run> {
    let found = generated::find(parts);
    let written = found.as_ref().map_or(parts.rest, |found| found.before);
    let mut is_early = found.is_some();
    let mut runs = Vec::new();
    for token in located(written) {
        let stage = token.stage();
        is_early |= stage.is_some();
        runs.extend(token_runs(token.text, stage));
    }
    if let Some(found) = found {
        runs.extend(found.is_before.then_some(Run::PreRelease(Stage::Daily)));
        runs.extend(tokens(found.stamp).flat_map(|token| token_runs(token, None)));
    }
    if is_early {
        runs.insert(0, Run::Early);
    }
    runs
}

/// A token of the rest, and where it stands.
struct Token<'a> {
    text: &'a str,
    /// It follows the leading numbers without a separator.
    is_attached: bool,
    next: Option<&'a str>,
}

impl Token<'_> {
    /// What it means, if it is a word of pre-releases and perhaps a number.
    fn stage(&self) -> Option<Stage> {
        let (word, tail) = cut(self.text, Class::Letter);
        let word = word.to_lowercase();
        words::stage(&word).or_else(|| {
            let is_hash = !self.is_attached && words::is_hash(self.text);
            let stage = words::short_stage(&word, tail, self.next);
            stage.filter(|_| !is_hash)
        })
    }
}

fn located(rest: &str) -> impl Iterator<Item = Token<'_>> {
    let mut tokens = tokens(rest).peekable();
    let mut is_attached = rest
        .chars()
        .next()
        .is_some_and(|c| Class::of(c) != Class::Separator);
    std::iter::from_fn(move || {
        let text = tokens.next()?;
        Some(Token {
            text,
            is_attached: std::mem::take(&mut is_attached),
            next: tokens.peek().copied(),
        })
    })
}

/// One run of digits or letters. The order of the variants is the order of runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    /// Stands before the runs of a pre-release: it is below all that has none in its place.
    Early,
    PreRelease(Stage),
    Zero,
    Word(String),
    Positive(Number),
}

impl Run {
    const fn is_zero(&self) -> bool {
        matches!(self, Run::Zero)
    }

    fn of_number(number: Number) -> Self {
        if number.is_zero() {
            Run::Zero
        } else {
            Run::Positive(number)
        }
    }

    fn of_word(word: &str) -> Self {
        let lower = word.to_lowercase();
        words::stage(&lower).map_or(Run::Word(lower), Run::PreRelease)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Run::Early => f.write_str("pre-release"),
            Run::PreRelease(stage) => f.write_str(stage.as_str()),
            Run::Zero => f.write_str("0"),
            Run::Word(word) => write!(f, "word:{word}"),
            Run::Positive(number) => number.fmt(f),
        }
    }
}

/// The runs of a token. `stage` is what its first word means where that depends on its place.
fn token_runs(token: &str, stage: Option<Stage>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut left = token;
    while let Some(class) = left.chars().next().map(Class::of) {
        let (run, after) = cut(left, class);
        runs.push(match stage.filter(|_| runs.is_empty()) {
            Some(stage) => Run::PreRelease(stage),
            None if class == Class::Digit => Run::of_number(Number::new(run)),
            None => Run::of_word(run),
        });
        left = after;
    }
    runs
}

/// Runs, followed by infinitely many zeros that are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Runs(Vec<Run>);

impl Runs {
    fn new(mut runs: Vec<Run>) -> Self {
        // Equality has to agree with the comparison, for which a missing run is 0.
        drop_zeros(&mut runs, Run::is_zero);
        Self(runs)
    }

    fn at(&self, i: usize) -> &Run {
        self.0.get(i).unwrap_or(&Run::Zero)
    }
}

impl Ord for Runs {
    fn cmp(&self, other: &Self) -> Ordering {
        let len = self.0.len().max(other.0.len());
        (0..len)
            .map(|i| self.at(i).cmp(other.at(i)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Runs {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Letter,
    Separator,
}

impl Class {
    fn of(c: char) -> Self {
        if c.is_ascii_digit() {
            Class::Digit
        } else if c.is_alphabetic() {
            Class::Letter
        } else {
            Class::Separator
        }
    }
}

/// Cuts the characters of one class off the front.
fn cut(text: &str, class: Class) -> (&str, &str) {
    let end = text.find(|c| Class::of(c) != class).unwrap_or(text.len());
    text.split_at(end)
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| Class::of(c) == Class::Separator)
        .filter(|token| !token.is_empty())
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}
