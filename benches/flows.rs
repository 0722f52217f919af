//! Our rules of 2,500 VIPs (10,000 flows) onto a real bridge, against `ovs-ofctl --bundle add-flows`, in turns.
//! `hack/bench-flows.sh` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic"
)]

#[path = "../tests/openflow/harness.rs"]
mod harness;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::{OpenVSwitch, flows};
use ovn_vip::flows::Flow;
use ovn_vip::io::switch::{Switch, SwitchEvent};

const VIPS: u16 = 2_500;
const ROUNDS: usize = 15;

async fn install(switch: &mut Switch, wanted: BTreeSet<Flow>) -> Duration {
    let start = Instant::now();
    switch.set_wanted(wanted);
    while !matches!(switch.next_event().await, SwitchEvent::Installed { .. }) {}
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ovs = OpenVSwitch::start("OpenFlow10,OpenFlow13,OpenFlow14");
    let wanted = flows(VIPS, None);
    let lines: Vec<String> = wanted.iter().map(|flow| format!("cookie={:#x},{flow}", flow.cookie)).collect();
    let lines = lines.join("\n");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut switch = Switch::new(ovs.socket());
        ours.push(install(&mut switch, wanted.clone()).await);
        drop(switch);
        ovs.ofctl(&["del-flows", "br-x"]);
        let start = Instant::now();
        ovs.ofctl_file("add-flows", &lines);
        theirs.push(start.elapsed());
        ovs.ofctl(&["del-flows", "br-x"]);
    }
    let mut switch = Switch::new(ovs.socket());
    install(&mut switch, wanted.clone()).await;
    let mut one = Vec::new();
    for round in 0..ROUNDS {
        let fewer = if round % 2 == 0 { flows(VIPS - 1, None) } else { wanted.clone() };
        one.push(install(&mut switch, fewer).await);
    }
    let mut few = Switch::new(ovs.socket());
    install(&mut few, flows(2, None)).await;
    let mut small = Vec::new();
    for round in 0..ROUNDS {
        small.push(install(&mut few, flows(2 + (round as u16 + 1) % 2, None)).await);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{} flows onto an empty bridge, median of {ROUNDS}:", wanted.len());
    println!("  ovn-vip (connect, read, bundle, confirmed)  {ours:8.1} ms");
    println!("  ovs-ofctl --bundle add-flows                {theirs:8.1} ms");
    println!("  ratio ovn-vip / ovs-ofctl                   {:8.2}", ours / theirs);
    println!(
        "one VIP (4 flows) more or less beside 10,000 flows  {:.1} ms, beside 8 flows  {:.2} ms",
        median(one),
        median(small)
    );
}
