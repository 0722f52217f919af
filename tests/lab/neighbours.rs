//! Who answers for a VIP on the wire: one node, never another, whatever somebody sends.

use std::collections::BTreeSet;

use crate::capture::Frame;
use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::{NODES, Stage, VIP4, VIP6, VIPS};
use crate::traffic::{CLIENTS, Transport, pods_on};

const CLIENT_MAC: &str = "02:00:00:00:02:64";
const QUESTIONS: usize = 5;
/// What the frames of `hostile.py` are counted as, beside the claims. Forged tags end at the bridge: its NIC is a trunk of
/// the VLANs that there are.
const HOSTILE: [&str; 8] = [
    "arp_truncated",
    "arp_not_ethernet_ipv4",
    "arp_unknown_operation",
    "ndp_truncated",
    "ndp_bad_option_length",
    "ndp_bad_hop_limit",
    "ndp_bad_unspecified_source",
    "conflict_peer",
];

#[test]
fn each_question_for_a_vip_has_one_answer_and_only_the_announcer_answers() {
    let stage = Stage::serving();
    let at_client = stage.capture_at_client();
    let ports = NODES.map(|node| (node, stage.capture_at_port_of(node)));
    for vip in VIPS {
        for _ in 0..QUESTIONS {
            stage.forget("client", vip);
            stage.is_served(Transport::Tcp, "client", vip, pods_on(stage.says_announcing(vip).unwrap()));
        }
    }
    let frames = at_client.frames(&stage);
    for vip in VIPS {
        let announcer = stage.says_announcing(vip).unwrap();
        let asked = frames.iter().filter(|frame| frame.asks_for(vip) && frame.source == CLIENT_MAC).count();
        let answers: Vec<&Frame> =
            frames.iter().filter(|frame| frame.claims(vip) && frame.destination == CLIENT_MAC).collect();
        assert!(asked >= QUESTIONS, "the client asked {asked} times for {vip}");
        assert_eq!(answers.len(), asked, "one answer for each question for {vip}: {answers:?}");
        let sources: BTreeSet<&str> = answers.iter().map(|frame| frame.source.as_str()).collect();
        let announcers_mac = format!("02:00:00:00:00:0{}", &announcer[4..]);
        assert_eq!(sources, BTreeSet::from([announcers_mac.as_str()]), "{vip}");
        for (node, port) in &ports {
            let claims = |frame: &&Frame| frame.claims(vip) && frame.source.ends_with(&node[4..]);
            let frames = port.frames(&stage);
            let said = frames.iter().filter(|frame| frame.source != announcers_mac).find(claims);
            assert_eq!(said, None, "{node} speaks for {vip}");
        }
    }
}

#[test]
fn without_a_ready_endpoint_nobody_answers_and_the_row_stays_with_no_backend() {
    let mut stage = Stage::serving();
    let mark = stage.speaker("node1").mark();
    stage.cluster.set_ready(&["p11", "p12", "p21"], false);
    stage.speaker("node1").says_after(mark, "withdrawn");
    stage.controller().says("no endpoint for tcp 10.180.204.252:80 is ready");
    nobody_answers(&stage);
    assert_eq!(stage.row("default/nginx/tcp", "vips"), r"10.180.204.252:80= [fd00:180:204::252]:80=");
}

/// The client asks for each VIP, and nobody says to have it.
fn nobody_answers(stage: &Stage) {
    let capture = stage.capture_at_client();
    for vip in VIPS {
        stage.forget("client", vip);
        let failures = stage.one_request("client", vip).failures;
        assert!(failures.contains_key("EHOSTUNREACH"), "the kernel asks three times: {failures:?}");
    }
    let frames = capture.frames(stage);
    for vip in VIPS {
        assert!(frames.iter().any(|frame| frame.asks_for(vip)), "the client asked for {vip}");
        assert_eq!(frames.iter().find(|frame| frame.claims(vip)), None, "nobody answers for {vip}");
    }
}

/// The barrier: rules alone do not deliver. Before the controller has written a row nobody answers.
#[test]
fn nobody_answers_before_ovn_delivers_and_the_announcer_does_as_soon_as_it_does() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.start_speakers();
    for node in ["node1", "node2"] {
        stage.speaker(node).says("rules installed bridge=br-provider added=6");
    }
    nobody_answers(&stage);
    let why = "OVN has no flow here that translates it to a local backend";
    assert!(NODES.iter().any(|node| stage.status(node).contains(why)), "the status says what is waited for");
    stage.start_controller();
    for vip in VIPS {
        let announcer = stage.becomes_announced(vip);
        eventually("the status says who announces", || {
            let status = stage.status(announcer);
            let line = status.lines().find(|line| line.starts_with(&format!("{vip} ")));
            let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
            holds(words.get(1..3) == Some(&[announcer, "announced"]), status)
        });
        stage.becomes_served("client", vip, pods_on(announcer));
    }
}

#[test]
fn hostile_frames_do_no_harm_and_a_foreign_claim_is_told() {
    let mut stage = Stage::serving();
    let hostile = crate::lab::repository().join("tests/lab/hostile.py");
    crate::process::run(stage.lab.command_in("client", "python3").arg(hostile).args(VIPS));
    for vip in VIPS {
        let announcer = stage.says_announcing(vip).unwrap();
        let told = format!("another host claims a VIP of ours vip={vip} foreign_mac=02:ba:d0:ba:d0:ba");
        stage.speaker(announcer).says(&told);
        let metrics = stage.lab.run_in(announcer, "curl -sS http://127.0.0.1:10686/metrics");
        let counted =
            |verdict: &&str| metrics.contains(&format!("ovn_vip_frames_total{{verdict=\"{verdict}\"}}"));
        assert_eq!(
            HOSTILE.iter().find(|verdict| !counted(verdict)),
            None,
            "{announcer} counts each: {metrics}"
        );
    }
    for (vip, host) in [(VIP4, "client"), (VIP4, "gw"), (VIP6, "client"), (VIP6, "gw")] {
        stage.forget(host, vip);
    }
    for (vip, client) in VIPS.into_iter().flat_map(|vip| CLIENTS.map(|client| (vip, client))) {
        let announcer = stage.says_announcing(vip).unwrap();
        stage.is_served(Transport::Tcp, client, vip, pods_on(announcer));
    }
    NODES.into_iter().for_each(|node| assert!(stage.speaker(node).is_running(), "{node}'s speaker"));
}
