//! What the speaker tells of itself: to the other speakers, to MetalLB's readers, to users, to probes and metrics.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::flows::Flow;
use crate::io::cluster::Cluster;
use crate::io::switch::SwitchEvent;
use crate::kube::Kind;
use crate::kube::marks::Marks;
use crate::kube::saying::{Owner, Regarding, Saying, l2_status_key, report_key};
use crate::l2::Outcome;
use crate::model::{
    Change, InterfaceName, Mac, Object, ObjectKey, SegmentReport, ServiceKey, SpeakerReport, SubnetName, Term,
};
use crate::telemetry::metrics::{label, replace};
use crate::telemetry::say_problems;

use super::bridge::Located;
use super::segment::{News, Ready, Segment};
use super::status::{State, Status};
use super::{Said, Speaker};

impl Speaker {
    /// Keeps the report in step with what is so. It is part of this node's own world at once, whatever the API server has:
    /// who holds a VIP knows that first.
    pub(super) fn keep_report(&mut self, now: Instant) {
        let mut changed = std::mem::take(&mut self.report_stale);
        for segment in self.segments.values_mut() {
            changed |= segment.take_changed();
        }
        if !changed || !matches!(self.cluster, Cluster::Kube(..)) {
            return;
        }
        for (subnet, segment) in &mut self.segments {
            segment.forget_left(|vip, left| {
                let term = |report: &SpeakerReport| report.term(subnet, vip).is_some_and(|term| term > left);
                self.world.holders_of(vip).any(term) || self.world.services_at(vip).next().is_none()
            });
        }
        let segments = self.segments.iter().map(|(subnet, segment)| (subnet.clone(), segment.report()));
        let report = SpeakerReport {
            key: report_key(&self.node),
            node: self.node.clone(),
            segments: segments.collect(),
        };
        // What it holds more than before is what was planned.
        let before = self.world.report_of(&self.node);
        self.stale |= before.is_none_or(|before| !is_only_more(before, &report));
        self.world.apply(Change::Apply(Object::Report(report)));
        self.has_reported = true;
        if self.world.report_of(&self.node) != self.published.as_ref() {
            self.voice.stir(now.into());
        }
    }

    /// What is to be said and does not stand there.
    fn sayings(&self) -> Vec<Saying> {
        let Cluster::Kube(watch, _) = &self.cluster else { return Vec::new() };
        let marks = watch.marks_of(&ObjectKey::Node(self.node.clone()));
        let uid = marks.map(|marks| marks.uid.clone()).unwrap_or_default();
        let owner = Owner { node: self.node.clone(), uid };
        let mut sayings = Vec::new();
        // Before the first one of this run, the last one of the run before stands.
        let report = self.world.report_of(&self.node).filter(|_| self.has_reported);
        if let Some(report) = report.filter(|report| self.published.as_ref() != Some(report)) {
            sayings.push(Saying::Report { report: report.clone(), owner: owner.clone() });
        }
        if watch.has(Kind::L2Status) && self.has_reported {
            sayings.extend(self.l2_statuses(&owner, |key| watch.marks_of(key)));
        }
        sayings
    }

