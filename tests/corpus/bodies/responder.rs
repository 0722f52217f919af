//! The speaker of an interface among hostile frames: it says only what it may.
#![allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ovn_vip::l2::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Tag};
use ovn_vip::l2::{ClaimMode, ClaimState, Interface, Peers, Received, Responder, Verdict};
use ovn_vip::l2::{arp, ethernet, ndp};
use ovn_vip::model::{Mac, VlanId};

use super::l2::set_checksum;

const OURS: Mac = Mac([0x0a, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([0x0a, 0, 0, 0, 0, 2]);
const VIPS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100))];

/// What a frame of ours says of a VIP.
#[derive(Debug, PartialEq)]
enum Said {
    Probe(IpAddr),
    ToAll(IpAddr),
    To(Mac, IpAddr),
}

/// A byte of settings (bit 0: VLAN 341; 1: one peer is known, else anybody may be one; 2: VIPs are probed for first), then
/// frames: a byte of which bits 0 and 1 are a tag that the kernel took off (none, ours, a priority tag, another), bit
/// 2 has the checksum of ICMPv6 put right, bits 3 to 7 are what passes before it, in 400 ms; a length; that many bytes.
pub fn responder(data: &[u8]) {
    let Some((&settings, mut rest)) = data.split_first() else { return };
    let interface = Interface { mac: OURS, vlan: VlanId::new(341).filter(|_| settings & 1 != 0) };
    let mut now = Instant::now();
    let mut responder = Responder::new(interface);
    if settings & 2 != 0 {
        responder.set_peers(Peers::Only(BTreeSet::from([PEER])));
    } else {
        responder.set_peers(Peers::Anybody);
    }
    let mode = if settings & 4 != 0 { ClaimMode::Probe } else { ClaimMode::TakeOver };
    responder.set_vips(&VIPS.map(|vip| (vip, mode)).into(), now);
    say(&mut responder, interface, now);
    let mut seen = 0;
    while let [control, length, tail @ ..] = rest {
        let (frame, after) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = after;
        now += Duration::from_millis(400) * u32::from(control >> 3);
        say(&mut responder, interface, now);
        judge(&mut responder, interface, &received(*control, frame), now);
        seen += 1;
        assert_eq!(responder.counters().values().sum::<u64>(), seen, "one verdict for every frame");
    }
}

fn received(control: u8, frame: &[u8]) -> Received {
    let mut bytes = frame.to_vec();
    if control & 4 != 0 {
        let tagged = bytes.get(12..14) == Some(&[0x81, 0]);
        if let Some(packet) = bytes.get_mut(if tagged { 18 } else { 14 }..) {
            set_checksum(packet);
        }
    }
    let stripped = match control & 3 {
        1 => VlanId::new(341).map(Tag::of),
        2 => Some(Tag { tpid: ethernet::TPID_8021Q, tci: 0xe000 }),
        3 => Some(Tag { tpid: 0x88a8, tci: 341 }),
        _ => None,
    };
    Received { bytes, stripped }
}

fn judge(responder: &mut Responder, interface: Interface, frame: &Received, now: Instant) {
    let before: BTreeMap<IpAddr, ClaimState> = responder.claims().collect();
    let verdict = responder.handle_frame(frame, now);
    let after: BTreeMap<IpAddr, ClaimState> = responder.claims().collect();
    let said = say(responder, interface, now);
    let answers = said.iter().filter(|said| matches!(said, Said::To(..))).count();
    match verdict {
        Verdict::Answered { vip, to } => {
            assert_eq!(before[&vip], ClaimState::Held, "only what is held is answered for");
            assert_eq!(asked_for(&frame.bytes), Some(vip), "what was asked for");
            let group = to == ndp::group_mac(ndp::ALL_NODES);
            assert_eq!(answers, usize::from(!group), "one answer, to the asker alone");
            assert_eq!(said.first(), Some(&if group { Said::ToAll(vip) } else { Said::To(to, vip) }));
        }
        Verdict::Conflict { vip, mac, outcome: _ } => {
            assert!(mac != OURS && before.contains_key(&vip) && answers == 0);
        }
        Verdict::Beat => panic!("a responder knows no beats"),
        Verdict::Ignored(_) => assert!(answers == 0 && before == after),
    }
}

/// The address that a request or a solicitation asks for.
fn asked_for(frame: &[u8]) -> Option<IpAddr> {
    let (header, payload) = ethernet::Repr::parse(frame).ok()?;
    match header.ethertype {
        ETHERTYPE_ARP => payload.first_chunk().map(|packet: &[u8; 28]| {
            assert_eq!(packet[6..8], [0, 1], "a request");
            Ipv4Addr::new(packet[24], packet[25], packet[26], packet[27]).into()
        }),
        ETHERTYPE_IPV6 => payload.first_chunk().map(|packet: &[u8; 64]| {
            assert_eq!(packet[40], 135, "a solicitation");
            Ipv6Addr::from(*packet[48..].first_chunk::<16>().unwrap()).into()
        }),
        _ => None,
    }
}

/// Fetches all that there is to say, and checks each frame: it is ours, of this VLAN, about a VIP, and claims none that
/// is not held.
fn say(responder: &mut Responder, interface: Interface, now: Instant) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some(frame) = responder.poll_transmit(now) {
        let (header, payload) = ethernet::Repr::parse(&frame).unwrap();
        assert_eq!((header.source, header.tag), (OURS, interface.vlan.map(Tag::of)));
        let found = match header.ethertype {
            ETHERTYPE_ARP => said_by_arp(header.destination, payload),
            ETHERTYPE_IPV6 => said_by_ndp(header.destination, payload),
            other => panic!("we said {other:#x}"),
        };
        let claims: BTreeMap<IpAddr, ClaimState> = responder.claims().collect();
        match found {
            Said::Probe(vip) => assert!(matches!(claims[&vip], ClaimState::Probing)),
            Said::ToAll(vip) | Said::To(_, vip) => assert_eq!(claims[&vip], ClaimState::Held),
        }
        said.push(found);
    }
    assert!(responder.poll_timeout().is_none_or(|at| at > now), "all that is due was said");
    said
}

fn said_by_arp(destination: Mac, payload: &[u8]) -> Said {
    let packet = arp::Repr::parse(payload).unwrap();
    assert_eq!(packet.sender_mac, OURS);
    if packet.sender_ip.is_unspecified() {
        return Said::Probe(packet.target_ip.into());
    }
    let vip = packet.sender_ip.into();
    if destination == Mac::BROADCAST { Said::ToAll(vip) } else { Said::To(destination, vip) }
}

fn said_by_ndp(destination: Mac, payload: &[u8]) -> Said {
    let packet = ndp::Repr::parse(payload).unwrap();
    match packet.message {
        ndp::Message::Solicitation { target, source_mac } => {
            assert!(packet.source.is_unspecified() && source_mac.is_none());
            Said::Probe(target.into())
        }
        ndp::Message::Advertisement { target, router, solicited, overrides, target_mac } => {
            assert_eq!((packet.source, router, overrides, target_mac), (target, false, true, Some(OURS)));
            let to_all = destination == ndp::group_mac(ndp::ALL_NODES);
            assert_eq!(to_all, !solicited);
            if to_all { Said::ToAll(target.into()) } else { Said::To(destination, target.into()) }
        }
    }
}
