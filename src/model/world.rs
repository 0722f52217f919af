//! Every input we know from the cluster, and what a change to it may alter.

mod put;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use put::put;

use super::{
    AddressPool, Advertisement, AdvertisementKey, Affected, Allocation, AllocationName, Change, Dirty,
    EndpointSlice, Gaps, L2Status, L2StatusKey, Namespace, Node, NodeName, Object, ObjectKey, PoolKey,
    ProviderName, ProviderNetwork, ReportKey, Service, ServiceKey, SliceKey, SpeakerReport, Subnet,
    SubnetName, Vlan, VlanName,
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
    namespaces: BTreeMap<Arc<str>, Namespace>,
    slices_of: BTreeMap<ServiceKey, BTreeSet<SliceKey>>,
    services_at: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    services_with: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    allocations_of: BTreeMap<IpAddr, BTreeSet<AllocationName>>,
    nodes_with: BTreeMap<IpAddr, BTreeSet<NodeName>>,
    statuses_of: BTreeMap<ServiceKey, BTreeSet<L2StatusKey>>,
    reports_of: BTreeMap<NodeName, BTreeSet<ReportKey>>,
    holders_of: BTreeMap<IpAddr, BTreeSet<ReportKey>>,
    gaps: Gaps,
}

impl World {
    /// Takes one change in and says what it may alter. Applying what is already so alters nothing.
    pub fn apply(&mut self, change: Change) -> Dirty {
        match change {
            Change::Apply(Object::Service(service)) => self.put_service(service.key.clone(), Some(service)),
            Change::Remove(ObjectKey::Service(key)) => self.put_service(key, None),
            Change::Apply(Object::EndpointSlice(slice)) => self.put_slice(slice.key.clone(), Some(slice)),
            Change::Remove(ObjectKey::EndpointSlice(key)) => self.put_slice(key, None),
            Change::Apply(Object::Node(node)) => self.put_node(node.name.clone(), Some(node)),
            Change::Remove(ObjectKey::Node(name)) => self.put_node(name, None),
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
            // Only who gives addresses out looks at these, and looks at every change itself.
            Change::Apply(Object::Namespace(found)) => self.put_namespace(found.name.clone(), Some(found)),
            Change::Remove(ObjectKey::Namespace(name)) => self.put_namespace(name, None),
            Change::Gaps(gaps) => self.put_gaps(gaps),
        }
    }

    /// What is there and cannot be read.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
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

    /// The Nodes that have this address, in order.
    pub fn nodes_with(&self, address: IpAddr) -> impl Iterator<Item = &Node> {
        self.nodes_with.get(&address).into_iter().flatten().filter_map(|name| self.nodes.get(name))
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
        self.allocations.values().filter(|found| found.name.of_vip().is_none())
    }

    /// Who has this address, by Kube-OVN's own books; several where subnets overlap.
    pub fn allocations_of(&self, address: IpAddr) -> impl Iterator<Item = &Allocation> {
        self.claims_of(address).filter(|found| found.name.of_vip().is_none())
    }

    /// Who has this address, or wants it kept: the Vips, too. A Vip may be kept for a VIP of a Service.
    pub fn claims_of(&self, address: IpAddr) -> impl Iterator<Item = &Allocation> {
        self.allocations_of.get(&address).into_iter().flatten().filter_map(|name| self.allocations.get(name))
    }

    /// All Namespaces, in order.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.values()
    }

    /// All of MetalLB's pools, in order.
    pub fn pools(&self) -> impl Iterator<Item = &AddressPool> {
        self.pools.values()
    }

    /// All of MetalLB's L2Advertisements, in order.
    pub fn advertisements(&self) -> impl Iterator<Item = &Advertisement> {
        self.advertisements.values()
    }

    /// Who says that a Service is announced, in order.
    pub fn statuses_of(&self, key: &ServiceKey) -> impl Iterator<Item = &L2Status> {
        let statuses = self.statuses_of.get(key).into_iter().flatten();
        statuses.filter_map(|status| self.statuses.get(status))
    }

    /// All ServiceL2Statuses, in order.
    pub fn statuses(&self) -> impl Iterator<Item = &L2Status> {
        self.statuses.values()
    }

    /// What the speakers of the cluster's nodes say, in order: none where there is no Kubernetes to say it in.
    pub fn reports(&self) -> impl Iterator<Item = &SpeakerReport> {
        self.reports.values().filter(|report| self.nodes.contains_key(&report.node))
    }

    /// The same, also of nodes that are gone.
    pub fn every_report(&self) -> impl Iterator<Item = &SpeakerReport> {
        self.reports.values()
    }

    /// What a node's speaker says.
    pub fn report_of(&self, node: &NodeName) -> Option<&SpeakerReport> {
        self.reports_of.get(node)?.iter().find_map(|key| self.reports.get(key))
    }

    /// Whether a node's speaker says that it cannot deliver the VIP there.
    pub fn cannot_deliver(&self, node: &NodeName, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.report_of(node).is_some_and(|report| report.cannot_deliver(subnet, vip))
    }

    /// The reports that say anything of this VIP: that they hold it, held it last, or cannot deliver it, also those of nodes that are gone.
    pub fn holders_of(&self, vip: IpAddr) -> impl Iterator<Item = &SpeakerReport> {
        self.holders_of.get(&vip).into_iter().flatten().filter_map(|key| self.reports.get(key))
    }

    /// Everything that a change may alter the decisions of: Services that share a VIP are decided together, and VIPs
    /// that a Service has too, and so on from one to the next.
    pub fn affected(&self, dirty: &Dirty) -> Affected {
        let Dirty { services, vips, everything: _ } = dirty;
        let mut affected = Affected { services: services.clone(), vips: vips.clone() };
        let of_services = services.iter().filter_map(|key| self.services.get(key));
        affected.vips.extend(of_services.flat_map(|service| &service.vips));
        let mut ahead: Vec<IpAddr> = affected.vips.iter().copied().collect();
        while let Some(vip) = ahead.pop() {
            for service in self.services_at(vip) {
                if affected.services.insert(service.key.clone()) {
                    let others = service.vips.iter().filter(|other| affected.vips.insert(**other));
                    ahead.extend(others);
                }
            }
        }
        affected
    }
}
