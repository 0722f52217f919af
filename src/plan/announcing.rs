//! Whether a VIP that is balanced is also answered for: what the controller says of the speakers' election.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::{NodeName, Subnet, World};

use super::candidate::Advertised;
use super::unit::{Member, MemberPort, Place};
use super::{Obstacle, Refusal};

/// Why a Service's VIP, or a port of it, stays dark although it has backends.
pub(super) fn review(
    world: &World,
    refusals: &mut BTreeSet<Refusal>,
    member: &Member<'_>,
    place: &Place<'_>,
    subnet: &Subnet,
    vip: IpAddr,
) {
    if !subnet.wishes.announce {
        return;
    }
    if let Some(status) = place.others {
        refusals.insert(Refusal::AnnouncedByOthers {
            vip,
            node: status.node.clone(),
            status: status.key.clone(),
        });
        return;
    }
    let is_served =
        |port: &&MemberPort<'_>| port.owned && port.backends.usable.iter().any(|backend| backend.delivered);
    let served: Vec<_> = member.ports.iter().filter(is_served).map(|port| port.port).collect();
    if served.is_empty() {
        return;
    }
    if matches!(member.advertised, Advertised::No) {
        refusals.insert(Refusal::NotAdvertised { vip });
    } else if member.servers.is_empty() {
        refusals.insert(nobody(world, member, vip));
    }
    let Some(node) = place.elected else { return };
    let there = if place.announcer.is_some() { member.steered_on(node).ports } else { BTreeMap::new() };
    for port in served.iter().filter(|port| !there.contains_key(&(port.protocol, port.port))) {
        let key = SocketAddr::new(vip, port.port);
        refusals.insert(Refusal::DarkPort { key, protocol: port.protocol, node: node.clone() });
    }
}

/// Nobody may announce a Service: what is in the way, node by node.
fn nobody(world: &World, member: &Member<'_>, vip: IpAddr) -> Refusal {
    let mut hindered: BTreeMap<Obstacle, BTreeSet<NodeName>> = BTreeMap::new();
    for (node, obstacle) in &member.hindered {
        hindered.entry(obstacle.clone()).or_default().insert((*node).clone());
    }
    let others = world.nodes().count().saturating_sub(member.hindered.len());
    Refusal::NobodyMayAnnounce { vip, hindered, others }
}
