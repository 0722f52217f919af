//! How pods of a subnet with Kube-OVN's router port (`u2oInterconnection`, `logicalGateway`) reach its VIPs.
//!
//! A pod sends to the MAC that answers for the VIP: the announcing node's. Where its own switch translated the packet, a
//! packet to that MAC would find no port. On Kube-OVN's OVN (1.15.20 and newer) a VIP can be translated on one chassis only;
//! every other hands the packet on to the wire, and so to the announcing node.

use std::net::IpAddr;

use crate::model::{Locality, NodeName, Subnet};

use super::unit::Place;
use super::view::View;

/// The node that alone translates a VIP: the one that holds it, and is to go on. None while it moves: then each node
/// translates for itself, and the next one is able to deliver before it says its first word.
pub(super) fn only_on<'w>(
    view: View<'w>,
    place: &Place<'w>,
    subnet: &Subnet,
    vip: IpAddr,
) -> Option<&'w NodeName> {
    let network = view.network.filter(|network| network.locality == Some(Locality::PreferLocal))?;
    let switch = network
        .switches
        .get(&subnet.name)
        .filter(|switch| switch.kube_ovn && !switch.router_ports.is_empty());
    let announcer = place.announcer.filter(|_| switch.is_some())?;
    let holders = view.world.holders_of(vip).filter(|report| report.term(&subnet.name, vip).is_some());
    let nodes = holders.filter_map(|report| view.world.node(&report.node)).filter(|node| node.ready);
    let mut nodes = nodes.map(|node| &node.name).peekable();
    nodes.peek()?;
    let is_alone = nodes.all(|node| node == announcer);
    let delivers = !view.world.cannot_deliver(announcer, &subnet.name, vip);
    (is_alone && delivers && network.node_ports.contains(announcer)).then_some(announcer)
}
