//! What a decision is made from, handed down as one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::{Network, NodeName, Service, World};

use super::Policy;

/// The inputs of a decision.
#[derive(Clone, Copy)]
pub(super) struct View<'w> {
    /// The cluster.
    pub world: &'w World,
    /// What an operator chose.
    pub policy: &'w Policy,
    /// The northbound; speakers do not read it.
    pub network: Option<&'w Network>,
    /// The nodes whose speakers are alive; `None` where that is not known, and all count as such.
    pub alive: Option<&'w BTreeSet<NodeName>>,
}

impl<'w> View<'w> {
    /// The Services of ours that have this VIP, in order.
    pub fn services_at(self, vip: IpAddr) -> impl Iterator<Item = &'w Service> {
        self.world.services_at(vip).filter(move |service| self.policy.serves(service))
    }

    /// Whether rows of ours serve a Service's VIP already.
    pub fn is_served(self, service: &Service, vip: IpAddr) -> bool {
        let served = self.network.and_then(|network| network.served.get(&service.key));
        served.is_some_and(|vips| vips.contains(&vip))
    }
}
