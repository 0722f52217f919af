//! Speakers that know each other, by a real API server: they ask before a first claim, keep what they hold, tell what they
//! hold, and ask whether a host has the address.

use serde_json::json;

use crate::capture::Frame;
use crate::lab::Topology;
use crate::process::{eventually, holds, run, try_run};
use crate::stage::{Stage, VIP4, VIPS, other};
use crate::traffic::pods_on;

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/ovn-vip/roles/ovn-vip-speaker";
const SLICES: [&str; 4] = ["nginx-v4", "nginx-v6", "dns-v4", "dns-v6"];
const CLIENT_MAC: &str = "02:00:00:00:02:64";

/// Waits until a node's report holds the VIP with that term.
fn holds_with(stage: &Stage, node: &str, vip: &str, term: u64) {
    eventually(&format!("{node} reports {vip}, term {term}"), || {
        let report = stage.kubernetes().report(node);
        let found = report["subnets"]["underlay-subnet"]["vips"][vip].as_u64();
        holds(found == Some(term), report)
    });
}

/// Waits until both Services are stated by that node in MetalLB's way, and by no other.
fn is_stated(stage: &Stage, node: &str) {
    eventually(&format!("{node} states what it announces"), || {
        let stated = stage.kubernetes().stated();
        let wanted = ["dns", "nginx"].map(|service| (service.to_owned(), node.to_owned()));
        holds(stated == wanted, stated)
    });
}

/// Waits for an Event on nginx whose note has all these words.
fn is_told(stage: &Stage, reason: &str, words: &[&str]) {
    eventually(&format!("the Event {reason} with {words:?}"), || {
        let events = stage.kubernetes().events("nginx", reason);
        holds(events.iter().any(|note| words.iter().all(|word| note.contains(word))), events)
    });
}

/// Waits until a node's status has these words about the VIP.
fn says(stage: &Stage, node: &str, vip: &str, words: &str) {
    eventually(&format!("the status of {node} says {words:?} of {vip}"), || {
        let mut ask = stage.lab.command_in(node, env!("CARGO_BIN_EXE_ovn-vip"));
        let (_, status) = try_run(ask.arg("status"));
        let mut lines = status.lines().skip_while(|line| !line.starts_with(&format!("{vip} "))).take(2);
        holds(lines.any(|line| line.contains(words)), status)
    });
}

/// Makes the pods of a node ready, or not.
pub fn set_ready(stage: &Stage, node: &str, ready: bool) {
    let cluster = &stage.kubernetes().server.cluster;
    for slice in SLICES {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{slice}");
        let mut endpoints = cluster.get(&path).unwrap()["endpoints"].clone();
        let there =
            endpoints.as_array_mut().unwrap().iter_mut().filter(|endpoint| endpoint["nodeName"] == node);
        there.for_each(|endpoint| endpoint["conditions"] = json!({ "ready": ready }));
        cluster.patch(&path, &json!({ "endpoints": endpoints }));
    }
}

#[test]
fn a_first_claim_asks_first_and_what_is_held_stays_and_is_told() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    let capture = stage.capture_at_client();
    stage.start_speakers();
    let announcers = VIPS.map(|vip| stage.becomes_announced(vip));
    let frames = capture.frames(&stage);
    let probe = |frame: &Frame| frame.text.contains(&format!("who-has {VIP4} tell 0.0.0.0"));
    let first_claim = frames.iter().position(|frame| frame.claims(VIP4)).unwrap();
    assert_eq!(frames.iter().filter(|frame| probe(frame)).count(), 3, "RFC 5227: three probes");
    assert!(frames.iter().rposition(probe).unwrap() < first_claim, "and then the announcement");
    for (vip, node) in VIPS.into_iter().zip(announcers) {
        holds_with(&stage, node, vip, 1);
        stage.becomes_served("client", vip, pods_on(node));
    }
    let first = announcers[0];
    assert_eq!(stage.kubernetes().owner(first), first, "its report goes with the Node");
    is_stated(&stage, first);
    is_told(&stage, "Announced", &[first, VIP4, "br-provider"]);

    // A restart takes up what was held: nobody is asked, and nothing moves.
    let mark = stage.speaker(first).mark();
    // Told to end it says that it is back soon; one that is killed is replaced after 0.3 s, and a busy machine takes longer.
    stage.speaker(first).terminate();
    stage.start_speaker(first);
    stage.speaker(first).says_after(mark, &format!("announcing vip={VIP4} "));
    assert!(!stage.speaker(first).log()[mark..].contains("asking whether somebody has it"));
    holds_with(&stage, first, VIP4, 1);

    // Its backends go, and the VIP with them; they come back, and it stays where it is.
    let second = other(first);
    set_ready(&stage, first, false);
    holds_with(&stage, second, VIP4, 2);
    is_stated(&stage, second);
    is_told(&stage, "Withdrawn", &[first, VIP4]);
    set_ready(&stage, first, true);
    says(&stage, first, VIP4, "standby");
    stage.learns("client", VIP4, second);
    stage.becomes_served("client", VIP4, pods_on(second));
    holds_with(&stage, second, VIP4, 2);
}

