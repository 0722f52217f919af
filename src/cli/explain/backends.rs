//! The endpoints of a VIP: where they are, and whether OVN has bound their ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::steps::{Mark, Step, Way, Wrong};
use crate::model::{LspName, NodeName};
use crate::plan::Stage;

/// What the southbound tells of an endpoint's port.
enum Binding<'n> {
    /// It is bound, or nobody looked.
    Fine,
    /// No chassis has it: frames to it are lost.
    Nowhere(&'n LspName),
}

impl Way<'_> {
    pub(super) fn backends_step(&self) -> Step {
        let mut step = self.step(Stage::Backends, Mark::Right, self.backend_words());
        if step.mark != Mark::Right {
            return step;
        }
        if self.backends.is_empty() {
            let words = "not looked at: whose row it is left to has backends of its own";
            return Step { mark: Mark::Unknown, says: vec![words.to_owned()], ..step };
        }
        let addresses: BTreeSet<IpAddr> = self.backends.values().flatten().map(SocketAddr::ip).collect();
        let dead = |address: &IpAddr| self.disabled(*address).or_else(|| self.unbound(*address));
        let dead: Vec<Wrong> = addresses.iter().filter_map(dead).collect();
        if !dead.is_empty() {
            step.mark = if dead.len() == addresses.len() { Mark::Wrong } else { Mark::Doubtful };
            step.wrongs = dead;
        }
        step
    }

    fn disabled(&self, address: IpAddr) -> Option<Wrong> {
        let port = self.facts.disabled.get(&address)?;
        let is = format!("endpoint {address}: its port {port} is disabled: OVN drops whatever comes to it");
        Some(Wrong { is, cure: format!("ovn-nbctl lsp-set-enabled {port} enabled") })
    }

    fn unbound(&self, address: IpAddr) -> Option<Wrong> {
        let Binding::Nowhere(port) = self.binding(address) else { return None };
        let node = self.node_of(address).map_or_else(|| "its node".to_owned(), ToString::to_string);
        let is = format!("endpoint {address}: no chassis has its port {port}: frames for it are lost");
        let cure = format!(
            "does ovn-controller run on {node}, and is the pod's interface in br-int there (`ovs-vsctl find Interface external_ids:iface-id={port}`)?"
        );
        Some(Wrong { is, cure })
    }

    fn binding(&self, address: IpAddr) -> Binding<'_> {
        let switches = &self.facts.reconciler.network().switches;
        let switch = self.subnet.and_then(|subnet| switches.get(&subnet.name));
        match switch.and_then(|switch| switch.ports.get(&address)) {
            Some(port) if port.chassis.is_none() && self.facts.southbound.is_some() => {
                Binding::Nowhere(&port.name)
            }
            Some(_) | None => Binding::Fine,
        }
    }

    fn node_of(&self, address: IpAddr) -> Option<&NodeName> {
        let world = self.facts.reconciler.world();
        let endpoints = world.slices_of(&self.service.key).flat_map(|slice| &slice.endpoints);
        endpoints.filter(|endpoint| endpoint.address == address).find_map(|endpoint| endpoint.node.as_ref())
    }

    fn backend_words(&self) -> Vec<String> {
        let words = self.backends.iter().map(|((protocol, port), backends)| {
            let backends = backends.iter().map(|backend| match self.node_of(backend.ip()) {
                Some(node) => format!("{backend} on {node}"),
                None => backend.to_string(),
            });
            format!("{}/{port} -> {}", protocol.as_str(), backends.collect::<Vec<_>>().join(", "))
        });
        words.collect()
    }
}
