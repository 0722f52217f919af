//! Our rules of 2,500 VIPs (10,000 flows) onto a real bridge, and those of one VIP beside them, against
//! `ovs-ofctl --bundle add-flows`, in turns.
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

/// What each takes, in milliseconds: all flows onto an empty bridge, by us and by `ovs-ofctl`.
async fn all(ovs: &OpenVSwitch, wanted: &BTreeSet<Flow>) -> (f64, f64) {
    let lines = lines(wanted, |flow| format!("cookie={:#x},{flow}", flow.cookie));
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
    (median(ours), median(theirs))
}

/// What each takes, in milliseconds: one VIP more or less beside those of this many, with the rules given, with the
/// rules made from a plan, and by `ovs-ofctl` (rules that are no concern of ours).
async fn one(ovs: &OpenVSwitch, vips: u16) -> [f64; 3] {
    let (fewer, more) = (flows(vips, None), flows(vips + 1, None));
    let last: BTreeSet<Flow> = more.difference(&fewer).cloned().collect();
    let lines = lines(&last, |flow| format!("cookie=0x77,{flow}").replace("priority=10002", "priority=9"));
    let mut switch = Switch::new(ovs.socket());
    install(&mut switch, fewer.clone()).await;
    let (mut given, mut planned, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        given.push(install(&mut switch, more.clone()).await);
        let start = Instant::now();
        install(&mut switch, flows(vips, None)).await;
        planned.push(start.elapsed());
        let start = Instant::now();
        ovs.ofctl_file("add-flows", &lines);
        theirs.push(start.elapsed());
        ovs.ofctl(&["del-flows", "br-x", "cookie=0x77/-1"]);
    }
    [given, planned, theirs].map(median)
}

fn lines(flows: &BTreeSet<Flow>, line: impl Fn(&Flow) -> String) -> String {
    flows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ovs = OpenVSwitch::start("OpenFlow10,OpenFlow13,OpenFlow14");
    let wanted = flows(VIPS, None);
    let (ours, theirs) = all(&ovs, &wanted).await;
    println!("{} flows onto an empty bridge, median of {ROUNDS}:", wanted.len());
    println!("  ovn-vip (connect, read, bundle, confirmed)  {ours:8.1} ms");
    println!("  ovs-ofctl --bundle add-flows                {theirs:8.1} ms");
    println!("  ratio ovn-vip / ovs-ofctl                   {:8.2}", ours / theirs);
    for vips in [VIPS, 2] {
        let [given, planned, theirs] = one(&ovs, vips).await;
        println!("one VIP (4 flows) beside {} flows, median of {ROUNDS}:", usize::from(vips) * 4);
        println!("  ovn-vip, the rules given                    {given:8.2} ms");
        println!("  ovn-vip, the rules made from a plan         {planned:8.2} ms");
        println!("  ovs-ofctl --bundle add-flows                {theirs:8.2} ms");
        println!("  ratio ovn-vip from a plan / ovs-ofctl       {:8.3}", planned / theirs);
    }
}
