//! MetalLB's pools against the subnets that they lie in: whole ranges, before any address of them becomes a VIP.

use std::net::IpAddr;

use crate::model::{AddressPool, AddressRange, ExcludeIps, ObjectKey, RangeSet, Subnet, World};

use super::fix::{allocatable, of_pool};
use super::reserved;
use crate::plan::{Finding, Policy, Severity, is_eligible};

/// How many ranges are named before the rest is counted.
const NAMED: usize = 8;

/// Everything about pools.
pub(in crate::plan) fn findings(world: &World, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pool in world.pools() {
        place(world, pool, &mut findings);
        taken(world, pool, &mut findings);
        for subnet in world.subnets().filter(|subnet| is_eligible(subnet)) {
            exclusion(world, policy, pool, subnet, &mut findings);
        }
    }
    unadvertised(world, &mut findings);
    overlaps(world, &mut findings);
    unknown_pools(world, &mut findings);
    findings
}

/// A pool lies in subnets that take VIPs, or it serves nobody here.
fn place(world: &World, pool: &AddressPool, findings: &mut Vec<Finding>) {
    let subnets =
        |which: fn(&Subnet) -> bool| -> Vec<&Subnet> { world.subnets().filter(|s| which(s)).collect() };
    let holds = |subnets: &[&Subnet]| {
        subnets.iter().fold(RangeSet::default(), |all, subnet| all.union(&whole(subnet)))
    };
    let addresses = of_pool(pool);
    let outside = addresses.difference(&holds(&subnets(is_eligible)));
    if outside.is_empty() {
        return;
    }
    let closed: Vec<&Subnet> =
        subnets(|subnet| subnet.ovn_provided && subnet.vlan.is_some() && !subnet.external_lb);
    let closed = closed.into_iter().find(|subnet| !whole(subnet).intersection(&outside).is_empty());
    let (severity, message, cure) = match closed {
        Some(subnet) => (
            Severity::Error,
            format!("{} in Subnet {}, which takes no VIPs", lies(&outside), subnet.name),
            format!("set spec.enableExternalLBAddress: true in Subnet {}", subnet.name),
        ),
        None if outside == addresses => (
            Severity::Warning,
            format!("no underlay Subnet holds any of it: {}", text(&outside)),
            "take addresses of an underlay Subnet, unless others serve this pool".to_owned(),
        ),
        None => (
            Severity::Warning,
            format!("{} outside every underlay Subnet", lies(&outside)),
            "take the rest of the range out of spec.addresses".to_owned(),
        ),
    };
    findings.push(of(pool, severity, "PoolOutsideSubnet", message, cure));
}

/// Addresses of a pool that are somebody's already.
fn taken(world: &World, pool: &AddressPool, findings: &mut Vec<Finding>) {
    for subnet in world.subnets().filter(|subnet| is_eligible(subnet)) {
        let mut suspects: Vec<IpAddr> = subnet.gateways.clone();
        suspects.extend(subnet.cidrs.iter().flat_map(|cidr| [cidr.network(), cidr.broadcast()]));
        suspects.extend(world.nodes().flat_map(|node| &node.addresses));
        let here = world.allocations().filter(|found| found.subnet == subnet.name);
        suspects.extend(here.flat_map(|found| &found.addresses));
        suspects.retain(|address| subnet.contains(*address) && pool.hands_out(*address));
        suspects.sort_unstable();
        suspects.dedup();
        for address in suspects {
            let Some(reserved) = reserved(world, subnet, address) else { continue };
            let message = format!("{address} of it is {reserved} of Subnet {}", subnet.name);
            let cure = "take it out of spec.addresses".to_owned();
            findings.push(of(pool, Severity::Error, "PoolTakesAddress", message, cure));
        }
    }
}

