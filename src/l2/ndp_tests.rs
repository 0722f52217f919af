//! A message in bytes, each rule of RFC 4861 §7.1 broken once, and properties.

use super::*;
use proptest::prelude::*;

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A solicitation for fd00::2 from fd00::1, multicast, with its link-layer address.
fn solicitation() -> Repr {
    Repr {
        source: address("fd00::1"),
        destination: solicited_node(address("fd00::2")),
        message: Message::Solicitation {
            target: address("fd00::2"),
            source_mac: Some(Mac([0x0a, 0, 0, 0, 0, 1])),
        },
    }
}

/// The bytes of `solicitation()`, changed, with the checksum made right again.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Repr, NdpError> {
    let mut bytes = solicitation().emit();
    change(&mut bytes);
    let header = Ipv6Packet::new(&bytes).unwrap();
    let (source, destination) = (header.get_source(), header.get_destination());
    let mut general = MutableIcmpv6Packet::new(&mut bytes[IPV6_HEADER..]).unwrap();
    let sum = checksum(&general.to_immutable(), &source, &destination);
    general.set_checksum(sum);
    Repr::parse(&bytes)
}

#[test]
fn a_solicitation_is_written_as_the_rfc_draws_it() {
    let bytes = solicitation().emit();
    assert_eq!(&bytes[..8], &[0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!(&bytes[24..40], &address("ff02::1:ff00:2").octets());
    assert_eq!(&bytes[40..42], &[135, 0]);
    assert_eq!(&bytes[44..48], &[0; 4], "reserved");
    assert_eq!(&bytes[48..64], &address("fd00::2").octets());
    assert_eq!(&bytes[64..], &[1, 1, 0x0a, 0, 0, 0, 0, 1]);
    assert_eq!(Repr::parse(&bytes), Ok(solicitation()));
}

#[test]
fn the_answer_is_solicited_and_overrides() {
    let bytes = Repr::answer(address("fd00::2"), Mac([2; 6]), address("fd00::1")).emit();
    assert_eq!(&bytes[40..42], &[136, 0]);
    assert_eq!(bytes[44], 0x60, "S and O");
    assert_eq!(&bytes[64..], &[2, 1, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn the_answer_to_the_unspecified_address_goes_to_all_nodes_unsolicited() {
    let answer = Repr::answer(address("fd00::2"), Mac([2; 6]), Ipv6Addr::UNSPECIFIED);
    assert_eq!(answer.destination, ALL_NODES);
    assert_eq!(answer.emit()[44], 0x20, "O alone");
}

#[test]
fn the_groups_of_an_address_are_those_of_rfc_4291_and_rfc_2464() {
    let group = solicited_node(address("4037::01:800:200e:8c6c"));
    assert_eq!(group, address("ff02::1:ff0e:8c6c"));
    assert_eq!(group_mac(group), Mac([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]));
}

#[test]
fn a_message_that_came_through_a_router_is_refused() {
    assert_eq!(changed(|bytes| bytes[7] = 254), Err(NdpError::HopLimit));
}

#[test]
fn a_code_other_than_0_is_refused() {
    assert_eq!(changed(|bytes| bytes[41] = 1), Err(NdpError::Code));
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut bytes = solicitation().emit();
    bytes[43] ^= 1;
    assert_eq!(Repr::parse(&bytes), Err(NdpError::Checksum));
}

#[test]
fn a_multicast_target_and_a_multicast_source_are_refused() {
    assert_eq!(changed(|bytes| bytes[48] = 0xff), Err(NdpError::MulticastTarget));
    assert_eq!(changed(|bytes| bytes[8] = 0xff), Err(NdpError::MulticastSource));
}

#[test]
fn an_option_of_length_0_or_past_the_end_is_refused() {
    for units in [0, 2, 32, 255] {
        assert_eq!(changed(|bytes| bytes[65] = units), Err(NdpError::OptionLength), "{units}");
    }
}

#[test]
fn half_an_option_is_refused() {
    let half = changed(|bytes| {
        bytes.truncate(65);
        bytes[5] = 25;
    });
    assert_eq!(half, Err(NdpError::OptionLength));
}

#[test]
fn a_group_as_link_layer_address_is_refused() {
    assert_eq!(changed(|bytes| bytes[66] = 0x33), Err(NdpError::OptionNotStation));
}

#[test]
fn an_unknown_option_is_skipped() {
    let nonce = changed(|bytes| {
        bytes[5] = 40;
        bytes.extend([14, 1, 1, 2, 3, 4, 5, 6]);
    });
    assert_eq!(nonce, Ok(solicitation()));
}

#[test]
fn an_unspecified_source_gives_no_link_layer_address_and_asks_the_solicited_node_group() {
    let Message::Solicitation { target, .. } = solicitation().message else { unreachable!() };
    let probe = Repr {
        source: Ipv6Addr::UNSPECIFIED,
        message: Message::Solicitation { target, source_mac: None },
        ..solicitation()
    };
    assert_eq!(Repr::parse(&probe.emit()), Ok(probe));
    let with_mac = Repr { message: solicitation().message, ..probe };
    assert_eq!(Repr::parse(&with_mac.emit()), Err(NdpError::UnspecifiedSource));
    let elsewhere = Repr { destination: ALL_NODES, ..probe };
    assert_eq!(Repr::parse(&elsewhere.emit()), Err(NdpError::UnspecifiedSource));
}

#[test]
fn a_solicited_advertisement_to_a_group_is_refused() {
    let answer = Repr::answer(address("fd00::2"), Mac([2; 6]), address("fd00::1"));
    let bytes = Repr { destination: ALL_NODES, ..answer }.emit();
    assert_eq!(Repr::parse(&bytes), Err(NdpError::SolicitedMulticast));
}

#[test]
fn echo_requests_extension_headers_and_ipv4_are_told_apart() {
    assert_eq!(changed(|bytes| bytes[40] = 128), Err(NdpError::OtherMessage));
    assert_eq!(changed(|bytes| bytes[6] = 44), Err(NdpError::NotIcmpv6));
    assert_eq!(changed(|bytes| bytes[0] = 0x45), Err(NdpError::NotIpv6));
}

#[test]
fn padding_behind_the_payload_is_ignored_and_a_missing_byte_is_not() {
    let mut padded = solicitation().emit();
    padded.extend([0xee; 9]);
    assert_eq!(Repr::parse(&padded), Ok(solicitation()));
    let whole = solicitation().emit();
    for length in 0..whole.len() {
        assert_eq!(Repr::parse(&whole[..length]), Err(NdpError::Truncated), "{length} bytes");
    }
}

fn message() -> impl Strategy<Value = Message> {
    let mac = proptest::option::of(any::<[u8; 5]>().prop_map(|[b, c, d, e, f]| Mac([2, b, c, d, e, f])));
    (any::<[bool; 3]>(), any::<[u8; 15]>(), any::<bool>(), mac).prop_map(|(flags, rest, asks, mac)| {
        let mut octets = [0xfd; 16];
        octets[1..].copy_from_slice(&rest);
        let (target, [router, solicited, overrides]) = (Ipv6Addr::from(octets), flags);
        if asks {
            Message::Solicitation { target, source_mac: mac }
        } else {
            Message::Advertisement { target, router, solicited, overrides, target_mac: mac }
        }
    })
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_back(message in message(), source: [u8; 15], destination: [u8; 15]) {
        let unicast = |rest: [u8; 15]| {
            let mut octets = [0x20; 16];
            octets[1..].copy_from_slice(&rest);
            Ipv6Addr::from(octets)
        };
        let repr = Repr { source: unicast(source), destination: unicast(destination), message };
        prop_assert_eq!(Repr::parse(&repr.emit()), Ok(repr));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = Repr::parse(&bytes);
    }

    #[test]
    fn no_options_make_the_parser_panic(options in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = changed(|bytes| {
            bytes.truncate(64);
            bytes[4..6].copy_from_slice(&(24 + options.len() as u16).to_be_bytes());
            bytes.extend(options);
        });
    }
}
