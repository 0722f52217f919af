//! What cannot be read is not gone (ADR 0030): what a plan would take away for no other reason is put back into it.
//!
//! Given plans, gaps and rows; writes nothing. A Service that cannot be read keeps its rows and its gates as they stand. One
//! that can keeps the VIPs and backends that it may have by what cannot be read; its ranges count at once, and where
//! they cannot be enforced its VIP goes. A row that is kept keeps its keys: no other Service gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::{
    Family, Gaps, Gate, LoadBalancer, Network, ObjectKey, Protocol, Service, ServiceKey, Sources, SubnetName,
    World,
};
use crate::nb::Owner;
use crate::nb::kept::{self, KeptGates, Outside};
use crate::nb::owner::RowKey;
use crate::nb::rows::AclRow;
use crate::ovsdb::Replica;
use crate::plan::{Policy, Refusal, ServicePlan, is_eligible};

/// What is kept, as long as something cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Services that cannot be read, as their rows were seen first.
    unread: BTreeMap<ServiceKey, Stood>,
    /// The keys of rows that are kept, and whose.
    keys: BTreeMap<(Protocol, SocketAddr), ServiceKey>,
    /// The endpoints that slices have told of since the start: what told of them tells of their end, too.
    told: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
}

/// A Service's rows, as they were seen first.
#[derive(Clone, Debug, Default)]
struct Stood {
    load_balancers: Vec<LoadBalancer>,
    /// What keeps clients inside its subnets from it.
    inside: BTreeMap<RowKey, AclRow>,
    /// Its part of what keeps all others from it.
    outside: BTreeMap<SubnetName, Outside>,
}

/// What a decision to keep stands on.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The cluster.
    pub world: &'a World,
    /// The northbound, as decisions read it.
    pub network: &'a Network,
    /// Its rows.
    pub replica: &'a Replica,
    /// Which of them are ours.
    pub owner: &'a Owner,
    /// The settings.
    pub policy: &'a Policy,
    /// No Service has our class, and none ever had: the setting may be wrong.
    pub nobodys_class: bool,
}

impl Kept {
    /// Puts back into plans what is not gone; the Services of which something was kept.
    pub fn complete(
        &mut self,
        seen: Seen<'_>,
        plans: &mut [(&ServiceKey, ServicePlan)],
    ) -> BTreeSet<ServiceKey> {
        let gaps = seen.world.gaps();
        for (key, _) in plans.iter() {
            self.listen(seen.world, key);
        }
        if gaps.is_empty() && !seen.nobodys_class {
            *self = Self { told: std::mem::take(&mut self.told), ..Self::default() };
            return BTreeSet::new();
        }
        let mut kept = BTreeSet::new();
        for (key, plan) in plans.iter_mut() {
            self.keys.retain(|_, of| of != *key);
            let keys = if seen.is_unread(key) {
                self.keep_whole(seen, key, plan)
            } else {
                self.unread.remove(*key);
                keep_parts(seen, key, plan, self.told.get(*key))
            };
            if let Some(keys) = keys {
                kept.insert((*key).clone());
                for taken in keys {
                    self.keys.entry(taken).or_insert_with(|| (*key).clone());
                }
            }
        }
        for (key, plan) in plans {
            self.yield_keys(key, plan);
        }
        kept
    }

    fn listen(&mut self, world: &World, key: &ServiceKey) {
        let addresses =
            world.slices_of(key).flat_map(|slice| &slice.endpoints).map(|endpoint| endpoint.address);
        let mut addresses = addresses.peekable();
        if addresses.peek().is_some() {
            self.told.entry(key.clone()).or_default().extend(addresses);
        } else if world.service(key).is_none() {
            self.told.remove(key);
        }
    }

    /// What closes the VIPs of Services that cannot be read.
    pub fn gates(&self) -> KeptGates {
        let mut gates = KeptGates::default();
        for Stood { load_balancers: _, inside, outside } in self.unread.values() {
            gates.inside.extend(inside.clone());
            for (subnet, closed) in outside {
                let all = gates.outside.entry(subnet.clone()).or_insert_with(|| closed.clone());
                all.vips.extend(&closed.vips);
            }
        }
        gates
    }

    fn keep_whole(
        &mut self,
        seen: Seen<'_>,
        key: &ServiceKey,
        plan: &mut ServicePlan,
    ) -> Option<Vec<(Protocol, SocketAddr)>> {
        if !self.unread.contains_key(key) {
            let stood = Stood::read(seen, key);
            if stood.load_balancers.is_empty() {
                return None;
            }
            self.unread.insert(key.clone(), stood);
        }
        let rows = &mut self.unread.get_mut(key)?.load_balancers;
        rows.iter_mut().for_each(|row| seen.settle(row));
        plan.load_balancers.clone_from(rows);
        for row in &*rows {
            let Some(subnet) = row.subnets.first() else { continue };
            plan.vips.extend(row.vips.keys().map(|key| (key.ip(), subnet.clone())));
        }
        Some(kept::keys(rows).collect())
    }

