//! What a key of Kube-OVN's that comes and goes is worth, in virtual time.
//!
//! Kube-OVN takes keys out of its row that are another Service's on the same VIP, and writes them again with that
//! Service's next event. Whoever takes over at once, and stands back at once, fights with it. So a key that is gone is
//! not yet ours, and one that was written again while we had it is left alone for longer each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Holder, NativeRow, SubnetName};

use super::{Key, Place};

/// So long a key must be gone. Kube-OVN's own clean-up and its next event are milliseconds apart (measured); a VIP
/// whose flows are gone is let go by its speaker after one second, and told after three.
const GONE: Duration = Duration::from_secs(1);
/// So long a key is left to Kube-OVN after it wrote it again; twice as long each time.
const LEFT: Duration = Duration::from_secs(2);
/// A key that nobody has is dark: no longer than this.
const LEFT_AT_MOST: Duration = Duration::from_secs(30);
/// After so long without a change all is forgotten.
const MEMORY: Duration = Duration::from_secs(600);

/// The keys that came or went lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    now: Duration,
    turns: BTreeMap<Place, Turn>,
    due: BTreeSet<(Duration, Place)>,
}

#[derive(Clone, Debug, Default)]
struct Turn {
    changed: Duration,
    /// How often it was written again.
    returns: u32,
    left_until: Duration,
    /// Who had it, while nobody does.
    gone_from: Option<NativeRow>,
    /// The row itself is gone: nobody took the key out by the way.
    with_its_row: bool,
}

impl Patience {
    /// A key has another holder, or none, and with its row or without. The first one that it ever has makes no difference.
    pub(super) fn saw(
        &mut self,
        place: Place,
        before: Option<NativeRow>,
        after: Option<&NativeRow>,
        with_its_row: bool,
    ) {
        let now = self.now;
        let turn = match (before, after) {
            (Some(before), None) if before.holder != Holder::Stranger => {
                let turn = self.turns.entry(place.clone()).or_default();
                turn.gone_from = Some(before);
                turn.with_its_row = with_its_row;
                turn
            }
            (None, Some(_)) => {
                let Some(turn) = self.turns.get_mut(&place) else { return };
                turn.returns = if turn.is_forgotten(now) { 1 } else { turn.returns + 1 };
                let left = LEFT * 2_u32.saturating_pow(turn.returns - 1).min(1 << 8);
                turn.left_until = now + left.min(LEFT_AT_MOST);
                turn.gone_from = None;
                turn
            }
            _ => return,
        };
        turn.changed = now;
        let due = [turn.free_at(), now + MEMORY];
        self.due.extend(due.map(|due| (due, place.clone())));
    }

    /// It is this late; the keys that may be judged otherwise now.
    pub(super) fn advance(&mut self, now: Duration) -> BTreeSet<Place> {
        self.now = self.now.max(now);
        let mut places = BTreeSet::new();
        while self.due.first().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, place)) = self.due.pop_first() else { break };
            if self.turns.get(&place).is_some_and(|turn| turn.is_forgotten(self.now)) {
                self.turns.remove(&place);
            }
            places.insert(place);
        }
        places
    }

    /// The switches on which a key came or went lately.
    pub(super) fn switches(&self, key: &Key) -> impl Iterator<Item = &SubnetName> {
        let from = (*key, SubnetName::from(""));
        self.turns
            .range(from..)
            .map(|(place, _)| place)
            .take_while(move |(at, _)| at == key)
            .map(|(_, it)| it)
    }

    /// When a key may be judged otherwise.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Who has a key, now that this row has it, or none.
    pub(super) fn judge(&self, place: &Place, held: Option<&NativeRow>) -> Option<NativeRow> {
        let turn = self.turns.get(place);
        let is_left = |turn: &&Turn| self.now < turn.free_at();
        let Some(held) = held else {
            let gone_from = turn.filter(is_left)?.gone_from.as_ref()?;
            return gone_from
                .holder
                .serves()
                .then(|| NativeRow { holder: Holder::Awaited, ..gone_from.clone() });
        };
        let written_again = held.holder == Holder::Leftover && turn.is_some_and(|turn| is_left(&turn));
        let holder = if written_again { Holder::Idle } else { held.holder };
        Some(NativeRow { holder, ..held.clone() })
    }
}

impl Turn {
    fn free_at(&self) -> Duration {
        match self.gone_from {
            Some(_) if !self.with_its_row => self.left_until.max(self.changed + GONE),
            _ => self.left_until,
        }
    }

    fn is_forgotten(&self, now: Duration) -> bool {
        now >= self.changed + MEMORY
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
