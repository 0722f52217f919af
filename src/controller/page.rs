//! What the page `/page` draws: each VIP's way from client to pods, as far as the controller knows, and what is wrong where on
//! it, with its cure. No I/O.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::Reconciler;
use super::heard::Silent;
use crate::model::{Service, World};
use crate::plan::{Refusal, Severity, lack};

mod place;
mod way;

pub use place::Place;
use way::Way;

/// The number of this form: a page of another one says so.
pub const FORM: u32 = 1;

/// Everything that the page draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// [`FORM`].
    pub form: u32,
    /// This program's version.
    pub version: &'static str,
    /// Whether this replica leads; one that does not has planned nothing.
    pub leads: bool,
    /// Who leads instead.
    pub leader: Option<String>,
    /// Why nothing can be told at the moment, for people.
    pub waiting_for: Option<String>,
    /// What is wrong with the cluster's objects, the Lease or the databases, for people.
    pub problems: Vec<String>,
    /// Every Node.
    pub nodes: Vec<NodeView>,
    /// Every VIP, and every Service without one; what is wrong comes first.
    pub vips: Vec<VipView>,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// The condition `Ready`.
    pub ready: bool,
    /// `heard`, `silent`, or `none` where no speaker reports from there.
    pub speaker: &'static str,
    /// How many VIPs it announces.
    pub announces: usize,
}

/// How it stands with a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Clients find nothing.
    Dark,
    /// Nobody can know.
    Unknown,
    /// It is served, and somebody should look.
    Doubtful,
    /// It is left to others, by somebody's choice.
    Others,
    /// It is served, by the controller's rows and a speaker's report.
    Served,
}

/// A VIP, with the Services that share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VipView {
    /// None: these Services have no address.
    pub vip: Option<IpAddr>,
    /// Namespace and name.
    pub services: Vec<String>,
    /// How it stands.
    pub state: State,
    /// The Subnet that it lies in.
    pub subnet: Option<String>,
    /// Protocols and ports.
    pub ports: Vec<String>,
    /// Who may reach it; none: everybody.
    pub clients: Option<String>,
    /// The node that announces it, or did last.
    pub announcer: Option<String>,
    /// The MAC that it answers with.
    pub mac: Option<String>,
    /// What is said of that in one line.
    pub announced: String,
    /// The VLAN of the segment; none: untagged.
    pub vlan: Option<u16>,
    /// The provider bridge on the announcing node, or on any.
    pub bridge: Option<String>,
    /// The MAC that the rule writes into frames for OVN.
    pub steered_to: Option<String>,
    /// What OVN balances to, node by node.
    pub nodes: Vec<Pods>,
    /// What is wrong, or worth a look: what darkens it comes first.
    pub wrongs: Vec<Wrong>,
}

/// A VIP's pods on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pods {
    /// The node; none where no EndpointSlice says.
    pub node: Option<String>,
    /// What its speaker says of the VIP.
    pub says: &'static str,
    /// Addresses and ports.
    pub pods: BTreeSet<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wrong {
    /// Whether the VIP is dark for it: 0, or served less well: 1. They are told in this order.
    #[serde(skip)]
    rank: u8,
    /// Whether the VIP, or a port of it, is dark for it.
    pub dark: bool,
    /// Where on the way.
    pub place: Place,
    /// The short name, as docs/refusals.md has it.
    pub reason: String,
    /// What is so.
    pub is: String,
    /// What to do.
    pub cure: String,
}

/// What the controller knows besides its mind.
#[derive(Clone, Copy)]
pub struct Facts<'f> {
    /// Its mind, which has planned everything.
    pub reconciler: &'f Reconciler,
    /// Whose reports are too old.
    pub silent: &'f Silent,
    /// There are speakers' reports: not in a folder.
    pub live: bool,
    /// Why a Service has no address, where addresses are given out here.
    pub unaddressed: &'f dyn Fn(&Service) -> Option<String>,
}

