//! Whether OVN delivers a VIP on this node: the barrier before the first answer, and the reason for silence later on.
//!
//! Asks the integration bridge for its flows to the VIP, and compares what they translate to with this node's backends.
//! A VIP is delivered once every port of it has a flow that translates to local backends, and to none of another node's:
//! before ovn-controller has made those, a frame would be lost, or its answer leave untranslated. A port that OVN lacks for a
//! while (its endpoints may be none of OVN's) keeps the others waiting no longer than that.
//! What is delivered is looked at again: at once where the switch tells that a flow to the VIP went or is another, and
//! every few seconds anyway. It is lost once it delivers no port any more for longer than a change takes, and delivered
//! in part once it delivers fewer than it did. Between
//! looks the switch has to answer to a pulse: one that is stopped delivers nothing.
//! The same VIP may be in several subnets, in a VLAN each. The flows of one logical switch, which are those with the same
//! `metadata`, must be enough; the speaker does not know which number is whose. So where several subnets could mean
//! the same switches, there must be as many of these: until then none of them is taken for delivered.
//! Is given the time as a `Duration` since any fixed moment. Never changes a flow; never opens, closes or waits.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::SessionError;
use crate::model::SubnetName;

use super::wire::{
    Answer, Body, Framer, Request, Translation, Version, ask_flows_to, ask_groups, ask_to_be_told,
    decode_answer, encode,
};
pub use verdict::Wish;

/// How long the switch may take for its first answer.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take for any other, and for each part of it: one that takes longer is stopped, or as good as that.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);
/// Between two pulses. With the time for an answer a switch that stops is noticed within a second.
const PULSE: Duration = Duration::from_millis(250);
/// The first pause before a VIP that is not delivered yet is asked for again: ovn-controller takes 8 to 15 ms for a
/// change. It grows by half each time …
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at what is delivered, where the switch tells of changes by itself: only a safety net.
const SWEEP_MONITORED: Duration = Duration::from_secs(5);
/// The same where it does not.
const SWEEP: Duration = Duration::from_millis(500);
/// How long what was delivered may not be: the cluster and OVN tell of one change at different times.
const LOSS_GRACE: Duration = Duration::from_millis(200);
/// How long a port without a flow keeps the VIP's other ports waiting.
const PORT_GRACE: Duration = Duration::from_secs(1);
/// VIPs asked for in one round, so that no answer is large.
const AT_ONCE: usize = 250;

/// What is wanted of each VIP, in each subnet that has it.
pub type Wishes = BTreeMap<IpAddr, BTreeMap<SubnetName, Wish>>;

/// A conversation over one connection.
#[derive(Debug)]
pub struct Delivery {
    frames: Framer,
    out: Vec<u8>,
    version: Version,
    next_xid: u32,
    phase: Phase,
    /// When the answer is overdue; when idle, when to ask again.
    deadline: Option<Duration>,
    pulse: Pulse,
    monitor: Monitor,
    pause: Duration,
    /// The last VIP of the last round: the next one goes on behind it, so that none waits for others for ever.
    last: Option<IpAddr>,
    wanted: Wishes,
    delivered: BTreeMap<IpAddr, BTreeMap<SubnetName, Delivered>>,
    /// Since when what is wanted has been asked for in vain.
    in_vain: BTreeMap<IpAddr, BTreeMap<SubnetName, Duration>>,
    /// The VIPs whose flows, or wishes, changed since they were asked for.
    touched: BTreeSet<IpAddr>,
}

/// How a VIP was found delivered.
#[derive(Clone, Debug)]
struct Delivered {
    /// The local backends of then.
    local: BTreeSet<IpAddr>,
    ports: usize,
    /// Fewer ports than that are delivered now.
    partly: bool,
}

#[derive(Debug)]
enum Phase {
    Hello,
    Idle,
    Asking(Round),
}

#[derive(Clone, Copy, Debug)]
enum Pulse {
    Next(Duration),
    Overdue(Duration),
}

/// Whether the switch tells of changes.
#[derive(Debug, PartialEq, Eq)]
enum Monitor {
    /// Asked for by this xid.
    Asked(u32),
    Off,
}

/// Questions under way: flows first, then the groups, which are made before the flows that use them.
#[derive(Debug, Default)]
struct Round {
    /// By xid.
    asked: BTreeMap<u32, IpAddr>,
    found: BTreeMap<IpAddr, Vec<Translation>>,
    groups_xid: u32,
    groups: BTreeMap<u32, BTreeSet<IpAddr>>,
}

