//! One segment of a node: its rules, what is spoken on it, and why, in that order.

mod answers;
mod beats;
mod conflicts;
mod telling;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::flows::{Flow, Wish, beat_flows, flows_for};
use crate::l2::beat::Beat;
use crate::l2::{ClaimState, OnConflict, Outcome, Peers, Reason, Received, Responder, Verdict};
use crate::model::{InterfaceName, Mac, NodeName, SegmentPlan, Steered, SubnetName, Term};

use super::bridge::Located;
use super::liveness::Identity;
use super::tenure::{Probe, Tenure};
use answers::Answered;
use beats::Beats;

/// What a segment knows of others when it speaks.
pub struct Ready<'a> {
    /// Whether a rule is on the bridge.
    pub is_on_bridge: &'a dyn Fn(&Flow) -> bool,
    /// Whether OVN delivers a VIP here.
    pub is_delivered: &'a dyn Fn(IpAddr) -> bool,
    /// Whether it delivers some of its ports.
    pub is_partly_delivered: &'a dyn Fn(IpAddr) -> bool,
    /// Whether the other speakers can know this one's MAC.
    pub is_known: bool,
}

/// How a segment is spoken on.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// How often what is held is announced anew.
    pub refresh: Option<Duration>,
    /// What to do about strangers that claim what is held.
    pub on_conflict: OnConflict,
    /// Which claims ask first.
    pub probe: Probe,
    /// Whose beats are sent; none: none are.
    pub beats: Option<Arc<Identity>>,
    /// Whether the bridge answers echo requests to what is spoken for.
    pub answer_ping: bool,
}

/// What happened on a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The wire is asked whether somebody has the VIP.
    Asking(IpAddr),
    /// It is answered for.
    Announced(IpAddr),
    /// The node that is to have it was heard.
    HandedOver(IpAddr, Mac),
    /// It is not answered for any more, and why.
    Withdrawn(IpAddr, &'static str),
    /// Another host has it, or says so.
    Conflict(IpAddr, Mac, Outcome),
    /// The NIC has a carrier, or has none any more.
    Carrier(InterfaceName, bool),
    /// These nodes' beats are missed on the segment; nobody else's.
    Silent(BTreeSet<NodeName>),
}

/// The socket that a segment is spoken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    /// None was tried for.
    Closed,
    /// There is one.
    Open,
    /// One was tried for in vain, or lost.
    Broken,
}

/// What a node does on one segment.
#[derive(Debug)]
pub struct Segment {
    subnet: SubnetName,
    plan: SegmentPlan,
    located: Located,
    flows: BTreeSet<Flow>,
    responder: Responder,
    socket: Socket,
    /// The VIPs that the responder is to claim, or has claimed.
    claimed: BTreeSet<IpAddr>,
    /// Those that it answers for.
    answered: Answered,
    /// Since when, for those that were told.
    since: BTreeMap<IpAddr, Timestamp>,
    tenure: Tenure,
    probe: Probe,
    beats: Option<Beats>,
    conflicts: BTreeMap<IpAddr, (Mac, Instant)>,
    /// What peers were heard to have that is not claimed here, and when.
    overheard: BTreeMap<IpAddr, (Mac, Instant)>,
    news: VecDeque<News>,
    /// Whether the report may be another than when it was last asked for.
    changed: bool,
}

impl Segment {
    /// Speaks for nothing yet. `held`: what this node's last report said it holds.
    pub fn new(
        subnet: SubnetName,
        plan: SegmentPlan,
        located: Located,
        held: BTreeMap<IpAddr, Term>,
        Manner { refresh, on_conflict, probe, beats, answer_ping }: Manner,
    ) -> Self {
        let mut segment = Self {
            subnet,
            flows: BTreeSet::new(),
            responder: Responder::new(located.interface),
            plan,
            located,
            socket: Socket::Closed,
            claimed: BTreeSet::new(),
            answered: Answered::new(answer_ping),
            since: BTreeMap::new(),
            tenure: Tenure::new(held),
            probe,
            beats: beats.map(Beats::new),
            conflicts: BTreeMap::new(),
            overheard: BTreeMap::new(),
            news: VecDeque::new(),
            changed: true,
        };
        segment.responder.set_refresh(refresh);
        segment.responder.set_on_conflict(on_conflict);
        segment.follow_plan();
        segment
    }

    /// The bridge that its rules are on.
    pub fn bridge(&self) -> &InterfaceName {
        &self.plan.bridge
    }

    /// Where it speaks.
    pub fn located(&self) -> &Located {
        &self.located
    }

    /// Takes a new plan. What is no longer to be said is silent from here on, before any rule is
    /// touched; what another node is to say goes on until that one is heard, or known to have it.
    pub fn set_plan(&mut self, plan: SegmentPlan, located: Located, now: Instant) {
        if self.located.carrier != located.carrier {
            self.news.push_back(News::Carrier(plan.nic.clone(), located.carrier));
            self.tenure.doubt_all();
            self.listen_anew(now);
        }
        if self.located.speak_on != located.speak_on {
            self.socket = Socket::Closed;
        }
        self.plan = plan;
        self.located = located;
        self.follow_plan();
        let still = self.claimed.iter().filter(|vip| self.is_to_be_spoken(**vip, now)).copied().collect();
        self.speak(still, now);
        self.responder.set_interface(self.located.interface, now);
    }

