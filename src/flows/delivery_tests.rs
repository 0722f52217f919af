//! A conversation with a bridge of ten lines, in virtual time.

use super::verdict::met;
use super::*;
use crate::flows::wire::{flow_reply, group_action, group_reply, no_flow_reply, removal};
use std::net::Ipv4Addr;

const HELLO: [u8; 16] = [4, 0, 0, 16, 0, 0, 0, 9, 0, 1, 0, 8, 0, 0, 0, 0x10];
const START: Duration = Duration::from_secs(1);

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn subnet(number: u8) -> SubnetName {
    format!("subnet{number}").as_str().into()
}

/// The wish of one subnet.
fn one_of(number: u8, wish: Wish) -> BTreeMap<SubnetName, Wish> {
    [(subnet(number), wish)].into()
}

/// The wish of the first subnet for the VIP .9.
fn one(wish: Wish) -> Wishes {
    [(ip(9), one_of(1, wish))].into()
}

fn wish(ports: usize, local: &[u8], elsewhere: &[u8]) -> Wish {
    let addresses = |lasts: &[u8]| lasts.iter().map(|last| ip(*last)).collect();
    Wish { ports, local: addresses(local), elsewhere: addresses(elsewhere) }
}

/// Types and xids of the requests that wait to be sent; they are sent by this, and pulses answered.
fn requests(delivery: &mut Delivery) -> Vec<(u8, u32)> {
    let mut framer = Framer::default();
    framer.push(&std::mem::take(delivery.output()));
    let mut seen = Vec::new();
    while let Some(message) = framer.next_message().unwrap() {
        seen.push((message[1], u32::from_be_bytes(message[4..8].try_into().unwrap())));
    }
    for (_, xid) in seen.extract_if(.., |(kind, _)| *kind == 2) {
        let reply = [&[4, 3, 0, 8][..], &xid.to_be_bytes()].concat();
        delivery.receive(START, &reply).unwrap();
    }
    seen
}

/// Answers a round for one VIP: a flow for each of the groups. Whether that was news.
fn answer(delivery: &mut Delivery, now: Duration, groups: &[&[u8]]) -> bool {
    let asked = requests(delivery);
    let [(_, flows), (_, desc)] = asked[..] else { panic!("{asked:?}") };
    if groups.is_empty() {
        delivery.receive(now, &no_flow_reply(flows)).unwrap();
        return delivery.receive(now, &group_reply(desc, 1, &[])).unwrap();
    }
    let mut news = false;
    for (number, _) in (1..).zip(groups) {
        news |= delivery.receive(now, &flow_reply(flows, 1, &[group_action(number)])).unwrap();
    }
    assert!(!news, "not before the groups are known");
    for (number, targets) in (1..).zip(groups) {
        let targets: Vec<IpAddr> = targets.iter().map(|last| ip(*last)).collect();
        let mut reply = group_reply(desc, number, &targets);
        let is_last = number as usize == groups.len();
        reply[11] = u8::from(!is_last);
        news |= delivery.receive(now, &reply).unwrap();
    }
    news
}

/// One that wants this of the VIP .9, and has said hello.
fn greeted(wish: Wish) -> Delivery {
    let mut delivery = Delivery::new(START, one(wish));
    assert_eq!(requests(&mut delivery), [(0, 1)]);
    delivery.receive(START, &HELLO).unwrap();
    delivery
}

#[test]
fn a_vip_is_delivered_once_its_flow_translates_to_a_local_backend() {
    let mut delivery = greeted(wish(1, &[1, 2], &[3]));
    assert!(!answer(&mut delivery, START, &[]), "no flow yet");
    assert!(!delivery.confirms(&subnet(1), ip(9)));
    assert_eq!(delivery.deadline(), Some(START + FIRST_PAUSE));
    delivery.tick(START + FIRST_PAUSE).unwrap();
    assert!(answer(&mut delivery, START + FIRST_PAUSE, &[&[1]]));
    assert!(delivery.confirms(&subnet(1), ip(9)));
    assert_eq!(delivery.deadline, Some(START + FIRST_PAUSE + SWEEP), "it is looked at again");
}

