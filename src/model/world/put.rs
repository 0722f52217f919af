//! How a change is taken in: the object, the look-ups that lead to it, and what it may alter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{
    Allocation, AllocationName, Dirty, EndpointSlice, Gaps, L2Status, L2StatusKey, Mac, Namespace, Node,
    NodeName, ReportKey, SegmentReport, Service, ServiceKey, SliceKey, SpeakerReport, Subnet, SubnetName,
    Term, World,
};

impl World {
    pub(super) fn put_service(&mut self, key: ServiceKey, service: Option<Service>) -> Dirty {
        if self.services.get(&key) == service.as_ref() {
            return Dirty::default();
        }
        let vips = service.as_ref().map(|service| service.vips.clone()).unwrap_or_default();
        let old = match service {
            Some(service) => self.services.insert(key.clone(), service),
            None => self.services.remove(&key),
        };
        let old_vips = old.map(|service| service.vips).unwrap_or_default();
        let altered = old_vips.union(&vips).copied().collect();
        reindex(&mut self.services_at, &key, old_vips, vips);
        Dirty { services: BTreeSet::from([key]), vips: altered, everything: false }
    }

    pub(super) fn put_namespace(&mut self, name: Arc<str>, namespace: Option<Namespace>) -> Dirty {
        match namespace {
            Some(namespace) => self.namespaces.insert(name, namespace),
            None => self.namespaces.remove(&name),
        };
        Dirty::default()
    }

    pub(super) fn put_gaps(&mut self, gaps: Gaps) -> Dirty {
        if self.gaps == gaps {
            return Dirty::default();
        }
        self.gaps = gaps;
        Dirty::everything()
    }

    /// What is served in a subnet, and what OVN cannot deliver to there, is our own word, written often: it alters only
    /// the Services of those VIPs and endpoints.
    pub(super) fn put_subnet(&mut self, subnet: Subnet) -> Dirty {
        let old = self.subnets.get(&subnet.name).filter(|old| {
            let (served, undeliverable) = (subnet.served.clone(), subnet.undeliverable.clone());
            Subnet { served, undeliverable, ..(*old).clone() } == subnet
        });
        let own = old.map(|old| {
            let endpoints = old.undeliverable.symmetric_difference(&subnet.undeliverable);
            let services = endpoints.filter_map(|(address, _)| self.services_with.get(address));
            Dirty {
                services: services.flatten().cloned().collect(),
                vips: old.served.symmetric_difference(&subnet.served).copied().collect(),
                everything: false,
            }
        });
        let dirty = put(&mut self.subnets, subnet.name.clone(), Some(subnet));
        own.unwrap_or(dirty)
    }

    pub(super) fn put_slice(&mut self, key: SliceKey, slice: Option<EndpointSlice>) -> Dirty {
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
        Dirty { services, ..Dirty::default() }
    }

    pub(super) fn put_allocation(&mut self, name: AllocationName, allocation: Option<Allocation>) -> Dirty {
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
        Dirty { services, ..Dirty::default() }
    }

    pub(super) fn put_status(&mut self, key: L2StatusKey, status: Option<L2Status>) -> Dirty {
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
        Dirty { services, ..Dirty::default() }
    }

    /// Who holds what alters only the Services of those VIPs.
    pub(super) fn put_report(&mut self, key: ReportKey, report: Option<SpeakerReport>) -> Dirty {
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
        let vips = was.keys().chain(new.keys()).filter(differs).copied().collect();
        reindex(&mut self.reports_of, &key, old.map(|old| old.node), node);
        reindex(&mut self.holders_of, &key, was.into_keys(), new.into_keys());
        Dirty { services: BTreeSet::new(), vips, everything }
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
    pub(super) fn put_node(&mut self, name: NodeName, node: Option<Node>) -> Dirty {
        let new = node.as_ref().map(|node| node.addresses.clone()).unwrap_or_default();
        let old = self.nodes.get(&name).map(|node| node.addresses.clone()).unwrap_or_default();
        let dirty = put(&mut self.nodes, name.clone(), node);
        if !dirty.is_empty() {
            reindex(&mut self.nodes_with, &name, old, new);
        }
        dirty
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
        for vip in &segment.undelivered {
            held.entry(*vip).or_default().insert((subnet.clone(), 0, false));
        }
    }
    held
}

/// What a report says besides.
fn abilities(report: &SpeakerReport) -> (NodeName, Vec<(SubnetName, Mac, [bool; 2])>) {
    let segments = report.segments.iter();
    let words = |(subnet, segment): (&SubnetName, &SegmentReport)| {
        (subnet.clone(), segment.mac, [segment.ready, segment.beats])
    };
    (report.node.clone(), segments.map(words).collect())
}

pub(super) fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Dirty {
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
