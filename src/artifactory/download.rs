//! One payload, from wherever Artifactory sends us, verified.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::LOCATION;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::client::Client;
use super::failure::{Failure, ReadResult, is_reactivation_page};
use super::file_info::FileInfo;
use super::{Checksum, Payload};
use crate::error::{Error, Kind};
use crate::http::{Answer, BodyError, Meaning, Peer, header, is_html};
use crate::mask;

/// The most bytes of a payload.
pub const PAYLOAD_LIMIT: usize = 8 << 20;
/// The most time for one try.
const DOWNLOAD_TIME: Duration = Duration::from_secs(300);
/// How many redirects are followed: cloud servers send large files to another host.
const HOPS: usize = 5;

/// Downloads `url` and verifies the bytes; with retries, each from the beginning, as the addresses
/// that redirects lead to expire.
///
/// Bytes that don't match are looked up once more (`look`): where fewer came than the file has, they
/// were cut; where the file was published again meanwhile, its new checksum counts.
pub fn fetch(
    client: &Client,
    what: &str,
    url: &str,
    checksum: &Checksum,
    look: impl Fn() -> ReadResult<FileInfo>,
) -> ReadResult<Payload> {
    let start =
        Url::parse(url).map_err(|e| Error::usage("--art-endpoint is not a URL").because_of(&e))?;
    let mut expected = checksum.clone();
    let mut size = None;
    client.retried(|| {
        let response = follow(client, what, &start)?;
        let is_page = is_html(&response);
        let body = client.body(response, PAYLOAD_LIMIT, DOWNLOAD_TIME);
        let body = body.map_err(|cause| match cause {
            BodyError::TooLarge(_) => Failure::of_body(what, &cause).of_app(),
            _ => Failure::of_body(what, &cause),
        })?;
        // Headers don't decide about bytes that the checksum proves.
        if let Some(bytes) = verified(&body, &expected) {
            let checksum = expected.clone();
            return Ok(Payload { bytes, checksum });
        }
        if is_page || mask::is_page(&body) {
            return Err(client.page(what, &body));
        }
        let is_first = size.is_none();
        if is_first {
            let info = look().map_err(|failure| Failure::from(failure.error))?;
            size = Some(info.size().unwrap_or_default());
            if let Ok(fresh) = info.checksum() {
                expected = fresh;
            }
            if let Some(bytes) = verified(&body, &expected) {
                let checksum = expected.clone();
                return Ok(Payload { bytes, checksum });
            }
        }
        let error = mismatch(what, &body, &expected);
        match size {
            Some(size) if (body.len() as u64) < size => Err(cut(what, body.len(), size)),
            _ if is_first => Err(Failure::passing(error)),
            _ => Err(error.into()),
        }
    })
}

/// Follows redirects by hand: HTTP libraries would carry an API key's header to the next host.
/// Credentials go to the first origin only, and once left, it gets none when returned to.
fn follow(client: &Client, what: &str, start: &Url) -> ReadResult<Response> {
    let mut url = start.clone();
    let mut trusted = true;
    for _ in 0..=HOPS {
        let mut request = client.http.get(url.clone());
        let origin = client.masker().text(url.origin().ascii_serialization());
        let mut who = "Artifactory".to_owned();
        if trusted {
            request = client.authorize(request);
        } else {
            who = format!("the store behind Artifactory, {origin},");
        }
        let response = client.send(what, &who, request)?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let location = header(&response, &LOCATION).unwrap_or_default();
        let is_followed = matches!(status, 301 | 302 | 303 | 307 | 308)
            && !location.is_empty()
            && !is_reactivation_page(location);
        if !is_followed {
            return Err(if trusted {
                refusal(client, what, response)
            } else {
                refusal_of_store(client, what, &origin, response)
            });
        }
        let next = next_hop(&url, location).map_err(|reason| {
            Error::unavailable(format!("{what}: a redirect was not followed")).because(reason)
        })?;
        trusted = trusted && next.origin() == start.origin();
        url = next;
    }
    let error = Error::unavailable(format!("{what}: more than {HOPS} redirects"));
    Err(error.into())
}