#[test]
fn a_translation_to_another_nodes_backend_is_none() {
    for groups in [&[3][..], &[1, 3], &[]] {
        let mut delivery = greeted(wish(1, &[1, 2], &[3]));
        assert!(!answer(&mut delivery, START, &[groups]), "{groups:?}");
    }
}

#[test]
fn kube_ovns_fall_back_to_all_backends_beside_the_local_ones_does_not_matter() {
    let mut delivery = greeted(wish(1, &[1], &[3]));
    assert!(answer(&mut delivery, START, &[&[1, 3], &[1]]));
}

#[test]
fn every_port_needs_a_translation() {
    let mut delivery = greeted(wish(2, &[1], &[]));
    assert!(!answer(&mut delivery, START, &[&[1]]));
    delivery.tick(START + FIRST_PAUSE).unwrap();
    assert!(answer(&mut delivery, START + FIRST_PAUSE, &[&[1], &[1]]));
}

#[test]
fn what_is_delivered_stays_so_while_one_of_its_backends_stays() {
    let mut delivery = greeted(wish(1, &[1, 2], &[]));
    assert!(answer(&mut delivery, START, &[&[1, 2]]));
    delivery.set_wanted(START, one(wish(1, &[2, 4], &[])));
    assert!(delivery.confirms(&subnet(1), ip(9)));
    delivery.set_wanted(START, one(wish(1, &[5], &[])));
    assert!(!delivery.confirms(&subnet(1), ip(9)), "all of them are others");
    delivery.set_wanted(START, BTreeMap::new());
    assert!(!delivery.confirms(&subnet(1), ip(9)));
}

#[test]
fn the_pauses_grow_to_half_a_second_and_a_silent_bridge_ends_it() {
    let mut delivery = greeted(wish(1, &[1], &[]));
    let mut now = START;
    for _ in 0..20 {
        answer(&mut delivery, now, &[]);
        let next = delivery.deadline.unwrap();
        assert!(next - now <= LONGEST_PAUSE);
        now = next;
        delivery.tick(now).unwrap();
    }
    assert_eq!(delivery.pause, LONGEST_PAUSE);
    let overdue = delivery.tick(now + ANSWER_WITHIN);
    assert_eq!(overdue, Err(SessionError::Stopped));
}

#[test]
fn every_vip_has_its_turn_however_many_there_are() {
    let vips = |count: u32| {
        (0..count)
            .map(|number| (IpAddr::from((0x0a00_0000 + number).to_be_bytes()), one_of(1, wish(1, &[1], &[]))))
    };
    let mut delivery = Delivery::new(START, vips(600).collect());
    delivery.receive(START, &HELLO).unwrap();
    let (mut asked, mut now) = (BTreeSet::new(), START);
    for _ in 0..3 {
        let Phase::Asking(round) = &delivery.phase else { panic!("{delivery:?}") };
        asked.extend(round.asked.values().copied());
        let groups = round.groups_xid;
        delivery.receive(now, &group_reply(groups, 1, &[])).unwrap();
        now = delivery.deadline().unwrap();
        delivery.tick(now).unwrap();
    }
    assert_eq!(asked.len(), 600);
}

#[test]
fn a_bridge_without_a_version_in_common_is_named() {
    let mut delivery = Delivery::new(START, BTreeMap::new());
    let only_10 = [1, 0, 0, 8, 0, 0, 0, 9];
    assert_eq!(delivery.receive(START, &only_10), Err(SessionError::Versions([1].into())));
}

