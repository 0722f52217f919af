//! Whether OVN delivers a VIP on this node: the barrier before the first answer.
//!
//! Asks the integration bridge for its flows to the VIP, and compares what they translate to with this node's backends.
//! A VIP is delivered once every port of it has a flow that translates to local backends, and to none of another node's:
//! before ovn-controller has made those, a frame would be lost, or its answer leave untranslated. It is asked until it
//! is so, and not again while the wish lasts: what OVN does later on is followed by the plan.
//! The same VIP may be in several subnets, in a VLAN each. The flows of one logical switch, which are those with the same
//! `metadata`, must be enough; the speaker does not know which number is whose. So where several subnets could mean
//! the same switches, there must be as many of these: until then none of them is taken for delivered.
//! Is given the time as a `Duration` since any fixed moment. Never changes a flow; never opens, closes or waits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::SessionError;
use crate::model::SubnetName;

use super::wire::{
    Answer, Body, Framer, Request, Translation, Version, ask_flows_to, ask_groups, decode_answer, encode,
};

/// How long the switch may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The first pause before a VIP that is not delivered yet is asked for again: ovn-controller takes 8 to 15 ms for a
/// change. It grows by half each time …
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// VIPs asked for in one round, so that no answer is large.
const AT_ONCE: usize = 250;

/// What is wanted of each VIP, in each subnet that has it.
pub type Wishes = BTreeMap<IpAddr, BTreeMap<SubnetName, Wish>>;

/// OVN's number for a logical switch.
type Metadata = Option<u64>;

/// What it takes for a VIP of a subnet to be delivered here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How many of its ports this node serves.
    pub ports: usize,
    /// The addresses of this node's backends.
    pub local: BTreeSet<IpAddr>,
    /// The addresses of other nodes' backends.
    pub elsewhere: BTreeSet<IpAddr>,
}

impl Wish {
    /// Whether these translations of frames for the VIP are all that is wanted.
    fn is_met(&self, translations: &[BTreeSet<IpAddr>]) -> bool {
        let is_local = |targets: &&BTreeSet<IpAddr>| {
            !targets.is_disjoint(&self.local) && targets.is_disjoint(&self.elsewhere)
        };
        translations.iter().filter(is_local).count() >= self.ports
    }
}

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
    pause: Duration,
    /// The last VIP of the last round: the next one goes on behind it, so that none waits for others for ever.
    last: Option<IpAddr>,
    wanted: Wishes,
    /// What was found delivered since it is wanted, each with the local backends of then.
    delivered: BTreeMap<IpAddr, BTreeMap<SubnetName, BTreeSet<IpAddr>>>,
}

