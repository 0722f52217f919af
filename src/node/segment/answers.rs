//! What a segment answers for, and the rules by which the bridge answers echo requests to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Segment;
use crate::flows::{Flow, answer_flows};

/// How long the rules wait for more to change: claims are taken in crowds, and each change costs a bundle.
const SETTLE: Duration = Duration::from_millis(10);

/// The VIPs that a node answers for.
#[derive(Debug, Default)]
pub(super) struct Answered {
    vips: BTreeSet<IpAddr>,
    /// Whether echo requests are answered as well.
    pings: bool,
    /// The rules that do it.
    flows: BTreeSet<Flow>,
    /// Those that an earlier run may have left for what is not decided yet.
    kept: BTreeSet<Flow>,
    /// What was answered for once, or is not to be.
    decided: BTreeSet<IpAddr>,
    /// When they are to be made anew.
    due: Option<Instant>,
    /// Rules of plans before that led what is answered for to OVN, and do until the bridge has those of the plan.
    replaced: BTreeSet<Flow>,
}

impl Answered {
    pub(super) fn new(pings: bool) -> Self {
        Self { pings, ..Self::default() }
    }

    pub(super) fn contains(&self, vip: IpAddr) -> bool {
        self.vips.contains(&vip)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vips.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.vips.len()
    }

    pub(super) fn insert(&mut self, vip: IpAddr, now: Instant) {
        if self.vips.insert(vip) {
            self.decided.insert(vip);
            self.change(now);
        }
    }

    /// It is not answered for, whatever an earlier run did.
    pub(super) fn deny(&mut self, vip: IpAddr, now: Instant) {
        if self.decided.insert(vip) {
            self.change(now);
        }
    }

    /// Whether it was answered for.
    pub(super) fn remove(&mut self, vip: IpAddr, now: Instant) -> bool {
        let was_there = self.vips.remove(&vip);
        if was_there {
            self.change(now);
        }
        was_there
    }

    /// Other rules are to be on the bridge: it takes them in one bundle, and delivers by the old ones until then.
    pub(super) fn replace(&mut self, before: BTreeSet<Flow>, flows: &BTreeSet<Flow>) {
        self.replaced.extend(before);
        let Self { replaced, vips, .. } = self;
        replaced.retain(|flow| leads(flow).is_some_and(|vip| vips.contains(&vip)) && !flows.contains(flow));
    }

    /// The bridge has all rules of these VIPs.
    pub(super) fn forget_replaced(&mut self, rules: &BTreeMap<IpAddr, bool>) {
        self.replaced.retain(|flow| leads(flow).is_some_and(|vip| rules.get(&vip) == Some(&false)));
    }

    /// When the rules are to be others.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn change(&mut self, now: Instant) {
        if self.pings {
            self.due.get_or_insert(now + SETTLE);
        }
    }
}

/// The VIP that a rule leads to OVN.
fn leads(flow: &Flow) -> Option<IpAddr> {
    let vip = flow.matches.vip().filter(|_| !flow.actions.is_empty())?;
    Some(vip.destination)
}

impl Segment {
    /// The rules that it needs, and those that answer echo requests: for these no VIP waits, a switch may refuse them.
    pub fn rules(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().chain(&self.answered.flows)
    }

    /// The VIPs of which a rule that leads to OVN is on the bridge, also one that is about to be replaced.
    pub(super) fn partly_steered(&self, is_on_bridge: impl Fn(&Flow) -> bool) -> BTreeSet<IpAddr> {
        let all = self.flows.iter().chain(&self.answered.replaced);
        all.filter(|flow| is_on_bridge(flow)).filter_map(leads).collect()
    }

    /// The rules that an earlier run may have left for what this one is about to answer for.
    pub fn kept(&self) -> impl Iterator<Item = &Flow> {
        self.answered.kept.iter()
    }

    /// Makes the rules that answer echo requests anew where they are due. Whether they are others.
    pub fn renew_answers(&mut self, now: Instant) -> bool {
        let is_due = self.answered.due.is_some_and(|due| now >= due);
        if is_due {
            self.make_answers();
        }
        is_due
    }

    /// For what is answered for by now.
    pub(super) fn make_answers(&mut self) {
        let Self { plan, located, .. } = self;
        let Answered { vips, pings, flows, kept, decided, due, replaced: _ } = &mut self.answered;
        decided.retain(|vip| plan.steered.contains_key(vip));
        if *pings {
            let undecided = plan.announced.keys().filter(|vip| !decided.contains(vip));
            *flows = answer_flows(plan, &located.ports, vips.iter().copied());
            *kept = answer_flows(plan, &located.ports, undecided.copied());
        }
        *due = None;
    }
}
