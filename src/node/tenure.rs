//! How speakers agree on who holds a VIP, without a word between them: what one says of itself, and when it lets go.
//!
//! Each speaker tells all others by its report (`speaker.<node>`) what it *holds*, each VIP with the term of its claim, and
//! what it has *left*. The election reads the reports (`plan::elect`), and is the same on every node. What is decided here
//! is this node's own part:
//! - A VIP is held from the first answer until it is not this node's own any more, also where it has to be silent for a
//!   moment. It is left from then on, until another holds it or nobody wants it.
//! - A VIP that another node is to have is kept until that very one is heard on the wire, or says that it has it.
//! - A VIP that no report holds or has left is asked for first, and so is one that somebody may have taken while this
//!   node could not hear: it was stopped, or had no link. Every other one is taken at once.
//! - A holder that hears another node's claim, and is not told of it by the cluster within [`RIVAL_PATIENCE`], may be cut off:
//!   it asks, too.
//! - Of two that claimed a VIP before they could know of each other, one lets go at the other's word on the wire
//!   (`contest`), and is silent until the cluster tells who has it, or [`RIVAL_PATIENCE`] is over.
//! - A VIP that this node cannot deliver is reported so, for another one that can.
//! - Nothing is claimed before the others can know this node's MAC.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::l2::ClaimMode;
use crate::model::{Mac, PlannedClaim, SegmentPlan, SegmentReport, SpeakerReport, SubnetName, Term};

/// How long a claim that was heard counts. The successor may have known first, and spoken before we were told that it
/// is to: it says its claim three times within 2.2 s (`l2::claim`).
const HEARD_FOR: Duration = Duration::from_secs(3);

/// How long another node's claim of what is held here may go without the cluster's telling why: longer than a report takes.
const RIVAL_PATIENCE: Duration = Duration::from_secs(2);

/// How long a claim may be unknown to another node that claims the same: as long as a report takes. Not longer: what a switch
/// that was stopped sends late is of the past.
pub const FRESH: Duration = Duration::from_millis(400);

/// After so long without a word a node that claimed a VIP does not claim it any more: it would have said so again.
const SILENT_FOR: Duration = Duration::from_millis(1_200);

/// How long what was delivered a moment ago may be undelivered before another node is to have it, beside the time that a
/// change of flows takes (`flows::delivery`).
const LOST_PATIENCE: Duration = Duration::from_millis(100);

/// How long OVN may take for a VIP that it has not delivered yet: the controller writes, northd and ovn-controller compute.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

/// Which claims ask the wire first whether somebody has the address (RFC 5227 §2.1), which takes 0.8 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// Those of a VIP that no node of the cluster is known to have held.
    #[default]
    First,
    /// Every one, also a fail-over.
    Always,
    /// None, but where this node may have missed another's claim.
    Never,
}

/// Another node that claimed what is held here.
#[derive(Debug)]
struct Rival {
    mac: Mac,
    /// Until when the cluster may tell why.
    until: Instant,
    /// Whether its report has told, since it was heard last, that it holds it.
    said_so: bool,
}

/// What a rival says in its report of the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing.
    Nothing,
    /// It holds it.
    Holds,
    /// It let it go, which it held with this term.
    Left(Term),
}

/// What a node holds on a segment by its own word, and whom it has heard.
#[derive(Debug, Default)]
pub struct Tenure {
    held: BTreeMap<IpAddr, Term>,
    left: BTreeMap<IpAddr, Term>,
    heard: BTreeMap<IpAddr, (Mac, Instant)>,
    /// What somebody may have taken while this node could not hear.
    doubted: BTreeSet<IpAddr>,
    /// Held here, and claimed by another node.
    rivals: BTreeMap<IpAddr, Rival>,
    /// When what is held was claimed.
    claimed: BTreeMap<IpAddr, Instant>,
    /// Let go for another that claimed it in the same instant, and until when the cluster may tell so.
    yielded: BTreeMap<IpAddr, Instant>,
    /// What cannot be delivered: when that is to be reported, or was.
    dark: BTreeMap<IpAddr, Instant>,
    undelivered: BTreeSet<IpAddr>,
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

