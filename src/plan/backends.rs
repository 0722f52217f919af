//! Which endpoints may serve a port of a Service, and on which node.

use std::net::{IpAddr, SocketAddr};

use crate::model::{Endpoint, Family, NodeName, Service, ServiceKey, ServicePort, SlicePort, Subnet, World};

use super::Refusal;

/// What became of a port's endpoints.
pub(super) struct Backends {
    /// Those that serve: every one of them ready, or, where none is, serving while it terminates.
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
    let any_ready = endpoints().any(|(endpoint, _)| endpoint.ready);
    let serves = |endpoint: &Endpoint| match any_ready {
        true => endpoint.ready,
        false => endpoint.serving && endpoint.terminating,
    };
    let mut backends = Backends { usable: Vec::new(), refusals: Vec::new() };
    for (endpoint, target_port) in endpoints().filter(|(endpoint, _)| serves(endpoint)) {
        match place(world, subnet, endpoint) {
            Ok(node) => {
                backends.usable.push(Usable { backend: SocketAddr::new(endpoint.address, target_port), node })
            }
            Err(refusal) => backends.refusals.push(refusal),
        }
    }
    backends
}

/// The Service that has a VIP's port: of several that want the same, the first by name, on every node alike.
pub(super) fn port_owner<'w>(world: &'w World, vip: IpAddr, port: &ServicePort) -> Option<&'w ServiceKey> {
    let wants = |service: &&Service| {
        service.ports.iter().any(|other| (other.protocol, other.port) == (port.protocol, port.port))
    };
    world.services_at(vip).find(wants).map(|service| &service.key)
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
