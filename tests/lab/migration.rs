//! A pod's port moves to another chassis, as in a VM's live migration, and no Service changes.

use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, VIP6};

/// node1 announces both VIPs of the Service.
fn is_served_by(stage: &Stage, on_node1: &[&str]) {
    for (client, vip) in [("client", VIP4), ("far", VIP4), ("client", VIP6), ("far", VIP6)] {
        stage.becomes_served(client, vip, on_node1);
    }
}

#[test]
fn a_port_that_moves_is_followed_by_the_row_and_by_the_announcer_each_time() {
    let stage = Stage::serving();
    is_served_by(&stage, &["p11", "p12"]);
    for _ in 0..3 {
        for (node, on_node1) in [("node2", &["p12"][..]), ("node1", &["p11", "p12"])] {
            let before = stage.row("default/nginx/tcp", "options");
            stage.lab.run(&["move", "p11", node]);
            eventually("the row has another ovn-vip-rev", || {
                let after = stage.row("default/nginx/tcp", "options");
                holds(after.contains("ovn-vip-rev=") && after != before, after)
            });
            is_served_by(&stage, on_node1);
        }
    }
}

#[test]
fn a_vip_goes_with_its_only_pod_once_kubernetes_says_where_it_is() {
    let mut stage = Stage::serving();
    stage.cluster.remove_backend("p12");
    stage.cluster.remove_backend("p21");
    stage.becomes_served("client", VIP4, &["p11"]);
    for node in ["node2", "node3", "node1"] {
        stage.lab.run(&["move", "p11", node]);
        stage.cluster.set_node("p11", node);
        stage.learns("client", VIP4, node);
        stage.becomes_served("client", VIP4, &["p11"]);
        stage.becomes_served("far", VIP6, &["p11"]);
    }
}
