//! Others that want a VIP of ours: probes, conflicts, peers; two speakers on one segment in virtual time.

use super::*;
use crate::l2::claim::{OnConflict, PROBE_SPACING, PROBE_WAIT, PROBES, RETRY};
use std::time::Duration;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);

#[test]
fn where_peers_are_not_known_nobody_is_defended_against() {
    for (received, vip) in foreign_speech() {
        let (mut responder, now) = quiet(None);
        responder.set_peers(Peers::Anybody);
        for _ in 0..3 {
            let outcome = Outcome::Peer;
            assert_eq!(responder.handle_frame(&received, now), Verdict::Conflict { vip, mac: PEER, outcome });
        }
        assert_eq!(said(&mut responder, now), Vec::<Vec<u8>>::new());
        assert!(responder.claims().all(|(_, state)| state == ClaimState::Held));
    }
}

/// Everything that says "10.0.0.100 or fd00::100 is at PEER".
fn foreign_speech() -> [(Received, IpAddr); 4] {
    [
        (asks(request(VIP, VIP)), VIP.into()),
        (asks(arp::Repr::gratuitous_reply(VIP, PEER)), VIP.into()),
        (frame(ALL, ETHERTYPE_IPV6, &ndp::Repr::announcement(v6(0x100), PEER).emit()), v6(0x100).into()),
        (solicits(v6(0x100), v6(1), ndp::solicited_node(v6(1)), Some(PEER)), v6(0x100).into()),
    ]
}

fn said(responder: &mut Responder, now: Instant) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| responder.poll_transmit(now)).collect()
}

fn only(vip: IpAddr, mode: ClaimMode) -> BTreeMap<IpAddr, ClaimMode> {
    [(vip, mode)].into()
}

#[test]
fn a_held_vip_is_defended_without_end_and_its_questions_are_answered_meanwhile() {
    for (received, vip) in foreign_speech() {
        let (mut responder, mut now) = quiet(None);
        for _ in 0..100 {
            let outcome = Outcome::Defended;
            assert_eq!(responder.handle_frame(&received, now), Verdict::Conflict { vip, mac: PEER, outcome });
            assert_eq!(said(&mut responder, now).len(), if vip.is_ipv4() { 2 } else { 1 }, "at once");
            let question = match vip {
                IpAddr::V4(vip) => asks(request(v4(1), vip)),
                IpAddr::V6(vip) => solicits(v6(1), vip, vip, Some(PEER)),
            };
            assert!(matches!(responder.handle_frame(&question, now), Verdict::Answered { .. }));
            said(&mut responder, now);
            now += Duration::from_millis(1500);
            said(&mut responder, now);
        }
    }
}

#[test]
fn a_vip_in_doubt_is_silent_at_once_and_held_again_when_nobody_has_it() {
    let (mut responder, now) = quiet(None);
    responder.handle_frame(&asks(request(v4(1), VIP)), now);
    responder.doubt(VIP.into(), now);
    assert_eq!(responder.handle_frame(&asks(request(v4(1), VIP)), now), ignored(Reason::NotHeld));
    assert_eq!(said(&mut responder, now).len(), 1, "the probe, and no answer that was owed");
    let mut now = now;
    while let Some(at) = responder.poll_timeout() {
        now = now.max(at);
        said(&mut responder, now);
    }
    assert_eq!(responder.claim(VIP.into()), Some(ClaimState::Held));
}

#[test]
fn of_two_peers_in_doubt_at_once_one_has_the_vip() {
    let mut segment = Segment::new(&[OURS, PEER], true);
    segment.claim(0, ClaimMode::TakeOver);
    segment.claim(1, ClaimMode::TakeOver);
    segment.run(Duration::from_secs(10));
    for speaker in &mut segment.speakers {
        speaker.doubt(VIP.into(), segment.now);
    }
    segment.run(Duration::from_secs(10));
    let mut states = segment.states();
    states.sort_by_key(|state| *state != ClaimState::Held);
    assert_eq!(states, [ClaimState::Held, ClaimState::Probing]);
}

