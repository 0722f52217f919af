//! Random histories: a cluster of three nodes, two subnets, a few Services that collide often, and a northbound
//! that Kube-OVN and people write to.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ovn_vip::model::{
    Change, Endpoint, EndpointSlice, Family, NodeName, Object, Protocol, Service, ServiceKey, ServicePort,
    SliceKey, SlicePort, Sources, Subnet,
};
use ovn_vip::ovsdb::{Operation, Replica};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

pub use super::cluster::{NODES, bare, base, node, subnet, v4, v6, vlan};
use super::support::northbound::Northbound;

#[path = "interference.rs"]
pub mod interference;
#[path = "neighbours.rs"]
pub mod neighbours;

pub const SERVICES: [&str; 4] = ["a", "b", "c", "d"];
/// The last octet; `p6` is no port of the switch.
const PODS: [u8; 6] = [111, 112, 121, 122, 131, 140];

/// One step of a history.
#[derive(Clone, Debug)]
pub enum Step {
    Cluster(Box<Change>),
    Interfere(Vec<Operation>),
    /// A pod's port (by its number) is bound to a chassis, or to none.
    Bind(u8, Option<u8>),
}

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let cluster = prop_oneof![
        6 => object().prop_map(|object| Step::Cluster(Box::new(Change::Apply(object)))),
        2 => object().prop_map(|object| Step::Cluster(Box::new(Change::Remove(object.key())))),
    ];
    let bind = (prop::sample::select(&PODS[..5]), prop::option::of(1..4u8))
        .prop_map(|(pod, at)| Step::Bind(pod, at));
    let step = prop_oneof![
        6 => cluster,
        2 => interference::anything().prop_map(Step::Interfere),
        1 => bind,
    ];
    let base = base().into_iter().map(|object| Step::Cluster(Box::new(Change::Apply(object))));
    let base: Vec<Step> = base.collect();
    prop::collection::vec(step, 0..most).prop_map(move |steps| base.iter().cloned().chain(steps).collect())
}

/// One of each object at most, so that their order cannot matter.
pub fn objects() -> impl Strategy<Value = Vec<Object>> {
    prop::collection::vec(object(), 0..16).prop_map(|objects| {
        let mut seen = BTreeSet::new();
        let all = objects.into_iter().chain(base());
        all.filter(|object| seen.insert(object.key())).collect()
    })
}

/// Changes of the cluster alone, from nothing.
pub fn cluster_steps() -> impl Strategy<Value = Vec<Change>> {
    let step = prop_oneof![
        4 => object().prop_map(Change::Apply),
        1 => object().prop_map(|object| Change::Remove(object.key())),
    ];
    let base: Vec<Change> = base().into_iter().map(Change::Apply).collect();
    prop::collection::vec(step, 0..40).prop_map(move |steps| base.iter().cloned().chain(steps).collect())
}

/// Objects that alter few Services each, so that a forgotten one shows.
pub fn small_steps() -> impl Strategy<Value = Vec<Change>> {
    let object = prop_oneof![4 => service(), 6 => slice(), 3 => neighbours::allocation(), 2 => neighbours::status(), 3 => neighbours::report()];
    let step = prop_oneof![
        3 => object.clone().prop_map(Change::Apply),
        1 => object.prop_map(|object| Change::Remove(object.key())),
    ];
    prop::collection::vec(step, 8..48)
}

fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        4 => service(),
        6 => slice(),
        1 => (prop::sample::select(&NODES[..]), any::<bool>(), any::<bool>()).prop_map(|(name, ready, chassis)| node(name, ready, chassis)),
        1 => (prop::sample::select(&["underlay", "other"][..]), any::<bool>(), any::<bool>()).prop_map(|(name, on, wide)| subnet(name, on, wide)),
        1 => undeliverable().prop_map(told_undeliverable),
        1 => Just(vlan()),
        2 => neighbours::allocation(),
        1 => neighbours::pool(),
        1 => neighbours::advertisement(),
        1 => neighbours::status(),
        2 => neighbours::report(),
    ]
}

fn service() -> impl Strategy<Value = Object> + Clone {
    let vips =
        prop::collection::btree_set(prop::sample::select(vec![v4(250), v4(251), v6(250), v4(99)]), 0..3);
    let ports = prop::sample::subsequence(
        vec![("web", Protocol::Tcp, 80), ("dns", Protocol::Udp, 53), ("alt", Protocol::Tcp, 8080)],
        1..4,
    );
    let name = prop::sample::select(&SERVICES[..]);
    let class = prop::option::weighted(0.1, Just("other".into()));
    let created = prop::option::of(0..2i64);
    (name, vips, ports, any::<bool>(), class, created, sources()).prop_map(
        |(name, vips, ports, affinity, class, created, sources)| {
            let port = |(name, protocol, port): (&str, Protocol, u16)| ServicePort {
                name: name.into(),
                protocol,
                port,
            };
            let ports = ports.into_iter().map(port).collect();
            Object::Service(Service {
                class,
                ports,
                client_ip_affinity: affinity,
                created,
                sources,
                ..bare(name, vips)
            })
        },
    )
}

