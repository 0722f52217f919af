//! `explain` as an operator runs it.

use std::path::Path;

use serde_json::Value;

use super::{run, run_in};

/// One step of a VIP's way, by `explain`.
fn step<'j>(json: &'j Value, vip: usize, name: &str) -> &'j Value {
    let steps = json["explained"][vip]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step {name}: {json:#}"))
}

fn explained(story: &str, arguments: &[&str]) -> (i32, Value) {
    let (code, out, errors) = run(story, &[&["explain", "-o", "json"], arguments].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{story}: {out}{errors}")))
}

#[test]
fn a_subnet_that_cannot_be_read_is_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let story = golden.join("130-tagged-vlan");
    std::fs::copy(story.join("world.yaml"), folder.path().join("world.yaml")).unwrap();
    let topology = std::fs::read_to_string(story.join("topology.yaml")).unwrap();
    let broken: String =
        topology
            .lines()
            .map(|line| {
                if line.contains("cidrBlock:") {
                    "  cidrBlock: rubbish\n".into()
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
    std::fs::write(folder.path().join("topology.yaml"), broken).unwrap();
    let (code, out, _) = run_in(folder.path(), &["explain", "-o", "json", "default/nginx"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    let found = step(&json, 0, "Subnet");
    assert_eq!((code, &found["mark"]), (1, &"wrong".into()), "{found:#}");
    let is = found["wrongs"][0]["is"].as_str().unwrap();
    assert!(is.starts_with("Subnet underlay-subnet cannot be read"), "{is}");
}

#[test]
fn explain_goes_step_by_step_to_the_first_that_is_wrong_and_says_what_to_do() {
    let (code, out, _) = run("230-pool-not-excluded", &["explain", "out"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines[0]), (1, "Service default/out, VIP 10.180.204.253"), "{out}");
    assert!(lines[1..5].iter().all(|line| line.starts_with('✓')), "{out}");
    let cure = "              cure: add 10.180.204.253 to spec.excludeIps of Subnet underlay-subnet";
    assert_eq!(
        lines[5..],
        ["✗ excludeIps  Kube-OVN may hand VIP 10.180.204.253 to a pod", cure, "= not served"]
    );
}

#[test]
fn explain_says_whom_a_vip_lets_in_and_what_of_the_ranges_cannot_be_read() {
    let (code, json) = explained("310-source-ranges", &["default/web"]);
    assert_eq!(code, 0);
    let clients = |vip| step(&json, vip, "clients")["says"][0].as_str().unwrap();
    assert_eq!(clients(0), "open to 10.180.204.112/32, 192.0.2.0/24 only, by loadBalancerSourceRanges");
    assert_eq!(clients(1), "open to fd00:2::/64, fd00:180:204::112/128 only, by loadBalancerSourceRanges");
    let (code, json) = explained("311-source-ranges-of-one-family", &["default/web"]);
    let marks = [0, 1].map(|vip| step(&json, vip, "clients")["mark"].as_str().unwrap().to_owned());
    assert_eq!(code, 1);
    assert!(marks.contains(&"wrong".to_owned()) && marks.contains(&"right".to_owned()), "{json:#}");
}

#[test]
fn explain_takes_a_vip_and_says_so_where_there_is_no_such_thing() {
    let (code, json) = explained("060-shared-vip", &["10.180.204.252"]);
    assert_eq!((code, json["explained"].as_array().unwrap().len()), (0, 2), "{json:#}");
    for (what, words) in [
        ("10.9.9.9", "no Service of type LoadBalancer has 10.9.9.9"),
        (
            "default/nope",
            "there is no Service default/nope of type LoadBalancer: is it of type LoadBalancer, and in",
        ),
        ("10.180.204.999", "10.180.204.999 is no address"),
        ("kube-system/nginx", "did you mean default/nginx?"),
    ] {
        let (code, _, errors) = run("010-seed-example", &["explain", what]);
        assert!(code == 1 && errors.contains(words), "{what}: {errors}");
    }
}

#[test]
fn explain_says_served_only_of_what_was_seen() {
    for (story, service, step, reason) in [
        ("313-ip-mode-proxy", "default/other", "address", Some("Proxied")),
        ("260-no-vlan", "default/nginx", "Vlan", None),
        ("261-no-provider", "default/nginx", "Vlan", None),
        ("262-no-steering-mac", "default/nginx", "Subnet", Some("NoSteeringMac")),
    ] {
        let (code, json) = explained(story, &[service]);
        let found = &json["explained"][0];
        let wrong = found["steps"].as_array().unwrap().iter().find(|step| step["mark"] == "wrong").unwrap();
        assert_eq!((code, &wrong["step"]), (1, &step.into()), "{story}: {json:#}");
        assert!(reason.is_none_or(|reason| wrong["reasons"][0] == reason), "{story}: {json:#}");
    }
    let (code, json) = explained("274-announce-false", &["default/nginx"]);
    assert_eq!((code, &json["explained"][0]["verdict"]), (0, &"unknown".into()));
    let (code, json) = explained("270-metallb-announces", &["default/nginx"]);
    assert_eq!((code, &json["explained"][0]["verdict"]), (0, &"left-to-others".into()));
    let (code, json) =
        explained("010-seed-example", &["default/nginx", "--ovn-nb", "tcp:127.0.0.1:1", "--timeout", "1"]);
    assert_eq!((code, &step(&json, 0, "northbound")["mark"]), (1, &"wrong".into()), "{json:#}");
}

#[test]
fn what_check_calls_an_error_of_a_service_explain_names_in_every_story() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let stories =
        std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut named = 0;
    for story in stories.filter(|story| story != "base") {
        let (_, out, _) = run(&story, &["check", "-o", "json"]);
        let Ok(found) = serde_json::from_str::<Value>(&out) else { continue };
        for finding in found["findings"].as_array().unwrap() {
            let service = finding["object"].as_str().unwrap().strip_prefix("Service ");
            let (Some(service), true) = (service, finding["severity"] == "error") else { continue };
            if finding["reason"] == "CannotBeRead" {
                continue;
            }
            let (code, json) = explained(&story, &[service]);
            let reasons: Vec<&Value> = json["explained"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|found| found["steps"].as_array().unwrap())
                .flat_map(|step| step["reasons"].as_array().unwrap())
                .collect();
            assert!(reasons.contains(&&finding["reason"]), "{story}: {service}: {finding}: {json:#}");
            named += 1;
            let dark =
                json["explained"].as_array().unwrap().iter().any(|found| found["verdict"] == "not-served");
            assert_eq!(code == 1, dark, "{story}");
        }
    }
    assert!(named > 15, "only {named} findings were compared");
}
