//! The objects of a small cluster.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ovn_vip::model::{
    AddressRange, Labels, Node, NodeName, Object, Protocol, ProviderName, ProviderNetwork, Service,
    ServiceKey, ServicePort, Sources, Subnet, SubnetName, SubnetWishes, TrafficPolicy, Vlan, VlanName,
};

pub const NODES: [&str; 3] = ["node1", "node2", "node3"];

pub fn base() -> Vec<Object> {
    let mut objects: Vec<Object> = NODES.iter().map(|name| node(name, true, true)).collect();
    objects.extend([vlan(), provider(), subnet("underlay", true, true)]);
    objects
}

pub fn node(name: &str, ready: bool, chassis: bool) -> Object {
    Object::Node(Node {
        name: NodeName::from(name),
        ready,
        network_unavailable: false,
        cordoned: false,
        excluded_from_load_balancers: false,
        chassis: chassis.then(|| name.into()),
        labels: Labels::from([("name".into(), name.into())]),
        addresses: BTreeSet::new(),
        providers_not_ready: BTreeSet::new(),
        providers_excluding: BTreeSet::new(),
    })
}

pub fn subnet(name: &str, external_lb: bool, wide: bool) -> Object {
    // The narrow list leaves one VIP to Kube-OVN: whether that is served depends on whether it was.
    let range = AddressRange::new(v4(if wide { 250 } else { 251 }), v4(254)).unwrap();
    Object::Subnet(Subnet {
        name: SubnetName::from(name),
        cidrs: vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
        gateways: vec![v4(1), v6(1)],
        exclude_ips: vec![range, AddressRange::new(v6(250), v6(254)).unwrap()],
        ovn_provided: true,
        vpc: None,
        vlan: Some(VlanName::from("vlan")),
        external_lb,
        logical_gateway: false,
        u2o_mac: None,
        steering_mac: None,
        wishes: SubnetWishes::default(),
        served: BTreeSet::new(),
        undeliverable: BTreeSet::new(),
    })
}

pub fn vlan() -> Object {
    Object::Vlan(Vlan { name: VlanName::from("vlan"), id: None, provider: ProviderName::from("provider") })
}

pub fn provider() -> Object {
    Object::ProviderNetwork(ProviderNetwork {
        name: ProviderName::from("provider"),
        default_interface: "underlay0".into(),
        custom_interfaces: Vec::new(),
        exclude_nodes: BTreeSet::new(),
        exchange_link_name: false,
    })
}

/// A Service of one TCP port.
pub fn bare(name: &str, vips: BTreeSet<IpAddr>) -> Service {
    Service {
        key: ServiceKey::new("default", name),
        uid: format!("uid-{name}"),
        created: None,
        labels: Labels::new(),
        class: None,
        hostnames: BTreeSet::new(),
        external_ips: BTreeSet::new(),
        first_vip: vips.first().copied(),
        vips,
        proxied: BTreeSet::new(),
        ports: vec![ServicePort { name: "web".into(), protocol: Protocol::Tcp, port: 80 }],
        traffic_policy: TrafficPolicy::Local,
        client_ip_affinity: false,
        publish_not_ready: false,
        sources: Sources::Everybody,
        bad_ranges: BTreeSet::new(),
        request: Default::default(),
    }
}

pub fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub fn v6(last: u8) -> IpAddr {
    format!("fd00::{last:x}").parse().unwrap()
}
