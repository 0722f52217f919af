//! Two nodes that claim a VIP before they can know of each other: one of them lets go at the other's first word.
//!
//! Both may be right to claim: what each waited for came in the same instant, and a report takes some hundred milliseconds. Of two
//! that hold a VIP with one term the election takes one (`plan::elect`), on every node the same; so the wire need not wait for
//! the reports. The one that goes on says its claim once more, for the other may not have listened when it first did.

use std::net::IpAddr;
use std::time::Instant;

use super::agent::Agent;
use crate::l2::{Outcome, Verdict};
use crate::model::{Mac, NodeName, SubnetName};

impl Agent {
    /// What a frame meant for a claim of this node's that the other may not know of. A claim whose term its report tells is no
    /// such: by terms the plan has decided, or will.
    pub(super) fn contest(&mut self, subnet: &SubnetName, verdict: Verdict, now: Instant) {
        let Verdict::Conflict { vip, mac, outcome: Outcome::Peer } = verdict else { return };
        let claim = self.segments.get(subnet).and_then(|segment| segment.fresh_claim(vip, now));
        let Some((own, other)) = claim.zip(self.who_is(subnet, mac)) else { return };
        // Whom this node took for dead speaks of what it held before.
        if self.absent.get(subnet).is_some_and(|dead| dead.contains(&other)) {
            return;
        }
        let report = self.world.report_of(&other);
        if report.and_then(|report| report.term(subnet, vip)).is_some_and(|term| term != own) {
            return;
        }
        let goes_on = self.announcer.goes_on(&self.world, (subnet, vip), &other);
        if let Some((goes_on, segment)) = goes_on.zip(self.segments.get_mut(subnet)) {
            segment.settle_contest(vip, goes_on, now);
        }
    }

    /// A peer's claim that was heard before this node makes its own, and of which no report tells yet: the peer has the VIP, whatever
    /// its rank, as the election will find once it is told of it. Nobody has heard this node yet, so nothing is to be settled.
    pub(super) fn hold_back_what_others_claimed(&mut self, now: Instant) {
        let all = self.segments.iter();
        let before = all.flat_map(|(subnet, segment)| {
            segment.claimed_before(now).into_iter().map(move |claim| (subnet.clone(), claim))
        });
        for (subnet, (vip, mac)) in before.collect::<Vec<_>>() {
            if self.is_untold(&subnet, vip, mac)
                && let Some(segment) = self.segments.get_mut(&subnet)
            {
                segment.settle_contest(vip, false, now);
            }
        }
    }

    /// Whether a claim is of a node that is not taken for dead, and that its report does not tell: by what it tells the plan has
    /// decided, or will.
    fn is_untold(&self, subnet: &SubnetName, vip: IpAddr, mac: Mac) -> bool {
        let Some(other) = self.who_is(subnet, mac) else { return false };
        let is_dead = self.absent.get(subnet).is_some_and(|dead| dead.contains(&other));
        let term = self.world.report_of(&other).and_then(|report| report.term(subnet, vip));
        !is_dead && term.is_none()
    }

    /// The node whose speaker says that it answers with this MAC.
    fn who_is(&self, subnet: &SubnetName, mac: Mac) -> Option<NodeName> {
        let has_it = |report: &&crate::model::SpeakerReport| {
            report.segments.get(subnet).is_some_and(|segment| segment.mac == mac)
        };
        self.world.reports().find(has_it).map(|report| report.node.clone())
    }

    /// What was let go for another that never told so is asked for.
    pub(super) fn ask_for_what_was_given_up(&mut self, now: Instant) {
        let segments = self.segments.values_mut();
        self.sight_changed |= segments.fold(false, |any, segment| any | segment.take_given_up(now));
    }
}
