//! Nobody takes over from a node that lives, however busy the machine is.

use std::time::{Duration, Instant};

use crate::lab::Topology;
use crate::stage::{NODES, Stage, VIPS};

/// What is said of a node whose beats are missed, and of a VIP that moves.
const WORDS: [&str; 4] =
    ["beats are missed", "announcing vip=", "withdrawn vip=", "this node was stopped for a while"];

fn minutes() -> u64 {
    std::env::var("SOAK_MINUTES").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(60)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Nothing happens but that time passes: each VIP that moves is a false take-over.
#[test]
#[ignore = "hack/soak-beats.sh runs it"]
fn soak() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    let before = VIPS.map(|vip| stage.becomes_announced(vip));
    let marks = NODES.map(|node| (node, stage.speaker(node).mark()));
    let began = Instant::now();
    let mut told = [0; WORDS.len()];
    while began.elapsed() < Duration::from_secs(60 * minutes()) {
        std::thread::sleep(Duration::from_secs(10));
        let logs = marks.map(|(node, mark)| stage.speakers[node].log()[mark..].to_owned());
        let now = WORDS.map(|words| logs.iter().map(|log| log.matches(words).count()).sum::<usize>());
        if now != std::mem::replace(&mut told, now) {
            println!("soak: {} s, load {}: {WORDS:?} {told:?}", began.elapsed().as_secs(), load());
        }
    }
    let after = VIPS.map(|vip| stage.says_announcing(vip));
    println!("soak: over after {} s, load {}: {WORDS:?} {told:?}", began.elapsed().as_secs(), load());
    assert_eq!(after, before.map(Some), "each VIP is where it was");
    assert_eq!(told[1..3], [0, 0], "and never was elsewhere");
}
