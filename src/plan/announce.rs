//! What one node answers for, and what it steers into OVN.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{
    AnnouncePlan, Family, InterfaceName, Mac, Node, NodeName, Protocol, SegmentPlan, Service, Steered,
    Subnet, VlanId, World,
};

use super::{Policy, Refusal, backends, elect, subnet};

/// What this node does on each segment, from the world alone: every node comes to the same election.
///
/// A VIP that this node has a ready backend for is steered, whoever announces it, so that rules are in place
/// before a claim. A node that can deliver nothing of a VIP neither steers nor announces it.
pub fn announce_plan(world: &World, policy: &Policy, node: &NodeName) -> (AnnouncePlan, BTreeSet<Refusal>) {
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
    for vip in world.vips() {
        plan_vip(world, policy, node, vip, &mut plan);
    }
    (plan, refusals)
}

fn plan_vip(world: &World, policy: &Policy, node: &Node, vip: IpAddr, plan: &mut AnnouncePlan) {
    let mut announcer = None;
    for service in world.services_at(vip) {
        // Why a VIP is refused is the controller's to say, once for the cluster.
        let Ok(subnet) = subnet::checked(world, policy, service, vip) else { continue };
        let ports = local_ports(world, node, subnet, service, vip);
        if ports.is_empty() {
            continue;
        }
        let Some(segment) = plan.segments.get_mut(&subnet.name) else { continue };
        segment.steered.entry(vip).or_default().ports.extend(ports);
        let announcer = announcer.get_or_insert_with(|| elect::announcer(world, policy, vip));
        if announcer.as_ref() == Some(&node.name) {
            segment.announced.insert(vip);
        }
    }
}

/// The Service's ports that a backend on this node serves.
fn local_ports(
    world: &World,
    node: &Node,
    subnet: &Subnet,
    service: &Service,
    vip: IpAddr,
) -> BTreeSet<(Protocol, u16)> {
    let served = service.ports.iter().filter(|port| {
        backends::port_owner(world, vip, port) == Some(&service.key)
            && backends::usable(world, subnet, service, port, Family::of(vip))
                .usable
                .iter()
                .any(|backend| backend.node == node.name)
    });
    served.map(|port| (port.protocol, port.port)).collect()
}

/// Where a subnet is on this node; `None` where its provider network leaves the node out.
fn segment(world: &World, node: &Node, subnet: &Subnet) -> Result<Option<SegmentPlan>, Refusal> {
    let Some(vlan_name) = &subnet.vlan else { return Ok(None) };
    let vlan = world
        .vlan(vlan_name)
        .ok_or_else(|| Refusal::NoVlan { subnet: subnet.name.clone(), vlan: vlan_name.clone() })?;
    let provider = world
        .provider(&vlan.provider)
        .ok_or_else(|| Refusal::NoProvider { vlan: vlan.name.clone(), provider: vlan.provider.clone() })?;
    let steering_mac = subnet::steering_mac(subnet)?;
    let bridge_and_nic = provider.bridge_and_nic(&node.name);
    Ok(bridge_and_nic.map(|(bridge, nic)| new_segment(bridge, nic, vlan.id, subnet, steering_mac)))
}

fn new_segment(
    bridge: InterfaceName,
    nic: InterfaceName,
    vlan: Option<VlanId>,
    subnet: &Subnet,
    steering_mac: Mac,
) -> SegmentPlan {
    SegmentPlan {
        bridge,
        nic,
        vlan,
        patch_port: InterfaceName::from(format!("patch-localnet.{}-to-br-int", subnet.name)),
        steering_mac,
        steered: BTreeMap::<IpAddr, Steered>::new(),
        announced: BTreeSet::new(),
    }
}
