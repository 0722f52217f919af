//! What others make of our answers: the kernel's neighbour tables, the usual tools, and many hosts that ask at once.

use std::collections::HashSet;

use serde_json::json;

use crate::capture::Frame;
use crate::lab::{Topology, repository};
use crate::process::{Process, eventually, holds, try_run};
use crate::stage::{NODES, Stage, VIP4, VIP6, VIPS};
use crate::traffic::{CLIENTS, pods_on};

fn mac_of(node: &str) -> String {
    format!("02:00:00:00:00:0{}", &node[4..])
}

/// Waits until the client's kernel takes the VIP for confirmed at that MAC.
fn becomes_reachable(stage: &Stage, vip: &str, mac: &str) {
    eventually(&format!("{vip} is reachable at {mac}"), || {
        let entry = stage.lab.run_in("client", &format!("ip neigh show {vip} dev eth0"));
        holds(entry.contains(mac) && entry.contains("REACHABLE"), entry)
    });
}

/// A tool on the client: its exit code, as the kernel's `$?`, and what it said.
fn judges(stage: &Stage, line: &str) -> (bool, String) {
    let mut words = line.split_whitespace();
    let (ok, said) = try_run(stage.lab.command_in("client", words.next().unwrap()).args(words));
    (ok, said.to_lowercase())
}

#[test]
fn kernels_confirm_a_vip_and_ask_again_and_tools_find_its_address_taken() {
    let stage = Stage::serving();
    let capture = stage.capture_at_client();
    for vip in VIPS {
        let mac = mac_of(stage.says_announcing(vip).unwrap());
        stage.forget("client", vip);
        stage.one_request("client", vip);
        becomes_reachable(&stage, vip, &mac);
        // The kernel's own re-probe (RFC 4861 §7.3.3), for ARP, too: to the neighbour alone.
        stage.lab.run_in("client", &format!("ip neigh change {vip} dev eth0 nud probe"));
        becomes_reachable(&stage, vip, &mac);
        let frames = capture.frames(&stage);
        let asked = frames.iter().position(|frame| frame.asks_for(vip) && frame.destination == mac);
        let asked = asked.unwrap_or_else(|| panic!("the kernel asks {mac} for {vip}: {frames:?}"));
        let answered = frames[asked..].iter().any(|frame| frame.claims(vip) && frame.source == mac);
        assert!(answered, "and is answered: {frames:?}");
    }
    let [mac4, mac6] = VIPS.map(|vip| mac_of(stage.says_announcing(vip).unwrap()));
    let (free, said) = judges(&stage, &format!("arping -D -c 3 -w 5 -I eth0 {VIP4}"));
    assert!(!free && said.contains(&mac4), "duplicate address detection by arping: {said}");
    let (found, said) = judges(&stage, &format!("ndisc6 -1 {VIP6} eth0"));
    assert!(found && said.contains(&mac6), "ndisc6: {said}");
    stage.lab.run_in("client", "sysctl -q -w net.ipv6.conf.eth0.accept_dad=1");
    stage.lab.run_in("client", &format!("ip addr add {VIP6}/64 dev eth0"));
    eventually("the kernel finds the address taken (RFC 4862)", || {
        let addresses = stage.lab.run_in("client", "ip -6 addr show dev eth0");
        let failed = addresses.lines().any(|line| line.contains(VIP6) && line.contains("dadfailed"));
        holds(failed, addresses)
    });
    stage.lab.run_in("client", &format!("ip addr del {VIP6}/64 dev eth0"));
    for (vip, client) in VIPS.into_iter().flat_map(|vip| CLIENTS.map(|client| (vip, client))) {
        stage.becomes_served(client, vip, pods_on(stage.says_announcing(vip).unwrap()));
    }
}

/// Who told everybody to have the VIP: each telling's MAC, in order.
fn tellings(frames: &[Frame], vip: &str) -> Vec<String> {
    let told = frames.iter().filter(|frame| frame.claims(vip) && frame.is_to_all());
    // ARP tells it twice each time: as a request and as a reply, for hosts that heed but one.
    told.filter(|frame| !frame.text.contains("is-at")).map(|frame| frame.source.clone()).collect()
}

/// On the wire of one node, where the order of frames is that in which it hears them: once another has told everybody
/// that it has the VIP, this one answers nobody who asks later, until it has it again. How many it answered.
fn yields_to_the_next(frames: &[Frame], vip: &str, mac: &str) -> usize {
    let (mut another_has_it, mut asked_another, mut answers) = (false, HashSet::new(), 0);
    for frame in frames {
        if frame.asks_for(vip) && another_has_it {
            asked_another.insert(frame.source.as_str());
        } else if frame.claims(vip) && frame.is_to_all() {
            another_has_it = frame.source != mac;
            asked_another.clear();
        } else if frame.claims(vip) && frame.source == mac {
            let asked_in_time = !asked_another.contains(frame.destination.as_str());
            assert!(asked_in_time, "{mac} answers after another has {vip}: {frame:?}");
            answers += 1;
        }
    }
    answers
}

/// Ends a family's pods on a node: they serve on, and take nothing new, so that the VIP's move is a planned one.
fn end_pods(stage: &mut Stage, family: &str, node: &str) {
    for service in ["nginx", "dns"] {
        stage.cluster.edit("EndpointSlice", &format!("{service}-{family}"), |slice| {
            let endpoints = slice["endpoints"].as_array_mut().unwrap().iter_mut();
            for endpoint in endpoints.filter(|endpoint| endpoint["nodeName"] == node) {
                endpoint["conditions"] = json!({ "ready": false, "serving": true, "terminating": true });
            }
        });
    }
}

#[test]
fn however_many_ask_one_node_answers_also_while_the_vip_moves() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.start_controller();
    let captures = NODES.map(|node| (node, stage.capture_at_port_of(node)));
    stage.start_speakers();
    let moves = [(VIP4, "v4", "node1", "node2"), (VIP6, "v6", "node1", "node2")];
    let [_, (_, at_node2), _] = &captures;
    for (vip, _, from, _) in moves {
        eventually(&format!("{from} has told all that there is to tell of {vip}"), || {
            let told = tellings(&at_node2.frames(&stage), vip);
            holds(told == [from; 3].map(mac_of), told)
        });
    }
    let mut askers = stage.lab.command_in("client", "python3");
    askers.arg(repository().join("tests/lab/askers.py")).args(VIPS);
    let askers = Process::start("askers", &mut askers, stage.folder.path());
    for (vip, _, from, _) in moves {
        stage.speaker(from).says(&format!("Answered {{ vip: {vip},"));
    }
    for (_, family, from, _) in moves {
        end_pods(&mut stage, family, from);
    }
    for (vip, _, from, to) in moves {
        stage.speaker(from).says(&format!("handed over vip={vip} "));
        stage.speaker(to).says(&format!("Answered {{ vip: {vip},"));
    }
    let frames = captures.map(|(node, capture)| (node, capture.frames(&stage)));
    drop(askers);
    for ((vip, _, from, to), (node, frames)) in
        moves.into_iter().flat_map(|moved| frames.iter().map(move |frames| (moved, frames)))
    {
        let mut tellers = tellings(frames, vip);
        tellers.dedup();
        assert_eq!(tellers, [from, to].map(mac_of), "{vip} moves once, and nobody else tells of it");
        let answers = yields_to_the_next(frames, vip, &mac_of(node));
        assert_eq!(answers > 0, *node != "node3", "{node} answered {answers} times for {vip}");
    }
}