    /// The term with which this node holds a VIP.
    pub fn term(&self, vip: IpAddr) -> Option<Term> {
        self.held.get(&vip).copied()
    }

    /// Takes a plan in: what is to be announced stays held, and so does what is answered for until the next one has it.
    pub fn follow(&mut self, plan: &SegmentPlan, is_answered: impl Fn(IpAddr) -> bool) {
        let SegmentPlan { announced, handed_over, steered, .. } = plan;
        let kept =
            |vip: IpAddr| announced.contains_key(&vip) || (handed_over.contains(&vip) && is_answered(vip));
        let kept = |vip: IpAddr| kept(vip) && !self.yielded.contains_key(&vip);
        self.left.extend(self.held.extract_if(.., |vip, _| !kept(*vip)));
        self.rivals.retain(|vip, _| announced.contains_key(vip));
        self.yielded.retain(|vip, _| announced.contains_key(vip));
        self.claimed.retain(|vip, _| self.held.contains_key(vip));
        let tried = |vip: &IpAddr| announced.contains_key(vip) || self.undelivered.contains(vip);
        self.dark.retain(|vip, _| steered.contains_key(vip) && tried(vip));
        self.undelivered.retain(|vip| steered.contains_key(vip));
    }

    /// This node answers for the VIP from now on.
    pub fn hold(&mut self, vip: IpAddr, claim: PlannedClaim, now: Instant) {
        if self.held.insert(vip, claim.term).is_none() {
            self.claimed.insert(vip, now);
        }
        self.left.remove(&vip);
        self.doubted.remove(&vip);
    }

    /// Another node tells what this one held before it began anew.
    pub fn remember(&mut self, vip: IpAddr, term: Term) {
        let known = self.held.entry(vip).or_insert(term);
        *known = term.max(*known);
    }

    /// This node could not hear for a while: whatever it holds may be another's by now.
    pub fn doubt_all(&mut self) {
        self.doubted.extend(self.held.keys());
    }

    /// The same of these, whoever held them.
    pub fn doubt(&mut self, vips: impl Iterator<Item = IpAddr>) {
        self.doubted.extend(vips);
    }

    /// Takes note of whether the VIP can be delivered here; `was`: whether it was, a moment ago.
    pub fn delivers(&mut self, vip: IpAddr, was: bool, is_delivered: bool, now: Instant) {
        if is_delivered {
            self.dark.remove(&vip);
            self.undelivered.remove(&vip);
        } else {
            let patience = if was { LOST_PATIENCE } else { FIRST_PATIENCE };
            self.dark.entry(vip).or_insert(now + patience);
        }
    }

    /// Time passed: reports what has been undelivered for too long. Whether the report is another.
    pub fn report_undelivered(&mut self, now: Instant) -> bool {
        let due = self.dark.iter().filter(|(_, at)| now >= **at).map(|(vip, _)| *vip);
        let before = self.undelivered.len();
        self.undelivered.extend(due);
        self.undelivered.len() > before
    }

    /// What is asked for although another node has it: as soon as it is delivered again, this node can have it.
    pub fn undelivered(&self) -> &BTreeSet<IpAddr> {
        &self.undelivered
    }

    /// Whether a VIP was claimed so lately that another node may have claimed it without knowing.
    pub fn is_fresh(&self, vip: IpAddr, now: Instant) -> bool {
        self.claimed.get(&vip).is_some_and(|at| now < *at + FRESH)
    }

    /// Lets a VIP go for another node that claimed it in the same instant.
    pub fn give_up(&mut self, vip: IpAddr, now: Instant) {
        self.yielded.insert(vip, now + RIVAL_PATIENCE);
        self.left.extend(self.held.remove_entry(&vip));
        self.rivals.remove(&vip);
    }

    /// Whether it was let go so, and the cluster has not told yet who has it.
    pub fn has_given_up(&self, vip: IpAddr) -> bool {
        self.yielded.contains_key(&vip)
    }

