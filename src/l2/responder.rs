//! The speaker of one interface: it claims its VIPs, answers for them and makes them known.
//!
//! Given frames and the time, decides what to say. Opens no socket and reads no clock: the shell hands in what
//! it received, and sends what [`Responder::poll_transmit`] gives. Nothing is ever said for a VIP that is not
//! wanted, and no question answered for one that is not held: frames are built when they are fetched, from the
//! state as it is then.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::claim::{Claim, ClaimMode, ClaimState, OnConflict, Outcome, PEER_SPACING};
use super::hear::{Heard, Question, Received, hear};
use super::say::Utterance;
use super::schedule::Schedule;
use super::verdict::{Reason, Verdict, VerdictKind};
use crate::model::{Mac, VlanId};

/// How many answers may wait for the socket. A shell that fetches after each frame has one; more than this means
/// that the wire asks faster than it takes answers, and an asker will ask again (RFC 4861 §10: after 1 s).
const MOST_ANSWERS: usize = 1024;

/// What we are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Where clients shall send frames for the VIPs: the sender of all we say.
    pub mac: Mac,
    /// `Some`: frames carry the 802.1Q tag, and we write it. `None`: they carry none on this interface.
    pub vlan: Option<VlanId>,
}

/// Who else of this cluster is on the segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// These MAC addresses; every other one is a stranger, whom a VIP is defended against.
    Only(BTreeSet<Mac>),
    /// Not known: anybody may be one. Conflicts are told, and nothing is defended or yielded.
    Anybody,
}

impl Peers {
    fn may_be(&self, mac: Mac) -> bool {
        match self {
            Peers::Only(macs) => macs.contains(&mac),
            Peers::Anybody => true,
        }
    }
}

/// The speaker of one interface.
#[derive(Debug)]
pub struct Responder {
    interface: Interface,
    peers: Peers,
    on_conflict: OnConflict,
    /// The VIPs in order: for whatever walks over all of them.
    vips: BTreeSet<IpAddr>,
    /// The same VIPs, for the look-up of every frame.
    claims: HashMap<IpAddr, Claim>,
    schedule: Schedule,
    /// How often a VIP that is held is said anew.
    refresh: Option<Duration>,
    /// When what peers claimed, too, was said again.
    said_again: BTreeMap<IpAddr, Instant>,
    answers: VecDeque<Utterance>,
    /// What is left of the turn that `poll_transmit` has begun.
    turn: VecDeque<Utterance>,
    /// Claims that are in another state than when they were last told.
    changes: VecDeque<(IpAddr, ClaimState)>,
    counters: BTreeMap<VerdictKind, u64>,
}

impl Responder {
    /// One that answers for nothing yet.
    pub fn new(interface: Interface) -> Self {
        Self {
            interface,
            peers: Peers::Only(BTreeSet::new()),
            on_conflict: OnConflict::default(),
            vips: BTreeSet::new(),
            claims: HashMap::new(),
            schedule: Schedule::default(),
            refresh: None,
            said_again: BTreeMap::new(),
            answers: VecDeque::new(),
            turn: VecDeque::new(),
            changes: VecDeque::new(),
            counters: BTreeMap::new(),
        }
    }

    /// We are at another MAC address or VLAN now: every VIP that is held is announced again. The same one again
    /// changes nothing.
    pub fn set_interface(&mut self, interface: Interface, now: Instant) {
        if interface == self.interface {
            return;
        }
        self.interface = interface;
        self.turn.clear();
        for vip in &self.vips {
            if let Some(claim) = self.claims.get_mut(vip)
                && claim.announce_again()
            {
                self.schedule.set(*vip, Some(now));
            }
        }
    }

    /// This cluster's other nodes on the segment. When one of them speaks as a VIP of ours it is a move or a split
    /// of the election, which is not for ARP to settle: the verdict says [`Outcome::Peer`].
    pub fn set_peers(&mut self, peers: Peers) {
        self.peers = peers;
    }

    /// What to do about strangers that claim what is held; at first they are defended against.
    pub fn set_on_conflict(&mut self, on_conflict: OnConflict) {
        self.on_conflict = on_conflict;
    }

