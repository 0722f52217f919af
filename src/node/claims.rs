//! What speakers tell each other of VIPs in their beats: as much as fits into each, changes first, the rest in turn.
//!
//! One that tells has all its claims; one that listens puts together what it hears of each other speaker. A digest of all says
//! whether it has missed any; what was let go is told three times, and goes anyhow where a whole round was heard without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;

use sha2::{Digest, Sha256};

use crate::l2::beat::claims::{emit, size};
use crate::l2::beat::{Beat, Claim, Said, Word};
use crate::model::{Mac, NodeName, SegmentReport};

/// What is said of each VIP.
pub type Words = BTreeMap<IpAddr, Word>;

/// How often a change is told before it is one claim among the others: a beat may be lost.
const TOLD: u8 = 3;

/// What of a report is told in beats: all that the others need in order to elect.
pub fn words(report: &SegmentReport) -> Words {
    let mut words = Words::new();
    let left = report.left.iter().map(|(vip, term)| (*vip, Claim::Left(*term)));
    let held = report.held.iter().map(|(vip, term)| (*vip, Claim::Holds(*term)));
    for (vip, claim) in left.chain(held) {
        words.entry(vip).or_default().claim = claim;
    }
    for vip in &report.undelivered {
        words.entry(*vip).or_default().undelivered = true;
    }
    words
}

/// The report that such words come to.
pub fn report(mac: Mac, words: &Words) -> SegmentReport {
    let of = |term: fn(Claim) -> Option<u64>| {
        words.iter().filter_map(|(vip, word)| Some((*vip, term(word.claim)?))).collect()
    };
    SegmentReport {
        mac,
        beats: true,
        ready: true,
        held: of(|claim| if let Claim::Holds(term) = claim { Some(term) } else { None }),
        left: of(|claim| if let Claim::Left(term) = claim { Some(term) } else { None }),
        undelivered: words.iter().filter(|(_, word)| word.undelivered).map(|(vip, _)| *vip).collect(),
        strangers: BTreeMap::new(),
        missed: BTreeSet::new(),
    }
}

fn digest(words: &Words) -> u64 {
    let mut bytes = Vec::new();
    words.iter().for_each(|(vip, word)| emit(*vip, *word, &mut bytes));
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(bytes));
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The claims of this node, and what of them is to be told next.
#[derive(Debug)]
pub struct Talker {
    words: Words,
    digest: u64,
    /// What changed, each with how often it is to be told yet.
    news: VecDeque<(IpAddr, u8)>,
    /// The last one that was told in turn.
    last: Option<IpAddr>,
    round: u32,
}

impl Default for Talker {
    fn default() -> Self {
        let words = Words::new();
        Self { digest: digest(&words), words, news: VecDeque::new(), last: None, round: 0 }
    }
}

impl Talker {
    /// Takes in what is so by now. Whether it is something else than before.
    pub fn follow(&mut self, words: Words) -> bool {
        let differs = |vip: &&IpAddr| self.words.get(vip) != words.get(vip);
        let changed: BTreeSet<IpAddr> =
            self.words.keys().chain(words.keys()).filter(differs).copied().collect();
        self.news.retain(|(vip, _)| !changed.contains(vip));
        changed.iter().rev().for_each(|vip| self.news.push_front((*vip, TOLD)));
        if !changed.is_empty() {
            (self.digest, self.words) = (digest(&words), words);
        }
        !changed.is_empty()
    }

    /// Somebody has to be told all of it.
    pub fn tell_all(&mut self) {
        self.news.retain(|(_, times)| *times == TOLD);
        let told: BTreeSet<IpAddr> = self.news.iter().map(|(vip, _)| *vip).collect();
        self.news.extend(self.words.keys().filter(|vip| !told.contains(vip)).map(|vip| (*vip, TOLD)));
    }

    /// Whether something was not told yet.
    pub fn has_news(&self) -> bool {
        self.news.iter().any(|(_, times)| *times == TOLD)
    }

    /// What the next beat tells, in so many bytes.
    pub fn say(&mut self, mut room: usize) -> Said {
        let mut claims: Words = Words::new();
        let mut again = Vec::new();
        while let Some((vip, times)) = self.news.pop_front() {
            let Some(rest) = room.checked_sub(size(vip)) else {
                self.news.push_front((vip, times));
                break;
            };
            room = rest;
            claims.insert(vip, self.words.get(&vip).copied().unwrap_or_default());
            again.extend(Some((vip, times - 1)).filter(|(_, times)| *times > 0));
        }
        self.news.extend(again);
        let round = self.round;
        let from = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut is_over = true;
        for (vip, word) in self.words.range((from, Bound::Unbounded)) {
            if !claims.contains_key(vip) {
                let Some(rest) = room.checked_sub(size(*vip)) else {
                    is_over = false;
                    break;
                };
                room = rest;
                claims.insert(*vip, *word);
            }
            self.last = Some(*vip);
        }
        if is_over {
            (self.last, self.round) = (None, self.round.wrapping_add(1));
        }
        let claims = claims.into_iter().collect();
        Said { round, digest: self.digest, claims, ..Said::default() }
    }
}

