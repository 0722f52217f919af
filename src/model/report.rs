//! What speakers tell each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Mac, NodeName, ReportKey, SubnetName};

/// What a node's speaker says of itself: where it can speak, as whom, and for which VIPs it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerReport {
    /// Namespace and name of the Lease that it is written on.
    pub key: ReportKey,
    /// Its node.
    pub node: NodeName,
    /// By subnet; one that is not here cannot be spoken on.
    pub segments: BTreeMap<SubnetName, SegmentReport>,
}

/// A speaker on one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The MAC that it answers with.
    pub mac: Mac,
    /// Whether it says on the segment itself, again and again, that it is there (`l2::beat`).
    pub beats: bool,
    /// Whether it could speak at once: there is a carrier, and a socket can be had.
    pub ready: bool,
    /// The VIPs that it has claimed and not let go, each with the [`Term`] of its claim.
    pub held: BTreeMap<IpAddr, Term>,
    /// The VIPs that it held last and let go, each with its term, until another holds them: whoever takes one needs not
    /// ask first whether somebody has it.
    pub left: BTreeMap<IpAddr, Term>,
    /// The VIPs that it should be able to deliver and cannot at the moment: another node that can is better.
    pub undelivered: BTreeSet<IpAddr>,
    /// The VIPs that it was to claim and did not, since a host that is no node of the cluster answered for them.
    pub strangers: BTreeMap<IpAddr, Mac>,
    /// The nodes whose beats it misses there although they announced something: dead, stopped, or on another wire than it is.
    pub missed: BTreeSet<NodeName>,
}

/// Counts the claims of a VIP over all nodes: whoever claims it takes a higher one than any that was known. So of two that
/// say they hold it, one from before a crash perhaps, the later is known without comparing clocks.
pub type Term = u64;

/// The highest term: far more claims than a VIP ever sees. Nobody claims a higher one, and one that is read is no claim.
pub const LAST_TERM: Term = 1 << 48;

impl SpeakerReport {
    /// The term with which it held the VIP there, also where it has let it go.
    pub fn last_term(&self, subnet: &SubnetName, vip: IpAddr) -> Option<Term> {
        let segment = self.segments.get(subnet)?;
        segment.held.get(&vip).or_else(|| segment.left.get(&vip)).copied()
    }

    /// Whether it says that it cannot deliver the VIP there.
    pub fn cannot_deliver(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.segments.get(subnet).is_some_and(|segment| segment.undelivered.contains(&vip))
    }

    /// The term with which it holds the VIP there.
    pub fn term(&self, subnet: &SubnetName, vip: IpAddr) -> Option<Term> {
        self.segments.get(subnet)?.held.get(&vip).copied()
    }
}
