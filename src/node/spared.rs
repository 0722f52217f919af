//! Rules that are left on bridges although nothing wants them: what cannot be read may need them still.

use std::collections::BTreeSet;

use super::Agent;
use crate::flows::{Flow, Spared, Traffic};
use crate::model::{Family, Service, Sources};

impl Agent {
    /// Which of the rules that it did not plan this node leaves alone. Those of a Service that is read and is not open to
    /// everybody are not among them: what closes a VIP is never held back.
    pub fn spared(&self) -> Spared {
        if self.world.gaps().is_empty() {
            return Spared::Nothing;
        }
        let is_closed = |service: &&Service| {
            service.vips.iter().any(|vip| service.sources.of(Family::of(*vip)) != Sources::Everybody)
        };
        let closed = self.world.services().filter(is_closed).flat_map(|service| service.vips.iter().copied());
        let ports = |service: &Service| -> Vec<Traffic> {
            service.ports.iter().map(|port| Traffic::Port(port.protocol, port.port)).collect()
        };
        let known = self.world.services().flat_map(|service| {
            let ports = ports(service);
            service.vips.iter().flat_map(move |vip| ports.clone().into_iter().map(move |port| (*vip, port)))
        });
        Spared::Unknown { closed: closed.collect(), known: known.collect() }
    }

    /// Rules that answer echo requests and that an earlier run may have left, for what this one is about to answer for: a
    /// restart leaves them alone.
    pub fn kept(&self) -> BTreeSet<Flow> {
        self.segments.values().flat_map(|segment| segment.kept().cloned()).collect()
    }
}
