//! Whom a Service's ranges do not hold has no way in, and whom they hold has: after every single transaction of random
//! histories, by the rules of the bridges and the rows of the northbound.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ovn_vip::flows::{BridgePorts, MARK, flows_for};
use ovn_vip::model::{
    Change, Family, Mac, NodeName, Object, ObjectKey, Protocol, Service, ServiceKey, ServicePort, Sources,
    World,
};
use ovn_vip::nb::transaction;
use ovn_vip::plan::{Policy, announce_plan};
use proptest::prelude::*;

use super::Beside;
use super::history::{self, NODES, Step};

#[path = "packet.rs"]
mod packet;
use packet::{Bridged, Packet, bridged, is_refused};

/// At the edges of the networks that the Services' ranges are taken from.
const SOURCES: [&str; 12] = [
    "10.0.0.63",
    "10.0.0.64",
    "10.0.0.99",
    "10.0.0.127",
    "10.0.0.128",
    "10.0.1.0",
    "192.0.2.7",
    "192.0.3.0",
    "fd00::7",
    "fd00:2::7",
    "fd00:3::",
    "2001:db8::1",
];

fn packets((protocol, key): (Protocol, SocketAddr)) -> impl Iterator<Item = Packet> {
    let sources = SOURCES.iter().map(|source| source.parse::<IpAddr>().unwrap());
    let sources = sources.filter(move |source| source.is_ipv4() == key.is_ipv4());
    sources.map(move |from| Packet {
        from,
        to: key.ip(),
        protocol,
        port: key.port(),
        mark: 0,
        is_fragment: false,
        eth_src: Mac([2, 0, 0, 0, 0, 9]),
    })
}

/// The keys that the switch translates, by our rows, and whose they are.
pub fn keys(beside: &Beside) -> BTreeMap<(Protocol, SocketAddr), ServiceKey> {
    let rows = beside.northbound.rows("Load_Balancer").filter(|(uuid, _)| uuid.get_version_num() == 5);
    let keys = rows.flat_map(|(_, row)| {
        let name = row["name"].as_str().unwrap().rsplit_once('/').unwrap();
        let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == name.1).unwrap();
        let service = ServiceKey::parse(name.0).unwrap();
        let keys = row["vips"].string_map().map(|(key, _)| key.parse().unwrap());
        keys.map(move |key| ((protocol, key), service.clone())).collect::<Vec<_>>()
    });
    keys.collect()
}

/// No Service that has, or had, the key holds the source.
fn is_held_by_none(worlds: [&World; 2], packet: &Packet) -> bool {
    let services = worlds.into_iter().flat_map(|world| world.services_at(packet.to));
    let mut theirs = services.filter(|service| {
        service.ports.iter().any(|port| (port.protocol, port.port) == (packet.protocol, packet.port))
    });
    theirs.all(|service| !service.sources.of(Family::of(packet.to)).admits(packet.from))
}

/// Writes until there is nothing to write, and looks at every state in between.
pub fn converge(beside: &mut Beside, before: &World) {
    for _ in 0..8 {
        let (changes, _) = beside.reconciler.step(beside.northbound.replica());
        if changes.is_empty() {
            return;
        }
        for operations in transaction::encode(&changes) {
            let changes = beside.northbound.commit(&operations);
            beside.reconciler.northbound_changed(beside.northbound.replica(), &changes);
            let worlds = [before, beside.reconciler.world()];
            for packet in keys(beside).into_keys().flat_map(packets) {
                let open = !is_refused(&beside.northbound, &packet) && is_held_by_none(worlds, &packet);
                assert!(!open, "{packet:?} gets in after {operations:?}");
            }
        }
    }
    panic!("writes again and again");
}

/// Whoever had no way in, and is let in by no Service, has none now.
pub fn never_opens(before: &Beside, after: &Beside) {
    let worlds = [before.reconciler.world(), after.reconciler.world()];
    for packet in keys(after).into_keys().flat_map(packets) {
        let open = !is_refused(&after.northbound, &packet) && is_held_by_none(worlds, &packet);
        assert!(!open || !is_refused(&before.northbound, &packet), "{packet:?} gets in");
    }
}

