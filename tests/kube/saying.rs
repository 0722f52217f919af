//! What the controller says on the objects: a condition, annotations, Events, each once.

use std::process::Command;

use ovn_vip::io::kube::status::say;
use ovn_vip::kube::saying::Saying;
use serde_json::{Value, json};

use crate::process::{eventually, holds, try_run};
use crate::stage::{DNS, DNS_ROW, NAMESPACE, NGINX, NGINX_ROW, NGINX_V4, Stage, page, warnings};

const SUBNET: &str = "/apis/kubeovn.io/v1/subnets/underlay-subnet";
const EVENTS: &str = "/apis/events.k8s.io/v1/events";
const SERVED: &str = "ovn-vip.io/Served";

/// The condition of that type on a Service.
fn condition(stage: &Stage, service: &str, kind: &str) -> Option<Value> {
    let found = stage.server.cluster.get(service).unwrap();
    let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind)
}

/// Waits until our condition has that status and reason.
fn becomes(stage: &Stage, service: &str, status: &str, reason: &str) -> Value {
    eventually(&format!("{service} is {status}, {reason}"), || {
        let found = condition(stage, service, SERVED).unwrap_or_default();
        holds(found["status"] == status && found["reason"] == reason, &found).map(|()| found)
    })
}

/// Waits until one of the Subnet's annotations is right; the annotation.
fn annotation(stage: &Stage, name: &str, right: impl Fn(&str) -> bool) -> String {
    eventually(&format!("the Subnet's {name}"), || {
        let subnet = stage.server.cluster.get(SUBNET)?;
        let text = subnet["metadata"]["annotations"][name].as_str().unwrap_or_default().to_owned();
        if right(&text) { Ok(text) } else { Err(text) }
    })
}

/// The Events on an object, by their reasons.
fn events(stage: &Stage, kind: &str, name: &str) -> Vec<String> {
    let events = stage.server.cluster.items(EVENTS).into_iter();
    let on_it =
        events.filter(|event| event["regarding"]["kind"] == kind && event["regarding"]["name"] == name);
    on_it.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_served_is_said_once_over_all_starts() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    let said = becomes(&stage, NGINX, "True", "Served");
    becomes(&stage, DNS, "True", "Served");
    annotation(&stage, "ovn-vip.io/vips", |text| {
        text.contains("fd00:180:204::252 default/dns default/nginx")
    });
    assert!(controller.terminate().success());
    assert_eq!(warnings(&controller, "may not"), 0);

    let mut again = stage.controller("again");
    again.says("leading");
    stage.server.cluster.delete(DNS);
    stage.no_row(DNS_ROW);
    // Everything was compared anew when this was found to differ.
    annotation(&stage, "ovn-vip.io/vips", |text| !text.contains("default/dns"));
    assert_eq!(condition(&stage, NGINX, SERVED), Some(said));
    assert_eq!(events(&stage, "Service", "nginx"), ["Served"]);
}

#[test]
fn a_vip_that_is_declined_is_said_on_the_service_and_on_the_subnet() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    becomes(&stage, NGINX, "True", "Served");
    stage.assign(NGINX, &["10.180.204.200"]);
    let declined = becomes(&stage, NGINX, "False", "NotExcluded");
    assert!(declined["message"].as_str().unwrap().contains("excludeIps"), "{declined}");
    let (well, said) = status(&stage);
    assert!(!well && said.contains("default/nginx: NotExcluded: ") && said.contains("excludeIps"), "{said}");
    annotation(&stage, "ovn-vip.io/warnings", |text| text.contains("default/nginx NotExcluded"));
    assert_eq!(events(&stage, "Subnet", "underlay-subnet"), ["VipsDeclined"]);
    assert!(events(&stage, "Service", "nginx").contains(&"NotExcluded".to_owned()));

    stage.assign(NGINX, &["10.180.204.251"]);
    becomes(&stage, NGINX, "True", "Served");
    annotation(&stage, "ovn-vip.io/warnings", str::is_empty);
}

