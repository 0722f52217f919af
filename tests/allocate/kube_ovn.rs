//! What only an allocator beside Kube-OVN has to know: who has addresses, or could be given them.

use std::time::Duration;

use ovn_vip::kube::Kind;
use serde_json::{Value, json};

use crate::room::{Room, annotated, pool, service, subnet, with};

fn ip(name: &str, address: &str) -> Value {
    json!({ "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": { "name": name },
        "spec": { "subnet": "underlay", "podName": name, "namespace": "default", "v4IpAddress": address } })
}

fn vip(name: &str, address: &str) -> Value {
    json!({ "apiVersion": "kubeovn.io/v1", "kind": "Vip", "metadata": { "name": name },
        "spec": { "subnet": "underlay" }, "status": { "v4ip": address } })
}

fn node(name: &str, address: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
        "status": { "addresses": [{ "type": "InternalIP", "address": address }] } })
}

#[test]
fn what_kube_ovn_could_hand_to_a_pod_is_never_given() {
    let mut room =
        Room::with(&[pool("a", &["10.0.0.198-10.0.0.201"]), service("a"), service("b"), service("c")]);
    assert_eq!(["a", "b", "c"].map(|name| room.has(name).concat()), ["10.0.0.200", "10.0.0.201", ""]);
    let why = room.why("c");
    assert!(why.contains("10.0.0.198..10.0.0.199 passed over: Kube-OVN could hand it to a pod"), "{why}");
    assert!(why.contains("Subnet underlay"), "{why}");
    room.apply_and_settle(subnet("underlay", &["10.0.0.198..10.0.0.254", "10.0.0.1"]));
    assert_eq!(room.has("c"), ["10.0.0.198"]);
}

#[test]
fn the_gateway_nodes_network_and_broadcast_are_never_given() {
    let room = Room::with(&[
        subnet("underlay", &["10.0.0.0..10.0.0.3", "10.0.0.254..10.0.0.255"]),
        node("node1", "10.0.0.2"),
        pool("a", &["10.0.0.0/30", "10.0.0.254/31"]),
        service("a"),
        service("b"),
        service("c"),
    ]);
    assert_eq!(["a", "b", "c"].map(|name| room.has(name).concat()), ["10.0.0.3", "10.0.0.254", ""]);
    for words in ["gateway", "a Node has it", "network or broadcast"] {
        assert!(room.why("c").contains(words), "{words}: {}", room.why("c"));
    }
    let asks =
        Room::with(&[pool("a", &["10.0.0.0/24"]), annotated(service("web"), "loadBalancerIPs", "10.0.0.1")]);
    assert!(asks.why("web").contains("10.0.0.1 can be nobody's"), "{}", asks.why("web"));
}

#[test]
fn what_is_in_kube_ovns_books_is_passed_over_until_it_is_free() {
    let mut room = Room::with(&[
        ip("pod", "10.0.0.200"),
        vip("kept", "10.0.0.201"),
        pool("a", &["10.0.0.200-10.0.0.202"]),
        service("a"),
        service("b"),
    ]);
    assert_eq!((room.has("a").concat(), room.has("b").concat()), ("10.0.0.202".into(), String::new()));
    let why = room.why("b");
    assert!(why.contains("Pod default/pod has it, by Kube-OVN's books"), "{why}");
    assert!(why.contains("Vip kept has it"), "{why}");
    room.delete(Kind::Allocation, "", "pod");
    room.settle();
    assert_eq!(room.has("b"), ["10.0.0.200"]);
    // A Service keeps what a pod was given later: to move it is for people.
    room.apply_and_settle(ip("late", "10.0.0.200"));
    assert_eq!(room.has("b"), ["10.0.0.200"]);
}

#[test]
fn an_address_outside_of_every_subnet_is_given() {
    let room = Room::with(&[pool("a", &["192.0.2.0/30"]), service("web")]);
    assert_eq!(room.has("web"), ["192.0.2.0"]);
}

#[test]
fn a_subnet_that_takes_no_vips_hands_its_addresses_to_pods() {
    let closed = with(subnet("closed", &["10.0.0.1"]), "spec.cidrBlock", json!("10.1.0.0/24"));
    let closed = with(closed, "spec.enableExternalLBAddress", json!(false));
    let room = Room::with(&[closed, pool("a", &["10.1.0.0/28"]), service("web")]);
    assert!(room.has("web").is_empty() && room.why("web").contains("Subnet closed"), "{}", room.why("web"));
}

fn report(node: &str, vips: Value, strangers: Value) -> Value {
    let segment = json!({ "mac": "02:00:00:00:00:01", "ready": true, "vips": vips, "strangers": strangers });
    let text = json!({ "subnets": { "underlay": segment } }).to_string();
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "namespace": "ovn-vip", "name": format!("speaker.{node}"),
            "labels": { "app.kubernetes.io/managed-by": "ovn-vip" }, "annotations": { "ovn-vip.io/speaker": text } },
        "spec": { "holderIdentity": node } })
}

#[test]
fn a_stranger_on_the_wire_costs_a_new_service_that_address_and_no_other_one() {
    let mut room = Room::with(&[node("node1", "10.0.0.9"), pool("a", &["10.0.0.200/31"]), service("web")]);
    let stranger = json!({ "10.0.0.200": "02:00:00:00:00:99" });
    room.apply_and_settle(report("node1", json!({}), stranger.clone()));
    assert_eq!(room.has("web"), ["10.0.0.201"]);
    assert!(room.steps.iter().any(|step| format!("{step:?}").contains("Stranger")));
    room.apply_and_settle(service("dns"));
    assert!(room.why("dns").contains("the host with MAC 02:00:00:00:00:99 has it"), "{}", room.why("dns"));
    // It is tried again after a while.
    room.apply(report("node1", json!({}), json!({})));
    room.now += Duration::from_secs(601);
    assert!(room.allocator.due().unwrap() <= room.now);
    room.settle();
    assert_eq!(room.has("dns"), ["10.0.0.200"]);
}

#[test]
fn a_stranger_on_an_address_that_was_served_or_asked_for_moves_nobody() {
    let stranger = json!({ "10.0.0.200": "02:00:00:00:00:99" });
    let base = || vec![node("node1", "10.0.0.9"), node("node2", "10.0.0.8"), pool("a", &["10.0.0.200/31"])];
    let mut served = Room::with(&[base(), vec![service("web")]].concat());
    served.apply(report("node2", json!({ "10.0.0.200": 3 }), json!({})));
    served.apply_and_settle(report("node1", json!({}), stranger.clone()));
    assert_eq!(served.has("web"), ["10.0.0.200"]);
    let asks = annotated(service("web"), "loadBalancerIPs", "10.0.0.200");
    let mut asked = Room::with(&[base(), vec![asks]].concat());
    asked.apply_and_settle(report("node1", json!({}), stranger));
    assert_eq!(asked.has("web"), ["10.0.0.200"]);
    assert!(asked.why("web").contains("02:00:00:00:00:99"), "{}", asked.why("web"));
    asked.apply_and_settle(report("node1", json!({}), json!({})));
    assert_eq!(asked.why("web"), "");
}
