//! The metadata of a payload: the `.json` file.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::archive::File;
use super::refuse;
use crate::error::{Error, Result};
use crate::model::name::is_app_name;
use crate::text::printable;

/// The most units that one deploy starts.
pub const INSTANCES_LIMIT: u64 = 100;
/// The most bytes of an image version. A registry takes 128 as a tag; a digest behind it fits too.
pub const IMAGE_VERSION_LIMIT: usize = 256;
/// The most bytes of a unit's name (`UNIT_NAME_MAX` of systemd is 256, with the final NUL).
pub const UNIT_NAME_LIMIT: usize = 255;

/// What the metadata says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The service's name in the cluster; it need not be the app folder's.
    pub name: String,
    /// The version, the same as the marker's.
    pub version: String,
    /// The version of the image; the version where the metadata does not say.
    pub image_version: String,
    /// How many units are started, 1 to 100.
    pub num_instances: u32,
}

/// Reads the metadata of the version that a marker names.
///
/// Keys are matched whatever their case, as Go's `encoding/json` does, but no key may come twice.
/// Unknown keys are ignored.
pub fn parse(file: &File, version: &str) -> Result<Metadata> {
    if file.text.starts_with('\u{feff}') {
        return Err(refuse(
            &file.name,
            "line 1: a byte order mark, JSON starts with {",
        ));
    }
    let raw: Raw = serde_json::from_str(&file.text).map_err(|error| json_error(file, &error))?;
    let name = string(file, "name", raw.name)?.ok_or_else(|| missing(file, "name", "a string"))?;
    if !is_app_name(&name) {
        return Err(refuse(
            &file.name,
            format!("name is {name:?}, up to 128 letters, digits and ._- expected"),
        ));
    }
    let found = string(file, "version", raw.version)?
        .ok_or_else(|| missing(file, "version", "a string"))?;
    if found != version {
        return Err(refuse(
            &file.name,
            format!("version is {found:?}, {version:?} expected, as the marker says"),
        ));
    }
    let image_version = match string(file, "imageVersion", raw.image_version)? {
        Some(image) => checked_image_version(file, image)?,
        None => found.clone(),
    };
    let num_instances = instances(file, raw.num_instances, raw.num_instance)?;
    let metadata = Metadata {
        name,
        version: found,
        image_version,
        num_instances,
    };
    check_unit_name(file, &metadata)?;
    Ok(metadata)
}

fn json_error(file: &File, error: &serde_json::Error) -> Error {
    // The position is said once, in front, as for the other files.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    refuse(
        &file.name,
        format!(
            "line {}: {text}, one JSON object expected",
            error.line().max(1)
        ),
    )
}

fn missing(file: &File, key: &str, expected: &str) -> Error {
    refuse(&file.name, format!("{key} is missing, {expected} expected"))
}

fn string(file: &File, key: &str, value: Option<Value>) -> Result<Option<String>> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(refuse(
            &file.name,
            format!("{key} is {}, a string expected", kind(&other)),
        )),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

fn checked_image_version(file: &File, image: String) -> Result<String> {
    if image.is_empty() {
        return Err(refuse(
            &file.name,
            "imageVersion is empty; leave it out to use the version",
        ));
    }
    if image.len() > IMAGE_VERSION_LIMIT {
        return Err(refuse(
            &file.name,
            format!(
                "imageVersion is {} bytes, at most {IMAGE_VERSION_LIMIT} expected",
                image.len()
            ),
        ));
    }
    if image.chars().any(|c| c > '\u{ffff}') || printable(&image) != image {
        return Err(refuse(
            &file.name,
            format!("imageVersion is {image:?}: a control, invisible or 4-byte character"),
        ));
    }
    Ok(image)
}

fn instances(file: &File, plural: Option<Value>, singular: Option<Value>) -> Result<u32> {
    let expected = format!("an integer from 1 to {INSTANCES_LIMIT}");
    let number = |key: &str, value: Value| {
        value
            .as_u64()
            .filter(|n| (1..=INSTANCES_LIMIT).contains(n))
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| {
                refuse(
                    &file.name,
                    format!("{key} is {}, {expected} expected", kind(&value)),
                )
            })
    };
    let plural = plural
        .map(|value| number("numInstances", value))
        .transpose()?;
    let singular = singular
        .map(|value| number("numInstance", value))
        .transpose()?;
    match (plural, singular) {
        (Some(a), Some(b)) if a != b => Err(refuse(
            &file.name,
            format!("numInstances is {a} and numInstance is {b}, one of them expected"),
        )),
        (Some(n), _) | (None, Some(n)) => Ok(n),
        (None, None) => Err(missing(file, "numInstances", &expected)),
    }
}

/// coreos-deploy names a unit `<name>-<version>-<8 characters>@A<n>.service` (or `@B<n>`).
fn check_unit_name(file: &File, metadata: &Metadata) -> Result<()> {
    let Metadata {
        name,
        version,
        num_instances,
        ..
    } = metadata;
    if let Some(c) = version
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !":_.@-".contains(*c))
    {
        return Err(refuse(
            &file.name,
            format!("version {version:?} has {c:?}, which the name of a fleet unit cannot have"),
        ));
    }
    let unit = format!("{name}-{version}-xxxxxxxx@A{num_instances}.service");
    if unit.len() > UNIT_NAME_LIMIT {
        return Err(refuse(
            &file.name,
            format!(
                "name and version make a unit name of {} bytes, at most {UNIT_NAME_LIMIT} expected",
                unit.len()
            ),
        ));
    }
    Ok(())
}

