//! Which pool gives, and what becomes of addresses when pools change.

use ovn_vip::kube::Kind;
use serde_json::{Value, json};

use crate::room::{Room, annotated, pool, service, with};

fn for_only(object: Value, allocation: Value) -> Value {
    with(object, "spec.serviceAllocation", allocation)
}

fn namespace(name: &str, labels: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

#[test]
fn entries_are_used_in_the_order_written_and_old_firmware_is_spared() {
    let firm = with(pool("a", &["10.0.0.254/31", "10.0.0.200/31"]), "spec.avoidBuggyIPs", json!(true));
    let room = Room::with(&[firm, service("a"), service("b"), service("c"), service("d")]);
    assert_eq!(
        ["a", "b", "c", "d"].map(|name| room.has(name).concat()),
        ["10.0.0.254", "10.0.0.200", "10.0.0.201", ""]
    );
}

#[test]
fn a_pool_without_auto_assign_gives_only_to_who_asks() {
    let shy = with(pool("a", &["10.0.0.200/30"]), "spec.autoAssign", json!(false));
    let mut room = Room::with(&[shy, service("web")]);
    assert!(room.why("web").contains("a has autoAssign: false"), "{}", room.why("web"));
    room.apply_and_settle(annotated(service("web"), "address-pool", "a"));
    assert_eq!(room.has("web"), ["10.0.0.200"]);
    room.apply_and_settle(annotated(service("dns"), "loadBalancerIPs", "10.0.0.203"));
    assert_eq!(room.has("dns"), ["10.0.0.203"]);
}

#[test]
fn pools_for_some_services_come_first_by_priority_and_then_by_name() {
    let room = Room::with(&[
        pool("all", &["10.0.0.200/32"]),
        for_only(pool("none", &["10.0.0.201/32"]), json!({ "namespaces": ["default"] })),
        for_only(pool("late", &["10.0.0.202/32"]), json!({ "priority": 20, "namespaces": ["default"] })),
        for_only(
            pool("soon", &["10.0.0.203/32"]),
            json!({ "priority": 10, "serviceSelectors": [{ "matchLabels": { "x": "y" } }] }),
        ),
        service("a"),
        with(service("b"), "metadata.labels", json!({ "x": "y" })),
        service("c"),
        service("d"),
    ]);
    let has = ["a", "b", "c", "d"].map(|name| room.has(name).concat());
    assert_eq!(has, ["10.0.0.202", "10.0.0.203", "10.0.0.201", "10.0.0.200"]);
}

#[test]
fn namespaces_are_named_or_selected_and_labels_come_and_go() {
    let mut room = Room::with(&[
        for_only(
            pool("a", &["10.0.0.200/30"]),
            json!({ "namespaces": ["named"], "namespaceSelectors": [{ "matchLabels": { "team": "red" } }] }),
        ),
        namespace("picked", json!({ "team": "red" })),
        namespace("other", json!({})),
        service("named/a"),
        service("picked/b"),
        service("other/c"),
    ]);
    assert_eq!(["named/a", "picked/b", "other/c"].map(|name| room.has(name).len()), [1, 1, 0]);
    room.apply(namespace("picked", json!({})));
    room.apply_and_settle(namespace("other", json!({ "team": "red" })));
    assert_eq!(["named/a", "picked/b", "other/c"].map(|name| room.has(name).len()), [1, 0, 1]);
}

#[test]
fn a_service_allocation_with_a_priority_alone_is_for_all() {
    let room = Room::with(&[
        pool("a", &["10.0.0.200/30"]),
        for_only(pool("z", &["10.0.0.210/31"]), json!({ "priority": 5 })),
        service("web"),
    ]);
    assert_eq!(room.has("web"), ["10.0.0.210"]);
}

#[test]
fn a_pool_that_is_for_others_is_refused_also_to_who_asks_for_it() {
    let theirs = for_only(pool("a", &["10.0.0.200/30"]), json!({ "namespaces": ["other"] }));
    let room = Room::with(&[
        theirs,
        annotated(service("pool"), "address-pool", "a"),
        annotated(service("number"), "loadBalancerIPs", "10.0.0.201"),
        annotated(service("nowhere"), "address-pool", "b"),
    ]);
    assert!(room.why("pool").contains("spec.serviceAllocation of IPAddressPool a"), "{}", room.why("pool"));
    assert_eq!(room.why("pool"), room.why("number"));
    assert!(room.why("nowhere").contains("there is no IPAddressPool b"));
}

#[test]
fn an_address_of_another_pool_than_the_one_asked_for_is_refused() {
    let asks = annotated(annotated(service("web"), "address-pool", "b"), "loadBalancerIPs", "10.0.0.201");
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), pool("b", &["10.0.0.208/30"]), asks]);
    assert!(
        room.why("web").contains("its addresses are of IPAddressPool a, and it asks for IPAddressPool b")
    );
}

#[test]
fn a_pool_that_shrinks_or_goes_takes_its_addresses_back() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/31"]), service("a"), service("b")]);
    room.apply_and_settle(pool("a", &["10.0.0.201-10.0.0.203"]));
    assert_eq!((room.has("a").concat(), room.has("b").concat()), ("10.0.0.202".into(), "10.0.0.201".into()));
    room.apply(pool("new", &["10.0.0.210/31"]));
    room.delete(Kind::AddressPool, "metallb-system", "a");
    room.settle();
    assert_eq!((room.has("a").concat(), room.has("b").concat()), ("10.0.0.210".into(), "10.0.0.211".into()));
    room.delete(Kind::AddressPool, "metallb-system", "new");
    room.settle();
    assert_eq!((room.has("a").len(), room.annotation("a")), (0, None));
    assert!(room.why("a").contains("there is no IPAddressPool"));
}

#[test]
fn a_pool_that_is_renamed_under_its_addresses_keeps_them() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/31"]), service("web")]);
    room.delete(Kind::AddressPool, "metallb-system", "a");
    room.apply_and_settle(pool("b", &["10.0.0.200/31"]));
    assert_eq!((room.has("web"), room.annotation("web")), (vec!["10.0.0.200".into()], Some("b".into())));
}

#[test]
fn counts_are_metallbs() {
    let both = with(
        pool("a", &["10.0.0.248-10.0.0.254", "fd00::c8/125", "10.9.0.0/23", "fd01::/64"]),
        "spec.avoidBuggyIPs",
        json!(true),
    );
    let mut room = Room::with(&[both, service("a"), service("b")]);
    let counts = room.allocator.counts("a").unwrap();
    assert_eq!((counts.assigned_v4, counts.available_v4), (2, 7 + 512 - 4 - 2));
    assert_eq!((counts.assigned_v6, counts.available_v6), (0, i64::MAX as u64));
    room.delete(Kind::Service, "default", "a");
    room.settle();
    assert_eq!(room.allocator.counts("a").unwrap().assigned_v4, 1);
    assert_eq!(room.allocator.counts("b"), None);
}
