//! What differs between the flows that we want on a bridge and those it has.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub use super::wire::FlowMod;
use super::wire::{Found, FoundMatch};
use super::{Flow, Match};

/// The flows that we want on a bridge. A table holds one flow of the same priority and match, so of two that differ in
/// their actions only the first is wanted: both would replace each other for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted(Vec<Flow>);

impl Wanted {
    /// The flows, in the order of their priorities and matches.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.0.iter()
    }

    /// Whether exactly this flow is wanted.
    pub fn contains(&self, flow: &Flow) -> bool {
        let at = self.0.binary_search_by(|other| key(other).cmp(&key(flow)));
        at.ok().and_then(|at| self.0.get(at)) == Some(flow)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a table holds one flow of.
fn key(flow: &Flow) -> (u16, &Match) {
    (flow.priority, &flow.matches)
}

impl From<BTreeSet<Flow>> for Wanted {
    fn from(flows: BTreeSet<Flow>) -> Self {
        let mut flows: Vec<Flow> = flows.into_iter().collect();
        // Stable, and quick where all cookies are the same: then they are in order already.
        flows.sort_by(|one, other| key(one).cmp(&key(other)));
        flows.dedup_by(|other, one| key(one) == key(other));
        Self(flows)
    }
}

/// The same changes as [`difference`] finds, where it is known that of ours a bridge has exactly `before`. Both come in the
/// order of [`Wanted::flows`]; the work is one pass.
pub fn step<'a>(
    before: impl IntoIterator<Item = &'a Flow>,
    after: impl IntoIterator<Item = &'a Flow>,
) -> Vec<FlowMod> {
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    if after.peek().is_none() && before.peek().is_some() {
        return vec![FlowMod::DeleteAll];
    }
    let (mut changes, mut surplus) = (Vec::new(), Vec::new());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => key(old).cmp(&key(new)),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some(old), None) => surplus.push(FlowMod::Delete {
                table: 0,
                priority: old.priority,
                matches: FoundMatch::Known(old.matches.clone()),
            }),
            (old, Some(new)) if old != Some(new) => changes.push(FlowMod::Add(new.clone())),
            (None | Some(_), Some(_)) | (None, None) => {}
        }
    }
    changes.append(&mut surplus);
    changes
}

/// The changes that make what was `found` into what is wanted: first what is missing or wrong, then what is too much, so
/// that no VIP is without its flow in between. Empty where there is nothing to do.
pub fn difference<'a>(wanted: impl IntoIterator<Item = &'a Flow>, found: &[Found]) -> Vec<FlowMod> {
    let wanted: BTreeMap<(u16, &Match), &Flow> =
        wanted.into_iter().map(|flow| ((flow.priority, &flow.matches), flow)).collect();
    if wanted.is_empty() && !found.is_empty() {
        return vec![FlowMod::DeleteAll];
    }
    let mut missing = wanted.clone();
    let mut surplus = Vec::new();
    for one in found {
        match place(one).and_then(|key| wanted.get_key_value(&key)) {
            Some((key, flow)) if one.is(flow) => {
                missing.remove(key);
            }
            Some(_) => {}
            None => surplus.push(FlowMod::Delete {
                table: one.table,
                priority: one.priority,
                matches: one.matches.clone(),
            }),
        }
    }
    let adds = missing.into_values().cloned().map(FlowMod::Add);
    adds.chain(surplus).collect()
}