impl Facts<'_> {
    fn world(&self) -> &World {
        self.reconciler.world()
    }

    /// Every Node, in order.
    pub fn nodes(&self) -> Vec<NodeView> {
        let world = self.world();
        let view = |node: &crate::model::Node| {
            let report = world.report_of(&node.name);
            let speaker = match report {
                None => "none",
                Some(_) if self.silent.contains_key(&node.name) => "silent",
                Some(_) => "heard",
            };
            let held = report.into_iter().flat_map(|report| report.segments.values());
            let announces = held.map(|segment| segment.held.len()).sum();
            NodeView { name: node.name.to_string(), ready: node.ready, speaker, announces }
        };
        world.nodes().map(view).collect()
    }

    /// Every VIP, then every Service without one; what is wrong comes first.
    pub fn vips(&self) -> Vec<VipView> {
        let (world, policy) = (self.world(), self.reconciler.policy());
        let ours = |service: &&Service| policy.serves(service);
        let of_vip = |vip: IpAddr| {
            let services: Vec<&Service> = world.services_at(vip).filter(ours).collect();
            (!services.is_empty()).then(|| Way { facts: self, vip, services }.view())
        };
        let mut views: Vec<VipView> = world.vips().filter_map(of_vip).collect();
        let without = world.services().filter(ours).filter(|service| service.vips.is_empty());
        views.extend(without.map(|service| self.without_vip(service)));
        views.sort_by_key(|view| view.state);
        views
    }

    fn without_vip(&self, service: &Service) -> VipView {
        let wrongs = match (self.unaddressed)(service) {
            Some(is) => vec![Wrong {
                rank: 0,
                dark: true,
                place: Place::Client,
                reason: "NoAddress".to_owned(),
                is,
                cure: String::new(),
            }],
            None => wrongs(self, &[service], &|_| true, &|_| true),
        };
        VipView {
            vip: None,
            services: vec![service.key.to_string()],
            state: State::Dark,
            subnet: None,
            ports: ports(&[service]),
            clients: None,
            announcer: None,
            mac: None,
            announced: "it has no address".to_owned(),
            vlan: None,
            bridge: None,
            steered_to: None,
            nodes: Vec::new(),
            wrongs,
        }
    }
}

fn ports(services: &[&Service]) -> Vec<String> {
    let ports = services.iter().flat_map(|service| &service.ports);
    let ports: BTreeSet<_> = ports.map(|port| (port.port, port.protocol.as_str())).collect();
    ports.into_iter().map(|(port, protocol)| format!("{protocol}/{port}")).collect()
}

/// What is declined of these Services: what darkens the whole VIP first, then what darkens a part of it.
fn wrongs(
    facts: &Facts<'_>,
    services: &[&Service],
    concerns: &dyn Fn(&Refusal) -> bool,
    darkens: &dyn Fn(&Refusal) -> bool,
) -> Vec<Wrong> {
    let refusals = services.iter().flat_map(|service| {
        let refusals = facts.reconciler.refusals().get(&service.key).into_iter().flatten();
        refusals.map(move |refusal| (*service, refusal))
    });
    let wrong = |(service, refusal): (&Service, &Refusal)| {
        let by_kube_ovn = matches!(refusal, Refusal::NativeOwner { holder, .. } if holder.serves());
        let whole = darkens(refusal) && !by_kube_ovn;
        let dark = whole || refusal.severity() == Severity::Error;
        let is = match lack(facts.world(), service, refusal) {
            Some(lack) => format!("{}: {lack}", refusal.fault()),
            None => refusal.fault(),
        };
        let (place, reason) = (Place::of(refusal), refusal.reason().to_owned());
        Wrong { rank: u8::from(!whole), dark, place, reason, is, cure: refusal.cure() }
    };
    let wrongs: BTreeSet<Wrong> = refusals.filter(|(_, refusal)| concerns(refusal)).map(wrong).collect();
    wrongs.into_iter().collect()
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
