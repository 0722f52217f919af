//! Which node announces a VIP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::{AddressPool, Family, InterfaceName, Node, NodeName, Service, Subnet, World};

use super::view::View;
use super::{Policy, backends, subnet};

/// A node's place in the order of a VIP's announcers: the lowest wins. The same order as MetalLB's
/// (`speaker/layer2_controller.go`), so that a cluster which changes over moves no VIP without need.
pub fn rank(node: &NodeName, vip: IpAddr) -> [u8; 32] {
    Sha256::digest(format!("{node}#{vip}")).into()
}

/// The node that announces a VIP: of the nodes that can serve every Service on it (else the most of them),
/// the lowest in rank. Every node comes to the same answer from the same world.
pub fn announcer(world: &World, policy: &Policy, vip: IpAddr) -> Option<NodeName> {
    elected(View { world, policy, network: None }, vip).cloned()
}

pub(super) fn elected<'w>(view: View<'w>, vip: IpAddr) -> Option<&'w NodeName> {
    let mut services_served: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for service in view.services_at(vip) {
        // Two that answer for one address are worse than none of ours.
        if view.world.announced_by_others(&service.key).is_some() {
            return None;
        }
        let Ok(subnet) = subnet::checked(view, service, vip) else { continue };
        for node in nodes_serving(view, subnet, service, vip) {
            *services_served.entry(node).or_default() += 1;
        }
    }
    let most = services_served.values().copied().max()?;
    let candidates = services_served.into_iter().filter(|(_, served)| *served == most).map(|(node, _)| node);
    candidates.min_by_key(|node| rank(node, vip))
}

/// The nodes that have a local backend for at least one port of the Service, and may announce; a ready one, where there
/// is one anywhere.
pub(super) fn nodes_serving<'w>(
    view: View<'w>,
    subnet: &Subnet,
    service: &Service,
    vip: IpAddr,
) -> BTreeSet<&'w NodeName> {
    let family = Family::of(vip);
    let usable = service
        .ports
        .iter()
        .filter(|port| backends::port_owner(view, vip, port) == Some(&service.key))
        .flat_map(|port| backends::usable(view.world, subnet, service, port, family).usable);
    let usable: Vec<_> = usable.collect();
    let any_ready = usable.iter().any(|backend| backend.ready);
    let named: BTreeSet<NodeName> = usable
        .into_iter()
        .filter(|backend| backend.ready || !any_ready)
        .map(|backend| backend.node)
        .collect();
    let nodes = named.iter().filter_map(|node| view.world.node(node));
    nodes.filter(|node| may_announce(view.world, subnet, service, vip, node)).map(|node| &node.name).collect()
}

/// Whether a node may announce this VIP, whatever its backends.
fn may_announce(world: &World, subnet: &Subnet, service: &Service, vip: IpAddr, node: &Node) -> bool {
    let vlan = subnet.vlan.as_ref().and_then(|vlan| world.vlan(vlan));
    let Some(provider) = vlan.and_then(|vlan| world.provider(&vlan.provider)) else { return false };
    let Some((bridge, nic)) = provider.bridge_and_nic(&node.name) else { return false };
    subnet.wishes.announce
        && node.ready
        && !node.excluded_from_load_balancers
        && !node.providers_not_ready.contains(&provider.name)
        && is_advertised(world, service, vip, node, [&bridge, &nic])
}

/// What MetalLB's L2Advertisements say of a node, where there are any for the VIP's pool; together they admit what
/// any of them admits.
fn is_advertised(
    world: &World,
    service: &Service,
    vip: IpAddr,
    node: &Node,
    interfaces: [&InterfaceName; 2],
) -> bool {
    let pools: Vec<&AddressPool> = world.pools().filter(|pool| pool.contains(vip)).collect();
    let mut about = world
        .advertisements()
        .filter(|advertisement| pools.iter().any(|pool| advertisement.is_about(pool, service)))
        .peekable();
    about.peek().is_none() || about.any(|advertisement| advertisement.admits(&node.labels, interfaces))
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
