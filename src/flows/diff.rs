//! What differs between the flows that we want on a bridge and those it has.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use super::wire::FlowMod;
use super::wire::{Found, FoundMatch};
use super::{Flow, Match, Traffic};

/// The flows that we want on a bridge. A table holds one flow of the same priority and match, so of two that differ in
/// their actions only the first is wanted: both would replace each other for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    flows: Vec<Flow>,
    spared: Spared,
    /// Flows that stay where they are, and are not made.
    kept: BTreeSet<Flow>,
}

/// Which flows of ours a bridge may have beside the wanted ones: while something of the cluster cannot be read, a rule for a
/// VIP that nothing is known of may still be needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spared {
    /// None.
    #[default]
    Nothing,
    /// All of them: the bridge is looked at, and left as it is.
    All,
    /// Those for a VIP, or for a port of one, that no wanted flow is for.
    Unknown {
        /// But for these VIPs: not everybody may reach them.
        closed: BTreeSet<IpAddr>,
        /// And but for these ports of VIPs that a wanted flow is for: what is to be done of them is known.
        known: BTreeSet<(IpAddr, Traffic)>,
    },
}

impl Wanted {
    /// The flows, in the order of their priorities and matches.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter()
    }

    /// Whether exactly this flow is wanted.
    pub fn contains(&self, flow: &Flow) -> bool {
        let at = self.flows.binary_search_by(|other| key(other).cmp(&key(flow)));
        at.ok().and_then(|at| self.flows.get(at)) == Some(flow)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The same flows, and what is spared beside them.
    pub fn sparing(self, spared: Spared) -> Self {
        Self { spared, ..self }
    }

    /// The same flows, and beside them those of these that a bridge has already.
    pub fn keeping(self, kept: BTreeSet<Flow>) -> Self {
        Self { kept, ..self }
    }

    /// Whether a bridge may have flows of [`keeping`](Self::keeping) or [`sparing`](Self::sparing).
    pub fn keeps_others(&self) -> bool {
        !self.kept.is_empty() || self.spared != Spared::Nothing
    }

    /// Of what a bridge has, what has to be as it is wanted.
    pub fn without_spared(&self, found: &[Found]) -> Vec<Found> {
        let kept: BTreeMap<(u16, &Match), &Flow> = self.kept.iter().map(|flow| (key(flow), flow)).collect();
        let is_kept =
            |one: &&Found| place(one).and_then(|key| kept.get(&key)).is_some_and(|flow| one.is(flow));
        let found: Vec<Found> = found.iter().filter(|one| !is_kept(one)).cloned().collect();
        let (closed, known) = match &self.spared {
            Spared::Nothing => return found,
            Spared::All => return Vec::new(),
            Spared::Unknown { closed, known } => (closed, known),
        };
        let vips = self.flows.iter().filter_map(|flow| flow.matches.vip());
        let wanted: BTreeSet<IpAddr> = vips.clone().map(|vip| vip.destination).collect();
        let ports: BTreeSet<(IpAddr, Traffic)> = vips.map(|vip| (vip.destination, vip.traffic)).collect();
        let is_spared = |one: &&Found| match &one.matches {
            FoundMatch::Known(Match::Vip(vip)) => {
                let at = (vip.destination, vip.traffic);
                // Where a VIP is steered it is known, too, whether it is answered for.
                let is_answer = vip.traffic == Traffic::Echo;
                let is_known = wanted.contains(&vip.destination) && (is_answer || known.contains(&at));
                !is_known && !ports.contains(&at) && !closed.contains(&vip.destination)
            }
            FoundMatch::Known(Match::Beat(_)) | FoundMatch::Other(_) => false,
        };
        found.into_iter().filter(|one| !is_spared(&one)).collect()
    }

    /// The same changes, without one that takes out what is spared.
    pub fn one_by_one<'a>(
        &self,
        changes: Vec<FlowMod>,
        found: impl IntoIterator<Item = (u8, u16, &'a FoundMatch)>,
    ) -> Vec<FlowMod> {
        let is_exact = self.spared == Spared::Nothing && self.kept.is_empty();
        if is_exact || !changes.contains(&FlowMod::DeleteAll) {
            return changes;
        }
        let deletes = found.into_iter().map(|(table, priority, matches)| FlowMod::Delete {
            table,
            priority,
            matches: matches.clone(),
        });
        deletes.collect()
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
        Self { flows, ..Self::default() }
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
    use crate::flows::Action;
    use crate::flows::flow::tests::{any_flow, flow};
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
    fn what_may_be_needed_by_what_cannot_be_read_is_left_and_what_closes_a_vip_is_not_held_back() {
        let to = |destination: &str| flow(destination, Traffic::Port(Protocol::Tcp, 80));
        let [known, unknown, closed] = ["10.0.0.7", "10.0.0.8", "10.0.0.9"].map(to);
        // Of the known VIP one port was another's, and one is a Service's that is not served here any more.
        let [others, gone_port] = [81, 82].map(|port| flow("10.0.0.7", Traffic::Port(Protocol::Tcp, port)));
        // Whether a VIP that is steered is answered for as well is known.
        let [pinged, unknown_pinged] = ["10.0.0.7", "10.0.0.8"].map(|vip| flow(vip, Traffic::Echo));
        let table = [&known, &unknown, &closed, &others, &gone_port, &pinged, &unknown_pinged].map(found);
        let spared = Spared::Unknown {
            closed: ["10.0.0.9".parse().unwrap()].into(),
            known: [("10.0.0.7".parse().unwrap(), Traffic::Port(Protocol::Tcp, 82))].into(),
        };
        let gone = |flow: &Flow| FlowMod::Delete {
            table: 0,
            priority: flow.priority,
            matches: FoundMatch::Known(flow.matches.clone()),
        };
        let changes = |wanted: BTreeSet<Flow>| {
            let wanted = Wanted::from(wanted).sparing(spared.clone());
            let found = wanted.without_spared(&table);
            let each = found.iter().map(|one| (one.table, one.priority, &one.matches));
            wanted.one_by_one(difference(wanted.flows(), &found), each)
        };
        assert_eq!(changes([known.clone()].into()), [gone(&closed), gone(&gone_port), gone(&pinged)]);
        assert_eq!(changes(BTreeSet::new()), [gone(&closed)], "and never all of them at once");
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
