//! What a segment tells: to users, and to the other speakers.

use std::net::IpAddr;

use super::{News, Ready, Segment};
use crate::model::{SegmentReport, Steered, Term, VlanId};
use crate::speaker::status::{Facts, VipStatus, state};

impl Segment {
    /// How far each VIP is that this node can deliver.
    pub fn status(&self, ready: &Ready<'_>) -> Vec<VipStatus> {
        let rules = self.steered_vips(ready.is_on_bridge);
        let about = |(vip, steered): (&IpAddr, &Steered)| {
            let (state, why) = state(Facts {
                claim: self.responder.claim(*vip),
                ours: self.plan.announced.contains_key(vip),
                has_carrier: self.located.carrier,
                has_socket: self.line.is_open(),
                has_rules: rules.get(vip) == Some(&true),
                is_delivered: (ready.is_delivered)(*vip),
                is_known: ready.is_known,
                in_use_by: self.conflicts.get(vip).map(|(mac, _)| *mac),
            });
            let Steered { ports, local, elsewhere } = steered;
            VipStatus {
                vip: *vip,
                subnet: self.subnet.to_string(),
                state,
                why,
                since: self.answered.get(vip).map(ToString::to_string),
                mac: self.located.interface.mac.to_string(),
                interface: self.located.speak_on.to_string(),
                vlan: self.located.interface.vlan.map(VlanId::get),
                ports: ports.iter().map(|(protocol, port)| format!("{protocol}/{port}")).collect(),
                local: local.clone(),
                elsewhere: elsewhere.clone(),
            }
        };
        self.plan.steered.iter().map(about).collect()
    }

    /// What the other speakers are to know of it.
    pub fn report(&self) -> SegmentReport {
        let ready = self.located.carrier && !self.line.is_broken();
        SegmentReport {
            mac: self.located.interface.mac,
            ready,
            held: self.terms.clone(),
            left: self.left.clone(),
        }
    }

    /// Whether the report may be another than when this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether this node holds the VIP, by its own word to the others.
    pub fn holds(&self, vip: IpAddr) -> bool {
        self.terms.contains_key(&vip)
    }

    /// Forgets what it let go and somebody else has, or nobody wants.
    pub fn forget_left(&mut self, is_over: impl Fn(IpAddr, Term) -> bool) {
        self.left.retain(|vip, term| !is_over(*vip, *term));
    }

    /// How many VIPs it answers for.
    pub fn answered(&self) -> usize {
        self.answered.len()
    }

    /// What happened to a VIP, oldest first.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    pub(super) fn why_withdrawn(&self, vip: IpAddr) -> &'static str {
        match () {
            () if !self.located.carrier => "the NIC has no carrier, or is down",
            () if self.plan.handed_over.contains(&vip) => "another node has it",
            () if !self.plan.steered.contains_key(&vip) => "nothing on this node can serve it any more",
            () if !self.plan.announced.contains_key(&vip) => "no node may announce it",
            () if !self.line.is_open() => "the interface cannot be spoken on; see the log",
            () => "it cannot be delivered here at the moment; see ovn-vip status",
        }
    }
}
