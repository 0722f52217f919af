//! The objects of a cluster, their names, and the steps of its history.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{
    AddressPool, Advertisement, AdvertisementKey, Allocation, AllocationName, EndpointSlice, Gaps, L2Status,
    L2StatusKey, Namespace, Node, NodeName, PoolKey, ProviderName, ProviderNetwork, ReportKey, Service,
    ServiceKey, SliceKey, SpeakerReport, Subnet, SubnetName, Vlan, VlanName,
};

/// One object of the cluster, already valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "many are Services; a box each would cost more")]
pub enum Object {
    /// A Service of type LoadBalancer.
    Service(Service),
    /// An EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// A Node.
    Node(Node),
    /// A Kube-OVN Subnet.
    Subnet(Subnet),
    /// A Kube-OVN Vlan.
    Vlan(Vlan),
    /// A Kube-OVN ProviderNetwork.
    ProviderNetwork(ProviderNetwork),
    /// A Kube-OVN IP.
    Allocation(Allocation),
    /// A MetalLB IPAddressPool.
    AddressPool(AddressPool),
    /// A MetalLB L2Advertisement.
    Advertisement(Advertisement),
    /// A MetalLB ServiceL2Status.
    L2Status(L2Status),
    /// A speaker's report, on a Lease.
    Report(SpeakerReport),
    /// A Namespace.
    Namespace(Namespace),
}

impl Object {
    /// Kind and name.
    pub fn key(&self) -> ObjectKey {
        match self {
            Object::Service(object) => ObjectKey::Service(object.key.clone()),
            Object::EndpointSlice(object) => ObjectKey::EndpointSlice(object.key.clone()),
            Object::Node(object) => ObjectKey::Node(object.name.clone()),
            Object::Subnet(object) => ObjectKey::Subnet(object.name.clone()),
            Object::Vlan(object) => ObjectKey::Vlan(object.name.clone()),
            Object::ProviderNetwork(object) => ObjectKey::ProviderNetwork(object.name.clone()),
            Object::Allocation(object) => ObjectKey::Allocation(object.name.clone()),
            Object::AddressPool(object) => ObjectKey::AddressPool(object.key.clone()),
            Object::Advertisement(object) => ObjectKey::Advertisement(object.key.clone()),
            Object::L2Status(object) => ObjectKey::L2Status(object.key.clone()),
            Object::Report(object) => ObjectKey::Report(object.key.clone()),
            Object::Namespace(object) => ObjectKey::Namespace(object.name.clone()),
        }
    }
}

/// Kind and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKey {
    /// A Service.
    Service(ServiceKey),
    /// An EndpointSlice.
    EndpointSlice(SliceKey),
    /// A Node.
    Node(NodeName),
    /// A Subnet.
    Subnet(SubnetName),
    /// A Vlan.
    Vlan(VlanName),
    /// A ProviderNetwork.
    ProviderNetwork(ProviderName),
    /// A Kube-OVN IP.
    Allocation(AllocationName),
    /// An IPAddressPool.
    AddressPool(PoolKey),
    /// An L2Advertisement.
    Advertisement(AdvertisementKey),
    /// A ServiceL2Status.
    L2Status(L2StatusKey),
    /// A Lease.
    Report(ReportKey),
    /// A Namespace.
    Namespace(Arc<str>),
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ObjectKey::Service(key) => write!(f, "Service {key}"),
            ObjectKey::EndpointSlice(key) => write!(f, "EndpointSlice {key}"),
            ObjectKey::Node(name) => write!(f, "Node {name}"),
            ObjectKey::Subnet(name) => write!(f, "Subnet {name}"),
            ObjectKey::Vlan(name) => write!(f, "Vlan {name}"),
            ObjectKey::ProviderNetwork(name) => write!(f, "ProviderNetwork {name}"),
            ObjectKey::Allocation(name) => match name.of_vip() {
                Some(name) => write!(f, "Vip {name}"),
                None => write!(f, "IP {name}"),
            },
            ObjectKey::AddressPool(key) => write!(f, "IPAddressPool {key}"),
            ObjectKey::Advertisement(key) => write!(f, "L2Advertisement {key}"),
            ObjectKey::L2Status(key) => write!(f, "ServiceL2Status {key}"),
            ObjectKey::Report(key) => write!(f, "Lease {key}"),
            ObjectKey::Namespace(name) => write!(f, "Namespace {name}"),
        }
    }
}

/// One step of a cluster's history, from a watch or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every one is an object; a box each would cost more")]
pub enum Change {
    /// The object exists and looks like this.
    Apply(Object),
    /// The object does not exist, or is none of ours (a Service that is no LoadBalancer).
    Remove(ObjectKey),
    /// These are all that cannot be read now.
    Gaps(Gaps),
}

/// What a change alters by itself; [`World::affected`](super::World::affected) has what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// These Services.
    pub services: BTreeSet<ServiceKey>,
    /// These VIPs, also ones that no Service has any more.
    pub vips: BTreeSet<IpAddr>,
    /// All of them, and the subnets: something changed that any of them may stand on.
    pub everything: bool,
}

impl Dirty {
    /// All of it.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.services.is_empty() && self.vips.is_empty()
    }

    /// Both.
    pub fn merge(&mut self, other: Dirty) {
        let Dirty { services, vips, everything } = other;
        self.everything |= everything;
        self.services.extend(services);
        self.vips.extend(vips);
    }
}

/// What has to be planned again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// These Services, also ones that are gone.
    pub services: BTreeSet<ServiceKey>,
    /// These VIPs, also ones that no Service has any more: all that the Services have, and with each VIP all Services
    /// that have it.
    pub vips: BTreeSet<IpAddr>,
}
