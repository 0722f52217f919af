//! What a segment does about another host that says it has a VIP.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{News, Segment};
use crate::l2::{Outcome, Received};
use crate::model::{Mac, Term};
use crate::node::tenure::FRESH;

/// The conflicts over one VIP are told no more often, however many frames somebody sends.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_secs(10);

impl Segment {
    /// The term of a claim here that another node may not know of.
    pub fn fresh_claim(&self, vip: IpAddr, now: Instant) -> Option<Term> {
        let is_fresh = self.answered.contains(vip) && self.tenure.is_fresh(vip, now);
        self.tenure.term(vip).filter(|_| is_fresh)
    }

    /// Another node claimed a VIP in the same instant as this one: `goes_on`, whether it is this one that goes on.
    pub fn settle_contest(&mut self, vip: IpAddr, goes_on: bool, now: Instant) {
        if goes_on {
            return self.responder.say_again(vip, now);
        }
        self.tenure.give_up(vip, now);
        let rest = self.claimed.iter().filter(|claimed| **claimed != vip).copied().collect();
        self.speak(rest, now);
    }

    pub(super) fn overhear(&mut self, frame: &Received, now: Instant) {
        self.overheard.retain(|_, (_, at)| now < *at + FRESH);
        let overheard = self.responder.overheard(frame);
        let steered = overheard.filter(|(vip, _)| self.plan.steered.contains_key(vip));
        self.overheard.extend(steered.map(|(vip, mac)| (vip, (mac, now))));
    }

    /// What this node is to claim and has not claimed, although a peer was heard a moment ago that has it.
    pub fn claimed_before(&self, now: Instant) -> Vec<(IpAddr, Mac)> {
        let fresh = self.overheard.iter().filter(|(_, (_, at))| now < *at + FRESH);
        let ours =
            fresh.filter(|(vip, _)| self.plan.announced.contains_key(*vip) && !self.claimed.contains(*vip));
        let open = ours.filter(|(vip, _)| !self.tenure.has_given_up(**vip));
        open.map(|(vip, (mac, _))| (*vip, *mac)).collect()
    }

    /// Whether something that was given up for another node is to be asked for now.
    pub fn take_given_up(&mut self, now: Instant) -> bool {
        self.tenure.take_given_up(now)
    }

    pub(super) fn contested(&mut self, vip: IpAddr, mac: Mac, outcome: Outcome, now: Instant) {
        self.hear_otherwise(mac);
        if outcome == Outcome::Peer && self.tenure.hear(vip, mac, &self.plan, now) {
            self.news.push_back(News::HandedOver(vip, mac));
            let rest = self.claimed.iter().filter(|claimed| **claimed != vip).copied().collect();
            return self.speak(rest, now);
        }
        let told = self.conflicts.get(&vip).is_some_and(|(_, at)| now < *at + CONFLICT_PAUSE);
        // Two nodes that ask at once are no conflict for people: one of them will have it.
        let worth_telling = !matches!(outcome, Outcome::Standing | Outcome::PeerAsks);
        if worth_telling && (outcome == Outcome::Yielded || !told) {
            self.conflicts.insert(vip, (mac, now));
            self.news.push_back(News::Conflict(vip, mac, outcome));
        }
        self.follow_claims(now);
    }
}
