//! One payload, from wherever Artifactory sends us, verified.

use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::LOCATION;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Checksum;
use super::client::Client;
use super::failure::{Failure, ReadResult, is_reactivation_page};
use crate::error::{Error, Kind};
use crate::http::{BodyError, Meaning, header};

/// The most bytes of a payload.
pub const PAYLOAD_LIMIT: usize = 8 << 20;
/// The most time for one try.
const DOWNLOAD_TIME: Duration = Duration::from_secs(300);
/// How many redirects are followed: cloud servers send large files to another host.
const HOPS: usize = 5;

/// Downloads `url` and verifies the bytes; with retries, each from the beginning, as the addresses
/// that redirects lead to expire.
pub fn fetch(client: &Client, what: &str, url: &str, checksum: &Checksum) -> ReadResult<Vec<u8>> {
    let start =
        Url::parse(url).map_err(|e| Error::usage("--art-endpoint is not a URL").because_of(&e))?;
    client.retried(|| {
        let response = follow(client, what, &start)?;
        let response = client.no_page(what, response).map_err(Failure::of_app)?;
        let body = client.body(response, PAYLOAD_LIMIT, DOWNLOAD_TIME);
        let body = body.map_err(|cause| match cause {
            BodyError::TooLarge(_) => Failure::of_body(what, &cause).of_app(),
            _ => Failure::of_body(what, &cause),
        })?;
        verify(what, &body, checksum)?;
        Ok(body)
    })
}

/// Follows redirects by hand: HTTP libraries would carry an API key's header to the next host.
/// Credentials go to the first origin only, and once left, it gets none when returned to.
fn follow(client: &Client, what: &str, start: &Url) -> ReadResult<Response> {
    let mut url = start.clone();
    let mut trusted = true;
    for _ in 0..=HOPS {
        let mut request = client.http.get(url.clone());
        if trusted {
            request = client.authorize(request);
        }
        let response = client.send(what, request)?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let location = header(&response, &LOCATION).unwrap_or_default();
        let is_followed = matches!(status, 301 | 302 | 303 | 307 | 308)
            && !location.is_empty()
            && !is_reactivation_page(location);
        if !is_followed {
            return Err(refusal(client, what, response, trusted));
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

fn refusal(client: &Client, what: &str, response: Response, trusted: bool) -> Failure {
    let (status, meaning) = (response.status().as_u16(), Meaning::of(&response));
    if !trusted {
        // What a storage host refuses is the signed address, not our credentials.
        let host = "the host that Artifactory redirects to";
        let error = Error::unavailable(format!("{what}: {host} answered {status}"));
        return Failure { error, meaning };
    }
    let failure = client.refusal(what, response);
    match meaning {
        // An I/O error of the server comes as 404 too, and the storage API has just shown the file.
        Meaning::NotFound | Meaning::NotFoundPage => Failure::passing(failure.error),
        Meaning::Forbidden => {
            let hint = "the user may not read the file, or a scan (Xray) blocks its download";
            Failure::from(failure.error.hint(hint)).of_app()
        }
        _ => failure,
    }
}

/// Compares the bytes with what the storage API said.
pub fn verify(what: &str, body: &[u8], expected: &Checksum) -> ReadResult<()> {
    let (kind, actual) = match expected {
        Checksum::Sha256(_) => ("SHA-256", format!("{:x}", Sha256::digest(body))),
        Checksum::Sha1(_) => ("SHA-1", format!("{:x}", Sha1::digest(body))),
    };
    let (expected, length) = (expected.as_str(), body.len());
    if actual == expected {
        return Ok(());
    }
    let error = Error::new(Kind::Failed, format!("{what}: the checksum does not match"))
        .because(format!(
            "{kind} expected {expected}, downloaded {actual} ({length} bytes)"
        ))
        .hint("the file was replaced meanwhile, or a proxy changes downloads");
    Err(error.into())
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
        assert!(verify("x", b"", &Checksum::Sha256(empty.into())).is_ok());
        let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        assert!(verify("x", b"", &Checksum::Sha1(sha1.into())).is_ok());
        let error = verify("x", b"y", &Checksum::Sha1(sha1.into()))
            .unwrap_err()
            .error;
        assert!(error.causes[0].contains(sha1) && error.kind == Kind::Failed);
    }
}
