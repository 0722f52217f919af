//! Clients are served, by pods of the announcing node, with their own address.

use crate::lab::Topology;
use crate::stage::{Stage, VIP4, VIPS};
use crate::traffic::{CLIENTS, Transport, pods_on};

/// Each client, family and protocol; the pods are those of the node that the wire has learnt.
pub fn serves_everybody(stage: &Stage) {
    for vip in VIPS {
        for client in CLIENTS {
            for transport in [Transport::Tcp, Transport::Udp] {
                let announcer = stage.says_announcing(vip).expect("a speaker announces it");
                stage.is_served(transport, client, vip, pods_on(announcer));
            }
        }
        for host in ["client", "gw"] {
            assert_eq!(stage.learnt(host, vip).as_deref(), stage.says_announcing(vip), "{host} about {vip}");
        }
    }
}

#[test]
fn on_link_and_far_clients_are_served_by_the_announcing_nodes_pods_and_keep_their_address() {
    let stage = Stage::serving();
    serves_everybody(&stage);
    let announcers = VIPS.map(|vip| stage.says_announcing(vip));
    assert_eq!(announcers, [Some("node1"); 2], "a Service has one announcer for all its addresses");
}

#[test]
fn two_services_that_share_a_vip_are_served_from_the_same_node() {
    let mut stage = Stage::serving();
    // Only nginx still has a backend on node1, only dns a second one on node3: node2 alone can serve both.
    stage.cluster.edit("EndpointSlice", "dns-v4", |slice| {
        let endpoints = slice["endpoints"].as_array_mut().unwrap();
        endpoints.retain(|endpoint| endpoint["nodeName"] != "node1");
    });
    stage.becomes_served("client", VIP4, &["p21"]);
    stage.learns("client", VIP4, "node2");
    stage.is_served(Transport::Udp, "client", VIP4, &["p21"]);
    stage.is_served(Transport::Tcp, "client", VIP4, &["p21"]);
}

#[test]
fn a_tagged_vlan_is_served_through_the_nodes_access_port() {
    serves_everybody(&Stage::serving_on(&Topology { vlan: 341, ..Topology::default() }));
}

#[test]
fn a_tagged_vlan_without_access_port_is_served_with_frames_that_we_tag_ourselves() {
    serves_everybody(&Stage::serving_on(&Topology {
        vlan: 341,
        no_access_port: true,
        ..Topology::default()
    }));
}

#[test]
fn a_large_page_reaches_a_client_behind_a_path_of_1280_bytes() {
    let stage = Stage::serving();
    stage.lab.run_in("gw", "ip link set far mtu 1280");
    let page = stage.lab.run_in("far", &format!("curl -sS --max-time 20 http://{VIP4}/large"));
    assert!(page.len() > 1 << 20, "{} bytes", page.len());
    // The gateway's "fragmentation needed" is addressed to the VIP: its rule took it to the pod.
    let rules = stage.lab.run(&["of", "node1", "dump-flows", "br-provider", "icmp"]);
    let rule = rules.lines().find(|line| line.contains("icmp_type=3")).expect("a rule for ICMP type 3");
    assert!(!rule.contains("n_packets=0,"), "no ICMP message needed it: {rule}");
}
