//! Secrets: values that print as `***`.

use secrecy::{ExposeSecret, SecretString};

/// A password, token, key or DSN. `Debug` and `Display` give `***`; memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

/// How clap takes one: wrapped at once, so that no `Debug` of the command line shows it.
impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The value itself, for the one place that sends it to its peer.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Not in constant time: for configurations, not for what a peer presents.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