/// Where a redirect leads, or why it must not be followed.
fn next_hop(from: &Url, location: &str) -> std::result::Result<Url, &'static str> {
    let mut next = from
        .join(location)
        .map_err(|_| "its address is not a URL")?;
    match (from.scheme(), next.scheme()) {
        ("https", "http") => return Err("it leads from https to http"),
        (_, "http" | "https") => {}
        _ => return Err("it leads to neither http nor https"),
    }
    // A user in the address would be sent as credentials.
    let _ = (next.set_username(""), next.set_password(None));
    next.set_fragment(None);
    Ok(next)
}

fn refusal(client: &Client, what: &str, response: Response) -> Failure {
    let failure = client.refusal(what, response);
    match failure.meaning {
        // An I/O error of the server comes as 404 too, and the storage API has just shown the file.
        Meaning::NotFound => Failure::passing(failure.error),
        Meaning::Forbidden => {
            let hint = "the user may not read the file, or a scan (Xray) blocks its download";
            Failure::from(failure.error.hint(hint)).of_app()
        }
        _ => failure,
    }
}

/// What a storage host refuses is the signed address, not our credentials: the next try begins
/// where a new one is given out.
fn refusal_of_store(client: &Client, what: &str, origin: &str, response: Response) -> Failure {
    let peer = Peer::Store(origin);
    let answer = Answer::read(peer, response, &client.config);
    let mut error = answer.error(peer, what);
    error.kind = Kind::Unavailable;
    Failure {
        error,
        meaning: answer.meaning,
    }
}

/// Fewer bytes came than the file has, and no header told.
fn cut(what: &str, came: usize, size: u64) -> Failure {
    let error = Error::unavailable(format!("{what}: the download was cut"));
    Failure::passing(error.because(format!("{came} of {size} bytes came")))
}

/// The bytes that the checksum proves: these, or what they were before somebody compressed them on
/// the way.
fn verified(body: &[u8], expected: &Checksum) -> Option<Vec<u8>> {
    if digest(body, expected) == expected.as_str() {
        return Some(body.to_vec());
    }
    if !mask::is_gzip(body) {
        return None;
    }
    let mut plain = Vec::new();
    let mut unpacked = MultiGzDecoder::new(body).take(PAYLOAD_LIMIT as u64);
    unpacked.read_to_end(&mut plain).ok()?;
    (digest(&plain, expected) == expected.as_str()).then_some(plain)
}

/// The digest of the kind that is expected.
fn digest(body: &[u8], expected: &Checksum) -> String {
    match expected {
        Checksum::Sha256(_) => format!("{:x}", Sha256::digest(body)),
        Checksum::Sha1(_) => format!("{:x}", Sha1::digest(body)),
    }
}

/// The bytes are not what the storage API says.
fn mismatch(what: &str, body: &[u8], expected: &Checksum) -> Error {
    let kind = if expected.is_sha1() {
        "SHA-1"
    } else {
        "SHA-256"
    };
    let (actual, expected, length) = (digest(body, expected), expected.as_str(), body.len());
    Error::new(Kind::Failed, format!("{what}: the checksum does not match"))
        .because(format!(
            "{kind} expected {expected}, downloaded {actual} ({length} bytes)"
        ))
        .hint("the file is damaged in Artifactory, or a proxy changes downloads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_that_are_not_followed() {
        let from = |url: &str| Url::parse(url).unwrap();
        assert!(next_hop(&from("https://h/a"), "http://h/a").is_err());
        assert!(next_hop(&from("http://h/a"), "file:///etc/passwd").is_err());
        assert!(next_hop(&from("http://h/a"), "http://").is_err());
        let next = next_hop(&from("http://h/a/b"), "https://u:p@s3/x?sig=1#f").unwrap();
        assert_eq!(next.as_str(), "https://s3/x?sig=1");
        assert_eq!(
            next_hop(&from("http://h/a/b"), "c/").unwrap().as_str(),
            "http://h/a/c/"
        );
    }

    #[test]
    fn known_digests() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(verified(b"", &Checksum::Sha256(empty.into())).is_some());
        let sha1 = Checksum::Sha1("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
        assert!(verified(b"", &sha1).is_some() && verified(b"y", &sha1).is_none());
        let error = mismatch("x", b"y", &sha1);
        assert!(error.causes[0].contains(sha1.as_str()) && error.kind == Kind::Failed);
    }
}
