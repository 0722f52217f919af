//! Questions in frames, answers in frames; virtual time; frames broken at random.
#![allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]

use super::*;
use crate::l2::claim::{ROUNDS, SPACING};
use crate::l2::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Tag};
use crate::l2::ndp::Message;
use crate::l2::{arp, ethernet, ndp};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

#[path = "contest_tests.rs"]
mod contest;

const OURS: Mac = Mac([0x0a, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([0x0a, 0, 0, 0, 0, 2]);
const ALL: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn v6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)
}

fn set(vips: &[IpAddr]) -> BTreeMap<IpAddr, ClaimMode> {
    vips.iter().map(|vip| (*vip, ClaimMode::TakeOver)).collect()
}

/// One that has 10.0.0.100 and fd00::100, its announcements already said.
fn quiet(vlan: Option<VlanId>) -> (Responder, Instant) {
    let mut responder = Responder::new(Interface { mac: OURS, vlan });
    let start = Instant::now();
    responder.set_vips(&set(&[v4(100).into(), v6(0x100).into()]), start);
    let mut now = start;
    while let Some(at) = responder.poll_timeout() {
        now = now.max(at);
        while responder.poll_transmit(now).is_some() {}
    }
    (responder, now)
}

fn incoming(bytes: Vec<u8>) -> Received {
    Received { bytes, stripped: None }
}

fn frame(destination: Mac, ethertype: u16, payload: &[u8]) -> Received {
    incoming(ethernet::Repr { destination, source: PEER, tag: None, ethertype }.emit(payload))
}

fn request(sender: Ipv4Addr, target: Ipv4Addr) -> arp::Repr {
    let operation = arp::Operation::Request;
    arp::Repr { operation, sender_mac: PEER, sender_ip: sender, target_mac: Mac::ZERO, target_ip: target }
}

fn asks(packet: arp::Repr) -> Received {
    frame(Mac::BROADCAST, ETHERTYPE_ARP, &packet.emit())
}

fn solicits(source: Ipv6Addr, target: Ipv6Addr, destination: Ipv6Addr, source_mac: Option<Mac>) -> Received {
    let to = if destination.is_multicast() { ndp::group_mac(destination) } else { OURS };
    let packet = ndp::Repr { source, destination, message: Message::Solicitation { target, source_mac } };
    frame(to, ETHERTYPE_IPV6, &packet.emit())
}

fn answered(responder: &mut Responder, received: &Received, now: Instant) -> Option<Vec<u8>> {
    let verdict = responder.handle_frame(received, now);
    assert!(matches!(verdict, Verdict::Answered { .. }), "{verdict:?}");
    responder.poll_transmit(now)
}

fn ignored(reason: Reason) -> Verdict {
    Verdict::Ignored(reason)
}

#[test]
fn an_arp_request_is_answered_with_our_mac_to_the_asker_alone() {
    let (mut responder, now) = quiet(None);
    let answer = answered(&mut responder, &asks(request(v4(1), v4(100))), now).unwrap();
    let (header, payload) = ethernet::Repr::parse(&answer).unwrap();
    assert_eq!((header.destination, header.source), (PEER, OURS));
    let reply = arp::Repr::parse(payload).unwrap();
    assert_eq!(reply.operation, arp::Operation::Reply);
    assert_eq!((reply.sender_mac, reply.sender_ip), (OURS, v4(100)));
    assert_eq!((reply.target_mac, reply.target_ip), (PEER, v4(1)));
    assert_eq!(responder.poll_transmit(now), None);
}

#[test]
fn a_unicast_request_and_an_rfc_5227_probe_are_answered() {
    let (mut responder, now) = quiet(None);
    let unicast = frame(OURS, ETHERTYPE_ARP, &request(v4(1), v4(100)).emit());
    assert!(answered(&mut responder, &unicast, now).is_some());
    assert!(answered(&mut responder, &asks(request(Ipv4Addr::UNSPECIFIED, v4(100))), now).is_some());
}

#[test]
fn the_answer_goes_to_the_arp_sender_where_a_relay_sent_the_frame() {
    let (mut responder, now) = quiet(None);
    let relayed = arp::Repr { sender_mac: Mac([2; 6]), ..request(v4(1), v4(100)) };
    let answer = answered(&mut responder, &asks(relayed), now).unwrap();
    assert_eq!(ethernet::Repr::parse(&answer).unwrap().0.destination, Mac([2; 6]));
}

