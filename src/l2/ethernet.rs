//! Ethernet II frames, with at most one 802.1Q tag.
//!
//! Given the bytes of a frame, says where it goes, where it comes from and what it carries. Never reads
//! past the end of a short frame: every length is checked here, before pnet's codec sees the bytes.

use pnet_base::MacAddr;
use pnet_packet::ethernet::{EtherType, EthernetPacket, MutableEthernetPacket};
use pnet_packet::vlan::{ClassOfService, MutableVlanPacket, VlanPacket};

use crate::model::{Mac, VlanId};

/// EtherType of ARP (RFC 826).
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6 (RFC 2464 §3).
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// The tag protocol identifier of a customer VLAN tag (IEEE 802.1Q §9.5).
pub const TPID_8021Q: u16 = 0x8100;

/// Both addresses and the type (IEEE 802.3 §3.1.1).
const HEADER: usize = 14;
/// Tag control information and the type that follows it (IEEE 802.1Q §9.3).
const TAG: usize = 4;
/// The shortest payload that an untagged frame may carry (IEEE 802.3 §4.4.2: 64 bytes with the FCS).
/// We pad tagged frames to it as well, so that a switch that takes the tag off emits no runt.
const MINIMUM_PAYLOAD: usize = 46;

/// A VLAN tag, written in the frame or taken off it by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The tag protocol identifier; ours is [`TPID_8021Q`].
    pub tpid: u16,
    /// Priority, drop eligibility and the VLAN identifier (IEEE 802.1Q §9.6).
    pub tci: u16,
}

impl Tag {
    /// A customer tag of this VLAN, priority 0.
    pub fn of(vlan: VlanId) -> Self {
        Self { tpid: TPID_8021Q, tci: vlan.get() }
    }

    /// The VLAN that a customer tag names. `None` is a priority tag, which means "untagged" (IEEE 802.1Q §6.9.1).
    ///
    /// # Errors
    /// A tag of another protocol (802.1ad), or the reserved identifier 4095.
    pub fn vlan(self) -> Result<Option<VlanId>, ForeignTag> {
        match (self.tpid, self.tci & 0x0fff) {
            (TPID_8021Q, 0) => Ok(None),
            (TPID_8021Q, id) => VlanId::new(id).map(Some).ok_or(ForeignTag),
            _ => Err(ForeignTag),
        }
    }
}

/// A tag that no interface of ours can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignTag;

/// The header of an Ethernet II frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Who shall read it.
    pub destination: Mac,
    /// Who sent it; one station, never a group.
    pub source: Mac,
    /// The 802.1Q tag written in the frame.
    pub tag: Option<Tag>,
    /// What the payload is.
    pub ethertype: u16,
}

/// Why bytes are not an Ethernet frame we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum EthernetError {
    /// Shorter than its own header.
    #[error("shorter than an Ethernet header")]
    Truncated,
    /// IEEE 802.3 §3.2.3: a source is a single station.
    #[error("the source address is a group or zero")]
    SourceNotStation,
}

impl EthernetError {
    /// A stable short name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            EthernetError::Truncated => "ethernet_truncated",
            EthernetError::SourceNotStation => "ethernet_source_not_station",
        }
    }
}

impl Repr {
    /// Reads the header; the rest is the payload, padding included.
    ///
    /// # Errors
    /// When the bytes are too few, or the source is no station.
    pub fn parse(frame: &[u8]) -> Result<(Self, &[u8]), EthernetError> {
        let packet = EthernetPacket::new(frame).ok_or(EthernetError::Truncated)?;
        let rest = frame.get(HEADER..).ok_or(EthernetError::Truncated)?;
        let source = from_pnet(packet.get_source());
        if !is_station(source) {
            return Err(EthernetError::SourceNotStation);
        }
        let untagged = Self {
            destination: from_pnet(packet.get_destination()),
            source,
            tag: None,
            ethertype: packet.get_ethertype().0,
        };
        if untagged.ethertype != TPID_8021Q {
            return Ok((untagged, rest));
        }
        let inner = VlanPacket::new(rest).ok_or(EthernetError::Truncated)?;
        let payload = rest.get(TAG..).ok_or(EthernetError::Truncated)?;
        let tci = u16::from(inner.get_priority_code_point().0) << 13
            | u16::from(inner.get_drop_eligible_indicator()) << 12
            | inner.get_vlan_identifier();
        let tag = Some(Tag { tpid: TPID_8021Q, tci });
        Ok((Self { tag, ethertype: inner.get_ethertype().0, ..untagged }, payload))
    }