#[test]
fn what_others_say_of_the_service_stays() {
    let stage = Stage::with_example();
    let theirs = json!({"type": "example.com/Theirs", "status": "True", "reason": "R", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    stage.server.cluster.patch(&format!("{NGINX}/status"), &json!({"status": {"conditions": [theirs]}}));
    let _controller = stage.serving();
    becomes(&stage, NGINX, "True", "Served");
    assert_eq!(condition(&stage, NGINX, "example.com/Theirs"), Some(theirs));
    let nginx = stage.server.cluster.get(NGINX).unwrap();
    assert_eq!(nginx["status"]["loadBalancer"]["ingress"].as_array().unwrap().len(), 2);

    stage.set_endpoints(NGINX_V4, &["10.180.204.111"]);
    stage.assign(NGINX, &[]);
    stage.no_row(NGINX_ROW);
    eventually("our condition goes with the VIP", || {
        let left = condition(&stage, NGINX, SERVED);
        holds(left.is_none(), left)
    });
    assert!(condition(&stage, NGINX, "example.com/Theirs").is_some());
}

/// What `ovn-vip status` says of the cluster, and whether all is well.
fn status(stage: &Stage) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    command.args(["status", "--kubeconfig"]);
    command.arg(stage.server.service_account(NAMESPACE, "ovn-vip-controller"));
    try_run(&mut command)
}

#[test]
fn what_no_speaker_holds_is_not_served_and_the_last_state_is_told() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    let mut served = |count: u8| {
        eventually("the metric tells it", || {
            let page = page(&mut controller, "/metrics");
            holds(page.contains(&format!("\novn_vip_vips_served {count}\n")), page)
        });
    };
    becomes(&stage, NGINX, "True", "Served");
    stage.report("node1", std::iter::empty());
    let dark = becomes(&stage, NGINX, "False", "NotAnnounced");
    assert!(dark["message"].as_str().unwrap().starts_with("no node announces 10.180.204.252"), "{dark}");
    served(0);
    let (well, said) = status(&stage);
    assert!(!well && said.contains("announced by nobody") && said.contains("NotAnnounced"), "{said}");
    stage.report("node2", ["10.180.204.252".into(), "fd00:180:204::252".into()].into_iter());
    becomes(&stage, NGINX, "True", "Served");
    served(2);
    let (well, said) = status(&stage);
    assert!(well && said.contains("10.180.204.252") && said.contains("node2"), "{said}");
    for node in ["node1", "node2"] {
        stage
            .server
            .cluster
            .delete(&format!("/apis/coordination.k8s.io/v1/namespaces/ovn-vip/leases/speaker.{node}"));
    }
    becomes(&stage, NGINX, "Unknown", "NoSpeaker");
    eventually("each state has its Event", || {
        let told = events(&stage, "Service", "nginx");
        holds(["NotAnnounced", "NoSpeaker"].iter().all(|reason| told.iter().any(|it| it == reason)), told)
    });
}

/// A time in the past of every clock, and one in the future.
const TIMES: [&str; 2] = ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"];

#[test]
fn one_that_renews_its_report_no_more_is_not_heard_whatever_its_clock_says() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    becomes(&stage, NGINX, "True", "Served");
    let held = ["10.180.204.252", "fd00:180:204::252"];
    for renewed in TIMES {
        stage.report_for("node1", &held, renewed, 2);
        let unheard = becomes(&stage, NGINX, "Unknown", "NotHeard");
        let words = format!("no speaker of node1 has been heard since {renewed}");
        assert!(unheard["message"].as_str().unwrap().contains(&words), "{unheard}");
        eventually("the metrics tell it", || {
            let page = page(&mut controller, "/metrics");
            let told = page.contains("\novn_vip_vips_served 0\n")
                && page.contains("\novn_vip_speakers{heard=\"false\"} 1\n");
            holds(told, page)
        });
        // Renewed, with the same words.
        stage.report_for("node1", &held, &renewed.replace("01-01", "01-02"), 600);
        becomes(&stage, NGINX, "True", "Served");
    }
    let told = events(&stage, "Service", "nginx");
    assert_eq!(told.iter().filter(|reason| *reason == "NotHeard").count(), 1, "{told:?}");
}

