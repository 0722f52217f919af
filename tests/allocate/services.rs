//! What a Service asks for, and what becomes of it when it asks for something else.

use ovn_vip::allocate::{Scope, Step};
use ovn_vip::kube::Kind;
use serde_json::json;

use crate::room::{Room, annotated, dual, pool, service, with};

const BOTH: [&str; 2] = ["10.0.0.200-10.0.0.209", "fd00::c8-fd00::d0"];

#[test]
fn the_first_address_of_the_pool_is_given_with_the_pools_name() {
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), service("web"), service("dns")]);
    assert_eq!((room.has("dns"), room.has("web")), (vec!["10.0.0.200".into()], vec!["10.0.0.201".into()]));
    assert_eq!(room.annotation("web").as_deref(), Some("a"));
}

#[test]
fn what_is_given_back_goes_to_who_waits() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/32"]), service("a"), service("b")]);
    assert!(room.has("b").is_empty() && room.why("b").contains("a (IPv4): 1 in use by Services"));
    room.delete(Kind::Service, "default", "a");
    room.settle();
    assert_eq!(room.has("b"), ["10.0.0.200"]);
    assert_eq!(room.why("b"), "");
}

#[test]
fn an_address_that_is_asked_for_in_any_of_the_ways_is_given() {
    let objects = [
        pool("a", &["10.0.0.200-10.0.0.220"]),
        with(service("field"), "spec.loadBalancerIP", json!("10.0.0.210")),
        annotated(service("new"), "loadBalancerIPs", "10.0.0.211"),
        with(service("old"), "metadata.annotations.metallb~universe~tf/loadBalancerIPs", json!("10.0.0.212")),
    ];
    let room = Room::with(&objects);
    assert_eq!(
        [room.has("field"), room.has("new"), room.has("old")].concat(),
        ["10.0.0.210", "10.0.0.211", "10.0.0.212"]
    );
}

#[test]
fn who_asks_for_another_address_or_pool_gets_it_in_place_of_the_one_it_has() {
    let mut room =
        Room::with(&[pool("a", &["10.0.0.200/30"]), pool("b", &["10.0.0.208/30"]), service("web")]);
    room.apply_and_settle(annotated(service("web"), "loadBalancerIPs", "10.0.0.203"));
    assert_eq!(room.has("web"), ["10.0.0.203"]);
    room.apply_and_settle(annotated(service("web"), "address-pool", "b"));
    assert_eq!((room.has("web"), room.annotation("web")), (vec!["10.0.0.208".into()], Some("b".into())));
    // It asks for nothing any more, and keeps what it has.
    room.apply_and_settle(service("web"));
    assert_eq!(room.has("web"), ["10.0.0.208"]);
}

#[test]
fn of_both_families_it_gets_both_or_none_or_what_there_is() {
    let room = Room::with(&[
        pool("both", &BOTH),
        dual("prefers", "PreferDualStack"),
        dual("requires", "RequireDualStack"),
    ]);
    assert_eq!(room.has("prefers"), ["10.0.0.200", "fd00::c8"]);
    assert_eq!(room.has("requires"), ["10.0.0.201", "fd00::c9"]);
    let mut room = Room::with(&[
        pool("v4", &["10.0.0.210/31"]),
        dual("prefers", "PreferDualStack"),
        dual("requires", "RequireDualStack"),
    ]);
    assert_eq!((room.has("prefers"), room.has("requires")), (vec!["10.0.0.210".to_owned()], vec![]));
    assert!(room.why("requires").contains("v4 has no IPv6 address"), "{}", room.why("requires"));
    // The family that is missing comes later, of the same pool.
    room.apply_and_settle(pool("v4", &["10.0.0.210/31", "fd00::c8/127"]));
    assert_eq!(room.has("prefers"), ["10.0.0.210", "fd00::c8"]);
    assert_eq!(room.has("requires"), ["10.0.0.211", "fd00::c9"]);
}

#[test]
fn of_pools_of_one_family_each_the_first_family_counts() {
    let pools = [pool("a6", &["fd00::c8/127"]), pool("b4", &["10.0.0.210/31"])];
    let mut room = Room::with(&pools);
    room.apply_and_settle(dual("web", "PreferDualStack"));
    assert_eq!(room.has("web"), ["10.0.0.210"]);
    room.apply_and_settle(with(dual("six", "PreferDualStack"), "spec.ipFamilies", json!(["IPv6", "IPv4"])));
    assert_eq!(room.has("six"), ["fd00::c8"]);
}

