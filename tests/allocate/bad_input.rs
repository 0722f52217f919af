//! What cannot be used: each a clear word, and nothing else disturbed.

use std::time::Duration;

use ovn_vip::allocate::Scope;
use ovn_vip::kube::Kind;
use ovn_vip::model::{Change, Gaps};
use serde_json::{Value, json};

use crate::room::{Room, annotated, pool, service, with};

fn faults(room: &Room) -> String {
    room.allocator.pool_faults().map(|(name, fault)| format!("{name}: {fault}\n")).collect()
}

#[test]
fn a_pool_that_makes_no_sense_gives_nothing_and_costs_no_other_one() {
    for (text, words) in [
        ("10.0.0.210-10.0.0.205", "lowest first"),
        ("10.0.0.205-fd00::1", "one family"),
        ("::ffff:10.0.0.0/120", "write a CIDR"),
        ("0.0.0.0/0", "every address"),
        ("::/0", "every address"),
        ("x", "write a CIDR"),
    ] {
        let room = Room::with(&[pool("bad", &[text]), pool("good", &["10.0.0.230/31"]), service("web")]);
        assert_eq!(room.has("web"), ["10.0.0.230"], "{text}");
        assert!(faults(&room).starts_with("bad: ") && faults(&room).contains(words), "{}", faults(&room));
    }
}

#[test]
fn of_pools_that_overlap_the_one_in_force_stays_and_the_other_is_told() {
    let mut room = Room::with(&[pool("b", &["10.0.0.200/30"]), service("web")]);
    room.apply_and_settle(pool("a", &["10.0.0.203-10.0.0.209"]));
    room.apply_and_settle(service("dns"));
    assert_eq!(
        (room.has("web").concat(), room.has("dns").concat()),
        ("10.0.0.200".into(), "10.0.0.201".into())
    );
    assert!(
        faults(&room).contains("a: 10.0.0.203 is in IPAddressPool metallb-system/b, too"),
        "{}",
        faults(&room)
    );
    room.delete(Kind::AddressPool, "metallb-system", "b");
    room.settle();
    assert_eq!(faults(&room), "");
    assert_eq!(
        (room.has("dns").concat(), room.has("web").concat()),
        ("10.0.0.203".into(), "10.0.0.204".into())
    );
    let twice = Room::with(&[pool("a", &["10.0.0.200/30", "10.0.0.201/32"])]);
    assert!(faults(&twice).contains("is in it twice"), "{}", faults(&twice));
}

#[test]
fn a_pool_that_is_edited_to_nonsense_stays_in_force_and_it_is_said() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/31"]), service("web")]);
    room.apply_and_settle(pool("a", &["10.0.0.200-10.0.0.1"]));
    room.apply_and_settle(service("dns"));
    assert_eq!(
        (room.has("web").concat(), room.has("dns").concat()),
        ("10.0.0.200".into(), "10.0.0.201".into())
    );
    assert!(faults(&room).contains("stays in force as it was before"), "{}", faults(&room));
    // After a restart nobody knows what it was: what was given of it stays, and nothing more is given.
    room.restart(Scope::Everybody);
    assert_eq!(
        (room.has("web").concat(), room.has("dns").concat()),
        ("10.0.0.200".into(), "10.0.0.201".into())
    );
    room.apply_and_settle(service("third"));
    assert!(room.why("third").contains("a cannot be used"), "{}", room.why("third"));
    room.apply_and_settle(pool("a", &["10.0.0.200/30"]));
    assert_eq!(
        ["web", "dns", "third"].map(|name| room.has(name).concat()),
        ["10.0.0.200", "10.0.0.201", "10.0.0.202"]
    );
}

#[test]
fn what_a_service_asks_for_and_cannot_be_read_takes_nothing_away() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/30"]), service("web")]);
    room.apply_and_settle(annotated(service("web"), "loadBalancerIPs", "10.0.0.x"));
    assert_eq!(room.has("web"), ["10.0.0.200"]);
    assert!(room.why("web").contains("cannot be used"), "{}", room.why("web"));
    room.apply_and_settle(annotated(service("dns"), "loadBalancerIPs", "10.0.0.x"));
    assert!(room.has("dns").is_empty() && room.why("dns").contains("cannot be used"));
    room.apply_and_settle(service("web"));
    assert_eq!(room.why("web"), "");
}

#[test]
fn an_address_of_no_pool_or_of_another_family_is_refused() {
    let room = Room::with(&[
        pool("a", &["10.0.0.200/30"]),
        annotated(service("far"), "loadBalancerIPs", "192.0.2.1"),
        annotated(service("six"), "loadBalancerIPs", "fd00::c8"),
    ]);
    assert!(room.why("far").contains("no IPAddressPool hands out 192.0.2.1"));
    assert!(
        room.why("six").contains("it asks for fd00::c8, and its cluster IPs are IPv4"),
        "{}",
        room.why("six")
    );
}

#[test]
fn a_service_without_cluster_ips_or_with_too_few_waits_and_says_so() {
    let room = Room::with(&[
        pool("a", &["10.0.0.200/30"]),
        with(service("none"), "spec.clusterIPs", json!([])),
        with(service("few"), "spec.ipFamilyPolicy", json!("RequireDualStack")),
    ]);
    assert!(room.why("none").contains("no cluster IP"));
    assert!(room.why("few").contains("RequireDualStack"));
}

