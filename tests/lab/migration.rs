//! A pod's port moves to another chassis, as in a VM's live migration, and no Service changes.

use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4, VIP6};

/// VIP4 is announced by node1 and VIP6 by node2, so that both nodes' view of the same row is seen from outside.
fn is_served_on_both_nodes(stage: &Stage, on_node1: &[&str], on_node2: &[&str]) {
    for client in ["client", "far"] {
        stage.becomes_served(client, VIP4, on_node1);
        stage.becomes_served(client, VIP6, on_node2);
    }
}

#[test]
fn a_port_that_moves_is_followed_by_the_row_and_by_both_nodes_each_time() {
    let stage = Stage::serving();
    is_served_on_both_nodes(&stage, &["p11", "p12"], &["p21"]);
    for _ in 0..3 {
        for (node, on_node1, on_node2) in
            [("node2", &["p12"][..], &["p11", "p21"][..]), ("node1", &["p11", "p12"], &["p21"])]
        {
            let before = stage.row("default/nginx/tcp", "options");
            stage.lab.run(&["move", "p11", node]);
            eventually("the row has another ovn-vip-rev", || {
                let after = stage.row("default/nginx/tcp", "options");
                holds(after.contains("ovn-vip-rev=") && after != before, after)
            });
            is_served_on_both_nodes(&stage, on_node1, on_node2);
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
