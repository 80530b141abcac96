//! What the words of a version mean.

/// How near to the release a pre-release is, farthest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Of every day: `dev`, `snapshot`, `canary` ...
    Daily,
    /// `alpha`.
    Alpha,
    /// `beta`.
    Beta,
    /// `milestone`, early access.
    Milestone,
    /// `preview`.
    Preview,
    /// Release candidate.
    Candidate,
}

impl Stage {
    /// The name that `scan` shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Daily => "snapshot",
            Stage::Alpha => "alpha",
            Stage::Beta => "beta",
            Stage::Milestone => "milestone",
            Stage::Preview => "preview",
            Stage::Candidate => "candidate",
        }
    }
}

/// Words that stand behind releases: the order compares them as any other word, and nobody has to be
/// told.
const OF_RELEASES: [&str; 21] = [
    "build", "final", "fix", "ga", "hotfix", "lts", "p", "patch", "post", "r", "rel", "release",
    "rev", "revision", "security", "sp", "sr", "u", "update", "v", "version",
];

/// The fewest and the most digits that git shows of a hash.
const HASH: std::ops::RangeInclusive<usize> = 7..=40;

/// What a word of pre-releases means, in lower case. None of them is made of hexadecimal digits alone,
/// so that none is found in a hash.
pub fn stage(word: &str) -> Option<Stage> {
    Some(match word {
        "dev" | "develop" | "snapshot" | "nightly" | "canary" | "edge" | "unstable" | "next"
        | "insiders" | "pr" | "pullrequest" => Stage::Daily,
        "alpha" => Stage::Alpha,
        "beta" => Stage::Beta,
        "milestone" | "eap" => Stage::Milestone,
        "pre" | "preview" | "prerelease" => Stage::Preview,
        "rc" | "cr" => Stage::Candidate,
        _ => return None,
    })
}

/// What a short word means that begins a token: one that is as well a letter of a fix (`1.0.2a` of
/// OpenSSL) or the beginning of a hash. `tail` is the rest of the token, `next` the token behind it.
pub fn short_stage(word: &str, tail: &str, next: Option<&str>) -> Option<Stage> {
    let ends_in_number = is_number(tail);
    let has_number = ends_in_number || (tail.is_empty() && next.is_some_and(is_number));
    Some(match word {
        // Python's 1.0a2, Spring's 1.0-M2.
        "a" if has_number => Stage::Alpha,
        "b" if has_number => Stage::Beta,
        "m" if has_number => Stage::Milestone,
        "c" if has_number => Stage::Candidate,
        "ea" if ends_in_number || tail.is_empty() => Stage::Milestone,
        _ => return None,
    })
}

/// Whether a text is a number.
pub fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a token may be a part of a git hash.
pub fn is_hash(token: &str) -> bool {
    HASH.contains(&token.len()) && token.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a token is what `git describe` calls a commit: `g` and its hash.
fn is_described(token: &str) -> bool {
    token.strip_prefix(['g', 'G']).is_some_and(is_hash)
}

/// Whether a word, in lower case, that is of no pre-release is known, in the token it begins.
pub fn is_known(word: &str, token: &str) -> bool {
    OF_RELEASES.contains(&word) || is_described(token)
}
