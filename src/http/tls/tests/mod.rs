//! Certificates of a host called `art.example`, made by openssl in November 2026 for ten years.

use std::io;
use std::time::Duration;

use super::*;

const SELF: &[u8] = include_bytes!("self.pem");
const SAN: &[u8] = include_bytes!("san.pem");
const LEAF: &[u8] = include_bytes!("leaf.pem");
const P521: &[u8] = include_bytes!("p521.pem");
const OTHER: &[u8] = include_bytes!("other.pem");
const PKCS7: &[u8] = include_bytes!("p7.pem");
/// In 2027.
const GOOD: u64 = 1_800_000_000;
/// In 2039.
const LATE: u64 = 2_200_000_000;

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

fn config(ca_file: &[u8]) -> (HttpConfig, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca_file).unwrap();
    let config = HttpConfig {
        ca_file: Some(file.path().to_owned()),
        ..HttpConfig::default()
    };
    (config, file)
}

/// What becomes of a certificate that `art.example` shows to who was given these.
fn shown(pem: &[u8], given: &[u8], seconds: u64) -> std::result::Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(&config(given).0, provider).unwrap();
    let name = ServerName::try_from("art.example").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verifier.verify_server_cert(&der(pem), &[], &name, &[], now) {
        Ok(_) => Ok(()),
        Err(error) => {
            // As the HTTP library wraps it.
            let wrapped = io::Error::other(io::Error::other(error));
            let trouble = trouble(&wrapped).unwrap();
            Err(format!("{} -> {}", trouble.why, trouble.hint))
        }
    }
}

#[test]
fn a_given_certificate_is_trusted_itself_and_told_from_an_authority() {
    for (what, pem, given) in [
        ("of a given authority", LEAF, SELF),
        ("given itself, without a name", SELF, SELF),
        ("given itself, with this name", SAN, SAN),
        ("given among others", SAN, &[OTHER, SELF, SAN].concat()),
        ("given itself, by no authority", LEAF, LEAF),
    ] {
        assert_eq!(shown(pem, given, GOOD), Ok(()), "{what}");
        let late = shown(pem, given, LATE).unwrap_err();
        assert!(late.contains("expired on 2036-11-2"), "{what}: {late}");
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_with_the_cure() {
    for (pem, given, seconds, words) in [
        (
            LEAF,
            SELF,
            LATE,
            &[
                "expired on 2036-11-23",
                "the clock here says 2039-09-18",
                "renewed",
            ][..],
        ),
        (
            LEAF,
            SELF,
            1_000_000_000,
            &["is good from 2026-11-26", "says 2001-09-09", "clock"],
        ),
        (
            LEAF,
            OTHER,
            GOOD,
            &["nobody that this host trusts", "--ca-file"],
        ),
        (
            SELF,
            OTHER,
            GOOD,
            &["an authority's own (self-signed)", "--ca-file"],
        ),
        (
            OTHER,
            OTHER,
            GOOD,
            &[
                "not for art.example but for other.example",
                "subjectAltName",
            ],
        ),
        (
            P521,
            P521,
            GOOD,
            &["algorithm that this program does not have", "not P-521"],
        ),
    ] {
        let told = shown(pem, given, seconds).unwrap_err();
        for word in words {
            assert!(told.contains(word), "{word} in {told}");
        }
        assert!(!told.contains("UNIX") && !told.contains("Error"), "{told}");
    }
}

#[test]
fn what_a_server_says_of_tls_is_told_with_the_cure() {
    use rustls::{AlertDescription as Alert, Error as Tls};
    for (error, why, hint) in [
        (
            Tls::AlertReceived(Alert::CertificateRequired),
            "wants a client certificate",
            "--client-cert",
        ),
        (
            Tls::AlertReceived(Alert::UnknownCA),
            "UnknownCA",
            "--client-cert",
        ),
        (
            Tls::AlertReceived(Alert::HandshakeFailure),
            "HandshakeFailure",
            "TLS 1.2",
        ),
        (
            Tls::AlertReceived(Alert::ProtocolVersion),
            "ProtocolVersion",
            "TLS 1.2",
        ),
        (
            Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            "is not TLS",
            "http://",
        ),
        (
            Tls::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: Vec::new(),
            }),
            "algorithm that this program does not have",
            "P-521",
        ),
        (Tls::General("x".into()), "TLS failed: ", "TLS"),
    ] {
        let trouble = trouble(&io::Error::other(error)).unwrap();
        assert!(
            trouble.why.contains(why) && trouble.hint.contains(hint),
            "{trouble:?}"
        );
    }
    assert_eq!(trouble(&io::Error::other("something else")), None);
}

#[test]
fn a_file_of_certificates_is_taken_in_every_usual_form_or_says_what_it_is() {
    let with_text = [b"Certificate:\n  Data: x\r\n", SELF, b"\n\n", LEAF].concat();
    for (bytes, count) in [(SELF, 1), (&with_text, 2), (der(SELF).as_ref(), 1)] {
        assert_eq!(certificates("x", bytes).unwrap().len(), count);
    }
    let (with_mark, _file) = config(&[b"\xef\xbb\xbf", SELF].concat());
    assert!(settings(&with_mark).is_ok());
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(SELF.iter().flat_map(|b| [*b, 0]))
        .collect();
    for (bytes, why, hint) in [
        (PKCS7, "PKCS#7", "openssl pkcs7"),
        (b"", "empty", "PEM"),
        (&[0x30, 0x82, 1, 2, 3], "DER", "openssl"),
        (&utf16, "UTF-16", "ASCII"),
        (b"ssh-rsa AAAA", "begins with", "PEM"),
        (&SELF[..300], "damaged", "PEM"),
    ] {
        let error = certificates("x", bytes).unwrap_err();
        assert!(error.causes[0].contains(why), "{error:?}");
        assert!(error.hint.as_ref().unwrap().contains(hint), "{error:?}");
    }
}

#[test]
fn a_client_certificate_needs_its_key() {
    for (bytes, why) in [
        (SELF.to_vec(), "no private key"),
        (
            [SELF, b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"].concat(),
            "encrypted",
        ),
    ] {
        let (mut config, _file) = config(&bytes);
        config.client_cert = config.ca_file.clone();
        let error = settings(&config).unwrap_err();
        assert!(error.causes[0].contains(why), "{error:?}");
        assert!(error.message.contains("--client-cert"), "{error:?}");
    }
}