#[test]
fn a_lost_link_is_heard_of_and_the_api_servers_death_changes_nothing() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    let first = stage.becomes_announced(VIP4);
    holds_with(&stage, first, VIP4, 1);
    stage.lab.run(&["cut", first]);
    let second = other(first);
    holds_with(&stage, second, VIP4, 2);
    stage.becomes_served("client", VIP4, pods_on(second));
    is_told(&stage, "Withdrawn", &[first, VIP4, "no carrier"]);
    stage.lab.run(&["mend", first]);
    says(&stage, first, VIP4, "standby");

    let server = &mut stage.kubernetes.as_mut().unwrap().server;
    server.kill();
    stage.becomes_served("client", VIP4, pods_on(second));
    stage.forget("client", VIP4);
    stage.becomes_served("client", VIP4, pods_on(second));
    stage.kubernetes.as_mut().unwrap().server.restart();
    set_ready(&stage, second, false);
    holds_with(&stage, first, VIP4, 3);
    stage.becomes_served("client", VIP4, pods_on(first));
}

#[test]
fn a_host_that_has_the_address_is_asked_and_one_that_claims_it_is_contradicted() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    // A host has the first VIP before anybody of ours wants it.
    stage.lab.run_in("client", &format!("ip addr add {VIP4}/32 dev eth0"));
    let capture = stage.capture_at_port_of("client");
    stage.start_speakers();
    let [_, vip6] = VIPS;
    let second = stage.becomes_announced(vip6);
    let first = stage.elected_for(VIP4);
    says(&stage, first, VIP4, &format!("the host with MAC {CLIENT_MAC} has this address"));
    is_told(&stage, "AddressYielded", &[first, VIP4, CLIENT_MAC]);
    let ours = |frame: &Frame| frame.claims(VIP4) && frame.source != CLIENT_MAC;
    assert_eq!(capture.frames(&stage).iter().find(|frame| ours(frame)), None, "nobody of ours claims it");

    // Another claims the second VIP while it is held: it is contradicted each time, and nothing is lost.
    stage.becomes_served("far", vip6, pods_on(second));
    let taker = crate::lab::repository().join("tests/lab/taker.py");
    run(stage.lab.command_in("client", "python3").arg(taker).args([vip6, "2"]));
    is_told(&stage, "AddressConflict", &[second, vip6, "02:ba:d0:ba:d0:ba"]);
    stage.becomes_served("far", vip6, pods_on(second));
    says(&stage, second, vip6, "announced");
}

#[test]
fn a_node_that_answers_otherwise_is_waited_for_and_without_permission_nothing_is_claimed() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    // As MetalLB's speaker would: with the node's own MAC.
    stage.start_speaker("node3");
    eventually("node3's MAC is known", || {
        let report = stage.kubernetes().report("node3");
        holds(report["subnets"]["underlay-subnet"]["mac"] == "02:00:00:00:00:03", report)
    });
    stage.lab.run_in("node3", &format!("ip addr add {VIP4}/32 dev br-provider"));
    let rules = stage.kubernetes().server.cluster.get(ROLE).unwrap()["rules"].clone();
    stage.start_speaker("node1");
    stage.start_speaker("node2");
    let first = stage.elected_for(VIP4);
    says(&stage, first, VIP4, "02:00:00:00:00:03, a node of this cluster, answers for it");
    is_told(&stage, "AddressInUse", &[first, VIP4, "02:00:00:00:00:03", "MetalLB"]);
    stage.lab.run_in("node3", &format!("ip addr del {VIP4}/32 dev br-provider"));
    assert_eq!(stage.becomes_announced(VIP4), first);
    stage.becomes_served("client", VIP4, pods_on(first));

    // A speaker that cannot tell the others its MAC claims nothing.
    for node in ["node1", "node2"] {
        stage.speaker(node).kill();
        stage
            .kubernetes()
            .server
            .cluster
            .delete(&format!("/apis/coordination.k8s.io/v1/namespaces/ovn-vip/leases/speaker.{node}"));
    }
    let fewer = json!([{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch"] }]);
    stage.kubernetes().server.cluster.patch(ROLE, &json!({ "rules": fewer }));
    let mark = stage.speaker(first).mark();
    stage.start_speaker(first);
    says(&stage, first, VIP4, "MAC is not published");
    stage.speaker(first).says_after(mark, "may not create and patch leases.coordination.k8s.io");
    stage.kubernetes().server.cluster.patch(ROLE, &json!({ "rules": rules }));
    stage.speaker(first).says_after(mark, &format!("announcing vip={VIP4} "));
}