/// Of two subnets with the VIP .9, those whose wish is met where these switches have these flows, each with its targets.
fn met_by(wishes: [Wish; 2], switches: &[(u64, &[u8])]) -> Vec<SubnetName> {
    let [first, second] = wishes;
    let wishes = [(subnet(1), first), (subnet(2), second)].into();
    let translation = |(metadata, targets): &(u64, &[u8])| Translation {
        metadata: Some(*metadata),
        targets: targets.iter().map(|last| ip(*last)).collect(),
        groups: BTreeSet::new(),
    };
    let translations: Vec<Translation> = switches.iter().map(translation).collect();
    let met = met(&wishes, |_, wish| wish.ports, &translations, &BTreeMap::new());
    met.into_keys().cloned().collect()
}

#[test]
fn two_subnets_with_one_vip_are_told_apart_by_their_backends() {
    let wishes = || [wish(1, &[1], &[2]), wish(1, &[3], &[4])];
    assert_eq!(met_by(wishes(), &[(7, &[1])]), [subnet(1)]);
    assert_eq!(met_by(wishes(), &[(7, &[3])]), [subnet(2)]);
    assert_eq!(met_by(wishes(), &[(7, &[1]), (8, &[4])]), [subnet(1)], "the other leads to another node");
    assert_eq!(met_by(wishes(), &[(7, &[1]), (8, &[3])]), [subnet(1), subnet(2)]);
}

#[test]
fn a_vip_is_delivered_by_the_flows_of_one_switch_only() {
    let wishes = || [wish(2, &[1], &[2]), wish(1, &[3], &[4])];
    assert_eq!(met_by(wishes(), &[(7, &[1]), (8, &[1])]), [], "a port each");
    assert_eq!(met_by(wishes(), &[(7, &[1]), (8, &[3]), (7, &[1])]), [subnet(1), subnet(2)]);
}

#[test]
fn two_subnets_with_one_vip_and_the_same_backends_need_a_switch_each() {
    let wishes = || [wish(1, &[1], &[2]), wish(1, &[1], &[4])];
    assert_eq!(met_by(wishes(), &[(7, &[1])]), [], "it may be either's");
    assert_eq!(met_by(wishes(), &[(7, &[1]), (8, &[1])]), [subnet(1), subnet(2)]);
    assert_eq!(met_by(wishes(), &[(7, &[1, 2])]), [subnet(2)], "the first one's would not lead there");
}

#[test]
fn what_one_subnet_loses_stays_with_the_other() {
    let both = |first, second| Wishes::from([(ip(9), [(subnet(1), first), (subnet(2), second)].into())]);
    let mut delivery = greeted(wish(1, &[1], &[]));
    assert!(answer(&mut delivery, START, &[&[1]]));
    delivery.set_wanted(START, both(wish(1, &[1], &[]), wish(1, &[3], &[])));
    assert!(delivery.confirms(&subnet(1), ip(9)) && !delivery.confirms(&subnet(2), ip(9)));
    assert_eq!(delivery.urgent(), [ip(9)].into(), "asked for again, for the other's sake");
    assert!(answer(&mut delivery, START, &[&[3]]));
    assert!(delivery.confirms(&subnet(1), ip(9)) && delivery.confirms(&subnet(2), ip(9)));
    delivery.set_wanted(START, both(wish(1, &[5], &[]), wish(1, &[3], &[])));
    assert!(!delivery.confirms(&subnet(1), ip(9)) && delivery.confirms(&subnet(2), ip(9)));
}

/// Goes on to the next question, and answers it.
fn look(delivery: &mut Delivery, groups: &[&[u8]]) -> (Duration, bool) {
    let now = delivery.deadline.unwrap();
    delivery.tick(now).unwrap();
    (now, answer(delivery, now, groups))
}

