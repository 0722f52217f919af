//! Virtual time and frames: what is spoken when, what is held, what is told.
#![allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]

use super::conflicts::CONFLICT_PAUSE;
use super::*;
use crate::flows::{BridgePorts, Traffic};
use crate::l2::ethernet::{ETHERTYPE_ARP, Repr};
use crate::l2::{Interface, arp};
use crate::model::{PlannedClaim, Protocol, Sources};
use std::net::Ipv4Addr;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const STRANGER: Mac = Mac([2, 0xba, 0, 0, 0, 9]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const VIP: IpAddr = IpAddr::V4(ADDRESS);

/// Whose the VIP is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours { first: bool },
    HandedOver,
    TakenOver,
    Nobodys,
}

fn plan(whose: Whose) -> SegmentPlan {
    let steered = Steered { ports: [((Protocol::Tcp, 80), Sources::Everybody)].into(), ..Steered::default() };
    let mut plan = SegmentPlan {
        bridge: "br-p".into(),
        nic: "nic".into(),
        vlan: None,
        patch_port: "patch".into(),
        steering_mac: Mac([0; 6]),
        peers: Some([PEER].into()),
        steered: [(VIP, steered)].into(),
        beating: [].into(),
        announced: BTreeMap::new(),
        handed_over: BTreeSet::new(),
        successors: [(VIP, PEER)].into(),
        taken_over: BTreeSet::new(),
    };
    match whose {
        Whose::Ours { first } => drop(plan.announced.insert(VIP, PlannedClaim { term: 4, first })),
        Whose::HandedOver => drop(plan.handed_over.insert(VIP)),
        Whose::TakenOver => {
            plan.handed_over.insert(VIP);
            plan.taken_over.insert(VIP);
        }
        Whose::Nobodys => {}
    }
    plan
}

fn located(carrier: bool) -> Located {
    Located {
        ports: BridgePorts { nic: 1, patch: 2, own: 3, mac: OURS },
        speak_on: "br-p".into(),
        interface: Interface { mac: OURS, vlan: None },
        carrier,
    }
}

fn segment(whose: Whose) -> Segment {
    Segment::new("underlay".into(), plan(whose), located(true), BTreeMap::new(), Manner::default())
}

const READY: Ready<'static> = Ready {
    is_on_bridge: &|_| true,
    is_delivered: &|_| true,
    is_partly_delivered: &|_| true,
    is_known: true,
};

/// Claims what may be, as if there were a socket, and lets time pass until nothing is due.
fn speak(segment: &mut Segment, mut now: Instant) -> Instant {
    let vips = segment.speakable(&READY, now);
    segment.speak(vips, now);
    while let Some(at) = segment.responder.poll_timeout() {
        now = now.max(at);
        while segment.poll_transmit(now).is_some() {}
    }
    now
}

fn held(whose: Whose) -> (Segment, Instant) {
    held_by(Manner::default(), whose)
}

fn held_by(manner: Manner, whose: Whose) -> (Segment, Instant) {
    let start = Instant::now();
    let ours = plan(Whose::Ours { first: false });
    let mut segment = Segment::new("underlay".into(), ours, located(true), BTreeMap::new(), manner);
    let now = speak(&mut segment, start);
    segment.set_plan(plan(whose), located(true), now);
    (segment, now)
}

/// A gratuitous ARP request.
fn claim_of(mac: Mac) -> Received {
    let packet = arp::Repr::announcement(ADDRESS, mac).emit();
    let header = Repr { destination: Mac::BROADCAST, source: mac, tag: None, ethertype: ETHERTYPE_ARP };
    Received { bytes: header.emit(&packet), stripped: None }
}

fn news(segment: &mut Segment) -> Vec<News> {
    let news = std::iter::from_fn(|| segment.next_news(Timestamp::UNIX_EPOCH));
    news.filter(|news| {
        !matches!(news, News::Asking(_) | News::HandedOver(..) | News::Carrier(..) | News::Silent(_))
    })
    .collect()
}

#[test]
fn nothing_is_claimed_unless_every_condition_holds() {
    let now = Instant::now();
    for facts in 0..32_u8 {
        let fact = |bit: u8| facts & (1 << bit) != 0;
        let whose = if fact(0) { Whose::Ours { first: false } } else { Whose::HandedOver };
        let mut segment = segment(whose);
        segment.set_plan(plan(whose), located(fact(1)), now);
        let ready = Ready {
            is_on_bridge: &|_| fact(2),
            is_delivered: &|_| fact(3),
            is_partly_delivered: &|_| fact(3),
            is_known: fact(4),
        };
        let speakable = segment.speakable(&ready, now);
        assert_eq!(!speakable.is_empty(), facts == 31, "{facts:05b}");
        segment.speak_what_is_delivered(&ready, now);
        assert!(segment.claimed.is_empty(), "and nothing without a socket");
    }
}

