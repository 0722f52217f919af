//! Whether an address of a subnet may be a VIP: nobody else's, and never handed to a pod.

use std::net::IpAddr;

use crate::model::{Family, Subnet, World};

use super::{ExcludeIps, Policy, Refusal, Reserved};

/// Refuses addresses that are somebody's always, and addresses that Kube-OVN could hand out by policy.
pub(super) fn check(world: &World, policy: &Policy, subnet: &Subnet, vip: IpAddr) -> Result<(), Refusal> {
    if let Some(reserved) = reserved(world, subnet, vip) {
        return Err(Refusal::ReservedAddress { vip, subnet: subnet.name.clone(), reserved });
    }
    match policy.exclude_ips {
        ExcludeIps::Enforce if !is_excluded(subnet, vip) => {
            Err(Refusal::NotExcluded { vip, subnet: subnet.name.clone() })
        }
        ExcludeIps::Enforce | ExcludeIps::Warn => Ok(()),
    }
}

/// Whether Kube-OVN's address allocation leaves this address alone.
fn is_excluded(subnet: &Subnet, vip: IpAddr) -> bool {
    subnet.exclude_ips.iter().any(|range| range.contains(vip))
}

fn reserved(world: &World, subnet: &Subnet, vip: IpAddr) -> Option<Reserved> {
    if subnet.gateways.contains(&vip) {
        return Some(Reserved::Gateway);
    }
    let cidr = subnet.cidr(Family::of(vip))?;
    // RFC 3021: a /31 has neither; an IPv6 subnet has no broadcast (RFC 4291 §2.6.1: its first is the routers').
    let room = u32::from(cidr.max_prefix_len() - cidr.prefix_len());
    if room > 1 && vip == cidr.network() {
        return Some(Reserved::Network);
    }
    if room > 1 && vip.is_ipv4() && vip == cidr.broadcast() {
        return Some(Reserved::Broadcast);
    }
    world.nodes().find(|node| node.addresses.contains(&vip)).map(|node| Reserved::Node(node.name.clone()))
}
