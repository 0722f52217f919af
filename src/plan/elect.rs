//! Which node announces a VIP.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::{
    AddressPool, Family, InterfaceName, LAST_TERM, Node, NodeName, PlannedClaim, Service, Subnet, World,
};

use super::view::View;
use super::{backends, subnet};

/// A node's place in the order of a VIP's announcers: the lowest wins. The same order as MetalLB's
/// (`speaker/layer2_controller.go`), so that a cluster which changes over moves no VIP without need.
pub fn rank(node: &NodeName, vip: IpAddr) -> [u8; 32] {
    Sha256::digest(format!("{node}#{vip}")).into()
}

/// The node that announces a VIP of a subnet: of the nodes that can serve every Service on it (else the most of them)
/// the one that holds it already, so that nothing moves without need; else the lowest in rank, a cordoned one only where
/// there is no other. Every node comes to the same answer from the same world.
pub(super) fn elected<'w>(view: View<'w>, subnet: &Subnet, vip: IpAddr) -> Option<&'w NodeName> {
    let mut services_served: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for service in view.services_at(vip) {
        // Two that answer for one address are worse than none of ours.
        if view.world.announced_by_others(&service.key).is_some() {
            return None;
        }
        if !subnet::checked(view, service, vip).is_ok_and(|found| found.name == subnet.name) {
            continue;
        }
        for node in nodes_serving(view, subnet, service, vip) {
            *services_served.entry(node).or_default() += 1;
        }
    }
    let most = services_served.values().copied().max()?;
    let candidates = || {
        let best = services_served.iter().filter(|(_, served)| **served == most);
        best.filter_map(|(node, _)| view.world.node(node))
    };
    let term = |node: &&Node| view.world.report_of(&node.name)?.term(&subnet.name, vip);
    let holder = candidates().filter(|node| term(node).is_some());
    // Of several that say they hold it the one that claimed it last.
    let holder = holder.min_by_key(|node| (Reverse(term(node)), rank(&node.name, vip)));
    let elected = holder.or_else(|| candidates().min_by_key(|node| (node.cordoned, rank(&node.name, vip))));
    elected.map(|node| &node.name)
}

/// How a node that is elected takes the VIP.
pub(super) fn claim(world: &World, node: &NodeName, subnet: &Subnet, vip: IpAddr) -> PlannedClaim {
    let terms = world.holders_of(vip).filter_map(|report| report.last_term(&subnet.name, vip));
    let known = terms.max();
    let own = world.report_of(node).and_then(|report| report.term(&subnet.name, vip));
    PlannedClaim {
        term: own.unwrap_or_else(|| known.unwrap_or(0).saturating_add(1).min(LAST_TERM)),
        // Speakers that do not know each other cannot tell a peer that still holds it from a stranger.
        first: known.is_none() && world.reports().next().is_some(),
    }
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
        .filter(|port| backends::port_owner(view, subnet, vip, port) == Some(&service.key))
        .flat_map(|port| backends::usable(view.world, subnet, service, port, family).usable);
    let usable: Vec<_> = usable.collect();
    let any_ready = usable.iter().any(|backend| backend.ready);
    let named: BTreeSet<NodeName> = usable
        .into_iter()
        .filter(|backend| backend.ready || !any_ready)
        .map(|backend| backend.node)
        .collect();
    let nodes = named.iter().filter_map(|node| view.world.node(node));
    nodes.filter(|node| may_announce(view, subnet, service, vip, node)).map(|node| &node.name).collect()
}

/// Whether a node may announce this VIP, whatever its backends.
fn may_announce(view: View<'_>, subnet: &Subnet, service: &Service, vip: IpAddr, node: &Node) -> bool {
    let world = view.world;
    let vlan = subnet.vlan.as_ref().and_then(|vlan| world.vlan(vlan));
    let Some(provider) = vlan.and_then(|vlan| world.provider(&vlan.provider)) else { return false };
    let Some((bridge, nic)) = provider.bridge_and_nic(&node.name) else { return false };
    subnet.wishes.announce
        && node.ready
        && view.alive.is_none_or(|alive| alive.contains(&node.name))
        && can_speak(world, subnet, node)
        && !node.excluded_from_load_balancers
        && !node.providers_not_ready.contains(&provider.name)
        && is_advertised(world, service, vip, node, [&bridge, &nic])
}

/// What its speaker says of itself: a link, and a socket on it. One that has said nothing at all may not have been asked.
fn can_speak(world: &World, subnet: &Subnet, node: &Node) -> bool {
    let report = world.report_of(&node.name);
    report.is_none_or(|report| report.segments.get(&subnet.name).is_some_and(|segment| segment.ready))
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
