//! Every input we know from the cluster, and what a change to it may alter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{
    EndpointSlice, Node, NodeName, ProviderName, ProviderNetwork, Service, ServiceKey, SliceKey, Subnet,
    SubnetName, Vlan, VlanName,
};

/// One object of the cluster, already valid.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        }
    }
}

/// One step of a cluster's history, from a watch or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object exists and looks like this.
    Apply(Object),
    /// The object does not exist, or is none of ours (a Service that is no LoadBalancer).
    Remove(ObjectKey),
}

/// What has to be planned again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// These Services.
    pub services: BTreeSet<ServiceKey>,
    /// All of them, and the subnets: something changed that any of them may stand on.
    pub everything: bool,
}

impl Dirty {
    /// All of it.
    pub fn everything() -> Self {
        Self { services: BTreeSet::new(), everything: true }
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.services.is_empty()
    }

    /// Both.
    pub fn merge(&mut self, other: Dirty) {
        self.everything |= other.everything;
        self.services.extend(other.services);
    }
}

/// Every object of the cluster that decisions depend on, with the look-ups they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    services: BTreeMap<ServiceKey, Service>,
    slices: BTreeMap<SliceKey, EndpointSlice>,
    nodes: BTreeMap<NodeName, Node>,
    subnets: BTreeMap<SubnetName, Subnet>,
    vlans: BTreeMap<VlanName, Vlan>,
    providers: BTreeMap<ProviderName, ProviderNetwork>,
    slices_of: BTreeMap<ServiceKey, BTreeSet<SliceKey>>,
    services_at: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    services_with: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
}

impl World {
    /// Takes one change in and says what it may alter. Applying what is already so alters nothing.
    pub fn apply(&mut self, change: Change) -> Dirty {
        match change {
            Change::Apply(Object::Service(service)) => self.put_service(service.key.clone(), Some(service)),
            Change::Remove(ObjectKey::Service(key)) => self.put_service(key, None),
            Change::Apply(Object::EndpointSlice(slice)) => self.put_slice(slice.key.clone(), Some(slice)),
            Change::Remove(ObjectKey::EndpointSlice(key)) => self.put_slice(key, None),
            Change::Apply(Object::Node(node)) => put(&mut self.nodes, node.name.clone(), Some(node)),
            Change::Remove(ObjectKey::Node(name)) => put(&mut self.nodes, name, None),
            Change::Apply(Object::Subnet(subnet)) => {
                put(&mut self.subnets, subnet.name.clone(), Some(subnet))
            }
            Change::Remove(ObjectKey::Subnet(name)) => put(&mut self.subnets, name, None),
            Change::Apply(Object::Vlan(vlan)) => put(&mut self.vlans, vlan.name.clone(), Some(vlan)),
            Change::Remove(ObjectKey::Vlan(name)) => put(&mut self.vlans, name, None),
            Change::Apply(Object::ProviderNetwork(provider)) => {
                put(&mut self.providers, provider.name.clone(), Some(provider))
            }
            Change::Remove(ObjectKey::ProviderNetwork(name)) => put(&mut self.providers, name, None),
        }
    }

    /// All Services, in order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// One Service.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.get(key)
    }

    /// The Services that have this VIP, in order.
    pub fn services_at(&self, vip: IpAddr) -> impl Iterator<Item = &Service> {
        self.services_at.get(&vip).into_iter().flatten().filter_map(|key| self.services.get(key))
    }

    /// Every VIP, in order.
    pub fn vips(&self) -> impl Iterator<Item = IpAddr> {
        self.services_at.keys().copied()
    }

    /// The Services that have an endpoint of this address.
    pub fn services_with(&self, endpoint: IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.services_with.get(&endpoint).into_iter().flatten()
    }

    /// The EndpointSlices of a Service, in order.
    pub fn slices_of(&self, key: &ServiceKey) -> impl Iterator<Item = &EndpointSlice> {
        self.slices_of.get(key).into_iter().flatten().filter_map(|slice| self.slices.get(slice))
    }

    /// One Node.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// All Nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// One Subnet.
    pub fn subnet(&self, name: &SubnetName) -> Option<&Subnet> {
        self.subnets.get(name)
    }

    /// All Subnets, in order.
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets.values()
    }

    /// One Vlan.
    pub fn vlan(&self, name: &VlanName) -> Option<&Vlan> {
        self.vlans.get(name)
    }

    /// One ProviderNetwork.
    pub fn provider(&self, name: &ProviderName) -> Option<&ProviderNetwork> {
        self.providers.get(name)
    }

    /// All ProviderNetworks, in order.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderNetwork> {
        self.providers.values()
    }

    fn put_service(&mut self, key: ServiceKey, service: Option<Service>) -> Dirty {
        if self.services.get(&key) == service.as_ref() {
            return Dirty::default();
        }
        let mut dirty = Dirty { services: BTreeSet::from([key.clone()]), everything: false };
        let vips = service.as_ref().map(|service| service.vips.clone()).unwrap_or_default();
        let old = match service {
            Some(service) => self.services.insert(key.clone(), service),
            None => self.services.remove(&key),
        };
        let old_vips = old.map(|service| service.vips).unwrap_or_default();
        for vip in old_vips.union(&vips) {
            dirty.services.extend(self.services_at.get(vip).into_iter().flatten().cloned());
        }
        reindex(&mut self.services_at, &key, old_vips, vips);
        dirty
    }

    fn put_slice(&mut self, key: SliceKey, slice: Option<EndpointSlice>) -> Dirty {
        if self.slices.get(&key) == slice.as_ref() {
            return Dirty::default();
        }
        let mut services = BTreeSet::new();
        let service = slice.as_ref().map(|slice| slice.service.clone());
        let old = match slice {
            Some(slice) => self.slices.insert(key.clone(), slice),
            None => self.slices.remove(&key),
        };
        if let Some(old) = old {
            reindex(&mut self.slices_of, &key, [old.service.clone()], []);
            self.index_endpoints(&old.service, old.endpoints.iter().map(|endpoint| endpoint.address));
            services.insert(old.service);
        }
        if let Some(service) = service {
            reindex(&mut self.slices_of, &key, [], [service.clone()]);
            self.index_endpoints(&service, []);
            services.insert(service);
        }
        // Sharers of a VIP need no new plan of their rows: an endpoint of one Service alters no row of another.
        Dirty { services, everything: false }
    }

    /// Brings the endpoint index level with a Service's slices; `gone` may no longer be in any of them.
    fn index_endpoints(&mut self, service: &ServiceKey, gone: impl IntoIterator<Item = IpAddr>) {
        let current: BTreeSet<IpAddr> = self
            .slices_of(service)
            .flat_map(|slice| &slice.endpoints)
            .map(|endpoint| endpoint.address)
            .collect();
        reindex(&mut self.services_with, service, gone, current);
    }
}

fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Dirty {
    if map.get(&key) == value.as_ref() {
        return Dirty::default();
    }
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
    Dirty::everything()
}

/// Moves `member` from the sets at the `old` keys to those at the `new` ones; no empty set stays.
fn reindex<K: Ord + Clone, M: Ord + Clone>(
    index: &mut BTreeMap<K, BTreeSet<M>>,
    member: &M,
    old: impl IntoIterator<Item = K>,
    new: impl IntoIterator<Item = K>,
) {
    for key in old {
        if let Some(members) = index.get_mut(&key) {
            members.remove(member);
            if members.is_empty() {
                index.remove(&key);
            }
        }
    }
    for key in new {
        index.entry(key).or_default().insert(member.clone());
    }
}
