//! Neighbor Solicitations and Advertisements (RFC 4861 §4.3, §4.4), with the IPv6 header around them.
//!
//! Given an IPv6 packet, says who asks or tells what. What parses has passed every validity check of RFC 4861
//! §7.1.1 and §7.1.2. pnet's own option codec is not used: its length arithmetic overflows on hostile input.

use std::net::Ipv6Addr;

use pnet_packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NeighborAdvertFlags, NeighborAdvertPacket,
    NeighborSolicitPacket,
};
use pnet_packet::icmpv6::{Icmpv6Packet, Icmpv6Type, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::ethernet::is_station;
use crate::model::Mac;

/// The IPv6 header (RFC 8200 §3).
const IPV6_HEADER: usize = 40;
/// Both messages without options (RFC 4861 §4.3, §4.4).
const MESSAGE: usize = 24;
/// A link-layer address option for Ethernet: one unit of 8 bytes (RFC 2464 §6).
const OPTION: usize = 8;
/// RFC 4861 §4.6.1.
const SOURCE_LINK_LAYER: u8 = 1;
/// RFC 4861 §4.6.1.
const TARGET_LINK_LAYER: u8 = 2;
/// `ff02::1` (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A neighbor message and the addresses of the IPv6 packet around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Who sends; `::` asks whether the target is free (RFC 4862 §5.4.2).
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
    /// What.
    pub message: Message,
}

/// The two messages that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who has `target`? (RFC 4861 §4.3)
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The Source Link-Layer Address option.
        source_mac: Option<Mac>,
    },
    /// `target` is at `target_mac` (RFC 4861 §4.4).
    Advertisement {
        /// The address told of.
        target: Ipv6Addr,
        /// The R flag.
        router: bool,
        /// The S flag: an answer to a solicitation that named its sender.
        solicited: bool,
        /// The O flag: replaces what a neighbour remembers.
        overrides: bool,
        /// The Target Link-Layer Address option.
        target_mac: Option<Mac>,
    },
}

/// Why bytes are not a neighbor message we may act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NdpError {
    /// Fewer bytes than the headers say.
    #[error("shorter than its headers say")]
    Truncated,
    /// Not version 6.
    #[error("not IPv6")]
    NotIpv6,
    /// Something else, an extension header or a fragment (RFC 6980 §5) follows the IPv6 header.
    #[error("the IPv6 header is not followed by ICMPv6")]
    NotIcmpv6,
    /// Another ICMPv6 message.
    #[error("neither a Neighbor Solicitation nor an Advertisement")]
    OtherMessage,
    /// RFC 4861 §7.1: a hop limit under 255 came through a router.
    #[error("the hop limit is not 255")]
    HopLimit,
    /// RFC 4861 §7.1: the code is 0.
    #[error("the ICMPv6 code is not 0")]
    Code,
    /// RFC 4443 §2.3.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// RFC 4861 §7.1: the target is not a multicast address.
    #[error("the target is a multicast address")]
    MulticastTarget,
    /// RFC 8200 §3, RFC 4291 §2.7: a multicast address never sends.
    #[error("the source is a multicast address")]
    MulticastSource,
    /// RFC 4861 §4.6: an option is as long as it says, and never of length 0.
    #[error("an option's length is 0 or reaches past the end")]
    OptionLength,
    /// A link-layer address option that is not one Ethernet station's.
    #[error("a link-layer address option does not name one Ethernet station")]
    OptionNotStation,
    /// RFC 4861 §7.1.1: `::` asks the target's solicited-node group, without a link-layer address.
    #[error("an unspecified source that gives a link-layer address or does not ask the solicited-node group")]
    UnspecifiedSource,
    /// RFC 4861 §7.1.2: an advertisement to a group is not solicited.
    #[error("a solicited advertisement to a multicast address")]
    SolicitedMulticast,
}

impl NdpError {
    /// A stable short name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            NdpError::Truncated => "ndp_truncated",
            NdpError::NotIpv6 => "ndp_not_ipv6",
            NdpError::NotIcmpv6 => "ndp_not_icmpv6",
            NdpError::OtherMessage => "ndp_other_message",
            NdpError::HopLimit => "ndp_bad_hop_limit",
            NdpError::Code => "ndp_bad_code",
            NdpError::Checksum => "ndp_bad_checksum",
            NdpError::MulticastTarget => "ndp_multicast_target",
            NdpError::MulticastSource => "ndp_multicast_source",
            NdpError::OptionLength => "ndp_bad_option_length",
            NdpError::OptionNotStation => "ndp_option_not_station",
            NdpError::UnspecifiedSource => "ndp_bad_unspecified_source",
            NdpError::SolicitedMulticast => "ndp_solicited_multicast",
        }
    }
}

