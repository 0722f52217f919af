//! kube-ovn-cni's own rules beside ours: left to them what they do right, ours wherever they do not.

use std::collections::BTreeSet;

use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::{Stage, VIP4};
use crate::traffic::{CLIENTS, pods_on};

/// Breaks Kube-OVN's rule on a node, given ours.
type Break = fn(&Stage, &str, &str);

/// Ours for a port of the VIP, as `ovs-ofctl` prints it.
const OUR_TCP: &str = ",tcp,";

/// Puts Kube-OVN's own rule for the VIP's TCP port onto a node's bridge: what `change` makes of our actions. It matches no
/// MAC and no VLAN.
fn put_kube_ovns(stage: &Stage, node: &str, ours: &str, change: impl Fn(&str) -> String) {
    let (_, actions) = ours.split_once("actions=").unwrap();
    let in_port = ours.split(',').find(|field| field.starts_with("in_port=")).unwrap();
    let rule = format!(
        "cookie=0x1000,priority=10000,{in_port},tcp,nw_dst={VIP4},tp_dst=80 actions={}",
        change(actions)
    );
    stage.lab.run(&["of", node, "add-flow", "br-provider", &rule]);
}

fn remove_kube_ovns(stage: &Stage, node: &str) {
    stage.lab.run(&["of", node, "del-flows", "br-provider", "cookie=0x1000/-1"]);
}

fn becomes(stage: &Stage, node: &str, what: &str, wanted: &BTreeSet<String>) {
    eventually(what, || {
        let rules = stage.lab.rules(node);
        holds(rules == *wanted, rules)
    });
}

fn kube_ovns_rule_is_used_while_it_is_right(topology: &Topology) {
    let mut stage = Stage::serving_on(topology);
    let node = stage.becomes_announced(VIP4);
    let all = stage.lab.rules(node);
    let ours = all.iter().find(|rule| rule.contains(OUR_TCP) && rule.contains(VIP4)).unwrap().clone();
    let mut others = all.clone();
    others.remove(&ours);
    let is_served = |stage: &Stage| {
        CLIENTS.into_iter().for_each(|client| stage.becomes_served(client, VIP4, pods_on(node)))
    };

    let breaks: [(&str, Break); 3] = [
        ("its MAC is wrong", |stage, node, ours| {
            put_kube_ovns(stage, node, ours, |actions| {
                let (_, output) = actions.split_once(",output").unwrap();
                format!("mod_dl_dst:00:00:00:09:09:09,output{output}")
            });
        }),
        ("its output is wrong", |stage, node, ours| {
            put_kube_ovns(stage, node, ours, |actions| {
                let (mac, _) = actions.split_once(",output").unwrap();
                format!("{mac},LOCAL")
            });
        }),
        ("it is deleted", |stage, node, _| remove_kube_ovns(stage, node)),
    ];
    for (how, break_it) in breaks {
        let mark = stage.speaker(node).mark();
        put_kube_ovns(&stage, node, &ours, str::to_owned);
        becomes(&stage, node, "ours is left to Kube-OVN's", &others);
        stage.speaker(node).says_after(mark, "left=1");
        is_served(&stage);
        break_it(&stage, node, &ours);
        becomes(&stage, node, &format!("ours is back when {how}"), &all);
        stage.speaker(node).says_after(mark, "taken_back=1");
        is_served(&stage);
        assert_eq!(stage.says_announcing(VIP4), Some(node), "it is announced all the time");
        let log = stage.speaker(node).log();
        assert!(!log[mark..].contains("repaired"), "{log}");
        let theirs = stage.lab.run(&["of", node, "dump-flows", "br-provider", "cookie=0x1000/-1"]);
        assert_eq!(theirs.contains("priority=10000"), how != "it is deleted", "it is as it was: {theirs}");
    }
}

#[test]
fn kube_ovns_own_rule_is_used_while_it_is_right_and_ours_while_it_is_not() {
    kube_ovns_rule_is_used_while_it_is_right(&Topology::default());
}

#[test]
fn kube_ovns_own_rule_without_a_tag_is_used_in_a_vlan_too() {
    kube_ovns_rule_is_used_while_it_is_right(&Topology { vlan: 341, ..Topology::default() });
}

#[test]
fn kube_ovns_own_rule_that_is_there_first_keeps_ours_out() {
    let mut stage = Stage::serving();
    let node = stage.becomes_announced(VIP4);
    let all = stage.lab.rules(node);
    let ours = all.iter().find(|rule| rule.contains(OUR_TCP) && rule.contains(VIP4)).unwrap().clone();
    put_kube_ovns(&stage, node, &ours, str::to_owned);
    let others = all.into_iter().filter(|rule| *rule != ours).collect();
    becomes(&stage, node, "ours is left to Kube-OVN's", &others);
    stage.speaker(node).terminate();
    let mark = stage.speaker(node).mark();
    stage.start_speaker(node);
    stage.speaker(node).says_after(mark, "rules installed bridge=br-provider added=0 removed=0");
    assert_eq!(stage.lab.rules(node), others);
    for client in CLIENTS {
        stage.becomes_served(client, VIP4, pods_on(node));
    }
}