    /// A VIP that is held may be somebody else's by now: falls silent for it, and asks. What was being asked for is asked
    /// for anew.
    pub fn doubt(&mut self, vip: IpAddr, now: Instant) {
        let Some(claim) = self.claims.get_mut(&vip) else { return };
        match claim.state() {
            ClaimState::Held => self.changes.push_back((vip, ClaimState::Probing)),
            ClaimState::Probing => {}
            ClaimState::Yielded { to: _ } => return,
        }
        *claim = Claim::new(ClaimMode::Probe);
        self.schedule.set(vip, Some(now));
        self.drop_pending(vip);
    }

    /// Another node of this cluster claimed a VIP that is held here in the same instant, and this one goes on: says so once
    /// more, at a bounded rate.
    pub fn say_again(&mut self, vip: IpAddr, now: Instant) {
        if self.claims.get_mut(&vip).is_some_and(Claim::say_again) {
            // One that is to come answers this, too.
            let at = match self.said_again.get(&vip) {
                Some(last) if *last > now => *last,
                Some(last) => now.max(*last + PEER_SPACING),
                None => now,
            };
            self.said_again.insert(vip, at);
            self.schedule.set(vip, Some(at));
        }
    }

    fn drop_pending(&mut self, vip: IpAddr) {
        self.answers.retain(|utterance| utterance.vip() != vip);
        self.turn.retain(|utterance| utterance.vip() != vip);
    }

    /// Announces every VIP that is held once in this time, each sooner by up to a fifth, so that those which were claimed
    /// together are not said together. It counts from the next announcement on. `None`, as at first: never.
    pub fn set_refresh(&mut self, refresh: Option<Duration>) {
        self.refresh = refresh;
    }

    /// Claim exactly these; the mode matters for those not named before. What is held is announced in spaced
    /// rounds, the first one at once (RFC 5227 §2.3, RFC 4861 §7.2.6). One no longer named is never spoken again,
    /// even if an answer or a round was pending.
    pub fn set_vips(&mut self, vips: &BTreeMap<IpAddr, ClaimMode>, now: Instant) {
        let gone: Vec<IpAddr> = self.vips.iter().filter(|vip| !vips.contains_key(vip)).copied().collect();
        for vip in &gone {
            self.vips.remove(vip);
            self.claims.remove(vip);
            self.said_again.remove(vip);
            self.schedule.set(*vip, None);
        }
        if !gone.is_empty() {
            let wanted = |utterance: &Utterance| vips.contains_key(&utterance.vip());
            self.answers.retain(wanted);
            self.turn.retain(wanted);
            self.changes.retain(|(vip, _)| vips.contains_key(vip));
        }
        for (vip, mode) in vips {
            if self.vips.insert(*vip) {
                let claim = Claim::new(*mode);
                self.changes.push_back((*vip, claim.state()));
                self.claims.insert(*vip, claim);
                self.schedule.set(*vip, Some(now));
            }
        }
    }

    /// Judges a frame. After it, fetch what there is to say from [`Responder::poll_transmit`].
    pub fn handle_frame(&mut self, frame: &Received, now: Instant) -> Verdict {
        let verdict = match hear(self.interface, frame) {
            Ok(heard) => self.judge(&heard, now),
            Err(reason) => Verdict::Ignored(reason),
        };
        *self.counters.entry(verdict.kind()).or_default() += 1;
        verdict
    }