impl Repr {
    /// Reads an IPv6 packet and checks all that RFC 4861 §7.1.1 and §7.1.2 ask for.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(packet: &[u8]) -> Result<Self, NdpError> {
        let header = Ipv6Packet::new(packet).ok_or(NdpError::Truncated)?;
        let (source, destination) = (header.get_source(), header.get_destination());
        let icmpv6 = icmpv6_of(&header, packet)?;
        let general = Icmpv6Packet::new(icmpv6).ok_or(NdpError::Truncated)?;
        let kind = general.get_icmpv6_type();
        if kind != Icmpv6Types::NeighborSolicit && kind != Icmpv6Types::NeighborAdvert {
            return Err(NdpError::OtherMessage);
        }
        let options = icmpv6.get(MESSAGE..).ok_or(NdpError::Truncated)?;
        if header.get_hop_limit() != 255 {
            return Err(NdpError::HopLimit);
        }
        if general.get_icmpv6_code().0 != 0 {
            return Err(NdpError::Code);
        }
        if checksum(&general, &source, &destination) != general.get_checksum() {
            return Err(NdpError::Checksum);
        }
        let message = read_message(kind, icmpv6, options)?;
        let repr = Self { source, destination, message };
        repr.check_addresses()?;
        Ok(repr)
    }

    /// The IPv6 packet, hop limit 255, checksum included.
    pub fn emit(&self) -> Vec<u8> {
        let mac = match self.message {
            Message::Solicitation { source_mac, .. } => source_mac,
            Message::Advertisement { target_mac, .. } => target_mac,
        };
        let length = MESSAGE + if mac.is_some() { OPTION } else { 0 };
        let mut bytes = vec![0; IPV6_HEADER + length];
        if let Some(mut header) = MutableIpv6Packet::new(&mut bytes) {
            header.set_version(6);
            header.set_payload_length(length as u16);
            header.set_next_header(IpNextHeaderProtocols::Icmpv6);
            header.set_hop_limit(255);
            header.set_source(self.source);
            header.set_destination(self.destination);
        }
        write_message(self.message, mac, &mut bytes[IPV6_HEADER..]);
        if let Some(mut general) = MutableIcmpv6Packet::new(&mut bytes[IPV6_HEADER..]) {
            let sum = checksum(&general.to_immutable(), &self.source, &self.destination);
            general.set_checksum(sum);
        }
        bytes
    }

    /// Does somebody have `vip`? Tells nobody anything (RFC 4862 §5.4.2).
    pub fn probe(vip: Ipv6Addr) -> Self {
        let message = Message::Solicitation { target: vip, source_mac: None };
        Self { source: Ipv6Addr::UNSPECIFIED, destination: solicited_node(vip), message }
    }

    /// An unsolicited advertisement to everyone, or the answer to a solicitation from `::`: Override, not
    /// Solicited (RFC 4861 §7.2.6, §7.2.4).
    pub fn announcement(vip: Ipv6Addr, mac: Mac) -> Self {
        Self { source: vip, destination: ALL_NODES, message: advertisement(vip, mac, false) }
    }

    /// The answer to a solicitation from `asker`: Solicited and Override (RFC 4861 §7.2.4).
    pub fn answer(vip: Ipv6Addr, mac: Mac, asker: Ipv6Addr) -> Self {
        if asker.is_unspecified() {
            return Self::announcement(vip, mac);
        }
        Self { source: vip, destination: asker, message: advertisement(vip, mac, true) }
    }

    fn check_addresses(&self) -> Result<(), NdpError> {
        if self.source.is_multicast() {
            return Err(NdpError::MulticastSource);
        }
        match self.message {
            Message::Solicitation { target, .. } | Message::Advertisement { target, .. }
                if target.is_multicast() =>
            {
                Err(NdpError::MulticastTarget)
            }
            Message::Solicitation { target, source_mac }
                if self.source.is_unspecified()
                    && (source_mac.is_some() || self.destination != solicited_node(target)) =>
            {
                Err(NdpError::UnspecifiedSource)
            }
            Message::Advertisement { solicited: true, .. } if self.destination.is_multicast() => {
                Err(NdpError::SolicitedMulticast)
            }
            Message::Solicitation { .. } | Message::Advertisement { .. } => Ok(()),
        }
    }
}

