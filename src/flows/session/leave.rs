//! What is left to Kube-OVN's own rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::flows::Flow;
use crate::flows::diff::{FlowMod, Wanted};
use crate::flows::kube_ovn::Rules;
use crate::flows::wire::{Found, FoundMatch};

/// How long a rule of Kube-OVN's that was relied on and then was gone or wrong is not relied on again, since it was last
/// so. Longer than the time between two of kube-ovn-cni's replacements of all flows (`flowSyncPeriod`, 15 s), so that a
/// rule that comes and goes with these does not make ours go and come.
pub(super) const DISTRUST: Duration = Duration::from_secs(20);

/// What Kube-OVN has on the bridge, and what of the wish is left to it.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    rules: Rules,
    left: BTreeSet<Flow>,
    /// What it failed in, and until when it is ours therefore.
    distrusted: BTreeMap<Flow, Duration>,
    /// How many were left when this was last told.
    told: usize,
}

/// How many of a commit's changes are no repair: flows that go to Kube-OVN or come back from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HandedOver {
    pub(super) added: usize,
    pub(super) removed: usize,
}

impl Leaving {
    /// Takes what was found under Kube-OVN's cookies.
    pub(super) fn learn(&mut self, found: Vec<Found>) {
        self.rules = found.into_iter().collect();
    }

    /// Whether this flow is left to Kube-OVN.
    pub(super) fn is_left(&self, flow: &Flow) -> bool {
        !self.left.is_empty() && self.left.contains(flow)
    }

    /// Decides anew what is left. What was left before.
    pub(super) fn decide(&mut self, now: Duration, wanted: &Wanted) -> BTreeSet<Flow> {
        let covered = self.rules.cover(wanted);
        let relied_on = self.left.iter().chain(self.distrusted.keys());
        let failed: Vec<Flow> =
            relied_on.filter(|flow| wanted.contains(flow) && !covered.contains(flow)).cloned().collect();
        self.distrusted.extend(failed.into_iter().map(|flow| (flow, now + DISTRUST)));
        self.distrusted.retain(|flow, until| now < *until && wanted.contains(flow));
        let left = covered.into_iter().filter(|flow| !self.distrusted.contains_key(*flow)).cloned();
        std::mem::replace(&mut self.left, left.collect())
    }

    /// When a rule of Kube-OVN's may be relied on again.
    pub(super) fn next_trust(&self) -> Option<Duration> {
        self.distrusted.values().min().copied()
    }

    /// Which of the changes are due to that decision.
    pub(super) fn handed_over(&self, before: &BTreeSet<Flow>, changes: &[FlowMod]) -> HandedOver {
        let mut handed_over = HandedOver::default();
        if before.is_empty() && self.left.is_empty() {
            return handed_over;
        }
        let given: BTreeSet<_> = self.left.difference(before).map(|flow| &flow.matches).collect();
        for change in changes {
            match change {
                FlowMod::Add(flow) => handed_over.added += usize::from(before.contains(flow)),
                FlowMod::Delete { matches: FoundMatch::Known(matches), .. } => {
                    handed_over.removed += usize::from(given.contains(matches));
                }
                FlowMod::Delete { .. } => {}
                FlowMod::DeleteAll => handed_over.removed += given.len(),
            }
        }
        handed_over
    }

    /// How many are left, where that is news.
    pub(super) fn news(&mut self, taken_back: usize) -> Option<usize> {
        let before = std::mem::replace(&mut self.told, self.left.len());
        (before != self.told || taken_back > 0).then_some(self.told)
    }
}
