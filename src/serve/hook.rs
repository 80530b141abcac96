//! Artifactory's webhook. An event that shows the secret forces a pass, and the pass looks at
//! Artifactory itself: nobody reads what the event says, so that one that is sent twice, late or in
//! another order does no harm.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::{Instant, sleep_until};

use super::api::{Api, forced};
use super::gate::{Client, GUESS_COSTS};
use super::replies::{Refusal, Reply};
use super::store::unhex;
use crate::config::{HookAuth, HookConfig};

/// Where Artifactory puts the signature or the secret.
const EVENT_AUTH: &str = "x-jfrog-event-auth";

/// Takes an event. A wrong secret is found out late, as a wrong token is.
pub(super) async fn hook(
    State(api): State<Arc<Api>>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    event: Bytes,
) -> Reply {
    let Some(config) = &api.hook else {
        return Refusal::NotFound.reply();
    };
    let told = Instant::now() + GUESS_COSTS;
    if !is_genuine(config, &headers, &event) {
        sleep_until(told).await;
        return Refusal::WrongSecret.reply();
    }
    if let Some(Extension(client)) = client {
        client.place.is_trusted();
    }
    forced(&api)
}

/// Whether an event has one header that shows the secret; takes the same time whatever is wrong
/// with it.
fn is_genuine(config: &HookConfig, headers: &HeaderMap, event: &[u8]) -> bool {
    let mut values = headers.get_all(EVENT_AUTH).iter();
    let (Some(shown), None) = (values.next(), values.next()) else {
        return false;
    };
    let secret = config.secret.expose().as_bytes();
    match config.auth {
        HookAuth::Plain => {
            // Digests have one length, so that the time tells nothing of that of the secret.
            let (shown, secret) = (Sha256::digest(shown), Sha256::digest(secret));
            shown.ct_eq(&secret).into()
        }
        HookAuth::Hmac => {
            let signature = shown.to_str().ok().and_then(unhex);
            let mac = Hmac::<Sha256>::new_from_slice(secret).ok();
            let (Some(signature), Some(mac)) = (signature, mac) else {
                return false;
            };
            mac.chain_update(event).verify_slice(&signature).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::secret::Secret;

    /// RFC 4231, test case 2.
    const KEY: &str = "Jefe";
    const EVENT: &str = "what do ya want for nothing?";
    const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn takes(auth: HookAuth, shown: &[&str], event: &str) -> bool {
        let secret = Secret::new(KEY.into());
        let mut headers = HeaderMap::new();
        for value in shown {
            headers.append(EVENT_AUTH, HeaderValue::from_str(value).unwrap());
        }
        is_genuine(&HookConfig { secret, auth }, &headers, event.as_bytes())
    }

    #[test]
    fn a_signature_is_of_the_whole_event() {
        let takes = |shown: &[&str], event| takes(HookAuth::Hmac, shown, event);
        assert!(takes(&[SIGNATURE], EVENT));
        assert!(!takes(&[SIGNATURE], "what do ya want for nothing"));
        assert!(!takes(&[SIGNATURE], ""));
        let prefixed = format!("sha256={SIGNATURE}");
        for wrong in [KEY, "", &SIGNATURE[..62], &prefixed, &"0".repeat(64)] {
            assert!(!takes(&[wrong], EVENT), "{wrong}");
        }
        assert!(!takes(&[], EVENT));
        assert!(!takes(&[SIGNATURE, SIGNATURE], EVENT));
    }

    #[test]
    fn a_plain_secret_is_shown_as_it_is() {
        let takes = |shown: &[&str]| takes(HookAuth::Plain, shown, EVENT);
        assert!(takes(&[KEY]));
        for wrong in ["jefe", "Jef", "Jefe2", "", SIGNATURE] {
            assert!(!takes(&[wrong]), "{wrong}");
        }
        assert!(!takes(&[]));
        assert!(!takes(&[KEY, KEY]));
    }
}
