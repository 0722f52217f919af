//! Who else is alive on a segment, by what is heard of it there; and when to say so of oneself.
//!
//! Whoever missed three beats is dead on that segment, and what it holds is another's to take. Only those are judged that
//! say in their report that they beat, and whom this node has heard, or should have: where no beat has ever come through
//! (a switch that filters them), nobody is. At the death of a holder each one says at once that it is there, so that who
//! died with it is known two beats later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::l2::beat::{Beat, BeatError, Keys, State};
use crate::model::NodeName;

/// How many beats may be missed.
const MISSED: u32 = 3;

/// How long frames that wait in a socket take to be read.
const READING: Duration = Duration::from_millis(30);

/// Between two beats of which the second has news.
const SPACING: Duration = Duration::from_millis(20);

/// All holders on a segment together beat no more often than so, and all others: each slows down as there are more of them.
const MOST_OF_HOLDERS: u32 = 600;
const MOST_OF_OTHERS: u32 = 400;

/// Whose beats come later than it says has as much more patience, for which the longest delay of this time and of the time before counts.
const REMEMBERED: Duration = Duration::from_secs(60);

/// But not so much that its beats would be expected more seldom than this: else a dead one would go unnoticed.
const LONGEST_PERIOD: Duration = Duration::from_millis(333);

/// So much later is nothing.
const JITTER: Duration = Duration::from_millis(20);

/// How often a speaker says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Where it holds a VIP.
    pub holder: Duration,
    /// Where it could.
    pub other: Duration,
}

impl Cadence {
    /// How long a holder may be silent.
    pub fn patience(self) -> Duration {
        self.holder * MISSED
    }
}

/// What all beats of a process have in common.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its node.
    pub node: NodeName,
    /// When the process began, in milliseconds since 1970.
    pub boot: u64,
    /// How often it beats.
    pub cadence: Cadence,
    /// What its beats are signed with.
    pub keys: Keys,
    /// Whether there is no API server: what others hold is known by their beats alone.
    pub alone: bool,
}

impl Identity {
    /// Whether claims are told in beats, and believed. Where there is an API server, not by a word that anybody can say.
    pub fn tells(&self) -> bool {
        self.alone || !self.keys.is_empty()
    }
}

/// The other speakers on one segment.
#[derive(Debug)]
pub struct Liveness {
    cadence: Cadence,
    /// Who says that it beats.
    expected: BTreeSet<NodeName>,
    heard: BTreeMap<NodeName, Heard>,
    /// Whose other frames come through, and no beat: nobody knows why.
    unjudged: BTreeSet<NodeName>,
    dead: BTreeSet<NodeName>,
    /// Since when beats are known to come through at all.
    heard_any: Option<Instant>,
    /// When the next beat of our own is due; none without a socket.
    next: Option<Instant>,
    /// Until when nothing could be heard: nobody was late before.
    deaf_until: Option<Instant>,
    /// When the last one was sent.
    last: Option<Instant>,
    /// How late this node's own beats are.
    delays: Option<Delays>,
    /// When the next one is to be expected at the latest, as was said.
    said: Duration,
    /// The number of the last beat. On a segment that is made anew it goes on: a lower one would be taken for an old one.
    pub(super) sequence: u64,
}

#[derive(Debug)]
struct Heard {
    boot: u64,
    sequence: u64,
    /// Whether it said last that it runs.
    is_here: bool,
    /// Whether it held something, by its own word; nothing, where it is of an older version.
    holder: Option<bool>,
    /// How often it beats, by its own word.
    period: Option<Duration>,
    /// How long it may be silent.
    patience: Duration,
    until: Instant,
    /// When it was heard last.
    at: Instant,
    delays: Delays,
}

/// How much later than said beats of a speaker came, at most.
#[derive(Clone, Copy, Debug)]
struct Delays {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Delays {
    fn none(since: Instant) -> Self {
        Self { since, now: Duration::ZERO, before: Duration::ZERO }
    }

    fn add(&mut self, delay: Duration, now: Instant) {
        if now >= self.since + REMEMBERED {
            *self = Self { since: now, now: Duration::ZERO, before: self.now };
        }
        self.now = self.now.max(delay);
    }

