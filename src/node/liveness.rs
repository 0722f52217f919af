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
    /// The number of the last beat. On a segment that is made anew it goes on: a lower one would be taken for an old one.
    pub(super) sequence: u64,
}

#[derive(Debug)]
struct Heard {
    boot: u64,
    sequence: u64,
    /// Whether it said last that it runs.
    is_here: bool,
    /// How long it may be silent, by its own word.
    patience: Duration,
    until: Instant,
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
            sequence: 0,
        }
    }

    /// Who says that it beats here.
    pub fn expect(&mut self, nodes: impl IntoIterator<Item = NodeName>) {
        self.expected = nodes.into_iter().collect();
    }

    /// There is a socket: beats can be sent and heard.
    pub fn open(&mut self, now: Instant) {
        self.next = Some(now);
        self.listen_anew(now);
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
        let (patience, until) = match beat.state {
            State::Here(period) => (period * MISSED, now + period * MISSED),
            State::BackSoon(patience) => (patience, now + patience),
            State::Leaving => (Duration::ZERO, now),
        };
        let is_here = matches!(beat.state, State::Here(_));
        let heard = Heard { boot: beat.boot, sequence: beat.sequence, is_here, patience, until };
        self.heard.insert(beat.node.clone(), heard);
        self.unjudged.remove(&beat.node);
        self.heard_any.get_or_insert(now);
        Ok(())
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
        let until = now + self.cadence.holder * 2;
        for heard in self.heard.values_mut().filter(|heard| heard.is_here && now < heard.until) {
            heard.until = heard.until.min(until);
        }
        self.hurry(now);
    }

    /// The next beat is due now: it says something new.
    pub fn hurry(&mut self, now: Instant) {
        self.next = self.next.map(|_| now);
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
        heard.is_some_and(|heard| heard.patience <= self.cadence.patience())
    }

    /// The number and state of the beat that is due, if one is.
    pub fn beat(&mut self, is_holder: bool, now: Instant) -> Option<(u64, State)> {
        self.next.filter(|next| *next <= now)?;
        let period = if is_holder { self.cadence.holder } else { self.cadence.other };
        self.next = Some(now + period);
        Some((self.number(), State::Here(period)))
    }

    /// The number of a beat.
    pub fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
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
mod tests {
    use super::*;

    const CADENCE: Cadence =
        Cadence { holder: Duration::from_millis(100), other: Duration::from_millis(1000) };

    struct Wire {
        liveness: Liveness,
        start: Instant,
        sequence: u64,
    }

