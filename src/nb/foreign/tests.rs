//! Rows of several Kube-OVNs, and of strangers.

use serde_json::{Value, json};

use super::*;
use crate::nb::rows::{LOAD_BALANCER, TEMPLATE_VAR};

/// The switch that every row here is on.
fn on() -> BTreeSet<SubnetName> {
    BTreeSet::from(["underlay".into()])
}

/// Who has a key on it.
fn held(foreign: &Foreign, key: &Key) -> Option<NativeRow> {
    foreign.holders(key).remove(&SubnetName::from("underlay"))
}

fn replica(json: Value) -> Replica {
    Replica::from_json(json).unwrap()
}

/// A row `name` with a key and these columns; who has the key.
fn holder_of(name: &str, mut row: Value) -> Option<Holder> {
    let uuid = Uuid::from_u128(1);
    row["name"] = name.into();
    row["protocol"] = "tcp".into();
    row["vips"] = json!(["map", [["10.0.0.9:80", "10.0.0.1:80,10.0.0.2:80"]]]);
    let replica = replica(json!({ LOAD_BALANCER: { uuid.to_string(): row } }));
    let mut foreign = Foreign::default();
    foreign.put(uuid, replica.row(LOAD_BALANCER, &uuid), on(), &replica);
    held(&foreign, &(Protocol::Tcp, "10.0.0.9:80".parse().unwrap())).map(|row| row.holder)
}

fn ids(pairs: &[(&str, &str)]) -> Value {
    json!({ "external_ids": ["map", pairs] })
}

#[test]
fn kube_ovns_rows_are_known_by_mark_or_by_name_and_nobody_elses() {
    let owner = ("kube-ovn.io/lb-owner-uid", "u");
    for (name, marks, is_its) in [
        ("cluster-tcp-loadbalancer", &[][..], true),
        ("cluster-udp-session-loadbalancer", &[], true),
        ("cluster-sctp-loadbalancer", &[], true),
        ("vpc-blue-tcp-load", &[], true),
        ("vpc-a-b-sctp-sess-load", &[], true),
        ("service:default/web:tcp:external", &[owner], true),
        ("service:default/web:tcp:internal:ipv6", &[], true),
        ("switchlbrule:default/web:udp:external", &[], true),
        ("anything", &[("vendor", "kube-ovn")], true),
        ("cluster-tcp-loadbalancer", &[("kube-ovn.io/local-external-vip/10.0.0.9:80", "node-a")], true),
        ("cluster-tcp-loadbalancer", &[("vendor", "neutron")], false),
        ("cluster-tcp-loadbalancer", &[("neutron:lb", "x")], false),
        ("cluster-tcp-loadbalancer", &[("ovn-vip.io/cluster", "another")], false),
        ("cluster-http-loadbalancer", &[], false),
        ("my-cluster-tcp-loadbalancer", &[], false),
        ("cluster--loadbalancer", &[], false),
        ("vpc--tcp-load", &[], false),
        ("vpc-tcp-load", &[], false),
        ("vpc-blue-tcp-loads", &[], false),
        ("service:web:tcp:external", &[], false),
        ("service:default/web:tcp:other", &[], false),
        ("default/web/tcp", &[], false),
        ("anything", &[], false),
        ("anything", &[owner], false),
    ] {
        let holder = holder_of(name, ids(marks)).unwrap();
        assert_eq!(holder != Holder::Stranger, is_its, "{name} {marks:?}");
    }
}

#[test]
fn a_key_is_served_where_the_row_keeps_it_local_and_left_over_where_it_once_did() {
    let name = "cluster-tcp-loadbalancer";
    let mapped = json!(["map", [["10.0.0.2", "p2.default:0.0.0.0"]]]);
    for (what, row, wanted) in [
        ("on", json!({ "options": ["map", [["prefer_local_backend", "true"]]] }), Holder::KubeOvn),
        (
            "off again",
            json!({ "options": ["map", [["prefer_local_backend", "false"]]], "ip_port_mappings": mapped }),
            Holder::Leftover,
        ),
        ("off again, of 1.14", json!({ "ip_port_mappings": mapped }), Holder::Leftover),
        ("never on", json!({ "options": ["map", [["prefer_local_backend", "false"]]] }), Holder::Idle),
        (
            "mapped for a health check",
            json!({ "ip_port_mappings": ["map", [["10.0.0.2", "p2.default:10.0.0.254"]]] }),
            Holder::Idle,
        ),
        (
            "another backend's mapping",
            json!({ "ip_port_mappings": ["map", [["10.0.0.22", "p2.default:0.0.0.0"]]] }),
            Holder::Idle,
        ),
        ("distributed", json!({ "options": ["map", [["distributed", "true"]]] }), Holder::KubeOvn),
        (
            "off again, marked local",
            json!({ "external_ids": ["map", [["kube-ovn.io/local-external-vip/10.0.0.9:80", "node-a"]]] }),
            Holder::Leftover,
        ),
        (
            "another key marked local",
            json!({ "external_ids": ["map", [["kube-ovn.io/local-external-vip/10.0.0.9:81", "node-a"]]] }),
            Holder::Idle,
        ),
        (
            "a row for one Service",
            json!({ "external_ids": ["map", [["vendor", "kube-ovn"], ["kube-ovn.io/lb-owner-name", "web"]]],
                    "ip_port_mappings": mapped }),
            Holder::KubeOvn,
        ),
    ] {
        assert_eq!(holder_of(name, row), Some(wanted), "{what}");
    }
}