#[test]
fn what_is_held_is_spoken_on_without_the_others_knowing_and_not_without_delivery() {
    let (segment, now) = held(Whose::Ours { first: false });
    let unknown = Ready { is_known: false, ..READY };
    assert_eq!(segment.speakable(&unknown, now), [VIP].into());
    let undelivered = Ready { is_delivered: &|_| false, is_partly_delivered: &|_| false, ..READY };
    assert_eq!(segment.speakable(&undelivered, now), [].into());
    assert_eq!(segment.report().held, [(VIP, 4)].into(), "for a moment: it is this node's still");
}

#[test]
fn what_is_answered_for_goes_on_while_a_port_of_it_is_served_and_another_node_may_have_it() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    let partly = Ready { is_delivered: &|_| false, ..READY };
    assert_eq!(segment.speakable(&partly, now), [VIP].into());
    segment.note_delivery(&partly, now);
    segment.tick(now + Duration::from_secs(1));
    assert_eq!((segment.answered(), segment.report().undelivered), (1, [VIP].into()));
    let fresh = self::segment(Whose::Ours { first: false });
    assert_eq!(fresh.speakable(&partly, now), [].into(), "and nothing is begun that way");
}

#[test]
fn a_first_claim_is_held_only_once_nobody_has_answered_and_a_taken_one_at_once() {
    let now = Instant::now();
    for (first, states) in [(true, 0), (false, 1)] {
        let mut segment = segment(Whose::Ours { first });
        let vips = segment.speakable(&READY, now);
        segment.speak(vips, now);
        assert_eq!((segment.answered(), segment.report().held.len()), (states, states));
        speak(&mut segment, now);
        assert_eq!((segment.answered(), segment.report().held), (1, [(VIP, 4)].into()));
        assert_eq!(news(&mut segment), [News::Announced(VIP)]);
    }
}

#[test]
fn a_vip_that_another_is_to_have_is_kept_until_that_one_is_heard_or_reports_it() {
    let (mut segment, now) = held(Whose::HandedOver);
    assert_eq!(segment.answered(), 1);
    let _ = segment.receive(&claim_of(PEER), now);
    assert_eq!((segment.answered(), segment.speakable(&READY, now)), (0, [].into()));

    let (mut segment, now) = held(Whose::HandedOver);
    let _ = segment.receive(&claim_of(STRANGER), now);
    assert_eq!(segment.answered(), 1, "a stranger takes nothing over");

    let (mut segment, _) = held(Whose::TakenOver);
    assert_eq!(segment.answered(), 0);
    assert_eq!(news(&mut segment), [News::Announced(VIP), News::Withdrawn(VIP, "another node has it")]);
}

#[test]
fn what_is_let_go_is_told_with_its_term_until_it_is_over() {
    let (mut segment, _) = held(Whose::Nobodys);
    let report = segment.report();
    assert_eq!((report.held, report.left), ([].into(), [(VIP, 4)].into()));
    segment.forget_left(|_, term| term < 4);
    assert_eq!(segment.report().left.len(), 1);
    segment.forget_left(|_, term| term == 4);
    assert_eq!(segment.report().left.len(), 0);
}

#[test]
fn a_stranger_is_defended_against_without_end_and_its_frames_fill_no_log() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    for _ in 0..1000 {
        let _ = segment.receive(&claim_of(STRANGER), now);
    }
    let told = [News::Announced(VIP), News::Conflict(VIP, STRANGER, Outcome::Defended)];
    assert_eq!((news(&mut segment), segment.answered()), (told.to_vec(), 1));
}

#[test]
fn a_stranger_is_told_off_once_then_given_way_where_that_was_chosen() {
    let manner = Manner { on_conflict: OnConflict::Yield, ..Manner::default() };
    let (mut segment, now) = held_by(manner, Whose::Ours { first: false });
    for _ in 0..1000 {
        let _ = segment.receive(&claim_of(STRANGER), now);
    }
    let told = [
        News::Announced(VIP),
        News::Conflict(VIP, STRANGER, Outcome::Defended),
        News::Conflict(VIP, STRANGER, Outcome::Yielded),
        News::Withdrawn(VIP, "another host has the address"),
    ];
    assert_eq!(news(&mut segment), told);
    let report = segment.report();
    assert!(report.held.is_empty() && report.left.is_empty(), "the next claim asks first: {report:?}");
    let status = segment.status(&READY);
    assert!(status[0].why.contains(&STRANGER.to_string()), "{}", status[0].why);
}