#[test]
fn another_controller_does_not_unsay_it_before_it_has_listened() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    becomes(&stage, NGINX, "True", "Served");
    let held = ["10.180.204.252", "fd00:180:204::252"];
    stage.report_for("node1", &held, TIMES[0], 6);
    let unheard = becomes(&stage, NGINX, "Unknown", "NotHeard");
    let (well, said) = status(&stage);
    assert!(!well && said.contains("its speaker is not heard") && said.contains("NotHeard"), "{said}");
    assert!(controller.terminate().success());
    // It has something to say of this one, so it has said what it had to say of the other.
    stage.assign(DNS, &[]);
    let mut again = stage.controller("again");
    stage.no_row(DNS_ROW);
    eventually("it has looked", || {
        let dns = condition(&stage, DNS, SERVED);
        holds(dns.is_none(), dns)
    });
    assert_eq!(condition(&stage, NGINX, SERVED), Some(unheard));
    stage.report_for("node1", &held, TIMES[1], 600);
    becomes(&stage, NGINX, "True", "Served");
    again.terminate();
}

#[test]
fn a_service_that_is_no_load_balancer_any_more_loses_our_condition() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    let left = |service: &str| {
        eventually("our condition is gone", || {
            let left = condition(&stage, service, SERVED);
            holds(left.is_none(), left)
        });
    };
    for service in [NGINX, DNS] {
        becomes(&stage, service, "True", "Served");
    }
    let plain = json!({"spec": {"type": "ClusterIP"}});
    stage.server.cluster.patch(NGINX, &plain);
    left(NGINX);
    // The same, while no controller looks.
    controller.terminate();
    stage.server.cluster.patch(DNS, &plain);
    assert!(condition(&stage, DNS, SERVED).is_some());
    let _again = stage.controller("again");
    left(DNS);
}

#[test]
fn a_service_that_another_class_takes_loses_our_condition() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    let left = |service: &str| {
        eventually("our condition is gone", || {
            let left = condition(&stage, service, SERVED);
            holds(left.is_none(), left)
        });
    };
    for service in [NGINX, DNS] {
        becomes(&stage, service, "True", "Served");
    }
    // A class can be given only together with the type.
    stage.server.cluster.patch(DNS, &json!({"spec": {"type": "ClusterIP"}}));
    stage
        .server
        .cluster
        .patch(DNS, &json!({"spec": {"type": "LoadBalancer", "loadBalancerClass": "example.org/other"}}));
    stage.assign(DNS, &["10.180.204.250"]);
    left(DNS);
    // The controller is told of another class, which some Service has.
    controller.terminate();
    let _other = stage
        .start("other", stage.controller_command("other").args(["--load-balancer-class=example.org/other"]));
    left(NGINX);
    becomes(&stage, DNS, "True", "Served");
}

#[test]
fn a_service_that_is_made_anew_has_events_of_its_own() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    becomes(&stage, DNS, "True", "Served");
    eventually("an Event", || {
        holds(events(&stage, "Service", "dns").len() == 1, events(&stage, "Service", "dns"))
    });
    stage.server.cluster.delete(DNS);
    stage.no_row(DNS_ROW);
    stage.apply_example();
    becomes(&stage, DNS, "True", "Served");
    eventually("another", || {
        holds(events(&stage, "Service", "dns").len() == 2, events(&stage, "Service", "dns"))
    });
}

#[test]
fn the_mac_of_a_switchs_router_port_is_published_for_the_speakers() {
    let stage = Stage::with_example();
    stage.northbound.nb("lr-add vpc -- lrp-add vpc vpc-underlay 0a:00:00:00:00:07 10.180.204.1/24 \
         -- lsp-add underlay-subnet underlay-vpc -- lsp-set-type underlay-vpc router \
         -- lsp-set-addresses underlay-vpc router -- lsp-set-options underlay-vpc router-port=vpc-underlay");
    stage.server.cluster.patch(SUBNET, &json!({"spec": {"logicalGateway": true}}));
    let _controller = stage.controller("controller");
    annotation(&stage, "ovn-vip.io/steering-mac", |text| text == "0a:00:00:00:00:07");
}

