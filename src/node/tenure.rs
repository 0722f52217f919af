//! How speakers agree on who holds a VIP, without a word between them: what one says of itself, and when it lets go.
//!
//! Each speaker tells all others by its report (`speaker.<node>`) what it *holds*, each VIP with the term of its claim, and
//! what it has *left*. The election reads the reports (`plan::elect`), and is the same on every node. What is decided here
//! is this node's own part:
//! - A VIP is held from the first answer until it is not this node's own any more, also where it has to be silent for a
//!   moment. It is left from then on, until another holds it or nobody wants it.
//! - A VIP that another node is to have is kept until that one is heard on the wire, or says that it has it.
//! - A VIP that no report holds or has left is asked for first; every other one is taken at once.
//! - Nothing is claimed before the others can know this node's MAC.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::l2::ClaimMode;
use crate::model::{Mac, PlannedClaim, SegmentPlan, SegmentReport, SpeakerReport, SubnetName, Term};

/// How long a claim that was heard counts. The successor may have known first, and spoken before we were told that it
/// is to: it says its claim three times within 2.2 s (`l2::claim`).
const HEARD_FOR: Duration = Duration::from_secs(3);

/// What a node holds on a segment by its own word, and whom it has heard.
#[derive(Debug, Default)]
pub struct Tenure {
    held: BTreeMap<IpAddr, Term>,
    left: BTreeMap<IpAddr, Term>,
    heard: BTreeMap<IpAddr, Instant>,
}

impl Tenure {
    /// `held`: what this node's last report said.
    pub fn new(held: BTreeMap<IpAddr, Term>) -> Self {
        Self { held, ..Self::default() }
    }

    /// Whether this node holds the VIP.
    pub fn holds(&self, vip: IpAddr) -> bool {
        self.held.contains_key(&vip)
    }

    /// Takes a plan in: what is to be announced stays held, and so does what is answered for until the next one has it.
    pub fn follow(&mut self, plan: &SegmentPlan, is_answered: impl Fn(IpAddr) -> bool) {
        let SegmentPlan { announced, handed_over, .. } = plan;
        let kept =
            |vip: IpAddr| announced.contains_key(&vip) || (handed_over.contains(&vip) && is_answered(vip));
        self.left.extend(self.held.extract_if(.., |vip, _| !kept(*vip)));
    }

    /// This node answers for the VIP from now on.
    pub fn hold(&mut self, vip: IpAddr, claim: PlannedClaim) {
        self.held.insert(vip, claim.term);
        self.left.remove(&vip);
    }

    /// A host that is no node of ours has the VIP: neither held nor left, so that the next claim asks first.
    pub fn give_way(&mut self, vip: IpAddr) {
        self.held.remove(&vip);
    }

    /// Forgets what it left and somebody else has, or nobody wants.
    pub fn forget_left(&mut self, is_over: impl Fn(IpAddr, Term) -> bool) {
        self.left.retain(|vip, term| !is_over(*vip, *term));
    }

    /// Another node says on the wire that it has this VIP.
    pub fn hear(&mut self, vip: IpAddr, now: Instant) {
        self.heard.retain(|_, at| now < *at + HEARD_FOR);
        self.heard.insert(vip, now);
    }

    /// Whether a VIP that is answered for, and that another node is to have, is kept: nobody was heard yet that has it now.
    pub fn is_kept(&self, vip: IpAddr, plan: &SegmentPlan, now: Instant) -> bool {
        let is_awaited = self.heard.get(&vip).is_none_or(|at| now >= *at + HEARD_FOR);
        plan.handed_over.contains(&vip) && !plan.taken_over.contains(&vip) && is_awaited
    }

    /// How a VIP is claimed.
    pub fn mode(&self, vip: IpAddr, plan: &SegmentPlan) -> ClaimMode {
        match plan.announced.get(&vip) {
            Some(claim) if claim.first && !self.holds(vip) => ClaimMode::Probe,
            Some(_) | None => ClaimMode::TakeOver,
        }
    }

    /// What the other speakers are to know.
    pub fn report(&self, mac: Mac, ready: bool) -> SegmentReport {
        SegmentReport { mac, ready, held: self.held.clone(), left: self.left.clone() }
    }
}

/// Whether a report differs from the one before in nothing but VIPs that it did not hold: what was planned anyhow.
pub fn is_only_more(before: &SpeakerReport, after: &SpeakerReport) -> bool {
    let is_only_more = |(before, after): (&SegmentReport, &SegmentReport)| {
        let kept = |(vip, term): (&IpAddr, &Term)| after.held.get(vip) == Some(term);
        (before.mac, before.ready) == (after.mac, after.ready) && before.held.iter().all(kept)
    };
    before.segments.keys().eq(after.segments.keys())
        && before.segments.values().zip(after.segments.values()).all(is_only_more)
}

/// Whether the other speakers can know the MAC that this one has on a segment.
pub fn is_known(published: Option<&SpeakerReport>, subnet: &SubnetName, mac: Mac) -> bool {
    let segment = published.and_then(|report| report.segments.get(subnet));
    segment.is_some_and(|segment| segment.mac == mac)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_vip_is_kept_until_the_other_is_heard_also_where_it_spoke_a_moment_before() {
        let (mut tenure, start) = (Tenure::default(), Instant::now());
        let (vip, other) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([10, 0, 0, 8]));
        let plan = SegmentPlan {
            bridge: "br-p".into(),
            nic: "nic".into(),
            vlan: None,
            patch_port: "patch".into(),
            steering_mac: Mac([0; 6]),
            peers: None,
            steered: BTreeMap::new(),
            announced: BTreeMap::new(),
            handed_over: [vip, other].into(),
            taken_over: [].into(),
        };
        assert!(tenure.is_kept(vip, &plan, start));
        tenure.hear(vip, start);
        assert!(!tenure.is_kept(vip, &plan, start + Duration::from_secs(2)));
        assert!(tenure.is_kept(other, &plan, start));
        assert!(tenure.is_kept(vip, &plan, start + HEARD_FOR), "that was another time");
    }
}