#[test]
fn a_held_vip_that_may_be_given_up_is_defended_once_then_yielded_in_silence() {
    for (received, vip) in foreign_speech() {
        let (mut responder, now) = quiet(None);
        responder.set_on_conflict(OnConflict::Yield);
        let verdict = |outcome| Verdict::Conflict { vip, mac: PEER, outcome };
        assert_eq!(responder.handle_frame(&received, now), verdict(Outcome::Defended));
        let rounds = said(&mut responder, now).len();
        assert_eq!(rounds, if vip.is_ipv4() { 2 } else { 1 }, "one round");
        assert_eq!(responder.handle_frame(&received, now + SPACING), verdict(Outcome::Yielded));
        assert_eq!(responder.handle_frame(&received, now + SPACING), verdict(Outcome::Standing));
        assert_eq!(said(&mut responder, now + SPACING), Vec::<Vec<u8>>::new());
        assert!(responder.claims().any(|claim| claim == (vip, ClaimState::Yielded { to: PEER })));
        let question = match vip {
            IpAddr::V4(vip) => asks(request(v4(1), vip)),
            IpAddr::V6(vip) => solicits(v6(1), vip, vip, Some(PEER)),
        };
        assert_eq!(responder.handle_frame(&question, now + SPACING), ignored(Reason::NotHeld));
    }
}

#[test]
fn what_was_pending_for_a_yielded_vip_is_not_said() {
    let (mut responder, now) = quiet(None);
    responder.set_on_conflict(OnConflict::Yield);
    let (received, _) = foreign_speech()[0].clone();
    responder.handle_frame(&asks(request(v4(1), VIP)), now);
    responder.handle_frame(&received, now);
    assert!(responder.poll_transmit(now).is_some(), "the answer");
    assert!(responder.poll_transmit(now).is_some(), "the first half of the defence");
    responder.handle_frame(&asks(request(v4(1), VIP)), now);
    responder.handle_frame(&received, now);
    assert_eq!(responder.poll_transmit(now), None);
}

#[test]
fn a_probed_vip_is_held_when_nobody_has_answered_and_announced_from_then_on() {
    for vip in [VIP.into(), IpAddr::from(v6(0x100))] {
        let mut segment = Segment::new(&[OURS], false);
        segment.speakers[0].set_vips(&only(vip, ClaimMode::Probe), segment.now);
        segment.run(PROBE_SPACING * 2 + PROBE_WAIT - Duration::from_millis(1));
        assert_eq!((segment.states(), segment.said), (vec![ClaimState::Probing], usize::from(PROBES)));
        segment.run(SPACING * 3);
        let announced = usize::from(ROUNDS) * if vip.is_ipv4() { 2 } else { 1 };
        assert_eq!(
            (segment.states(), segment.said),
            (vec![ClaimState::Held], usize::from(PROBES) + announced)
        );
    }
}

#[test]
fn a_probe_says_nothing_about_who_has_the_vip() {
    for vip in [VIP.into(), IpAddr::from(v6(0x100))] {
        let (mut responder, start) = (Responder::new(Interface { mac: OURS, vlan: None }), Instant::now());
        responder.set_vips(&only(vip, ClaimMode::Probe), start);
        let probe = responder.poll_transmit(start).unwrap();
        let (header, payload) = ethernet::Repr::parse(&probe).unwrap();
        match vip {
            IpAddr::V4(vip) => {
                let packet = arp::Repr::parse(payload).unwrap();
                assert_eq!((packet.sender_ip, packet.target_ip), (Ipv4Addr::UNSPECIFIED, vip));
                assert_eq!((packet.operation, header.destination), (arp::Operation::Request, Mac::BROADCAST));
            }
            IpAddr::V6(vip) => {
                assert_eq!(ndp::Repr::parse(payload), Ok(ndp::Repr::probe(vip)));
                assert_eq!(header.destination, ndp::group_mac(ndp::solicited_node(vip)));
            }
        }
    }
}