/// What was heard of another speaker's claims.
#[derive(Debug)]
pub struct Heard {
    mac: Mac,
    boot: u64,
    sequence: u64,
    round: u32,
    /// Whether all of its beats in this round were heard.
    whole: bool,
    /// Each with the round in which it was told last.
    words: BTreeMap<IpAddr, (Word, u32)>,
    /// Whether these are all, by its own digest.
    is_complete: bool,
    /// What it had told before it began anew: it holds, until it tells what is so now.
    before: Option<Words>,
}

impl Heard {
    /// Nothing yet, of whoever sent this.
    pub fn new(mac: Mac, beat: &Beat) -> Self {
        let (boot, sequence) = (beat.boot, beat.sequence);
        Self {
            mac,
            boot,
            sequence,
            round: 0,
            whole: false,
            words: BTreeMap::new(),
            is_complete: false,
            before: None,
        }
    }

    /// Takes in what a beat tells that is newer than the one before. Whether what is known of it is another than before.
    pub fn hear(&mut self, mac: Mac, beat: &Beat) -> bool {
        let Some(said) = &beat.said else { return false };
        let was = (self.mac, self.known());
        self.mac = mac;
        if beat.boot != self.boot {
            let before = said.asks.then(|| self.known());
            *self = Self { before, ..Self::new(mac, beat) };
        }
        if !said.asks {
            self.before = None;
        }
        self.follow_rounds(beat.sequence, said.round);
        for (vip, word) in &said.claims {
            if *word == Word::default() {
                self.words.remove(vip);
            } else if self.words.len() < MOST_WORDS || self.words.contains_key(vip) {
                self.words.insert(*vip, (*word, said.round));
            }
        }
        let all: Words = self.words.iter().map(|(vip, (word, _))| (*vip, *word)).collect();
        self.is_complete = digest(&all) == said.digest;
        was != (self.mac, self.known())
    }

    /// What was not told in a round of which every beat was heard is no more.
    fn follow_rounds(&mut self, sequence: u64, round: u32) {
        let is_next = sequence == self.sequence + 1;
        let over = std::mem::replace(&mut self.round, round);
        self.sequence = sequence;
        if over == round {
            self.whole &= is_next;
        } else {
            if self.whole && is_next && round == over.wrapping_add(1) {
                self.words.retain(|_, (_, told)| *told == over);
            }
            self.whole = is_next;
        }
    }

    /// What it holds and has left, as far as is known.
    pub fn known(&self) -> Words {
        let now = || self.words.iter().map(|(vip, (word, _))| (*vip, *word)).collect();
        self.before.clone().unwrap_or_else(now)
    }

    /// What it told before it began anew, while it asks for that.
    pub fn before(&self) -> Option<&Words> {
        self.before.as_ref()
    }

    /// Whether all that it has to tell was heard.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// As a report.
    pub fn report(&self) -> SegmentReport {
        report(self.mac, &self.known())
    }
}

/// So many others are listened to at most, and so many VIPs of each: where beats are not signed anybody may send them.
const MOST_OTHERS: usize = 5_000;
const MOST_WORDS: usize = 20_000;

/// All others on a segment.
#[derive(Debug, Default)]
pub struct Others(BTreeMap<NodeName, Heard>);

impl Others {
    /// Takes a beat in. Whether what is known of its node is another than before.
    pub fn hear(&mut self, mac: Mac, beat: &Beat) -> bool {
        let is_new = !self.0.contains_key(&beat.node);
        if beat.said.is_none() || (is_new && self.0.len() >= MOST_OTHERS) {
            return false;
        }
        self.0.entry(beat.node.clone()).or_insert_with(|| Heard::new(mac, beat)).hear(mac, beat) || is_new
    }

    /// What was heard of one.
    pub fn of(&self, node: &NodeName) -> Option<&Heard> {
        self.0.get(node)
    }

    /// One that asks what it told before it began anew, with that.
    pub fn asking(&self) -> impl Iterator<Item = (&NodeName, &Words)> {
        self.0.iter().filter_map(|(node, heard)| Some((node, heard.before()?)))
    }

    /// Whether all that each of these tells was heard.
    pub fn have_told(&self, nodes: &BTreeSet<NodeName>) -> bool {
        nodes.iter().all(|node| self.0.get(node).is_some_and(Heard::is_complete))
    }
}

#[cfg(test)]
#[path = "claims/tests.rs"]
mod tests;
