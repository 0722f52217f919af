//! One VIP's way, from what the controller knows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Facts, Place, Pods, State, VipView, Wrong, ports, wrongs};
use crate::controller::announcer::{Announcer, announcer};
use crate::controller::truth::darkens;
use crate::model::{Family, NodeName, Protocol, Service, Sources, Subnet, SubnetName};
use crate::plan::steering_mac;

/// One VIP's way.
pub(super) struct Way<'f> {
    pub(super) facts: &'f Facts<'f>,
    pub(super) vip: IpAddr,
    pub(super) services: Vec<&'f Service>,
}

impl<'f> Way<'f> {
    pub(super) fn view(&self) -> VipView {
        let (world, vip) = (self.facts.world(), self.vip);
        let placed = self.placed();
        let subnet = placed.or_else(|| world.subnets().find(|subnet| subnet.contains(vip)));
        let backends = self.backends();
        let vlan = subnet.and_then(|subnet| world.vlan(subnet.vlan.as_ref()?));
        let mut wrongs = wrongs(
            self.facts,
            &self.services,
            &|refusal| refusal.vip().is_none_or(|other| other == vip),
            &|refusal| placed.is_none() || backends.is_empty() || darkens(refusal),
        );
        let holder = placed.map(|subnet| self.holder(subnet, &mut wrongs));
        let holder = holder.unwrap_or_else(|| Holder::nobody("nobody answers for it"));
        let provider = vlan.and_then(|vlan| world.provider(&vlan.provider));
        let somewhere = || world.nodes().map(|node| &node.name).next();
        let node = holder.node.as_ref().or_else(somewhere);
        let bridge = node.and_then(|node| provider?.bridge_and_nic(node)).map(|(bridge, _)| bridge);
        let state = state(placed.is_some() && !backends.is_empty(), &holder, &wrongs);
        VipView {
            vip: Some(vip),
            services: self.services.iter().map(|service| service.key.to_string()).collect(),
            state,
            subnet: subnet.map(|subnet| subnet.name.to_string()),
            ports: ports(&self.services),
            clients: self.clients(),
            announcer: holder.node.as_ref().map(ToString::to_string),
            mac: holder.mac,
            announced: holder.words,
            vlan: vlan.and_then(|vlan| vlan.id).map(|id| id.get()),
            bridge: bridge.map(|bridge| bridge.to_string()),
            steered_to: placed.and_then(|subnet| steering_mac(subnet).ok()).map(|mac| mac.to_string()),
            nodes: self.pods(placed, &backends),
            wrongs,
        }
    }

    /// The Subnet that it is programmed in.
    fn placed(&self) -> Option<&'f Subnet> {
        let outcomes = self.facts.reconciler.outcomes();
        let mut places =
            self.services.iter().filter_map(|service| outcomes.get(&service.key)?.vips.get(&self.vip));
        places.find_map(|name: &SubnetName| self.facts.world().subnet(name))
    }

    fn clients(&self) -> Option<String> {
        let of = |service: &&Service| service.sources.of(Family::of(self.vip));
        let all: Vec<Sources> = self.services.iter().map(of).collect();
        match Sources::union(&all, Family::of(self.vip)) {
            Sources::Everybody => None,
            only @ Sources::Only(_) => Some(only.to_string()),
        }
    }

    /// What OVN balances it to, by what is to stand in the northbound.
    fn backends(&self) -> BTreeSet<SocketAddr> {
        let (owner, desired) = (self.facts.reconciler.owner(), self.facts.reconciler.desired());
        let mut found = BTreeSet::new();
        for (service, protocol) in
            self.services.iter().flat_map(|service| Protocol::ALL.map(|protocol| (service, protocol)))
        {
            let row = owner.load_balancer(&service.key, protocol);
            for (key, backends) in desired.load_balancers.get(&row).iter().flat_map(|row| &row.vips) {
                if key.parse::<SocketAddr>().is_ok_and(|key| key.ip() == self.vip) {
                    found.extend(backends.split(',').filter_map(|it| it.parse::<SocketAddr>().ok()));
                }
            }
        }
        found
    }

    fn pods(&self, subnet: Option<&Subnet>, backends: &BTreeSet<SocketAddr>) -> Vec<Pods> {
        let world = self.facts.world();
        let slices = self.services.iter().flat_map(|service| world.slices_of(&service.key));
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        let node_of: BTreeMap<IpAddr, &NodeName> =
            endpoints.filter_map(|endpoint| Some((endpoint.address, endpoint.node.as_ref()?))).collect();
        let mut nodes: BTreeMap<Option<&NodeName>, BTreeSet<String>> = BTreeMap::new();
        for backend in backends {
            let node = node_of.get(&backend.ip()).copied();
            nodes.entry(node).or_default().insert(backend.to_string());
        }
        let says = |node: Option<&NodeName>| match node.zip(subnet) {
            Some((node, subnet)) => self.says(node, subnet),
            None => "is not known",
        };
        let view = |(node, pods): (Option<&NodeName>, BTreeSet<String>)| Pods {
            node: node.map(ToString::to_string),
            says: says(node),
            pods,
        };
        nodes.into_iter().map(view).collect()
    }

    /// What a node's speaker says of the VIP.
    fn says(&self, node: &NodeName, subnet: &Subnet) -> &'static str {
        if !self.facts.live {
            return "can serve it";
        }
        let Some(report) = self.facts.world().report_of(node) else { return "no speaker reports" };
        if self.facts.silent.contains_key(node) {
            return "its speaker is not heard";
        }
        let Some(segment) = report.segments.get(&subnet.name) else { return "has no bridge on this segment" };
        let (held, undelivered) =
            (segment.held.contains_key(&self.vip), segment.undelivered.contains(&self.vip));
        match (segment.ready, held, undelivered) {
            (_, true, false) => "announces it",
            (_, true, true) => "announces it and cannot deliver it",
            (_, false, true) => "cannot deliver it",
            (true, false, false) => "stands by",
            (false, false, false) => "cannot speak on the segment",
        }
    }

    /// Who answers for it; where nobody does for certain, that is among what is wrong.
    fn holder(&self, subnet: &Subnet, wrongs: &mut Vec<Wrong>) -> Holder {
        if !subnet.wishes.announce {
            let words = "left to others: ovn-vip.io/announce is false";
            return Holder { others: true, ..Holder::nobody(words) };
        }
        if let Some(wrong) = wrongs.iter().find(|wrong| wrong.reason == "AnnouncedByOthers") {
            return Holder { others: true, ..Holder::nobody(&wrong.is) };
        }
        if !self.facts.live {
            let words = "a folder has no speakers' reports: `ovn-vip status` on the nodes says who";
            return Holder { unknown: true, ..Holder::nobody(words) };
        }
        let announcer = announcer(self.facts.world(), self.facts.silent, &subnet.name, self.vip);
        // What keeps everybody from it is told already.
        if !(matches!(announcer, Announcer::Nobody) && wrongs.iter().any(|wrong| wrong.dark)) {
            wrongs.splice(0..0, doubt(announcer, self.vip));
        }
        let named = |node: &NodeName, words: &str| {
            let report = self.facts.world().report_of(node);
            let segment = report.and_then(|report| report.segments.get(&subnet.name));
            let mac = segment.map(|segment| segment.mac.to_string());
            Holder { node: Some(node.clone()), mac, ..Holder::nobody(words) }
        };
        match announcer {
            Announcer::Node(node) => {
                Holder { certain: true, ..named(node, "answers ARP and neighbour discovery") }
            }
            Announcer::Undelivered(node) => named(node, "cannot deliver it"),
            Announcer::Lost(node) => named(node, "its Node is not ready"),
            Announcer::NotHeard(node, _) => {
                Holder { unknown: true, ..named(node, "its speaker is not heard") }
            }
            Announcer::Nobody => Holder::nobody("nobody answers for it"),
            Announcer::Unreported => Holder { unknown: true, ..Holder::nobody("no speaker reports") },
        }
    }
}

