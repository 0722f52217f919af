//! What a node tells of itself: to the other speakers, to MetalLB's readers, to users.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use super::agent::Agent;
use super::departed::{departed, is_over};
use super::segment::{News, Segment};
use super::sight::see;
use super::status::Status;
use super::tenure::{Word, is_only_more};
use super::{Located, Sight};
use crate::kube::saying::{Owner, Regarding, Saying, l2_status_key, report_key};
use crate::l2::Outcome;
use crate::model::{Change, InterfaceName, Object, ObjectKey, ServiceKey, SpeakerReport, SubnetName};

/// `metadata.uid` of an object of the cluster, where it is known.
pub type UidOf<'a> = dyn Fn(&ObjectKey) -> Option<String> + 'a;

/// Something that happened, with what is to be said of it in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where.
    pub subnet: SubnetName,
    /// By which MAC, on which interface.
    pub place: String,
    /// What.
    pub news: News,
    /// Events on the Services of the VIP.
    pub events: Vec<Saying>,
}

impl Agent {
    /// Keeps the report in step with what is so. It is part of this node's own world at once, whatever the API server has:
    /// who holds a VIP knows that first.
    pub(super) fn keep_report(&mut self, now: Instant) {
        self.writing_due |= self.settings.reports && self.published.is_due(now);
        let mut changed = std::mem::take(&mut self.report_stale);
        for segment in self.segments.values_mut() {
            changed |= segment.take_changed();
        }
        if !changed || !(self.settings.reports || self.settings.manner.beats.is_some()) {
            return;
        }
        for (subnet, segment) in &mut self.segments {
            segment.forget_left(|vip, left| is_over(&self.world, subnet, vip, left));
            segment.tell_others(now);
        }
        let report = self.own_report();
        let before = self.world.report_of(&self.settings.node);
        // What it holds more than before is what was planned.
        let at_once = before.is_none_or(|before| !is_only_more(before, &report));
        self.writing_due |= self.settings.reports && self.published.report() != Some(&report);
        let dirty = self.world.apply(Change::Apply(Object::Report(report)));
        self.dirty.merge(dirty);
        self.stale |= at_once;
        self.has_reported = true;
    }

    /// What this node says of itself by now.
    pub(super) fn own_report(&self) -> SpeakerReport {
        let node = self.settings.node.clone();
        let before = self.world.report_of(&node);
        let is_there = |subnet: &SubnetName| self.segments.contains_key(subnet);
        let gone = before.map(|before| departed(&self.world, before, is_there)).unwrap_or_default();
        let segments = self.segments.iter().map(|(subnet, segment)| (subnet.clone(), segment.report()));
        let segments = gone.into_iter().chain(segments).collect();
        SpeakerReport { key: report_key(&node), node, segments }
    }

    /// Whether something may have to be written since this was last asked.
    pub fn take_writing_due(&mut self) -> bool {
        std::mem::take(&mut self.writing_due)
    }

    /// What is to be written and does not stand there. `owner`: this node's Node; `uid_of`: `metadata.uid` of a
    /// ServiceL2Status, where the cluster has that kind.
    pub fn writings(&mut self, owner: &Owner, uid_of: Option<&UidOf<'_>>, now: Instant) -> Vec<Saying> {
        let mut sayings = Vec::new();
        // Before the first one of this run, the last one of the run before stands.
        let report = self.world.report_of(&self.settings.node).filter(|_| self.has_reported);
        let is_due =
            |report: &&SpeakerReport| self.published.report() != Some(report) || self.published.is_due(now);
        if let Some(report) = report.filter(is_due).cloned() {
            let lasts = self.published.written(&self.settings.node, self.world.nodes().count(), now);
            sayings.push(Saying::Report { report, owner: owner.clone(), lasts });
        }
        if let Some(uid_of) = uid_of.filter(|_| self.has_reported) {
            sayings.extend(self.l2_statuses(owner, uid_of));
        }
        sayings
    }

