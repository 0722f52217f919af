//! What a decision is made from, handed down as one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{Network, NodeName, Service, SubnetName, World};

use super::Policy;

/// The nodes that are dead, by segment.
pub type Absent = BTreeMap<SubnetName, BTreeSet<NodeName>>;

/// The inputs of a decision.
#[derive(Clone, Copy)]
pub(super) struct View<'w> {
    /// The cluster.
    pub world: &'w World,
    /// What an operator chose.
    pub policy: &'w Policy,
    /// The northbound; speakers do not read it.
    pub network: Option<&'w Network>,
    /// The nodes that are dead, where somebody listens for them.
    pub absent: Option<&'w Absent>,
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
