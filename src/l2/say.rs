//! Frames of what the speaker of an interface says.
//!
//! Given an interface and something to say, gives the frame. Decides nothing.

use std::net::{IpAddr, Ipv4Addr};

use super::claim::Say;
use super::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Tag};
use super::hear::Question;
use super::responder::Interface;
use super::{arp, ethernet, ndp};
use crate::model::Mac;

/// Something to say; becomes a frame when it is fetched, from the MAC address of then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Utterance {
    /// "It is here", to the one who asked.
    Answer(Question),
    /// "Does somebody have it?"
    Probe(IpAddr),
    /// "It is here", to everyone.
    Announcement(IpAddr),
    /// The same as an ARP reply.
    GratuitousReply(Ipv4Addr),
}

enum Packet {
    Arp(arp::Repr),
    Ndp(ndp::Repr),
}

impl Utterance {
    /// A claim's turn in frames. An announcement over ARP has both forms: there are hosts that heed only one.
    pub(super) fn of(vip: IpAddr, say: Say) -> impl Iterator<Item = Self> {
        let (first, second) = match (say, vip) {
            (Say::Probe, _) => (Utterance::Probe(vip), None),
            (Say::Announcement, IpAddr::V4(address)) => {
                (Utterance::Announcement(vip), Some(Utterance::GratuitousReply(address)))
            }
            (Say::Announcement, IpAddr::V6(_)) => (Utterance::Announcement(vip), None),
        };
        [first].into_iter().chain(second)
    }

    /// The VIP it is about.
    pub(super) fn vip(&self) -> IpAddr {
        match self {
            Utterance::Answer(question) => question.target(),
            Utterance::Probe(vip) | Utterance::Announcement(vip) => *vip,
            Utterance::GratuitousReply(vip) => (*vip).into(),
        }
    }

    /// The frame.
    pub(super) fn frame(&self, interface: Interface) -> Vec<u8> {
        let mac = interface.mac;
        let packet = match *self {
            Utterance::Answer(Question::Arp(request)) => Packet::Arp(request.answer(mac)),
            Utterance::Answer(Question::Ndp { target, asker, to: _ }) => {
                Packet::Ndp(ndp::Repr::answer(target, mac, asker))
            }
            Utterance::Probe(IpAddr::V4(vip)) => Packet::Arp(arp::Repr::probe(vip, mac)),
            Utterance::Probe(IpAddr::V6(vip)) => Packet::Ndp(ndp::Repr::probe(vip)),
            Utterance::Announcement(IpAddr::V4(vip)) => Packet::Arp(arp::Repr::announcement(vip, mac)),
            Utterance::Announcement(IpAddr::V6(vip)) => Packet::Ndp(ndp::Repr::announcement(vip, mac)),
            Utterance::GratuitousReply(vip) => Packet::Arp(arp::Repr::gratuitous_reply(vip, mac)),
        };
        let destination = match (self, &packet) {
            (Utterance::Answer(question), _) => question.answer_to(),
            (_, Packet::Arp(_)) => Mac::BROADCAST,
            (_, Packet::Ndp(packet)) => ndp::group_mac(packet.destination),
        };
        let header = |ethertype| {
            let tag = interface.vlan.map(Tag::of);
            ethernet::Repr { destination, source: mac, tag, ethertype }
        };
        match packet {
            Packet::Arp(packet) => header(ETHERTYPE_ARP).emit(&packet.emit()),
            Packet::Ndp(packet) => header(ETHERTYPE_IPV6).emit(&packet.emit()),
        }
    }
}
