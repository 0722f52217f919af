//! A handful of nodes in virtual time: on a wire that loses, delays, doubles and partitions; beside an API server that is
//! late, away, or returns to an older state; with an OVN that delivers late or ceases to; stopped, killed, and back with
//! an old report.
//!
//! Each history is from a seed, so that one that fails is found again and made shorter. `NODES_CASES` says how many (5,000),
//! `NODES_SEED` which.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "nodes/host.rs"]
mod host;
#[path = "nodes/lab.rs"]
mod lab;
#[path = "nodes/server.rs"]
mod server;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use lab::{Lab, Step};

/// How many nodes, and how many VIPs, which are a Service each.
const NODES: usize = 4;
const VIPS: usize = 2;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES;
    let vip = 0..VIPS;
    let step = prop_oneof![
        6 => (0..4000u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        3 => (node.clone(), vip.clone(), any::<bool>()).prop_map(|(node, vip, ready)| Step::Backend { node, vip, ready }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, ready)| Step::NodeReady { node, ready }),
        2 => prop::collection::vec(0..2usize, NODES).prop_map(Step::Partition),
        1 => (0..300u32).prop_map(Step::Loss),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, reachable)| Step::Server { node, reachable }),
        1 => (1..4usize).prop_map(Step::Restore),
        3 => (node.clone(), vip, any::<bool>()).prop_map(|(node, vip, delivers)| Step::Ovn { node, vip, delivers }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, there)| Step::Bridge { node, there }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, carrier)| Step::Carrier { node, carrier }),
        2 => (node.clone(), 500..6000u64).prop_map(|(node, millis)| Step::Stop { node, time: Duration::from_millis(millis) }),
        2 => node.clone().prop_map(Step::Kill),
        2 => node.prop_map(Step::Start),
    ];
    prop::collection::vec(step, 0..16)
}