    /// The frame, padded to the shortest that IEEE 802.3 §4.4.2 allows; the FCS is the hardware's.
    pub fn emit(&self, payload: &[u8]) -> Vec<u8> {
        let header = if self.tag.is_some() { HEADER + TAG } else { HEADER };
        let mut frame = vec![0; header + payload.len().max(MINIMUM_PAYLOAD)];
        frame[header..header + payload.len()].copy_from_slice(payload);
        if let Some(mut packet) = MutableEthernetPacket::new(&mut frame) {
            packet.set_destination(to_pnet(self.destination));
            packet.set_source(to_pnet(self.source));
            packet.set_ethertype(EtherType(self.tag.map_or(self.ethertype, |tag| tag.tpid)));
        }
        if let Some(tag) = self.tag
            && let Some(mut inner) = MutableVlanPacket::new(&mut frame[HEADER..])
        {
            inner.set_priority_code_point(ClassOfService((tag.tci >> 13) as u8));
            inner.set_drop_eligible_indicator((tag.tci >> 12) as u8 & 1);
            inner.set_vlan_identifier(tag.tci & 0x0fff);
            inner.set_ethertype(EtherType(self.ethertype));
        }
        frame
    }
}

/// Whether the address can be one station's own: neither a group (IEEE 802.3 §3.2.3) nor all zeroes.
pub fn is_station(mac: Mac) -> bool {
    !mac.is_group() && mac != Mac::ZERO
}

pub(super) fn to_pnet(mac: Mac) -> MacAddr {
    let [a, b, c, d, e, f] = mac.0;
    MacAddr(a, b, c, d, e, f)
}

pub(super) fn from_pnet(mac: MacAddr) -> Mac {
    Mac(mac.octets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAGGED: [u8; 20] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0, 0, 0, 0, 1, 0x81, 0x00, 0x61, 0x55, 0x08, 0x06, 0xaa,
        0xbb,
    ];

    #[test]
    fn a_tag_in_the_frame_is_read_with_its_priority() {
        let (repr, payload) = Repr::parse(&TAGGED).unwrap();
        assert_eq!(repr.tag, Some(Tag { tpid: TPID_8021Q, tci: 0x6155 }));
        assert_eq!(repr.tag.unwrap().vlan(), Ok(VlanId::new(0x155)));
        assert_eq!((repr.ethertype, payload), (ETHERTYPE_ARP, &[0xaa, 0xbb][..]));
        assert_eq!(&repr.emit(payload)[..20], &TAGGED);
    }

    #[test]
    fn a_frame_cut_inside_its_header_or_its_tag_is_truncated() {
        for length in 0..18 {
            assert_eq!(Repr::parse(&TAGGED[..length]), Err(EthernetError::Truncated), "{length} bytes");
        }
    }

    #[test]
    fn a_frame_from_a_group_or_from_nobody_is_refused() {
        for first in [0x01, 0x00] {
            let mut frame = TAGGED;
            frame[6] = first;
            frame[11] = 0;
            assert_eq!(Repr::parse(&frame), Err(EthernetError::SourceNotStation));
        }
    }

    #[test]
    fn a_priority_tag_is_untagged_and_a_service_tag_is_foreign() {
        assert_eq!(Tag { tpid: TPID_8021Q, tci: 0xe000 }.vlan(), Ok(None));
        assert_eq!(Tag { tpid: 0x88a8, tci: 5 }.vlan(), Err(ForeignTag));
        assert_eq!(Tag { tpid: TPID_8021Q, tci: 4095 }.vlan(), Err(ForeignTag));
    }

    #[test]
    fn a_short_frame_is_padded_to_60_bytes_and_64_with_a_tag() {
        let repr = Repr { destination: Mac::BROADCAST, source: Mac([2; 6]), tag: None, ethertype: 0x0806 };
        assert_eq!(repr.emit(&[0; 28]).len(), 60);
        let tagged = Repr { tag: VlanId::new(7).map(Tag::of), ..repr };
        assert_eq!(tagged.emit(&[0; 28]).len(), 64);
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_read_back(
            destination: [u8; 6], source: [u8; 6], tci: Option<u16>, ethertype in 0x0600_u16..,
            payload in proptest::collection::vec(any::<u8>(), 46..100),
        ) {
            let source = Mac([source[0] & 0xfe | 2, source[1], source[2], source[3], source[4], source[5]]);
            prop_assume!(ethertype != TPID_8021Q);
            let tag = tci.map(|tci| Tag { tpid: TPID_8021Q, tci });
            let repr = Repr { destination: Mac(destination), source, tag, ethertype };
            let frame = repr.emit(&payload);
            prop_assert_eq!(Repr::parse(&frame), Ok((repr, &payload[..])));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Repr::parse(&bytes);
        }
    }
}
