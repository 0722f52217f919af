//! What speakers tell each other on the segment of the VIPs that they hold.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::beats::Listening;
use super::{Beats, Segment};
use crate::l2::beat::{Beat, Claim};
use crate::model::{Mac, NodeName, SegmentReport};
use crate::node::claims::{Words, words};

impl Segment {
    /// What this node holds may be something else than before: the others are told.
    pub fn tell_others(&mut self, now: Instant) {
        let report = self.report();
        let Some(beats) = self.beats.as_mut().filter(|beats| beats.identity.tells()) else { return };
        if beats.talker.follow(words(&report)) {
            beats.liveness.tell_soon(now);
        }
    }

    /// How long the others wait for this node, where it holds something and beats.
    pub fn said_patience(&self) -> Option<Duration> {
        let beats = self.beats.as_ref().filter(|beats| beats.was_holder)?;
        Some(beats.liveness.said_patience())
    }

    /// There is no API server to tell who is there: each of these nodes is to be heard.
    pub fn expect_all(&mut self, nodes: BTreeSet<NodeName>) {
        if let Some(beats) = &mut self.beats {
            beats.liveness.expect(nodes);
        }
    }

    /// Whether this node knows what the others hold, as far as they tell in their beats.
    pub fn has_listened(&self) -> bool {
        self.beats.as_ref().is_none_or(|beats| beats.listening == Listening::Over)
    }

    /// Those of whom something else is known than when this was last asked.
    pub fn take_heard(&mut self) -> Vec<(NodeName, SegmentReport)> {
        let Some(beats) = &mut self.beats else { return Vec::new() };
        let heard = std::mem::take(&mut beats.heard);
        heard
            .into_iter()
            .filter_map(|node| Some((beats.others.of(&node)?.report(), node)))
            .map(|(report, node)| (node, report))
            .collect()
    }

    /// Takes over what the others remember of this node, as its own last report. Whether there is any.
    pub fn take_remembered(&mut self) -> bool {
        let Some(beats) = &mut self.beats else { return false };
        let remembered = std::mem::take(&mut beats.remembered);
        remembered.iter().for_each(|(vip, term)| self.tenure.remember(*vip, *term));
        self.changed |= !remembered.is_empty();
        !remembered.is_empty()
    }

    /// Whoever has told all, or has had the time to, is waited for no longer. Whether that is over by now.
    pub(super) fn end_listening(&mut self, now: Instant) -> bool {
        let Some(beats) = &mut self.beats else { return false };
        let Listening::Until(until) = beats.listening else { return false };
        let is_over = now >= until || beats.others.have_told(beats.liveness.expected());
        if is_over {
            beats.listening = Listening::Over;
            self.changed = true;
        }
        is_over
    }

    /// Takes in what a beat tells, which is authentic and new; `was_dead`: whether its node was taken for dead until now.
    pub(super) fn hear_claims(&mut self, sender: Mac, beat: &Beat, was_dead: bool, now: Instant) {
        let Some(beats) = &mut self.beats else { return };
        let before = beats.others.of(&beat.node).map(|heard| heard.known()).unwrap_or_default();
        if beats.others.hear(sender, beat) || was_dead {
            beats.heard.insert(beat.node.clone());
        }
        let Some(said) = &beat.said else { return };
        if said.asks {
            beats.talker.tell_all();
            beats.liveness.tell_soon(now);
        }
        let remembered = said.remembered.iter().filter(|(node, _)| *node == beats.identity.node);
        for (vip, word) in remembered.flat_map(|(_, words)| words) {
            if let Claim::Holds(term) = word.claim
                && beats.listening != Listening::Over
            {
                let known = beats.remembered.entry(*vip).or_insert(term);
                *known = term.max(*known);
            }
        }
        self.contest_claims(&beat.node, if was_dead { Words::new() } else { before }, now);
    }

    /// Who held a VIP besides this node, whose claim is the later one, has told clients so: once it has let go they are told anew.
    fn contest_claims(&mut self, node: &NodeName, before: Words, now: Instant) {
        let Some(Beats { others, contested, .. }) = &mut self.beats else { return };
        let Some(known) = others.of(node).map(|heard| heard.known()) else { return };
        for (vip, word) in known.iter().filter(|(vip, word)| before.get(*vip) != Some(*word)) {
            let is_ours = self.answered.contains(*vip);
            if matches!(word.claim, Claim::Holds(term) if is_ours && self.tenure.term(*vip) >= Some(term)) {
                contested.insert((node.clone(), *vip));
            }
        }
        let holds = |vip: &IpAddr| known.get(vip).is_some_and(|word| matches!(word.claim, Claim::Holds(_)));
        let over = contested.extract_if(.., |(of, vip)| of == node && !holds(vip));
        for (_, vip) in over.collect::<Vec<_>>() {
            if self.answered.contains(vip) {
                self.responder.say_again(vip, now);
            }
        }
    }
}