/// Addresses of a pool that Kube-OVN could hand to a pod.
fn exclusion(
    world: &World,
    policy: &Policy,
    pool: &AddressPool,
    subnet: &Subnet,
    findings: &mut Vec<Finding>,
) {
    let free = of_pool(pool).intersection(&allocatable(subnet));
    if free.is_empty() {
        return;
    }
    // Where subnets overlap the pool may be another one's, which may cover it.
    let others = world.subnets().filter(|other| is_eligible(other) && other.name != subnet.name);
    let covered = others.into_iter().any(|other| {
        let left = free.intersection(&allocatable(other));
        !free.intersection(&whole(other)).is_empty() && left.is_empty()
    });
    let severity = match policy.exclude_ips_in(subnet) {
        ExcludeIps::Enforce if covered => Severity::Warning,
        ExcludeIps::Enforce => Severity::Error,
        ExcludeIps::Warn => Severity::Warning,
        ExcludeIps::Fix => Severity::Info,
    };
    let plural = if free.count() == 1 { "address" } else { "addresses" };
    let message = format!(
        "Kube-OVN may hand {} {plural} of IPAddressPool {} to pods: {}",
        free.count(),
        pool.key,
        text(&free)
    );
    let lines: String = free.ranges().map(|range| format!("\n  - {}", quoted(&range.to_string()))).collect();
    let cure = match policy.exclude_ips_in(subnet) {
        ExcludeIps::Fix => format!("the controller adds to spec.excludeIps:{lines}"),
        ExcludeIps::Enforce | ExcludeIps::Warn => format!("add to spec.excludeIps:{lines}"),
    };
    findings.push(Finding {
        severity,
        object: ObjectKey::Subnet(subnet.name.clone()).to_string(),
        field: "spec.excludeIps".to_owned(),
        reason: "PoolNotExcluded",
        message,
        cure,
    });
}

/// Pools of an underlay subnet that MetalLB would announce nowhere, and we do.
fn unadvertised(world: &World, findings: &mut Vec<Finding>) {
    let subnets: Vec<&Subnet> = world.subnets().filter(|subnet| is_eligible(subnet)).collect();
    for pool in world.pools() {
        let is_ours = || subnets.iter().any(|subnet| !of_pool(pool).intersection(&whole(subnet)).is_empty());
        if !world.advertisements().any(|found| found.is_about(pool)) && is_ours() {
            let message = "no L2Advertisement is for it: any node may announce its VIPs".to_owned();
            let cure = "nothing, unless nodes or Services are to be chosen: then write an L2Advertisement";
            let finding = of(pool, Severity::Info, "PoolNotAdvertised", message, cure.to_owned());
            findings.push(Finding { field: "metadata.name".to_owned(), ..finding });
        }
    }
}

fn overlaps(world: &World, findings: &mut Vec<Finding>) {
    let pools: Vec<&AddressPool> = world.pools().collect();
    for (i, pool) in pools.iter().enumerate() {
        for other in &pools[i + 1..] {
            let both = of_pool(pool).intersection(&of_pool(other));
            if !both.is_empty() {
                let message = format!("it shares {} with IPAddressPool {}", text(&both), other.key);
                let cure =
                    "MetalLB refuses its whole configuration over this: take them out of one".to_owned();
                findings.push(of(pool, Severity::Error, "PoolsOverlap", message, cure));
            }
        }
    }
}

/// L2Advertisements that name a pool which is not there.
fn unknown_pools(world: &World, findings: &mut Vec<Finding>) {
    for advertisement in world.advertisements() {
        for name in &advertisement.pools {
            let known = |pool: &AddressPool| {
                pool.key.namespace == advertisement.key.namespace && pool.key.name == *name
            };
            if !world.pools().any(known) {
                findings.push(Finding {
                    severity: Severity::Warning,
                    object: ObjectKey::Advertisement(advertisement.key.clone()).to_string(),
                    field: "spec.ipAddressPools".to_owned(),
                    reason: "NoSuchPool",
                    message: format!("it names IPAddressPool {name}, which does not exist"),
                    cure: "correct the name".to_owned(),
                });
            }
        }
    }
}

fn of(
    pool: &AddressPool,
    severity: Severity,
    reason: &'static str,
    message: String,
    cure: String,
) -> Finding {
    let object = ObjectKey::AddressPool(pool.key.clone()).to_string();
    Finding { severity, object, field: "spec.addresses".to_owned(), reason, message, cure }
}

/// All addresses of a subnet, network and broadcast included.
fn whole(subnet: &Subnet) -> RangeSet {
    let ranges = subnet.cidrs.iter();
    ranges.filter_map(|cidr| AddressRange::new(cidr.network(), cidr.broadcast())).collect()
}

fn lies(set: &RangeSet) -> String {
    format!("{} of it {}", text(set), if set.count() == 1 { "lies" } else { "lie" })
}

fn text(set: &RangeSet) -> String {
    let one = |range: AddressRange| match RangeSet::from_iter([range]).count() {
        2 => format!("{}, {}", range.first(), range.last()),
        _ => range.to_string(),
    };
    let named: Vec<String> = set.ranges().take(NAMED).map(one).collect();
    match set.ranges().count() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more ranges", named.join(", ")),
    }
}

/// As YAML wants it: a text that may begin or end with a colon is quoted.
fn quoted(range: &str) -> String {
    if range.contains(':') { format!("\"{range}\"") } else { range.to_owned() }
}