    fn most(self) -> Duration {
        Some(self.now.max(self.before)).filter(|delay| *delay > JITTER).unwrap_or_default()
    }

    /// How often a beat of one is to be expected that says to beat so often.
    fn period(self, period: Duration) -> Duration {
        (period + self.most()).min(LONGEST_PERIOD).max(period)
    }
}

impl Liveness {
    /// Nobody was heard yet.
    pub fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            expected: BTreeSet::new(),
            heard: BTreeMap::new(),
            unjudged: BTreeSet::new(),
            dead: BTreeSet::new(),
            heard_any: None,
            next: None,
            deaf_until: None,
            last: None,
            delays: None,
            said: cadence.holder,
            sequence: 0,
        }
    }

    /// Who says that it beats here.
    pub fn expect(&mut self, nodes: impl IntoIterator<Item = NodeName>) {
        self.expected = nodes.into_iter().collect();
    }

    /// Who is to be heard.
    pub fn expected(&self) -> &BTreeSet<NodeName> {
        &self.expected
    }

    /// There is a socket: beats can be sent and heard.
    pub fn open(&mut self, now: Instant) {
        self.next = Some(now);
        self.listen_anew(now);
    }

    /// There is nobody else to say who lives: whoever is never heard is dead, also where no beat ever came through.
    pub fn judge_all(&mut self, now: Instant) {
        self.heard_any.get_or_insert(now);
    }

    /// There is none any more: nobody is judged.
    pub fn close(&mut self) {
        self.next = None;
        self.heard_any = None;
    }

    /// Nothing can be heard: nobody is dead, until it can be and they are silent then. Whether somebody was.
    pub fn judge_nobody(&mut self) -> bool {
        !std::mem::take(&mut self.dead).is_empty()
    }

    /// Nothing could be heard for a while: everybody has its patience once more.
    pub fn listen_anew(&mut self, now: Instant) {
        for heard in self.heard.values_mut() {
            heard.until = heard.until.max(now + heard.patience);
        }
        self.heard_any = self.heard_any.map(|_| now);
        self.deaf_until = Some(now);
    }

    /// This node was late itself: beats may wait in its socket. Who lived until now lives for as long as reading those takes.
    pub fn read_first(&mut self, now: Instant) {
        for (node, heard) in &mut self.heard {
            if !self.dead.contains(node) {
                heard.until = heard.until.max(now + READING);
            }
        }
    }

    /// Takes a beat in.
    ///
    /// # Errors
    /// It is not new: somebody plays it again, or it was overtaken.
    pub fn hear(&mut self, beat: &Beat, now: Instant) -> Result<(), BeatError> {
        let last = self.heard.get(&beat.node).map(|heard| (heard.boot, heard.sequence));
        if last.is_some_and(|last| (beat.boot, beat.sequence) <= last) {
            return Err(BeatError::Replayed);
        }
        let delays = self.delays(beat, now);
        let patience = match beat.state {
            State::Here(period) => delays.period(period) * MISSED,
            State::BackSoon(patience) => patience,
            State::Leaving => Duration::ZERO,
        };
        let is_here = matches!(beat.state, State::Here(_));
        let holder = beat.said.as_ref().map(|said| said.holder);
        let (boot, sequence, until) = (beat.boot, beat.sequence, now + patience);
        let period = if let State::Here(period) = beat.state { Some(period) } else { None };
        let heard = Heard { boot, sequence, is_here, holder, period, patience, until, at: now, delays };
        self.heard.insert(beat.node.clone(), heard);
        self.unjudged.remove(&beat.node);
        self.heard_any.get_or_insert(now);
        Ok(())
    }

    /// How late its beats are, with this one. One that it sent before it was due, or after it began anew, says nothing of that.
    fn delays(&self, beat: &Beat, now: Instant) -> Delays {
        let Some(last) = self.heard.get(&beat.node) else { return Delays::none(now) };
        let mut delays = last.delays;
        let due = last.period.filter(|_| last.boot == beat.boot && Some(last.at) >= self.deaf_until);
        if let Some(period) = due {
            delays.add(now.saturating_duration_since(last.at + period), now);
        }
        delays
    }

    /// Another frame of a node came: it lives, whatever became of its beats.
    pub fn hear_otherwise(&mut self, node: &NodeName) {
        if self.dead.contains(node) {
            self.unjudged.insert(node.clone());
        }
    }

    /// Time passed. Whether others are dead than before.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_dead = |node: &&NodeName| match self.heard.get(*node) {
            _ if self.next.is_none() || self.unjudged.contains(*node) => false,
            Some(heard) => now >= heard.until,
            None => self.heard_any.is_some_and(|since| now >= since + self.cadence.other * MISSED),
        };
        let dead: BTreeSet<NodeName> = self.expected.iter().filter(is_dead).cloned().collect();
        if dead.difference(&self.dead).any(|node| self.was_holder(node)) {
            self.call_the_roll(now);
        }
        let changed = dead != self.dead;
        self.dead = dead;
        changed
    }

    /// A holder died: whoever else lives says so at once, as this node does.
    fn call_the_roll(&mut self, now: Instant) {
        for heard in self.heard.values_mut().filter(|heard| heard.is_here && now < heard.until) {
            heard.until = heard.until.min(now + (self.cadence.holder + heard.delays.most()) * 2);
        }
        self.hurry(now);
    }

    /// The next beat is due now: it says something new.
    pub fn hurry(&mut self, now: Instant) {
        self.next = self.next.map(|_| now);
    }

    /// The next beat is due as soon as may be: it has news, of which there may be more than fit into one.
    pub fn tell_soon(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| now.max(last + SPACING));
        self.next = self.next.map(|next| next.min(soonest));
    }

    /// Who is dead here.
    pub fn dead(&self) -> &BTreeSet<NodeName> {
        &self.dead
    }

    /// Those of them that announced something when they were heard last.
    pub fn dead_holders(&self) -> impl Iterator<Item = &NodeName> {
        self.dead.iter().filter(|node| self.was_holder(node))
    }

    fn was_holder(&self, node: &NodeName) -> bool {
        let heard = self.heard.get(node).filter(|heard| heard.is_here);
        heard.is_some_and(|heard| {
            heard.holder.unwrap_or(heard.period.is_some_and(|period| period <= self.cadence.holder))
        })
    }

    /// The number and state of the beat that is due, if one is.
    pub fn beat(&mut self, is_holder: bool, now: Instant) -> Option<(u64, State)> {
        let due = self.next.filter(|next| *next <= now)?;
        self.delays.get_or_insert(Delays::none(now)).add(now - due, now);
        self.last = Some(now);
        let period = self.period(is_holder);
        self.next = Some(now + period);
        // One that is late says so, and is waited for by everybody alike.
        let said = self.delays.map_or(period, |delays| delays.period(period));
        self.said = said;
        Some((self.number(), State::Here(said)))
    }

    /// How often this node beats, so that all together keep to the ceiling: it says so, and the others' patience fits.
    fn period(&self, is_holder: bool) -> Duration {
        let living = self.heard.keys().filter(|node| !self.dead.contains(*node));
        let holders = living.clone().filter(|node| self.was_holder(node)).count();
        let others = living.count() - holders;
        let (cadence, peers, most) = match is_holder {
            true => (self.cadence.holder, holders, MOST_OF_HOLDERS),
            false => (self.cadence.other, others, MOST_OF_OTHERS),
        };
        let peers = u32::try_from(peers).unwrap_or(u32::MAX);
        cadence.max(Duration::from_secs(1) / most * peers.saturating_add(1))
    }

    /// The number of a beat.
    pub fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// How long the others wait for this node's next beat, by its own word.
    pub fn said_patience(&self) -> Duration {
        self.said * MISSED
    }

    /// When the next beat of our own is due.
    pub fn next_beat(&self) -> Option<Instant> {
        self.next
    }

    /// When the next one dies, unless it is heard.
    pub fn next_death(&self) -> Option<Instant> {
        self.next?;
        let living = self.expected.iter().filter(|node| !self.dead.contains(*node));
        let judged = living.filter(|node| !self.unjudged.contains(*node));
        let ends = judged.filter_map(|node| match self.heard.get(node) {
            Some(heard) => Some(heard.until),
            None => self.heard_any.map(|since| since + self.cadence.other * MISSED),
        });
        ends.min()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
#[path = "liveness/tests.rs"]
mod tests;