#[test]
fn what_is_not_for_us_is_ignored_with_its_reason() {
    let (mut responder, now) = quiet(None);
    let other = frame(Mac([2; 6]), ETHERTYPE_ARP, &request(v4(1), v4(100)).emit());
    let reply = arp::Repr { operation: arp::Operation::Reply, ..request(v4(1), v4(100)) };
    let ours = arp::Repr { sender_mac: OURS, ..request(v4(1), v4(100)) };
    let mut looped = asks(request(v4(1), v4(100)));
    looped.bytes[6..12].copy_from_slice(&OURS.0);
    let told = ndp::Repr::answer(v6(7), PEER, v6(1));
    let mut flooded = solicits(v6(1), v6(0x100), v6(0x100), Some(PEER));
    flooded.bytes[..6].copy_from_slice(&[2; 6]);
    for (received, reason) in [
        (asks(request(v4(1), v4(101))), Reason::NotOurVip),
        (other, Reason::WrongDestination),
        (asks(reply), Reason::ArpReply),
        (asks(ours), Reason::OwnFrame),
        (looped, Reason::OwnFrame),
        (frame(OURS, 0x0800, &[]), Reason::OtherProtocol),
        (frame(OURS, ETHERTYPE_IPV6, &told.emit()), Reason::NeighborAdvertisement),
        (solicits(v6(1), v6(0x101), ndp::solicited_node(v6(0x101)), Some(PEER)), Reason::NotOurVip),
        (solicits(v6(1), v6(0x100), ndp::solicited_node(v6(0x101)), Some(PEER)), Reason::WrongDestination),
        (flooded, Reason::WrongDestination),
        (incoming(vec![0; 9]), Reason::Ethernet(ethernet::EthernetError::Truncated)),
        (frame(OURS, ETHERTYPE_ARP, &[]), Reason::Arp(arp::ArpError::NotEthernetIpv4)),
        (frame(OURS, ETHERTYPE_IPV6, &[]), Reason::Ndp(ndp::NdpError::NotIpv6)),
    ] {
        assert_eq!(responder.handle_frame(&received, now), ignored(reason));
        assert_eq!(responder.poll_transmit(now), None, "{reason:?}");
    }
    let counters = responder.counters();
    assert_eq!(counters.values().sum::<u64>(), 13);
    assert_eq!(counters[&VerdictKind::Ignored(Reason::OwnFrame)], 2);
}

#[test]
fn solicitations_to_the_group_to_all_nodes_and_to_the_vip_are_answered_to_the_asker() {
    let (mut responder, now) = quiet(None);
    for destination in [ndp::solicited_node(v6(0x100)), ndp::ALL_NODES, v6(0x100)] {
        for named in [Some(PEER), None] {
            let received = solicits(v6(1), v6(0x100), destination, named);
            let answer = answered(&mut responder, &received, now).unwrap();
            let (header, payload) = ethernet::Repr::parse(&answer).unwrap();
            assert_eq!((header.destination, header.source), (PEER, OURS));
            assert_eq!(ndp::Repr::parse(payload), Ok(ndp::Repr::answer(v6(0x100), OURS, v6(1))));
        }
    }
}

#[test]
fn a_duplicate_address_probe_is_answered_to_all_nodes() {
    let (mut responder, now) = quiet(None);
    let probe = solicits(Ipv6Addr::UNSPECIFIED, v6(0x100), ndp::solicited_node(v6(0x100)), None);
    let answer = answered(&mut responder, &probe, now).unwrap();
    let (header, payload) = ethernet::Repr::parse(&answer).unwrap();
    assert_eq!(header.destination, ALL);
    assert_eq!(ndp::Repr::parse(payload), Ok(ndp::Repr::announcement(v6(0x100), OURS)));
}