#[test]
fn a_question_while_probing_is_not_answered_and_another_probe_is_a_conflict() {
    let (mut responder, now) = (Responder::new(Interface { mac: OURS, vlan: None }), Instant::now());
    responder.set_vips(&only(VIP.into(), ClaimMode::Probe), now);
    said(&mut responder, now);
    assert_eq!(responder.handle_frame(&asks(request(v4(1), VIP)), now), ignored(Reason::NotHeld));
    let probe = asks(arp::Repr::probe(VIP, PEER));
    let (vip, mac, outcome) = (VIP.into(), PEER, Outcome::Yielded);
    assert_eq!(responder.handle_frame(&probe, now), Verdict::Conflict { vip, mac, outcome });
}

#[test]
fn a_peer_is_neither_fought_nor_given_way_to() {
    for (received, vip) in foreign_speech() {
        let (mut responder, now) = quiet(None);
        responder.set_peers(Peers::Only([PEER].into()));
        for _ in 0..3 {
            let outcome = Outcome::Peer;
            assert_eq!(responder.handle_frame(&received, now), Verdict::Conflict { vip, mac: PEER, outcome });
        }
        assert_eq!(said(&mut responder, now), Vec::<Vec<u8>>::new());
        assert!(responder.claims().all(|(_, state)| state == ClaimState::Held));
    }
}

/// Speakers on one segment: each hears all that the others say.
struct Segment {
    speakers: Vec<Responder>,
    now: Instant,
    said: usize,
}

impl Segment {
    fn new(macs: &[Mac], peers: bool) -> Self {
        let speaker = |mac: &Mac| {
            let mut responder = Responder::new(Interface { mac: *mac, vlan: None });
            if peers {
                responder.set_peers(Peers::Only(macs.iter().copied().filter(|other| other != mac).collect()));
            }
            responder
        };
        Self { speakers: macs.iter().map(speaker).collect(), now: Instant::now(), said: 0 }
    }

    fn claim(&mut self, speaker: usize, mode: ClaimMode) {
        self.speakers[speaker].set_vips(&only(VIP.into(), mode), self.now);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.deliver();
            let next = self.speakers.iter().filter_map(Responder::poll_timeout).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
        }
        self.now = end;
    }

    /// Whoever has something to say says it before anybody has heard the others.
    fn deliver(&mut self) {
        loop {
            let fetch = |speaker: &mut Responder| said(speaker, self.now);
            let frames: Vec<_> = self.speakers.iter_mut().map(fetch).enumerate().collect();
            if frames.iter().all(|(_, frames)| frames.is_empty()) {
                return;
            }
            for (from, frame) in
                frames.into_iter().flat_map(|(from, all)| all.into_iter().map(move |f| (from, f)))
            {
                self.said += 1;
                for (_, other) in self.speakers.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                    other.handle_frame(&incoming(frame.clone()), self.now);
                }
            }
        }
    }

    fn states(&self) -> Vec<ClaimState> {
        self.speakers.iter().flat_map(|speaker| speaker.claims().map(|(_, state)| state)).collect()
    }
}

#[test]
fn whoever_probes_for_a_held_vip_yields_and_has_it_when_the_holder_is_gone() {
    let mut segment = Segment::new(&[OURS, PEER], false);
    segment.claim(0, ClaimMode::TakeOver);
    segment.run(Duration::from_secs(5));
    segment.claim(1, ClaimMode::Probe);
    segment.run(Duration::from_secs(200));
    assert_eq!(segment.states(), [ClaimState::Held, ClaimState::Yielded { to: OURS }]);
    segment.speakers[0].set_vips(&BTreeMap::new(), segment.now);
    segment.run(RETRY + Duration::from_secs(4));
    assert_eq!(segment.states(), [ClaimState::Held]);
}

#[test]
fn two_foreign_holders_do_not_shout_at_each_other_and_in_the_end_one_has_it() {
    let mut segment = Segment::new(&[OURS, PEER], false);
    segment.speakers.iter_mut().for_each(|speaker| speaker.set_on_conflict(OnConflict::Yield));
    segment.claim(0, ClaimMode::TakeOver);
    segment.claim(1, ClaimMode::TakeOver);
    segment.run(Duration::from_secs(5));
    assert!(segment.said <= 8, "{} frames", segment.said);
    segment.run(Duration::from_secs(300));
    let held = segment.states().into_iter().filter(|state| *state == ClaimState::Held).count();
    assert_eq!(held, 1, "{:?}", segment.states());
}

