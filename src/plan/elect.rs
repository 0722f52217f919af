//! Which node announces a VIP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::{Family, Node, NodeName, Service, Subnet, World};

use super::{Policy, backends, subnet};

/// A node's place in the order of a VIP's announcers: the lowest wins. The same order as MetalLB's
/// (`speaker/layer2_controller.go`), so that a cluster which changes over moves no VIP without need.
pub fn rank(node: &NodeName, vip: IpAddr) -> [u8; 32] {
    Sha256::digest(format!("{node}#{vip}")).into()
}

/// The node that announces a VIP: of the nodes that can serve every Service on it (else the most of them),
/// the lowest in rank. Every node comes to the same answer from the same world.
pub fn announcer(world: &World, policy: &Policy, vip: IpAddr) -> Option<NodeName> {
    let mut services_served: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for service in world.services_at(vip) {
        let Ok(subnet) = subnet::checked(world, policy, service, vip) else { continue };
        for node in nodes_serving(world, subnet, service, vip) {
            *services_served.entry(node).or_default() += 1;
        }
    }
    let most = services_served.values().copied().max()?;
    let candidates = services_served.into_iter().filter(|(_, served)| *served == most).map(|(node, _)| node);
    candidates.min_by_key(|node| rank(node, vip)).cloned()
}

/// The nodes that have a local backend for at least one port of the Service, and may announce.
fn nodes_serving<'w>(
    world: &'w World,
    subnet: &Subnet,
    service: &Service,
    vip: IpAddr,
) -> std::collections::BTreeSet<&'w NodeName> {
    let family = Family::of(vip);
    let usable = service
        .ports
        .iter()
        .filter(|port| backends::port_owner(world, vip, port) == Some(&service.key))
        .flat_map(|port| backends::usable(world, subnet, service, port, family).usable);
    let nodes = usable.filter_map(|backend| world.node(&backend.node));
    nodes.filter(|node| may_announce(world, subnet, node)).map(|node| &node.name).collect()
}

/// Whether a node may announce VIPs of this subnet, whatever its backends.
fn may_announce(world: &World, subnet: &Subnet, node: &Node) -> bool {
    let vlan = subnet.vlan.as_ref().and_then(|vlan| world.vlan(vlan));
    let Some(provider) = vlan.and_then(|vlan| world.provider(&vlan.provider)) else { return false };
    node.ready
        && !node.excluded_from_load_balancers
        && !node.providers_not_ready.contains(&provider.name)
        && provider.bridge_and_nic(&node.name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nodes: &[&str], vip: &str) -> Vec<String> {
        let vip = vip.parse().unwrap();
        let mut nodes: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
        nodes.sort_by_key(|node| rank(node, vip));
        nodes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nodes_rank_as_metallb_ranks_them() {
        assert_eq!(order(&["a", "b", "c"], "10.0.0.1"), ["a", "c", "b"]);
        assert_eq!(order(&["a", "b", "c"], "10.0.0.2"), ["b", "c", "a"]);
        assert_eq!(order(&["iris1", "iris2"], "10.20.30.1")[0], "iris2");
        assert_eq!(order(&["Node1", "Node2", "Node3"], "10.180.204.252")[0], "Node2");
    }
}
