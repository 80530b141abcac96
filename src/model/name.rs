//! Names of scopes, apps and versions, and which of them are taken.

use std::fmt;

/// What one pass works on: one environment of one domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The domain of the site, such as `example.com`.
    pub domain: String,
    /// The environment, such as `development`.
    pub environment: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.domain, self.environment)
    }
}

/// The most bytes of an app name or a version.
pub const NAME_LIMIT: usize = 128;

/// Whether `name` is a name that an app folder (or a service) may have:
/// `[A-Za-z0-9][A-Za-z0-9._-]*`, up to 128 characters.
pub fn is_app_name(name: &str) -> bool {
    is_name(name, "._-")
}

/// Whether `version` is a version that a marker may have: as an app name, and `+`.
pub fn is_version(version: &str) -> bool {
    is_name(version, "._-+")
}

fn is_name(name: &str, punctuation: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c))
}

/// The version that a file of an app folder marks, if it is a marker (`<version>.deploy`).
pub fn marked_version(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(".deploy")
}

/// Whether a file may have been meant as a marker: `3.0.DEPLOY`, `3.0.deploy.txt`.
pub fn resembles_marker(name: &str) -> bool {
    name.to_ascii_lowercase().contains(".deploy")
}

/// The name of the folder inside a payload, and of the archive without `.tar.gz`.
pub fn payload_name(scope: &Scope, app: &str, version: &str) -> String {
    format!("{}-{}-{app}-{version}", scope.domain, scope.environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "0", "video-mobile", "A.b_c-9"] {
            assert!(is_app_name(good), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "é", "a+b", "a\n"] {
            assert!(!is_app_name(bad), "{bad}");
        }
        assert!(is_version("1.0+b5") && !is_version("+1"));
        assert!(is_app_name(&"a".repeat(128)) && !is_app_name(&"a".repeat(129)));
    }

    #[test]
    fn only_the_last_suffix_is_cut() {
        assert_eq!(marked_version("1.0.deploy"), Some("1.0"));
        assert_eq!(marked_version("a.deploy.deploy"), Some("a.deploy"));
        assert_eq!(marked_version("1.0.DEPLOY"), None);
    }
}
