//! Which underlay subnet a VIP belongs to, and the MAC that steers a frame into its switch.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::{Mac, Service, Subnet, World};

use super::view::View;
use super::{Refusal, exclude_ips};

/// Whether VIPs may live in this subnet at all.
pub fn is_eligible(subnet: &Subnet) -> bool {
    subnet.ovn_provided && subnet.vlan.is_some() && subnet.external_lb
}

/// The subnet of a Service's VIP, checked as far as the cluster alone tells; or why it may not be served.
pub(super) fn checked<'w>(view: View<'w>, service: &Service, vip: IpAddr) -> Result<&'w Subnet, Refusal> {
    let subnet = of(view.world, service, vip)?;
    exclude_ips::refuse_reserved(view.world, subnet, vip)?;
    exclude_ips::refuse_unexcluded(view, subnet, service, vip)?;
    Ok(subnet)
}

/// Of the subnets whose CIDR holds the VIP, an eligible one; among several, the one that holds the backends.
pub(super) fn of<'w>(world: &'w World, service: &Service, vip: IpAddr) -> Result<&'w Subnet, Refusal> {
    let holding = || world.subnets().filter(|subnet| subnet.contains(vip));
    let mut eligible = holding().filter(|subnet| is_eligible(subnet)).peekable();
    if let Some(first) = eligible.next() {
        if eligible.peek().is_none() {
            return Ok(first);
        }
        let all = std::iter::once(first).chain(eligible);
        // Of several that are equally good the first by name: min_by_key takes the first.
        return Ok(all.min_by_key(|subnet| unlikeliness(world, service, subnet)).unwrap_or(first));
    }
    let underlay = holding().find(|subnet| subnet.ovn_provided && subnet.vlan.is_some());
    if let Some(subnet) = underlay {
        return Err(Refusal::ExternalLbDisabled { vip, subnet: subnet.name.clone() });
    }
    Err(match holding().next() {
        Some(subnet) => Refusal::NotUnderlay { vip, subnet: subnet.name.clone() },
        None => Refusal::NoSubnet { vip },
    })
}

/// How little speaks for a subnet among several with the VIP: Kube-OVN's books say that a backend lives there; its
/// CIDR holds one; it is of the default Vpc.
fn unlikeliness(world: &World, service: &Service, subnet: &Subnet) -> (bool, bool, bool) {
    let endpoints = || {
        let endpoints = world.slices_of(&service.key).flat_map(|slice| &slice.endpoints);
        endpoints.map(|endpoint| endpoint.address)
    };
    let lives_here = |address| world.allocations_of(address).any(|found| found.subnet == subnet.name);
    let booked = endpoints().any(lives_here);
    let held = endpoints().any(|address| subnet.contains(address));
    (!booked, !held, subnet.vpc.is_some())
}

/// The destination MAC that a frame for a VIP must have when it enters the subnet's switch.
///
/// With a router port on the switch it is that port's: `status.u2oInterconnectionMAC`, or the one that the
/// controller published. Without one Kube-OVN's OVN takes any MAC, and upstream OVN has our own router port,
/// whose MAC is derived from the subnet's name.
pub fn steering_mac(subnet: &Subnet) -> Result<Mac, Refusal> {
    match (subnet.u2o_mac, subnet.steering_mac) {
        (Some(mac), _) | (None, Some(mac)) => Ok(mac),
        (None, None) if subnet.logical_gateway => Err(Refusal::NoSteeringMac { subnet: subnet.name.clone() }),
        (None, None) => Ok(derived_steering_mac(subnet)),
    }
}

/// The MAC of our own router port: locally administered (IEEE 802 §8.4), the rest a hash of the name.
pub fn derived_steering_mac(subnet: &Subnet) -> Mac {
    let digest = Sha256::digest(format!("ovn-vip router port {}", subnet.name));
    let mut mac = [0x0a, 0, 0, 0, 0, 0];
    mac[1..].copy_from_slice(&digest[..5]);
    Mac(mac)
}
