//! One segment: its rules, its socket, its responder, in that order.

mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use tracing::{debug, info, trace, warn};

use crate::flows::{Flow, Wish, flows_for};
use crate::io::packet_socket::PacketSocketError;
use crate::l2::{ClaimMode, ClaimState, Outcome, Peers, Received, Responder, Verdict};
use crate::model::{InterfaceName, Mac, SegmentPlan, Steered, SubnetName, Term};

use super::bridge::Located;
use super::handover::Handover;
use super::line::Line;

/// The log tells of the conflicts over one VIP no more often, however many frames somebody sends.
const CONFLICT_PAUSE: Duration = Duration::from_secs(10);

/// What a segment knows of others when it speaks.
pub struct Ready<'a> {
    /// Whether a rule is on the bridge.
    pub is_on_bridge: &'a dyn Fn(&Flow) -> bool,
    /// Whether OVN delivers a VIP here.
    pub is_delivered: &'a dyn Fn(IpAddr) -> bool,
    /// Whether the other speakers can know this one's MAC.
    pub is_known: bool,
}

/// What happened to a VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is answered for.
    Announced(IpAddr),
    /// It is not any more, and why.
    Withdrawn(IpAddr, &'static str),
    /// Another host has it, or says so.
    Conflict(IpAddr, Mac, Outcome),
}

/// What a node does on one segment.
#[derive(Debug)]
pub struct Segment {
    subnet: SubnetName,
    plan: SegmentPlan,
    located: Located,
    flows: BTreeSet<Flow>,
    responder: Responder,
    line: Line,
    /// The VIPs that the responder is to claim, or has claimed.
    claimed: BTreeSet<IpAddr>,
    /// Those that it answers for, each since when.
    answered: BTreeMap<IpAddr, Timestamp>,
    /// The VIPs that this node holds by its own word to the others, and with which term: from the first answer until
    /// they are not its own any more, also where it has to be silent for a moment.
    terms: BTreeMap<IpAddr, Term>,
    /// Those that were held last and let go, until another holds them.
    left: BTreeMap<IpAddr, Term>,
    handover: Handover,
    conflicts: BTreeMap<IpAddr, (Mac, Instant)>,
    news: VecDeque<News>,
    /// Whether the report may be another than when it was last asked for.
    changed: bool,
}