#[test]
fn an_ipv6_key_is_left_over_too() {
    for mapping in ["[fd00::2]", "fd00::2"] {
        let uuid = Uuid::from_u128(1);
        let row = json!({ "name": "cluster-tcp-loadbalancer", "vips": ["map", [["[fd00:0::9]:80", "[fd00::2]:80"]]],
                          "ip_port_mappings": ["map", [[mapping, "p2.default:0.0.0.0"]]] });
        let replica = replica(json!({ LOAD_BALANCER: { uuid.to_string(): row } }));
        let mut foreign = Foreign::default();
        foreign.put(uuid, replica.row(LOAD_BALANCER, &uuid), on(), &replica);
        let holder = held(&foreign, &(Protocol::Tcp, "[fd00::9]:80".parse().unwrap()));
        assert_eq!(holder.map(|row| row.holder), Some(Holder::Leftover), "{mapping}");
    }
}

#[test]
fn the_address_behind_a_template_variable_is_held_by_its_row() {
    let (row, chassis) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let northbound = |variables: Value, keys: Value| {
        replica(json!({
            LOAD_BALANCER: { row.to_string(): { "name": "service:default/web:tcp:external", "protocol": "tcp",
                "options": ["map", [["template", "true"]]], "vips": ["map", keys] } },
            TEMPLATE_VAR: { chassis.to_string(): { "chassis": "a", "variables": ["map", variables] } },
        }))
    };
    let keys = json!([["^vip:80", "^backends"], ["^vip:^port", "^backends"], ["10.0.0.8:80", "^backends"]]);
    let key = |text: &str| (Protocol::Tcp, text.parse().unwrap());
    let holds = |foreign: &Foreign, text: &str| held(foreign, &key(text)).map(|row| row.holder);
    let mut foreign = Foreign::default();
    let before =
        northbound(json!([["vip", "10.0.0.9"], ["port", "81"], ["backends", "10.0.0.1:80"]]), keys.clone());
    foreign.put(row, before.row(LOAD_BALANCER, &row), on(), &before);
    assert_eq!(holds(&foreign, "10.0.0.9:80"), Some(Holder::Template));
    assert_eq!(holds(&foreign, "10.0.0.9:81"), Some(Holder::Template));
    assert_eq!(holds(&foreign, "10.0.0.8:80"), Some(Holder::KubeOvn), "only its backends are a variable");

    let unaltered = northbound(json!([["vip", "10.0.0.9"], ["port", "81"], ["backends", ""]]), keys.clone());
    let touched = foreign.put_variables(chassis, unaltered.row(TEMPLATE_VAR, &chassis));
    assert_eq!(touched, BTreeSet::new(), "backends are none of our business");

    let moved = northbound(json!([["vip", "fd00::9"], ["port", "81"]]), keys);
    assert_eq!(foreign.put_variables(chassis, moved.row(TEMPLATE_VAR, &chassis)), BTreeSet::from([row]));
    let touched = foreign.put(row, moved.row(LOAD_BALANCER, &row), on(), &moved);
    let all = ["10.0.0.9:80", "10.0.0.9:81", "[fd00::9]:80", "[fd00::9]:81"].map(key);
    assert_eq!(touched, BTreeSet::from(all));
    assert_eq!(holds(&foreign, "[fd00::9]:81"), Some(Holder::Template));
    assert_eq!(holds(&foreign, "10.0.0.9:80"), Some(Holder::Awaited { seconds: 1, undone: 0 }));
}

#[test]
fn of_two_rows_with_one_key_the_one_that_serves_it_counts_and_then_the_other() {
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let row = |prefer: &str| {
        json!({ "name": "cluster-tcp-loadbalancer", "vips": ["map", [["10.0.0.9:80", "10.0.0.1:80"]]],
                "options": ["map", [["prefer_local_backend", prefer]]] })
    };
    let replica =
        replica(json!({ LOAD_BALANCER: { one.to_string(): row("false"), two.to_string(): row("true") } }));
    let mut foreign = Foreign::default();
    for uuid in [one, two] {
        foreign.put(uuid, replica.row(LOAD_BALANCER, &uuid), on(), &replica);
    }
    let key = (Protocol::Tcp, "10.0.0.9:80".parse().unwrap());
    assert_eq!(held(&foreign, &key).map(|row| row.uuid), Some(two));
    assert_eq!(foreign.put(two, None, on(), &replica), BTreeSet::from([key]));
    assert_eq!(held(&foreign, &key).map(|row| row.uuid), Some(one), "it is not gone");
}

#[test]
fn of_a_row_of_many_keys_only_what_changed_is_looked_at() {
    let uuid = Uuid::from_u128(1);
    let with = |keys: Value| {
        replica(json!({ LOAD_BALANCER: { uuid.to_string(): { "name": "x", "vips": ["map", keys] } } }))
    };
    let mut foreign = Foreign::default();
    let first = with(json!([["10.0.0.9:80", ""], ["10.0.0.8:80", ""]]));
    foreign.put(uuid, first.row(LOAD_BALANCER, &uuid), on(), &first);
    let second = with(json!([["10.0.0.9:80", "10.0.0.1:80"], ["10.0.0.7:80", ""]]));
    let touched = foreign.put(uuid, second.row(LOAD_BALANCER, &uuid), on(), &second);
    let keys = ["10.0.0.7:80", "10.0.0.8:80"].map(|key| (Protocol::Tcp, key.parse().unwrap()));
    assert_eq!(touched, BTreeSet::from(keys));
}