/// What is wrong with who answers for a VIP.
fn doubt(announcer: Announcer<'_>, vip: IpAddr) -> Option<Wrong> {
    let (dark, reason, is, cure) = match announcer {
        Announcer::Node(_) => return None,
        Announcer::Undelivered(node) => (
            true,
            "NotDelivered",
            format!("{node} holds it and cannot deliver it"),
            format!(
                "`ovn-vip status` on {node} says what is missing in its Open vSwitch; does ovn-controller run there?"
            ),
        ),
        Announcer::Lost(node) => (
            true,
            "NotAnnounced",
            format!("{node} announced it last, and its Node is not ready"),
            "another node with a ready backend would take it over".to_owned(),
        ),
        Announcer::NotHeard(node, since) => (
            false,
            "NotHeard",
            format!("{node} announced it last, and its speaker is not heard since {since}"),
            format!("does the Pod of ovn-vip-speaker run on {node}, and does it reach the API server?"),
        ),
        Announcer::Nobody => (
            true,
            "NotAnnounced",
            "no node announces it".to_owned(),
            format!("`ovn-vip explain {vip}` says why, and so do the logs of ovn-vip-speaker"),
        ),
        Announcer::Unreported => (
            false,
            "NoSpeaker",
            "no speaker reports".to_owned(),
            "does the DaemonSet ovn-vip-speaker run, and may it write Leases (deploy/rbac.yaml)?".to_owned(),
        ),
    };
    let (place, reason) = (Place::Node, reason.to_owned());
    Some(Wrong { rank: u8::from(!dark), dark, place, reason, is, cure })
}

/// Who answers for a VIP.
struct Holder {
    node: Option<NodeName>,
    mac: Option<String>,
    words: String,
    certain: bool,
    others: bool,
    unknown: bool,
}

impl Holder {
    fn nobody(words: &str) -> Self {
        Self { node: None, mac: None, words: words.to_owned(), certain: false, others: false, unknown: false }
    }
}

fn state(programmed: bool, holder: &Holder, wrongs: &[Wrong]) -> State {
    let others = holder.others || wrongs.iter().any(|wrong| !wrong.dark && wrong.reason == "NativeOwner");
    match (programmed, holder) {
        _ if wrongs.iter().any(|wrong| wrong.dark && wrong.rank == 0) => State::Dark,
        _ if others => State::Others,
        (false, _) => State::Dark,
        (true, Holder { unknown: true, .. }) => State::Unknown,
        (true, Holder { certain: true, .. }) if wrongs.is_empty() => State::Served,
        (true, Holder { certain: true, .. }) => State::Doubtful,
        (true, _) => State::Dark,
    }
}