    /// What was let go so, and of which the cluster told nothing: it is asked for. Whether there is any.
    pub fn take_given_up(&mut self, now: Instant) -> bool {
        let over: BTreeSet<IpAddr> =
            self.yielded.extract_if(.., |_, until| now >= *until).map(|(vip, _)| vip).collect();
        self.doubted.extend(&over);
        !over.is_empty()
    }

    /// What has been claimed by another node for so long that this one asks whose it is.
    pub fn take_rivals(&mut self, now: Instant) -> Vec<IpAddr> {
        self.rivals.extract_if(.., |_, rival| now >= rival.until).map(|(vip, _)| vip).collect()
    }

    /// Forgets rivals that have let go, by their own word, and that are not heard any more: one that claims anew may have an old
    /// report. What one let go is what it claimed where the term is not lower than the one here, or where it said before that it
    /// holds it.
    pub fn forget_rivals(&mut self, now: Instant, word: impl Fn(IpAddr, Mac) -> Word) {
        let Self { rivals, held, heard, .. } = self;
        let is_silent = |vip: &IpAddr| heard.get(vip).is_none_or(|(_, at)| now >= *at + SILENT_FOR);
        rivals.retain(|vip, rival| {
            let word = word(*vip, rival.mac);
            rival.said_so |= word == Word::Holds;
            let is_over = |held: &Term| matches!(word, Word::Left(left) if rival.said_so || left >= *held);
            !is_silent(vip) || !held.get(vip).is_none_or(is_over)
        });
    }

    /// When to look again, though nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        let dark = self.dark.iter().filter(|(vip, _)| !self.undelivered.contains(vip));
        let rivals = self.rivals.values().map(|rival| &rival.until);
        dark.map(|(_, at)| at).chain(rivals).chain(self.yielded.values()).min().copied()
    }

    /// A host that is no node of ours has the VIP: neither held nor left, so that the next claim asks first.
    pub fn give_way(&mut self, vip: IpAddr) {
        self.held.remove(&vip);
    }

    /// Forgets what it left and somebody else has, or nobody wants.
    pub fn forget_left(&mut self, is_over: impl Fn(IpAddr, Term) -> bool) {
        self.left.retain(|vip, term| !is_over(*vip, *term));
    }

    /// Another node says on the wire that it has this VIP. Whether it is the one that is to have it.
    pub fn hear(&mut self, vip: IpAddr, mac: Mac, plan: &SegmentPlan, now: Instant) -> bool {
        self.heard.retain(|_, (_, at)| now < *at + HEARD_FOR);
        self.heard.insert(vip, (mac, now));
        if plan.peers.is_some() && plan.announced.contains_key(&vip) && self.holds(vip) {
            let rival = Rival { mac, until: now + RIVAL_PATIENCE, said_so: false };
            self.rivals.entry(vip).or_insert(rival).said_so = false;
        }
        plan.handed_over.contains(&vip) && is_successor(vip, mac, plan)
    }

    /// Whether a VIP that is answered for, and that another node is to have, is kept: nobody was heard yet that has it now.
    pub fn is_kept(&self, vip: IpAddr, plan: &SegmentPlan, now: Instant) -> bool {
        let is_heard = |(mac, at): &(Mac, Instant)| now < *at + HEARD_FOR && is_successor(vip, *mac, plan);
        let is_awaited = !self.heard.get(&vip).is_some_and(is_heard);
        plan.handed_over.contains(&vip) && !plan.taken_over.contains(&vip) && is_awaited
    }

    /// How a VIP is claimed.
    pub fn mode(&self, vip: IpAddr, plan: &SegmentPlan, probe: Probe) -> ClaimMode {
        let asks = |claim: &PlannedClaim| match probe {
            Probe::First => claim.first,
            Probe::Always => true,
            Probe::Never => false,
        };
        match plan.announced.get(&vip) {
            Some(claim) if asks(claim) && !self.holds(vip) => ClaimMode::Probe,
            Some(_) if self.doubted.contains(&vip) => ClaimMode::Probe,
            Some(_) | None => ClaimMode::TakeOver,
        }
    }

    /// What the other speakers are to know.
    pub fn report(&self, mac: Mac, beats: bool, ready: bool) -> SegmentReport {
        let (held, left) = (self.held.clone(), self.left.clone());
        SegmentReport {
            mac,
            beats,
            ready,
            held,
            left,
            undelivered: self.undelivered.clone(),
            strangers: BTreeMap::new(),
            missed: BTreeSet::new(),
        }
    }
}