    /// Two rows with one key are undefined in OVN.
    fn yield_keys(&self, key: &ServiceKey, plan: &mut ServicePlan) {
        let taken_by = |taken: &(Protocol, SocketAddr)| self.keys.get(taken).filter(|by| *by != key);
        for row in &mut plan.load_balancers {
            let taken: Vec<SocketAddr> =
                row.vips.keys().filter(|at| taken_by(&(row.protocol, **at)).is_some()).copied().collect();
            for at in taken {
                row.vips.remove(&at);
                if let Some(by) = taken_by(&(row.protocol, at)) {
                    let (protocol, by) = (row.protocol, by.clone());
                    plan.refusals.insert(Refusal::PortTaken { key: at, protocol, by });
                }
            }
        }
        plan.load_balancers.retain(|row| !row.vips.is_empty());
        plan.gates.values_mut().for_each(|gate| gate.keys.retain(|at| taken_by(at).is_none()));
        plan.gates.retain(|_, gate| !gate.keys.is_empty());
    }
}

impl Stood {
    fn read(seen: Seen<'_>, service: &ServiceKey) -> Self {
        let load_balancers = kept::load_balancers(seen.owner, seen.replica, seen.network, service);
        let subnets: BTreeSet<&SubnetName> = load_balancers.iter().flat_map(|row| &row.subnets).collect();
        let inside = kept::gates(seen.owner, seen.replica, service, subnets.iter().copied());
        let is_its = |vip: &IpAddr| kept::keys(&load_balancers).any(|(_, key)| key.ip() == *vip);
        let outside = subnets.into_iter().filter_map(|subnet| {
            let mut outside = kept::outside(seen.owner, seen.replica, subnet)?;
            outside.vips.retain(is_its);
            (!outside.vips.is_empty()).then(|| (subnet.clone(), outside))
        });
        let outside = outside.collect();
        Self { load_balancers, inside, outside }
    }
}

/// Keeps of a Service that can be read what it may have by what cannot; the keys that it would have lost.
fn keep_parts(
    seen: Seen<'_>,
    key: &ServiceKey,
    plan: &mut ServicePlan,
    told: Option<&BTreeSet<IpAddr>>,
) -> Option<Vec<(Protocol, SocketAddr)>> {
    let service = seen.world.service(key).filter(|service| seen.policy.serves(service))?;
    let (mut kept, mut altered) = (Vec::new(), false);
    for mut found in kept::load_balancers(seen.owner, seen.replica, seen.network, key) {
        seen.settle(&mut found);
        altered |= keep_backends(seen, service, plan, &found, told);
        for subnet in &found.subnets {
            for at in found.vips.keys().copied() {
                let is_kept = seen.may_have_it(service, plan, (found.protocol, at), subnet);
                if is_kept && close(seen, service, plan, (found.protocol, at), subnet) {
                    put_back(plan, &found, at, subnet);
                    kept.push((found.protocol, at));
                }
            }
        }
    }
    (altered || !kept.is_empty()).then_some(kept)
}

/// Backends that are gone only because their slice or their node cannot be read.
fn keep_backends(
    seen: Seen<'_>,
    service: &Service,
    plan: &mut ServicePlan,
    found: &LoadBalancer,
    told: Option<&BTreeSet<IpAddr>>,
) -> bool {
    let gaps = seen.world.gaps();
    let named = gaps.cover_slices_of(&service.key);
    // Of what nobody knows the name, it may be slices; one that was read since the start has said what it lost.
    let is_gone = |backend: &SocketAddr| told.is_some_and(|told| told.contains(&backend.ip()));
    let is_unread = |at: &SocketAddr| {
        let mut slices = seen.world.slices_of(&service.key);
        named || (gaps.anything && !slices.any(|slice| slice.family == Family::of(at.ip())))
    };
    let unplaced: BTreeSet<_> = plan
        .refusals
        .iter()
        .filter_map(|refusal| match refusal {
            Refusal::BackendOnUnknownNode { address, node }
            | Refusal::BackendWithoutChassis { address, node } => {
                gaps.cover(&ObjectKey::Node(node.clone())).then_some(*address)
            }
            _ => None,
        })
        .collect();
    let row = plan.load_balancers.iter_mut().find(|row| row.protocol == found.protocol);
    let Some(row) = row else { return false };
    let mut altered = false;
    for (at, backends) in &mut row.vips {
        let all = is_unread(at);
        let stood = found.vips.get(at).into_iter().flatten();
        for backend in stood.filter(|backend| (all && !is_gone(backend)) || unplaced.contains(&backend.ip()))
        {
            if backends.insert(*backend) {
                altered = true;
                if let Some(port) = found.ports.get(&backend.ip()) {
                    row.ports.insert(backend.ip(), port.clone());
                }
            }
        }
    }
    altered
}