/// The Subnet's excludeIps.
fn exclude_ips(stage: &Stage) -> Vec<String> {
    let subnet = stage.server.cluster.get(SUBNET).unwrap();
    let list = subnet["spec"]["excludeIps"].as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_subnet_that_is_to_be_fixed_gets_what_is_missing_and_keeps_what_others_write() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    stage.assign(NGINX, &["10.180.204.200"]);
    becomes(&stage, NGINX, "False", "NotExcluded");
    let before = exclude_ips(&stage);
    let fix = json!({ "metadata": { "annotations": { "ovn-vip.io/exclude-ips": "fix" } } });
    stage.server.cluster.patch(SUBNET, &fix);
    becomes(&stage, NGINX, "True", "Served");
    let fixed = exclude_ips(&stage);
    assert!(fixed.contains(&"10.180.204.200".to_owned()), "{fixed:?}");
    assert!(before.iter().all(|entry| fixed.contains(entry)), "{before:?} {fixed:?}");

    let others: Vec<String> = (30..40).map(|last| format!("10.180.204.{last}")).collect();
    for (number, other) in others.iter().enumerate() {
        let list: Vec<String> = exclude_ips(&stage).into_iter().chain([other.clone()]).collect();
        stage.server.cluster.patch(SUBNET, &json!({ "spec": { "excludeIps": list } }));
        stage.assign(NGINX, &[&format!("10.180.204.{}", 201 + 2 * number)]);
    }
    eventually("nothing of theirs or ours is lost", || {
        let list = exclude_ips(&stage);
        let covered = |last: u8| list.iter().any(|entry| covers(entry, last));
        holds((30..40).all(covered) && covered(219), list.clone())
    });
    becomes(&stage, NGINX, "True", "Served");
}

#[test]
fn a_list_that_somebody_writes_after_it_was_read_is_left_alone_also_where_there_was_none() {
    let stage = Stage::with_example();
    let before = exclude_ips(&stage);
    let fix = |found: Option<&[&str]>| Saying::ExcludeIps {
        subnet: "underlay-subnet".into(),
        found: found.map(|found| found.iter().map(ToString::to_string).collect()),
        wanted: vec!["10.180.204.9".into()],
    };
    let cluster = &stage.server.cluster;
    let say = |saying: &Saying| cluster.block_on(say(&cluster.client, saying)).unwrap();
    say(&fix(None));
    assert_eq!(exclude_ips(&stage), before, "it was read before the list was there");
    say(&fix(Some(&["10.180.204.1"])));
    assert_eq!(exclude_ips(&stage), before, "it was another list");
    cluster.patch(SUBNET, &json!({ "spec": { "excludeIps": null } }));
    say(&fix(None));
    assert_eq!(exclude_ips(&stage), ["10.180.204.9"]);
}

#[test]
fn a_bad_value_of_an_annotation_is_an_event_on_the_subnet_and_costs_nothing_else() {
    let stage = Stage::with_example();
    let _controller = stage.serving();
    becomes(&stage, NGINX, "True", "Served");
    let announce = |value: &str| json!({ "metadata": { "annotations": { "ovn-vip.io/announce": value } } });
    stage.server.cluster.patch(SUBNET, &announce("maybe"));
    let warning = annotation(&stage, "ovn-vip.io/warnings", |text| !text.is_empty());
    assert!(
        warning.contains("ovn-vip.io/announce") && warning.contains(r#"write "true" or "false""#),
        "{warning}"
    );
    eventually("the Subnet has an Event", || {
        let events = events(&stage, "Subnet", "underlay-subnet");
        holds(events == ["InvalidValue"], events)
    });
    becomes(&stage, NGINX, "True", "Served");
    stage.server.cluster.patch(SUBNET, &announce("true"));
    annotation(&stage, "ovn-vip.io/warnings", str::is_empty);
}

/// Whether an entry, `a` or `a..b`, holds 10.180.204.`last`.
fn covers(entry: &str, last: u8) -> bool {
    let last_of =
        |address: &str| address.strip_prefix("10.180.204.").and_then(|last| last.parse::<u8>().ok());
    let (first, end) = entry.split_once("..").unwrap_or((entry, entry));
    last_of(first).zip(last_of(end)).is_some_and(|(first, end)| (first..=end).contains(&last))
}
