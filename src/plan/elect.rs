//! Which node announces the VIPs of a unit.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::{LAST_TERM, NodeName, PlannedClaim, SubnetName, World};

use super::unit::{Place, PlaceKey};
use super::view::View;

/// A node's place in the order of a VIP's announcers: the lowest wins. The same order as MetalLB's
/// (`speaker/layer2_controller.go`), so that a cluster which changes over moves no VIP without need.
pub fn rank(node: &NodeName, vip: IpAddr) -> [u8; 32] {
    Sha256::digest(format!("{node}#{vip}")).into()
}

/// What each node could serve of a unit, as ascending numbers of its Services' places.
type Votes<'w> = BTreeMap<&'w NodeName, Vec<usize>>;

/// The node that announces a unit. The one that holds it stays, so that nothing moves without need: until it serves
/// nothing of it any more, or another node could serve all that it does, and more. Else the one that can serve the most; of
/// several the lowest in rank, a cordoned one only where there is no other. What a node says it cannot deliver counts as
/// not served by it, unless no node can deliver anything. Every node comes to the same answer from the same world.
pub(super) fn elected<'w>(view: View<'w>, unit: &BTreeMap<PlaceKey<'w>, Place<'w>>) -> Option<&'w NodeName> {
    let delivers =
        |(subnet, vip): &PlaceKey<'_>, node: &NodeName| !view.world.cannot_deliver(node, subnet, *vip);
    let any = |_: &PlaceKey<'_>, _: &NodeName| true;
    elect(view, unit, &delivers).or_else(|| elect(view, unit, &any))
}

/// Whether a node can deliver a place.
type Delivers<'f> = dyn Fn(&PlaceKey<'_>, &NodeName) -> bool + 'f;

fn elect<'w>(
    view: View<'w>,
    unit: &BTreeMap<PlaceKey<'w>, Place<'w>>,
    delivers: &Delivers<'_>,
) -> Option<&'w NodeName> {
    let votes = votes(unit, delivers);
    let order = order(view, unit)?;
    let best = |all: &mut dyn Iterator<Item = (&'w NodeName, usize)>| {
        all.min_by_key(|(node, served)| order(node, *served)).map(|(node, _)| node)
    };
    let held = held(view, unit, delivers);
    // Two nodes that hold a VIP each, from a time when each VIP was elected alone: the fewest move.
    let holder = held
        .into_iter()
        .min_by_key(|(node, places)| (Reverse(*places), order(node, votes.get(node).map_or(0, Vec::len))));
    let Some((holder, _)) = holder else {
        return best(&mut votes.iter().map(|(node, served)| (*node, served.len())));
    };
    let own = votes.get(holder)?;
    let serves_more = |served: &Vec<usize>| served.len() > own.len() && has_all(served, own);
    let better = votes.iter().filter(|(_, served)| serves_more(served));
    Some(best(&mut better.map(|(node, served)| (*node, served.len()))).unwrap_or(holder))
}

fn votes<'w>(unit: &BTreeMap<PlaceKey<'w>, Place<'w>>, delivers: &Delivers<'_>) -> Votes<'w> {
    let mut votes = Votes::new();
    let places = unit.iter().flat_map(|(key, place)| place.members.values().map(move |member| (key, member)));
    for (number, (key, member)) in places.enumerate() {
        for node in member.votes().filter(|node| delivers(key, node)) {
            votes.entry(node).or_default().push(number);
        }
    }
    votes
}

/// How many places of a unit each node holds, by its own word, and serves. Of several that say they hold one, the node
/// that claimed it last holds it.
fn held<'w>(
    view: View<'w>,
    unit: &BTreeMap<PlaceKey<'w>, Place<'w>>,
    delivers: &Delivers<'_>,
) -> BTreeMap<&'w NodeName, usize> {
    let mut held: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for (key @ (subnet, vip), place) in unit {
        let reports = view.world.holders_of(*vip);
        let nodes = reports.filter_map(|report| view.world.node(&report.node)).map(|node| &node.name);
        let terms = nodes.filter_map(|node| Some((view.world.report_of(node)?.term(subnet, *vip)?, node)));
        let serving = terms.filter(|(_, node)| place.is_served_by(node) && delivers(key, node));
        if let Some((_, node)) = serving.min_by_key(|(term, node)| (Reverse(*term), rank(node, *vip))) {
            *held.entry(node).or_default() += 1;
        }
    }
    held
}

/// Of two nodes that hold what they can serve of a unit with one term each, the one that goes on: as [`elected`] has it once their
/// reports are read, whatever they say they cannot deliver.
pub(super) fn goes_on<'w>(
    view: View<'w>,
    unit: &BTreeMap<PlaceKey<'w>, Place<'w>>,
    nodes: [&'w NodeName; 2],
) -> Option<&'w NodeName> {
    let votes = votes(unit, &|_, _| true);
    let order = order(view, unit)?;
    let places = |node: &NodeName| {
        let served = unit.iter().filter(|(_, place)| place.is_served_by(node));
        let first = |vip| nodes.into_iter().min_by_key(|node| rank(node, vip));
        served
            .filter(|((_, vip), place)| {
                let is_other = |other: &&NodeName| *other != node && place.is_served_by(other);
                !nodes.iter().any(is_other) || first(*vip) == Some(node)
            })
            .count()
    };
    let served = |node: &NodeName| votes.get(node).map_or(0, Vec::len);
    nodes.into_iter().min_by_key(|node| (Reverse(places(node)), order(node, served(node))))
}

/// Which of several nodes is to have a unit, where nobody holds it.
type Order<'w> = Box<dyn Fn(&NodeName, usize) -> (Reverse<usize>, bool, [u8; 32]) + 'w>;

fn order<'w>(view: View<'w>, unit: &BTreeMap<PlaceKey<'w>, Place<'w>>) -> Option<Order<'w>> {
    let members = unit.values().flat_map(|place| place.members.values());
    // MetalLB ranks by a Service's first address.
    let services = members.filter(|member| member.admitted).map(|member| member.service);
    let first = services.min_by_key(|service| service.seniority())?;
    let address = first.first_vip.or_else(|| first.vips.first().copied())?;
    let is_cordoned = move |node: &NodeName| view.world.node(node).is_some_and(|node| node.cordoned);
    Some(Box::new(move |node, served| (Reverse(served), is_cordoned(node), rank(node, address))))
}

/// Whether one ascending list has all of another.
fn has_all(all: &[usize], some: &[usize]) -> bool {
    let mut all = all.iter();
    some.iter().all(|wanted| all.any(|found| found == wanted))
}

/// How a node that is elected takes the VIP.
pub(super) fn claim(world: &World, node: &NodeName, subnet: &SubnetName, vip: IpAddr) -> PlannedClaim {
    let terms = world.holders_of(vip).filter_map(|report| report.last_term(subnet, vip));
    let known = terms.max();
    let own = world.report_of(node).and_then(|report| report.term(subnet, vip));
    PlannedClaim {
        term: own.unwrap_or_else(|| known.unwrap_or(0).saturating_add(1).min(LAST_TERM)),
        // Speakers that do not know each other cannot tell a peer that still holds it from a stranger.
        first: known.is_none() && world.reports().next().is_some(),
    }
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
