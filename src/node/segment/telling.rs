//! What a segment tells: to users, and to the other speakers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use jiff::Timestamp;

use super::{News, Ready, Segment, Socket};
use crate::model::{Mac, SegmentReport, Steered, Term, VlanId};
use crate::node::status::{Facts, State, VipStatus, state};
use crate::node::tenure::Word;

impl Segment {
    /// How far each VIP is that this node can deliver.
    pub fn status(&self, ready: &Ready<'_>) -> Vec<VipStatus> {
        let rules = self.steered_vips(ready.is_on_bridge);
        let about = |(vip, steered): (&IpAddr, &Steered)| {
            let (state, why) = state(Facts {
                claim: self.responder.claim(*vip),
                ours: self.plan.announced.contains_key(vip),
                has_carrier: self.located.carrier,
                has_socket: self.socket == Socket::Open,
                has_rules: rules.get(vip) == Some(&true),
                is_delivered: (ready.is_delivered)(*vip),
                is_known: ready.is_known,
                in_use_by: self.conflicts.get(vip).map(|(mac, _)| *mac),
            });
            let is_whole = rules.get(vip) == Some(&true) && (ready.is_delivered)(*vip);
            let why = match state {
                State::Announced if !is_whole => {
                    "not every port of it can be served here at the moment; another node that can is to have it".to_owned()
                }
                _ => why,
            };
            let Steered { ports, gated: _, local, elsewhere } = steered;
            VipStatus {
                vip: *vip,
                subnet: self.subnet.to_string(),
                state,
                why,
                since: self.since.get(vip).map(ToString::to_string),
                mac: self.located.interface.mac.to_string(),
                interface: self.located.speak_on.to_string(),
                vlan: self.located.interface.vlan.map(VlanId::get),
                ports: ports.keys().map(|(protocol, port)| format!("{protocol}/{port}")).collect(),
                local: local.clone(),
                elsewhere: elsewhere.clone(),
            }
        };
        self.plan.steered.iter().map(about).collect()
    }

    /// What the other speakers are to know of it.
    pub fn report(&self) -> SegmentReport {
        let ready = self.located.carrier && self.socket != Socket::Broken;
        let report = self.tenure.report(self.located.interface.mac, self.is_beating(), ready);
        SegmentReport { strangers: self.strangers(), missed: self.missed(), ..report }
    }

    /// The hosts that have what this node was to claim, and are none of the cluster's.
    fn strangers(&self) -> BTreeMap<IpAddr, Mac> {
        let Some(peers) = &self.plan.peers else { return BTreeMap::new() };
        let open = self.conflicts.iter().filter(|(vip, _)| !self.answered.contains(**vip));
        let macs = open.map(|(vip, (mac, _))| (*vip, *mac));
        macs.filter(|(vip, mac)| self.plan.announced.contains_key(vip) && !peers.contains(mac)).collect()
    }

    /// Whether the report may be another than when this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether this node holds the VIP, by its own word to the others.
    pub fn holds(&self, vip: IpAddr) -> bool {
        self.tenure.holds(vip)
    }

    /// Forgets the nodes that claimed what is held here and have let it go since.
    pub fn forget_rivals(&mut self, now: Instant, word: impl Fn(IpAddr, Mac) -> Word) {
        self.tenure.forget_rivals(now, word);
    }

    /// Forgets what it let go and somebody else has, or nobody wants.
    pub fn forget_left(&mut self, is_over: impl Fn(IpAddr, Term) -> bool) {
        self.tenure.forget_left(is_over);
    }

    /// How many VIPs it answers for.
    pub fn answered(&self) -> usize {
        self.answered.count()
    }

    /// What happened, oldest first; `wall` is what a clock on the wall says now.
    pub fn next_news(&mut self, wall: Timestamp) -> Option<News> {
        let news = self.news.pop_front()?;
        match &news {
            News::Announced(vip) => drop(self.since.insert(*vip, wall)),
            News::Withdrawn(vip, _) => drop(self.since.remove(vip)),
            News::Asking(_)
            | News::HandedOver(..)
            | News::Conflict(..)
            | News::Carrier(..)
            | News::Silent(_) => {}
        }
        Some(news)
    }

    pub(super) fn why_withdrawn(&self, vip: IpAddr) -> &'static str {
        match () {
            () if !self.located.carrier => "the NIC has no carrier, or is down",
            () if self.plan.handed_over.contains(&vip) => "another node has it",
            () if self.tenure.has_given_up(vip) => "another node claimed it in the same instant, and goes on",
            () if !self.plan.steered.contains_key(&vip) => "nothing on this node can serve it any more",
            () if !self.plan.announced.contains_key(&vip) => "no node may announce it",
            () if self.socket != Socket::Open => "the interface cannot be spoken on; see the log",
            () => "it cannot be delivered here at the moment; see ovn-vip status",
        }
    }
}
