//! From what was read to what is confirmed: one bundle, and without it the changes one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::leave::HandedOver;
use super::{Event, Monitor, Phase, RETRY_REFUSED, Session, VERIFY_MONITORED};
use crate::flows::Flow;
use crate::flows::diff::{FlowMod, Wanted, difference, step};
use crate::flows::wire::{BundleStep, Found, FoundMatch, OpenFlowError, Request};

/// Changes on their way.
#[derive(Debug)]
pub(super) struct Commit {
    decided: Decided,
    /// The xid of each change, in their order: only these name a change.
    xids: Vec<u32>,
    /// The xid that opened the bundle; `None` where the changes go one by one.
    opened: Option<u32>,
    /// The xid of the commit or the barrier that ends it.
    closing: u32,
    /// By index of the change.
    errors: BTreeMap<usize, OpenFlowError>,
}

/// What is to be done, and why.
#[derive(Debug)]
struct Decided {
    target: Arc<Wanted>,
    changes: Vec<FlowMod>,
    /// How many flows there were when the changes were decided.
    found: usize,
    handed_over: HandedOver,
}

/// Where a bundle failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BundleFailed {
    /// This switch has no bundles.
    ToOpen,
    /// Something in it was not taken, so that none of it was.
    ToCommit,
}

impl Commit {
    /// Whose error that is; `Some` if it ends a bundle.
    pub(super) fn take_error(&mut self, xid: u32, error: OpenFlowError) -> Option<BundleFailed> {
        if let Ok(index) = self.xids.binary_search(&xid) {
            self.errors.insert(index, error);
            return None;
        }
        let opened = self.opened?;
        let failures = [(opened, BundleFailed::ToOpen), (self.closing, BundleFailed::ToCommit)];
        failures.into_iter().find(|(of, _)| *of == xid).map(|(_, failed)| failed)
    }
}

/// What a commit did, in flows.
#[derive(Clone, Copy, Default)]
struct Done {
    added: usize,
    removed: usize,
    /// Added, and refused when they were tried before.
    taken_late: usize,
}

impl Session {
    /// The flows that the bridge has are known: changes what has to be changed.
    pub(super) fn compare(&mut self, now: Duration, found: &[Found]) {
        if now >= self.retry_refused_at {
            let [first, longest] = RETRY_REFUSED;
            self.retry_pause =
                if self.refused.is_empty() { first } else { longest.min(self.retry_pause * 2) };
            self.retry_refused_at = now + self.retry_pause;
            self.reported = std::mem::take(&mut self.refused);
        }
        self.found = found.len();
        let target = Arc::clone(&self.wanted);
        let left_before = self.leaving.decide(now, &target);
        self.refused.retain(|flow, _| target.contains(flow) && !self.leaving.is_left(flow));
        let is_ours = |flow: &&Flow| !self.refused.contains_key(*flow) && !self.leaving.is_left(flow);
        let found = target.without_spared(found);
        let changes = difference(target.flows().filter(is_ours), &found);
        let each = found.iter().map(|one| (one.table, one.priority, &one.matches));
        let changes = target.one_by_one(changes, each);
        let handed_over = self.leaving.handed_over(&left_before, &changes);
        self.change(now, Decided { target, changes, found: found.len(), handed_over });
    }

    /// Serves a new wish: from what the bridge is known to have, else from a reading.
    pub(super) fn advance(&mut self, now: Duration) {
        let Some(before) = self.known(now) else { return self.read(now) };
        let target = Arc::clone(&self.wanted);
        let left_before = self.leaving.decide(now, &target);
        let is_there = |flow: &&Flow| left_before.is_empty() || !left_before.contains(*flow);
        let is_ours = |flow: &&Flow| !self.leaving.is_left(flow);
        let changes = step(before.flows().filter(is_there), target.flows().filter(is_ours));
        let known: Vec<_> = before
            .flows()
            .filter(is_there)
            .map(|flow| (flow.priority, FoundMatch::Known(flow.matches.clone())))
            .collect();
        let changes =
            target.one_by_one(changes, known.iter().map(|(priority, matches)| (0, *priority, matches)));
        let found = before.flows().filter(is_there).count();
        let handed_over = self.leaving.handed_over(&left_before, &changes);
        self.change(now, Decided { target, changes, found, handed_over });
    }

    /// What the bridge has, or leaves to Kube-OVN, if that is known without asking: it has confirmed it and refused
    /// nothing, it tells of what others change and has told of nothing, and the next reading is not due yet.
    fn known(&self, now: Duration) -> Option<Arc<Wanted>> {
        let undisturbed = self.monitor == Monitor::On && !self.touched && self.refused.is_empty();
        let not_due = now < self.verified_at + VERIFY_MONITORED;
        let keeps_others = |installed: &Wanted| installed.keeps_others() || self.wanted.keeps_others();
        self.installed.clone().filter(|installed| undisturbed && not_due && !keeps_others(installed))
    }

