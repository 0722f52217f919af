//! Whether an address of a subnet may be a VIP: nobody else's, and never handed to a pod.

mod fix;
mod pools;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::model::{ExcludeIps, Family, RangeSet, Service, Subnet, World};

use super::view::View;
use super::{Refusal, Reserved};

pub use fix::{fixed_exclude_ips, missing_exclude_ips};
pub(super) use pools::findings;

/// Refuses addresses that are somebody's, always.
pub(super) fn refuse_reserved(world: &World, subnet: &Subnet, vip: IpAddr) -> Result<(), Refusal> {
    match reserved(world, subnet, vip) {
        Some(reserved) => Err(Refusal::ReservedAddress { vip, subnet: subnet.name.clone(), reserved }),
        None => Ok(()),
    }
}

/// Refuses addresses that Kube-OVN could hand out, by policy. `Some` is a warning: the VIP is served all the same.
pub(super) fn refuse_unexcluded(
    view: View<'_>,
    subnet: &Subnet,
    service: &Service,
    vip: IpAddr,
) -> Result<Option<Refusal>, Refusal> {
    if is_excluded(subnet, vip) {
        return Ok(None);
    }
    let served = || subnet.served.contains(&vip) || view.is_served(service, vip);
    match view.policy.exclude_ips_in(subnet) {
        // To take down what works because a list was edited would be worse than what the list guards against.
        ExcludeIps::Enforce | ExcludeIps::Fix if !served() => {
            Err(Refusal::NotExcluded { vip, subnet: subnet.name.clone() })
        }
        ExcludeIps::Enforce | ExcludeIps::Fix | ExcludeIps::Warn => {
            Ok(Some(Refusal::ServedNotExcluded { vip, subnet: subnet.name.clone() }))
        }
    }
}

/// Whether Kube-OVN's address allocation leaves this address alone.
fn is_excluded(subnet: &Subnet, vip: IpAddr) -> bool {
    subnet.exclude_ips.iter().any(|range| range.contains(vip))
}

/// Everything that Kube-OVN's address allocation leaves alone.
fn excluded(subnet: &Subnet) -> RangeSet {
    subnet.exclude_ips.iter().copied().collect()
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
    if let Some(node) = world.nodes_with(vip).next() {
        return Some(Reserved::Node(node.name.clone()));
    }
    let mut allocations = world.allocations_of(vip).filter(|found| found.subnet == subnet.name);
    allocations.next().map(|found| Reserved::Allocated(found.holder.clone()))
}