#[test]
fn a_lost_link_or_plan_says_why_and_a_restart_takes_up_what_was_held() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    segment.set_plan(plan(Whose::Ours { first: false }), located(false), now);
    assert!(!segment.report().ready);
    let why = "the NIC has no carrier, or is down";
    assert_eq!(news(&mut segment), [News::Announced(VIP), News::Withdrawn(VIP, why)]);

    let terms = BTreeMap::from([(VIP, 7), ([10, 0, 0, 8].into(), 3)]);
    let plan = plan(Whose::Ours { first: false });
    let segment = Segment::new("underlay".into(), plan, located(true), terms, Manner::default());
    assert_eq!(segment.report().held, [(VIP, 7)].into(), "and what is not its own any more is left");
}

#[test]
fn a_peer_that_claims_what_is_held_is_told_once_in_a_while_and_not_fought() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    let told = |segment: &mut Segment| {
        let conflict = |news: &News| *news == News::Conflict(VIP, PEER, Outcome::Peer);
        news(segment).iter().filter(|news| conflict(news)).count()
    };
    for _ in 0..1000 {
        let _ = segment.receive(&claim_of(PEER), now);
    }
    assert_eq!((told(&mut segment), segment.answered()), (1, 1));
    let _ = segment.receive(&claim_of(PEER), now + CONFLICT_PAUSE);
    assert_eq!(told(&mut segment), 1, "ten seconds later it is told again");
}

#[test]
fn a_node_that_was_stopped_is_silent_and_asks_before_it_answers() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    segment.listen_first(now);
    assert_eq!((segment.answered(), segment.report().held.len()), (0, 1), "it is its own still");
    assert_eq!(segment.responder.claim(VIP), Some(ClaimState::Probing));
    let now = speak(&mut segment, now);
    assert_eq!(segment.answered(), 1, "nobody else had it");
    segment.socket_failed(now);
    let vips = segment.speakable(&READY, now);
    segment.speak(vips, now);
    assert_eq!(segment.responder.claim(VIP), Some(ClaimState::Probing), "as after a lost socket");
}

#[test]
fn only_the_successors_own_claim_releases_a_move() {
    let other = Mac([2, 0, 0, 0, 0, 7]);
    let (mut segment, now) = held(Whose::HandedOver);
    let peers = Some([PEER, other].into());
    segment.set_plan(SegmentPlan { peers, ..plan(Whose::HandedOver) }, located(true), now);
    let _ = segment.receive(&claim_of(other), now);
    assert_eq!(segment.answered(), 1, "a node of ours, and not the one");
    let _ = segment.receive(&claim_of(PEER), now);
    assert_eq!(segment.answered(), 0);
}

#[test]
fn a_holder_that_hears_another_node_and_is_not_told_why_asks() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    let _ = segment.receive(&claim_of(PEER), now);
    segment.tick(now + Duration::from_secs(1));
    assert_eq!(segment.answered(), 1, "the cluster may tell");
    segment.tick(now + Duration::from_secs(2));
    assert_eq!((segment.answered(), segment.responder.claim(VIP)), (0, Some(ClaimState::Probing)));
}

#[test]
fn what_is_lost_is_reported_so_that_another_node_can_have_it_and_taken_back_when_it_is_there_again() {
    let (mut segment, now) = held(Whose::Ours { first: false });
    let undelivered = Ready { is_delivered: &|_| false, is_partly_delivered: &|_| false, ..READY };
    segment.speak_what_is_delivered(&undelivered, now);
    assert_eq!((segment.answered(), segment.report().undelivered.len()), (0, 0));
    assert_eq!(segment.deadline(), Some(now + Duration::from_millis(100)), "the next one waits for it");
    segment.tick(segment.deadline().unwrap());
    assert_eq!(segment.report().undelivered, [VIP].into());
    segment.set_plan(plan(Whose::HandedOver), located(true), now);
    assert_eq!(segment.report().undelivered, [VIP].into());
    assert_eq!(segment.wishes().count(), 1, "it is asked for on");
    segment.speak_what_is_delivered(&READY, now);
    assert_eq!(segment.report().undelivered, [].into());
    segment.set_plan(plan(Whose::HandedOver), located(true), now);
    assert_eq!(segment.wishes().count(), 0);
}