    fn l2_statuses(&self, owner: &Owner, uid_of: &dyn Fn(&ObjectKey) -> Option<String>) -> Vec<Saying> {
        let stated = self.announcer.plan().stated.iter().filter_map(|(service, (subnet, vip))| {
            let segment = self.segments.get(subnet).filter(|segment| segment.holds(*vip))?;
            Some((service, segment.located().speak_on.clone()))
        });
        let mut stated: BTreeMap<&ServiceKey, InterfaceName> = stated.collect();
        let mut sayings = Vec::new();
        let node = &self.settings.node;
        for found in self.world.statuses().filter(|found| found.ours && found.node == *node) {
            let is_its_name = found.key == l2_status_key(&found.service);
            if is_its_name && stated.remove(&found.service).is_none() {
                let Some(uid) = uid_of(&ObjectKey::L2Status(found.key.clone())) else { continue };
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

    /// A node that claimed what is held here, and says that it has let it go, is none to be asked.
    pub(super) fn settle_rivals(&mut self, now: Instant) {
        let world = &self.world;
        for (subnet, segment) in &mut self.segments {
            segment.forget_rivals(now, |vip, mac| {
                let mut of = world.reports().filter_map(|report| report.segments.get(subnet));
                let Some(rival) = of.find(|segment| segment.mac == mac) else { return Word::Nothing };
                match rival.left.get(&vip) {
                    _ if rival.held.contains_key(&vip) => Word::Holds,
                    Some(left) => Word::Left(*left),
                    None => Word::Nothing,
                }
            });
        }
    }

    /// What happened, oldest first on each segment. Fetch until there is none; `wall`: what a clock on the wall says now.
    pub fn poll_told(&mut self, wall: Timestamp) -> Option<Told> {
        let next = |(subnet, segment): (&SubnetName, &mut Segment)| {
            Some((subnet.clone(), place(segment.located()), segment.next_news(wall)?))
        };
        let ended = self.ended.iter_mut().find_map(|(subnet, segment)| next((subnet, segment)));
        let told = ended.or_else(|| {
            self.ended.clear();
            self.segments.iter_mut().find_map(next)
        });
        let (subnet, place, news) = told?;
        self.status_stale = true;
        self.writing_due = true;
        let events = self.events(&subnet, &place, &news);
        Some(Told { subnet, place, news, events })
    }

    fn events(&self, subnet: &SubnetName, place: &str, news: &News) -> Vec<Saying> {
        let node = &self.settings.node;
        let (vip, warning, reason, note) = match news {
            News::Asking(_)
            | News::HandedOver(..)
            | News::Carrier(..)
            | News::Silent(_)
            | News::Conflict(_, _, Outcome::PeerAsks) => return Vec::new(),
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
                    "the host with MAC {mac} claims {vip}, too; {node} says each time that it is here: find that host and give it another address"
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
                    "the host with MAC {mac} has {vip}: {node} is silent and asks again every few seconds; find that host and give it another address"
                ),
            ),
        };
        let services = self.world.services_at(vip).filter(|service| self.settings.policy.serves(service));
        let event = |service: &crate::model::Service| Saying::Event {
            regarding: Regarding::Service(service.key.clone(), service.uid.clone()),
            warning,
            reason: reason.into(),
            note: note.clone(),
            about: vip.to_string(),
        };
        services.map(event).collect()
    }

    /// The status, where it may be another than when this was last asked.
    pub fn take_status(&mut self, sight: &dyn Sight) -> Option<Status> {
        if !std::mem::take(&mut self.status_stale) {
            return None;
        }
        let mut vips = Vec::new();
        for (subnet, segment) in &self.segments {
            let is_known = self.is_known(subnet, segment);
            vips.extend(see(sight, subnet, segment.bridge(), is_known, |ready| segment.status(ready)));
        }
        vips.sort_by_key(|vip| vip.vip);
        Some(Status { node: self.settings.node.to_string(), vips })
    }
}

fn place(located: &Located) -> String {
    let Located { interface, speak_on, .. } = located;
    let tag = interface.vlan.map_or(String::new(), |vlan| format!(", VLAN {vlan}"));
    format!("{} on {speak_on}{tag}", interface.mac)
}