impl Delivery {
    /// Starts a conversation; the first bytes are ready to be sent.
    pub fn new(now: Duration, wanted: Wishes) -> Self {
        let mut out = Vec::new();
        encode(Version::V14, 1, &Request::Hello, &mut out);
        Self {
            frames: Framer::default(),
            out,
            version: Version::V14,
            next_xid: 2,
            phase: Phase::Hello,
            deadline: Some(now + HELLO_WITHIN),
            pulse: Pulse::Next(now + HELLO_WITHIN),
            monitor: Monitor::Off,
            pause: FIRST_PAUSE,
            last: None,
            wanted,
            delivered: BTreeMap::new(),
            in_vain: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Changes what is wanted. One that has lost every local backend with which it was found is asked for anew; every
    /// other one whose wish is another is looked at again.
    pub fn set_wanted(&mut self, now: Duration, wanted: Wishes) {
        let is_wanted = |vip: &IpAddr, subnet: &SubnetName| {
            wanted.get(vip).is_some_and(|wishes| wishes.contains_key(subnet))
        };
        for (vip, delivered) in &mut self.delivered {
            let wishes = wanted.get(vip);
            delivered.retain(|subnet, found| {
                let wish = wishes.and_then(|wishes| wishes.get(subnet));
                wish.is_some_and(|wish| !wish.local.is_disjoint(&found.local))
            });
        }
        self.delivered.retain(|_, delivered| !delivered.is_empty());
        for (vip, subnets) in &mut self.in_vain {
            subnets.retain(|subnet, _| is_wanted(vip, subnet));
        }
        self.in_vain.retain(|_, subnets| !subnets.is_empty());
        let changed = wanted.iter().filter(|(vip, wishes)| self.wanted.get(vip) != Some(wishes));
        self.touched.extend(changed.map(|(vip, _)| *vip));
        self.wanted = wanted;
        self.pause = FIRST_PAUSE;
        if matches!(self.phase, Phase::Idle) {
            self.ask(now);
        }
    }

    /// Whether OVN delivers the VIP of this subnet on this node.
    pub fn confirms(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.found(subnet, vip).is_some_and(|found| !found.partly)
    }

    /// Whether OVN delivers a port of it at least, of those that it delivered.
    pub fn confirms_partly(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.found(subnet, vip).is_some()
    }

    fn found(&self, subnet: &SubnetName, vip: IpAddr) -> Option<&Delivered> {
        self.delivered.get(&vip)?.get(subnet)
    }

    /// The VIPs to ask for at once: OVN does not deliver them here yet, in one of their subnets at least, or may not any more.
    fn urgent(&self) -> BTreeSet<IpAddr> {
        let is_urgent = |(vip, wishes): &(&IpAddr, &BTreeMap<SubnetName, Wish>)| {
            self.touched.contains(vip)
                || self.in_vain.contains_key(vip)
                || wishes.keys().any(|subnet| !self.confirms(subnet, **vip))
        };
        self.wanted.iter().filter(is_urgent).map(|(vip, _)| *vip).collect()
    }

    /// Bytes for the switch; drop from the front what was sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// When to call [`tick`](Self::tick); never, where nothing is asked.
    pub fn deadline(&self) -> Option<Duration> {
        let (Pulse::Next(pulse) | Pulse::Overdue(pulse)) = self.pulse;
        self.deadline.map(|deadline| deadline.min(pulse))
    }

    /// Time passed.
    ///
    /// # Errors
    /// The switch does not answer.
    pub fn tick(&mut self, now: Duration) -> Result<(), SessionError> {
        match self.pulse {
            Pulse::Overdue(at) if now >= at => return Err(SessionError::Stopped),
            Pulse::Next(at) if now >= at && !matches!(self.phase, Phase::Hello) => {
                let xid = self.take_xid();
                encode(self.version, xid, &Request::EchoRequest, &mut self.out);
                self.pulse = Pulse::Overdue(now + ANSWER_WITHIN);
            }
            Pulse::Overdue(_) | Pulse::Next(_) => {}
        }
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.phase {
            Phase::Hello => Err(SessionError::Silent("hello")),
            Phase::Asking(_) => Err(SessionError::Stopped),
            Phase::Idle => {
                self.ask(now);
                Ok(())
            }
        }
    }

    /// Bytes came, in whatever portions. Whether something is delivered that was not before, or is not any more.
    ///
    /// # Errors
    /// The conversation is over.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) -> Result<bool, SessionError> {
        self.frames.push(bytes);
        let mut news = false;
        while let Some(message) = self.frames.next_message()? {
            let (xid, answer) = decode_answer(message)?;
            news |= self.take(now, xid, answer)?;
        }
        Ok(news)
    }

    fn take(&mut self, now: Duration, xid: u32, answer: Answer) -> Result<bool, SessionError> {
        match (answer, &mut self.phase) {
            (Answer::Else(Body::Hello(offered)), Phase::Hello) => {
                let common = Version::ALL.into_iter().find(|version| offered.contains(&version.number()));
                self.version = common.ok_or(SessionError::Versions(offered))?;
                if self.version == Version::V14 {
                    let xid = self.take_xid();
                    ask_to_be_told(self.version, xid, &mut self.out);
                    self.monitor = Monitor::Asked(xid);
                }
                self.pulse = Pulse::Next(now + PULSE);
                self.ask(now);
            }
            (Answer::Else(Body::EchoRequest(payload)), _) => {
                encode(self.version, xid, &Request::EchoReply(&payload), &mut self.out);
            }
            (Answer::Else(Body::EchoReply), _) => self.pulse = Pulse::Next(now + PULSE),
            (Answer::Else(Body::Error(_)), _) if self.monitor == Monitor::Asked(xid) => {
                self.monitor = Monitor::Off;
            }
            (Answer::Else(Body::Error(error)), Phase::Asking(round))
                if round.asked.contains_key(&xid) || round.groups_xid == xid =>
            {
                return Err(SessionError::Refused("a request for its flows", error));
            }
            (Answer::Changes { to, missed }, _) => self.note_changes(now, &to, missed),
            (Answer::Flows { found, .. }, Phase::Asking(round)) => {
                if let Some(vip) = round.asked.get(&xid) {
                    round.found.entry(*vip).or_default().extend(found);
                    self.deadline = Some(now + ANSWER_WITHIN);
                }
            }
            (Answer::Groups { found, more }, Phase::Asking(round)) if round.groups_xid == xid => {
                round.groups.extend(found);
                self.deadline = Some(now + ANSWER_WITHIN);
                if !more {
                    return Ok(self.conclude(now));
                }
            }
            (Answer::Flows { .. } | Answer::Groups { .. } | Answer::Else(_), _) => {}
        }
        Ok(false)
    }

    /// Flows went, or are others: those to a VIP that is wanted are looked at again, a moment later, for they come in crowds.
    fn note_changes(&mut self, now: Duration, to: &[IpAddr], missed: bool) {
        let before = self.touched.len();
        match missed {
            true => self.touched.extend(self.wanted.keys()),
            false => self.touched.extend(to.iter().filter(|vip| self.wanted.contains_key(vip))),
        }
        if self.touched.len() > before && matches!(self.phase, Phase::Idle) {
            self.pause = FIRST_PAUSE;
            let soon = now + FIRST_PAUSE;
            self.deadline = Some(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
    }

    /// Asks for what is urgent; where nothing is, for the next of all.
    fn ask(&mut self, now: Duration) {
        let urgent = self.urgent();
        let vips = if urgent.is_empty() { self.wanted.keys().copied().collect() } else { urgent };
        let behind = vips.iter().filter(|vip| Some(**vip) > self.last);
        let before = vips.iter().filter(|vip| Some(**vip) <= self.last);
        let vips: Vec<IpAddr> = behind.chain(before).take(AT_ONCE).copied().collect();
        self.last = vips.last().copied();
        if vips.is_empty() {
            (self.phase, self.deadline) = (Phase::Idle, None);
            return;
        }
        let mut round = Round::default();
        for vip in vips {
            self.touched.remove(&vip);
            let xid = self.take_xid();
            ask_flows_to(self.version, xid, vip, &mut self.out);
            round.asked.insert(xid, vip);
        }
        round.groups_xid = self.take_xid();
        ask_groups(self.version, round.groups_xid, &mut self.out);
        (self.phase, self.deadline) = (Phase::Asking(round), Some(now + ANSWER_WITHIN));
    }

    /// Everything was answered. Whether that is news.
    fn conclude(&mut self, now: Duration) -> bool {
        let Phase::Asking(round) = std::mem::replace(&mut self.phase, Phase::Idle) else { return false };
        let mut news = false;
        for vip in round.asked.values() {
            let translations = round.found.get(vip).map(Vec::as_slice).unwrap_or_default();
            news |= self.judge(now, *vip, translations, &round.groups);
        }
        self.touched.retain(|vip| self.wanted.contains_key(vip));
        if news {
            self.pause = FIRST_PAUSE;
        }
        let sweep = if self.monitor == Monitor::Off { SWEEP } else { SWEEP_MONITORED };
        let pause = if self.urgent().is_empty() { sweep } else { self.pause };
        self.deadline = Some(now + pause);
        self.pause = LONGEST_PAUSE.min(self.pause * 3 / 2);
        news
    }

    fn take_xid(&mut self) -> u32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