/// Where speakers do not know each other anybody may be the one.
fn is_successor(vip: IpAddr, mac: Mac, plan: &SegmentPlan) -> bool {
    plan.peers.is_none() || plan.successors.get(&vip) == Some(&mac)
}

/// Whether a report differs from the one before in nothing but VIPs that it did not hold: what was planned anyhow.
pub fn is_only_more(before: &SpeakerReport, after: &SpeakerReport) -> bool {
    let is_only_more = |(before, after): (&SegmentReport, &SegmentReport)| {
        let kept = |(vip, term): (&IpAddr, &Term)| after.held.get(vip) == Some(term);
        (before.mac, before.beats, before.ready, &before.undelivered)
            == (after.mac, after.beats, after.ready, &after.undelivered)
            && before.held.iter().all(kept)
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

    const OTHER: Mac = Mac([4; 6]);

    #[test]
    fn a_rival_that_has_let_go_and_is_silent_is_not_asked() {
        let (start, vip) = (Instant::now(), IpAddr::from([10, 0, 0, 9]));
        let mut tenure = Tenure::new([(vip, 7)].into());
        let rivals = |tenure: &Tenure| tenure.rivals.len();
        tenure.heard.insert(vip, (OTHER, start));
        let until = start + RIVAL_PATIENCE;
        tenure.rivals.insert(vip, Rival { mac: OTHER, until, said_so: false });
        tenure.forget_rivals(start, |_, _| Word::Left(7));
        assert_eq!(rivals(&tenure), 1, "it was heard a moment ago: its report may be an old one");
        tenure.forget_rivals(start + SILENT_FOR, |_, _| Word::Nothing);
        assert_eq!(rivals(&tenure), 1, "it does not say so");
        tenure.forget_rivals(start + SILENT_FOR, |_, _| Word::Left(6));
        assert_eq!(rivals(&tenure), 1, "that may have been another time");
        tenure.forget_rivals(start + SILENT_FOR, |_, mac| Word::Left(if mac == OTHER { 7 } else { 0 }));
        assert!(tenure.take_rivals(until).is_empty());
        tenure.rivals.insert(vip, Rival { mac: OTHER, until, said_so: false });
        tenure.forget_rivals(start, |_, _| Word::Holds);
        tenure.forget_rivals(start + SILENT_FOR, |_, _| Word::Left(6));
        assert_eq!(rivals(&tenure), 0, "it claimed with an old term, and let go of that");
    }

    #[test]
    fn a_vip_is_kept_until_the_other_is_heard_also_where_it_spoke_a_moment_before() {
        let (mut tenure, start, mac) = (Tenure::default(), Instant::now(), Mac([2; 6]));
        let (vip, other) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([10, 0, 0, 8]));
        let plan = SegmentPlan {
            bridge: "br-p".into(),
            nic: "nic".into(),
            vlan: None,
            patch_port: "patch".into(),
            steering_mac: Mac([0; 6]),
            peers: None,
            steered: BTreeMap::new(),
            beating: [].into(),
            announced: BTreeMap::new(),
            handed_over: [vip, other].into(),
            successors: [].into(),
            taken_over: [].into(),
        };
        assert!(tenure.is_kept(vip, &plan, start));
        assert!(tenure.hear(vip, mac, &plan, start));
        assert!(!tenure.is_kept(vip, &plan, start + Duration::from_secs(2)));
        assert!(tenure.is_kept(other, &plan, start));
        assert!(tenure.is_kept(vip, &plan, start + HEARD_FOR), "that was another time");
        let known =
            SegmentPlan { peers: Some([mac, OTHER].into()), successors: [(vip, OTHER)].into(), ..plan };
        assert!(
            tenure.is_kept(vip, &known, start) && !tenure.hear(vip, mac, &known, start),
            "not its successor"
        );
        assert!(tenure.hear(vip, OTHER, &known, start) && !tenure.is_kept(vip, &known, start));
    }
}