/// Priority and match of a flow that one of ours would replace.
fn place(found: &Found) -> Option<(u16, &Match)> {
    match &found.matches {
        FoundMatch::Known(matches) if found.table == 0 => Some((found.priority, matches)),
        FoundMatch::Known(_) | FoundMatch::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::flow::tests::{any_flow, flow};
    use crate::flows::{Action, Traffic};
    use crate::model::Protocol;
    use proptest::prelude::*;

    fn found(flow: &Flow) -> Found {
        Found {
            table: 0,
            priority: flow.priority,
            cookie: flow.cookie,
            matches: FoundMatch::Known(flow.matches.clone()),
            actions: Some(flow.actions.clone()),
        }
    }

    /// What a switch does with the changes.
    fn apply(table: &mut Vec<Found>, changes: &[FlowMod]) {
        for change in changes {
            match change {
                FlowMod::Add(flow) => {
                    let new = found(flow);
                    table.retain(|old| {
                        (old.table, old.priority, &old.matches) != (0, new.priority, &new.matches)
                    });
                    table.push(new);
                }
                FlowMod::Delete { table: number, priority, matches } => {
                    table.retain(|old| {
                        (&old.table, &old.priority, &old.matches) != (number, priority, matches)
                    });
                }
                FlowMod::DeleteAll => table.clear(),
            }
        }
    }

    fn port(port: u16) -> Flow {
        flow("10.0.0.9", Traffic::Port(Protocol::Tcp, port))
    }

    proptest! {
        #[test]
        fn the_difference_applied_leaves_no_difference(
            wanted in prop::collection::btree_set(any_flow(), 0..12),
            other in prop::collection::vec(any_flow(), 0..6),
            kept in any::<prop::sample::Index>(),
            spoil in prop::collection::vec(0..5u8, 12),
        ) {
            let kept = kept.index(wanted.len() + 1);
            let mut table: Vec<Found> = wanted.iter().take(kept).chain(&other).map(found).collect();
            for (one, how) in table.iter_mut().zip(spoil) {
                match how {
                    0 => one.actions = None,
                    1 => one.matches = FoundMatch::Other(vec![1, 2, 3]),
                    2 => one.table = 3,
                    3 => one.cookie ^= 1,
                    _ => {}
                }
            }
            let wanted = Wanted::from(wanted);
            let changes = difference(wanted.flows(), &table);
            apply(&mut table, &changes);
            prop_assert_eq!(difference(wanted.flows(), &table), vec![]);
            prop_assert!(wanted.flows().all(|flow| table.iter().any(|one| one.is(flow))));
            prop_assert_eq!(table.len(), wanted.flows().count());
        }

        #[test]
        fn a_step_from_what_is_there_is_the_difference_to_it(
            before in prop::collection::btree_set(any_flow(), 0..8),
            after in prop::collection::btree_set(any_flow(), 0..8),
            kept in 0..8usize,
            changed in 0..8usize,
        ) {
            let changed = before.iter().take(changed).map(|flow| Flow { actions: Vec::new(), ..flow.clone() });
            let kept = before.iter().rev().take(kept).cloned();
            let after = Wanted::from(after.iter().cloned().chain(changed).chain(kept).collect::<BTreeSet<_>>());
            let before = Wanted::from(before);
            let table: Vec<Found> = before.flows().map(found).collect();
            prop_assert_eq!(step(before.flows(), after.flows()), difference(after.flows(), &table));
        }
    }

    #[test]
    fn additions_come_before_removals_and_a_wrong_flow_is_replaced_not_removed() {
        let wrong = Found { actions: None, ..found(&port(80)) };
        let changes = difference(&[port(80), port(81)], &[wrong, found(&port(82))]);
        let gone =
            FlowMod::Delete { table: 0, priority: 10002, matches: FoundMatch::Known(port(82).matches) };
        assert_eq!(changes, [FlowMod::Add(port(80)), FlowMod::Add(port(81)), gone]);
    }

    #[test]
    fn when_nothing_is_wanted_everything_of_ours_goes_at_once() {
        assert_eq!(difference([], &[found(&port(80)), found(&port(81))]), [FlowMod::DeleteAll]);
        assert_eq!(difference([], &[]), []);
    }

    #[test]
    fn of_two_flows_for_the_same_frames_the_first_is_wanted() {
        let mut other = port(80);
        other.actions.push(Action::Output(3));
        let wanted = Wanted::from(BTreeSet::from([port(80), other.clone()]));
        assert_eq!(wanted.flows().collect::<Vec<_>>(), [&port(80)]);
        assert!(wanted.contains(&port(80)) && !wanted.contains(&other));
    }
}
