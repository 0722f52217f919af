//! What a frame costs the responder: answered, foreign, at 1, 1,000 and 10,000 VIPs.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(missing_docs, reason = "criterion's macros write the functions")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use ovn_vip::l2::{ClaimMode, Interface, Received, Responder, arp, ethernet, ndp};
use ovn_vip::model::Mac;

const OURS: Mac = Mac([0x0a, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([0x0a, 0, 0, 0, 0, 2]);

fn v4(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

fn v6(number: u32) -> Ipv6Addr {
    Ipv6Addr::from((0xfd00_u128 << 112) + u128::from(number))
}

/// Half of the VIPs of each family, their announcements said.
fn responder(count: u32) -> (Responder, Instant) {
    let mut now = Instant::now();
    let mut responder = Responder::new(Interface { mac: OURS, vlan: None });
    let vips: BTreeMap<IpAddr, ClaimMode> = (0..count.div_ceil(2))
        .flat_map(|n| [v4(n).into(), v6(n).into()])
        .map(|vip: IpAddr| (vip, ClaimMode::TakeOver))
        .collect();
    responder.set_vips(&vips, now);
    while let Some(at) = responder.poll_timeout() {
        now = at;
        while responder.poll_transmit(now).is_some() {}
    }
    (responder, now)
}

fn received(destination: Mac, ethertype: u16, payload: &[u8]) -> Received {
    let bytes = ethernet::Repr { destination, source: PEER, tag: None, ethertype }.emit(payload);
    Received { bytes, stripped: None }
}

fn arp_request(target: Ipv4Addr) -> Received {
    let request = arp::Repr {
        operation: arp::Operation::Request,
        sender_mac: PEER,
        sender_ip: Ipv4Addr::new(10, 9, 9, 9),
        target_mac: Mac::ZERO,
        target_ip: target,
    };
    received(Mac::BROADCAST, ethernet::ETHERTYPE_ARP, &request.emit())
}

fn solicitation(target: Ipv6Addr) -> Received {
    let destination = ndp::solicited_node(target);
    let message = ndp::Message::Solicitation { target, source_mac: Some(PEER) };
    let packet = ndp::Repr { source: v6(0xffff_ffff), destination, message };
    received(ndp::group_mac(destination), ethernet::ETHERTYPE_IPV6, &packet.emit())
}

fn frames(criterion: &mut Criterion) {
    for count in [1, 1000, 10_000] {
        let middle = count / 4;
        for (name, frame) in [
            ("arp answered", arp_request(v4(middle))),
            ("arp foreign", arp_request(v4(0x00ff_ffff))),
            ("ndp answered", solicitation(v6(middle))),
            ("ndp foreign", solicitation(v6(0xfffe_0000))),
        ] {
            let (mut responder, now) = responder(count);
            criterion.bench_function(&format!("{name}, {count} VIPs"), |bencher| {
                bencher.iter(|| {
                    let verdict = responder.handle_frame(black_box(&frame), now);
                    (verdict, responder.poll_transmit(now))
                });
            });
        }
    }
}

fn changes(criterion: &mut Criterion) {
    for count in [1000, 10_000] {
        let vips: BTreeMap<IpAddr, ClaimMode> =
            (0..count).map(|n| (v4(n).into(), ClaimMode::TakeOver)).collect();
        let now = Instant::now();
        criterion.bench_function(&format!("claim {count} VIPs"), |bencher| {
            bencher.iter(|| {
                let mut responder = Responder::new(Interface { mac: OURS, vlan: None });
                responder.set_vips(black_box(&vips), now);
                responder
            });
        });
    }
}

criterion_group!(benches, frames, changes);
criterion_main!(benches);
