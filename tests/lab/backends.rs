//! Backends come and go under load, and a VIP moves with them.

use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, VIP6, VIPS};
use crate::traffic::{Load, Sample, Transport, source};

/// Requests that overlap at fifty a second. When a VIP moves, what is under way has its connection on the old node,
/// and TCP cannot move; what arrives there after the old node let go is lost.
const UNDER_WAY: u64 = 2;

/// Ends the load: at most so many requests failed.
fn ends_with_at_most_failed(load: Load, most: u64) -> Sample {
    let sample = load.end();
    let failed: u64 = sample.failures.values().sum();
    assert!(failed <= most, "at most {most} requests may fail: {sample:?}");
    sample
}

#[test]
fn backends_are_removed_and_added_under_load_without_a_lost_request() {
    let mut stage = Stage::serving();
    // OVN itself drops a SYN now and then at the moment its flows change (docs/benchmarks.md); it is sent again.
    let load = stage.patient_load(VIP4);
    stage.becomes_served("far", VIP4, &["p11", "p12"]);
    for _ in 0..3 {
        stage.cluster.remove_backend("p11");
        stage.becomes_served("far", VIP4, &["p12"]);
        stage.cluster.add_backend("p11", "node1");
        stage.becomes_served("far", VIP4, &["p11", "p12"]);
    }
    // The pod itself lives on, so that not even a request under way may be cut.
    let sample = ends_with_at_most_failed(load, 0);
    assert_eq!(sample.pods, ["p11", "p12"]);
}

#[test]
fn a_backend_on_a_further_node_serves_only_what_that_node_announces() {
    let mut stage = Stage::serving();
    stage.is_served(Transport::Tcp, "client", VIP4, &["p11", "p12"]);
    stage.is_served(Transport::Tcp, "client", VIP6, &["p11", "p12"]);
    stage.cluster.add_backend("p31", "node3");
    stage.cluster.remove_backend("p21");
    eventually("the row has the new backend and not the old one", || {
        let vips = stage.row("default/nginx/tcp", "vips");
        holds(vips.contains("10.180.204.131:80") && !vips.contains("10.180.204.121:80"), vips)
    });
    stage.lab.sync();
    for vip in VIPS {
        eventually(&format!("{vip} is served by its announcer alone"), || {
            let pods: &[&str] = match stage.learnt("client", vip).as_deref() {
                Some("node1") => &["p11", "p12"],
                Some("node3") => &["p31"],
                other => return Err(format!("{other:?} announces it")),
            };
            stage.sample(Transport::Tcp, "client", vip).is_served_by(pods, source("client", vip))
        });
    }
}

#[test]
fn a_vip_whose_last_local_pod_goes_moves_and_clients_learn_it_without_asking() {
    let mut stage = Stage::serving();
    // A Service has one announcer for all its addresses.
    let (from, to, pods) = ("node1", "node2", &["p11", "p12"][..]);
    for vip in VIPS {
        for host in ["client", "gw"] {
            stage.forget(host, vip);
        }
        stage.becomes_served("client", vip, pods);
        stage.becomes_served("far", vip, pods);
        let capture = stage.capture_at_client();
        stage.cluster.set_ready(pods, false);
        for host in ["client", "gw"] {
            stage.learns(host, vip, to);
        }
        let frames = capture.frames(&stage);
        assert_eq!(frames.iter().find(|frame| frame.asks_for(vip)), None, "nobody asked for {vip}");
        let told = frames.iter().filter(|frame| frame.claims(vip) && frame.is_to_all()).count();
        assert!(told > 0, "{to} told everybody that {vip} moved from {from}: {frames:?}");
        stage.cluster.set_ready(pods, true);
        stage.learns("client", vip, from);
    }
}

#[test]
fn a_vip_moves_back_and_forth_under_load_and_loses_nothing_but_what_was_under_way() {
    let mut stage = Stage::serving();
    let (from, pods) = ("node1", &["p11", "p12"][..]);
    let (to, others) = ("node2", &["p21"][..]);
    for vip in VIPS {
        let load = stage.load(vip);
        stage.becomes_served("far", vip, pods);
        stage.cluster.set_terminating(pods);
        stage.learns("client", vip, to);
        stage.becomes_served("far", vip, others);
        stage.cluster.set_ready(pods, true);
        stage.learns("client", vip, from);
        stage.becomes_served("far", vip, pods);
        let sample = ends_with_at_most_failed(load, 2 * UNDER_WAY);
        eprintln!("{vip} moved twice: {} answers, {sample:?}", sample.ok);
    }
}

/// Make before break: the holder goes on until it hears its successor, though the pods only serve out their time.
#[test]
fn a_vip_whose_last_local_pods_end_is_handed_over_before_they_are_gone() {
    let mut stage = Stage::serving();
    let load = stage.load(VIP4);
    stage.becomes_served("far", VIP4, &["p11", "p12"]);
    let mark = stage.speaker("node1").mark();
    stage.cluster.set_terminating(&["p11", "p12"]);
    stage.speaker("node1").says_after(mark, &format!("handed over vip={VIP4} "));
    stage.learns("client", VIP4, "node2");
    stage.becomes_served("far", VIP4, &["p21"]);
    stage.cluster.set_ready(&["p11", "p12"], false);
    stage.controller().says("Load_Balancer default/nginx/tcp");
    let sample = ends_with_at_most_failed(load, UNDER_WAY);
    eprintln!("handed over: {} answers, {sample:?}", sample.ok);
}

#[test]
fn a_node_whose_nic_has_no_carrier_or_is_down_is_silent_and_claims_again_once_it_is_back() {
    let stage = Stage::serving();
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
    let at_the_switch = |verb| drop(stage.lab.run(&[verb, "node1"]));
    let on_the_node = |state| drop(stage.lab.run_in("node1", &format!("ip link set underlay0 {state}")));
    at_the_switch("cut");
    says_that_it_has_no_carrier(&stage);
    claims_again(&stage, || at_the_switch("mend"));
    on_the_node("down");
    says_that_it_has_no_carrier(&stage);
    claims_again(&stage, || on_the_node("up"));
}

fn says_that_it_has_no_carrier(stage: &Stage) {
    eventually("node1 withdraws it, and says why", || {
        let status = stage.status("node1");
        holds(status.contains("no carrier") && stage.says_announcing(VIP4).is_none(), status)
    });
}

fn claims_again(stage: &Stage, once: impl FnOnce()) {
    let capture = stage.capture_at_client();
    once();
    stage.becomes_announced(VIP4);
    eventually("node1 tells everybody", || {
        let frames = capture.frames(stage);
        holds(frames.iter().any(|frame| frame.claims(VIP4) && frame.is_to_all()), frames)
    });
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
}
