//! Proxies of the environment, and what they answer in a server's place.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use simulator::{Artifactory, Fault};

use crate::replaced;
use crate::support::{Ran, Rig, TOKEN};

/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";
/// An Artifactory that only a proxy could reach.
const FAR: &str = "http://artifactory.example/artifactory/api";

fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?}: {ran:#?}");
    }
}

fn squid(status: u16, error: &str) -> Fault {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        header("Server", "squid/5.7"),
        header("X-Squid-Error", error),
        header("Content-Type", "text/html;charset=utf-8"),
    ];
    let body = "<html><head><title>ERROR: The requested URL could not be retrieved</title>";
    Fault::StatusWith(status, headers, body.to_owned())
}

#[test]
fn loopback_is_never_proxied() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    let mut command = rig.std_command(&[]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"] {
        command.env(name, NOBODY);
    }
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(rig.posted(), ["1.0"]);
}

#[test]
fn a_proxy_that_is_no_address_is_refused_and_not_quoted() {
    let rig = Rig::new();
    for (name, value) in [
        ("HTTP_PROXY", "http://u:hunter2hunter2@"),
        ("https_proxy", "socks5://hunter2hunter2:1080"),
        ("ALL_PROXY", "http://p:hunter2hunter2"),
    ] {
        let ran = Ran::of(&rig.std_command(&[]).env(name, value).output().unwrap());
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        says(&ran, &[name, "hint: "]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
    assert!(rig.artifactory.requests().is_empty());
}

#[test]
fn a_proxy_that_is_in_the_way_is_named() {
    let rig = Rig::new();
    let far = |proxy: &str| {
        let arguments = ["scan", "--listing", "folders"];
        let mut command = replaced::command(&rig, "art-endpoint", FAR, &arguments);
        Ran::of(&command.env("HTTP_PROXY", proxy).output().unwrap())
    };
    let dead = far(NOBODY);
    assert_eq!(dead.code, Some(69), "{dead:#?}");
    says(
        &dead,
        &[
            "through the proxy http://127.0.0.1:1 (HTTP_PROXY)",
            "NO_PROXY",
        ],
    );
    let proxy = Artifactory::start();
    let address = proxy.url();
    proxy.fault("", squid(403, "ERR_ACCESS_DENIED 0"), Some(1));
    let tls = FAR.replace("http", "https");
    let mut command = replaced::command(&rig, "art-endpoint", &tls, &["scan"]);
    command.env("HTTPS_PROXY", &address);
    let untunnelled = Ran::of(&command.output().unwrap());
    assert_eq!(untunnelled.code, Some(69), "{untunnelled:#?}");
    says(&untunnelled, &["(HTTPS_PROXY)", "did not take the CONNECT"]);
    proxy.reset_requests();
    let address = address.strip_suffix("/artifactory").unwrap_or(&address);
    proxy.fault("", squid(503, "ERR_CONNECT_FAIL 111"), None);
    let with_password = address.replace("http://", "http://ci:hunter2hunter2@");
    let unreached = far(&with_password);
    assert_eq!(unreached.code, Some(69), "{unreached:#?}");
    let named = format!("through the proxy {address} (HTTP_PROXY)");
    says(
        &unreached,
        &[
            "something before Artifactory answered 503",
            "squid/5.7, ERR_CONNECT_FAIL 111",
            &named,
        ],
    );
    assert!(!unreached.stderr.contains("hunter2"), "{unreached:#?}");
    let asked = proxy.requests();
    assert_eq!(asked.len(), 4);
    // base64 of ci:hunter2hunter2
    let sent = "Basic Y2k6aHVudGVyMmh1bnRlcjI=";
    assert_eq!(asked[0].header("proxy-authorization"), Some(sent));
}

#[test]
fn a_deploy_that_a_proxy_did_not_pass_on_is_not_unknown() {
    for (status, error, is_open) in [
        (503, "ERR_CONNECT_FAIL 111", false),
        (407, "ERR_CACHE_ACCESS_DENIED 0", false),
        (502, "ERR_READ_ERROR 0", true),
    ] {
        let rig = Rig::new();
        rig.publish("video", "1.0");
        rig.deploy
            .fault("/v1.0/deploy", squid(status, error), Some(1));
        let ran = rig.run(&[]);
        assert_eq!(ran.code, Some(if is_open { 4 } else { 69 }), "{ran:#?}");
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            shown.contains("something before coreos-deploy answered"),
            "{ran:#?}"
        );
        assert!(shown.contains(error) && !shown.contains(TOKEN), "{ran:#?}");
        if !is_open {
            rig.json(&[], 0);
            assert_eq!(rig.deploy.runs().len(), 1);
        }
    }
}