    fn follow_plan(&mut self) {
        let peers = self.plan.peers.clone();
        self.responder.set_peers(peers.map_or(Peers::Anybody, Peers::Only));
        self.tenure.follow(&self.plan, |vip| self.answered.contains(vip));
        let before = std::mem::replace(&mut self.flows, flows_for(&self.plan, &self.located.ports));
        self.answered.replace(before, &self.flows);
        if self.is_beating() {
            self.flows.extend(beat_flows(&self.plan, &self.located.ports));
        }
        if let Some(beats) = &mut self.beats {
            beats.liveness.expect(self.plan.beating.keys().cloned());
        }
        self.make_answers();
        self.changed = true;
    }

    /// Whether the VIP is ours to answer for: to announce, or ours still until the next one has it.
    /// Without a carrier nobody hears it, and once there is one again it has to be claimed anew.
    fn is_to_be_spoken(&self, vip: IpAddr, now: Instant) -> bool {
        let is_kept = || self.answered.contains(vip) && self.tenure.is_kept(vip, &self.plan, now);
        let is_ours = self.plan.announced.contains_key(&vip) && !self.tenure.has_given_up(vip);
        self.located.carrier && (is_ours || is_kept())
    }

    /// What OVN has to deliver here before the announced VIPs may be spoken; what it does not is asked for on.
    pub fn wishes(&self) -> impl Iterator<Item = (IpAddr, Wish)> + '_ {
        self.tried().into_iter().filter_map(|vip| {
            let Steered { ports, gated: _, local, elsewhere } = self.plan.steered.get(&vip)?;
            let (local, elsewhere) = (local.clone(), elsewhere.clone());
            Some((vip, Wish { ports: ports.len(), local, elsewhere }))
        })
    }

    /// The VIPs of which it matters now whether they can be delivered here.
    fn tried(&self) -> BTreeSet<IpAddr> {
        let kept = self.plan.handed_over.iter().filter(|vip| self.answered.contains(**vip));
        let ours = self.plan.announced.keys().chain(kept);
        ours.chain(self.tenure.undelivered()).copied().collect()
    }

    /// Speaks for the announced VIPs whose rules are on the bridge and that OVN delivers, and for no other; and for none
    /// that is not answered for yet, before the others can know whose MAC this is.
    pub fn speak_what_is_delivered(&mut self, ready: &Ready<'_>, now: Instant) {
        self.note_delivery(ready, now);
        self.see_beat_rules(ready.is_on_bridge, now);
        let is_open = self.socket == Socket::Open;
        let speakable = if is_open { self.speakable(ready, now) } else { BTreeSet::new() };
        self.speak(speakable, now);
    }

    fn note_delivery(&mut self, ready: &Ready<'_>, now: Instant) {
        let rules = self.steered_vips(ready.is_on_bridge);
        for vip in self.tried() {
            let is_delivered = rules.get(&vip) == Some(&true) && (ready.is_delivered)(vip);
            self.changed |= is_delivered && self.tenure.undelivered().contains(&vip);
            self.tenure.delivers(vip, self.answered.contains(vip), is_delivered, now);
        }
        self.answered.forget_replaced(&rules);
    }

    /// This node was stopped for a while: what it holds may be another's by now. It falls silent, and asks.
    pub fn listen_first(&mut self, now: Instant) {
        self.listen_anew(now);
        self.tenure.doubt_all();
        for vip in self.claimed.clone() {
            self.responder.doubt(vip, now);
        }
        self.follow_claims(now);
    }

    /// Its bridge or a port was gone for a while: somebody may have taken what this node is to announce.
    pub fn comes_back(&mut self, now: Instant) {
        self.listen_anew(now);
        self.tenure.doubt(self.plan.announced.keys().copied());
    }

    /// Time passed. Whether other nodes are dead than before.
    pub fn tick(&mut self, now: Instant) -> bool {
        if self.tenure.report_undelivered(now) {
            self.changed = true;
            self.tenure.undelivered().iter().for_each(|vip| self.answered.deny(*vip, now));
        }
        for vip in self.tenure.take_rivals(now) {
            self.responder.doubt(vip, now);
        }
        self.follow_claims(now);
        self.tick_beats(now)
    }

    /// What may be spoken, where there is a socket. What is answered for goes on while a port of it is served: a port that comes
    /// late, or that OVN loses, takes no other down. Another node that can do better is to have it, and takes it over.
    fn speakable(&self, ready: &Ready<'_>, now: Instant) -> BTreeSet<IpAddr> {
        let rules = self.steered_vips(ready.is_on_bridge);
        let some = self.partly_steered(ready.is_on_bridge);
        let is_speakable = |vip: &&IpAddr| {
            let wholly = rules.get(*vip) == Some(&true) && (ready.is_delivered)(**vip);
            let partly = self.answered.contains(**vip) && some.contains(*vip);
            (ready.is_known || self.claimed.contains(*vip))
                && (wholly || (partly && (ready.is_partly_delivered)(**vip)))
        };
        let ours = self.plan.announced.keys().chain(&self.plan.handed_over);
        let ours = ours.filter(|vip| self.is_to_be_spoken(**vip, now));
        ours.filter(is_speakable).copied().collect()
    }

    /// Whether all rules of a VIP are on the bridge.
    fn steered_vips(&self, is_on_bridge: impl Fn(&Flow) -> bool) -> BTreeMap<IpAddr, bool> {
        let mut rules: BTreeMap<IpAddr, bool> = BTreeMap::new();
        for flow in &self.flows {
            if let Some(vip) = flow.matches.vip() {
                *rules.entry(vip.destination).or_insert(true) &= is_on_bridge(flow);
            }
        }
        rules
    }

    /// Says nothing any more, and tells so.
    pub fn fall_silent(&mut self, now: Instant) {
        self.speak(BTreeSet::new(), now);
    }

    fn speak(&mut self, vips: BTreeSet<IpAddr>, now: Instant) {
        let gone: Vec<IpAddr> = self.claimed.difference(&vips).copied().collect();
        for vip in gone {
            self.conflicts.remove(&vip);
            if self.answered.remove(vip, now) {
                let why = self.why_withdrawn(vip);
                self.news.push_back(News::Withdrawn(vip, why));
            }
        }
        let claims = vips.iter().map(|vip| (*vip, self.tenure.mode(*vip, &self.plan, self.probe))).collect();
        self.responder.set_vips(&claims, now);
        self.claimed = vips;
        // What is silent now and another's is let go at once: the report must not say that it is held.
        self.tenure.follow(&self.plan, |vip| self.answered.contains(vip));
        self.follow_claims(now);
    }

    /// Takes in what became of claims.
    fn follow_claims(&mut self, now: Instant) {
        while let Some((vip, state)) = self.responder.poll_change() {
            self.changed = true;
            match state {
                ClaimState::Probing => {
                    self.news.push_back(News::Asking(vip));
                    if self.answered.remove(vip, now) {
                        self.news.push_back(News::Withdrawn(vip, "another node may have it: it is asked"));
                    }
                }
                ClaimState::Held => {
                    self.conflicts.remove(&vip);
                    self.answered.insert(vip, now);
                    if let Some(claim) = self.plan.announced.get(&vip) {
                        self.tenure.hold(vip, *claim, now);
                    }
                    self.news.push_back(News::Announced(vip));
                }
                ClaimState::Yielded { to: _ } => {
                    self.tenure.give_way(vip);
                    self.answered.deny(vip, now);
                    if self.answered.remove(vip, now) {
                        self.news.push_back(News::Withdrawn(vip, "another host has the address"));
                    }
                }
            }
        }
    }

    /// Whether a socket is to be opened where there is none: there is something to say, or one has failed.
    pub fn wants_socket(&self) -> bool {
        !self.plan.announced.is_empty() || self.is_beating() || self.socket == Socket::Broken
    }

    /// There is a socket now.
    pub fn socket_opened(&mut self, now: Instant) {
        self.socket = Socket::Open;
        if let Some(beats) = &mut self.beats {
            beats.open(now);
        }
        self.changed = true;
    }

    /// A socket was tried for in vain, or lost.
    pub fn socket_failed(&mut self, now: Instant) {
        self.socket = Socket::Broken;
        if let Some(beats) = &mut self.beats {
            beats.liveness.close();
        }
        self.changed = true;
        self.tenure.doubt_all();
        self.fall_silent(now);
    }

    /// Takes a frame in. What became of it.
    pub fn receive(&mut self, frame: &Received, now: Instant) -> Verdict {
        if Beat::is_one(frame) {
            return self.hear_beat(frame, now);
        }
        let verdict = self.responder.handle_frame(frame, now);
        match verdict {
            Verdict::Conflict { vip, mac, outcome } => self.contested(vip, mac, outcome, now),
            Verdict::Ignored(Reason::ArpReply | Reason::NeighborAdvertisement) => self.overhear(frame, now),
            Verdict::Answered { .. } | Verdict::Beat | Verdict::Ignored(_) => {}
        }
        verdict
    }

    /// The next frame that is due.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let frame = self.next_beat(now).or_else(|| self.responder.poll_transmit(now));
        self.follow_claims(now);
        frame
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let others = [self.tenure.deadline(), self.answered.due(), self.beat_deadline()];
        self.responder.poll_timeout().into_iter().chain(others.into_iter().flatten()).min()
    }
}

#[cfg(test)]
#[path = "segment/tests.rs"]
mod tests;
