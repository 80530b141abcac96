//! The metadata of a payload: the `.json` file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::archive::File;
use super::{is_unrecorded, refusal};
use crate::error::Result;
use crate::model::name::is_app_name;
use crate::text::is_unsafe;

/// The most units that one deploy starts.
const INSTANCES_LIMIT: u32 = 100;
/// What the number of units has to be.
const INTEGER: &str = "an integer from 1 to 100";
/// The most bytes of an image version. A registry takes 128 as a tag; a digest behind it fits too.
const IMAGE_VERSION_LIMIT: usize = 256;
/// The most bytes of a unit's name (`UNIT_NAME_MAX` of systemd is 256, with the final NUL).
const UNIT_NAME_LIMIT: usize = 255;

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
    read(&file.text, version).map_err(|what| refusal(&file.name, what))
}

type Checked<T> = std::result::Result<T, String>;

fn read(text: &str, version: &str) -> Checked<Metadata> {
    if text.starts_with('\u{feff}') {
        return Err("line 1: a byte order mark, JSON starts with {".into());
    }
    let mut keys: Keys = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    let name = keys.required_string("name")?;
    if !is_app_name(&name) {
        let expected = "up to 128 letters, digits and ._-";
        return Err(format!("name is {name:?}, {expected} expected"));
    }
    let found = keys.required_string("version")?;
    if found != version {
        return Err(format!(
            "version is {found:?}, {version:?} expected, as the marker says"
        ));
    }
    let image_version = match keys.string("imageVersion")? {
        Some(image) => checked_image_version(image)?,
        None => found.clone(),
    };
    let metadata = Metadata {
        name,
        version: found,
        image_version,
        num_instances: keys.num_instances()?,
    };
    check_unit_name(&metadata)?;
    Ok(metadata)
}

fn json_error(error: &serde_json::Error) -> String {
    // The position is said once, in front, as for the other files.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let line = error.line().max(1);
    format!("line {line}: {text}, one JSON object expected")
}

fn checked_image_version(image: String) -> Checked<String> {
    let length = image.len();
    if length == 0 {
        return Err("imageVersion is empty; leave it out to use the version".into());
    }
    if length > IMAGE_VERSION_LIMIT {
        let most = format!("at most {IMAGE_VERSION_LIMIT} expected");
        return Err(format!("imageVersion is {length} bytes, {most}"));
    }
    if image.chars().any(|c| is_unsafe(c) || is_unrecorded(c)) {
        let what = "a control, invisible or 4-byte character";
        return Err(format!("imageVersion is {image:?}: {what}"));
    }
    Ok(image)
}

/// coreos-deploy names a unit `<name>-<version>-<8 characters>@A<n>.service` (or `@B<n>`).
fn check_unit_name(metadata: &Metadata) -> Checked<()> {
    let Metadata {
        name,
        version,
        num_instances,
        ..
    } = metadata;
    let taken = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
    if let Some(c) = version.chars().find(|c| !taken(*c)) {
        let why = "which the name of a fleet unit cannot have";
        return Err(format!("version {version:?} has {c:?}, {why}"));
    }
    let length = format!("{name}-{version}-xxxxxxxx@A{num_instances}.service").len();
    if length > UNIT_NAME_LIMIT {
        let most = format!("at most {UNIT_NAME_LIMIT} expected");
        return Err(format!(
            "name and version make a unit name of {length} bytes, {most}"
        ));
    }
    Ok(())
}

/// The values of the known keys, by the key in lower case; not judged yet.
struct Keys(BTreeMap<String, Value>);

impl Keys {
    const KNOWN: [&str; 5] = [
        "name",
        "version",
        "imageversion",
        "numinstances",
        "numinstance",
    ];

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(&key.to_lowercase())
    }

    fn string(&mut self, key: &str) -> Checked<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{key} is {}, a string expected", shown(&other))),
        }
    }

    fn required_string(&mut self, key: &str) -> Checked<String> {
        let missing = || format!("{key} is missing, a string expected");
        self.string(key)?.ok_or_else(missing)
    }

    fn integer(&mut self, key: &str) -> Checked<Option<u32>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        match number.filter(|n| (1..=INSTANCES_LIMIT).contains(n)) {
            None => Err(format!("{key} is {}, {INTEGER} expected", shown(&value))),
            number => Ok(number),
        }
    }

    fn num_instances(&mut self) -> Checked<u32> {
        match (self.integer("numInstances")?, self.integer("numInstance")?) {
            (Some(a), Some(b)) if a != b => Err(format!(
                "numInstances is {a} and numInstance is {b}, one of them expected"
            )),
            (Some(n), _) | (None, Some(n)) => Ok(n),
            (None, None) => Err(format!("numInstances is missing, {INTEGER} expected")),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        json.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Keys, A::Error> {
        let (mut known, mut all) = (BTreeMap::new(), BTreeSet::new());
        while let Some(key) = map.next_key::<String>()? {
            let key = key.to_lowercase();
            if Keys::KNOWN.contains(&key.as_str()) {
                known.insert(key.clone(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if let Some(twice) = all.replace(key) {
                return Err(A::Error::custom(format!("the key {twice:?} twice")));
            }
        }
        Ok(Keys(known))
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
