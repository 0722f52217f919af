//! Services and VIPs that are tied together are decided at once: which Service has a port, and which node announces.
//!
//! A *place* is a VIP in a subnet, with the Services that have it there. A Service ties its places together, and places
//! with a Service in common are a *unit*, which is announced by one node: Kube-OVN and MetalLB know one announcer of a
//! Service. A unit ends where a provider network does, for no node need be in two of them.
//! Everything is computed once, and at the first need: what a VIP costs grows with the Services on it, not with their square.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{
    Family, L2Status, Node, NodeName, Protocol, ProviderName, Service, ServiceKey, ServicePort, Sources,
    Steered, Subnet, SubnetName,
};

use super::backends::{Backends, usable};
use super::candidate::{Advertised, Candidates};
use super::view::View;
use super::{Obstacle, elect, subnet};

/// The places that were decided so far.
pub(super) struct Units<'w> {
    view: View<'w>,
    places: BTreeMap<PlaceKey<'w>, Place<'w>>,
}

/// A VIP in a subnet.
pub(super) type PlaceKey<'w> = (&'w SubnetName, IpAddr);

/// A VIP in a subnet, with all that is decided of it.
pub(super) struct Place<'w> {
    /// The Services that have the VIP here.
    pub members: BTreeMap<&'w ServiceKey, Member<'w>>,
    /// Somebody else who announces it.
    pub others: Option<&'w L2Status>,
    /// The node that is elected for the unit.
    pub elected: Option<&'w NodeName>,
    /// The node that announces the VIP: the elected one, where it serves something here and nobody else announces it.
    pub announcer: Option<&'w NodeName>,
    owners: BTreeMap<(Protocol, u16), &'w ServiceKey>,
}

/// A Service at a place.
pub(super) struct Member<'w> {
    /// The Service.
    pub service: &'w Service,
    /// The VIP's family.
    pub family: Family,
    /// Whether it may be served here, as far as the cluster alone tells.
    pub admitted: bool,
    /// Whether MetalLB's L2Advertisements select it.
    pub advertised: Advertised<'w>,
    /// Its ports, in order: whether each is its own, and its endpoints.
    pub ports: Vec<MemberPort<'w>>,
    /// The nodes that have a local backend of one of its ports at least, and may announce.
    pub servers: BTreeSet<&'w NodeName>,
    /// Those that have one and may not.
    pub hindered: BTreeMap<&'w NodeName, Obstacle>,
}

/// A port of a Service at a place.
pub(super) struct MemberPort<'w> {
    /// The port.
    pub port: &'w ServicePort,
    /// Whether another Service has it.
    pub owned: bool,
    /// Its endpoints.
    pub backends: Backends<'w>,
}

impl<'w> Units<'w> {
    /// Nothing is decided yet. Speakers know nothing of the northbound, and so all decide without.
    pub fn new(view: View<'w>) -> Self {
        Self { view: View { network: None, ..view }, places: BTreeMap::new() }
    }

    /// What is decided of a VIP in a subnet.
    pub fn at(&mut self, subnet: &'w Subnet, vip: IpAddr) -> &Place<'w> {
        if !self.places.contains_key(&(&subnet.name, vip)) {
            self.decide(subnet, vip);
        }
        let Self { view, places } = self;
        places.entry((&subnet.name, vip)).or_insert_with(|| Place::gather(*view, subnet, vip))
    }

    /// Of two nodes that claimed a VIP in one instant the one that goes on.
    pub fn goes_on(&self, subnet: &'w Subnet, vip: IpAddr, nodes: [&'w NodeName; 2]) -> Option<&'w NodeName> {
        elect::goes_on(self.view, &self.gather(subnet, vip), nodes)
    }

    /// The unit of a place.
    fn gather(&self, subnet: &'w Subnet, vip: IpAddr) -> BTreeMap<PlaceKey<'w>, Place<'w>> {
        let mut unit = BTreeMap::new();
        let mut ahead = vec![(subnet, vip)];
        while let Some((subnet, vip)) = ahead.pop() {
            if unit.contains_key(&(&subnet.name, vip)) {
                continue;
            }
            let place = Place::gather(self.view, subnet, vip);
            let provider = provider_of(self.view, subnet);
            for member in place.members.values().filter(|member| member.admitted) {
                for other in member.service.vips.iter().filter(|other| **other != vip) {
                    let found = subnet::checked(self.view, member.service, *other);
                    let tied = found.ok().filter(|found| provider_of(self.view, found) == provider);
                    ahead.extend(tied.map(|found| (found, *other)));
                }
            }
            unit.insert((&subnet.name, vip), place);
        }
        unit
    }

    /// Decides the unit of a place.
    fn decide(&mut self, subnet: &'w Subnet, vip: IpAddr) {
        let mut unit = self.gather(subnet, vip);
        let elected = elect::elected(self.view, &unit);
        for place in unit.values_mut() {
            place.elected = elected;
            let announcer = elected.filter(|node| place.others.is_none() && place.is_served_by(node));
            place.announcer = announcer;
        }
        // Not `append`, which builds the whole map anew.
        self.places.extend(unit);
    }
}

