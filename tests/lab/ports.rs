//! The bridge under the rules changes: ports get other numbers, come late, go and come back. The rules follow, and so
//! does what is said.

use crate::capture::Frame;
use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, VIP6};
use crate::traffic::{CLIENTS, pods_on};

const NIC: &str = "underlay0";
const PATCH: &str = "patch-localnet.underlay-subnet-to-br-int";
const OTHER_MAC: &str = "02:00:00:00:00:a1";

/// The number of a port of node1's provider bridge, once it has one.
fn ofport(stage: &Stage, port: &str) -> String {
    let get = ["vs", "node1", "--bare", "--if-exists", "get", "interface", port, "ofport"];
    eventually(&format!("{port} has a number"), || {
        let number = stage.lab.run(&get).trim().to_owned();
        holds(number.parse::<u16>().is_ok(), &number).map(|()| number)
    })
}

/// Changes node1's Open vSwitch; waits until every rule is of these ports and this MAC, and node1 serves with them.
fn follows(stage: &Stage, change: &str, mac: &str) {
    let before = [NIC, PATCH].map(|port| ofport(stage, port));
    let words: Vec<&str> = ["vs", "node1"].into_iter().chain(change.split_whitespace()).collect();
    // ovn-controller looks away, so that a port it makes again is a new one to Open vSwitch, with another number.
    stage.lab.run(&["pause", "node1", "ovn-controller"]);
    stage.lab.run(&words);
    stage.lab.run(&["resume", "node1", "ovn-controller"]);
    let after = eventually(&format!("all rules are as the bridge is after {change}"), || {
        let after = [NIC, PATCH].map(|port| ofport(stage, port));
        let rules = stage.lab.rules("node1");
        let [nic, patch] = &after;
        let (from, to) = (format!("in_port={nic},dl_dst={mac},"), format!("output:{patch}"));
        // What answers ping goes back by the port that it came from.
        let is_right =
            |rule: &&String| rule.contains(&from) && (rule.ends_with(&to) || rule.ends_with(",IN_PORT"));
        let right = rules.iter().filter(is_right).count();
        holds(right == rules.len() && right >= 6, (&after, rules)).map(|()| after)
    });
    assert!(after != before || mac == OTHER_MAC, "{change} leaves the numbers {before:?}");
    serves(stage);
}

/// Node1 announces the VIP, and a client that has to ask for it is served, on the link and behind the gateway.
fn serves(stage: &Stage) {
    assert_eq!(stage.becomes_announced(VIP4), "node1");
    for (host, client) in ["client", "gw"].into_iter().zip(CLIENTS) {
        stage.forget(host, VIP4);
        let sample = stage.one_request(client, VIP4);
        let pods = pods_on("node1");
        assert!(sample.ok == 1 && pods.contains(&sample.pods[0].as_str()), "{client}: {sample:?}");
    }
}

#[test]
fn rules_follow_ports_that_get_other_numbers_and_a_bridge_that_gets_another_mac() {
    let stage = Stage::serving();
    let own = "02:00:00:00:00:01";
    follows(&stage, &format!("set interface {NIC} ofport_request=77"), own);
    let plugged_anew = "ofport_request=78";
    follows(
        &stage,
        &format!("del-port {NIC} -- add-port br-provider {NIC} -- set interface {NIC} {plugged_anew}"),
        own,
    );
    follows(&stage, &format!("del-port {PATCH}"), own);
    let anew = "-- add-br br-provider -- set bridge br-provider datapath_type=netdev";
    let hwaddr = |mac| format!("other_config:hwaddr=\"{mac}\"");
    follows(&stage, &format!("del-br br-provider {anew} {} -- add-port br-provider {NIC}", hwaddr(own)), own);
    let capture = stage.capture_at_client();
    follows(&stage, &format!("set bridge br-provider {}", hwaddr(OTHER_MAC)), OTHER_MAC);
    let frames = capture.frames(&stage);
    let mut told =
        frames.iter().filter(|frame| frame.claims(VIP4)).skip_while(|frame| frame.source != OTHER_MAC);
    assert!(told.next().is_some_and(Frame::is_to_all), "the new one is told to all: {frames:?}");
    assert_eq!(told.find(|frame| frame.source != OTHER_MAC), None, "and the old one is heard no more");
}

#[test]
fn a_nic_that_leaves_its_bridge_and_comes_back_in_another_place_is_followed() {
    let mut stage = Stage::serving();
    let mark = stage.speaker("node1").mark();
    stage.lab.run(&["vs", "node1", "del-port", NIC]);
    stage.speaker("node1").says_after(mark, "bridge br-provider has no port underlay0");
    eventually("nothing is steered or said there", || {
        let rules = stage.lab.rules("node1");
        holds(rules.is_empty() && stage.says_announcing(VIP4).is_none(), rules)
    });
    let place = "ofport_request=99";
    stage.lab.run(&["vs", "node1", "add-port", "br-provider", NIC, "--", "set", "interface", NIC, place]);
    serves(&stage);
    assert_eq!(ofport(&stage, NIC), "99");
}

/// ovn-controller makes the patch port with the first pod of the subnet on the node.
#[test]
fn a_patch_port_that_appears_with_the_first_pod_here_is_awaited_and_then_served() {
    let mut stage = Stage::serving();
    stage.lab.run(&["move", "p31", "node1"]);
    stage.lab.run(&["app", "node3", "ovn-controller", "inc-engine/recompute"]);
    stage.lab.sync();
    stage.cluster.add_backend("p31", "node3");
    let cure = format!("no patch port {PATCH}; ovn-controller makes it with the subnet's first pod here");
    stage.speaker("node3").says(&cure);
    assert_eq!(stage.lab.rules("node3").len(), 0, "there is nowhere to steer to");
    for pod in ["p11", "p12", "p21"] {
        stage.cluster.remove_backend(pod);
    }
    stage.lab.run(&["move", "p31", "node3"]);
    for (vip, client) in [(VIP4, "client"), (VIP4, "far"), (VIP6, "client"), (VIP6, "far")] {
        stage.becomes_served(client, vip, &["p31"]);
    }
    assert_eq!(stage.says_announcing(VIP4), Some("node3"));
}

#[test]
fn on_a_tagged_vlan_the_access_port_may_go_and_come_back() {
    let stage = Stage::serving_on(&Topology { vlan: 341, ..Topology::default() });
    let speaks_on = |interface: &str| {
        eventually(&format!("node1 speaks on {interface}"), || {
            let status = stage.lab.run_in("node1", "curl -sS http://127.0.0.1:10686/status");
            let status: serde_json::Value =
                serde_json::from_str(&status).map_err(|error| error.to_string())?;
            let is_it = |vip: &&serde_json::Value| vip["vip"] == VIP4 && vip["state"] == "announced";
            let vip = status["vips"].as_array().and_then(|vips| vips.iter().find(is_it));
            holds(vip.is_some_and(|vip| vip["interface"] == interface), &status)
        });
        serves(&stage);
    };
    speaks_on("underlay0.341");
    stage.lab.run(&["vs", "node1", "del-port", "underlay0.341"]);
    speaks_on("br-provider");
    let port = "add-port br-provider underlay0.341 tag=341 -- set interface underlay0.341 type=internal \
                mac=\"02:00:00:00:00:01\"";
    stage.lab.run(&["vs", "node1"].into_iter().chain(port.split_whitespace()).collect::<Vec<_>>());
    stage.lab.run_in("node1", "ip link set underlay0.341 up");
    speaks_on("underlay0.341");
}
