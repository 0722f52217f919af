//! What a frame says to the speaker of an interface.
//!
//! Given an interface and a frame, says who speaks as whom, and who asks for what. Knows no VIPs.
//!
//! # Who the sender is
//! The link-layer address that the packet itself names, as RFC 826 ("Packet Reception") and RFC 4861 §7.2.3 have
//! it, even where the Ethernet source is another: relays and virtual router MACs do that. Answering it gives an
//! attacker nothing: one unicast answer per question, and its content is true. A group as the sender is refused
//! when parsing, for that would make one question an answer to everyone.

use std::net::{IpAddr, Ipv6Addr};

use super::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Tag};
use super::ndp::Message;
use super::responder::Interface;
use super::verdict::Reason;
use super::{arp, ethernet, ndp};
use crate::model::Mac;

/// A frame that came in, as a packet socket gives it: what this host sends is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From the destination address on, without the FCS.
    pub bytes: Vec<u8>,
    /// The outer tag, where the kernel took it off the frame.
    pub stripped: Option<Tag>,
}

/// What a frame says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Who speaks; never we.
    pub(super) sender: Mac,
    /// The address it speaks as.
    pub(super) speaks_as: IpAddr,
    /// What it asks, or why it asks nothing.
    pub(super) question: Result<Question, Reason>,
    /// Whether the question is to us: to everyone, to the target's group, or to our MAC address.
    pub(super) is_to_us: bool,
}

/// Who has it?
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// An ARP request.
    Arp(arp::Repr),
    /// A Neighbor Solicitation.
    Ndp { target: Ipv6Addr, asker: Ipv6Addr, to: Mac },
}

impl Question {
    /// The address asked for.
    pub(super) fn target(&self) -> IpAddr {
        match self {
            Question::Arp(request) => request.target_ip.into(),
            Question::Ndp { target, .. } => (*target).into(),
        }
    }

    /// Where the answer goes.
    pub(super) fn answer_to(&self) -> Mac {
        match self {
            Question::Arp(request) => request.sender_mac,
            Question::Ndp { to, .. } => *to,
        }
    }

    /// Whether the asker wants the address for itself (RFC 5227 §1.1, RFC 4862 §5.4.3).
    pub(super) fn is_probe(&self) -> bool {
        match self {
            Question::Arp(request) => request.sender_ip.is_unspecified(),
            Question::Ndp { asker, .. } => asker.is_unspecified(),
        }
    }
}

/// Reads a frame.
///
/// # Errors
/// Why it says nothing to this interface.
pub(super) fn hear(interface: Interface, frame: &Received) -> Result<Heard, Reason> {
    let (header, payload) = ethernet::Repr::parse(&frame.bytes).map_err(Reason::Ethernet)?;
    if header.source == interface.mac {
        return Err(Reason::OwnFrame);
    }
    if !is_in_vlan(interface, frame.stripped, header.tag) {
        return Err(Reason::OtherVlan);
    }
    let heard = match header.ethertype {
        ETHERTYPE_ARP => hear_arp(interface, &header, payload)?,
        ETHERTYPE_IPV6 => hear_ndp(interface, &header, payload)?,
        _ => return Err(Reason::OtherProtocol),
    };
    if heard.sender == interface.mac { Err(Reason::OwnFrame) } else { Ok(heard) }
}

/// At most one tag, wherever it is; a priority tag counts as none (IEEE 802.1Q §6.9.1).
fn is_in_vlan(interface: Interface, stripped: Option<Tag>, written: Option<Tag>) -> bool {
    match (stripped, written) {
        (Some(_), Some(_)) => false,
        (Some(tag), None) | (None, Some(tag)) => tag.vlan() == Ok(interface.vlan),
        (None, None) => interface.vlan.is_none(),
    }
}

fn hear_arp(interface: Interface, header: &ethernet::Repr, payload: &[u8]) -> Result<Heard, Reason> {
    let packet = arp::Repr::parse(payload).map_err(Reason::Arp)?;
    Ok(Heard {
        sender: packet.sender_mac,
        speaks_as: packet.sender_ip.into(),
        question: match packet.operation {
            arp::Operation::Request => Ok(Question::Arp(packet)),
            arp::Operation::Reply => Err(Reason::ArpReply),
        },
        is_to_us: header.destination == Mac::BROADCAST || header.destination == interface.mac,
    })
}

fn hear_ndp(interface: Interface, header: &ethernet::Repr, payload: &[u8]) -> Result<Heard, Reason> {
    let packet = ndp::Repr::parse(payload).map_err(Reason::Ndp)?;
    let asker = packet.source;
    Ok(match packet.message {
        Message::Solicitation { target, source_mac } => {
            let sender = source_mac.unwrap_or(header.source);
            let to = if asker.is_unspecified() { ndp::group_mac(ndp::ALL_NODES) } else { sender };
            Heard {
                sender,
                speaks_as: asker.into(),
                question: Ok(Question::Ndp { target, asker, to }),
                is_to_us: reaches(target, packet.destination, interface.mac, header.destination),
            }
        }
        Message::Advertisement { target, target_mac, .. } => Heard {
            sender: target_mac.unwrap_or(header.source),
            speaks_as: target.into(),
            question: Err(Reason::NeighborAdvertisement),
            is_to_us: false,
        },
    })
}

/// Whether a host at `mac` that has `target` would hear this: its solicited-node group (RFC 4861 §7.2.2), all
/// nodes, or itself (reachability probes, §7.3.1); a group may also come in a frame to it alone (RFC 6085).
fn reaches(target: Ipv6Addr, destination: Ipv6Addr, mac: Mac, frame: Mac) -> bool {
    let heard = [target, ndp::solicited_node(target), ndp::ALL_NODES].contains(&destination);
    let group = destination.is_multicast() && frame == ndp::group_mac(destination);
    heard && (group || frame == mac)
}
