//! Pods of the subnet as clients, where Kube-OVN's router port is on the switch (`u2oInterconnection`): OVN of Kube-OVN
//! 1.15.20 and newer. Others hand nothing on, and have nothing to show here.

use serde_json::json;

use crate::claims::set_ready;
use crate::kubernetes::Kubernetes;
use crate::lab::{Lab, Topology};
use crate::process::{eventually, holds, run};
use crate::stage::{NODES, Stage, VIP4, VIPS};
use crate::traffic::{Transport, pods_on};

const SUBNET: &str = "/apis/kubeovn.io/v1/subnets/underlay-subnet";
const ROUTER_MAC: &str = "0a:58:00:00:00:99";

/// The router port and the nodes' own ports, as kube-ovn-controller and kube-ovn-cni make them.
fn connect_to_overlay(lab: &Lab) {
    lab.nb("lr-add ovn-cluster");
    lab.nb(&format!(
        "lrp-add ovn-cluster ovn-cluster-underlay-subnet {ROUTER_MAC} 10.180.204.249/24 fd00:180:204::249/64"
    ));
    lab.nb("lsp-add underlay-subnet underlay-subnet-ovn-cluster");
    lab.nb("set Logical_Switch_Port underlay-subnet-ovn-cluster type=router addresses=router \
            external_ids:vendor=kube-ovn options:router-port=ovn-cluster-underlay-subnet");
    lab.nb("ls-add join");
    for (number, node) in NODES.iter().enumerate() {
        let addresses = format!("0a:00:00:00:01:0{number} 100.64.0.{}", number + 2);
        lab.nb(&format!("lsp-add join node-{node}"));
        lab.run(&["nb", "lsp-set-addresses", &format!("node-{node}"), &addresses]);
        let port = "add-port br-int ovn0 -- set Interface ovn0 type=internal external_ids:iface-id=node-";
        let words = format!("{port}{node}");
        let mut arguments = vec!["vs", node];
        arguments.extend(words.split_whitespace());
        lab.run(&arguments);
    }
    lab.sync();
}

/// With the router port, and speakers that know each other. `None` where this OVN hands nothing on.
fn connected() -> Option<Stage> {
    let mut stage = Stage::silent_on(&Topology::default());
    let version = stage.lab.nb("--bare get NB_Global . options:northd_internal_version");
    if !stage.lab.is_kube_ovn() || !version.trim_matches('"').starts_with("25.03") {
        return None;
    }
    connect_to_overlay(&stage.lab);
    let kubernetes = Kubernetes::start(&stage.lab, "underlay");
    let cluster = &kubernetes.server.cluster;
    cluster.patch(SUBNET, &json!({ "spec": { "u2oInterconnection": true } }));
    let status = json!({ "status": { "u2oInterconnectionMAC": ROUTER_MAC } });
    cluster.patch(&format!("{SUBNET}/status"), &status);
    stage.kubernetes = Some(kubernetes);
    stage.start_controller();
    stage.start_speakers();
    Some(stage)
}

/// Waits until the row names this node as the one that translates.
fn is_only_on(stage: &Stage, node: &str) {
    eventually(&format!("the row names node-{node}"), || {
        let row = stage.row("default/nginx/tcp", "external_ids");
        holds(row.matches(&format!("node-{node}")).count() == VIPS.len(), row)
    });
    stage.lab.sync();
}

#[test]
fn pods_behind_a_router_port_reach_the_vip_on_whatever_node_they_are_and_a_move_loses_nothing() {
    let Some(stage) = connected() else { return };
    let first = stage.becomes_announced(VIP4);
    let second = if first == "node1" { "node2" } else { "node1" };
    for (from, to) in [(first, second), (second, first)] {
        is_only_on(&stage, from);
        for vip in VIPS {
            for pod in ["p11", "p12", "p21", "p31"] {
                let sample = stage.sample(Transport::Tcp, pod, vip);
                assert!(sample.failures.is_empty() && sample.ok > 0, "{pod} to {vip} on {from}: {sample:?}");
            }
            stage.becomes_served("client", vip, pods_on(from));
        }
        let load = stage.load(VIP4);
        set_ready(&stage, from, false);
        stage.becomes_served("client", VIP4, pods_on(to));
        set_ready(&stage, from, true);
        is_only_on(&stage, to);
        let sample = load.end();
        assert!(sample.failures.is_empty(), "{from} to {to}: {sample:?}");
    }
}

#[test]
fn ranges_hold_for_pods_behind_a_router_port_too() {
    let Some(stage) = connected() else { return };
    is_only_on(&stage, stage.becomes_announced(VIP4));
    let ranges = ["10.180.204.112/32", "10.180.204.131/32", "fd00:180:204::112/128", "fd00:180:204::131/128"];
    let change = json!({ "spec": { "loadBalancerSourceRanges": ranges } });
    stage.kubernetes().server.cluster.patch("/api/v1/namespaces/default/services/nginx", &change);
    for vip in VIPS {
        eventually(&format!("{vip} is closed to p11"), || {
            let sample = stage.sample(Transport::Tcp, "p11", vip);
            holds(sample.ok == 0, sample)
        });
    }
    stage.lab.sync();
    for vip in VIPS {
        for pod in ["p12", "p31"] {
            let sample = stage.sample(Transport::Tcp, pod, vip);
            assert!(sample.failures.is_empty() && sample.ok > 0, "{pod} to {vip}: {sample:?}");
        }
        for client in ["p11", "p21", "client", "far"] {
            let sample = stage.sample(Transport::Tcp, client, vip);
            assert_eq!(sample.ok, 0, "{client} to {vip}: {sample:?}");
        }
    }
    // Anybody can send with the router port's MAC, straight to a pod, from an address outside the subnet.
    assert_eq!(forged(&stage, "client"), "0", "answered with the router's MAC");
}

/// How many connections are answered that are opened with the router port's MAC, straight to pods of both nodes.
fn forged(stage: &Stage, host: &str) -> String {
    let script = crate::lab::repository().join("tests/lab/forged.py");
    let mut command = stage.lab.command_in(host, "python3");
    let pods = ["0a:00:00:00:00:12", "0a:00:00:00:00:21"];
    run(command.arg(script).args([VIPS[1], ROUTER_MAC]).args(pods)).trim().to_owned()
}