    fn l2_statuses<'m>(
        &self,
        owner: &Owner,
        marks_of: impl Fn(&ObjectKey) -> Option<&'m Marks>,
    ) -> Vec<Saying> {
        let stated = self.plan.stated.iter().filter_map(|(service, (subnet, vip))| {
            let segment = self.segments.get(subnet).filter(|segment| segment.holds(*vip))?;
            Some((service, segment.located().speak_on.clone()))
        });
        let mut stated: BTreeMap<&ServiceKey, InterfaceName> = stated.collect();
        let mut sayings = Vec::new();
        for found in self.world.statuses().filter(|found| found.ours && found.node == self.node) {
            let is_its_name = found.key == l2_status_key(&found.service);
            if is_its_name && stated.remove(&found.service).is_none() {
                let key = ObjectKey::L2Status(found.key.clone());
                let Some(uid) = marks_of(&key).map(|marks| marks.uid.clone()) else { continue };
                sayings.push(Saying::NoL2Status { service: found.service.clone(), uid });
            }
        }
        let new = |(service, interface): (&ServiceKey, InterfaceName)| Saying::L2Status {
            service: service.clone(),
            owner: owner.clone(),
            interface,
        };
        sayings.extend(stated.into_iter().map(new));
        sayings
    }

    /// Says the next portion of it.
    pub(super) fn speak_up(&mut self, now: Instant) {
        let sayings = self.sayings();
        self.voice.speak(sayings, now.into());
    }

    /// A portion was said, well or not.
    pub(super) fn said(&mut self, said: &Said, now: Instant) {
        self.voice.said(said, now.into());
        say_problems(&mut self.said_of_voice, said.failures.first().cloned().into_iter());
    }

    /// Tells users what happened to VIPs.
    pub(super) fn tell_news(&mut self, now: Instant) {
        let mut segments = std::mem::take(&mut self.segments);
        segments.iter_mut().for_each(|(subnet, segment)| self.tell_news_of(subnet, segment, now));
        self.segments = segments;
    }

    pub(super) fn tell_news_of(&mut self, subnet: &SubnetName, segment: &mut Segment, now: Instant) {
        while let Some(news) = segment.next_news() {
            let Located { interface, speak_on, .. } = segment.located();
            let tag = interface.vlan.map_or(String::new(), |vlan| format!(", VLAN {vlan}"));
            let place = format!("{} on {speak_on}{tag}", interface.mac);
            self.status_stale = true;
            self.voice.stir(now.into());
            self.count_news(&news);
            self.tell(subnet, &news, &place);
        }
    }

    fn count_news(&self, news: &News) {
        let count = |event| {
            self.metrics.claims.get_or_create(&label("event", event)).inc();
        };
        match news {
            News::Announced(_) => count("announced"),
            News::Withdrawn(..) => count("withdrawn"),
            // Each frame of them is counted among the verdicts.
            News::Conflict(..) => {}
        }
    }

    fn tell(&mut self, subnet: &SubnetName, news: &News, place: &str) {
        let node = &self.node;
        let (vip, warning, reason, note) = match news {
            News::Announced(vip) => {
                (*vip, false, "Announced", format!("{node} answers for {vip} in Subnet {subnet}: {place}"))
            }
            News::Withdrawn(vip, why) => {
                (*vip, false, "Withdrawn", format!("{node} does not answer for {vip} any more: {why}"))
            }
            News::Conflict(vip, mac, Outcome::Defended) => (
                *vip,
                true,
                "AddressConflict",
                format!(
                    "the host with MAC {mac} claims {vip}, too; {node} has said once more that it is here: find that host and give it another address"
                ),
            ),
            News::Conflict(vip, mac, Outcome::Peer) => (
                *vip,
                true,
                "AddressInUse",
                format!(
                    "{mac}, a node of this cluster, answers for {vip} beside {node}: does MetalLB's speaker run there? See docs/deploy.md"
                ),
            ),
            News::Conflict(vip, mac, Outcome::Yielded | Outcome::Standing) => (
                *vip,
                true,
                "AddressYielded",
                format!(
                    "the host with MAC {mac} has {vip}: {node} is silent and asks again each minute; find that host and give it another address"
                ),
            ),
        };
        let services: Vec<_> =
            self.world.services_at(vip).filter(|service| self.policy.serves(service)).collect();
        for service in services {
            self.voice.tell(Saying::Event {
                regarding: Regarding::Service(service.key.clone(), service.uid.clone()),
                warning,
                reason: reason.into(),
                note: note.clone(),
                about: vip.to_string(),
            });
        }
    }

    /// What a switch did, in numbers.
    pub(super) fn measure_switch(&self, bridge: &InterfaceName, event: &SwitchEvent) {
        let connected = self.metrics.connected.get_or_create_owned(&label("bridge", bridge.as_str()));
        match event {
            SwitchEvent::Connected { .. } => drop(connected.set(1)),
            SwitchEvent::Disconnected { .. } => drop(connected.set(0)),
            SwitchEvent::Repaired { added, removed } => {
                self.metrics.repairs.inc_by(u64::try_from(added + removed).unwrap_or_default());
            }
            SwitchEvent::Installed { .. }
            | SwitchEvent::LeftToKubeOvn { .. }
            | SwitchEvent::Refused { .. } => {}
        }
    }

    /// Tells probes and metrics how it stands.
    pub(super) fn report(&mut self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let answered = self.segments.values().map(Segment::answered).sum();
        let rules = self.segments.values().map(|segment| segment.flows().len()).sum();
        self.metrics.announced.set(gauge(answered));
        self.metrics.rules.set(gauge(rules));
        replace(&self.metrics.objects, "kind", self.cluster.counts());
        if std::mem::take(&mut self.status_stale) {
            let status = self.status();
            let count = |state: State| status.vips.iter().filter(|vip| vip.state == state).count();
            replace(&self.metrics.states, "state", State::ALL.map(|state| (state.as_str(), count(state))));
            self.health.set_status(serde_json::to_string(&status).unwrap_or_default());
        }
        let waiting_for = if !self.cluster.is_complete() {
            Some("the cluster's objects")
        } else if !self.vswitch_known {
            Some("Open vSwitch's database")
        } else {
            None
        };
        self.health.set_ready(waiting_for);
    }

    fn status(&self) -> Status {
        let mut vips = Vec::new();
        for (subnet, segment) in &self.segments {
            let switch = self.switches.get(segment.bridge());
            vips.extend(segment.status(&Ready {
                is_on_bridge: &|flow: &Flow| switch.is_some_and(|switch| switch.confirms(flow)),
                is_delivered: &|vip| self.integration.confirms(subnet, vip),
                is_known: is_known(
                    &self.cluster,
                    self.published.as_ref(),
                    subnet,
                    segment.located().interface.mac,
                ),
            }));
        }
        vips.sort_by_key(|vip| vip.vip);
        Status { node: self.node.to_string(), vips }
    }
}

/// Whether a report differs from the one before in nothing but VIPs that it did not hold.
fn is_only_more(before: &SpeakerReport, after: &SpeakerReport) -> bool {
    let is_only_more = |(before, after): (&SegmentReport, &SegmentReport)| {
        let kept = |(vip, term): (&IpAddr, &Term)| after.held.get(vip) == Some(term);
        (before.mac, before.ready) == (after.mac, after.ready) && before.held.iter().all(kept)
    };
    before.segments.keys().eq(after.segments.keys())
        && before.segments.values().zip(after.segments.values()).all(is_only_more)
}

/// Whether the other speakers can know the MAC that this one has on a segment. In a folder they never do, and take anybody
/// for one of them.
pub(super) fn is_known(
    cluster: &Cluster,
    published: Option<&SpeakerReport>,
    subnet: &SubnetName,
    mac: Mac,
) -> bool {
    let published = published.and_then(|report| report.segments.get(subnet)).map(|segment| segment.mac);
    matches!(cluster, Cluster::Folder(..)) || published == Some(mac)
}