fn provider_of<'w>(view: View<'w>, subnet: &Subnet) -> Option<&'w ProviderName> {
    let vlan = subnet.vlan.as_ref().and_then(|vlan| view.world.vlan(vlan));
    vlan.map(|vlan| &vlan.provider)
}

impl<'w> Place<'w> {
    fn gather(view: View<'w>, subnet: &'w Subnet, vip: IpAddr) -> Self {
        let is_here = |service: &&Service| {
            subnet::of(view.world, service, vip).is_ok_and(|found| found.name == subnet.name)
        };
        let mut services: Vec<&Service> = view.services_at(vip).filter(is_here).collect();
        services.sort_by_key(|service| service.seniority());
        let mut owners = BTreeMap::new();
        for service in &services {
            for port in &service.ports {
                owners.entry((port.protocol, port.port)).or_insert(&service.key);
            }
        }
        let mut candidates = Candidates::new(view, subnet, vip);
        let members = services
            .into_iter()
            .map(|service| (&service.key, Member::new(view, subnet, vip, service, &owners, &mut candidates)));
        let members = members.collect();
        // Two that answer for one address are worse than none of ours.
        let others =
            view.services_at(vip).find_map(|sharer| view.policy.announced_by_others(view.world, &sharer.key));
        Self { members, others, elected: None, announcer: None, owners }
    }

    /// The Service that has a port here: of several that want the same the one that was there first, on every node alike.
    pub fn owner(&self, port: &ServicePort) -> Option<&'w ServiceKey> {
        self.owners.get(&(port.protocol, port.port)).copied()
    }

    /// Whether a Service here is not open to everybody: then OVN takes nothing from the wire for the VIP but what is marked,
    /// whichever Service's port it is for.
    pub fn is_gated(&self) -> bool {
        self.members.values().any(|member| member.service.sources.of(member.family) != Sources::Everybody)
    }

    /// Whether a node serves anything here, and may announce.
    pub fn is_served_by(&self, node: &NodeName) -> bool {
        self.members.values().any(|member| member.admitted && member.servers.contains(node))
    }
}

impl<'w> Member<'w> {
    fn new(
        view: View<'w>,
        subnet: &'w Subnet,
        vip: IpAddr,
        service: &'w Service,
        owners: &BTreeMap<(Protocol, u16), &'w ServiceKey>,
        candidates: &mut Candidates<'w>,
    ) -> Self {
        let ports = service.ports.iter().map(|port| MemberPort {
            port,
            owned: owners.get(&(port.protocol, port.port)).is_some_and(|owner| **owner == service.key),
            backends: usable(view.world, subnet, service, port, Family::of(vip)),
        });
        let mut member = Self {
            service,
            family: Family::of(vip),
            admitted: subnet::checked(view, service, vip).is_ok(),
            advertised: candidates.advertised(service),
            ports: ports.collect(),
            servers: BTreeSet::new(),
            hindered: BTreeMap::new(),
        };
        if subnet.wishes.announce {
            for node in member.nodes_with_backends().into_iter().filter_map(|node| view.world.node(node)) {
                member.put_candidate(node, candidates.obstacle(&member.advertised, node));
            }
        }
        member
    }

    fn put_candidate(&mut self, node: &'w Node, obstacle: Option<Obstacle>) {
        match obstacle {
            None => drop(self.servers.insert(&node.name)),
            Some(obstacle) => drop(self.hindered.insert(&node.name, obstacle)),
        }
    }

    /// The nodes that serve it here and may announce.
    pub fn votes(&self) -> impl Iterator<Item = &'w NodeName> + '_ {
        self.servers.iter().copied().filter(|_| self.admitted)
    }

    /// The nodes that have a local backend of one of its ports: a ready one, where there is one anywhere.
    fn nodes_with_backends(&self) -> BTreeSet<&'w NodeName> {
        let owned = self.ports.iter().filter(|port| port.owned);
        let usable =
            || owned.clone().flat_map(|port| &port.backends.usable).filter(|usable| usable.delivered);
        let any_ready = usable().any(|backend| backend.ready);
        usable().filter(|backend| backend.ready || !any_ready).map(|backend| backend.node).collect()
    }

    /// What of it a node can deliver: the ports that a backend of its own serves and to whom, and where the backends are.
    pub fn steered_on(&self, node: &NodeName) -> Steered {
        let sources = self.service.sources.of(self.family);
        let mut steered = Steered::default();
        for MemberPort { port, owned: _, backends } in self.ports.iter().filter(|port| port.owned) {
            for backend in backends.usable.iter().filter(|backend| backend.delivered) {
                let address = backend.backend.ip();
                if backend.node == node {
                    steered.ports.insert((port.protocol, port.port), sources.clone());
                    steered.local.insert(address);
                } else {
                    steered.elsewhere.insert(address);
                }
            }
        }
        steered
    }
}
