//! Tests of matches.

use super::*;
use crate::flows::flow::tests::{any_flow, flow};
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> FoundMatch {
    let mut reader = Reader::new(bytes);
    let matches = take_match(&mut reader).unwrap();
    assert!(reader.is_empty());
    matches
}

/// The `ofp_match` of these fields.
fn wrap(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_match(&FoundMatch::Other(fields.to_vec()), &mut out);
    out
}

fn fields_of(matches: &Match) -> Vec<u8> {
    let mut fields = Vec::new();
    put_fields(matches, &mut fields);
    fields
}

proptest! {
    #[test]
    fn a_match_reads_what_it_writes(flow in any_flow()) {
        let mut out = Vec::new();
        put_match(&FoundMatch::Known(flow.matches.clone()), &mut out);
        prop_assert_eq!(out.len() % 8, 0);
        prop_assert_eq!(decode(&out), FoundMatch::Known(flow.matches));
    }

    #[test]
    fn any_fields_are_a_match_that_writes_the_same_bytes(fields in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = wrap(&fields);
        let mut again = Vec::new();
        put_match(&decode(&bytes), &mut again);
        if decode(&bytes) == FoundMatch::Other(fields) { prop_assert_eq!(again, bytes); }
    }
}

#[test]
fn the_order_of_fields_does_not_matter_and_a_full_mask_is_exact() {
    let wanted = flow("10.0.0.9", Traffic::Port(Protocol::Tcp, 80)).matches;
    let fields = fields_of(&wanted);
    let (in_port, rest) = fields.split_at(8);
    assert_eq!(decode(&wrap(&[rest, in_port].concat())), FoundMatch::Known(wanted.clone()));
    let masked = [&[0x80, 0, 1, 8], &in_port[4..], &[0xff; 4], rest].concat();
    assert_eq!(decode(&wrap(&masked)), FoundMatch::Known(wanted));
}

#[test]
fn a_match_that_is_wider_narrower_or_contradicts_itself_is_not_ours() {
    let wanted = flow("10.0.0.9", Traffic::Port(Protocol::Tcp, 80)).matches;
    let fields = fields_of(&wanted);
    let half_masked = [&[0x80, 0, 1, 8], &fields[4..8], &[0xff, 0xff, 0xff, 0], &fields[8..]].concat();
    let extra = [&fields[..], &[0x80, 0, 8 << 1, 1, 0]].concat();
    let twice = [&fields[..], &fields[..8]].concat();
    let mut udp = fields.clone();
    let at = udp.windows(4).position(|header| header == [0x80, 0, 20, 1]).unwrap();
    udp[at + 4] = 17;
    for fields in [half_masked, extra, twice, udp, fields[8..].to_vec(), Vec::new()] {
        assert_eq!(decode(&wrap(&fields)), FoundMatch::Other(fields));
    }
}

#[test]
fn a_rule_for_any_mac_is_read_where_it_has_every_other_field_and_no_more() {
    let tcp = flow("10.0.0.9", Traffic::Port(Protocol::Tcp, 80)).matches;
    let VipMatch { in_port, eth_dst: _, vlan, destination, source: _, traffic } = *tcp.vip().unwrap();
    let fields = fields_of(&flow("10.0.0.9", traffic).matches);
    let (in_port_field, rest) = (&fields[..8], &fields[18..]);
    let any_mac = |fields: &[u8]| decode(&wrap(fields)).any_mac();
    let wanted = AnyMac { in_port, vlan, destination, traffic };
    assert_eq!(any_mac(&[in_port_field, rest].concat()), Some(wanted));
    assert_eq!(any_mac(&fields), None, "it has a MAC");
    assert_eq!(any_mac(rest), None, "it has no port");
    let source = [0x80, 0, 11 << 1, 4, 10, 0, 0, 1];
    assert_eq!(any_mac(&[in_port_field, rest, &source].concat()), None, "it is for one client only");
}