/// The group that `address` listens to (RFC 4291 §2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// The Ethernet address of an IPv6 group (RFC 2464 §7).
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

fn advertisement(target: Ipv6Addr, mac: Mac, solicited: bool) -> Message {
    Message::Advertisement { target, router: false, solicited, overrides: true, target_mac: Some(mac) }
}

/// The ICMPv6 message: what the header's payload length says, not what padding follows.
fn icmpv6_of<'a>(header: &Ipv6Packet<'_>, packet: &'a [u8]) -> Result<&'a [u8], NdpError> {
    if header.get_version() != 6 {
        return Err(NdpError::NotIpv6);
    }
    if header.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return Err(NdpError::NotIcmpv6);
    }
    let end = IPV6_HEADER + usize::from(header.get_payload_length());
    packet.get(IPV6_HEADER..end).ok_or(NdpError::Truncated)
}

fn read_message(kind: Icmpv6Type, icmpv6: &[u8], options: &[u8]) -> Result<Message, NdpError> {
    if kind == Icmpv6Types::NeighborSolicit {
        let packet = NeighborSolicitPacket::new(icmpv6).ok_or(NdpError::Truncated)?;
        let source_mac = link_layer_option(options, SOURCE_LINK_LAYER)?;
        return Ok(Message::Solicitation { target: packet.get_target_addr(), source_mac });
    }
    let packet = NeighborAdvertPacket::new(icmpv6).ok_or(NdpError::Truncated)?;
    let flags = packet.get_flags();
    Ok(Message::Advertisement {
        target: packet.get_target_addr(),
        router: flags & NeighborAdvertFlags::Router != 0,
        solicited: flags & NeighborAdvertFlags::Solicited != 0,
        overrides: flags & NeighborAdvertFlags::Override != 0,
        target_mac: link_layer_option(options, TARGET_LINK_LAYER)?,
    })
}

/// Walks all options (RFC 4861 §4.6); the first link-layer address of this kind counts.
fn link_layer_option(mut options: &[u8], wanted: u8) -> Result<Option<Mac>, NdpError> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        if length == 0 || length > options.len() {
            return Err(NdpError::OptionLength);
        }
        let (option, rest) = options.split_at(length);
        if kind == wanted && found.is_none() {
            let mac = <[u8; 6]>::try_from(&option[2..]).map(Mac).map_err(|_| NdpError::OptionNotStation)?;
            found = Some(mac).filter(|mac| is_station(*mac));
            found.ok_or(NdpError::OptionNotStation)?;
        }
        options = rest;
    }
    if options.is_empty() { Ok(found) } else { Err(NdpError::OptionLength) }
}

fn write_message(message: Message, mac: Option<Mac>, bytes: &mut [u8]) {
    let option = match message {
        Message::Solicitation { target, .. } => {
            if let Some(mut packet) = MutableNeighborSolicitPacket::new(bytes) {
                packet.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
                packet.set_target_addr(target);
            }
            SOURCE_LINK_LAYER
        }
        Message::Advertisement { target, router, solicited, overrides, .. } => {
            if let Some(mut packet) = MutableNeighborAdvertPacket::new(bytes) {
                packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
                let flag = |set: bool, bit: u8| if set { bit } else { 0 };
                packet.set_flags(
                    flag(router, NeighborAdvertFlags::Router)
                        | flag(solicited, NeighborAdvertFlags::Solicited)
                        | flag(overrides, NeighborAdvertFlags::Override),
                );
                packet.set_target_addr(target);
            }
            TARGET_LINK_LAYER
        }
    };
    if let (Some(mac), Some([kind, units, address @ ..])) = (mac, bytes.get_mut(MESSAGE..)) {
        (*kind, *units) = (option, 1);
        address.copy_from_slice(&mac.0);
    }
}

#[cfg(test)]
#[path = "ndp_tests.rs"]
mod tests;