#[derive(Debug)]
enum Phase {
    Hello,
    Idle,
    Asking(Round),
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
            deadline: Some(now + ANSWER_WITHIN),
            pause: FIRST_PAUSE,
            last: None,
            wanted,
            delivered: BTreeMap::new(),
        }
    }

    /// Changes what is wanted. One that has lost every local backend with which it was found is asked for anew.
    pub fn set_wanted(&mut self, now: Duration, wanted: Wishes) {
        for (vip, delivered) in &mut self.delivered {
            let wishes = wanted.get(vip);
            delivered.retain(|subnet, found| {
                let wish = wishes.and_then(|wishes| wishes.get(subnet));
                wish.is_some_and(|wish| !wish.local.is_disjoint(found))
            });
        }
        self.delivered.retain(|_, delivered| !delivered.is_empty());
        self.wanted = wanted;
        self.pause = FIRST_PAUSE;
        if matches!(self.phase, Phase::Idle) {
            self.ask(now);
        }
    }

    /// Whether OVN delivers the VIP of this subnet on this node.
    pub fn confirms(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.delivered.get(&vip).is_some_and(|delivered| delivered.contains_key(subnet))
    }

    /// The VIPs that OVN does not deliver here yet, in one of their subnets at least.
    pub fn missing(&self) -> impl Iterator<Item = IpAddr> {
        let is_missing = |(vip, wishes): &(&IpAddr, &BTreeMap<SubnetName, Wish>)| {
            wishes.keys().any(|subnet| !self.confirms(subnet, **vip))
        };
        self.wanted.iter().filter(is_missing).map(|(vip, _)| *vip)
    }

    /// Bytes for the switch; drop from the front what was sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// When to call [`tick`](Self::tick); never, where nothing is asked.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Time passed.
    ///
    /// # Errors
    /// The switch does not answer.
    pub fn tick(&mut self, now: Duration) -> Result<(), SessionError> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.phase {
            Phase::Hello => Err(SessionError::Silent("hello")),
            Phase::Asking(_) => Err(SessionError::Silent("a request for its flows")),
            Phase::Idle => {
                self.ask(now);
                Ok(())
            }
        }
    }

    /// Bytes came, in whatever portions. Whether a VIP is delivered that was not before.
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
                self.ask(now);
            }
            (Answer::Else(Body::EchoRequest(payload)), _) => {
                encode(self.version, xid, &Request::EchoReply(&payload), &mut self.out);
            }
            (Answer::Else(Body::Error(error)), Phase::Asking(round))
                if round.asked.contains_key(&xid) || round.groups_xid == xid =>
            {
                return Err(SessionError::Refused("a request for its flows", error));
            }
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

    /// Asks for what is missing.
    fn ask(&mut self, now: Duration) {
        let behind = self.missing().filter(|vip| Some(*vip) > self.last);
        let before = self.missing().filter(|vip| Some(*vip) <= self.last);
        let missing: Vec<IpAddr> = behind.chain(before).take(AT_ONCE).collect();
        self.last = missing.last().copied();
        if missing.is_empty() {
            (self.phase, self.deadline) = (Phase::Idle, None);
            return;
        }
        let mut round = Round::default();
        for vip in missing {
            let xid = self.take_xid();
            ask_flows_to(self.version, xid, vip, &mut self.out);
            round.asked.insert(xid, vip);
        }
        round.groups_xid = self.take_xid();
        ask_groups(self.version, round.groups_xid, &mut self.out);
        (self.phase, self.deadline) = (Phase::Asking(round), Some(now + ANSWER_WITHIN));
    }

    /// Everything was answered. Whether a VIP is delivered that was not before.
    fn conclude(&mut self, now: Duration) -> bool {
        let Phase::Asking(round) = std::mem::replace(&mut self.phase, Phase::Idle) else { return false };
        let mut news = false;
        for (vip, translations) in &round.found {
            let Some(wishes) = self.wanted.get(vip) else { continue };
            for (subnet, wish) in met(wishes, translations, &round.groups) {
                let delivered = self.delivered.entry(*vip).or_default();
                news |= delivered.insert(subnet.clone(), wish.local.clone()).is_none();
            }
        }
        if news {
            self.pause = FIRST_PAUSE;
        }
        let again = self.missing().next().is_some();
        self.deadline = again.then(|| now + self.pause);
        self.pause = LONGEST_PAUSE.min(self.pause * 3 / 2);
        news
    }

    fn take_xid(&mut self) -> u32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }
}

/// The wishes for one VIP that these translations meet.
fn met<'w>(
    wishes: &'w BTreeMap<SubnetName, Wish>,
    translations: &[Translation],
    groups: &BTreeMap<u32, BTreeSet<IpAddr>>,
) -> Vec<(&'w SubnetName, &'w Wish)> {
    let mut switches: BTreeMap<Metadata, Vec<BTreeSet<IpAddr>>> = BTreeMap::new();
    for translation in translations {
        switches.entry(translation.metadata).or_default().push(all_targets(translation, groups));
    }
    let meeting = |wish: &Wish| -> BTreeSet<Metadata> {
        switches.iter().filter(|(_, targets)| wish.is_met(targets)).map(|(metadata, _)| *metadata).collect()
    };
    let candidates: Vec<_> = wishes.iter().map(|(subnet, wish)| (subnet, wish, meeting(wish))).collect();
    let is_met = |of: &BTreeSet<Metadata>| {
        let rivals = candidates.iter().filter(|(_, _, other)| !other.is_empty() && other.is_subset(of));
        !of.is_empty() && rivals.count() <= of.len()
    };
    candidates.iter().filter(|(_, _, of)| is_met(of)).map(|(subnet, wish, _)| (*subnet, *wish)).collect()
}

fn all_targets(translation: &Translation, groups: &BTreeMap<u32, BTreeSet<IpAddr>>) -> BTreeSet<IpAddr> {
    let of_groups = translation.groups.iter().filter_map(|number| groups.get(number)).flatten();
    translation.targets.iter().chain(of_groups).copied().collect()
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
