//! A segment's part in the speakers' beats: what is heard of others, and what is said of oneself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{News, Segment};
use crate::flows::{Flow, beat_flows};
use crate::l2::beat::{Beat, BeatError, State};
use crate::l2::{Reason, Received, Verdict};
use crate::model::{Mac, NodeName};
use crate::node::liveness::{Identity, Liveness};

/// Later than this to its own beat a node was stopped for a moment, and others' beats wait for it.
const LATE: Duration = Duration::from_millis(20);

/// So many speakers at most tell in their reports whose beats they miss: each one's report goes to all others.
const WITNESSES: usize = 50;

/// How often it is said that this process ends: no later beat makes up for one that is lost.
const LAST_WORDS: usize = 3;

/// What a segment knows of beats.
#[derive(Debug)]
pub(super) struct Beats {
    identity: Arc<Identity>,
    pub(super) liveness: Liveness,
    was_holder: bool,
    /// Whether the rules that keep beats on the wire are on the bridge: without them every pod would hear them.
    is_steered: bool,
    last_words: Vec<State>,
}

impl Beats {
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        let liveness = Liveness::new(identity.cadence);
        Self { identity, liveness, was_holder: false, is_steered: false, last_words: Vec::new() }
    }
}

impl Segment {
    /// The nodes that are dead here, as far as this one hears.
    pub fn dead(&self) -> BTreeSet<NodeName> {
        self.beats.as_ref().map(|beats| beats.liveness.dead().clone()).unwrap_or_default()
    }

    /// The holders among them, for whoever asks who announces a VIP; of a segment that is so large that all who write it at
    /// once would be a burden, nobody says it.
    pub(super) fn missed(&self) -> BTreeSet<NodeName> {
        let beats = self.beats.as_ref().filter(|_| self.plan.beating.len() < WITNESSES);
        beats.map(|beats| beats.liveness.dead_holders().cloned().collect()).unwrap_or_default()
    }

    /// Whether this node beats here: it could hold a VIP.
    pub(super) fn is_beating(&self) -> bool {
        self.beats.is_some() && !self.plan.steered.is_empty()
    }

    fn can_beat(&self) -> bool {
        let is_steered = self.beats.as_ref().is_some_and(|beats| beats.is_steered);
        is_steered && self.is_beating() && self.located.carrier
    }

    /// The number of the last beat here.
    pub fn last_beat(&self) -> u64 {
        self.beats.as_ref().map_or(0, |beats| beats.liveness.sequence)
    }

    /// The segment was there before, in this process, and beats were sent on it.
    pub fn beat_after(&mut self, last: u64) {
        if let Some(beats) = &mut self.beats {
            beats.liveness.sequence = last;
        }
    }

    /// Looks whether the rules for beats are on the bridge. While they are not (ovs-vswitchd is away) beats may not come through: whoever is
    /// silent then has its patience anew.
    pub(super) fn see_beat_rules(&mut self, is_on_bridge: &dyn Fn(&Flow) -> bool, now: Instant) {
        if let Some(beats) = &mut self.beats {
            let is_steered = beat_flows(&self.plan, &self.located.ports).iter().all(is_on_bridge);
            if is_steered && !std::mem::replace(&mut beats.is_steered, is_steered) {
                beats.liveness.listen_anew(now);
            }
            beats.is_steered = is_steered;
        }
    }

    /// Time passed. Whether others are dead than before. Whoever has no carrier, or no rules for beats, hears nobody, and judges
    /// nobody.
    pub(super) fn tick_beats(&mut self, now: Instant) -> bool {
        let is_late = self.beat_deadline().is_some_and(|due| now >= due + LATE);
        let carrier = self.located.carrier;
        let Some(beats) = self.beats.as_mut().filter(|_| carrier) else { return false };
        if is_late {
            beats.liveness.read_first(now);
        }
        let can_hear = beats.is_steered;
        let changed = if can_hear { beats.liveness.tick(now) } else { beats.liveness.judge_nobody() };
        if changed {
            self.changed = true;
            self.news.push_back(News::Silent(beats.liveness.dead().clone()));
        }
        changed
    }

    /// This process ends: the others are told what to do about it.
    pub fn part(&mut self, state: State) {
        if let Some(beats) = &mut self.beats {
            beats.last_words = vec![state; LAST_WORDS];
        }
    }

    /// Nothing could be heard for a while.
    pub(super) fn listen_anew(&mut self, now: Instant) {
        if let Some(beats) = &mut self.beats {
            beats.liveness.listen_anew(now);
        }
    }

    /// The other node's MAC is in use on the wire.
    pub(super) fn hear_otherwise(&mut self, mac: Mac) {
        let node = self.plan.beating.iter().find(|(_, other)| **other == mac);
        if let (Some((node, _)), Some(beats)) = (node, &mut self.beats) {
            beats.liveness.hear_otherwise(node);
        }
    }

    pub(super) fn hear_beat(&mut self, frame: &Received, now: Instant) -> Verdict {
        let heard = self.judge_beat(frame, now);
        heard.map_or_else(|error| Verdict::Ignored(Reason::Beat(error)), |()| Verdict::Beat)
    }

    fn judge_beat(&mut self, frame: &Received, now: Instant) -> Result<(), BeatError> {
        let Some(Beats { identity, liveness, .. }) = &mut self.beats else {
            return Err(BeatError::OtherSegment);
        };
        let (_, beat) = Beat::parse(frame, self.located.interface, &identity.keys)?;
        if beat.node == identity.node {
            return Err(BeatError::Own);
        }
        if beat.subnet != self.subnet {
            return Err(BeatError::OtherSegment);
        }
        liveness.hear(&beat, now)
    }

    /// The beat that is due, if one is.
    pub(super) fn next_beat(&mut self, now: Instant) -> Option<Vec<u8>> {
        if !self.can_beat() {
            return None;
        }
        let is_holder = !self.answered.is_empty();
        let Beats { identity, liveness, was_holder, last_words, is_steered: _ } = self.beats.as_mut()?;
        if std::mem::replace(was_holder, is_holder) != is_holder {
            liveness.hurry(now);
        }
        let (sequence, state) = match last_words.pop() {
            Some(state) => (liveness.number(), state),
            None => liveness.beat(is_holder, now)?,
        };
        let Identity { node, boot, keys, cadence: _ } = &**identity;
        let beat = Beat { node: node.clone(), subnet: self.subnet.clone(), boot: *boot, sequence, state };
        Some(beat.emit(self.located.interface.mac, self.plan.vlan, keys))
    }

    /// When the next beat is due, or another node's patience ends.
    pub(super) fn beat_deadline(&self) -> Option<Instant> {
        let beats = self.beats.as_ref().filter(|_| self.located.carrier)?;
        let beats = Some(beats).filter(|beats| beats.is_steered)?;
        let own = self.can_beat().then(|| beats.liveness.next_beat()).flatten();
        own.into_iter().chain(beats.liveness.next_death()).min()
    }
}
