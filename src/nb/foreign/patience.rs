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
/// So long a key is left to Kube-OVN after it wrote it again; twice as long each time that we had taken it by then.
const LEFT: Duration = Duration::from_secs(2);
/// A key that nobody has is dark: no longer than this from when it went. So each costs twelve changes of owner a minute at the most.
const DARK_AT_MOST: Duration = Duration::from_secs(10);
/// [`LEFT`] is doubled this often: beyond it [`DARK_AT_MOST`] counts.
const DOUBLED_AT_MOST: u32 = 4;
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
    /// How often it was written again when we had it already.
    undone: u32,
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
                if turn.is_forgotten(now) {
                    turn.undone = 0;
                }
                turn.undone += u32::from(turn.is_ours(now));
                let doubled = turn.undone.saturating_sub(1).min(DOUBLED_AT_MOST);
                turn.left_until = now + LEFT * (1 << doubled);
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
            let turn = turn.filter(is_left)?;
            let gone_from = turn.gone_from.clone().filter(|gone_from| gone_from.holder.serves())?;
            return Some(NativeRow { holder: turn.awaited(), ..gone_from });
        };
        let written_again = held.holder == Holder::Leftover && turn.is_some_and(|turn| is_left(&turn));
        let holder = if written_again { Holder::Idle } else { held.holder };
        Some(NativeRow { holder, ..held.clone() })
    }
}

impl Turn {
    fn free_at(&self) -> Duration {
        let Some(_) = self.gone_from else { return self.left_until };
        let soonest = if self.with_its_row { self.changed } else { self.changed + GONE };
        self.left_until.clamp(soonest, self.changed + DARK_AT_MOST)
    }

    fn awaited(&self) -> Holder {
        let wait = self.free_at().saturating_sub(self.changed);
        Holder::Awaited { seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0), undone: self.undone }
    }

    /// Whether nobody has it and it is not waited for any more.
    fn is_ours(&self, now: Duration) -> bool {
        self.gone_from.as_ref().is_some_and(|row| !row.holder.serves() || now >= self.free_at())
    }

    fn is_forgotten(&self, now: Duration) -> bool {
        now >= self.changed + MEMORY
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
