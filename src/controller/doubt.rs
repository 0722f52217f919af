//! What speakers tell, or do not, of a VIP that is programmed. No I/O.

use std::net::IpAddr;

use crate::kube::marks::Status;
use crate::model::{SubnetName, World};
use crate::plan::Refusal;

use super::announcer::{Announcer, announcer};
use super::heard::Silent;
use super::truth::NOT_HEARD;

/// Why a VIP that is programmed may be dark all the same; none where a speaker holds it.
pub(super) fn doubt(
    world: &World,
    silent: &Silent,
    refusals: &[&Refusal],
    subnet: &SubnetName,
    vip: IpAddr,
) -> Option<(Status, &'static str, String)> {
    let left_to_others = world.subnet(subnet).is_some_and(|subnet| !subnet.wishes.announce);
    let by_others = |refusal: &&&Refusal| matches!(refusal, Refusal::AnnouncedByOthers { vip: other, .. } if *other == vip);
    if left_to_others {
        return None;
    }
    if let Some(refusal) = refusals.iter().find(by_others) {
        return Some((Status::Unknown, refusal.reason(), String::new()));
    }
    match announcer(world, silent, subnet, vip) {
        Announcer::Node(_) => None,
        Announcer::Undelivered(node) => Some((
            Status::False,
            "NotDelivered",
            format!(
                "{node} holds {vip} and cannot deliver it: `ovn-vip status` on that node says what is missing in its Open vSwitch"
            ),
        )),
        Announcer::Lost(node) => Some((
            Status::False,
            "NotAnnounced",
            format!("{node} announced {vip} last, and its Node is not ready: no other has taken it over yet"),
        )),
        Announcer::NotHeard(node, since) => Some((
            Status::Unknown,
            NOT_HEARD,
            format!(
                "{node} announced {vip} last, and no speaker of {node} has been heard since {since}: does the Pod of ovn-vip-speaker run there, and does it reach the API server (its log, and the Lease ovn-vip/speaker.{node})?"
            ),
        )),
        Announcer::Nobody => Some((
            Status::False,
            "NotAnnounced",
            format!(
                "no node announces {vip}: `ovn-vip explain {vip}` says why, and so do the logs of ovn-vip-speaker"
            ),
        )),
        Announcer::Unreported => Some((
            Status::Unknown,
            "NoSpeaker",
            format!(
                "no speaker reports, so nobody knows whether {vip} is announced: does the DaemonSet ovn-vip-speaker run, and may it write Leases (deploy/rbac.yaml)?"
            ),
        )),
    }
}
