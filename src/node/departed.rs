//! What a node goes on saying of a segment that it has no more.
//!
//! When the NIC or the bridge of a segment goes under an announced VIP, nobody hears on the wire that the VIP is let go. The
//! report says so: whoever takes it next needs not ask first (RFC 5227, 0.8 s).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{SegmentReport, SpeakerReport, SubnetName, Term, World};

/// The segments of this node's last report (`before`) that it has no more, with the VIPs that it held or left there.
pub(super) fn departed(
    world: &World,
    before: &SpeakerReport,
    is_there: impl Fn(&SubnetName) -> bool,
) -> BTreeMap<SubnetName, SegmentReport> {
    let gone = before.segments.iter().filter(|(subnet, _)| !is_there(subnet));
    let segments = gone.map(|(subnet, segment)| {
        let mut left = segment.left.clone();
        left.extend(&segment.held);
        left.retain(|vip, term| !is_over(world, subnet, *vip, *term));
        let said = SegmentReport {
            mac: segment.mac,
            beats: false,
            ready: false,
            held: BTreeMap::new(),
            left,
            undelivered: BTreeSet::new(),
            strangers: BTreeMap::new(),
            missed: BTreeSet::new(),
        };
        (subnet.clone(), said)
    });
    segments.filter(|(_, segment)| !segment.left.is_empty()).collect()
}

/// Whether what was left with this term needs no word any more: another node holds it since, or nobody wants it.
pub(super) fn is_over(world: &World, subnet: &SubnetName, vip: IpAddr, left: Term) -> bool {
    let is_later = |report: &SpeakerReport| report.term(subnet, vip).is_some_and(|term| term > left);
    world.holders_of(vip).any(is_later) || world.services_at(vip).next().is_none()
}
