//! A VIP's way from its Service to the node that announces it, step by step. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::super::addresses::{Lack, NO_ADDRESS};
use super::ovn::Difference;
use super::stage::darkens;
use crate::controller::Reconciler;
use crate::controller::heard::Silent;
use crate::kube::marks::{Served, Status as Condition};
use crate::model::{
    Family, LspName, ObjectKey, Protocol, Service, ServiceKey, Sources, Subnet, SubnetName, TrafficPolicy,
};
use crate::node::status::{State, Status};
use crate::ovsdb::Replica;
use crate::plan::{Refusal, Stage, is_eligible, lack, steering_mac};

/// What is known.
pub struct Facts<'f> {
    /// The controller's own mind, which has planned everything.
    pub reconciler: &'f Reconciler,
    /// What of the northbound is not as planned, for people, by Service; none where no northbound was read.
    pub differences: Option<&'f BTreeMap<ServiceKey, Vec<Difference>>>,
    /// Why nothing can be served at all.
    pub fault: Option<&'f Wrong>,
    /// The southbound, where it was read.
    pub southbound: Option<&'f Replica>,
    /// Addresses whose port is disabled, as far as a northbound was read.
    pub disabled: &'f BTreeMap<IpAddr, LspName>,
    /// An API server was read: speakers' reports and the controller's conditions are there.
    pub live: bool,
    /// What the controller says of the Service.
    pub said: Option<&'f Served>,
    /// Why it has no address, where that is ovn-vip's to give.
    pub lack: Option<&'f Lack>,
    /// Whose reports are too old.
    pub silent: &'f Silent,
    /// Speakers were asked.
    pub asked: bool,
    /// What those say that answered.
    pub speakers: &'f [Status],
}

/// How a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// As it should be.
    Right,
    /// The VIP is dark for it.
    Wrong,
    /// Not for that, but somebody should look.
    Doubtful,
    /// Nobody looked.
    Unknown,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which one.
    pub step: &'static str,
    /// How it is.
    pub mark: Mark,
    /// What is so.
    pub says: Vec<String>,
    /// What is wrong there by its short name, as `check` and docs/refusals.md have it.
    pub reasons: BTreeSet<&'static str>,
    /// What is wrong, or worth a look, each with what to do.
    pub wrongs: Vec<Wrong>,
}

/// Something that is wrong, with its cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// What is so.
    pub is: String,
    /// What to do.
    pub cure: String,
}

/// What clients find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is announced and delivered, as far as databases and speakers show.
    Served,
    /// The controller and a speaker have said so; nobody looked.
    SaidToBeServed,
    /// Something is wrong.
    NotServed,
    /// All its ports are left to somebody else's row, and nobody looked whether that serves them.
    LeftUnseen,
    /// Others announce it, and it is left to them.
    LeftToOthers,
    /// Nothing was found to be wrong, and not everything was looked at.
    Unknown,
}

/// The whole way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Namespace and name.
    pub service: String,
    /// The VIP; none where the Service has none.
    pub vip: Option<IpAddr>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The flags that were not given, each of which looks further.
    pub unasked: Vec<&'static str>,
    /// In order.
    pub steps: Vec<Step>,
}

/// Follows a Service's VIP.
pub fn explain(facts: &Facts<'_>, service: &Service, vip: Option<IpAddr>) -> Explained {
    let way = Way::new(facts, service, vip);
    let steps = way.steps();
    let wrong = steps.iter().any(|step| step.mark == Mark::Wrong);
    let announced = vip.is_some() && steps.last().is_some_and(|step| step.mark == Mark::Right);
    let is_unseen = steps.iter().any(|step| step.mark == Mark::Unknown);
    let is_heard = facts
        .speakers
        .iter()
        .any(|status| status.vips.iter().any(|said| Some(said.vip) == vip && said.state == State::Announced));
    let verdict = match (wrong, announced) {
        (true, _) => Verdict::NotServed,
        (false, _) if way.is_left_unseen() => Verdict::LeftUnseen,
        (false, true) if is_heard && !is_unseen => Verdict::Served,
        (false, true) => Verdict::SaidToBeServed,
        (false, false) if way.others().is_some() => Verdict::LeftToOthers,
        (false, false) => Verdict::Unknown,
    };
    let looks = [
        ("--ovn-nb", facts.differences.is_some()),
        ("--ovn-sb", facts.southbound.is_some()),
        ("--speakers", facts.asked),
    ];
    let unasked = looks.iter().filter(|(_, given)| !given).map(|(flag, _)| *flag).collect();
    Explained { service: service.key.to_string(), vip, verdict, unasked, steps }
}

