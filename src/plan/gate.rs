//! Who may reach a Service's VIPs: what is closed, and what is said of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::model::{Family, Gate, Service, Sources, Subnet};

use super::Refusal;
use super::service::ServicePlan;
use super::unit::Member;
use super::view::View;

/// Closes the keys of a VIP that are this Service's, unless they are open to everybody. It does not matter whose row
/// balances them, or whether there is a backend.
pub(super) fn close(view: View<'_>, plan: &mut ServicePlan, member: &Member<'_>, home: &Subnet, vip: IpAddr) {
    let service = member.service;
    if service.sources.of(Family::of(vip)) == Sources::Everybody {
        return;
    }
    let ours = member.ports.iter().filter(|port| port.owned).map(|port| port.port);
    let keys: BTreeSet<_> = ours.map(|port| (port.protocol, SocketAddr::new(vip, port.port))).collect();
    if keys.is_empty() {
        return;
    }
    let switch = view.network.and_then(|network| network.switches.get(&home.name));
    let gate = plan.gates.entry(home.name.clone()).or_insert_with(|| Gate {
        subnet: home.name.clone(),
        cidrs: home.cidrs.clone(),
        routers: switch.map(|switch| switch.router_ports.clone()).unwrap_or_default(),
        keys: BTreeSet::new(),
        sources: service.sources.clone(),
    });
    gate.keys.extend(keys);
}

/// What of the ranges closes more than they say.
pub(super) fn review(refusals: &mut BTreeSet<Refusal>, service: &Service) {
    let bad = service.bad_ranges.iter();
    refusals.extend(bad.map(|bad| Refusal::BadSourceRange { range: bad.text.clone(), field: bad.field }));
    let closed = |vip: &&IpAddr| service.sources.of(Family::of(**vip)) == Sources::only([]);
    refusals.extend(service.vips.iter().filter(closed).map(|&vip| Refusal::ClosedToAll { vip }));
}
