//! Whether a VIP that is balanced is also answered for: what the controller says of the speakers' election.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::model::{Family, Service, Subnet};

use super::view::View;
use super::{Refusal, backends, elect};

/// Why a Service's VIP, or a port of it, stays dark although it has backends.
pub(super) fn review(
    view: View<'_>,
    refusals: &mut BTreeSet<Refusal>,
    service: &Service,
    subnet: &Subnet,
    vip: IpAddr,
) {
    if !subnet.wishes.announce {
        return;
    }
    if let Some(status) = view.services_at(vip).find_map(|sharer| view.world.announced_by_others(&sharer.key))
    {
        refusals.insert(Refusal::AnnouncedByOthers {
            vip,
            node: status.node.clone(),
            status: status.key.clone(),
        });
        return;
    }
    let served = service.ports.iter().filter(|port| {
        backends::port_owner(view, subnet, vip, port) == Some(&service.key)
            && !backends::usable(view.world, subnet, service, port, Family::of(vip)).usable.is_empty()
    });
    let served: Vec<_> = served.collect();
    if served.is_empty() {
        return;
    }
    if elect::nodes_serving(view, subnet, service, vip).is_empty() {
        refusals.insert(Refusal::NobodyMayAnnounce { vip });
    }
    // Speakers know nothing of the northbound, and so decide without.
    let Some(node) = elect::elected(View { network: None, ..view }, subnet, vip) else { return };
    let there = backends::steered_on(view, node, subnet, service, vip).ports;
    for port in served.iter().filter(|port| !there.contains(&(port.protocol, port.port))) {
        let key = SocketAddr::new(vip, port.port);
        refusals.insert(Refusal::DarkPort { key, protocol: port.protocol, node: node.clone() });
    }
}
