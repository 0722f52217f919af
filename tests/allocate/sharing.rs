//! Services that share addresses.

use ovn_vip::kube::Kind;
use serde_json::{Value, json};

use crate::room::{Room, annotated, pool, service, with};

fn sharing(name: &str, key: &str, port: u16) -> Value {
    with(annotated(service(name), "allow-shared-ip", key), "spec.ports", json!([{ "port": port }]))
}

fn local(object: Value, app: &str) -> Value {
    let object = with(object, "spec.externalTrafficPolicy", json!("Local"));
    with(object, "spec.selector", json!({ "app": app }))
}

#[test]
fn the_same_key_and_other_ports_share_and_the_same_port_does_not() {
    let room = Room::with(&[
        pool("a", &["10.0.0.200/30"]),
        sharing("a", "k", 80),
        sharing("b", "k", 81),
        sharing("c", "k", 80),
        sharing("d", "other", 82),
        service("e"),
    ]);
    let has = ["a", "b", "c", "d", "e"].map(|name| room.has(name).concat());
    assert_eq!(has, ["10.0.0.200", "10.0.0.200", "10.0.0.201", "10.0.0.202", "10.0.0.203"]);
}

#[test]
fn another_protocol_is_another_port() {
    let udp = with(sharing("b", "k", 80), "spec.ports", json!([{ "port": 80, "protocol": "UDP" }]));
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "k", 80), udp]);
    assert_eq!(room.has("a"), room.has("b"));
}

#[test]
fn under_a_local_policy_only_the_same_backends_share() {
    let room = Room::with(&[
        pool("a", &["10.0.0.200/30"]),
        local(sharing("a", "k", 80), "one"),
        local(sharing("b", "k", 81), "one"),
        local(sharing("c", "k", 82), "two"),
        sharing("d", "k", 83),
    ]);
    let has = ["a", "b", "c", "d"].map(|name| room.has(name).concat());
    assert_eq!(has, ["10.0.0.200", "10.0.0.200", "10.0.0.201", "10.0.0.202"]);
}

#[test]
fn who_shares_and_changes_key_or_port_or_policy_moves_away() {
    let start = || Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "k", 80), sharing("b", "k", 81)]);
    for change in
        [sharing("b", "other", 81), service("b"), sharing("b", "k", 80), local(sharing("b", "k", 81), "b")]
    {
        let mut room = start();
        room.apply_and_settle(change.clone());
        assert_eq!(
            (room.has("a").concat(), room.has("b").concat()),
            ("10.0.0.200".into(), "10.0.0.201".into()),
            "{change}"
        );
    }
}

#[test]
fn who_is_alone_on_an_address_changes_its_key_in_place() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "k", 80)]);
    room.apply_and_settle(sharing("a", "new", 80));
    assert_eq!(room.has("a"), ["10.0.0.200"]);
    room.apply_and_settle(sharing("b", "new", 81));
    room.apply_and_settle(sharing("c", "k", 82));
    assert_eq!([room.has("b"), room.has("c")].concat(), ["10.0.0.200", "10.0.0.201"]);
}

#[test]
fn a_port_that_was_given_back_is_found_again() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "k", 80), sharing("b", "k", 81)]);
    room.apply_and_settle(sharing("c", "k", 80));
    assert_eq!(room.has("c"), ["10.0.0.201"]);
    room.delete(Kind::Service, "default", "a");
    room.apply_and_settle(sharing("d", "k", 80));
    assert_eq!(room.has("d"), ["10.0.0.200"]);
}

#[test]
fn another_namespaces_key_is_a_key_like_any_other_as_with_metallb() {
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "k", 80), sharing("far/b", "k", 81)]);
    assert_eq!(room.has("a"), room.has("far/b"));
}

#[test]
fn an_address_that_is_asked_for_and_cannot_be_shared_is_refused_with_why() {
    let asks = annotated(sharing("b", "k", 81), "loadBalancerIPs", "10.0.0.200");
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), sharing("a", "other", 80), asks]);
    assert!(room.has("b").is_empty());
    assert!(room.why("b").contains("10.0.0.200 is Service default/a's"), "{}", room.why("b"));
}
