//! What one pass sends, and that a second one sends nothing.

use serde_json::json;
use simulator::{Payload, Request};

use crate::support::{Rig, TOKEN, app};

fn post(requests: &[Request]) -> &Request {
    let found = requests.iter().find(|request| request.method == "POST");
    found.expect("a POST was sent")
}

#[test]
fn one_pass_deploys_and_the_next_one_is_silent() {
    let rig = Rig::new();
    rig.publish("video-mobile", "1.0.1-22");
    let first = rig.run(&[]);
    assert_eq!(first.code, Some(0), "{first:#?}");
    assert!(first.stdout.contains("video-mobile"), "{first:#?}");
    assert_eq!(rig.posted(), ["1.0.1-22"]);
    assert_eq!(rig.downloads(), 1);
    assert_eq!(rig.states(), ["video-mobile 1.0.1-22 succeeded"]);
    assert_eq!(rig.deploy.units().len(), 2);

    rig.forget();
    let second = rig.run(&["run"]);
    assert_eq!(second.code, Some(0), "{second:#?}");
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("", ""));
    assert_eq!(rig.downloads(), 0);
    assert!(rig.deploy.requests().is_empty());
    let verbose = rig.run(&["run", "-v"]);
    assert!(!verbose.stdout.is_empty(), "{verbose:#?}");
}

#[test]
fn the_post_is_that_of_the_original_client() {
    let rig = Rig::new();
    let template = concat!(
        "[Unit]\nDescription=<{{.Name}}> & \"{{.Version}}\" 'x' ",
        "{{.ImageVersion}} {{.NumInstances}} é tab\tend\n[Service]\nExecStart=/x\n"
    );
    let payload = Payload::sample("wire", "1.0.0")
        .name("svc-wire")
        .template(template)
        .etcd2("/k3   lead <&>\n\n/k1 second\n/k2 value  with   spaces\n");
    rig.artifactory.publish("wire", "1.0.0", payload.build());
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");

    let requests = rig.deploy.requests();
    let post = post(&requests);
    assert_eq!(post.path, "/v1.0/deploy");
    assert_eq!(post.header("content-type"), Some("application/json"));
    assert_eq!(post.header("accept"), Some("application/json"));
    let authorization = format!("Bearer {TOKEN}");
    assert_eq!(post.header("authorization"), Some(authorization.as_str()));
    let length = post.body.len().to_string();
    assert_eq!(post.header("content-length"), Some(length.as_str()));
    assert_eq!(
        rig.deploy.posts(),
        [json!({
            "serviceName": "svc-wire",
            "version": "1.0.0",
            "numInstances": 2,
            "serviceTemplate":
                "[Unit]\nDescription=<svc-wire> & \"1.0.0\" 'x' 1.0.0 2 é tab\tend\n[Service]\nExecStart=/x\n",
            "etcd2Keys": {"/k1": "second", "/k2": "value  with   spaces", "/k3": "lead <&>"},
        })]
    );
    let body = String::from_utf8(post.body.clone()).unwrap();
    let keys = [
        "{\"serviceName\":",
        ",\"version\":",
        ",\"numInstances\":",
        ",\"serviceTemplate\":",
        ",\"etcd2Keys\":{\"/k1\":",
        ",\"/k2\":",
        ",\"/k3\":",
    ];
    let places: Vec<_> = keys.iter().map(|key| body.find(key)).collect();
    assert!(places.iter().all(Option::is_some), "{body}");
    assert!(places.is_sorted(), "{body}");
}

#[test]
fn the_newest_of_several_is_deployed() {
    let rig = Rig::new();
    for version in ["1.0.1-22", "1.0.1-100", "1.0.1-9"] {
        rig.publish("builds", version);
    }
    for version in ["1.0.1", "1.0.1-rc1"] {
        rig.publish("release", version);
    }
    let ran = rig.run(&["run"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let states = ["builds 1.0.1-100 succeeded", "release 1.0.1 succeeded"];
    assert_eq!(rig.states(), states);
    assert_eq!(rig.posted().len(), 2);
    assert_eq!(rig.downloads(), 2);
}

#[test]
fn versions_are_taken_in_their_documented_order() {
    let rig = Rig::new();
    let pairs = [
        ("1.0.1-9", "1.0.1-22"),
        ("1.0.1-rc1", "1.0.1"),
        ("1.0.1", "1.0.1-22"),
        ("1.0.1-22", "1.0.2"),
        ("1.0-22", "1.0.1"),
        ("1.0.9", "1.0.10"),
        ("v1.2", "v1.10"),
        ("1.0.2", "1.0.2a"),
        ("1.0.0-SNAPSHOT", "1.0.0-alpha"),
        ("1.0.0-b2", "1.0.0-rc"),
        ("1.0.0-pre", "1.0.0-cr1"),
        ("1.0.0", "1.0.0+1"),
        // Equal under the order: the greater by bytes.
        ("1.0", "1.0.0"),
    ];
    for (index, (older, newer)) in pairs.iter().enumerate() {
        let (first, second) = if index % 2 == 0 {
            (older, newer)
        } else {
            (newer, older)
        };
        rig.artifactory.put_marker(&format!("app{index}"), first);
        rig.artifactory.put_marker(&format!("app{index}"), second);
    }
    let report = rig.json(&["scan"], 0);
    for (index, (older, newer)) in pairs.iter().enumerate() {
        let newest = &app(&report, &format!("app{index}"))["newest"];
        assert_eq!(newest, newer, "{older} < {newer}");
    }
}

#[test]
fn a_version_equal_to_the_deployed_one_is_no_upgrade_and_an_older_one_no_downgrade() {
    let rig = Rig::new();
    rig.publish("video", "1.0");
    assert_eq!(rig.run(&["run"]).code, Some(0));
    rig.publish("video", "1.0.0");
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "up-to-date");

    rig.artifactory.remove("deploys", "video/1.0.deploy");
    rig.artifactory.remove("deploys", "video/1.0.0.deploy");
    rig.publish("video", "0.9");
    let report = rig.json(&["run"], 0);
    assert_eq!(app(&report, "video")["action"], "ahead");
    assert_eq!(rig.posted(), ["1.0"]);
}
