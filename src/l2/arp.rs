//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! Given the payload of an Ethernet frame, says who asks or tells what. A parsed packet's sender is always
//! one station: a packet that names a group as its sender would make us answer to a whole segment.

use std::net::Ipv4Addr;

use pnet_packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::EtherTypes;

use super::ethernet::{from_pnet, is_station, to_pnet};
use crate::model::Mac;

/// The length of a packet with 6-byte hardware and 4-byte protocol addresses.
const LENGTH: usize = 28;

/// What the sender wants (RFC 826, `ar$op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Question or statement.
    pub operation: Operation,
    /// The sender's MAC address: one station.
    pub sender_mac: Mac,
    /// The sender's address; `0.0.0.0` in a probe (RFC 5227 §1.1).
    pub sender_ip: Ipv4Addr,
    /// In a request meaningless; in a reply the one who asked.
    pub target_mac: Mac,
    /// The address asked for.
    pub target_ip: Ipv4Addr,
}

/// Why bytes are not an ARP packet we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ArpError {
    /// Fewer than 28 bytes.
    #[error("shorter than an ARP packet")]
    Truncated,
    /// Other hardware, protocol or address lengths.
    #[error("not ARP for IPv4 over Ethernet")]
    NotEthernetIpv4,
    /// Neither request nor reply: RARP, InARP, experiments.
    #[error("neither a request nor a reply")]
    UnknownOperation,
    /// The sender names a group or zero as its own MAC address.
    #[error("the sender's MAC address is a group or zero")]
    SenderNotStation,
}

impl ArpError {
    /// A stable short name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ArpError::Truncated => "arp_truncated",
            ArpError::NotEthernetIpv4 => "arp_not_ethernet_ipv4",
            ArpError::UnknownOperation => "arp_unknown_operation",
            ArpError::SenderNotStation => "arp_sender_not_station",
        }
    }
}

impl Repr {
    /// Reads an ARP packet; what follows its 28 bytes is padding.
    ///
    /// # Errors
    /// When it is not a request or reply for IPv4 over Ethernet, from one station.
    pub fn parse(payload: &[u8]) -> Result<Self, ArpError> {
        let bytes = payload.get(..LENGTH).ok_or(ArpError::Truncated)?;
        let packet = ArpPacket::new(bytes).ok_or(ArpError::Truncated)?;
        let kind = (packet.get_hardware_type(), packet.get_protocol_type());
        let lengths = (packet.get_hw_addr_len(), packet.get_proto_addr_len());
        if kind != (ArpHardwareTypes::Ethernet, EtherTypes::Ipv4) || lengths != (6, 4) {
            return Err(ArpError::NotEthernetIpv4);
        }
        let operation = match packet.get_operation() {
            ArpOperations::Request => Operation::Request,
            ArpOperations::Reply => Operation::Reply,
            ArpOperation(_) => return Err(ArpError::UnknownOperation),
        };
        let sender_mac = from_pnet(packet.get_sender_hw_addr());
        if !is_station(sender_mac) {
            return Err(ArpError::SenderNotStation);
        }
        Ok(Self {
            operation,
            sender_mac,
            sender_ip: packet.get_sender_proto_addr(),
            target_mac: from_pnet(packet.get_target_hw_addr()),
            target_ip: packet.get_target_proto_addr(),
        })
    }

    /// The 28 bytes.
    pub fn emit(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        if let Some(mut packet) = MutableArpPacket::new(&mut bytes) {
            packet.set_hardware_type(ArpHardwareTypes::Ethernet);
            packet.set_protocol_type(EtherTypes::Ipv4);
            packet.set_hw_addr_len(6);
            packet.set_proto_addr_len(4);
            packet.set_operation(match self.operation {
                Operation::Request => ArpOperations::Request,
                Operation::Reply => ArpOperations::Reply,
            });
            packet.set_sender_hw_addr(to_pnet(self.sender_mac));
            packet.set_sender_proto_addr(self.sender_ip);
            packet.set_target_hw_addr(to_pnet(self.target_mac));
            packet.set_target_proto_addr(self.target_ip);
        }
        bytes
    }