    impl Wire {
        fn new() -> Self {
            let mut liveness = Liveness::new(CADENCE);
            let start = Instant::now();
            liveness.expect(["a", "b", "c"].map(NodeName::from));
            liveness.open(start);
            Self { liveness, start, sequence: 0 }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn hear(&mut self, node: &str, period: u64, millis: u64) {
            self.hear_state(node, State::Here(Duration::from_millis(period)), millis);
        }

        fn hear_state(&mut self, node: &str, state: State, millis: u64) {
            self.sequence += 1;
            let (node, subnet, boot) = (node.into(), "s".into(), 1);
            let beat = Beat { node, subnet, boot, sequence: self.sequence, state };
            self.liveness.hear(&beat, self.at(millis)).unwrap();
        }

        fn dead(&mut self, millis: u64) -> Vec<String> {
            self.liveness.tick(self.at(millis));
            self.liveness.dead().iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn one_that_was_late_itself_reads_first_what_waits_for_it() {
        let mut wire = Wire::new();
        ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
        wire.liveness.read_first(wire.at(310));
        assert_eq!(wire.dead(310), Vec::<String>::new());
        wire.hear("a", 100, 315);
        wire.hear("b", 100, 315);
        assert_eq!(wire.dead(340), ["c"]);
        wire.liveness.read_first(wire.at(350));
        assert_eq!(wire.dead(350), ["c"], "and who was dead stays so");
    }

    #[test]
    fn who_misses_three_beats_is_dead_and_lives_again_with_the_next() {
        let mut wire = Wire::new();
        wire.hear("a", 100, 0);
        wire.hear("b", 1000, 0);
        wire.hear("c", 1000, 0);
        assert!(wire.dead(299).is_empty());
        assert_eq!(wire.dead(300), ["a"]);
        wire.hear("a", 100, 310);
        assert!(wire.dead(310).is_empty());
    }

    #[test]
    fn a_holders_death_calls_the_roll_and_who_is_silent_then_died_with_it() {
        let mut wire = Wire::new();
        wire.hear("a", 100, 0);
        wire.hear("b", 1000, 0);
        wire.hear("c", 1000, 0);
        wire.liveness.beat(false, wire.at(1));
        assert_eq!(wire.dead(300), ["a"]);
        assert!(wire.liveness.beat(false, wire.at(300)).is_some(), "it answers at once");
        wire.hear("b", 1000, 305);
        assert_eq!(wire.dead(500), ["a", "c"]);
        assert_eq!(wire.liveness.dead_holders().collect::<Vec<_>>(), [&NodeName::from("a")]);
        assert_eq!(wire.dead(3300), ["a", "c"]);
        assert_eq!(wire.dead(3305), ["a", "b", "c"]);
    }

    #[test]
    fn where_no_beat_ever_came_through_nobody_is_judged() {
        let mut wire = Wire::new();
        assert!(wire.dead(60_000).is_empty());
        // One does: then the others should.
        wire.hear("a", 100, 60_000);
        assert!(wire.dead(60_200).is_empty());
        wire.hear("a", 100, 62_900);
        assert_eq!(wire.dead(63_000), ["b", "c"]);
    }

    #[test]
    fn who_is_heard_otherwise_is_not_judged_until_it_beats_again() {
        let mut wire = Wire::new();
        ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
        assert_eq!(wire.dead(300), ["a", "b", "c"]);
        assert_eq!(wire.liveness.dead_holders().count(), 3);
        wire.liveness.hear_otherwise(&"a".into());
        assert_eq!(wire.dead(400), ["b", "c"]);
        wire.hear("a", 100, 500);
        assert_eq!(wire.dead(800), ["a", "b", "c"]);
    }

    #[test]
    fn who_says_that_it_will_be_back_is_waited_for_and_who_leaves_is_not() {
        let mut wire = Wire::new();
        ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 1000, 0));
        wire.hear_state("a", State::BackSoon(Duration::from_secs(10)), 0);
        wire.hear_state("b", State::Leaving, 0);
        assert_eq!(wire.dead(0), ["b"]);
        assert_eq!(wire.dead(9_999), ["b", "c"]);
        assert_eq!(wire.dead(10_000), ["a", "b", "c"]);
    }

    #[test]
    fn who_could_not_hear_judges_nobody_by_it() {
        let mut wire = Wire::new();
        ["a", "b", "c"].into_iter().for_each(|node| wire.hear(node, 100, 0));
        wire.liveness.listen_anew(wire.at(5_000));
        assert!(wire.dead(5_000).is_empty());
        wire.liveness.close();
        assert!(wire.dead(60_000).is_empty());
        wire.liveness.open(wire.at(60_000));
        assert!(wire.dead(60_299).is_empty());
        assert_eq!(wire.dead(60_300), ["a", "b", "c"]);
    }

    #[test]
    fn what_was_heard_before_is_not_heard_again() {
        let mut wire = Wire::new();
        let state = State::Here(CADENCE.holder);
        let beat = |boot, sequence| Beat { node: "a".into(), subnet: "s".into(), boot, sequence, state };
        for (boot, sequence, is_new) in
            [(5, 9, true), (5, 9, false), (4, 99, false), (5, 10, true), (6, 1, true)]
        {
            let heard = wire.liveness.hear(&beat(boot, sequence), wire.at(0));
            assert_eq!(heard.is_ok(), is_new, "{boot} {sequence}");
        }
    }

    #[test]
    fn a_holder_beats_more_often() {
        let mut wire = Wire::new();
        assert_eq!(wire.liveness.beat(false, wire.at(0)), Some((1, State::Here(CADENCE.other))));
        assert_eq!(wire.liveness.beat(true, wire.at(999)), None);
        wire.liveness.hurry(wire.at(500));
        assert_eq!(wire.liveness.beat(true, wire.at(500)), Some((2, State::Here(CADENCE.holder))));
        assert_eq!(wire.liveness.next_beat(), Some(wire.at(600)));
        assert_eq!(wire.liveness.next_death(), None, "none was heard");
    }
}
