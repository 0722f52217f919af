//! Speakers say on the wire that they are there; one that does not is replaced, whatever Kubernetes says of its node.

use std::time::{Duration, Instant};

use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, other};
use crate::traffic::{Transport, pods_on};

/// Two nodes that serve, by a real API server, and which of them announces.
fn served_on(topology: &Topology) -> (Stage, &'static str) {
    let mut stage = Stage::balanced_in_kubernetes(topology);
    stage.start_speakers();
    let first = stage.becomes_announced(VIP4);
    stage.becomes_served("client", VIP4, pods_on(first));
    (stage, first)
}

#[test]
fn a_speaker_that_crashes_is_replaced_and_what_it_comes_back_to_is_anothers() {
    let (mut stage, first) = served_on(&Topology::default());
    let second = other(first);
    stage.speaker(first).kill();
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    stage.start_speaker(first);
    stage.speaker(first).says("rules installed");
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(second));
}

#[test]
fn a_speaker_that_is_told_to_end_is_waited_for_and_then_replaced() {
    let (mut stage, first) = served_on(&Topology::default());
    let second = other(first);
    let load = stage.load(VIP4);
    stage.speaker(first).terminate();
    stage.start_speaker(first);
    let mark = stage.speaker(first).mark();
    stage.speaker(first).says_after(mark, &format!("announcing vip={VIP4} "));
    stage.becomes_served("client", VIP4, pods_on(first));
    let sample = load.end();
    assert!(sample.failures.is_empty(), "a restart loses nothing: {sample:?}");
    assert_eq!(sample.pods, pods_on(first), "and moves nothing");
    // This time nobody takes its place.
    stage.speaker(first).terminate();
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
}

#[test]
fn a_second_speaker_on_a_node_waits_for_the_first_and_takes_its_place_at_once() {
    let (mut stage, first) = served_on(&Topology::default());
    let load = stage.load(VIP4);
    // As an update with a surge does: the next one is there before the last one ends.
    let mut old = stage.speakers.remove(first).unwrap();
    stage.start_speaker(first);
    stage.speaker(first).says("another speaker works on this node");
    stage.speaker(first).says("connected to Open vSwitch's database");
    let mark = stage.speaker(first).mark();
    old.terminate();
    stage.speaker(first).says_after(mark, &format!("announcing vip={VIP4} "));
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(first));
    let sample = load.end();
    assert!(sample.failures.is_empty(), "an update loses nothing: {sample:?}");
    assert_eq!(sample.pods, pods_on(first), "and moves nothing");
}

#[test]
fn beats_are_on_the_wire_and_no_pod_hears_or_sends_any() {
    for vlan in [0, 341] {
        let (stage, first) = served_on(&Topology { vlan, ..Topology::default() });
        let (on_wire, at_pod) = (stage.capture_with_beats("client"), stage.capture_with_beats("p11"));
        let mac = format!("02:00:00:00:00:0{}", first.trim_start_matches("node"));
        eventually("the announcing node's beats are on the wire", || {
            let beats =
                on_wire.frames(&stage).into_iter().filter(|frame| frame.is_beat() && frame.source == mac);
            let count = beats.count();
            holds(count > 5, count)
        });
        assert!(!at_pod.frames(&stage).iter().any(|frame| frame.is_beat()), "VLAN {vlan}");
        // A pod's frame of that kind ends at the bridge.
        let send = "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); \
                    s.send(bytes.fromhex('036f766e2d760a000000001188b5') + b'ov' + bytes(60))";
        crate::process::run(stage.lab.command_in("p11", "python3").args(["-c", send]));
        let frames = on_wire.frames(&stage);
        assert!(
            !frames.iter().any(|frame| frame.is_beat() && frame.source == "0a:00:00:00:00:11"),
            "VLAN {vlan}"
        );
        let served = stage.sample(Transport::Tcp, "client", VIP4);
        assert!(served.failures.is_empty(), "{served:?}");
    }
}

/// How many times `hack/bench-failover.sh` does each thing.
fn runs() -> usize {
    std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(30)
}

/// How long it takes, in ms, until that node's speaker says once more, after the mark, that it announces.
fn announces_after(stage: &Stage, node: &str, mark: usize, began: Instant) -> u128 {
    let words = format!("announcing vip={VIP4} ");
    while !stage.speakers[node].log()[mark..].contains(&words) {
        assert!(began.elapsed().as_secs() < 30, "nobody takes over");
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed().as_millis()
}

fn print(what: &str, mut took: Vec<u128>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    println!("{what}, {} runs: p50 {} ms, p90 {} ms, most {} ms", took.len(), at(50), at(90), at(100));
}

/// From a speaker's death to the first word of another's.
#[test]
#[ignore = "hack/bench-failover.sh runs it"]
fn numbers() {
    let (mut stage, mut first) = served_on(&Topology::default());
    let mut took = Vec::new();
    for _ in 0..runs() {
        let second = other(first);
        let mark = stage.speaker(second).mark();
        let began = Instant::now();
        stage.speaker(first).kill();
        took.push(announces_after(&stage, second, mark, began));
        stage.becomes_served("client", VIP4, pods_on(second));
        stage.start_speaker(first);
        std::thread::sleep(Duration::from_millis(2500));
        first = second;
    }
    print("speaker killed → another announces", took);
}

/// From the moment that a speaker is told to end to the first word of the one that waits on the same node.
#[test]
#[ignore = "hack/bench-failover.sh runs it"]
fn numbers_of_an_update() {
    let (mut stage, first) = served_on(&Topology::default());
    let mut took = Vec::new();
    for _ in 0..runs() {
        let mut old = stage.speakers.remove(first).unwrap();
        let before = old.mark();
        stage.start_speaker(first);
        stage.speaker(first).says_after(before, "another speaker works on this node");
        stage.speaker(first).says_after(before, "connected to Open vSwitch's database");
        std::thread::sleep(Duration::from_millis(500));
        let mark = stage.speaker(first).mark();
        let began = Instant::now();
        let old_pid = old.pid().to_string();
        crate::process::run(std::process::Command::new("kill").args(["-TERM", &old_pid]));
        took.push(announces_after(&stage, first, mark, began));
        old.wait();
    }
    print("speaker told to end → the one that waits announces", took);
}