    /// The answer to a request for `target_ip`: it is at `mac` (RFC 826, "Packet Reception").
    pub fn answer(&self, mac: Mac) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// Does somebody have `vip`? Tells nobody anything (RFC 5227 §2.1.1).
    pub fn probe(vip: Ipv4Addr, mac: Mac) -> Self {
        Self { sender_ip: Ipv4Addr::UNSPECIFIED, ..Self::announcement(vip, mac) }
    }

    /// A gratuitous request: an ARP Announcement (RFC 5227 §2.3).
    pub fn announcement(vip: Ipv4Addr, mac: Mac) -> Self {
        let operation = Operation::Request;
        Self { operation, sender_mac: mac, sender_ip: vip, target_mac: Mac::ZERO, target_ip: vip }
    }

    /// A gratuitous reply (RFC 5944 §4.6): the target MAC address is the one to remember, and Linux takes a
    /// reply for gratuitous only then (`arp_is_garp` in net/ipv4/arp.c).
    pub fn gratuitous_reply(vip: Ipv4Addr, mac: Mac) -> Self {
        let operation = Operation::Reply;
        Self { operation, sender_mac: mac, sender_ip: vip, target_mac: mac, target_ip: vip }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `arping -c1 10.0.0.2` from 10.0.0.1 writes it.
    const REQUEST: [u8; 28] =
        [0, 1, 8, 0, 6, 4, 0, 1, 0x0a, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];

    #[test]
    fn a_request_is_read_and_written_byte_for_byte() {
        let repr = Repr::parse(&REQUEST).unwrap();
        assert_eq!(repr.operation, Operation::Request);
        assert_eq!(
            (repr.sender_ip, repr.target_ip),
            (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
        );
        assert_eq!(repr.emit(), REQUEST);
    }

    #[test]
    fn the_answer_goes_to_the_one_who_asked() {
        let answer = Repr::parse(&REQUEST).unwrap().answer(Mac([2; 6]));
        assert_eq!(
            answer.emit(),
            [0, 1, 8, 0, 6, 4, 0, 2, 2, 2, 2, 2, 2, 2, 10, 0, 0, 2, 0x0a, 0, 0, 0, 0, 1, 10, 0, 0, 1]
        );
    }

    #[test]
    fn other_hardware_protocols_and_address_lengths_are_refused() {
        for (at, value) in [(1, 6), (2, 9), (4, 8), (5, 16)] {
            let mut bytes = REQUEST;
            bytes[at] = value;
            assert_eq!(Repr::parse(&bytes), Err(ArpError::NotEthernetIpv4), "byte {at}");
        }
    }

    #[test]
    fn a_reverse_request_is_an_unknown_operation() {
        let mut bytes = REQUEST;
        bytes[7] = 3;
        assert_eq!(Repr::parse(&bytes), Err(ArpError::UnknownOperation));
    }

    #[test]
    fn a_sender_that_claims_to_be_a_group_is_refused() {
        let mut bytes = REQUEST;
        bytes[8] = 0xff;
        assert_eq!(Repr::parse(&bytes), Err(ArpError::SenderNotStation));
    }

    #[test]
    fn every_shorter_packet_is_truncated() {
        for length in 0..28 {
            assert_eq!(Repr::parse(&REQUEST[..length]), Err(ArpError::Truncated));
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_read_back(
            request: bool, sender: [u8; 5], sender_ip: [u8; 4], target: [u8; 6], target_ip: [u8; 4],
        ) {
            let [b, c, d, e, f] = sender;
            let repr = Repr {
                operation: if request { Operation::Request } else { Operation::Reply },
                sender_mac: Mac([2, b, c, d, e, f]),
                sender_ip: sender_ip.into(),
                target_mac: Mac(target),
                target_ip: target_ip.into(),
            };
            prop_assert_eq!(Repr::parse(&repr.emit()), Ok(repr));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Repr::parse(&bytes);
        }
    }
}
