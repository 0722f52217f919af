//! Every input we know from the cluster, and what a change to it may alter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{
    AddressPool, Advertisement, AdvertisementKey, Allocation, AllocationName, Change, Dirty, EndpointSlice,
    L2Status, L2StatusKey, Mac, Node, NodeName, Object, ObjectKey, PoolKey, ProviderName, ProviderNetwork,
    ReportKey, SegmentReport, Service, ServiceKey, SliceKey, SpeakerReport, Subnet, SubnetName, Term, Vlan,
    VlanName,
};

/// Every object of the cluster that decisions depend on, with the look-ups they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    services: BTreeMap<ServiceKey, Service>,
    slices: BTreeMap<SliceKey, EndpointSlice>,
    nodes: BTreeMap<NodeName, Node>,
    subnets: BTreeMap<SubnetName, Subnet>,
    vlans: BTreeMap<VlanName, Vlan>,
    providers: BTreeMap<ProviderName, ProviderNetwork>,
    allocations: BTreeMap<AllocationName, Allocation>,
    pools: BTreeMap<PoolKey, AddressPool>,
    advertisements: BTreeMap<AdvertisementKey, Advertisement>,
    statuses: BTreeMap<L2StatusKey, L2Status>,
    reports: BTreeMap<ReportKey, SpeakerReport>,
    slices_of: BTreeMap<ServiceKey, BTreeSet<SliceKey>>,
    services_at: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    services_with: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    allocations_of: BTreeMap<IpAddr, BTreeSet<AllocationName>>,
    statuses_of: BTreeMap<ServiceKey, BTreeSet<L2StatusKey>>,
    reports_of: BTreeMap<NodeName, BTreeSet<ReportKey>>,
    holders_of: BTreeMap<IpAddr, BTreeSet<ReportKey>>,
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
            Change::Apply(Object::Subnet(subnet)) => self.put_subnet(subnet),
            Change::Remove(ObjectKey::Subnet(name)) => put(&mut self.subnets, name, None),
            Change::Apply(Object::Vlan(vlan)) => put(&mut self.vlans, vlan.name.clone(), Some(vlan)),
            Change::Remove(ObjectKey::Vlan(name)) => put(&mut self.vlans, name, None),
            Change::Apply(Object::ProviderNetwork(provider)) => {
                put(&mut self.providers, provider.name.clone(), Some(provider))
            }
            Change::Remove(ObjectKey::ProviderNetwork(name)) => put(&mut self.providers, name, None),
            Change::Apply(Object::Allocation(found)) => self.put_allocation(found.name.clone(), Some(found)),
            Change::Remove(ObjectKey::Allocation(name)) => self.put_allocation(name, None),
            Change::Apply(Object::AddressPool(pool)) => put(&mut self.pools, pool.key.clone(), Some(pool)),
            Change::Remove(ObjectKey::AddressPool(key)) => put(&mut self.pools, key, None),
            Change::Apply(Object::Advertisement(found)) => {
                put(&mut self.advertisements, found.key.clone(), Some(found))
            }
            Change::Remove(ObjectKey::Advertisement(key)) => put(&mut self.advertisements, key, None),
            Change::Apply(Object::L2Status(status)) => self.put_status(status.key.clone(), Some(status)),
            Change::Remove(ObjectKey::L2Status(key)) => self.put_status(key, None),
            Change::Apply(Object::Report(report)) => self.put_report(report.key.clone(), Some(report)),
            Change::Remove(ObjectKey::Report(key)) => self.put_report(key, None),
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

    /// All addresses that Kube-OVN has given out, in order of their names.
    pub fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.values()
    }

    /// Who has this address, by Kube-OVN's own books; several where subnets overlap.
    pub fn allocations_of(&self, address: IpAddr) -> impl Iterator<Item = &Allocation> {
        self.allocations_of.get(&address).into_iter().flatten().filter_map(|name| self.allocations.get(name))
    }

    /// All of MetalLB's pools, in order.
    pub fn pools(&self) -> impl Iterator<Item = &AddressPool> {
        self.pools.values()
    }

    /// All of MetalLB's L2Advertisements, in order.
    pub fn advertisements(&self) -> impl Iterator<Item = &Advertisement> {
        self.advertisements.values()
    }

    /// Who says that a Service's VIPs are announced by somebody other than us.
    pub fn announced_by_others(&self, key: &ServiceKey) -> Option<&L2Status> {
        let mut statuses = self.statuses_of.get(key).into_iter().flatten();
        statuses.find_map(|status| self.statuses.get(status).filter(|status| !status.ours))
    }

    /// All ServiceL2Statuses, in order.
    pub fn statuses(&self) -> impl Iterator<Item = &L2Status> {
        self.statuses.values()
    }

    /// What the speakers of the cluster's nodes say, in order: none where there is no Kubernetes to say it in.
    pub fn reports(&self) -> impl Iterator<Item = &SpeakerReport> {
        self.reports.values().filter(|report| self.nodes.contains_key(&report.node))
    }

    /// What a node's speaker says.
    pub fn report_of(&self, node: &NodeName) -> Option<&SpeakerReport> {
        self.reports_of.get(node)?.iter().find_map(|key| self.reports.get(key))
    }

    /// The reports that say they hold this VIP, or held it last, also those of nodes that are gone.
    pub fn holders_of(&self, vip: IpAddr) -> impl Iterator<Item = &SpeakerReport> {
        self.holders_of.get(&vip).into_iter().flatten().filter_map(|key| self.reports.get(key))
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

    /// What is served in a subnet is our own word, written often: it alters only the Services of those VIPs.
    fn put_subnet(&mut self, subnet: Subnet) -> Dirty {
        let old = self.subnets.get(&subnet.name);
        let served = old.filter(|old| Subnet { served: subnet.served.clone(), ..(*old).clone() } == subnet);
        let served: Option<BTreeSet<IpAddr>> =
            served.map(|old| old.served.symmetric_difference(&subnet.served).copied().collect());
        let dirty = put(&mut self.subnets, subnet.name.clone(), Some(subnet));
        match served {
            Some(vips) => {
                let services = vips.iter().filter_map(|vip| self.services_at.get(vip)).flatten();
                Dirty { services: services.cloned().collect(), everything: false }
            }
            None => dirty,
        }
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
        self.with_sharers(services)
    }

    fn put_allocation(&mut self, name: AllocationName, allocation: Option<Allocation>) -> Dirty {
        if self.allocations.get(&name) == allocation.as_ref() {
            return Dirty::default();
        }
        let new = allocation.as_ref().map(|found| found.addresses.clone()).unwrap_or_default();
        let old = match allocation {
            Some(allocation) => self.allocations.insert(name.clone(), allocation),
            None => self.allocations.remove(&name),
        };
        let old = old.map(|old| old.addresses).unwrap_or_default();
        let index = |index: &BTreeMap<IpAddr, BTreeSet<ServiceKey>>| -> BTreeSet<ServiceKey> {
            old.union(&new).filter_map(|address| index.get(address)).flatten().cloned().collect()
        };
        let mut services = index(&self.services_at);
        services.extend(index(&self.services_with));
        reindex(&mut self.allocations_of, &name, old, new);
        self.with_sharers(services)
    }

    fn put_status(&mut self, key: L2StatusKey, status: Option<L2Status>) -> Dirty {
        if self.statuses.get(&key) == status.as_ref() {
            return Dirty::default();
        }
        let new = status.as_ref().map(|status| status.service.clone());
        let old = match status {
            Some(status) => self.statuses.insert(key.clone(), status),
            None => self.statuses.remove(&key),
        };
        let old = old.map(|old| old.service);
        let services = old.iter().chain(&new).cloned().collect();
        reindex(&mut self.statuses_of, &key, old, new);
        self.with_sharers(services)
    }

    /// Who holds what alters only the Services of those VIPs.
    fn put_report(&mut self, key: ReportKey, report: Option<SpeakerReport>) -> Dirty {
        if self.reports.get(&key) == report.as_ref() {
            return Dirty::default();
        }
        let (node, new) =
            (report.iter().map(|report| report.node.clone()).collect::<Vec<_>>(), held(&report));
        let able = report.as_ref().map(abilities);
        let old = match report {
            Some(report) => self.reports.insert(key.clone(), report),
            None => self.reports.remove(&key),
        };
        let everything = old.as_ref().map(abilities) != able;
        let was = held(&old);
        let differs = |vip: &&IpAddr| was.get(*vip) != new.get(*vip);
        let services =
            was.keys().chain(new.keys()).filter(differs).filter_map(|vip| self.services_at.get(vip));
        let services = services.flatten().cloned().collect();
        reindex(&mut self.reports_of, &key, old.map(|old| old.node), node);
        reindex(&mut self.holders_of, &key, was.into_keys(), new.into_keys());
        Dirty { services, everything }
    }

    /// These Services, and all that share a VIP with one of them: who announces a VIP is decided for all on it.
    fn with_sharers(&self, mut services: BTreeSet<ServiceKey>) -> Dirty {
        let vips = services.iter().filter_map(|key| self.services.get(key)).flat_map(|service| &service.vips);
        let sharers = vips.filter_map(|vip| self.services_at.get(vip)).flatten().cloned();
        let sharers: Vec<ServiceKey> = sharers.collect();
        services.extend(sharers);
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

/// Every VIP that a report holds or has left, with all the words on it.
fn held(report: &Option<SpeakerReport>) -> BTreeMap<IpAddr, BTreeSet<(SubnetName, Term, bool)>> {
    let mut held: BTreeMap<IpAddr, BTreeSet<(SubnetName, Term, bool)>> = BTreeMap::new();
    for (subnet, segment) in report.iter().flat_map(|report| &report.segments) {
        for (vips, is_held) in [(&segment.held, true), (&segment.left, false)] {
            for (vip, term) in vips {
                held.entry(*vip).or_default().insert((subnet.clone(), *term, is_held));
            }
        }
    }
    held
}

/// What a report says besides.
fn abilities(report: &SpeakerReport) -> (NodeName, Vec<(SubnetName, Mac, bool)>) {
    let segments = report.segments.iter();
    let words =
        |(subnet, segment): (&SubnetName, &SegmentReport)| (subnet.clone(), segment.mac, segment.ready);
    (report.node.clone(), segments.map(words).collect())
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