#[test]
fn a_tagged_interface_takes_its_own_tag_wherever_it_is_and_answers_with_it() {
    let vlan = VlanId::new(341);
    let ours = Tag::of(vlan.unwrap());
    let (mut responder, now) = quiet(vlan);
    let plain = asks(request(v4(1), v4(100)));
    let stripped = |tag| Received { stripped: Some(tag), ..plain.clone() };
    let (header, payload) = ethernet::Repr::parse(&plain.bytes).unwrap();
    let written = incoming(ethernet::Repr { tag: Some(ours), ..header }.emit(payload));
    for received in [stripped(Tag { tci: ours.tci | 0xa000, ..ours }), written.clone()] {
        let answer = answered(&mut responder, &received, now).unwrap();
        assert_eq!(ethernet::Repr::parse(&answer).unwrap().0.tag, Some(ours));
    }
    let twice = Received { stripped: Some(ours), ..written };
    let service = stripped(Tag { tpid: 0x88a8, ..ours });
    let other = stripped(Tag { tci: 342, ..ours });
    for received in [plain, twice, service, other] {
        assert_eq!(responder.handle_frame(&received, now), ignored(Reason::OtherVlan));
    }
}

#[test]
fn an_untagged_interface_takes_a_priority_tag_and_no_other() {
    let (mut responder, now) = quiet(None);
    let tagged = |tci| {
        let stripped = Some(Tag { tpid: ethernet::TPID_8021Q, tci });
        Received { stripped, ..asks(request(v4(1), v4(100))) }
    };
    assert!(answered(&mut responder, &tagged(0x6000), now).is_some());
    assert_eq!(responder.handle_frame(&tagged(341), now), ignored(Reason::OtherVlan));
}

#[test]
fn a_claim_is_announced_in_both_arp_forms_and_by_advertisement_in_spaced_rounds_and_then_silence() {
    let mut responder = Responder::new(Interface { mac: OURS, vlan: None });
    let start = Instant::now();
    responder.set_vips(&set(&[v4(100).into(), v6(0x100).into()]), start);
    let mut said = Vec::new();
    while let Some(at) = responder.poll_timeout() {
        while let Some(frame) = responder.poll_transmit(at) {
            said.push((at - start, frame));
        }
    }
    let times = |wanted: &[u8]| -> Vec<u128> {
        let of = said.iter().filter(|(_, frame)| frame[14..].starts_with(wanted));
        of.map(|(at, _)| at.as_millis()).collect()
    };
    let (request, reply) =
        (arp::Repr::announcement(v4(100), OURS), arp::Repr::gratuitous_reply(v4(100), OURS));
    assert_eq!(times(&request.emit()), [0, 1100, 2200]);
    assert_eq!(times(&reply.emit()), [0, 1100, 2200]);
    assert_eq!(times(&ndp::Repr::announcement(v6(0x100), OURS).emit()).len(), usize::from(ROUNDS));
    assert_eq!(said.len(), 9);
    assert_eq!(responder.poll_transmit(start + Duration::from_secs(3600)), None);
}

#[test]
fn a_withdrawn_vip_is_never_spoken_again_whatever_was_pending() {
    let (mut responder, now) = quiet(None);
    responder.set_vips(&set(&[v4(100).into(), v4(101).into(), v6(0x100).into()]), now);
    assert!(responder.poll_transmit(now).is_some(), "the first half of the first round");
    responder.handle_frame(&asks(request(v4(1), v4(101))), now);
    responder.handle_frame(&solicits(v6(1), v6(0x100), v6(0x100), Some(PEER)), now);
    responder.set_vips(&set(&[v4(100).into()]), now);
    assert_eq!(responder.poll_timeout(), None);
    assert_eq!(responder.poll_transmit(now + SPACING), None);
    assert_eq!(responder.handle_frame(&asks(request(v4(1), v4(101))), now), ignored(Reason::NotOurVip));
}

#[test]
fn a_vip_that_stays_is_not_announced_anew() {
    let (mut responder, now) = quiet(None);
    responder.set_vips(&set(&[v4(100).into(), v6(0x100).into()]), now);
    responder.set_interface(Interface { mac: OURS, vlan: None }, now);
    assert_eq!((responder.poll_timeout(), responder.poll_transmit(now)), (None, None));
}

#[test]
fn a_changed_mac_is_announced_for_every_vip_and_pending_answers_carry_it() {
    let (mut responder, now) = quiet(None);
    responder.handle_frame(&asks(request(v4(1), v4(100))), now);
    responder.set_interface(Interface { mac: Mac([2; 6]), vlan: None }, now);
    let said: Vec<_> = std::iter::from_fn(|| responder.poll_transmit(now)).collect();
    assert_eq!(said.len(), 1 + 2 + 1, "the answer, both ARP forms, one advertisement");
    assert!(said.iter().all(|frame| frame[6..12] == [2; 6]));
}

