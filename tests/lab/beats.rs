//! Speakers say on the wire that they are there; one that does not is replaced, whatever Kubernetes says of its node.

use std::time::Instant;

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

/// `hack/bench-failover.sh` runs it: how long from a speaker's death to the first word of another's.
#[test]
#[ignore = "hack/bench-failover.sh runs it"]
fn numbers() {
    let runs = std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(30);
    let (mut stage, mut first) = served_on(&Topology::default());
    let mut took = Vec::new();
    for _ in 0..runs {
        let second = other(first);
        let marks = stage.speaker(second).mark();
        let began = Instant::now();
        stage.speaker(first).kill();
        let words = format!("announcing vip={VIP4} ");
        while !stage.speakers[second].log()[marks..].contains(&words) {
            assert!(began.elapsed().as_secs() < 30, "nobody takes over");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        took.push(began.elapsed().as_millis());
        stage.becomes_served("client", VIP4, pods_on(second));
        stage.start_speaker(first);
        let mark = stage.speaker(first).mark();
        stage.speaker(first).says_after(mark.saturating_sub(1), "");
        std::thread::sleep(std::time::Duration::from_millis(2500));
        first = second;
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    println!(
        "speaker killed → another announces, {} runs: p50 {} ms, p90 {} ms, most {} ms",
        took.len(),
        at(50),
        at(90),
        at(100)
    );
}
