//! What one node does of a VIP, and on a segment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{
    AnnouncePlan, InterfaceName, Mac, Node, NodeName, ProviderNetwork, SegmentPlan, Service, Steered, Subnet,
    Vlan, World,
};

use super::unit::{Place, Units};
use super::view::View;
use super::{Refusal, elect, subnet};

/// A node's segments, with nothing on them.
pub(super) fn segments(world: &World, node: &NodeName) -> (AnnouncePlan, BTreeSet<Refusal>) {
    let mut plan = AnnouncePlan::default();
    let mut refusals = BTreeSet::new();
    let Some(node) = world.node(node) else { return (plan, refusals) };
    let bridges = world.providers().filter_map(|provider| provider.bridge_and_nic(&node.name));
    plan.bridges = bridges.map(|(bridge, _)| bridge).collect();
    for subnet in world.subnets().filter(|subnet| subnet::is_eligible(subnet)) {
        match segment(world, node, subnet) {
            Ok(Some(segment)) => drop(plan.segments.insert(subnet.name.clone(), segment)),
            Ok(None) => {}
            Err(refusal) => drop(refusals.insert(refusal)),
        }
    }
    (plan, refusals)
}

/// What keeps every node from speaking on a segment.
pub(super) fn segment_refusals(world: &World) -> impl Iterator<Item = Refusal> {
    let subnets = world.subnets().filter(|subnet| subnet::is_eligible(subnet));
    subnets.filter_map(|subnet| Underlay::of(world, subnet).err())
}

/// Adds what this node does of a VIP.
pub(super) fn plan_vip<'w>(
    view: View<'w>,
    units: &mut Units<'w>,
    node: &Node,
    vip: IpAddr,
    plan: &mut AnnouncePlan,
) {
    // Why a VIP is refused is the controller's to say, once for the cluster.
    let subnets = view.services_at(vip).filter_map(|service| subnet::of(view.world, service, vip).ok());
    let subnets: BTreeMap<_, _> = subnets.map(|subnet| (&subnet.name, subnet)).collect();
    for subnet in subnets.into_values() {
        let Some(segment) = plan.segments.get_mut(&subnet.name) else { continue };
        let place = units.at(subnet, vip);
        let services = steer(place, node, vip, segment);
        if services.is_empty() {
            continue;
        }
        match place.announcer {
            Some(announcer) if *announcer == node.name => {
                let claim = elect::claim(view.world, &node.name, &subnet.name, vip);
                segment.announced.insert(vip, claim);
                for service in services.into_iter().filter(|service| is_stated_by(view, units, service, vip))
                {
                    plan.stated.insert(service.key.clone(), (subnet.name.clone(), vip));
                }
            }
            Some(announcer) => {
                segment.handed_over.insert(vip);
                let report = view.world.report_of(announcer);
                let there = report.and_then(|report| report.segments.get(&subnet.name));
                segment.successors.extend(there.map(|there| (vip, there.mac)));
                if report.and_then(|report| report.term(&subnet.name, vip)).is_some() {
                    segment.taken_over.insert(vip);
                }
            }
            None => {}
        }
    }
}

/// Steers what the node can deliver of a VIP; the Services that it can.
fn steer<'w>(place: &Place<'w>, node: &Node, vip: IpAddr, segment: &mut SegmentPlan) -> Vec<&'w Service> {
    let mut services = Vec::new();
    for member in place.members.values().filter(|member| member.admitted) {
        let Steered { ports, gated: _, local, elsewhere } = member.steered_on(&node.name);
        if ports.is_empty() {
            continue;
        }
        let steered = segment.steered.entry(vip).or_default();
        steered.ports.extend(ports);
        steered.gated = place.is_gated();
        steered.local.extend(local);
        steered.elsewhere.extend(elsewhere);
        services.push(member.service);
    }
    services
}

/// Whether of a Service's VIPs this is the first that anybody announces.
fn is_stated_by<'w>(view: View<'w>, units: &mut Units<'w>, service: &Service, vip: IpAddr) -> bool {
    let mut announced = |vip: &IpAddr| {
        let subnet = subnet::checked(view, service, *vip);
        subnet.is_ok_and(|subnet| units.at(subnet, *vip).announcer.is_some())
    };
    !service.vips.iter().take_while(|other| **other != vip).any(&mut announced)
}

/// What a subnet is on every node alike.
struct Underlay<'w> {
    vlan: &'w Vlan,
    provider: &'w ProviderNetwork,
    steering_mac: Mac,
}

impl<'w> Underlay<'w> {
    fn of(world: &'w World, subnet: &Subnet) -> Result<Self, Refusal> {
        // An eligible subnet has one.
        let name = subnet.vlan.clone().unwrap_or_else(|| "".into());
        let vlan = world.vlan(&name);
        let vlan = vlan.ok_or_else(|| Refusal::NoVlan { subnet: subnet.name.clone(), vlan: name })?;
        let provider = world.provider(&vlan.provider).ok_or_else(|| Refusal::NoProvider {
            vlan: vlan.name.clone(),
            provider: vlan.provider.clone(),
        })?;
        Ok(Self { vlan, provider, steering_mac: subnet::steering_mac(subnet)? })
    }
}

/// Where a subnet is on this node; `None` where its provider network leaves the node out.
fn segment(world: &World, node: &Node, subnet: &Subnet) -> Result<Option<SegmentPlan>, Refusal> {
    let Underlay { vlan, provider, steering_mac } = Underlay::of(world, subnet)?;
    let Some((bridge, nic)) = provider.bridge_and_nic(&node.name) else { return Ok(None) };
    let patch_port = format!("patch-localnet.{}-to-br-int", subnet.name);
    Ok(Some(SegmentPlan {
        bridge,
        nic,
        vlan: vlan.id,
        patch_port: InterfaceName::from(patch_port),
        steering_mac,
        steered: BTreeMap::new(),
        peers: peers(world, node, subnet),
        beating: beating(world, node, subnet),
        announced: BTreeMap::new(),
        handed_over: BTreeSet::new(),
        successors: BTreeMap::new(),
        taken_over: BTreeSet::new(),
    }))
}

/// The MACs of the other speakers on the segment.
fn peers(world: &World, node: &Node, subnet: &Subnet) -> Option<BTreeSet<Mac>> {
    world.reports().next()?;
    let others = world.reports().filter(|report| report.node != node.name);
    Some(others.filter_map(|report| report.segments.get(&subnet.name)).map(|segment| segment.mac).collect())
}

/// The other speakers that beat on the segment.
fn beating(world: &World, node: &Node, subnet: &Subnet) -> BTreeMap<NodeName, Mac> {
    let others = world.reports().filter(|report| report.node != node.name);
    let segments =
        others.filter_map(|report| Some((report.node.clone(), report.segments.get(&subnet.name)?)));
    segments.filter(|(_, segment)| segment.beats).map(|(node, segment)| (node, segment.mac)).collect()
}