#[test]
fn a_peer_that_probes_has_the_vip_soon_after_the_holder_lets_go() {
    let mut segment = Segment::new(&[OURS, PEER], true);
    segment.claim(0, ClaimMode::TakeOver);
    segment.claim(1, ClaimMode::Probe);
    segment.run(Duration::from_secs(30));
    assert_eq!(segment.states(), [ClaimState::Held, ClaimState::Probing]);
    segment.speakers[0].set_vips(&BTreeMap::new(), segment.now);
    segment.run(SPACING * 2 + PROBE_WAIT);
    assert_eq!(segment.states(), [ClaimState::Held]);
}

#[test]
fn peers_that_both_believe_keep_on_and_stay_quiet() {
    let mut segment = Segment::new(&[OURS, PEER], true);
    segment.claim(0, ClaimMode::TakeOver);
    segment.claim(1, ClaimMode::TakeOver);
    segment.run(Duration::from_secs(100));
    assert_eq!(segment.states(), [ClaimState::Held; 2]);
    assert_eq!(segment.said, 2 * 2 * usize::from(ROUNDS));
}

#[test]
fn what_is_held_is_said_anew_at_its_own_time_and_only_while_it_is_held() {
    let every = Duration::from_secs(60);
    let (mut responder, start) = (Responder::new(Interface { mac: OURS, vlan: None }), Instant::now());
    responder.set_refresh(Some(every));
    responder.set_vips(&set(&[v4(100).into(), v4(101).into()]), start);
    let mut said: BTreeMap<IpAddr, Vec<Instant>> = BTreeMap::new();
    let mut now = start;
    while now < start + every * 4 {
        now = responder.poll_timeout().expect("there is always a next time").max(now);
        while let Some(frame) = responder.poll_transmit(now) {
            let packet = arp::Repr::parse(&frame[14..]).unwrap();
            if packet.operation == arp::Operation::Request {
                said.entry(packet.target_ip.into()).or_default().push(now);
            }
        }
    }
    let later = |vip: u8| -> Vec<Duration> {
        let times = &said[&v4(vip).into()][usize::from(ROUNDS) - 1..];
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    for vip in [100, 101] {
        assert!(later(vip).len() >= 3 && later(vip).iter().all(|gap| *gap <= every && *gap >= every * 4 / 5));
    }
    assert!(later(100)[0].abs_diff(later(101)[0]) > Duration::from_millis(100), "apart: {said:?}");
    responder.set_vips(&BTreeMap::new(), now);
    assert_eq!(responder.poll_timeout(), None);
}

#[test]
fn a_claim_tells_each_state_that_it_comes_into_once() {
    let (mut responder, start) = (Responder::new(Interface { mac: OURS, vlan: None }), Instant::now());
    let vip = IpAddr::from(v4(100));
    responder.set_vips(&BTreeMap::from([(vip, ClaimMode::Probe)]), start);
    let mut states = Vec::new();
    let mut now = start;
    while let Some(at) = responder.poll_timeout() {
        now = now.max(at);
        while responder.poll_transmit(now).is_some() {}
        states.extend(std::iter::from_fn(|| responder.poll_change()));
    }
    assert_eq!(states, [(vip, ClaimState::Probing), (vip, ClaimState::Held)]);
    responder.set_on_conflict(OnConflict::Yield);
    for _ in 0..2 {
        let reply = arp::Repr { sender_ip: v4(100), ..request(v4(100), v4(100)) };
        responder.handle_frame(&asks(reply), now);
    }
    let yielded = std::iter::from_fn(|| responder.poll_change()).collect::<Vec<_>>();
    assert_eq!(yielded, [(vip, ClaimState::Yielded { to: PEER })]);
}