/// Inside and outside the subnet, of either family, everybody and nobody.
pub fn sources() -> impl Strategy<Value = Sources> + Clone {
    let networks = [
        "10.0.0.0/24",
        "10.0.0.64/26",
        "10.0.0.99/32",
        "192.0.2.0/24",
        "fd00::/64",
        "fd00:2::/64",
        "0.0.0.0/0",
    ];
    let networks = networks.map(|network| network.parse().unwrap()).to_vec();
    prop_oneof![Just(Sources::Everybody), prop::sample::subsequence(networks, 0..4).prop_map(Sources::only),]
}

fn slice() -> impl Strategy<Value = Object> + Clone {
    let endpoint = (prop::sample::select(&PODS[..]), prop::sample::select(&NODES[..]), any::<bool>());
    let endpoints = prop::collection::vec(endpoint, 0..5);
    (prop::sample::select(&SERVICES[..]), any::<bool>(), endpoints).prop_map(|(service, is_v6, endpoints)| {
        let endpoint = |(last, node, ready): (u8, &str, bool)| Endpoint {
            address: if is_v6 { v6(last) } else { v4(last) },
            node: Some(NodeName::from(node)),
            ready,
            serving: true,
            terminating: !ready,
        };
        let port = |name: &str, protocol, port| SlicePort { name: name.into(), protocol, port };
        Object::EndpointSlice(EndpointSlice {
            key: SliceKey::new("default", &format!("{service}-{}", if is_v6 { "v6" } else { "v4" })),
            service: ServiceKey::new("default", service),
            family: if is_v6 { Family::V6 } else { Family::V4 },
            ports: vec![
                port("web", Protocol::Tcp, 8000),
                port("dns", Protocol::Udp, 53),
                port("alt", Protocol::Tcp, 81),
            ],
            endpoints: endpoints.into_iter().map(endpoint).collect(),
        })
    })
}

/// What the controller may say of the pods' addresses: no port, or none on a node.
fn undeliverable() -> impl Strategy<Value = BTreeSet<(IpAddr, Option<NodeName>)>> {
    let node = prop::option::of(prop::sample::select(&NODES[..]));
    let endpoint = (prop::sample::select(&PODS[..]), node);
    prop::collection::btree_set(endpoint.prop_map(|(pod, node)| (v4(pod), node.map(NodeName::from))), 0..4)
}

/// The subnet of [`base`], with this word of the controller's.
pub fn told_undeliverable(undeliverable: BTreeSet<(IpAddr, Option<NodeName>)>) -> Object {
    match subnet("underlay", true, true) {
        Object::Subnet(subnet) => Object::Subnet(Subnet { undeliverable, ..subnet }),
        other => other,
    }
}

pub fn uuid(number: u8) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0000 | u128::from(number))
}

/// A plain upstream northbound with one switch, and a load balancer of Kube-OVN's.
pub fn northbound() -> Northbound {
    northbound_with(&[("northd_internal_version", "26.03.1-21.8.0-82.14")])
}

/// The same with these options of NB_Global.
pub fn northbound_with(options: &[(&str, &str)]) -> Northbound {
    let ports: Vec<_> = PODS[..5].iter().map(|pod| json!(["uuid", uuid(*pod).to_string()])).collect();
    let mut json = json!({
        "NB_Global": { uuid(1).to_string(): { "options": ["map", options] } },
        "Logical_Switch": { uuid(2).to_string(): { "name": "underlay", "ports": ["set", ports], "load_balancer_group": ["set", []] } },
        "Load_Balancer": { uuid(3).to_string(): {
            "name": "cluster-tcp-loadbalancer", "protocol": "tcp", "vips": ["map", [["10.96.0.1:443", "10.0.0.5:6443"]]],
            "external_ids": ["map", [["vendor", "kube-ovn"]]],
        } },
        "Logical_Switch_Port": {},
    });
    for pod in &PODS[..5] {
        let addresses = format!("0a:00:00:00:00:{pod:02x} {} {}", v4(*pod), v6(*pod));
        json["Logical_Switch_Port"][uuid(*pod).to_string()] =
            json!({ "name": format!("p{pod}.default"), "type": "", "addresses": addresses });
    }
    Northbound::from_json(json)
}

/// A southbound that knows of one port only.
pub fn southbound(pod: &u8, chassis: Option<u8>) -> Replica {
    let chassis: Vec<_> = chassis.iter().map(|chassis| json!(["uuid", uuid(*chassis).to_string()])).collect();
    Replica::from_json(json!({ "Port_Binding": { uuid(*pod).to_string(): {
        "logical_port": format!("p{pod}.default"), "chassis": ["set", chassis],
    } } }))
    .unwrap()
}

/// A southbound with a chassis, the pods of `node1` there, and its own port, bound or not.
pub fn southbound_with_node_port(bound: bool) -> Replica {
    let chassis = json!(["set", [["uuid", uuid(1).to_string()]]]);
    let nowhere = json!(["set", []]);
    let binding =
        |port: &str, chassis: &serde_json::Value| json!({ "logical_port": port, "chassis": chassis });
    Replica::from_json(json!({
        "Chassis": { uuid(1).to_string(): { "name": "chassis-1" } },
        "Port_Binding": {
            uuid(111).to_string(): binding("p111.default", &chassis),
            uuid(200).to_string(): binding("node-node1", if bound { &chassis } else { &nowhere }),
        },
    }))
    .unwrap()
}
