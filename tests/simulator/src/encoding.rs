//! What the servers write and read, in the forms that they use.

use percent_encoding::percent_decode_str;

/// Decodes `%XX`; anything else, `+` too, stands for itself.
pub(crate) fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A JSON string.
pub(crate) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON string as Go's encoder writes it, fit for HTML.
pub(crate) fn go_json(text: &str) -> String {
    json(text)
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_and_decodes() {
        assert_eq!(percent_decode("a%22b+%2B%zz%"), "a\"b++%zz%");
        assert_eq!(go_json("<\"&"), "\"\\u003c\\\"\\u0026\"");
    }
}