pub(super) struct Way<'f> {
    pub(super) facts: &'f Facts<'f>,
    pub(super) service: &'f Service,
    pub(super) vip: Option<IpAddr>,
    pub(super) subnet: Option<&'f Subnet>,
    /// What is said of this VIP.
    pub(super) refusals: Vec<&'f Refusal>,
    /// By protocol and port, what OVN balances to.
    pub(super) backends: BTreeMap<(Protocol, u16), Vec<SocketAddr>>,
    is_placed: bool,
}

impl<'f> Way<'f> {
    fn new(facts: &'f Facts<'f>, service: &'f Service, vip: Option<IpAddr>) -> Self {
        let reconciler = facts.reconciler;
        let outcome = reconciler.outcomes().get(&service.key);
        let placed = vip.and_then(|vip| outcome?.vips.get(&vip));
        let holding = |vip: IpAddr| reconciler.world().subnets().find(move |subnet| subnet.contains(vip));
        let subnet = placed.and_then(|name: &SubnetName| reconciler.world().subnet(name));
        let refusals = reconciler.refusals().get(&service.key).into_iter().flatten();
        let concerns =
            |refusal: &&Refusal| vip.is_none() || refusal.vip().is_none_or(|other| vip == Some(other));
        Self {
            facts,
            service,
            vip,
            subnet: subnet.or_else(|| vip.and_then(holding)),
            refusals: refusals.filter(concerns).collect(),
            backends: vip.map(|vip| backends(reconciler, service, vip)).unwrap_or_default(),
            is_placed: placed.is_some(),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![self.service_step()];
        if steps[0].mark == Mark::Wrong {
            return steps;
        }
        steps.push(self.address_step());
        if self.vip.is_none() {
            return steps;
        }
        steps.extend([
            self.subnet_step(),
            self.vlan_step(),
            self.step(Stage::ExcludeIps, Mark::Right, vec!["the address is nobody else's".to_owned()]),
            self.clients_step(),
            self.ports_step(),
            self.backends_step(),
        ]);
        steps.extend(self.controller_step());
        steps.push(self.northbound_step());
        steps.extend([
            self.localnet_step(),
            self.southbound_step(),
            self.nodes_step(),
            self.announced_step(),
        ]);
        steps
    }

    /// A step that is so, unless a refusal belongs there.
    pub(super) fn step(&self, stage: Stage, mark: Mark, says: Vec<String>) -> Step {
        let here: Vec<&Refusal> =
            self.refusals.iter().copied().filter(|refusal| Stage::of(refusal) == stage).collect();
        let has_backends = !self.backends.is_empty();
        let dark = here.iter().any(|refusal| darkens(refusal, self.is_placed, has_backends));
        let mut step =
            Step { step: stage.as_str(), mark, says, reasons: BTreeSet::new(), wrongs: Vec::new() };
        if here.is_empty() {
            return step;
        }
        step.mark = if dark { Mark::Wrong } else { Mark::Doubtful };
        // What is wrong with an address is not that it is nobody else's.
        if dark || stage == Stage::ExcludeIps {
            step.says.clear();
        }
        // What darkens it comes first, and each with what to do.
        let mut here = here;
        here.sort_by_key(|refusal| !darkens(refusal, self.is_placed, has_backends));
        step.wrongs =
            here.iter().map(|refusal| Wrong { is: self.fault(refusal), cure: refusal.cure() }).collect();
        step.reasons = here.iter().map(|refusal| refusal.reason()).collect();
        step
    }

    fn fault(&self, refusal: &Refusal) -> String {
        match lack(self.facts.reconciler.world(), self.service, refusal) {
            Some(lack) => format!("{}: {lack}", refusal.fault()),
            None => refusal.fault(),
        }
    }

    fn service_step(&self) -> Step {
        let class = self.service.class.as_deref();
        let policy = match self.service.traffic_policy {
            TrafficPolicy::Cluster => "Cluster",
            TrafficPolicy::Local => "Local",
        };
        let class = class.map_or_else(|| "no class".to_owned(), |class| format!("class {class}"));
        let says = vec![format!("type LoadBalancer, {class}, externalTrafficPolicy {policy}")];
        if self.facts.reconciler.policy().serves(self.service) {
            return self.step(Stage::Service, Mark::Right, says);
        }
        let cure = "--load-balancer-class says which Services are served: give what ovn-vip's controller has";
        wrong(Stage::Service, format!("{class}: it is left to others"), cure.to_owned())
    }

    fn address_step(&self) -> Step {
        let words = self.vip.iter().map(ToString::to_string).collect();
        let step = self.step(Stage::Address, Mark::Right, words);
        match self.facts.lack.filter(|_| self.vip.is_none() && step.reasons.contains("NoVip")) {
            None => step,
            Some(Lack { is, cure }) => {
                let mut step = wrong(Stage::Address, is.clone(), cure.clone());
                step.reasons.insert(NO_ADDRESS);
                step
            }
        }
    }

    fn subnet_step(&self) -> Step {
        let hidden = self.subnet.filter(|subnet| is_eligible(subnet) && self.is_placed);
        if let Some(refusal) = hidden.and_then(|subnet| steering_mac(subnet).err()) {
            let mut step = wrong(Stage::Subnet, refusal.fault(), refusal.cure());
            step.reasons.insert(refusal.reason());
            return step;
        }
        if let (None, Some(vip), Some(unread)) = (self.subnet, self.vip, self.unread_subnets()) {
            let is = format!(
                "{unread} cannot be read: whether it holds VIP {vip} is not known, and a speaker that starts now answers for none in it"
            );
            return wrong(Stage::Subnet, is, "correct it: `ovn-vip check` names the field".to_owned());
        }
        self.step(Stage::Subnet, Mark::Right, self.subnet.map(subnet_words).into_iter().collect())
    }

    fn unread_subnets(&self) -> Option<String> {
        let unread = self.facts.reconciler.world().gaps().objects.keys();
        let subnets = unread.filter(|key| matches!(key, ObjectKey::Subnet(_))).map(ToString::to_string);
        Some(subnets.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
    }

    fn vlan_step(&self) -> Step {
        let world = self.facts.reconciler.world();
        let Some(name) = self.subnet.and_then(|subnet| subnet.vlan.as_ref()) else {
            return self.step(Stage::Vlan, Mark::Right, vec!["none".to_owned()]);
        };
        let Some(vlan) = world.vlan(name) else {
            let cure = "create the Vlan, or correct spec.vlan of the Subnet";
            return wrong(Stage::Vlan, format!("there is no Vlan {name}"), cure.to_owned());
        };
        if world.provider(&vlan.provider).is_none() {
            let cure = format!("create the ProviderNetwork, or correct spec.provider of Vlan {name}");
            return wrong(Stage::Vlan, format!("there is no ProviderNetwork {}", vlan.provider), cure);
        }
        let id = vlan.id.map_or_else(|| "untagged".to_owned(), |id| format!("id {id}"));
        self.step(Stage::Vlan, Mark::Right, vec![format!("{name}, {id}, ProviderNetwork {}", vlan.provider)])
    }

    fn clients_step(&self) -> Step {
        let sources = self.vip.map_or(Sources::Everybody, |vip| self.service.sources.of(Family::of(vip)));
        let words = match &sources {
            Sources::Everybody => "open to everybody".to_owned(),
            Sources::Only(_) => format!("open to {sources} only, by loadBalancerSourceRanges"),
        };
        self.step(Stage::Clients, Mark::Right, vec![words])
    }

    fn ports_step(&self) -> Step {
        let ports = self.service.ports.iter().map(|port| format!("{}/{}", port.protocol.as_str(), port.port));
        let ports: Vec<String> = ports.collect();
        if ports.is_empty() {
            let cure = "give it spec.ports that can be read: `ovn-vip check` names what cannot";
            return wrong(Stage::Ports, "the Service has no port".to_owned(), cure.to_owned());
        }
        self.step(Stage::Ports, Mark::Right, vec![ports.join(", ")])
    }

    /// Then what is wrong is seen in them, not heard of.
    fn sees_databases(&self) -> bool {
        self.facts.differences.is_some() && self.facts.southbound.is_some()
    }

    /// What the controller says, where there is an API server to say it to.
    fn controller_step(&self) -> Option<Step> {
        if !self.facts.live || !self.is_placed {
            return None;
        }
        let Some(Served { status, reason, message }) = self.facts.said else {
            let fault = "it has said nothing of this Service: there is no condition ovn-vip.io/Served";
            let cure = "does ovn-vip-controller run, has it a leader (`kubectl -n kube-system get lease ovn-vip-controller`), and may it patch services/status?";
            let mut step = wrong(Stage::Controller, fault.to_owned(), cure.to_owned());
            if self.sees_databases() {
                step.mark = Mark::Doubtful;
            }
            return Some(step);
        };
        let says = vec![format!("it says {reason}: {message}")];
        let mark = match status {
            Condition::True => Mark::Right,
            Condition::Unknown => Mark::Doubtful,
            Condition::False if self.sees_databases() => Mark::Doubtful,
            Condition::False => Mark::Wrong,
        };
        let cure =
            format!("its message says what to do; docs/refusals.md or docs/troubleshoot.md has {reason}");
        let wrongs = match mark {
            Mark::Wrong => vec![Wrong { is: says[0].clone(), cure }],
            _ => Vec::new(),
        };
        let says = if mark == Mark::Wrong { Vec::new() } else { says };
        Some(Step { step: Stage::Controller.as_str(), mark, says, reasons: BTreeSet::new(), wrongs })
    }
}

pub(super) fn wrong(stage: Stage, fault: String, cure: String) -> Step {
    let reasons = BTreeSet::new();
    let wrongs = vec![Wrong { is: fault, cure }];
    Step { step: stage.as_str(), mark: Mark::Wrong, says: Vec::new(), reasons, wrongs }
}

fn subnet_words(subnet: &Subnet) -> String {
    let cidrs: Vec<String> = subnet.cidrs.iter().map(ToString::to_string).collect();
    let takes = if is_eligible(subnet) { "takes VIPs" } else { "takes no VIPs" };
    format!("{}, {}, {takes}", subnet.name, cidrs.join(","))
}

/// What a VIP is balanced to, by protocol and port; a port without backends is not here.
fn backends(
    reconciler: &Reconciler,
    service: &Service,
    vip: IpAddr,
) -> BTreeMap<(Protocol, u16), Vec<SocketAddr>> {
    let mut found = BTreeMap::new();
    for protocol in Protocol::ALL {
        let row = reconciler.owner().load_balancer(&service.key, protocol);
        let Some(row) = reconciler.desired().load_balancers.get(&row) else { continue };
        for (key, backends) in &row.vips {
            let Some(key) = key.parse::<SocketAddr>().ok().filter(|key| key.ip() == vip) else { continue };
            let backends: Vec<SocketAddr> = backends.split(',').filter_map(|it| it.parse().ok()).collect();
            if !backends.is_empty() {
                found.insert((protocol, key.port()), backends);
            }
        }
    }
    found
}