    fn change(&mut self, now: Duration, decided: Decided) {
        if decided.changes.is_empty() {
            return self.settle(now, decided.target, HandedOver::default(), Done::default());
        }
        for change in &decided.changes {
            if let FlowMod::Add(flow) = change
                && let Some(cookie) = self.others.remove(&(flow.priority, flow.matches.clone()))
            {
                self.events.push_back(Event::Replaces { flow: change.to_string(), cookie });
            }
        }
        self.reserve_xids(decided.changes.len());
        let commit = if self.bundles { self.send_bundle(decided) } else { self.send_each(decided) };
        self.enter(now, Phase::Committing(commit));
    }

    /// After a bundle failed nothing of it was done. Now every change stands for itself, and names itself if refused.
    pub(super) fn change_one_by_one(&mut self, now: Duration) {
        if let Phase::Committing(Commit { decided, .. }) = std::mem::replace(&mut self.phase, Phase::Idle) {
            self.reserve_xids(decided.changes.len());
            let commit = self.send_each(decided);
            self.enter(now, Phase::Committing(commit));
        }
    }

    fn send_bundle(&mut self, decided: Decided) -> Commit {
        let id = self.next_xid;
        let opened = self.send(&Request::Bundle(id, BundleStep::Open));
        let changes = decided.changes.iter();
        let xids = changes.map(|change| self.send(&Request::BundleAdd(id, change))).collect();
        let closing = self.send(&Request::Bundle(id, BundleStep::Commit));
        Commit { decided, xids, opened: Some(opened), closing, errors: BTreeMap::new() }
    }

    fn send_each(&mut self, decided: Decided) -> Commit {
        let xids = decided.changes.iter().map(|change| self.send(&Request::FlowMod(change))).collect();
        let closing = self.send(&Request::Barrier);
        Commit { decided, xids, opened: None, closing, errors: BTreeMap::new() }
    }

    /// So that the xids of one commit are in order.
    fn reserve_xids(&mut self, changes: usize) {
        let enough =
            u32::try_from(changes).is_ok_and(|changes| u32::MAX - self.next_xid > changes.saturating_add(2));
        if !enough {
            self.next_xid = 1;
        }
    }

    /// A commit or a barrier was answered.
    pub(super) fn take_done(&mut self, now: Duration, xid: u32) {
        if !matches!(&self.phase, Phase::Committing(commit) if commit.closing == xid) {
            return;
        }
        let Phase::Committing(commit) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let Commit { decided, xids: _, opened: _, closing: _, errors } = commit;
        let Decided { target, changes, found, handed_over } = decided;
        let mut done = Done::default();
        for (index, change) in changes.into_iter().enumerate() {
            match (errors.get(&index), change) {
                (Some(error), change) => self.refuse(change, *error),
                // The switch did not take it before: nobody took it away.
                (None, FlowMod::Add(flow)) if self.reported.remove(&flow).is_some() => done.taken_late += 1,
                (None, FlowMod::Add(_)) => done.added += 1,
                (None, FlowMod::Delete { .. }) => done.removed += 1,
                (None, FlowMod::DeleteAll) => done.removed += found,
            }
        }
        self.settle(now, target, handed_over, done);
    }

    fn refuse(&mut self, change: FlowMod, error: OpenFlowError) {
        let text = change.to_string();
        if let FlowMod::Add(flow) = change {
            let told = self.reported.get(&flow) == Some(&error);
            self.refused.insert(flow, error);
            if told {
                return;
            }
        }
        self.events.push_back(Event::Refused { change: text, error });
    }

    /// The bridge has `target`, but for what it refused.
    fn settle(
        &mut self,
        now: Duration,
        target: Arc<Wanted>,
        handed_over: HandedOver,
        Done { added, removed, taken_late }: Done,
    ) {
        let was_there = self.installed.as_ref().is_some_and(|installed| Arc::ptr_eq(installed, &target));
        let current = Arc::ptr_eq(&target, &self.wanted);
        let HandedOver { added: taken_back, removed: given } = handed_over;
        if let Some(left) = self.leaving.news(taken_back) {
            self.events.push_back(Event::LeftToKubeOvn { left, taken_back });
        }
        let repaired = (added.saturating_sub(taken_back), removed.saturating_sub(given));
        if was_there && repaired != (0, 0) {
            self.events.push_back(Event::Repaired { added: repaired.0, removed: repaired.1 });
        } else if !was_there && current {
            self.events.push_back(Event::Installed { added: added + taken_late, removed });
        }
        if was_there && taken_late > 0 {
            self.events.push_back(Event::Installed { added: taken_late, removed: 0 });
        }
        self.refused.retain(|flow, _| self.wanted.contains(flow));
        self.installed = Some(target);
        self.idle();
        if !current {
            self.advance(now);
        }
    }
}
