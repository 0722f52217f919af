//! Which addresses may be given at all: none that Kube-OVN could hand out or has handed out, none that is a gateway's, a
//! node's, the network's or the broadcast's.
//!
//! What holds for ranges is counted in ranges, once for each change of pools, Subnets and Nodes. What holds for a single
//! address (Kube-OVN's books, ports, other Services) is looked up when its turn comes.

use std::net::IpAddr;

use super::why::Blocked;
use crate::model::{AddressRange, Network, RangeSet, Service, Subnet, World};

/// What a world says of addresses as ranges.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// Each part that nobody may have, with why.
    closed: Vec<(RangeSet, Blocked)>,
}

impl Ground {
    /// Reads it off the world.
    pub fn of(world: &World) -> Self {
        let mut closed = vec![(nobodys(), Blocked::Reserved("it is no host's address"))];
        let nodes: RangeSet = world.nodes().flat_map(|node| node.addresses.iter().copied()).collect();
        closed.push((nodes, Blocked::Reserved("a Node has it")));
        let gateways = world.subnets().flat_map(|subnet| subnet.gateways.iter().copied()).collect();
        closed.push((gateways, Blocked::Reserved("it is a Subnet's gateway")));
        // Where Subnets overlap, an address is at home in one that takes VIPs; others' books are about other networks.
        let (eligible, others): (Vec<&Subnet>, Vec<&Subnet>) = world.subnets().partition(|it| takes_vips(it));
        let homes = eligible.iter().fold(RangeSet::default(), |all, subnet| all.union(&whole(subnet)));
        let open = eligible.iter().fold(RangeSet::default(), |all, subnet| {
            all.union(&RangeSet::usable(&subnet.cidrs).intersection(&excluded(subnet)))
        });
        for (subnets, leave) in [(&eligible, &open), (&others, &homes)] {
            for subnet in subnets {
                let usable = RangeSet::usable(&subnet.cidrs);
                let edges = whole(subnet).difference(&usable).difference(leave);
                closed.push((edges, Blocked::Reserved("it is a Subnet's network or broadcast address")));
                let allocatable = usable.difference(&excluded(subnet)).difference(leave);
                closed.push((allocatable, Blocked::Allocatable(subnet.name.clone())));
            }
        }
        closed.retain(|(set, _)| !set.is_empty());
        Self { closed }
    }

    /// What of these ranges may be given.
    pub fn usable(&self, ranges: &RangeSet) -> RangeSet {
        self.closed.iter().fold(ranges.clone(), |left, (closed, _)| left.difference(closed))
    }

    /// What of these ranges may not, with why.
    pub fn closed(&self, ranges: &RangeSet) -> impl Iterator<Item = (RangeSet, Blocked)> {
        let parts = self.closed.iter().map(|(set, why)| (set.intersection(ranges), why.clone()));
        parts.filter(|(set, _)| !set.is_empty())
    }

    /// Why an address may not be given.
    pub fn why(&self, address: IpAddr) -> Option<&Blocked> {
        self.closed.iter().find(|(set, _)| set.contains(address)).map(|(_, why)| why)
    }
}

/// Who has a single address: Kube-OVN's books of IPs and Vips, the ports of its switch, a Service that gets its addresses
/// from somebody else.
pub(super) fn holder(
    world: &World,
    network: Option<&Network>,
    address: IpAddr,
    is_ours: impl Fn(&Service) -> bool,
) -> Option<Blocked> {
    if let Some(service) = world.services_at(address).find(|service| !is_ours(service)) {
        return Some(Blocked::Service(service.key.clone()));
    }
    let claims = || world.claims_of(address);
    if claims().next().is_none() && network.is_none() {
        return None;
    }
    let homes: Vec<&Subnet> = world.subnets().filter(|subnet| subnet.contains(address)).collect();
    let is_home = |subnet: &&&Subnet| takes_vips(subnet);
    let any_home = homes.iter().any(|subnet| is_home(&subnet));
    for subnet in homes.iter().filter(|subnet| !any_home || is_home(subnet)) {
        if let Some(claim) = claims().find(|claim| claim.subnet == subnet.name) {
            return Some(Blocked::Allocated(claim.holder.clone()));
        }
        let switch = network.and_then(|network| network.switches.get(&subnet.name));
        if let Some(port) = switch.and_then(|switch| switch.ports.get(&address)) {
            return Some(Blocked::Port(port.name.as_str().into()));
        }
    }
    None
}

/// Whether VIPs may live in a Subnet.
fn takes_vips(subnet: &Subnet) -> bool {
    subnet.ovn_provided && subnet.vlan.is_some() && subnet.external_lb
}

fn excluded(subnet: &Subnet) -> RangeSet {
    subnet.exclude_ips.iter().copied().collect()
}

fn whole(subnet: &Subnet) -> RangeSet {
    let cidrs = subnet.cidrs.iter();
    cidrs.filter_map(|cidr| AddressRange::new(cidr.network(), cidr.broadcast())).collect()
}

/// "This network", loopback, multicast, reserved and broadcast (RFC 6890); unspecified, loopback and multicast (RFC 4291).
fn nobodys() -> RangeSet {
    let ranges = [
        ([0, 0, 0, 0], [0, 255, 255, 255]),
        ([127, 0, 0, 0], [127, 255, 255, 255]),
        ([224, 0, 0, 0], [255, 255, 255, 255]),
    ];
    let v4 = ranges.into_iter().map(|(first, last)| (IpAddr::from(first), IpAddr::from(last)));
    let v6 = [(0, 1), (0xff00 << 112, u128::MAX)];
    let v6 = v6.into_iter().map(|(first, last)| (IpAddr::V6(first.into()), IpAddr::V6(last.into())));
    v4.chain(v6).filter_map(|(first, last)| AddressRange::new(first, last)).collect()
}