#[test]
fn a_service_of_one_family_in_a_cluster_of_one_prefers_both_in_vain() {
    let room = Room::with(&[
        pool("both", &BOTH),
        with(service("web"), "spec.ipFamilyPolicy", json!("PreferDualStack")),
    ]);
    assert_eq!(room.has("web"), ["10.0.0.200"]);
}

#[test]
fn a_service_that_is_none_any_more_gives_its_address_back() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/32"]), service("a"), service("b")]);
    room.apply_and_settle(with(service("a"), "spec.type", json!("ClusterIP")));
    assert_eq!(room.has("b"), ["10.0.0.200"]);
}

#[test]
fn only_services_of_the_scope_get_anything() {
    let objects = || {
        let ours = with(service("ours"), "spec.loadBalancerClass", json!("ovn-vip.io/ovn-vip"));
        [
            pool("a", &["10.0.0.200/29"]),
            service("plain"),
            ours,
            with(service("other"), "spec.loadBalancerClass", json!("x.io/y")),
        ]
    };
    for (scope, wanted) in [
        (Scope::Only("ovn-vip.io/ovn-vip".into()), [0, 1, 0]),
        (Scope::ClasslessAnd("ovn-vip.io/ovn-vip".into()), [1, 1, 0]),
        (Scope::Everybody, [1, 1, 1]),
        (Scope::Off, [0, 0, 0]),
    ] {
        let mut room = Room::of(scope.clone());
        objects().into_iter().for_each(|object| room.apply(object));
        room.settle();
        assert_eq!(["plain", "ours", "other"].map(|name| room.has(name).len()), wanted, "{scope:?}");
    }
}

#[test]
fn an_address_that_somebody_elses_service_has_is_passed_over() {
    let other = with(service("theirs"), "spec.loadBalancerClass", json!("x.io/y"));
    let theirs = with(other, "status", json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.200" }] } }));
    let mut room = Room::of(Scope::ClasslessAnd("ovn-vip.io/ovn-vip".into()));
    for object in [pool("a", &["10.0.0.200/31"]), theirs, service("web"), service("xyz")] {
        room.apply(object);
    }
    room.settle();
    assert_eq!(room.has("web"), ["10.0.0.201"]);
    assert!(room.why("xyz").contains("Service default/theirs has it"), "{}", room.why("xyz"));
}

#[test]
fn a_restart_gives_nobody_another_address() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/29"])]);
    for name in ["d", "c", "b", "a"] {
        room.apply_and_settle(service(name));
    }
    let before: Vec<_> = ["a", "b", "c", "d"].map(|name| room.has(name)).into();
    room.restart(Scope::Everybody);
    assert_eq!(before, ["a", "b", "c", "d"].map(|name| room.has(name)));
    assert_eq!(room.steps, Vec::<Step>::new());
}

#[test]
fn two_that_have_one_address_and_may_not_are_parted_and_the_elder_keeps_it() {
    let at = |name: &str, created: &str| {
        let found = with(service(name), "metadata.creationTimestamp", json!(created));
        with(found, "status", json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.203" }] } }))
    };
    let room = Room::with(&[
        pool("a", &["10.0.0.200/29"]),
        at("young", "2026-01-02T00:00:00Z"),
        at("zold", "2026-01-01T00:00:00Z"),
    ]);
    assert_eq!((room.has("zold"), room.has("young")), (vec!["10.0.0.203".into()], vec!["10.0.0.200".into()]));
    assert!(
        matches!(&room.steps[0], Step::TakenBack { why, .. } if why.to_string().contains("default/zold"))
    );
}

#[test]
fn a_good_address_that_somebody_writes_is_kept_and_a_bad_one_is_put_right() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/29"]), service("web")]);
    let says =
        |ip: &str| with(service("web"), "status", json!({ "loadBalancer": { "ingress": [{ "ip": ip }] } }));
    room.apply_and_settle(says("10.0.0.205"));
    assert_eq!(room.has("web"), ["10.0.0.205"]);
    room.apply_and_settle(says("192.0.2.1"));
    assert_eq!(room.has("web"), ["10.0.0.205"]);
    room.apply_and_settle(with(service("web"), "status", json!({})));
    assert_eq!(room.has("web"), ["10.0.0.205"]);
}
