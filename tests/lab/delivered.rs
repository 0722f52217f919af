//! What is announced is delivered: a node that cannot any more is silent, and another one has the VIP.

use std::process::Command;

use crate::lab::Topology;
use crate::process::{eventually, holds, run};
use crate::stage::{Stage, VIP4, other};
use crate::traffic::pods_on;

/// Two nodes that serve, by a real API server, and which of them announces.
fn served() -> (Stage, &'static str) {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    let first = stage.becomes_announced(VIP4);
    stage.becomes_served("client", VIP4, pods_on(first));
    (stage, first)
}

/// Waits until the node's report says whether it cannot deliver the VIP.
fn says_undelivered(stage: &Stage, node: &str, is_undelivered: bool) {
    eventually(&format!("{node} reports whether it delivers {VIP4}"), || {
        let report = stage.kubernetes().report(node);
        let undelivered = report["subnets"]["underlay-subnet"]["undelivered"].as_array();
        let found = undelivered.is_some_and(|vips| vips.iter().any(|vip| vip == VIP4));
        holds(found == is_undelivered, report)
    });
}

#[test]
fn a_node_that_loses_ovns_flows_lets_go_and_the_next_one_serves() {
    let (stage, first) = served();
    let second = other(first);
    stage.lab.run(&["of", first, "del-flows", "br-int"]);
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    says_undelivered(&stage, first, true);
    // Where they are back nothing moves, and the node is one of the able again.
    stage.lab.run(&["restart-controller", first]);
    says_undelivered(&stage, first, false);
    stage.becomes_served("client", VIP4, pods_on(second));
}

#[test]
fn a_node_whose_switch_hangs_lets_go_and_the_next_one_serves() {
    let (stage, first) = served();
    let second = other(first);
    stage.lab.run(&["pause", first, "vswitchd"]);
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    stage.lab.run(&["resume", first, "vswitchd"]);
    says_undelivered(&stage, first, false);
    stage.becomes_served("client", VIP4, pods_on(second));
}

#[test]
fn a_speaker_that_was_stopped_says_nothing_of_its_past() {
    let (mut stage, first) = served();
    let (second, pid) = (other(first), stage.speaker(first).pid().to_string());
    run(Command::new("kill").args(["-STOP", &pid]));
    // The VIP moves meanwhile, and clients go on asking.
    crate::claims::set_ready(&stage, first, false);
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    for _ in 0..20 {
        stage.forget("client", VIP4);
        stage.becomes_served("client", VIP4, pods_on(second));
    }
    let capture = stage.capture_at_client();
    let mark = stage.speaker(first).mark();
    run(Command::new("kill").args(["-CONT", &pid]));
    stage.speaker(first).says_after(mark, "was stopped for a while");
    stage.speaker(first).says_after(mark, &format!("withdrawn vip={VIP4} "));
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(second));
    let number = first.trim_start_matches("node");
    let mac = format!("02:00:00:00:00:0{number}");
    let stale = capture.frames(&stage).into_iter().filter(|frame| frame.source == mac && frame.claims(VIP4));
    assert_eq!(stale.count(), 0);
}

#[test]
fn explain_names_the_endpoints_whose_ports_no_chassis_has() {
    let (stage, first) = served();
    let explain = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        command.args(["explain", VIP4]).args(stage.kubernetes().options("controller"));
        command.args(["--ovn-nb", stage.lab.variable("LAB_NB"), "--ovn-sb", stage.lab.variable("LAB_SB")]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let take_out = |node: &str, pods: &[&str]| {
        pods.iter().for_each(|pod| drop(stage.lab.run(&["vs", node, "del-port", "br-int", pod])));
    };
    let (own, others) =
        if first == "node1" { (vec!["p11", "p12"], vec!["p21"]) } else { (vec!["p21"], vec!["p11", "p12"]) };
    take_out(first, &own);
    stage.becomes_served("client", VIP4, pods_on(other(first)));
    eventually("it says which, and that others serve", || {
        let said = explain();
        let words = format!("no chassis has its port {}.default", own[0]);
        holds(said.contains(&words) && said.contains("! backends") && !said.contains("✗"), said)
    });
    take_out(other(first), &others);
    eventually("it is dark for it", || {
        let said = explain();
        holds(said.contains("✗ backends") && said.contains("is the pod's interface in br-int"), said)
    });
}
