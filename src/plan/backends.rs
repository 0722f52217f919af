//! Which endpoints may serve a port of a Service, and on which node.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::model::{Endpoint, Family, NodeName, Service, ServicePort, SlicePort, Subnet, World};

use super::Refusal;

/// What became of a port's endpoints.
pub(super) struct Backends<'w> {
    /// Those that serve: the ready ones, and on nodes without one those that serve while they terminate.
    pub usable: Vec<Usable<'w>>,
    /// Those that would, but cannot.
    pub refusals: Vec<Refusal>,
}

/// An endpoint that may serve.
pub(super) struct Usable<'w> {
    /// Address and target port.
    pub backend: SocketAddr,
    /// Its node.
    pub node: &'w NodeName,
    /// Whether it is ready. One that only terminates keeps its node delivering until another has taken the VIP over;
    /// it makes no node a candidate while there is a ready one anywhere.
    pub ready: bool,
    /// Whether OVN delivers to it there, as far as the cluster tells. One that it does not elects nobody.
    pub delivered: bool,
}

/// The endpoints of a Service's port, in one family.
pub(super) fn usable<'w>(
    world: &'w World,
    subnet: &Subnet,
    service: &Service,
    port: &ServicePort,
    family: Family,
) -> Backends<'w> {
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
                let delivered = subnet.delivers(endpoint.address, node);
                backends.usable.push(Usable { backend, node, ready: is_ready(endpoint), delivered });
            }
            Err(refusal) => backends.refusals.push(refusal),
        }
    }
    backends
}

/// Why no endpoint of a port is of use; nothing where that is not what is said.
pub fn lack(world: &World, service: &Service, refusal: &Refusal) -> Option<String> {
    let Refusal::NoReadyBackend { key, protocol } = refusal else { return None };
    let family = Family::of(key.ip());
    let port = service.ports.iter().find(|port| port.port == key.port() && port.protocol == *protocol)?;
    let slices: Vec<_> = world.slices_of(&service.key).filter(|slice| slice.family == family).collect();
    if slices.is_empty() {
        let name = &service.key.name;
        return Some(format!("no {family} EndpointSlice has the label kubernetes.io/service-name: {name}"));
    }
    let with_port: Vec<_> =
        slices.iter().filter(|slice| slice.ports.iter().any(|found| same_port(found, port))).collect();
    if with_port.is_empty() {
        let name = if port.name.is_empty() {
            "without a name".to_owned()
        } else {
            format!("of the name {}", port.name)
        };
        return Some(format!("none of its EndpointSlices has a {protocol} port {name}"));
    }
    let endpoints = || with_port.iter().flat_map(|slice| &slice.endpoints);
    match (endpoints().count(), endpoints().filter(|endpoint| endpoint.ready).count()) {
        (0, _) => {
            Some("its EndpointSlices have no endpoint: no pod has the labels of spec.selector".to_owned())
        }
        (1, 0) => Some("its one endpoint is not ready".to_owned()),
        (all, 0) => Some(format!("{all} endpoints, none ready")),
        (_, _) => None,
    }
}

/// A slice's port belongs to the Service's port of the same name and protocol.
fn same_port(candidate: &SlicePort, port: &ServicePort) -> bool {
    candidate.protocol == port.protocol && candidate.name == port.name
}

fn place<'w>(world: &World, subnet: &Subnet, endpoint: &'w Endpoint) -> Result<&'w NodeName, Refusal> {
    let address = endpoint.address;
    if !subnet.contains(address) {
        return Err(Refusal::BackendOutsideSubnet { address, subnet: subnet.name.clone() });
    }
    let Some(node) = &endpoint.node else {
        return Err(Refusal::BackendWithoutNode { address });
    };
    match world.node(node) {
        None => Err(Refusal::BackendOnUnknownNode { address, node: node.clone() }),
        Some(found) if found.chassis.is_none() => {
            Err(Refusal::BackendWithoutChassis { address, node: node.clone() })
        }
        Some(_) => Ok(node),
    }
}