fn cases() -> u32 {
    std::env::var("NODES_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(5000)
}

/// The same histories at each run, so that a change is what makes it red; `NODES_SEED` takes others, `random` new ones.
fn rng_seed() -> RngSeed {
    match std::env::var("NODES_SEED").ok().as_deref() {
        Some("random") => RngSeed::Random,
        Some(seed) => RngSeed::Fixed(seed.parse().expect("NODES_SEED is a number, or random")),
        None => RngSeed::Fixed(1),
    }
}

/// Runs a history to its end; what it did that no history may.
fn faults(seed: u64, steps: &[Step]) -> Vec<String> {
    faults_of(Lab::new(NODES, VIPS, seed), steps)
}

fn faults_of(mut lab: Lab, steps: &[Step]) -> Vec<String> {
    for step in steps {
        lab.take(step);
    }
    lab.settle();
    lab.into_faults()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 2, max_shrink_iters: 2000, rng_seed: rng_seed(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_one_node_answers_in_the_end_and_never_two_for_long(seed: u64, steps in steps()) {
        let faults = faults(seed, &steps);
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn and_so_it_is_in_every_other_half_of_the_histories(seed: u64, steps in steps()) {
        let faults = faults(seed, &steps);
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, max_shrink_iters: 2000, rng_seed: rng_seed(), ..ProptestConfig::default() })]

    #[test]
    fn and_so_it_is_without_an_api_server(seed: u64, steps in steps()) {
        let faults = faults_of(Lab::alone(NODES, VIPS, seed), &steps);
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// In folders speakers knew nothing of each other: a dead one was never replaced, and one that came back took all.
#[test]
fn without_an_api_server_a_dead_speaker_is_replaced_and_what_it_comes_back_to_is_anothers() {
    for seed in 1..9 {
        let mut lab = Lab::alone(NODES, VIPS, seed);
        lab.take(&Step::Wait(Duration::from_secs(5)));
        let (first, _) = lab.answerer(0).unwrap();
        lab.take(&Step::Kill(first));
        lab.take(&Step::Wait(Duration::from_millis(2000)));
        let (second, ago) = lab.answerer(0).unwrap();
        assert!(second != first && ago < Duration::from_millis(1100), "seed {seed}: {second} {ago:?}");
        lab.take(&Step::Start(first));
        lab.take(&Step::Wait(Duration::from_secs(5)));
        assert_eq!(lab.answerer(0).unwrap().0, second, "seed {seed}: nothing moves back");
        // One that holds what another ranks higher for begins anew: the others tell it what it held.
        lab.take(&Step::Kill(second));
        lab.take(&Step::Start(second));
        lab.take(&Step::Wait(Duration::from_secs(5)));
        let (last, ago) = lab.answerer(0).unwrap();
        assert!(last == second && ago < Duration::from_millis(1100), "seed {seed}: {last} {ago:?}");
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// docs/beats.md has the numbers.
#[test]
fn fifty_speakers_beat_no_more_often_than_is_stated() {
    let mut lab = Lab::alone(50, VIPS, 1);
    lab.take(&Step::Wait(Duration::from_secs(5)));
    let before = lab.beaten;
    lab.take(&Step::Wait(Duration::from_secs(4)));
    let (holders, a_second) = (VIPS, (lab.beaten - before) / 4);
    assert!((40..=10 * holders + 50).contains(&a_second), "{a_second}");
    assert_eq!(lab.into_faults(), Vec::<String>::new());
}

/// Of a node that has never been heard nobody can say that it lives.
#[test]
fn without_an_api_server_who_never_was_there_is_not_waited_for() {
    let mut lab = Lab::alone(NODES, VIPS, 1);
    [0, 1, 2].into_iter().for_each(|node| lab.take(&Step::Kill(node)));
    lab.take(&Step::Wait(Duration::from_secs(7)));
    assert!((0..VIPS).all(|vip| lab.answerer(vip).is_some_and(|(node, _)| node == 3)));
}

/// Each holds what it held, on a wire of its own; once they hear each other the later claim stays.
#[test]
fn without_an_api_server_two_that_did_not_hear_each_other_agree_once_they_do() {
    for seed in 1..9 {
        let mut lab = Lab::alone(2, 1, seed);
        lab.take(&Step::Wait(Duration::from_secs(5)));
        lab.take(&Step::Partition(vec![0, 1]));
        lab.take(&Step::Wait(Duration::from_secs(5)));
        lab.take(&Step::Partition(vec![0, 0]));
        lab.take(&Step::Wait(Duration::from_millis(1500)));
        assert_eq!(lab.announcers(0), 1, "seed {seed}");
        lab.settle();
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// Two nodes that asked for it at once each took the other's question for its claim, and both let go.
#[test]
fn a_question_is_no_claim() {
    let wait = |millis| Step::Wait(Duration::from_millis(millis));
    let steps = [
        Step::Kill(0),
        Step::Kill(2),
        Step::Ovn { node: 3, vip: 1, delivers: false },
        Step::Start(2),
        Step::Backend { node: 2, vip: 1, ready: false },
        Step::NodeReady { node: 3, ready: true },
        wait(1982),
        Step::Server { node: 2, reachable: true },
        wait(2341),
        Step::Ovn { node: 3, vip: 1, delivers: true },
    ];
    assert_eq!(faults(4_903_785_563_638_349_512, &steps), Vec::<String>::new());
}

/// A seed with which the speakers beat.
const BEATING: u64 = 3;

#[test]
fn a_dead_speaker_is_replaced_within_a_second_though_kubernetes_calls_its_node_ready() {
    let mut lab = Lab::new(NODES, VIPS, BEATING);
    lab.take(&Step::Wait(Duration::from_secs(5)));
    let mut dead = Vec::new();
    while dead.len() < NODES - 1 {
        let (holder, _) = lab.answerer(0).unwrap();
        lab.take(&Step::Kill(holder));
        dead.push(holder);
        lab.take(&Step::Wait(Duration::from_millis(2000)));
        let (successor, ago) = lab.answerer(0).unwrap();
        assert!(
            !dead.contains(&successor) && ago < Duration::from_millis(1100),
            "{successor} {ago:?} {dead:?}"
        );
    }
    assert_eq!(lab.into_faults(), Vec::<String>::new());
}

#[test]
fn two_that_die_together_are_replaced_by_the_third() {
    let mut lab = Lab::new(NODES, 1, BEATING);
    lab.take(&Step::Wait(Duration::from_secs(5)));
    for _ in 0..NODES - 1 {
        let (holder, _) = lab.answerer(0).unwrap();
        let other = (0..NODES).find(|node| *node != holder).unwrap();
        [holder, other].into_iter().for_each(|node| lab.take(&Step::Kill(node)));
        lab.take(&Step::Wait(Duration::from_millis(2000)));
        let (successor, ago) = lab.answerer(0).unwrap();
        assert!(
            ![holder, other].contains(&successor) && ago < Duration::from_millis(1100),
            "{successor} {ago:?}"
        );
        [holder, other].into_iter().for_each(|node| lab.take(&Step::Start(node)));
        lab.take(&Step::Wait(Duration::from_secs(5)));
    }
    assert_eq!(lab.into_faults(), Vec::<String>::new());
}

/// Its NIC or bridge was gone, so nobody heard it let go; the next one asked for 0.8 s what the report could have said.
#[test]
fn who_loses_its_bridge_says_that_it_let_go_and_the_next_one_asks_nobody() {
    for seed in [BEATING, BEATING + 1, BEATING + 2] {
        let mut lab = Lab::new(NODES, 1, seed);
        lab.take(&Step::Wait(Duration::from_secs(5)));
        let (holder, _) = lab.answerer(0).unwrap();
        lab.take(&Step::Bridge { node: holder, there: false });
        lab.take(&Step::Wait(Duration::from_millis(700)));
        let (successor, _) = lab.answerer(0).unwrap();
        assert_ne!(successor, holder, "seed {seed}");
        lab.take(&Step::Bridge { node: holder, there: true });
        lab.settle();
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// Its beats began at one again on a bridge that was made anew, so that the others took them for old ones, and it for dead as long as
/// it had beaten before; and what it took over was claimed by the one before as soon as that one could.
#[test]
fn whose_bridge_was_made_anew_is_not_taken_for_dead() {
    for seed in [BEATING, BEATING + 2, BEATING + 3] {
        let mut lab = Lab::new(2, 1, seed);
        lab.take(&Step::Wait(Duration::from_secs(60)));
        let (first, _) = lab.answerer(0).unwrap();
        lab.take(&Step::Bridge { node: first, there: false });
        lab.take(&Step::Wait(Duration::from_secs(20)));
        let (second, _) = lab.answerer(0).unwrap();
        assert_ne!(second, first, "seed {seed}");
        lab.take(&Step::Bridge { node: first, there: true });
        lab.take(&Step::Wait(Duration::from_secs(20)));
        lab.take(&Step::Ovn { node: second, vip: 0, delivers: false });
        lab.take(&Step::Wait(Duration::from_secs(3)));
        assert_eq!(lab.answerer(0).unwrap().0, first, "seed {seed}");
        lab.take(&Step::Ovn { node: second, vip: 0, delivers: true });
        lab.take(&Step::Wait(Duration::from_secs(5)));
        assert_eq!(
            (lab.answerer(0).unwrap().0, lab.longest_together()),
            (first, Duration::ZERO),
            "seed {seed}"
        );
        lab.settle();
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// Who hears nothing because its own ovs-vswitchd is away takes nobody for dead: back, it would claim what another holds.
#[test]
fn who_was_deaf_claims_nothing_back() {
    for seed in [BEATING, BEATING + 2, BEATING + 3] {
        let mut lab = Lab::new(2, 1, seed);
        lab.take(&Step::Wait(Duration::from_secs(10)));
        let (first, _) = lab.answerer(0).unwrap();
        lab.take(&Step::Switch { node: first, runs: false });
        lab.take(&Step::Wait(Duration::from_secs(10)));
        let (second, _) = lab.answerer(0).unwrap();
        assert_ne!(second, first, "seed {seed}");
        lab.take(&Step::Switch { node: first, runs: true });
        lab.take(&Step::Wait(Duration::from_secs(5)));
        assert_eq!(
            (lab.answerer(0).unwrap().0, lab.longest_together()),
            (second, Duration::ZERO),
            "seed {seed}"
        );
        lab.settle();
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// One that was stopped while it asked went on where it had been, told of a claim, and let go; and the other believed it.
#[test]
fn who_was_stopped_while_it_asked_asks_anew() {
    let steps = [
        Step::Wait(Duration::from_millis(639)),
        Step::Stop { node: 2, time: Duration::from_millis(3369) },
        Step::Wait(Duration::ZERO),
    ];
    assert_eq!(faults(1_924_049_461_420_816_557, &steps), Vec::<String>::new());
}

/// What was held before is not taken again without a question: somebody may have had it meanwhile.
#[test]
fn on_a_bridge_that_is_made_anew_a_vip_is_asked_for_before_it_is_answered_for() {
    let mut lab = Lab::new(1, 1, 2);
    lab.take(&Step::Wait(Duration::from_secs(5)));
    assert!(lab.answerer(0).unwrap().1 < Duration::from_millis(1100));
    for there in [false, true] {
        lab.take(&Step::Bridge { node: 0, there });
    }
    // The client asked 0.5 s after it.
    lab.take(&Step::Wait(Duration::from_millis(700)));
    assert!(lab.answerer(0).unwrap().1 > Duration::from_secs(1), "it asks, and does not answer");
    lab.take(&Step::Wait(Duration::from_secs(3)));
    assert!(lab.answerer(0).unwrap().1 < Duration::from_millis(1100), "nobody has it");
    assert_eq!(lab.into_faults(), Vec::<String>::new());
}

/// What delivers a VIP on two nodes came back in one instant, and both claimed it, for a quarter of a second: as long as a report
/// takes. Now one lets go at the other's first word.
#[test]
fn of_two_that_claim_at_once_one_lets_go_at_the_others_word() {
    for seed in 0..24 {
        let mut lab = Lab::new(NODES, VIPS, seed);
        lab.take(&Step::Wait(Duration::from_secs(6)));
        for delivers in [false, true, false, true] {
            lab.deliver_everywhere(delivers, Duration::from_millis(seed));
            lab.take(&Step::Wait(Duration::from_secs(8)));
        }
        let both = lab.longest_together();
        assert!(both <= WIRE, "seed {seed}: two announced for {both:?}");
        assert!((0..VIPS).all(|vip| lab.answerer(vip).is_some_and(|(_, ago)| ago < Duration::from_secs(2))));
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// A claim that was on the wire before one's own is as good as one that comes just after it.
#[test]
fn who_hears_another_claim_it_before_its_own_word_says_none() {
    for seed in 0..24_u64 {
        let mut lab = Lab::new(NODES, VIPS, seed);
        lab.take(&Step::Wait(Duration::from_secs(6)));
        let first = usize::try_from(seed).unwrap() % NODES;
        for delivers in [false, true, false, true] {
            lab.deliver_one_after_another(delivers, first, Duration::from_millis(8 + 4 * seed));
            lab.take(&Step::Wait(Duration::from_secs(8)));
        }
        assert_eq!(lab.longest_together(), Duration::ZERO, "seed {seed}");
        assert!((0..VIPS).all(|vip| lab.answerer(vip).is_some_and(|(_, ago)| ago < Duration::from_secs(2))));
        assert_eq!(lab.into_faults(), Vec::<String>::new(), "seed {seed}");
    }
}

/// A claim's way on the wire and the answer's, of up to 4 ms each, and the time between two answers (`l2::claim::PEER_SPACING`).
const WIRE: Duration = Duration::from_millis(20);
