//! What MetalLB is told and tells: where VIPs come from, who may announce them, who does.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{
    AddressRange, AdvertisementKey, InterfaceName, L2StatusKey, Labels, NodeName, PoolKey, Selector, Service,
    ServiceKey,
};

/// An IPAddressPool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// Its namespace and name.
    pub key: PoolKey,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.addresses`, CIDRs as the ranges that they are.
    pub ranges: Vec<AddressRange>,
    /// `spec.avoidBuggyIPs`: IPv4 addresses that end in 0 or 255 are not handed out.
    pub avoid_buggy_ips: bool,
    /// To whom addresses are given.
    pub giving: Giving,
}

/// What an IPAddressPool says of how its addresses are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giving {
    /// `spec.autoAssign`: also to Services that do not ask for this pool.
    pub auto_assign: bool,
    /// `spec.serviceAllocation`; none: to every Service.
    pub allocation: Option<ServiceAllocation>,
    /// What of its `spec` cannot be read, in words: then nothing is given by it.
    pub faults: Vec<Arc<str>>,
}

impl Default for Giving {
    fn default() -> Self {
        Self { auto_assign: true, allocation: None, faults: Vec::new() }
    }
}

/// `spec.serviceAllocation` of an IPAddressPool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAllocation {
    /// `priority`: the lower one is asked first; 0 is none, and comes last.
    pub priority: i64,
    /// `namespaces`, by name.
    pub namespaces: BTreeSet<Arc<str>>,
    /// `namespaceSelectors`: namespaces by label.
    pub namespace_selectors: Vec<Selector>,
    /// `serviceSelectors`.
    pub service_selectors: Vec<Selector>,
}

impl ServiceAllocation {
    /// Whether it names namespaces in any way.
    pub fn is_of_namespaces(&self) -> bool {
        !self.namespaces.is_empty() || !self.namespace_selectors.is_empty()
    }
}

/// A Kubernetes Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// `metadata.labels`.
    pub labels: Labels,
}

impl AddressPool {
    /// Whether a VIP of this address can come from here.
    pub fn hands_out(&self, address: IpAddr) -> bool {
        let buggy = matches!(address, IpAddr::V4(address) if matches!(address.octets()[3], 0 | 255));
        self.contains(address) && !(self.avoid_buggy_ips && buggy)
    }

    /// Whether the address lies in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }
}

/// An L2Advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Its namespace and name.
    pub key: AdvertisementKey,
    /// `spec.ipAddressPools`, by name, of its own namespace.
    pub pools: BTreeSet<Arc<str>>,
    /// `spec.ipAddressPoolSelectors`.
    pub pool_selectors: Vec<Selector>,
    /// `spec.serviceSelectors`; none is every Service.
    pub service_selectors: Vec<Selector>,
    /// `spec.nodeSelectors`; none is every Node.
    pub node_selectors: Vec<Selector>,
    /// `spec.interfaces`; none is every interface.
    pub interfaces: BTreeSet<InterfaceName>,
}

impl Advertisement {
    /// Whether it is about this pool. Without any word on pools it is about all of them.
    pub fn is_about(&self, pool: &AddressPool) -> bool {
        let all = self.pools.is_empty() && self.pool_selectors.is_empty();
        let pools = all || self.pools.contains(&pool.key.name) || any(&self.pool_selectors, &pool.labels);
        self.key.namespace == pool.key.namespace && pools
    }

    /// Whether it selects this Service.
    pub fn selects_service(&self, service: &Service) -> bool {
        self.service_selectors.is_empty() || any(&self.service_selectors, &service.labels)
    }

    /// Whether it selects a node of these labels.
    pub fn selects_node(&self, labels: &Labels) -> bool {
        self.node_selectors.is_empty() || any(&self.node_selectors, labels)
    }

    /// Whether a node may announce from a bridge or NIC of one of these names.
    pub fn takes_interface(&self, interfaces: [&InterfaceName; 2]) -> bool {
        self.interfaces.is_empty() || interfaces.iter().any(|name| self.interfaces.contains(*name))
    }
}

fn any(selectors: &[Selector], labels: &Labels) -> bool {
    selectors.iter().any(|selector| selector.matches(labels))
}

/// A ServiceL2Status: a speaker says that it announces a Service's VIPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Status {
    /// Its namespace and name.
    pub key: L2StatusKey,
    /// `status.serviceNamespace` and `status.serviceName`.
    pub service: ServiceKey,
    /// `status.node`.
    pub node: NodeName,
    /// Written by us: the label `app.kubernetes.io/managed-by` is `ovn-vip`.
    pub ours: bool,
}