#[test]
fn what_is_delivered_is_looked_at_again_and_lost_once_it_is_gone_for_longer_than_a_change_takes() {
    let mut delivery = greeted(wish(1, &[1], &[]));
    assert!(answer(&mut delivery, START, &[&[1]]));
    for _ in 0..3 {
        assert!(!look(&mut delivery, &[&[1]]).1 && delivery.confirms(&subnet(1), ip(9)));
    }
    let (gone_at, _) = look(&mut delivery, &[]);
    assert!(delivery.confirms(&subnet(1), ip(9)), "OVN may be replacing it");
    let mut now = gone_at;
    while delivery.confirms(&subnet(1), ip(9)) {
        now = look(&mut delivery, &[]).0;
    }
    assert!((LOSS_GRACE..LOSS_GRACE * 3).contains(&(now - gone_at)), "{:?}", now - gone_at);
    assert!(look(&mut delivery, &[&[1]]).1, "and it comes back");
}

#[test]
fn a_flow_that_the_switch_tells_of_is_looked_after_at_once() {
    let mut delivery = Delivery::new(START, one(wish(1, &[1], &[])));
    requests(&mut delivery);
    delivery.receive(START, &[5, 0, 0, 16, 0, 0, 0, 9, 0, 1, 0, 8, 0, 0, 0, 0x30]).unwrap();
    let told = requests(&mut delivery);
    let [_, (_, flows), (_, desc)] = told[..] else { panic!("{told:?}") };
    delivery.receive(START, &flow_reply(flows, 1, &[group_action(1)])).unwrap();
    assert!(delivery.receive(START, &group_reply(desc, 1, &[ip(1)])).unwrap());
    assert_eq!(delivery.deadline, Some(START + SWEEP_MONITORED));
    delivery.receive(START, &removal(Ipv4Addr::new(10, 0, 0, 8))).unwrap();
    assert_eq!(delivery.deadline, Some(START + SWEEP_MONITORED), "that is not ours");
    delivery.receive(START, &removal(Ipv4Addr::new(10, 0, 0, 9))).unwrap();
    let (mut now, _) = look(&mut delivery, &[]);
    assert_eq!(now, START + FIRST_PAUSE);
    while delivery.confirms(&subnet(1), ip(9)) {
        now = look(&mut delivery, &[]).0;
    }
    assert!(now - START < Duration::from_secs(1), "{:?}", now - START);
}

#[test]
fn a_port_that_ovn_lacks_keeps_the_others_waiting_for_a_moment_and_takes_nothing_away() {
    let mut delivery = greeted(wish(2, &[1], &[]));
    answer(&mut delivery, START, &[&[1]]);
    let mut now = START;
    while !delivery.confirms(&subnet(1), ip(9)) {
        now = look(&mut delivery, &[&[1]]).0;
    }
    assert!((PORT_GRACE..PORT_GRACE * 2).contains(&(now - START)), "{:?}", now - START);
    delivery.set_wanted(now, one(wish(3, &[1], &[])));
    assert!(!answer(&mut delivery, now, &[&[1]]) && delivery.confirms(&subnet(1), ip(9)));
    assert!(!look(&mut delivery, &[&[1], &[1]]).1, "two of three: that many are needed from now on");
    look(&mut delivery, &[&[1]]);
    while delivery.confirms(&subnet(1), ip(9)) {
        look(&mut delivery, &[&[1]]);
    }
    assert!(delivery.confirms_partly(&subnet(1), ip(9)), "one of two goes on");
    assert!(
        look(&mut delivery, &[&[1], &[1]]).1 && delivery.confirms(&subnet(1), ip(9)),
        "and the other comes back"
    );
    while delivery.confirms_partly(&subnet(1), ip(9)) {
        look(&mut delivery, &[]);
    }
}

#[test]
fn a_switch_that_stops_is_noticed_within_a_second() {
    let mut delivery = greeted(wish(1, &[1], &[]));
    assert!(answer(&mut delivery, START, &[&[1]]));
    let (stopped, now) = loop {
        let now = delivery.deadline().unwrap();
        if let Err(error) = delivery.tick(now) {
            break (error, now);
        }
    };
    assert_eq!(stopped, SessionError::Stopped);
    assert!(now - START < Duration::from_secs(1), "{:?}", now - START);
}