/// Closes a key that is put back, as the Service's ranges say now; `false` where that cannot be done.
fn close(
    seen: Seen<'_>,
    service: &Service,
    plan: &mut ServicePlan,
    key: (Protocol, SocketAddr),
    subnet: &SubnetName,
) -> bool {
    if service.sources.of(Family::of(key.1.ip())) == Sources::Everybody {
        return true;
    }
    if !plan.gates.contains_key(subnet) {
        let known = seen.world.subnet(subnet).map(|subnet| subnet.cidrs.clone());
        let stands = kept::outside(seen.owner, seen.replica, subnet);
        let routers = stands.as_ref().map(|stands| stands.routers.clone()).unwrap_or_default();
        let Some(cidrs) = known.or(stands.map(|stands| stands.cidrs)) else { return false };
        let (sources, keys) = (service.sources.clone(), BTreeSet::new());
        plan.gates.insert(subnet.clone(), Gate { subnet: subnet.clone(), cidrs, routers, keys, sources });
    }
    if let Some(gate) = plan.gates.get_mut(subnet) {
        gate.keys.insert(key);
    }
    true
}

/// Puts a key of a row that stands back.
fn put_back(plan: &mut ServicePlan, found: &LoadBalancer, at: SocketAddr, subnet: &SubnetName) {
    plan.vips.entry(at.ip()).or_insert_with(|| subnet.clone());
    let position = plan.load_balancers.iter().position(|row| row.protocol == found.protocol);
    let position = position.unwrap_or_else(|| {
        let (vips, ports) = (BTreeMap::new(), BTreeMap::new());
        let (subnets, only_on) = (BTreeSet::new(), BTreeMap::new());
        plan.load_balancers.push(LoadBalancer { vips, ports, subnets, only_on, ..found.clone() });
        plan.load_balancers.len() - 1
    });
    let row = &mut plan.load_balancers[position];
    row.subnets.insert(subnet.clone());
    let backends = found.vips.get(&at).cloned().unwrap_or_default();
    let ports = backends.iter().filter_map(|backend| found.ports.get_key_value(&backend.ip()));
    let ports: Vec<_> = ports.map(|(address, port)| (*address, port.clone())).collect();
    row.vips.entry(at).or_insert(backends);
    row.ports.extend(ports);
}

impl Seen<'_> {
    fn gaps(&self) -> &Gaps {
        self.world.gaps()
    }

    /// Whether nothing is known of a Service that may be there all the same.
    fn is_unread(&self, key: &ServiceKey) -> bool {
        match self.world.service(key) {
            Some(service) => self.nobodys_class && !self.policy.serves(service),
            None => self.gaps().cover(&ObjectKey::Service(key.clone())),
        }
    }

    fn is_subnet_unread(&self, subnet: &SubnetName) -> bool {
        self.gaps().cover_subnet(subnet) && self.world.subnet(subnet).is_none()
    }

    /// Of a row that stands, where it may go on to stand: not in Subnets that can be read and take no VIPs, and on one
    /// node alone only while that is there. Its ports are where they are now.
    fn settle(&self, row: &mut LoadBalancer) {
        row.subnets.retain(|subnet| {
            self.is_subnet_unread(subnet) || self.world.subnet(subnet).is_some_and(is_eligible)
        });
        row.only_on.retain(|_, node| self.world.node(node).is_some_and(|node| node.ready));
        let switches = || row.subnets.iter().filter_map(|subnet| self.network.switches.get(subnet));
        for (address, port) in &mut row.ports {
            let found = switches().filter_map(|switch| switch.ports.get(address));
            if let Some(found) = found.into_iter().find(|found| found.name == port.name) {
                port.clone_from(found);
            }
        }
    }

    /// Whether a Service that can be read may have a key in a subnet, by what cannot.
    fn may_have_it(
        &self,
        service: &Service,
        plan: &ServicePlan,
        key: (Protocol, SocketAddr),
        subnet: &SubnetName,
    ) -> bool {
        let (protocol, at) = key;
        let is_port = service.ports.iter().any(|port| (port.protocol, port.port) == (protocol, at.port()));
        let claims = service.vips.contains(&at.ip()) && is_port;
        let is_partial = |key: ObjectKey| self.gaps().objects.contains_key(&key);
        let partial_service = is_partial(ObjectKey::Service(service.key.clone()));
        let planned =
            plan.load_balancers.iter().any(|row| row.protocol == protocol && row.vips.contains_key(&at));
        let lost = if self.is_subnet_unread(subnet) {
            true
        } else {
            !planned && (partial_service || is_partial(ObjectKey::Subnet(subnet.clone())))
        };
        lost && (claims || partial_service) && !plan.refusals.iter().any(|refusal| is_certain(refusal, key))
    }
}

/// Whether a refusal of a key stands on what can be read.
fn is_certain(refusal: &Refusal, (protocol, at): (Protocol, SocketAddr)) -> bool {
    match refusal {
        Refusal::PortTaken { key, protocol: of, .. } | Refusal::NativeOwner { key, protocol: of, .. } => {
            (*of, *key) == (protocol, at)
        }
        Refusal::ReservedAddress { vip, .. }
        | Refusal::SkipsSubnetAddresses { vip }
        | Refusal::KeepsDestinationMac { vip, .. }
        | Refusal::SkippedCidr { vip, .. }
        | Refusal::VipIsPort { vip, .. }
        | Refusal::Proxied { vip } => *vip == at.ip(),
        _ => false,
    }
}
