//! What a Subnet's `excludeIps` lacks, and the list with it.

use std::net::IpAddr;

use crate::model::{AddressPool, AddressRange, ExcludeIps, RangeSet, Subnet, World};

use super::excluded;
use crate::plan::{Policy, is_eligible, subnet};

/// The addresses of MetalLB's pools, and the VIPs, that Kube-OVN could hand to a pod of this subnet.
pub fn missing_exclude_ips(world: &World, policy: &Policy, subnet: &Subnet) -> RangeSet {
    if !is_eligible(subnet) {
        return RangeSet::default();
    }
    let vips: RangeSet = vips_in(world, policy, subnet).collect();
    world.pools().fold(vips, |all, pool| all.union(&of_pool(pool))).intersection(&allocatable(subnet))
}

/// The whole new `excludeIps` of a Subnet that wants to be fixed; `None` where nothing is to do.
///
/// Compared by what is covered, not by how it is written: Kube-OVN merges and sorts the list, and whatever it makes
/// of this one is left alone. The result is merged, and sorted as text, as Kube-OVN does. Where MetalLB's pools would
/// leave no address for pods only the VIPs are added.
pub fn fixed_exclude_ips(world: &World, policy: &Policy, subnet: &Subnet) -> Option<Vec<AddressRange>> {
    if policy.exclude_ips_in(subnet) != ExcludeIps::Fix {
        return None;
    }
    let mut missing = missing_exclude_ips(world, policy, subnet);
    if allocatable(subnet).difference(&missing).is_empty() {
        let vips: RangeSet = vips_in(world, policy, subnet).collect();
        missing = missing.intersection(&vips);
    }
    if missing.is_empty() {
        return None;
    }
    let mut list: Vec<AddressRange> = excluded(subnet).union(&missing).ranges().collect();
    list.sort_by_key(ToString::to_string);
    Some(list)
}

/// What Kube-OVN could hand to a pod.
pub(super) fn allocatable(subnet: &Subnet) -> RangeSet {
    RangeSet::usable(&subnet.cidrs).difference(&excluded(subnet))
}

/// The ranges of a pool.
pub(super) fn of_pool(pool: &AddressPool) -> RangeSet {
    pool.ranges.iter().copied().collect()
}

/// The VIPs of Services of ours that belong to this subnet.
fn vips_in(world: &World, policy: &Policy, subnet: &Subnet) -> impl Iterator<Item = IpAddr> {
    let here = |vip: &IpAddr| {
        let mut services = world.services_at(*vip).filter(|service| policy.serves(service));
        services.any(|service| subnet::of(world, service, *vip).is_ok_and(|found| found.name == subnet.name))
    };
    world.vips().filter(|vip| subnet.contains(*vip)).filter(here).collect::<Vec<_>>().into_iter()
}