fn says(ip: &str) -> Value {
    with(service("web"), "status", json!({ "loadBalancer": { "ingress": [{ "ip": ip }] } }))
}

#[test]
fn a_status_that_somebody_writes_again_and_again_is_left_to_them_until_the_service_changes() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/30"]), service("web")]);
    for _ in 0..4 {
        room.apply_and_settle(annotated(says("192.0.2.1"), "ip-allocated-from-pool", "a"));
    }
    assert_eq!(room.has("web"), ["192.0.2.1"]);
    assert!(
        room.why("web").contains("writes 192.0.2.1 into status.loadBalancer again and again"),
        "{}",
        room.why("web")
    );
    room.apply_and_settle(service("web"));
    assert_eq!(room.has("web"), ["192.0.2.1"]);
    room.apply_and_settle(annotated(service("web"), "address-pool", "a"));
    assert_eq!(room.has("web"), ["10.0.0.200"]);
}

#[test]
fn what_somebody_overwrites_now_and_then_is_put_right_each_time() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/30"]), service("web")]);
    for _ in 0..10 {
        room.now += Duration::from_secs(3600);
        room.apply_and_settle(says("192.0.2.1"));
        assert_eq!(room.has("web"), ["10.0.0.200"]);
    }
}

#[test]
fn an_address_that_no_pool_gave_is_left_alone() {
    let room = Room::with(&[pool("a", &["10.0.0.200/30"]), says("192.0.2.1")]);
    assert_eq!(room.has("web"), ["192.0.2.1"]);
    assert!(room.why("web").contains("was not given from an IPAddressPool"), "{}", room.why("web"));
}

#[test]
fn metallbs_controller_and_this_one_never_give_at_the_same_time() {
    let slice = |endpoints: Value| {
        json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "namespace": "metallb-system", "name": "metallb-webhook-service-x",
                "labels": { "kubernetes.io/service-name": "metallb-webhook-service" } },
            "endpoints": endpoints, "ports": [] })
    };
    let mut room =
        Room::with(&[pool("a", &["10.0.0.200/30"]), slice(json!([{ "addresses": ["10.16.0.9"] }]))]);
    room.apply_and_settle(service("web"));
    assert!(room.has("web").is_empty());
    let rival = room.allocator.rival().unwrap().to_string();
    assert!(rival.contains("namespace metallb-system") && rival.contains("--replicas=0"), "{rival}");
    room.apply_and_settle(slice(json!([])));
    assert_eq!(room.has("web"), ["10.0.0.200"]);
    assert_eq!(room.allocator.rival(), None);
    // It has no webhooks, and is seen by what it does.
    room.apply(service("dns"));
    let fields = json!({ "f:metadata": { "f:annotations": { "f:metallb.io/ip-allocated-from-pool": {} } } });
    let given =
        with(service("dns"), "status", json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.200" }] } }));
    let given =
        with(given, "metadata.managedFields", json!([{ "manager": "controller", "fieldsV1": fields }]));
    room.apply_and_settle(annotated(given, "ip-allocated-from-pool", "a"));
    assert!(room.allocator.rival().unwrap().to_string().contains("default/dns"));
    assert_eq!((room.has("web"), room.has("dns")), (vec!["10.0.0.200".into()], vec!["10.0.0.200".into()]));
}

#[test]
fn a_pool_that_cannot_be_read_at_all_is_not_gone() {
    let mut room =
        Room::with(&[pool("a", &["10.0.0.200/31"]), pool("b", &["10.0.0.230/31"]), service("web")]);
    assert_eq!(room.has("web"), ["10.0.0.200"]);
    // Its addresses are a text: no list of anything.
    let broken = with(pool("a", &[]), "spec.addresses", json!("10.0.0.200/31"));
    room.apply_and_settle(broken);
    room.apply_and_settle(service("dns"));
    assert_eq!(room.has("dns"), ["10.0.0.201"], "what was read before stays in force");
    room.restart(Scope::Everybody);
    assert_eq!([room.has("web"), room.has("dns")].concat(), ["10.0.0.200", "10.0.0.201"]);
    assert!(faults(&room).contains("a: nothing of it can be read"), "{}", faults(&room));
    room.apply_and_settle(service("third"));
    assert_eq!(room.has("third"), ["10.0.0.230"], "nothing is given from it");
    room.apply_and_settle(annotated(service("fourth"), "address-pool", "a"));
    assert!(room.why("fourth").contains("nothing of it can be read"), "{}", room.why("fourth"));
    // Once it is gone in truth, what it gave is taken back.
    room.tell(Change::Gaps(Gaps::default()));
    room.settle();
    assert_eq!([room.has("web"), room.has("dns")].concat(), ["10.0.0.231"]);
}

#[test]
fn while_nobody_knows_what_is_there_nothing_is_taken_back() {
    let mut room = Room::with(&[pool("a", &["10.0.0.200/31"]), service("web")]);
    room.tell(Change::Gaps(Gaps { anything: true, ..Gaps::default() }));
    room.delete(Kind::AddressPool, "metallb-system", "a");
    room.settle();
    assert_eq!(room.has("web"), ["10.0.0.200"]);
    room.tell(Change::Gaps(Gaps::default()));
    room.settle();
    assert!(room.has("web").is_empty());
}
