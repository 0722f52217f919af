//! The codecs of frames: what parses is emitted as it was.

use ovn_vip::l2::beat::{Beat, Keys};
use ovn_vip::l2::{Interface, Received, arp, ethernet, ndp};
use ovn_vip::model::Mac;

/// The IPv6 header (RFC 8200 §3).
const IPV6_HEADER: usize = 40;

/// The payload of a frame.
pub fn arp(data: &[u8]) {
    let Ok(repr) = arp::Repr::parse(data) else { return };
    assert!(is_station(repr.sender_mac));
    assert_eq!(repr.emit()[..], data[..28]);
}

/// Two bytes that choose what is altered, then a beat without its Ethernet header: read without a key, it is written as it is
/// read; signed, it is believed as it is, and with any byte altered it is not.
pub fn beat(data: &[u8]) {
    const HEARER: Interface = Interface { mac: Mac([2, 0, 0, 0, 0, 2]), vlan: None };
    let Some((choice, payload)) = data.split_first_chunk::<2>() else { return };
    let header = [0x03, 0x6f, 0x76, 0x6e, 0x2d, 0x76, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    let read = |bytes: Vec<u8>, keys: &Keys| Beat::parse(&Received { bytes, stripped: None }, HEARER, keys);
    let frame = [&header[..], payload].concat();
    let (key, other) = (Keys::read("key"), Keys::read("other"));
    assert!(read(frame.clone(), &key).is_err(), "nobody signed it");
    let Ok((sender, beat)) = read(frame, &Keys::default()) else { return };
    let signed = beat.emit(sender, None, &key);
    assert_eq!(read(signed.clone(), &key), Ok((sender, beat.clone())));
    assert!(read(signed.clone(), &other).is_err());
    let mut altered = signed.clone();
    let at = usize::from(u16::from_be_bytes(*choice)) % (signed.len() - 6) + 6;
    altered[at] ^= choice[0] | 1;
    // Where padding was altered the beat is the same.
    assert!(read(altered, &key).map_or(true, |(_, read)| read == beat));
}

/// A frame.
pub fn dot1q(data: &[u8]) {
    let Ok((repr, payload)) = ethernet::Repr::parse(data) else { return };
    assert!(is_station(repr.source));
    if let Some(tag) = repr.tag {
        assert_eq!(tag.vlan().is_ok(), tag.tci & 0x0fff != 0x0fff);
    }
    let emitted = repr.emit(payload);
    assert!(emitted.len() >= 60 && emitted.starts_with(data));
    assert!(emitted[data.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(ethernet::Repr::parse(&emitted).map(|(repr, _)| repr), Ok(repr));
}

/// An IPv6 packet; it is tried with its own checksum and with the right one.
pub fn ndp(data: &[u8]) {
    let mut packet = data.to_vec();
    let given = ndp::Repr::parse(&packet);
    set_checksum(&mut packet);
    let repr = match (given, ndp::Repr::parse(&packet)) {
        (Ok(given), repaired) => {
            assert_eq!(repaired, Ok(given));
            assert_eq!(packet, data, "a checksum that we have not computed was taken");
            given
        }
        (Err(_), Ok(repaired)) => repaired,
        (Err(_), Err(_)) => return,
    };
    assert_eq!((packet[7], packet[41]), (255, 0));
    assert!(!repr.source.is_multicast());
    assert_eq!(ndp::Repr::parse(&repr.emit()), Ok(repr));
}

/// Puts the checksum of RFC 4443 §2.3 into an ICMPv6 packet, computed without the crate's help; leaves anything else.
pub fn set_checksum(packet: &mut [u8]) {
    let Some(&[high, low]) = packet.get(4..6) else { return };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let Some(message) = packet.get(IPV6_HEADER..IPV6_HEADER + length).filter(|_| length >= 4) else { return };
    let words = |bytes: &[u8]| -> u64 {
        let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
        bytes.chunks(2).map(word).sum()
    };
    let own = u64::from(u16::from_be_bytes([message[2], message[3]]));
    let mut sum = words(&packet[8..IPV6_HEADER]) + length as u64 + 58 + words(message) - own;
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    packet[IPV6_HEADER + 2..IPV6_HEADER + 4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// One station: neither a group nor zero.
pub fn is_station(mac: Mac) -> bool {
    mac.0[0] & 1 == 0 && mac != Mac::ZERO
}