/// The known keys, not judged yet.
#[derive(Default)]
struct Raw {
    name: Option<Value>,
    version: Option<Value>,
    image_version: Option<Value>,
    num_instances: Option<Value>,
    num_instance: Option<Value>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw, A::Error> {
        let mut raw = Raw::default();
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let key = key.to_lowercase();
            let slot = match key.as_str() {
                "name" => Some(&mut raw.name),
                "version" => Some(&mut raw.version),
                "imageversion" => Some(&mut raw.image_version),
                "numinstances" => Some(&mut raw.num_instances),
                "numinstance" => Some(&mut raw.num_instance),
                _ => None,
            };
            match slot {
                Some(slot) => *slot = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("the key {twice:?} twice")));
            }
        }
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Metadata> {
        let file = File {
            name: "m.json".into(),
            text: text.into(),
        };
        parse(&file, "1.0")
    }

    #[test]
    fn both_spellings_and_any_case() {
        for text in [
            r#"{"name":"a","version":"1.0","numInstances":2}"#,
            r#"{"name":"a","version":"1.0","numInstance":2,"other":[{"name":1}]}"#,
            r#"{"Name":"a","VERSION":"1.0","numInstances":2,"numInstance":2}"#,
        ] {
            let metadata = parsed(text).unwrap();
            assert_eq!(
                (metadata.num_instances, metadata.image_version.as_str()),
                (2, "1.0")
            );
        }
    }

    #[test]
    fn refusals_name_file_and_cause() {
        let long = format!(
            r#"{{"name":"{}","version":"1.0","numInstances":1}}"#,
            "n".repeat(129)
        );
        for (text, words) in [
            ("", "line 1: EOF"),
            ("[]", "invalid type"),
            ("{\n\"name\": x", "line 2: expected value"),
            ("\u{feff}{}", "byte order mark"),
            ("{} {}", "trailing characters"),
            (r#"{"version":"1.0","numInstances":1}"#, "name is missing"),
            (r#"{"name":"a","numInstances":1}"#, "version is missing"),
            (r#"{"name":"a","version":"1.0"}"#, "numInstances is missing"),
            (
                r#"{"name":null,"version":"1.0","numInstances":1}"#,
                "name is null",
            ),
            (
                r#"{"name":"a/b","version":"1.0","numInstances":1}"#,
                "name is \"a/b\"",
            ),
            (&long, "up to 128"),
            (
                r#"{"name":"a","version":"1.1","numInstances":1}"#,
                "as the marker says",
            ),
            (
                r#"{"name":"a","version":1.0,"numInstances":1}"#,
                "version is 1.0, a string",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":0}"#,
                "is 0, an integer from 1 to 100",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":101}"#,
                "is 101",
            ),
            (r#"{"name":"a","version":"1.0","numInstances":-3}"#, "is -3"),
            (
                r#"{"name":"a","version":"1.0","numInstances":2.0}"#,
                "is 2.0",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":"2"}"#,
                "the string \"2\"",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"numInstance":2}"#,
                "one of them",
            ),
            (
                r#"{"name":"a","name":"a","version":"1.0","numInstances":1}"#,
                "\"name\" twice",
            ),
            (
                r#"{"name":"a","Name":"b","version":"1.0","numInstances":1}"#,
                "\"name\" twice",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"x":1,"x":1}"#,
                "\"x\" twice",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"imageVersion":""}"#,
                "is empty",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"imageVersion":"a\nb"}"#,
                "control",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"imageVersion":"😀"}"#,
                "4-byte",
            ),
            (
                r#"{"name":"a","version":"1.0","numInstances":1,"imageVersion":"\ud800"}"#,
                "line 1",
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.message.starts_with("m.json: "), "{error}");
            assert!(error.message.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn names_that_fleet_does_not_take() {
        let text = r#"{"name":"a","version":"1.0+b5","numInstances":1}"#;
        let file = File {
            name: "m.json".into(),
            text: text.into(),
        };
        assert!(
            parse(&file, "1.0+b5")
                .unwrap_err()
                .message
                .contains("has '+'")
        );
        let version = "v".repeat(128);
        let of = |name: usize| File {
            name: "m.json".into(),
            text: format!(
                r#"{{"name":"{}","version":"{version}","numInstances":1}}"#,
                "n".repeat(name)
            ),
        };
        // 255 = name + '-' + 128 + "-xxxxxxxx@A1.service"
        assert!(parse(&of(106), &version).is_ok());
        assert!(
            parse(&of(107), &version)
                .unwrap_err()
                .message
                .contains("256 bytes")
        );
    }

    proptest! {
        #[test]
        fn integers_in_range_and_no_others(n in -200i64..300) {
            let text = format!(r#"{{"name":"a","version":"1.0","numInstances":{n}}}"#);
            prop_assert_eq!(parsed(&text).is_ok(), (1..=100).contains(&n));
        }

        #[test]
        fn any_text_is_an_answer(text in "[{}\\[\\]\":,a-z0-9\\\\ .\n]{0,80}") {
            if let Err(error) = parsed(&text) {
                prop_assert!(error.message.starts_with("m.json: "));
            }
        }
    }
}
