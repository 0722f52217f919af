//! Other shapes of the underlay: exchanged names, several VLANs on one bridge, several provider networks.

use serde_json::json;

use crate::lab::Topology;
use crate::process::{eventually, holds, try_run};
use crate::serving::serves_everybody;
use crate::stage::{Stage, VIPS};
use crate::traffic::{CLIENTS, pods_on, source};

/// In VLAN 342 of the first bridge, and on the second provider network: each has one pod and one client.
const TRUNK_VIPS: [&str; 2] = ["10.180.205.252", "fd00:180:205::252"];
const SECOND_VIPS: [&str; 2] = ["10.180.206.252", "fd00:180:206::252"];

/// One request is served by that pod, with the client's own address.
fn becomes_served_by(stage: &Stage, client: &str, vip: &str, pod: &str) {
    eventually(&format!("{vip} is served to {client}"), || {
        stage.one_request(client, vip).is_served_by(&[pod], source(client, vip))
    });
}

/// A rule that steers, not one that answers ping.
fn steers(rule: &&String) -> bool {
    !rule.ends_with(",IN_PORT")
}

/// The first VLAN and both further networks, serving.
fn several_networks() -> Stage {
    let settings = &[("LAB_NETWORKS", "1")];
    let mut stage = Stage::silent_on(&Topology { vlan: 341, settings, ..Topology::default() });
    stage.cluster.put_file("10-networks.yaml", include_str!("networks.yaml"));
    stage.start_controller();
    stage.start_speakers();
    for vip in VIPS.into_iter().chain(TRUNK_VIPS).chain(SECOND_VIPS) {
        stage.becomes_announced(vip);
    }
    stage
}

#[test]
fn a_bridge_that_has_the_nics_name_and_a_nic_that_has_the_bridges_are_served() {
    let settings = &[("LAB_EXCHANGE_LINK_NAME", "1")];
    let mut stage = Stage::silent_on(&Topology { settings, ..Topology::default() });
    stage.cluster.edit("ProviderNetwork", "provider", |provider| {
        provider["spec"]["exchangeLinkName"] = true.into();
    });
    stage.start_controller();
    stage.start_speakers();
    for vip in VIPS {
        stage.becomes_announced(vip);
    }
    serves_everybody(&stage);
    assert_eq!(stage.lab.rules_on("node1", "underlay0").iter().filter(steers).count(), 6);
    VIPS.into_iter().for_each(|vip| stage.becomes_answered("client", vip));
}

#[test]
fn vlans_of_one_trunk_and_a_second_provider_network_are_each_served_to_their_own_clients() {
    let stage = several_networks();
    for (vip, client) in VIPS.into_iter().flat_map(|vip| CLIENTS.map(|client| (vip, client))) {
        let pods = pods_on(stage.says_announcing(vip).unwrap());
        stage.becomes_served(client, vip, pods);
    }
    for (vips, client, pod) in [(TRUNK_VIPS, "client2", "s11"), (SECOND_VIPS, "client3", "t21")] {
        vips.into_iter().for_each(|vip| becomes_served_by(&stage, client, vip, pod));
    }
    let rules = |node, bridge, of: &str| {
        stage.lab.rules_on(node, bridge).iter().filter(steers).filter(|rule| rule.contains(of)).count()
    };
    assert_eq!(rules("node1", "br-provider", "dl_vlan=341"), 6, "the first VLAN's on the trunk");
    assert_eq!(rules("node1", "br-provider", "dl_vlan=342"), 4, "the second VLAN's beside them");
    assert_eq!(rules("node2", "br-second", ""), 4, "and the second network's on its own bridge");
    for (vips, client) in [(VIPS, "client"), (TRUNK_VIPS, "client2"), (SECOND_VIPS, "client3")] {
        vips.into_iter().for_each(|vip| stage.becomes_answered(client, vip));
    }
}

#[test]
fn a_nic_that_does_not_exist_is_told_with_its_cure_and_the_other_networks_and_nodes_go_on() {
    let mut stage = several_networks();
    let marks = ["node1", "node2"].map(|node| stage.speaker(node).mark());
    stage.cluster.edit("ProviderNetwork", "provider", |provider| {
        provider["spec"]["customInterfaces"] = json!([{ "interface": "absent0", "nodes": ["node1"] }]);
    });
    let cure = "Subnet underlay-subnet: bridge br-provider has no port absent0; have spec.defaultInterface or \
                spec.customInterfaces of its ProviderNetwork name this node's NIC";
    stage.speaker("node1").says_after(marks[0], cure);
    eventually("all of that bridge are withdrawn", || {
        let rules = stage.lab.rules("node1");
        let left = VIPS.into_iter().chain(TRUNK_VIPS).find(|vip| stage.says_announcing(vip) == Some("node1"));
        holds(rules.is_empty() && left.is_none(), (rules, left))
    });
    // As Kube-OVN's daemon does, which cannot put it into the bridge either.
    stage.cluster.edit("Node", "node1", |node| {
        node["metadata"]["labels"]["provider.provider-network.kubernetes.io/ready"] = "false".into();
    });
    for (vip, client) in VIPS.into_iter().flat_map(|vip| CLIENTS.map(|client| (vip, client))) {
        stage.becomes_served(client, vip, &["p21"]);
    }
    SECOND_VIPS.into_iter().for_each(|vip| becomes_served_by(&stage, "client3", vip, "t21"));
    let log = stage.speaker("node2").log();
    assert!(!log[marks[1]..].contains(" WARN "), "node2 has nothing to complain of: {log}");
}

/// An address and its subnet, as Kube-OVN's books have it.
fn ip_object(pod: &str, subnet: &str, host: u8) -> String {
    let spec = json!({
        "subnet": subnet, "podName": pod, "namespace": "default",
        "v4IpAddress": format!("10.180.204.{host}"), "v6IpAddress": format!("fd00:180:204::{host}"),
    });
    json!({ "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": { "name": pod }, "spec": spec })
        .to_string()
}

/// Two subnets with the same addresses, as two Vpcs may have them; the Services differ by their port.
#[test]
fn the_same_vip_in_two_vlans_of_a_trunk_is_served_in_each_by_that_ones_pod() {
    let settings = &[("LAB_NETWORKS", "same")];
    let mut stage = Stage::silent_on(&Topology { vlan: 341, settings, ..Topology::default() });
    // p11 has the address of s11, the one pod of the other VLAN.
    stage.cluster.remove_backend("p11");
    stage.cluster.remove_backend("p21");
    let twin = include_str!("networks.yaml").replace("10.180.205.", "10.180.204.").replace(":205:", ":204:");
    stage.cluster.put_file("10-networks.yaml", &twin.replace("ort: 80\n", "ort: 8080\n"));
    let books = [ip_object("p12", "underlay-subnet", 112), ip_object("s11", "vlan342-subnet", 111)];
    stage.cluster.put_file("11-ips.yaml", &books.join("\n---\n"));
    stage.start_controller();
    stage.start_speakers();
    for (client, port, pod) in [("client", 80, "p12"), ("client2", 8080, "s11")] {
        for vip in ["10.180.204.252", "[fd00:180:204::252]"] {
            eventually(&format!("{vip} is served to {client}"), || {
                let mut curl = stage.lab.command_in(client, "curl");
                curl.args(["-sS", "--max-time", "5", &format!("http://{vip}:{port}/")]);
                let (served, said) = try_run(&mut curl);
                holds(served && said.starts_with(pod), said)
            });
        }
    }
}