/// At rest: whom the ranges hold gets in, by the bridge or, inside the subnet, by the switch; nobody else does.
fn is_as_the_ranges_say(beside: &Beside) {
    let world = beside.reconciler.world();
    let cidr = |address: IpAddr| {
        ["10.0.0.0/24", "fd00::/64"]
            .map(|cidr| cidr.parse::<ipnet::IpNet>().unwrap())
            .iter()
            .any(|c| c.contains(&address))
    };
    let ports = BridgePorts { nic: 1, patch: 2, own: 3, mac: Mac([2, 0, 0, 0, 0, 1]) };
    let plans = NODES.map(|node| announce_plan(world, &Policy::default(), None, &NodeName::from(node)).0);
    let bridges: Vec<_> =
        plans.iter().flat_map(|plan| plan.segments.values()).map(|it| flows_for(it, &ports)).collect();
    for (key, service) in keys(beside) {
        let sources = world.service(&service).unwrap().sources.of(Family::of(key.1.ip()));
        for packet in packets(key) {
            let admitted = sources.admits(packet.from);
            let marked = Packet { mark: MARK, ..packet.clone() };
            let fragment = Packet { is_fragment: true, ..packet.clone() };
            let passes = |packet: &Packet| !is_refused(&beside.northbound, packet);
            assert!(passes(&marked), "{marked:?}");
            assert!(!passes(&packet) || admitted, "a pod: {packet:?}");
            assert!(passes(&packet) || !admitted || !cidr(packet.from), "a pod: {packet:?}");
            assert!(admitted || !passes(&fragment), "{fragment:?}");
            for flows in &bridges {
                let gets_in = match bridged(flows, &packet) {
                    Bridged::Steered(mark) => {
                        assert!(admitted, "{packet:?}");
                        let steered = Packet { mark, ..packet.clone() };
                        assert!(passes(&steered), "steered in vain: {steered:?}");
                        true
                    }
                    Bridged::Dropped => false,
                    Bridged::Normal => passes(&packet),
                };
                assert!(admitted || !gets_in, "from the wire: {packet:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whom_no_range_holds_never_gets_in_and_whom_one_holds_does(steps in history::steps(24)) {
        let mut beside = Beside::start(history::northbound());
        for step in &steps {
            let before = beside.reconciler.world().clone();
            if !matches!(step, Step::Interfere(_)) {
                beside.take(step);
                converge(&mut beside, &before);
                is_as_the_ranges_say(&beside);
            }
        }
    }
}

#[test]
fn a_port_and_a_vip_that_go_stay_closed_until_no_row_translates_them() {
    let service = |name: &str, vips: &[u8], ports: &[u16]| {
        let port = |port: &u16| ServicePort { name: "web".into(), protocol: Protocol::Tcp, port: *port };
        let vips = vips.iter().map(|last| history::v4(*last)).collect();
        let ports = ports.iter().map(port).collect();
        let sources = Sources::only(["192.0.2.0/24".parse().unwrap()]);
        let service = Service { ports, sources, ..history::bare(name, vips) };
        Step::Cluster(Box::new(Change::Apply(Object::Service(service))))
    };
    let mut beside = Beside::start(history::northbound());
    history::base()
        .into_iter()
        .for_each(|object| beside.take(&Step::Cluster(Box::new(Change::Apply(object)))));
    let gone = Step::Cluster(Box::new(Change::Remove(ObjectKey::Service(ServiceKey::new("default", "b")))));
    let steps = [
        service("a", &[250, 251], &[80, 81]),
        service("b", &[251], &[90]),
        service("a", &[250], &[80]),
        gone,
    ];
    for step in steps {
        let before = beside.reconciler.world().clone();
        beside.take(&step);
        converge(&mut beside, &before);
        is_as_the_ranges_say(&beside);
    }
    let rows = beside.northbound.rows("ACL");
    let matches: Vec<&str> = rows.map(|(_, row)| row["match"].as_str().unwrap()).collect();
    assert!(matches.iter().all(|matches| !matches.contains("0.251") && !matches.contains("{80, 81}")));
    assert_eq!(matches.len(), 4, "{matches:?}");
}
