//! What planning costs: many Services on one VIP, `check` over many nodes, and one endpoint's change on a node.
//!
//! Prints a table; the CPU time of this thread, the median of several runs. `cargo bench --bench plan`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::IpAddr;

use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::model::{
    AddressRange, Change, Dirty, Endpoint, EndpointSlice, Family, Labels, Network, Node, NodeName, Object,
    Protocol, ProviderName, ProviderNetwork, Service, ServiceKey, ServicePort, SliceKey, SlicePort, Subnet,
    SubnetName, SubnetWishes, Switch, TrafficPolicy, Vlan, VlanName, World,
};
use ovn_vip::nb::{Owner, transaction};
use ovn_vip::ovsdb::{Condition, Operation};
use ovn_vip::plan::{Announcer, Policy, announce_plan, check, plan_services};
use serde_json::json;
use uuid::Uuid;

#[path = "../tests/support/mod.rs"]
mod support;

use support::northbound::Northbound;

/// Changes that are measured at once.
const CHANGES: u32 = 2000;

fn main() {
    println!("Many Services on one VIP, 3 nodes: all planned for the northbound");
    for services in [500, 1000, 2000, 5000] {
        let shared = planned(&world(services, 1, 3));
        let apart = planned(&world(services, services, 3));
        println!(
            "  {services:>6} Services: {shared:>9.3} ms on one VIP, {apart:>9.3} ms on one each, ratio {:.2}",
            shared / apart
        );
    }
    println!(
        "The controller's plan and diff after all rows of Services on one VIP were deleted, as kube-ovn-controller does"
    );
    let mut first = None;
    for services in [500, 1000, 2000] {
        let cost = deleted(services) / f64::from(services);
        let ratio = cost / *first.get_or_insert(cost);
        println!("  {services:>6} Services: {cost:>9.5} ms each, ratio to 500 {ratio:.2}");
    }
    println!("check, 2,000 Services on one VIP each");
    let mut first = None;
    for nodes in [10, 100, 500] {
        let world = world(2000, 2000, nodes);
        let cost = median(5, || drop(black_box(check(&world, None, &Policy::default()))));
        let ratio = cost / *first.get_or_insert(cost);
        println!("  {nodes:>6} nodes:    {cost:>9.3} ms, ratio to 10 nodes {ratio:.2}");
    }
    println!(
        "One endpoint's change, on a node that steers all and on one that steers none; ratio to planning anew"
    );
    for services in [100, 1000, 5000, 20_000] {
        let mut world = world(services, services, 3);
        let anew = median(3, || drop(black_box(announce_plan(&world, &Policy::default(), None, &node(0)))));
        let [all, none] = [0, 2].map(|number| one_change(&mut world, &node(number)));
        println!(
            "  {services:>6} Services: {all:>9.4} ms, {none:>9.4} ms; anew {anew:>9.3} ms, ratio {:.0}",
            anew / all
        );
    }
}

/// Milliseconds to plan every Service.
fn planned(world: &World) -> f64 {
    let network = network(world);
    let keys: Vec<ServiceKey> = world.services().map(|service| service.key.clone()).collect();
    median(5, || drop(black_box(plan_services(world, &network, &Policy::default(), &keys))))
}

/// Milliseconds until it is known what to write after all rows of ours went.
fn deleted(services: u32) -> f64 {
    let ports: Vec<_> = (0..2000).map(|pod| json!(["uuid", uuid(pod)])).collect();
    let rows = (0..2000).map(|pod| {
        let row = json!({ "name": format!("p{pod}"), "type": "", "addresses": format!("0a:00:00:00:00:01 {}", address(1000 + pod)) });
        (uuid(pod), row)
    });
    let rows: serde_json::Map<_, _> = rows.collect();
    let mut northbound = Northbound::from_json(json!({
        "NB_Global": { uuid(9001): { "options": ["map", [["northd_internal_version", "26.03.1-21.8.0-82.14"]]] } },
        "Logical_Switch": { uuid(9002): { "name": "underlay", "ports": ["set", ports], "load_balancer_group": ["set", []] } },
        "Logical_Switch_Port": rows,
        "Load_Balancer": {},
    }));
    let owner = || Owner::new("bench", 0);
    let rules = Rules { owner: owner(), policy: Policy::default(), own_router_port: Default::default() };
    let mut reconciler = Reconciler::new(rules);
    reconciler.northbound_changed(northbound.replica(), &northbound.first_dump());
    reconciler.cluster_changed(objects(services, 1, 3).into_iter().map(Change::Apply));
    let (changes, _) = reconciler.reconcile(northbound.replica());
    for operations in transaction::encode(&changes) {
        let changes = northbound.commit(&operations);
        reconciler.northbound_changed(northbound.replica(), &changes);
    }
    reconciler.reconcile(northbound.replica());
    let ours: Vec<Uuid> = northbound.rows("Load_Balancer").map(|(uuid, _)| *uuid).collect();
    assert_eq!(ours.len(), services as usize);
    let delete =
        |uuid| Operation::Delete { table: "Load_Balancer".into(), condition: vec![Condition::uuid(uuid)] };
    let changes = northbound.commit(&ours.into_iter().map(delete).collect::<Vec<_>>());
    let before = cpu_time();
    reconciler.northbound_changed(northbound.replica(), &changes);
    black_box(reconciler.reconcile(northbound.replica()));
    (cpu_time() - before) as f64 / 1e6
}

