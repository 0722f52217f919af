//! Which endpoints may serve a port of a Service, and on which node.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::model::{
    Endpoint, Family, NodeName, Service, ServiceKey, ServicePort, SlicePort, Steered, Subnet, World,
};

use super::view::View;
use super::{Refusal, subnet};

/// What became of a port's endpoints.
pub(super) struct Backends {
    /// Those that serve: the ready ones, and on nodes without one those that serve while they terminate.
    pub usable: Vec<Usable>,
    /// Those that would, but cannot.
    pub refusals: Vec<Refusal>,
}

/// An endpoint that may serve.
pub(super) struct Usable {
    /// Address and target port.
    pub backend: SocketAddr,
    /// Its node.
    pub node: NodeName,
    /// Whether it is ready. One that only terminates keeps its node delivering until another has taken the VIP over;
    /// it makes no node a candidate while there is a ready one anywhere.
    pub ready: bool,
}

/// The endpoints of a Service's port, in one family.
pub(super) fn usable(
    world: &World,
    subnet: &Subnet,
    service: &Service,
    port: &ServicePort,
    family: Family,
) -> Backends {
    let endpoints = || {
        let slices = world.slices_of(&service.key).filter(move |slice| slice.family == family);
        slices.flat_map(move |slice| {
            let target = slice.ports.iter().find(|candidate| same_port(candidate, port));
            let endpoints =
                target.map(|target| slice.endpoints.iter().map(move |endpoint| (endpoint, target.port)));
            endpoints.into_iter().flatten()
        })
    };
    // The API server's own slices say "ready" of every endpoint of such a Service; others may not.
    let is_ready = |endpoint: &Endpoint| endpoint.ready || service.publish_not_ready;
    let any_ready = endpoints().any(|(endpoint, _)| is_ready(endpoint));
    let ready_nodes: BTreeSet<&NodeName> = endpoints()
        .filter(|(endpoint, _)| is_ready(endpoint))
        .filter_map(|(found, _)| found.node.as_ref())
        .collect();
    let outlasts = |endpoint: &Endpoint| endpoint.serving && endpoint.terminating;
    let serves = |endpoint: &Endpoint| {
        let alone = || endpoint.node.as_ref().is_some_and(|node| !ready_nodes.contains(node));
        is_ready(endpoint) || (outlasts(endpoint) && (!any_ready || alone()))
    };
    let mut backends = Backends { usable: Vec::new(), refusals: Vec::new() };
    for (endpoint, target_port) in endpoints().filter(|(endpoint, _)| serves(endpoint)) {
        match place(world, subnet, endpoint) {
            Ok(node) => {
                let backend = SocketAddr::new(endpoint.address, target_port);
                backends.usable.push(Usable { backend, node, ready: is_ready(endpoint) });
            }
            Err(refusal) => backends.refusals.push(refusal),
        }
    }
    backends
}

/// The Service that has a VIP's port in a subnet: of several that want the same, the first by name, on every node alike.
pub(super) fn port_owner<'w>(
    view: View<'w>,
    subnet: &Subnet,
    vip: IpAddr,
    port: &ServicePort,
) -> Option<&'w ServiceKey> {
    let wants = |service: &&Service| {
        service.ports.iter().any(|other| (other.protocol, other.port) == (port.protocol, port.port))
            && subnet::of(view.world, service, vip).is_ok_and(|found| found.name == subnet.name)
    };
    view.services_at(vip).find(wants).map(|service| &service.key)
}

/// What of a Service's VIP a node can deliver: the ports that a backend of its own serves, and where the backends are.
pub(super) fn steered_on(
    view: View<'_>,
    node: &NodeName,
    subnet: &Subnet,
    service: &Service,
    vip: IpAddr,
) -> Steered {
    let mut steered = Steered::default();
    for port in service.ports.iter().filter(|port| port_owner(view, subnet, vip, port) == Some(&service.key))
    {
        for Usable { backend, node: at, ready: _ } in
            usable(view.world, subnet, service, port, Family::of(vip)).usable
        {
            if at == *node {
                steered.ports.insert((port.protocol, port.port));
                steered.local.insert(backend.ip());
            } else {
                steered.elsewhere.insert(backend.ip());
            }
        }
    }
    steered
}

/// A slice's port belongs to the Service's port of the same name and protocol.
fn same_port(candidate: &SlicePort, port: &ServicePort) -> bool {
    candidate.protocol == port.protocol && candidate.name == port.name
}

fn place(world: &World, subnet: &Subnet, endpoint: &Endpoint) -> Result<NodeName, Refusal> {
    let address = endpoint.address;
    if !subnet.contains(address) {
        return Err(Refusal::BackendOutsideSubnet { address, subnet: subnet.name.clone() });
    }
    let Some(node) = endpoint.node.clone() else {
        return Err(Refusal::BackendWithoutNode { address });
    };
    match world.node(&node) {
        None => Err(Refusal::BackendOnUnknownNode { address, node }),
        Some(found) if found.chassis.is_none() => Err(Refusal::BackendWithoutChassis { address, node }),
        Some(_) => Ok(node),
    }
}
