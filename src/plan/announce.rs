//! What one node answers for, and what it steers into OVN.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{
    AnnouncePlan, InterfaceName, Mac, Node, NodeName, SegmentPlan, Service, Steered, Subnet, VlanId, World,
};

use super::view::View;
use super::{Policy, Refusal, backends, elect, subnet};

/// What this node does on each segment, from the world alone: every node comes to the same election. `alive`: the nodes
/// whose speakers are known to be; `None` where that is not known, and all count as such.
///
/// A VIP that this node has a ready backend for is steered, whoever announces it, so that rules are in place
/// before a claim. A node that can deliver nothing of a VIP neither steers nor announces it.
pub fn announce_plan(
    world: &World,
    policy: &Policy,
    alive: Option<&BTreeSet<NodeName>>,
    node: &NodeName,
) -> (AnnouncePlan, BTreeSet<Refusal>) {
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
    let view = View { world, policy, network: None, alive };
    for vip in world.vips() {
        plan_vip(view, node, vip, &mut plan);
    }
    (plan, refusals)
}

fn plan_vip(view: View<'_>, node: &Node, vip: IpAddr, plan: &mut AnnouncePlan) {
    let mut elected = BTreeMap::new();
    for service in view.services_at(vip) {
        // Why a VIP is refused is the controller's to say, once for the cluster.
        let Ok(subnet) = subnet::checked(view, service, vip) else { continue };
        let Steered { ports, local, elsewhere } =
            backends::steered_on(view, &node.name, subnet, service, vip);
        if ports.is_empty() {
            continue;
        }
        let Some(segment) = plan.segments.get_mut(&subnet.name) else { continue };
        let steered = segment.steered.entry(vip).or_default();
        steered.ports.extend(ports);
        steered.local.extend(local);
        steered.elsewhere.extend(elsewhere);
        let announcer = elected.entry(&subnet.name).or_insert_with(|| elect::elected(view, subnet, vip));
        match *announcer {
            Some(announcer) if *announcer == node.name => {
                segment.announced.insert(vip, elect::claim(view.world, &node.name, subnet, vip));
                if is_stated_by(view, service, vip) {
                    plan.stated.insert(service.key.clone(), (subnet.name.clone(), vip));
                }
            }
            Some(announcer) => {
                segment.handed_over.insert(vip);
                let report = view.world.report_of(announcer);
                if report.and_then(|report| report.term(&subnet.name, vip)).is_some() {
                    segment.taken_over.insert(vip);
                }
            }
            None => {}
        }
    }
}

/// Whether of a Service's VIPs this is the first that anybody announces.
fn is_stated_by(view: View<'_>, service: &Service, vip: IpAddr) -> bool {
    let announced = |vip: &IpAddr| {
        let subnet = subnet::checked(view, service, *vip);
        subnet.is_ok_and(|subnet| elect::elected(view, subnet, *vip).is_some())
    };
    !service.vips.iter().take_while(|other| **other != vip).any(announced)
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
    let new = |(bridge, nic)| SegmentPlan {
        peers: peers(world, node, subnet),
        ..new_segment(bridge, nic, vlan.id, subnet, steering_mac)
    };
    Ok(bridge_and_nic.map(new))
}

/// The MACs of the other speakers on the segment.
fn peers(world: &World, node: &Node, subnet: &Subnet) -> Option<BTreeSet<Mac>> {
    world.reports().next()?;
    let others = world.reports().filter(|report| report.node != node.name);
    Some(others.filter_map(|report| report.segments.get(&subnet.name)).map(|segment| segment.mac).collect())
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
        peers: None,
        announced: BTreeMap::new(),
        handed_over: BTreeSet::new(),
        taken_over: BTreeSet::new(),
    }
}