fn uuid(number: u32) -> String {
    Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0000 | u128::from(number)).to_string()
}

/// Milliseconds for a node to take in that an endpoint is ready, or is not.
fn one_change(world: &mut World, at: &NodeName) -> f64 {
    let mut announcer = Announcer::new(at.clone(), Policy::default());
    announcer.update(world, None, &Dirty::everything());
    let mut ready = true;
    // The kernel counts a thread's time in ticks: many changes at once.
    let many = median(5, || {
        for _ in 0..CHANGES {
            ready = !ready;
            let dirty = world.apply(Change::Apply(slice(17, 17, ready)));
            black_box(announcer.update(world, None, &dirty));
        }
    });
    many / f64::from(CHANGES)
}

fn median(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut costs: Vec<u64> = (0..runs)
        .map(|_| {
            let before = cpu_time();
            work();
            cpu_time() - before
        })
        .collect();
    costs.sort_unstable();
    costs[runs / 2] as f64 / 1e6
}

/// Nanoseconds that this thread was on a CPU (proc(5), schedstat).
fn cpu_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

fn world(services: u32, vips: u32, nodes: u32) -> World {
    let mut world = World::default();
    for object in objects(services, vips, nodes) {
        world.apply(Change::Apply(object));
    }
    world
}

fn objects(services: u32, vips: u32, nodes: u32) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut put = |object| objects.push(object);
    for number in 0..nodes {
        put(node_object(number));
    }
    put(Object::Vlan(Vlan { name: VlanName::from("vlan"), id: None, provider: ProviderName::from("p") }));
    put(Object::ProviderNetwork(ProviderNetwork {
        name: ProviderName::from("p"),
        default_interface: "nic".into(),
        custom_interfaces: Vec::new(),
        exclude_nodes: BTreeSet::new(),
        exchange_link_name: false,
    }));
    put(subnet());
    for number in 0..services {
        put(service(number, number % vips));
        put(slice(number, number % 1000, true));
    }
    objects
}

/// The first half is the pods', the second the VIPs'.
fn address(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + number).to_be_bytes())
}

fn node(number: u32) -> NodeName {
    NodeName::from(format!("node{number}"))
}

fn node_object(number: u32) -> Object {
    Object::Node(Node {
        name: node(number),
        ready: true,
        network_unavailable: false,
        cordoned: false,
        excluded_from_load_balancers: false,
        chassis: Some("chassis".into()),
        labels: Labels::new(),
        addresses: [IpAddr::from([192, 168, (number >> 8) as u8, number as u8])].into(),
        providers_not_ready: BTreeSet::new(),
        providers_excluding: BTreeSet::new(),
    })
}

fn subnet() -> Object {
    Object::Subnet(Subnet {
        name: SubnetName::from("underlay"),
        cidrs: vec!["10.0.0.0/8".parse().unwrap()],
        gateways: vec![address(1)],
        exclude_ips: vec![AddressRange::new(address(0x0080_0000), address(0x00ff_fffe)).unwrap()],
        ovn_provided: true,
        vpc: None,
        vlan: Some(VlanName::from("vlan")),
        external_lb: true,
        logical_gateway: false,
        u2o_mac: None,
        steering_mac: None,
        wishes: SubnetWishes::default(),
        served: BTreeSet::new(),
        undeliverable: BTreeSet::new(),
    })
}

fn service(number: u32, vip: u32) -> Object {
    let vip = address(0x0080_0000 + vip);
    Object::Service(Service {
        key: ServiceKey::new("default", &format!("s{number}")),
        uid: String::new(),
        created: None,
        labels: Labels::new(),
        class: None,
        vips: [vip].into(),
        first_vip: Some(vip),
        proxied: BTreeSet::new(),
        hostnames: BTreeSet::new(),
        external_ips: BTreeSet::new(),
        ports: vec![ServicePort { name: "p".into(), protocol: Protocol::Tcp, port: 1000 + number as u16 }],
        traffic_policy: TrafficPolicy::Local,
        client_ip_affinity: false,
        publish_not_ready: false,
        sources: Default::default(),
        bad_ranges: Default::default(),
        request: Default::default(),
    })
}

/// Pods on the first two nodes; the second's may be ready or not.
fn slice(number: u32, pod: u32, ready: bool) -> Object {
    let endpoint = |at: u32, ready| Endpoint {
        address: address(1000 + 2 * pod + at),
        node: Some(node(at)),
        ready,
        serving: ready,
        terminating: false,
    };
    Object::EndpointSlice(EndpointSlice {
        key: SliceKey::new("default", &format!("s{number}")),
        service: ServiceKey::new("default", &format!("s{number}")),
        family: Family::V4,
        ports: vec![SlicePort { name: "p".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: vec![endpoint(0, true), endpoint(1, ready)],
    })
}

/// A northbound that has the switch and every pod.
fn network(world: &World) -> Network {
    let port = |pod: u32| {
        (address(1000 + pod), ovn_vip::model::Port { name: format!("p{pod}").into(), chassis: None })
    };
    let switch = Switch { ports: (0..2000).map(port).collect(), ..Switch::default() };
    let names = world.subnets().map(|subnet| subnet.name.clone());
    Network { switches: names.map(|name| (name, switch.clone())).collect(), ..Network::default() }
}