#[test]
fn a_round_begun_with_the_old_mac_is_not_finished_with_it() {
    let (mut responder, now) = quiet(None);
    responder.set_vips(&set(&[v4(100).into(), v4(101).into(), v6(0x100).into()]), now);
    assert_eq!(responder.poll_transmit(now).unwrap()[6..12], OURS.0);
    responder.set_interface(Interface { mac: Mac([2; 6]), vlan: None }, now);
    let said: Vec<_> = std::iter::from_fn(|| responder.poll_transmit(now)).collect();
    assert_eq!(said.len(), 5);
    assert!(said.iter().all(|frame| frame[6..12] == [2; 6]));
}

#[test]
fn answers_that_nobody_fetches_are_bounded() {
    let (mut responder, now) = quiet(None);
    let received = asks(request(v4(1), v4(100)));
    let taken =
        (0..2000).filter(|_| responder.handle_frame(&received, now) != ignored(Reason::Overloaded)).count();
    assert_eq!(taken, MOST_ANSWERS);
}

/// All that may ever leave: from us, for a VIP of ours, in our VLAN; an ARP answer to one station.
fn check_true(
    frame: &[u8],
    vlan: Option<VlanId>,
    vips: &BTreeMap<IpAddr, ClaimMode>,
) -> Result<(), TestCaseError> {
    let (header, payload) = ethernet::Repr::parse(frame).expect("we emit frames");
    prop_assert_eq!((header.source, header.tag), (OURS, vlan.map(Tag::of)));
    if header.ethertype == ETHERTYPE_ARP {
        let packet = arp::Repr::parse(payload).expect("we emit ARP");
        prop_assert!(vips.contains_key(&packet.sender_ip.into()));
        prop_assert_eq!((packet.sender_mac, packet.operation), (OURS, arp::Operation::Reply));
        prop_assert_eq!(header.destination, packet.target_mac);
        prop_assert!(!header.destination.is_group());
        return Ok(());
    }
    let packet = ndp::Repr::parse(payload).expect("we emit advertisements");
    prop_assert!(vips.contains_key(&packet.source.into()));
    let Message::Advertisement { target, solicited, target_mac, .. } = packet.message else {
        return Err(TestCaseError::fail("we never solicit"));
    };
    prop_assert_eq!((target, target_mac), (packet.source, Some(OURS)));
    prop_assert_eq!(header.destination == ALL, !solicited);
    prop_assert_eq!(header.destination.is_group(), !solicited);
    Ok(())
}

fn questions() -> [Received; 4] {
    [
        asks(request(v4(1), v4(100))),
        asks(request(Ipv4Addr::UNSPECIFIED, v4(100))),
        solicits(v6(1), v6(0x100), ndp::solicited_node(v6(0x100)), Some(PEER)),
        solicits(Ipv6Addr::UNSPECIFIED, v6(0x100), ndp::solicited_node(v6(0x100)), None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_question_broken_anywhere_never_makes_us_say_something_wrong(
        which in 0..4_usize, changes in proptest::collection::vec((0..86_usize, any::<u8>()), 1..4),
        cut in proptest::option::of(0..86_usize), tci in proptest::option::of(prop_oneof![Just(341_u16), any::<u16>()]),
        tagged: bool,
    ) {
        let vlan = VlanId::new(341).filter(|_| tagged);
        let (mut responder, now) = quiet(vlan);
        let mut received = questions()[which].clone();
        received.stripped = tci.map(|tci| Tag { tpid: ethernet::TPID_8021Q, tci });
        for (at, value) in changes {
            if let Some(byte) = received.bytes.get_mut(at) { *byte = value; }
        }
        received.bytes.truncate(cut.unwrap_or(usize::MAX));
        let verdict = responder.handle_frame(&received, now);
        let said = responder.poll_transmit(now);
        prop_assert_eq!(said.is_some(), matches!(verdict, Verdict::Answered { .. }));
        if let Some(frame) = said {
            check_true(&frame, vlan, &set(&[v4(100).into(), v6(0x100).into()]))?;
        }
    }
}
