//! Whether a node may announce the VIPs of a place, whatever its backends; and if not, why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::{
    AddressPool, Advertisement, InterfaceName, Node, NodeName, ProviderNetwork, Service, Subnet,
};

use super::Obstacle;
use super::view::View;

/// The nodes of one place, as far as they were asked about.
pub(super) struct Candidates<'w> {
    view: View<'w>,
    subnet: &'w Subnet,
    provider: Option<&'w ProviderNetwork>,
    /// What MetalLB's L2Advertisements say of the VIP's pools.
    advertisements: Vec<&'w Advertisement>,
    asked: BTreeMap<&'w NodeName, Result<[InterfaceName; 2], Obstacle>>,
}

/// Which L2Advertisements say which nodes may announce a Service.
pub(super) enum Advertised<'w> {
    /// There are none for the VIP's pool: MetalLB would announce it nowhere, and it is left to us.
    Freely,
    /// By these, each for the nodes that it selects.
    By(Vec<&'w Advertisement>),
    /// By none of those that the VIP's pool has.
    No,
}

impl<'w> Candidates<'w> {
    pub fn new(view: View<'w>, subnet: &'w Subnet, vip: IpAddr) -> Self {
        let world = view.world;
        let vlan = subnet.vlan.as_ref().and_then(|vlan| world.vlan(vlan));
        let pools: Vec<&AddressPool> = world.pools().filter(|pool| pool.contains(vip)).collect();
        let is_about = |advertisement: &&Advertisement| pools.iter().any(|pool| advertisement.is_about(pool));
        Self {
            view,
            subnet,
            provider: vlan.and_then(|vlan| world.provider(&vlan.provider)),
            advertisements: world.advertisements().filter(is_about).collect(),
            asked: BTreeMap::new(),
        }
    }

    /// Who says which nodes may announce this Service.
    pub fn advertised(&self, service: &Service) -> Advertised<'w> {
        if self.advertisements.is_empty() {
            return Advertised::Freely;
        }
        let selecting = self.advertisements.iter().filter(|found| found.selects_service(service));
        let selecting: Vec<_> = selecting.copied().collect();
        if selecting.is_empty() { Advertised::No } else { Advertised::By(selecting) }
    }

    /// What keeps a node from announcing.
    pub fn obstacle(&mut self, advertised: &Advertised<'w>, node: &'w Node) -> Option<Obstacle> {
        let Self { view, subnet, provider, advertisements: _, asked } = self;
        let asked = asked.entry(&node.name).or_insert_with(|| own_obstacle(*view, subnet, *provider, node));
        match asked {
            Err(obstacle) => Some(obstacle.clone()),
            Ok([bridge, nic]) => not_advertised(advertised, node, [bridge, nic]),
        }
    }
}

/// What a node is or says of itself; else its bridge and NIC.
fn own_obstacle(
    view: View<'_>,
    subnet: &Subnet,
    provider: Option<&ProviderNetwork>,
    node: &Node,
) -> Result<[InterfaceName; 2], Obstacle> {
    let Some(provider) = provider else { return Err(Obstacle::NoProviderNetwork) };
    let excluded = node.providers_excluding.contains(&provider.name);
    let Some((bridge, nic)) = provider.bridge_and_nic(&node.name).filter(|_| !excluded) else {
        return Err(Obstacle::OutsideProviderNetwork(provider.name.clone()));
    };
    let report = view.world.report_of(&node.name);
    // One that has said nothing at all may not have been asked.
    let can_speak =
        report.is_none_or(|report| report.segments.get(&subnet.name).is_some_and(|segment| segment.ready));
    let obstacle = if !node.ready {
        Obstacle::NotReady
    } else if node.network_unavailable {
        Obstacle::NetworkUnavailable
    } else if node.excluded_from_load_balancers {
        Obstacle::Excluded
    } else if node.providers_not_ready.contains(&provider.name) {
        Obstacle::ProviderNetworkNotReady(provider.name.clone())
    } else if is_absent(view, subnet, node) {
        Obstacle::SpeakerAway
    } else if !can_speak {
        Obstacle::CannotSpeak
    } else {
        return Ok([bridge, nic]);
    };
    Err(obstacle)
}

/// Whether it is dead on the segment.
fn is_absent(view: View<'_>, subnet: &Subnet, node: &Node) -> bool {
    let absent = view.absent.and_then(|absent| absent.get(&subnet.name));
    absent.is_some_and(|absent| absent.contains(&node.name))
}

/// Together L2Advertisements admit what any of them admits.
fn not_advertised(
    advertised: &Advertised<'_>,
    node: &Node,
    interfaces: [&InterfaceName; 2],
) -> Option<Obstacle> {
    let advertisements = match advertised {
        Advertised::Freely => return None,
        Advertised::No => return Some(Obstacle::NotSelected),
        Advertised::By(advertisements) => advertisements,
    };
    let mut selecting = advertisements.iter().filter(|found| found.selects_node(&node.labels)).peekable();
    if selecting.peek().is_none() {
        return Some(Obstacle::NotSelected);
    }
    let takes = selecting.any(|found| found.takes_interface(interfaces));
    (!takes).then_some(Obstacle::OtherInterfaces)
}
