//! What the replies of coreos-deploy mean.

use serde_json::{Map, Value};

use super::{Probe, credentials, redirected, unreachable};
use crate::error::Error;
use crate::exit::Exit;
use crate::model::attempt::Status;
use crate::text::printable;

/// Which cluster a server is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its domain.
    pub domain: String,
    /// Its environment.
    pub environment: String,
}

/// What came of the POST.
#[derive(Clone, Debug)]
pub enum Submission {
    /// Accepted, with this id.
    Accepted(String),
    /// Certainly not accepted.
    Refused {
        /// Why.
        reason: String,
        /// Whether it is the release's fault and uses up an attempt (400, 404, 405, 415).
        counts: bool,
        /// The error that ends the pass, where going on makes no sense.
        stop: Option<Error>,
    },
    /// It may have been accepted; no id is known.
    Lost(String),
}

/// The first part of a body, for an error.
pub(super) fn excerpt(body: &[u8]) -> String {
    printable(String::from_utf8_lossy(&body[..body.len().min(2048)]).trim())
}

/// Whether text has the shape of a UUID, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(i, c)| {
            if matches!(i, 8 | 13 | 18 | 23) {
                c == '-'
            } else {
                c.is_ascii_hexdigit()
            }
        })
}

/// The POST never left: nothing was sent for certain.
pub(super) fn not_connected(why: &str) -> Submission {
    Submission::Refused {
        reason: format!("no connection: {why}"),
        counts: false,
        stop: Some(unreachable(why)),
    }
}

/// Reads the reply to the POST. The id comes from the body, or from `X-Request-Id` (the same id:
/// recorded) when a 2xx lost its body.
pub(super) fn submission(
    status: u16,
    header: Option<&str>,
    body: Result<&[u8], String>,
) -> Submission {
    let text = body.as_ref().map_or_else(Clone::clone, |b| excerpt(b));
    let reason = format!("status {status}: {text}");
    let refused = |counts, stop| Submission::Refused {
        reason: reason.clone(),
        counts,
        stop,
    };
    match status {
        200..=299 => {
            let named = body
                .ok()
                .and_then(object)
                .and_then(|o| Some(o.get("deployID")?.as_str()?.to_owned()));
            match named
                .filter(|id| is_uuid(id))
                .or_else(|| header.filter(|id| is_uuid(id)).map(str::to_owned))
            {
                Some(id) => Submission::Accepted(id),
                None => Submission::Lost(format!("accepted, but without an id: {reason}")),
            }
        }
        300..=399 => refused(false, Some(redirected(status))),
        400 | 404 | 405 | 415 => refused(true, None),
        401 | 403 => refused(false, Some(credentials(status))),
        429 => refused(
            false,
            Some(Error::new(
                Exit::TryLater,
                "coreos-deploy takes no more requests (status 429)",
            )),
        ),
        _ => Submission::Lost(reason),
    }
}

/// Reads the reply to `/info`.
pub(super) fn info(status: u16, body: &[u8]) -> Probe {
    match status {
        200 => {}
        300..=399 => return Probe::Failed(redirected(status)),
        401 | 403 => return Probe::Failed(credentials(status)),
        _ => return Probe::Failed(unusable(&format!("status {status}: {}", excerpt(body)))),
    }
    let options = object(body).and_then(|mut o| match o.remove("options") {
        Some(Value::Object(options)) => Some(options),
        _ => None,
    });
    let text = |key| {
        options
            .as_ref()
            .and_then(|o| o.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match (text("domain"), text("environment")) {
        (Some(domain), Some(environment)) => Probe::Answered(Info {
            domain,
            environment,
        }),
        _ => Probe::Failed(unusable(&format!(
            "it names no domain and environment: {}",
            excerpt(body)
        ))),
    }
}

fn unusable(why: &str) -> Error {
    Error::unavailable("coreos-deploy does not answer /v1.0/info as coreos-deploy does")
        .because(why)
        .hint("check --deploy-url")
}

/// Reads the reply to `/status/<id>`. Only the integer 2 is success and only 3 is failure, and only
/// with this id, name and version beside it; an unknown id is 200 with invalid JSON (recorded).
pub(super) fn status(
    status: u16,
    body: &[u8],
    id: &str,
    service_name: &str,
    version: &str,
) -> Status {
    let vague =
        |why: &str| Status::Inconclusive(format!("{why}: status {status}: {}", excerpt(body)));
    if status != 200 {
        return vague("no answer to the question");
    }
    let Some(reply) = object(body) else {
        return if is_no_rows(body, id) {
            Status::NoRows
        } else {
            vague("not JSON")
        };
    };
    let is = |key: &str, wanted: &str| reply.get(key).and_then(Value::as_str) == Some(wanted);
    let same_id = reply
        .get("deployID")
        .and_then(Value::as_str)
        .is_some_and(|i| i.eq_ignore_ascii_case(id));
    if !same_id
        || !is("version", version)
        || !(service_name.is_empty() || is("serviceName", service_name))
    {
        return vague("the answer is about something else");
    }
    match reply.get("status").and_then(Value::as_i64) {
        Some(1) => Status::Running,
        Some(2) => Status::Succeeded,
        Some(3) => {
            let message = reply
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("no message");
            Status::Failed(printable(message))
        }
        _ => vague("a status that is not 1, 2 or 3"),
    }
}

/// `{"id":<id>,"error":"sql: no rows in result set"}`, the id without quotes (recorded).
fn is_no_rows(body: &[u8], id: &str) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    text.trim()
        .strip_prefix("{\"id\":")
        .and_then(|rest| rest.split_at_checked(id.len()))
        .is_some_and(|(named, rest)| {
            named.eq_ignore_ascii_case(id) && rest == ",\"error\":\"sql: no rows in result set\"}"
        })
}

/// A JSON object in which no key is given twice: which of two would count is anybody's guess.
fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice::<Unique>(body).ok().map(|u| u.0)
}

struct Unique(Map<String, Value>);

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Unique;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut access: A,
            ) -> Result<Unique, A::Error> {
                let mut map = Map::new();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    if map.insert(key, value).is_some() {
                        return Err(serde::de::Error::custom("a key is given twice"));
                    }
                }
                Ok(Unique(map))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
