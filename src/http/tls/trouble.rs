//! Why TLS failed, in words that name the cause and the cure.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// On one line; it may hold names that the server's certificate has.
    pub why: String,
    /// What to do.
    pub hint: &'static str,
}

const CLOCK: &str =
    "have the server's certificate renewed; where it is good, the clock of this host is wrong";
const ALGORITHMS: &str = "have the server's certificate issued with RSA of 2048 to 8192 bits, or ECDSA on P-256 or P-384 (not P-521), with SHA-256 or SHA-384";
const AUTHORITY: &str = "give --ca-file the certificate of the authority that issued it (or, of a self-signed one, that one); where that is trusted already, the server must send the certificates between too";
const CLIENT_CERT: &str = "give --client-cert a PEM file with the certificate that the server expects of this program, and its key";
const TLS: &str = "the server must speak TLS 1.2 or 1.3 with ECDHE and AES-GCM or ChaCha20; where it does, it may want a client certificate (--client-cert)";
const NAME: &str = "use a name that the certificate has in the address, or have it issued for this one (subjectAltName; a common name alone counts for nothing)";
/// What the error says that the verifier of certificates makes where it has nothing to go by.
pub const NO_ROOTS: &str = "this machine's CA certificates cannot be read";
const ROOTS: &str = "install the ca-certificates package, or name a PEM file with --ca-file";
const NOT_TLS: &str = "what answers there does not speak TLS: is the address meant to begin with http://, or the port another?";

/// What an error says of TLS, if anything.
pub fn trouble(error: &(dyn std::error::Error + 'static)) -> Option<Trouble> {
    Some(of(find(error)?))
}

/// The error of TLS in a chain. An `io::Error` hides what it wraps from [`std::error::Error::source`].
fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    if let Some(inner) = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        return find(inner);
    }
    find(error.source()?)
}

fn of(error: &rustls::Error) -> Trouble {
    let (why, hint) = match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::PeerIncompatible(why) => {
            let why =
                format!("this program and the server have no kind of TLS in common ({why:?})");
            (why, TLS)
        }
        rustls::Error::InvalidMessage(_) => ("what the server sent is not TLS".to_owned(), NOT_TLS),
        rustls::Error::General(why) if why.starts_with(NO_ROOTS) => (why.clone(), ROOTS),
        other => (format!("TLS failed: {other}"), TLS),
    };
    Trouble { why, hint }
}

fn of_certificate(error: &CertificateError) -> (String, &'static str) {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let (end, now) = (date(*not_after), date(*time));
            let why = format!("the server's certificate expired on {end}; the clock here says {now}");
            (why, CLOCK)
        }
        CertificateError::Expired => ("the server's certificate expired".to_owned(), CLOCK),
        CertificateError::NotValidYetContext { time, not_before } => {
            let (start, now) = (date(*not_before), date(*time));
            let why = format!("the server's certificate is good from {start} on; the clock here says {now}");
            (why, CLOCK)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| shown_name(name)).collect();
            let names = if names.is_empty() {
                "no host at all".to_owned()
            } else {
                names.join(", ")
            };
            let expected = expected.to_str();
            (format!("the server's certificate is not for {expected} but for {names}"), NAME)
        }
        CertificateError::UnknownIssuer => (
            "the server's certificate was issued by nobody that this host trusts".to_owned(),
            AUTHORITY,
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            let why = "the server's certificate is of an algorithm that this program does not have";
            (why.to_owned(), ALGORITHMS)
        }
        CertificateError::BadSignature => {
            ("a signature of the server's certificate is wrong".to_owned(), AUTHORITY)
        }
        CertificateError::Revoked => ("the server's certificate was revoked".to_owned(), CLOCK),
        other if super::is_own_issuer(other) => (
            "the server's certificate is an authority's own (self-signed), and not one that was given"
                .to_owned(),
            AUTHORITY,
        ),
        other if format!("{other:?}").contains("UnsupportedCertVersion") => {
            let why = "the server's certificate is of X.509 version 1";
            (why.to_owned(), "have it issued as version 3, with a subjectAltName")
        }
        other if format!("{other:?}").contains("Unsupported") => {
            let why = "the server's certificate is of an algorithm that this program does not have";
            (why.to_owned(), ALGORITHMS)
        }
        other => (format!("the server's certificate cannot be used: {other}"), AUTHORITY),
    }
}

fn of_alert(alert: AlertDescription) -> (String, &'static str) {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => (
            "the server wants a client certificate".to_owned(),
            CLIENT_CERT,
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => (
            format!("the server does not take the client certificate, or wants one ({alert:?})"),
            CLIENT_CERT,
        ),
        other => (
            format!("the server ended the TLS handshake ({other:?})"),
            TLS,
        ),
    }
}

/// A name of those that the library prints: `DnsName("host")`, `IpAddress(10.0.0.1)`.
fn shown_name(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"')
}

/// A date for people; the library has seconds.
fn date(time: UnixTime) -> String {
    // The last second that can be printed, of the year 9999.
    let seconds = time.as_secs().min(253_402_300_799);
    let text =
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ") + " UTC"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_nothing_to_go_by_the_cure_is_another() {
        let none = rustls::Error::General(format!("{NO_ROOTS}: no file"));
        assert_eq!(of(&none).hint, ROOTS);
        assert_eq!(of(&rustls::Error::General("odd".into())).hint, TLS);
    }

    #[test]
    fn names_are_shown_without_their_type() {
        for (printed, shown) in [
            ("DnsName(\"art.example\")", "art.example"),
            ("IpAddress(10.0.0.1)", "10.0.0.1"),
            ("odd", "odd"),
        ] {
            assert_eq!(shown_name(printed), shown);
        }
    }
}
