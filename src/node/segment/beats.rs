//! A segment's part in the speakers' beats: what is heard of others, and what is said of oneself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{News, Segment};
use crate::flows::{Flow, beat_flows};
use crate::l2::beat::claims::{room, size};
use crate::l2::beat::{Beat, BeatError, Said, State};
use crate::l2::{Reason, Received, Verdict};
use crate::model::{Mac, NodeName, Term};
use crate::node::claims::{Others, Talker};
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
    pub(super) identity: Arc<Identity>,
    pub(super) liveness: Liveness,
    pub(super) was_holder: bool,
    /// Whether the rules that keep beats on the wire are on the bridge: without them every pod would hear them.
    is_steered: bool,
    last_words: Vec<State>,
    /// What this node holds, for the others.
    pub(super) talker: Talker,
    pub(super) others: Others,
    /// Of whom something else is known than before.
    pub(super) heard: BTreeSet<NodeName>,
    pub(super) listening: Listening,
    /// What others remember of this node.
    pub(super) remembered: BTreeMap<IpAddr, Term>,
    /// What others say they hold, and is held here by a later claim: once they have let go it is said again.
    pub(super) contested: BTreeSet<(NodeName, IpAddr)>,
}

/// Where there is no API server, a node that begins asks the others what they hold, and what it held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// It has not said yet that it is there.
    Before,
    /// It has, and waits for answers.
    Until(Instant),
    /// It knows what there is to know.
    Over,
}

impl Beats {
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        let liveness = Liveness::new(identity.cadence);
        Self {
            liveness,
            was_holder: false,
            is_steered: false,
            last_words: Vec::new(),
            talker: Talker::default(),
            others: Others::default(),
            heard: BTreeSet::new(),
            listening: if identity.alone { Listening::Before } else { Listening::Over },
            remembered: BTreeMap::new(),
            contested: BTreeSet::new(),
            identity,
        }
    }

    /// There is a socket.
    pub(super) fn open(&mut self, now: Instant) {
        self.liveness.open(now);
        if self.identity.alone {
            self.liveness.judge_all(now);
        }
    }

    /// What the next beat tells.
    fn say(&mut self, is_holder: bool) -> Said {
        if !self.identity.tells() {
            return Said { holder: is_holder, ..Said::default() };
        }
        let Self { identity, talker, others, listening, .. } = self;
        let names = identity.node.as_str().len() + u8::MAX as usize;
        let mut left = room(names);
        let mut remembered = None;
        if let Some((node, words)) = others.asking().next() {
            left = left.saturating_sub(node.as_str().len());
            // At most half of it.
            let mut most = left / 2;
            let fits = |(vip, _): &(IpAddr, _)| match most.checked_sub(size(*vip)) {
                Some(rest) => {
                    most = rest;
                    true
                }
                None => false,
            };
            let words: Vec<_> = words.iter().map(|(vip, word)| (*vip, *word)).take_while(fits).collect();
            left -= words.iter().map(|(vip, _)| size(*vip)).sum::<usize>();
            remembered = Some((node.clone(), words));
        }
        let asks = *listening != Listening::Over;
        Said { holder: is_holder, asks, remembered, ..talker.say(left) }
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
        let is_over = self.end_listening(now);
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
        changed || is_over
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
        let Some(beats) = &mut self.beats else { return Err(BeatError::OtherSegment) };
        let (sender, beat) = Beat::parse(frame, self.located.interface, &beats.identity.keys)?;
        if beat.node == beats.identity.node {
            return Err(BeatError::Own);
        }
        if beat.subnet != self.subnet {
            return Err(BeatError::OtherSegment);
        }
        let was_dead = beats.liveness.dead().contains(&beat.node);
        beats.liveness.hear(&beat, now)?;
        if beats.identity.tells() {
            self.hear_claims(sender, &beat, was_dead, now);
        }
        Ok(())
    }

    /// The beat that is due, if one is.
    pub(super) fn next_beat(&mut self, now: Instant) -> Option<Vec<u8>> {
        if !self.can_beat() {
            return None;
        }
        let is_holder = !self.answered.is_empty();
        let beats = self.beats.as_mut()?;
        if std::mem::replace(&mut beats.was_holder, is_holder) != is_holder {
            beats.liveness.hurry(now);
        }
        let is_often = is_holder || beats.listening != Listening::Over;
        let (sequence, state) = match beats.last_words.pop() {
            Some(state) => (beats.liveness.number(), state),
            None => beats.liveness.beat(is_often, now)?,
        };
        if beats.listening == Listening::Before {
            beats.listening = Listening::Until(now + beats.identity.cadence.patience());
        }
        let said = Some(beats.say(is_holder));
        if beats.talker.has_news() {
            beats.liveness.tell_soon(now);
        }
        let Identity { node, boot, keys, .. } = &*beats.identity;
        let beat =
            Beat { node: node.clone(), subnet: self.subnet.clone(), boot: *boot, sequence, state, said };
        Some(beat.emit(self.located.interface.mac, self.plan.vlan, keys))
    }

    /// When the next beat is due, or another node's patience ends.
    pub(super) fn beat_deadline(&self) -> Option<Instant> {
        let beats = self.beats.as_ref().filter(|_| self.located.carrier)?;
        let beats = Some(beats).filter(|beats| beats.is_steered)?;
        let own = self.can_beat().then(|| beats.liveness.next_beat()).flatten();
        let listening = match beats.listening {
            Listening::Until(until) => Some(until),
            Listening::Before | Listening::Over => None,
        };
        own.into_iter().chain(beats.liveness.next_death()).chain(listening).min()
    }
}