    /// The next frame to send: answers first, then whose turn it is to be probed for or announced, at the pace.
    /// Fetch until `None`, after each call of another method and at [`Responder::poll_timeout`].
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        loop {
            if let Some(utterance) = self.answers.pop_front().or_else(|| self.turn.pop_front()) {
                return Some(utterance.frame(self.interface));
            }
            let vip = self.schedule.pop(now)?;
            if let Some(claim) = self.claims.get_mut(&vip) {
                let before = claim.state();
                claim.refresh();
                let (say, next) = claim.step(now);
                let (state, spread) = (claim.state(), spread(vip));
                if state != before {
                    self.changes.push_back((vip, state));
                }
                self.turn.extend(say.into_iter().flat_map(|say| Utterance::of(vip, say)));
                let refresh = self.refresh.filter(|_| state == ClaimState::Held);
                let refresh = refresh.map(|refresh| now + refresh - refresh / 5 * spread / 256);
                self.schedule.set(vip, next.or(refresh));
            }
        }
    }

    /// When [`Responder::poll_transmit`] has something again, though nothing was received.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// How far each VIP is, in order.
    pub fn claims(&self) -> impl Iterator<Item = (IpAddr, ClaimState)> {
        self.vips.iter().filter_map(|vip| Some((*vip, self.claims.get(vip)?.state())))
    }

    /// How far one VIP is; `None` where it is not claimed.
    pub fn claim(&self, vip: IpAddr) -> Option<ClaimState> {
        self.claims.get(&vip).map(Claim::state)
    }

    /// A claim that came into another state, oldest first; one that is no longer wanted is not among them. Fetch after
    /// each call of another method.
    pub fn poll_change(&mut self) -> Option<(IpAddr, ClaimState)> {
        self.changes.pop_front()
    }

    /// What a frame says that a peer has which is not claimed here; who is a peer must be known.
    pub fn overheard(&self, frame: &Received) -> Option<(IpAddr, Mac)> {
        let Peers::Only(peers) = &self.peers else { return None };
        let Heard { sender, speaks_as, question: _, is_to_us: _ } = hear(self.interface, frame).ok()?;
        (peers.contains(&sender) && !self.claims.contains_key(&speaks_as)).then_some((speaks_as, sender))
    }

    /// How many frames got which verdict.
    pub fn counters(&self) -> &BTreeMap<VerdictKind, u64> {
        &self.counters
    }

    fn judge(&mut self, heard: &Heard, now: Instant) -> Verdict {
        // RFC 5227 §2.4: any packet whose sender has our address and another MAC, to whomever it went.
        if self.claims.contains_key(&heard.speaks_as) {
            return self.contest(heard.speaks_as, heard, now);
        }
        let question = match heard.question {
            Ok(question) => question,
            Err(reason) => return Verdict::Ignored(reason),
        };
        let vip = question.target();
        match self.claims.get(&vip).map(Claim::state) {
            None => Verdict::Ignored(Reason::NotOurVip),
            Some(_) if !heard.is_to_us => Verdict::Ignored(Reason::WrongDestination),
            Some(ClaimState::Held) => self.owe(question),
            // RFC 5227 §2.1.1, RFC 4862 §5.4.3: two ask for the same address at the same time.
            Some(ClaimState::Probing) if question.is_probe() => self.contest(vip, heard, now),
            Some(ClaimState::Probing | ClaimState::Yielded { to: _ }) => Verdict::Ignored(Reason::NotHeld),
        }
    }

    fn contest(&mut self, vip: IpAddr, heard: &Heard, now: Instant) -> Verdict {
        let mac = heard.sender;
        let jitter = self.jitter();
        let from_peer = self.peers.may_be(mac);
        // Of two peers that ask at the same time one has to go first.
        let has_it = heard.speaks_as == vip;
        let is_before_us = has_it || mac < self.interface.mac;
        let peer = if has_it { Outcome::Peer } else { Outcome::PeerAsks };
        let (outcome, next) = match self.claims.get_mut(&vip) {
            Some(claim) if !from_peer => {
                let (outcome, next) = claim.conflict(mac, self.on_conflict, jitter, now);
                (outcome, Some(next))
            }
            Some(claim) if is_before_us => (peer, claim.wait_for_peer(now)),
            Some(_) | None => (peer, None),
        };
        if next.is_some() {
            self.schedule.set(vip, next);
        }
        if outcome == Outcome::Yielded {
            self.changes.push_back((vip, ClaimState::Yielded { to: mac }));
            self.drop_pending(vip);
        }
        Verdict::Conflict { vip, mac, outcome }
    }

    /// Up to 2 s, another for nearly every station; far apart for neighbouring MAC addresses (Knuth's
    /// multiplicative hash, TAOCP 3 §6.4).
    fn jitter(&self) -> Duration {
        let [.., high, low] = self.interface.mac.0;
        let spread = u16::from_be_bytes([high, low]).wrapping_mul(40_503);
        Duration::from_millis(u64::from(spread) % 2_000)
    }

    fn owe(&mut self, question: Question) -> Verdict {
        if self.answers.len() >= MOST_ANSWERS {
            return Verdict::Ignored(Reason::Overloaded);
        }
        self.answers.push_back(Utterance::Answer(question));
        Verdict::Answered { vip: question.target(), to: question.answer_to() }
    }
}

/// Up to 255, another for neighbouring addresses (Knuth's multiplicative hash, as above).
fn spread(vip: IpAddr) -> u32 {
    let low = match vip {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => (u128::from(address) & 0xffff_ffff) as u32,
    };
    low.wrapping_mul(2_654_435_769) >> 24
}

#[cfg(test)]
#[path = "responder_tests.rs"]
mod tests;