#[test]
fn the_wire_is_asked_first_as_an_operator_chose() {
    for (probe, first, asks) in [
        (Probe::First, true, true),
        (Probe::First, false, false),
        (Probe::Always, true, true),
        (Probe::Always, false, true),
        (Probe::Never, true, false),
        (Probe::Never, false, false),
    ] {
        let manner = Manner { probe, ..Manner::default() };
        let ours = plan(Whose::Ours { first });
        let mut segment = Segment::new("underlay".into(), ours, located(true), BTreeMap::new(), manner);
        speak(&mut segment, Instant::now());
        let news: Vec<News> = std::iter::from_fn(|| segment.next_news(Timestamp::UNIX_EPOCH)).collect();
        assert_eq!(news.contains(&News::Asking(VIP)), asks, "{probe:?} {first}");
        assert_eq!(news.last(), Some(&News::Announced(VIP)));
    }
}

/// The VIPs to which echo requests are answered, and those for which an earlier run's rule stays, once nothing is due.
fn pinged(segment: &mut Segment, now: Instant) -> (usize, usize) {
    let later = now + Duration::from_secs(1);
    segment.renew_answers(later);
    let echo = |flow: &&Flow| flow.matches.vip().is_some_and(|vip| vip.traffic == Traffic::Echo);
    (segment.rules().filter(echo).count(), segment.kept().filter(echo).count())
}

#[test]
fn ping_is_answered_where_and_while_arp_is() {
    let manner = || Manner { answer_ping: true, ..Manner::default() };
    let ours = Whose::Ours { first: false };
    let (mut segment, now) = held_by(manner(), ours);
    assert_eq!(pinged(&mut segment, now), (1, 0));
    let undelivered = Ready { is_delivered: &|_| false, is_partly_delivered: &|_| false, ..READY };
    segment.socket = Socket::Open;
    segment.speak_what_is_delivered(&undelivered, now);
    assert!(segment.deadline().is_some_and(|at| at <= now + Duration::from_millis(10)), "the rule goes soon");
    assert_eq!(pinged(&mut segment, now), (0, 0), "it was answered for once: no earlier run's rule is meant");
    segment.speak_what_is_delivered(&READY, now);
    assert_eq!(pinged(&mut segment, now), (1, 0));
    segment.set_plan(plan(Whose::HandedOver), located(true), now);
    assert_eq!(pinged(&mut segment, now), (1, 0), "until the next one is heard");
    let _ = segment.receive(&claim_of(PEER), now);
    assert_eq!(pinged(&mut segment, now), (0, 0));
    let (mut silent, now) = held(ours);
    assert_eq!(pinged(&mut silent, now), (0, 0), "not where it is not asked for");
    let standby =
        Segment::new("underlay".into(), plan(Whose::Nobodys), located(true), BTreeMap::new(), manner());
    assert_eq!(pinged(&mut { standby }, now), (0, 0));
}

#[test]
fn a_rule_of_an_earlier_run_stays_until_it_is_known_whether_it_is_right() {
    let manner = Manner { answer_ping: true, ..Manner::default() };
    let ours = plan(Whose::Ours { first: false });
    let fresh =
        || Segment::new("underlay".into(), ours.clone(), located(true), BTreeMap::new(), manner.clone());
    let (mut segment, now) = (fresh(), Instant::now());
    assert_eq!(pinged(&mut segment, now), (0, 1));
    speak(&mut segment, now);
    assert_eq!(pinged(&mut segment, now), (1, 0), "it is answered for");
    let mut segment = fresh();
    let undelivered = Ready { is_delivered: &|_| false, is_partly_delivered: &|_| false, ..READY };
    segment.speak_what_is_delivered(&undelivered, now);
    assert_eq!(pinged(&mut segment, now), (0, 1));
    segment.tick(now + Duration::from_secs(3));
    assert_eq!(pinged(&mut segment, now + Duration::from_secs(3)), (0, 0), "it cannot be delivered");
    let mut segment = fresh();
    segment.set_plan(plan(Whose::Nobodys), located(true), now);
    assert_eq!(pinged(&mut segment, now), (0, 0), "it is another node's");
}

#[test]
fn a_switch_that_refuses_to_answer_ping_keeps_no_vip_silent() {
    let manner = Manner { answer_ping: true, ..Manner::default() };
    let (segment, now) = held_by(manner, Whose::Ours { first: false });
    let refuses = |flow: &Flow| flow.matches.vip().is_none_or(|vip| vip.traffic != Traffic::Echo);
    assert_eq!(segment.rules().filter(|flow| !refuses(flow)).count(), 1);
    assert_eq!(segment.speakable(&Ready { is_on_bridge: &refuses, ..READY }, now), [VIP].into());
}

#[path = "replaced_tests.rs"]
mod replaced;
