//! What Kube-OVN and MetalLB tell: addresses given out, pools, advertisements, and who announces.

use ovn_vip::model::{
    AddressPool, AddressRange, Advertisement, AdvertisementKey, Allocation, L2Status, L2StatusKey, Labels,
    Mac, Object, PoolKey, ReportKey, Requirement, SegmentReport, Selector, ServiceKey, SpeakerReport,
    SubnetName, Term,
};
use proptest::prelude::*;

use super::{NODES, PODS, SERVICES, v4, v6};

/// A pod's address, or a VIP that a pod was given.
pub fn allocation() -> impl Strategy<Value = Object> + Clone {
    let last = prop::sample::select([&PODS[..], &[250, 251]].concat());
    (last, prop::sample::select(&["underlay", "other"][..])).prop_map(|(last, subnet)| {
        Object::Allocation(Allocation {
            name: format!("p{last}.default").into(),
            subnet: SubnetName::from(subnet),
            addresses: [v4(last)].into(),
            holder: format!("Pod default/p{last}").into(),
        })
    })
}

pub fn pool() -> impl Strategy<Value = Object> {
    (prop::sample::select(&["x", "y"][..]), 249..252u8).prop_map(|(name, first)| {
        Object::AddressPool(AddressPool {
            key: PoolKey::new("metallb-system", name),
            labels: Labels::new(),
            ranges: vec![AddressRange::new(v4(first), v4(254)).unwrap()],
            avoid_buggy_ips: false,
            giving: Default::default(),
        })
    })
}

pub fn advertisement() -> impl Strategy<Value = Object> {
    let pool = prop::option::of(prop::sample::select(&["x", "y"][..]));
    (prop::sample::select(&["m", "n"][..]), pool, prop::sample::select(&NODES[..])).prop_map(
        |(name, pool, node)| {
            let values = [node.into()].into();
            Object::Advertisement(Advertisement {
                key: AdvertisementKey::new("metallb-system", name),
                pools: pool.into_iter().map(Into::into).collect(),
                pool_selectors: Vec::new(),
                service_selectors: Vec::new(),
                node_selectors: vec![Selector { requirements: vec![Requirement::In("name".into(), values)] }],
                interfaces: Default::default(),
            })
        },
    )
}

pub fn status() -> impl Strategy<Value = Object> + Clone {
    (prop::sample::select(&SERVICES[..]), prop::sample::select(&NODES[..]), any::<bool>()).prop_map(
        |(service, node, ours)| {
            Object::L2Status(L2Status {
                key: L2StatusKey::new("metallb-system", &format!("l2-{service}")),
                service: ServiceKey::new("default", service),
                node: node.into(),
                ours,
            })
        },
    )
}

/// What a speaker says; several may say that they hold a VIP.
pub fn report() -> impl Strategy<Value = Object> + Clone {
    let vip = prop::sample::select(vec![v4(250), v4(251), v6(250)]);
    let held = prop::collection::btree_map(vip, 1..4u64, 0..4);
    (0..NODES.len(), prop::bool::weighted(0.8), held.clone(), held).prop_map(|(node, ready, held, left)| {
        let left = left.into_iter().filter(|(vip, _)| !held.contains_key(vip)).collect();
        Object::Report(report_of(NODES[node], ready, held, left))
    })
}

pub fn report_of(
    node: &str,
    ready: bool,
    held: std::collections::BTreeMap<std::net::IpAddr, Term>,
    left: std::collections::BTreeMap<std::net::IpAddr, Term>,
) -> SpeakerReport {
    let number = NODES.iter().position(|name| *name == node).unwrap() as u8;
    // What was left is what could not be delivered, on every other node.
    let undelivered = left.keys().filter(|_| number % 2 == 1).copied().collect();
    let segment = SegmentReport {
        mac: Mac([2, 0, 0, 0, 0, number]),
        beats: true,
        ready,
        held,
        left,
        undelivered,
        strangers: Default::default(),
        missed: [].into(),
    };
    SpeakerReport {
        key: ReportKey::new("ovn-vip", &format!("speaker.{node}")),
        node: node.into(),
        segments: [(SubnetName::from("underlay"), segment)].into(),
    }
}