impl Segment {
    /// Speaks for nothing yet. `terms`: what this node's last report said it holds.
    pub fn new(
        subnet: SubnetName,
        plan: SegmentPlan,
        located: Located,
        terms: BTreeMap<IpAddr, Term>,
        refresh: Option<Duration>,
        now: Instant,
    ) -> Self {
        let mut segment = Self {
            subnet,
            flows: flows_for(&plan, &located.ports),
            responder: Responder::new(located.interface),
            plan,
            located,
            line: Line::new(now),
            claimed: BTreeSet::new(),
            answered: BTreeMap::new(),
            terms,
            left: BTreeMap::new(),
            handover: Handover::default(),
            conflicts: BTreeMap::new(),
            news: VecDeque::new(),
            changed: true,
        };
        segment.responder.set_refresh(refresh);
        segment.heed_plan();
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
            info!(subnet = %self.subnet, nic = %plan.nic, carrier = located.carrier, "the NIC's link changed");
        }
        if self.located.speak_on != located.speak_on {
            self.line = Line::new(now);
        }
        self.flows = flows_for(&plan, &located.ports);
        self.plan = plan;
        self.located = located;
        self.heed_plan();
        let still = self.claimed.iter().filter(|vip| self.is_to_be_spoken(**vip, now)).copied().collect();
        self.speak(still, now);
        self.responder.set_interface(self.located.interface, now);
    }

    fn heed_plan(&mut self) {
        let SegmentPlan { peers, announced, handed_over, .. } = &self.plan;
        self.responder.set_peers(peers.clone().map_or(Peers::Anybody, Peers::Only));
        let answered = &self.answered;
        let kept = |vip: &IpAddr| {
            announced.contains_key(vip) || (handed_over.contains(vip) && answered.contains_key(vip))
        };
        self.left.extend(self.terms.extract_if(.., |vip, _| !kept(vip)));
        self.changed = true;
    }

    /// Whether the VIP is ours to answer for: to announce, or ours still until the next one has it.
    /// Without a carrier nobody hears it, and once there is one again it has to be claimed anew.
    fn is_to_be_spoken(&self, vip: IpAddr, now: Instant) -> bool {
        let SegmentPlan { announced, handed_over, taken_over, .. } = &self.plan;
        let kept = || {
            let handed_over = handed_over.contains(&vip) && !taken_over.contains(&vip);
            handed_over && self.answered.contains_key(&vip) && self.handover.is_awaited(vip, now)
        };
        self.located.carrier && (announced.contains_key(&vip) || kept())
    }

    /// The rules it needs.
    pub fn flows(&self) -> &BTreeSet<Flow> {
        &self.flows
    }

    /// What OVN has to deliver here before the announced VIPs may be spoken.
    pub fn wishes(&self) -> impl Iterator<Item = (IpAddr, Wish)> + '_ {
        let held = self.plan.handed_over.iter().filter(|vip| self.answered.contains_key(vip));
        self.plan.announced.keys().chain(held).filter_map(|vip| {
            let Steered { ports, local, elsewhere } = self.plan.steered.get(vip)?;
            let (local, elsewhere) = (local.clone(), elsewhere.clone());
            Some((*vip, Wish { ports: ports.len(), local, elsewhere }))
        })
    }

    /// Speaks for the announced VIPs whose rules are on the bridge and that OVN delivers, and for no other; and for none
    /// that is not answered for yet, before the others can know whose MAC this is.
    pub fn speak_what_is_delivered(&mut self, ready: &Ready<'_>, now: Instant) {
        let speakable = if self.line.is_open() { self.speakable(ready, now) } else { BTreeSet::new() };
        self.speak(speakable, now);
    }

    /// What may be spoken, where there is a socket.
    fn speakable(&self, ready: &Ready<'_>, now: Instant) -> BTreeSet<IpAddr> {
        let rules = self.steered_vips(ready.is_on_bridge);
        let is_speakable = |vip: &&IpAddr| {
            rules.get(*vip) == Some(&true)
                && (ready.is_known || self.claimed.contains(*vip))
                && (ready.is_delivered)(**vip)
        };
        let ours = self.plan.announced.keys().chain(&self.plan.handed_over);
        let ours = ours.filter(|vip| self.is_to_be_spoken(**vip, now));
        ours.filter(is_speakable).copied().collect()
    }

    /// Whether all rules of a VIP are on the bridge.
    fn steered_vips(&self, is_on_bridge: impl Fn(&Flow) -> bool) -> BTreeMap<IpAddr, bool> {
        let mut rules: BTreeMap<IpAddr, bool> = BTreeMap::new();
        for flow in &self.flows {
            *rules.entry(flow.matches.destination).or_insert(true) &= is_on_bridge(flow);
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
            if self.answered.remove(&vip).is_some() {
                let why = self.why_withdrawn(vip);
                info!(%vip, subnet = %self.subnet, why, "withdrawn");
                self.news.push_back(News::Withdrawn(vip, why));
            }
        }
        let mode = |vip: &IpAddr| match self.plan.announced.get(vip) {
            Some(claim) if claim.first && !self.holds(*vip) => ClaimMode::Probe,
            Some(_) | None => ClaimMode::TakeOver,
        };
        let claims = vips.iter().map(|vip| (*vip, mode(vip))).collect();
        self.responder.set_vips(&claims, now);
        self.claimed = vips;
        self.heed_claims();
    }

    /// Takes in what became of claims.
    fn heed_claims(&mut self) {
        while let Some((vip, state)) = self.responder.poll_change() {
            self.changed = true;
            match state {
                ClaimState::Probing => debug!(%vip, subnet = %self.subnet, "asking whether somebody has it"),
                ClaimState::Held => {
                    let Located { interface, speak_on, .. } = &self.located;
                    info!(%vip, subnet = %self.subnet, mac = %interface.mac, interface = %speak_on, "announcing");
                    self.conflicts.remove(&vip);
                    self.answered.insert(vip, Timestamp::now());
                    if let Some(claim) = self.plan.announced.get(&vip) {
                        self.terms.insert(vip, claim.term);
                        self.left.remove(&vip);
                    }
                    self.news.push_back(News::Announced(vip));
                }
                ClaimState::Yielded { to } => {
                    self.terms.remove(&vip);
                    if self.answered.remove(&vip).is_some() {
                        info!(%vip, subnet = %self.subnet, to = %to, why = "another host has the address", "withdrawn");
                        self.news.push_back(News::Withdrawn(vip, "another host has the address"));
                    }
                }
            }
        }
    }

    /// Opens the socket where there is something to say; tries again after a pause. Whether it has just opened.
    pub fn open_socket(&mut self, now: Instant) -> bool {
        // One that failed is tried for also where nothing is to be said: till then nothing will be.
        if self.plan.announced.is_empty() && !self.line.is_broken() {
            return false;
        }
        let (opened, trouble) = self.line.open(&self.located.speak_on, now);
        if let Some(error) = trouble {
            warn!(subnet = %self.subnet, "{error}");
            self.changed = true;
        }
        self.changed |= opened;
        opened
    }

    fn lose_socket(&mut self, error: &PacketSocketError, now: Instant) {
        if let Some(error) = self.line.lose(error, now) {
            warn!(subnet = %self.subnet, "{error}");
        }
        self.changed = true;
        self.speak(BTreeSet::new(), now);
    }

    /// The next frame, or that the socket is of no more use; never, without a socket. Cancel-safe.
    pub async fn receive(&self) -> Result<Received, PacketSocketError> {
        self.line.receive().await
    }

    /// Takes a frame in, or the loss of the socket. What became of the frame.
    pub fn received(
        &mut self,
        frame: Result<Received, PacketSocketError>,
        now: Instant,
    ) -> Option<&'static str> {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.lose_socket(&error, now);
                return None;
            }
        };
        let verdict = self.responder.handle_frame(&frame, now);
        match verdict {
            Verdict::Conflict { vip, mac, outcome } => self.contested(vip, mac, outcome, now),
            Verdict::Answered { .. } => debug!(subnet = %self.subnet, ?verdict, "answered"),
            Verdict::Ignored(_) => trace!(subnet = %self.subnet, ?verdict, "ignored"),
        }
        Some(verdict.as_str())
    }

    fn contested(&mut self, vip: IpAddr, mac: Mac, outcome: Outcome, now: Instant) {
        if outcome == Outcome::Peer {
            self.handover.hear(vip, now);
        }
        if outcome == Outcome::Peer && self.plan.handed_over.contains(&vip) {
            info!(%vip, subnet = %self.subnet, to = %mac, "handed over");
            let rest = self.claimed.iter().filter(|claimed| **claimed != vip).copied().collect();
            return self.speak(rest, now);
        }
        let told = self.conflicts.get(&vip).is_some_and(|(_, at)| now < *at + CONFLICT_PAUSE);
        if outcome == Outcome::Standing || (outcome != Outcome::Yielded && told) {
            debug!(%vip, foreign_mac = %mac, ?outcome, "claimed by another host");
        } else {
            warn!(%vip, foreign_mac = %mac, ?outcome, subnet = %self.subnet, "another host claims a VIP of ours");
            self.conflicts.insert(vip, (mac, now));
            self.news.push_back(News::Conflict(vip, mac, outcome));
        }
        self.heed_claims();
    }

    /// Sends what is due.
    pub fn transmit(&mut self, now: Instant) {
        while let Some(frame) = self.responder.poll_transmit(now) {
            if let Err(error) = self.line.send(&frame) {
                return self.lose_socket(&error, now);
            }
        }
        self.heed_claims();
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let wanted = !self.plan.announced.is_empty() || self.line.is_broken();
        let open_at = self.line.deadline().filter(|_| wanted);
        self.responder.poll_timeout().into_iter().chain(open_at).min()
    }
}

#[cfg(test)]
#[path = "segment/tests.rs"]
mod tests;
