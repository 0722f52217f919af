//! What became of a frame: one verdict for every frame seen.

use std::net::IpAddr;

use super::arp::ArpError;
use super::beat::BeatError;
use super::claim::Outcome;
use super::ethernet::EthernetError;
use super::ndp::NdpError;
use crate::model::Mac;

/// What the responder made of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody asked for a VIP of ours; the answer waits in `poll_transmit`.
    Answered {
        /// What was asked for.
        vip: IpAddr,
        /// Where the answer goes; to a probe from `::` that is the all-nodes group.
        to: Mac,
    },
    /// Somebody else speaks as the owner of a VIP of ours, or asks for it while we do
    /// (RFC 5227 §2.1.1, §2.4, RFC 4862 §5.4.3, §5.4.4).
    Conflict {
        /// The VIP.
        vip: IpAddr,
        /// Who says so.
        mac: Mac,
        /// What we made of it.
        outcome: Outcome,
    },
    /// Another speaker says that it is there.
    Beat,
    /// Nothing to do.
    Ignored(Reason),
}

/// Why a frame was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// We sent it, or it says so: the kernel's copy, a loop, a switch that replays what it has learnt.
    OwnFrame,
    /// Tagged for another VLAN, or not tagged where a tag is expected, or the reverse.
    OtherVlan,
    /// Neither ARP nor IPv6.
    OtherProtocol,
    /// To another station or to a group that its target does not listen to: seen because a port is promiscuous.
    WrongDestination,
    /// A question for an address that is not a VIP of ours.
    NotOurVip,
    /// A question for a VIP of ours that we do not hold yet or no longer.
    NotHeld,
    /// An ARP reply that speaks of no VIP of ours.
    ArpReply,
    /// A Neighbor Advertisement that speaks of no VIP of ours.
    NeighborAdvertisement,
    /// Too many answers wait to be sent.
    Overloaded,
    /// A beat that is not believed.
    Beat(BeatError),
    /// No Ethernet frame.
    Ethernet(EthernetError),
    /// No ARP packet for us.
    Arp(ArpError),
    /// No neighbor message for us.
    Ndp(NdpError),
}

/// A verdict without its addresses: what is counted. The number of kinds is fixed, whatever the wire sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerdictKind {
    /// [`Verdict::Answered`].
    Answered,
    /// [`Verdict::Conflict`].
    Conflict(Outcome),
    /// [`Verdict::Beat`].
    Beat,
    /// [`Verdict::Ignored`].
    Ignored(Reason),
}

impl Verdict {
    /// What to count it as.
    pub fn kind(self) -> VerdictKind {
        match self {
            Verdict::Answered { vip: _, to: _ } => VerdictKind::Answered,
            Verdict::Conflict { vip: _, mac: _, outcome } => VerdictKind::Conflict(outcome),
            Verdict::Beat => VerdictKind::Beat,
            Verdict::Ignored(reason) => VerdictKind::Ignored(reason),
        }
    }

    /// A stable short name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        self.kind().as_str()
    }
}

impl VerdictKind {
    /// A stable short name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictKind::Answered => "answered",
            VerdictKind::Conflict(Outcome::Defended) => "conflict_defended",
            VerdictKind::Conflict(Outcome::Yielded) => "conflict_yielded",
            VerdictKind::Conflict(Outcome::Standing) => "conflict_standing",
            VerdictKind::Conflict(Outcome::Peer) => "conflict_peer",
            VerdictKind::Conflict(Outcome::PeerAsks) => "conflict_peer_asks",
            VerdictKind::Beat => "beat",
            VerdictKind::Ignored(reason) => reason.as_str(),
        }
    }
}

impl Reason {
    /// A stable short name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OwnFrame => "own_frame",
            Reason::OtherVlan => "other_vlan",
            Reason::OtherProtocol => "other_protocol",
            Reason::WrongDestination => "wrong_destination",
            Reason::NotOurVip => "not_our_vip",
            Reason::NotHeld => "not_held",
            Reason::ArpReply => "arp_reply",
            Reason::NeighborAdvertisement => "neighbor_advertisement",
            Reason::Overloaded => "overloaded",
            Reason::Beat(error) => error.as_str(),
            Reason::Ethernet(error) => error.as_str(),
            Reason::Arp(error) => error.as_str(),
            Reason::Ndp(error) => error.as_str(),
        }
    }
}
