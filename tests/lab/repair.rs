//! What somebody breaks comes back, and what is not ours is left alone.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::process::{eventually, holds};
use crate::stage::{NODES, Stage, VIP4, VIPS};
use crate::traffic::{CLIENTS, pods_on};

const SWITCH: &str = "underlay-subnet";
const OURS: &str = "ovn-vip.underlay-subnet";
/// A table's rows as they were written, without what OVSDB itself makes of them.
type Rows = BTreeMap<String, Value>;

/// Everything of ours, less the `_version` that each write changes and the ports' state that northd writes. Rows are
/// called by their names: one that is made anew has another UUID.
fn rows(stage: &Stage) -> Rows {
    let rows = stage.lab.northbound();
    let called = |(key, row): (&String, &Value)| {
        let (table, uuid) = key.split_once(' ')?;
        Some((uuid.to_owned(), format!("{table} {}", row["name"].as_str()?)))
    };
    let names: BTreeMap<String, String> = rows.iter().filter_map(called).collect();
    let named = |row: Value| by_name(row, &names);
    let mut rows: Rows =
        rows.into_values().map(named).map(|row| (row["_uuid"][1].to_string(), row)).collect();
    for row in rows.values_mut().filter_map(Value::as_object_mut) {
        for column in ["_version", "up"] {
            row.remove(column);
        }
    }
    rows
}

/// The same value with rows called by their names, and sets in the order of these.
fn by_name(value: Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => names.get(&text).cloned().unwrap_or(text).into(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, held)| (name, by_name(held, names))).collect()
        }
        Value::Array(members) => {
            let mut members: Vec<Value> = members.into_iter().map(|member| by_name(member, names)).collect();
            if let [tag, Value::Array(set)] = members.as_mut_slice()
                && *tag == "set"
            {
                set.sort_by_key(Value::to_string);
            }
            members.into()
        }
        other => other,
    }
}

fn is_served(stage: &Stage) {
    for vip in VIPS {
        let pods = pods_on(stage.says_announcing(vip).unwrap());
        CLIENTS.into_iter().for_each(|client| stage.becomes_served(client, vip, pods));
    }
}

/// Breaks something, and waits until every row is as it was; then all is served.
fn comes_back_after(stage: &Stage, break_it: &str) {
    let before = rows(stage);
    stage.lab.nb(break_it);
    eventually(&format!("everything is there again after {break_it}"), || {
        let after = rows(stage);
        let differ = before.iter().filter(|(key, row)| after.get(*key) != Some(row)).map(|(key, _)| key);
        let more = after.keys().filter(|key| !before.contains_key(*key));
        let differ: Vec<&String> = differ.chain(more).collect();
        holds(differ.is_empty(), differ)
    });
    stage.lab.sync();
    is_served(stage);
}

/// The key of our row of that name.
fn uuid(stage: &Stage, table: &str, name: &str) -> String {
    stage.lab.nb(&format!("--bare --columns=_uuid find {table} name={name}"))
}

/// The controller's log names the table, the row, the column and what was done to it.
fn tells(stage: &mut Stage, words: &[&str]) {
    eventually(&format!("the controller's log tells {words:?}"), || {
        let log = stage.controller().log();
        let mut lines = log.lines().filter(|line| line.contains("putting back what somebody changed"));
        holds(lines.any(|line| words.iter().all(|word| line.contains(word))), "it does not")
    });
}

#[test]
fn rows_that_somebody_deletes_or_edits_come_back() {
    let mut stage = Stage::serving();
    let (nginx, group) = ("default/nginx/tcp", OURS);
    comes_back_after(&stage, &format!("lb-del {nginx}"));
    tells(&mut stage, &["Load_Balancer", nginx, "the row was deleted"]);
    comes_back_after(&stage, &format!("clear Load_Balancer {nginx} vips"));
    tells(&mut stage, &["Load_Balancer", nginx, "vips", &format!("{VIP4}:80 was taken out")]);
    let member = || uuid(&stage, "Load_Balancer", nginx);
    comes_back_after(
        &stage,
        &format!("remove Load_Balancer {nginx} options distributed prefer_local_backend"),
    );
    comes_back_after(&stage, &format!("remove Load_Balancer_Group {group} load_balancer {}", member()));
    comes_back_after(&stage, &format!("clear Logical_Switch {SWITCH} load_balancer_group"));
    let detach = format!("clear Logical_Switch {SWITCH} load_balancer_group");
    comes_back_after(&stage, &format!("{detach} -- destroy Load_Balancer_Group {group}"));
    tells(&mut stage, &["Load_Balancer_Group", group, "load_balancer", "was taken out"]);
    tells(&mut stage, &["Logical_Switch", SWITCH, "load_balancer_group", "was taken out"]);
}

#[test]
fn our_router_port_comes_back_where_the_ovn_needs_one() {
    let stage = Stage::serving();
    let router = uuid(&stage, "Logical_Router", OURS);
    if stage.lab.is_kube_ovn() {
        assert_eq!(
            router, "",
            "Kube-OVN's build rewrites the MAC itself, and would stop if there were a router port"
        );
        return;
    }
    comes_back_after(&stage, &format!("lsp-del {OURS}.lsp"));
    comes_back_after(&stage, &format!("lrp-del {OURS}.lrp"));
    comes_back_after(&stage, &format!("lr-del {OURS}"));
    comes_back_after(&stage, &format!("set Logical_Router_Port {OURS}.lrp networks=10.9.9.9/24"));
}

/// At each start kube-ovn-controller deletes every load balancer whose name it does not know.
#[test]
fn kube_ovns_garbage_collection_under_load_is_repaired_and_its_own_rows_stay_as_they_are() {
    let stage = Stage::serving();
    stage.lab.nb(&format!(
        "lb-add cluster-tcp-loadbalancer 10.96.0.1:443 10.180.204.131:6443 tcp \
         -- set Load_Balancer cluster-tcp-loadbalancer external_ids:vendor=kube-ovn options:ct_flush=true \
         -- ls-lb-add {SWITCH} cluster-tcp-loadbalancer"
    ));
    let foreign = format!("Load_Balancer {}", uuid(&stage, "Load_Balancer", "cluster-tcp-loadbalancer"));
    let before = stage.lab.northbound().remove(&foreign).expect("the row is there");
    let load = stage.load(VIP4);
    stage.becomes_served("client", VIP4, &["p11", "p12"]);
    for _ in 0..5 {
        let deletes = ["default/nginx/tcp", "default/dns/udp"]
            .map(|name| format!("lb-del {}", uuid(&stage, "Load_Balancer", name)));
        comes_back_after(&stage, &deletes.join(" -- "));
    }
    let sample = load.end();
    eprintln!("garbage collected five times: {sample:?}");
    assert_eq!(sample.pods, ["p11", "p12"]);
    let after = stage.lab.northbound().remove(&foreign);
    assert_eq!(after, Some(before), "byte for byte, and never written");
}

/// An ovn-northd that sees a row go and come back under the same UUID in one batch takes it for gone, for good, and an
/// update of that row then ends northd 26.03.1: a row that is made anew has another UUID.
#[test]
fn a_row_that_is_deleted_while_northd_looks_away_is_served_and_followed_again() {
    let mut stage = Stage::serving();
    let nginx = uuid(&stage, "Load_Balancer", "default/nginx/tcp");
    let version = || {
        let rows = stage.lab.northbound();
        rows.values().find(|row| row["name"] == "default/nginx/tcp").map(|row| row["_version"].clone())
    };
    let before = version();
    stage.lab.while_northd_looks_away(|| {
        stage.lab.nb(&format!("lb-del {nginx}"));
        eventually("the row is there again", || {
            let after = version();
            holds(after.is_some() && after != before, after)
        });
    });
    is_served(&stage);
    stage.cluster.set_ready(&["p11"], false);
    stage.becomes_served("client", VIP4, &["p12"]);
}

#[test]
fn a_restarted_ovs_vswitchd_gets_its_rules_back_and_the_vip_with_them() {
    let stage = Stage::serving();
    // node1 announces both VIPs; node2 only steers them.
    for (node, vip) in [("node1", VIP4), ("node2", VIPS[1])] {
        let before = stage.lab.rules(node);
        assert!(before.len() >= 6, "{before:?}");
        stage.lab.run(&["restart-vswitchd", node]);
        eventually("the rules are back", || {
            let rules = stage.lab.rules(node);
            holds(rules.len() == before.len(), rules)
        });
        CLIENTS.into_iter().for_each(|client| stage.becomes_served(client, vip, pods_on("node1")));
        for host in ["client", "gw"] {
            stage.forget(host, vip);
        }
        CLIENTS.into_iter().for_each(|client| stage.becomes_served(client, vip, pods_on("node1")));
    }
}

#[test]
fn rules_that_somebody_deletes_or_adds_are_repaired() {
    let stage = Stage::serving();
    let before = stage.lab.rules("node1");
    let is_as_before = || {
        let rules = stage.lab.rules("node1");
        holds(rules == before, rules)
    };
    stage.lab.run(&["of", "node1", "del-flows", "br-provider", "tcp"]);
    eventually("the deleted rules are back", is_as_before);
    let stray =
        "cookie=0x6f766e2d76697000,priority=10002,in_port=1,tcp,nw_dst=10.180.204.253,tp_dst=80,actions=drop";
    stage.lab.run(&["of", "node1", "add-flow", "br-provider", stray]);
    eventually("the stray rule is gone", is_as_before);
    is_served(&stage);
}

/// As kube-ovn-cni does every 15 s and at each change: all flows but its own (cookies 0x1000 and 0x1001) are read,
/// and the bridge is given exactly those and its own. What came in between, as `knows` has it, it does not know.
fn replace_flows(stage: &Stage, node: &str, knows: impl Fn(&str) -> bool) {
    let dump = stage.lab.run(&["of", node, "--no-stats", "dump-flows", "br-provider"]);
    let own = |line: &str| line.contains("cookie=0x1000,") || line.contains("cookie=0x1001,");
    let mut flows: Vec<&str> = dump.lines().map(str::trim).filter(|line| !own(line) && knows(line)).collect();
    flows.push("cookie=0x1000,priority=10000,in_port=1,tcp,nw_dst=10.180.204.250,tp_dst=80 actions=drop");
    let file = stage.folder.path().join("flows");
    std::fs::write(&file, flows.join("\n")).unwrap();
    stage.lab.run(&["of", node, "--bundle", "replace-flows", "br-provider", file.to_str().unwrap()]);
}

#[test]
fn kube_ovns_replacing_of_all_flows_keeps_our_rules_and_one_that_it_loses_is_back_at_once() {
    let mut stage = Stage::serving();
    let before = stage.lab.rules("node1");
    let mark = stage.speaker("node1").mark();
    for _ in 0..3 {
        replace_flows(&stage, "node1", |_| true);
        assert_eq!(stage.lab.rules("node1"), before, "our rules come through as they are");
    }
    is_served(&stage);
    let log = stage.speaker("node1").log();
    assert!(!log[mark..].contains("repaired"), "there was nothing to repair: {log}");
    replace_flows(&stage, "node1", |flow| !flow.contains(",tcp,"));
    stage.speaker("node1").says_after(mark, "repaired");
    eventually("the lost rules are back", || holds(stage.lab.rules("node1") == before, before.len()));
    is_served(&stage);
}

#[test]
fn speakers_that_end_or_crash_leave_their_rules_and_traffic_goes_on() {
    let mut stage = Stage::serving();
    let before = NODES.map(|node| stage.lab.rules(node));
    let load = stage.load(VIP4);
    stage.becomes_served("far", VIP4, &["p11", "p12"]);
    for crash in [false, true] {
        for node in NODES {
            if crash {
                stage.speaker(node).kill();
            } else {
                assert!(stage.speaker(node).terminate().success(), "{node}'s speaker ends well");
            }
        }
        assert_eq!(NODES.map(|node| stage.lab.rules(node)), before, "the rules stay");
        stage.becomes_served("client", VIP4, &["p11", "p12"]);
        let marks = NODES.map(|node| stage.speaker(node).mark());
        stage.start_speakers();
        for (node, mark) in NODES.into_iter().zip(marks) {
            stage.speaker(node).says_after(mark, "rules installed bridge=br-provider added=0 removed=0");
        }
        stage.becomes_served("client", VIP4, &["p11", "p12"]);
    }
    let sample = load.end();
    assert!(sample.failures.is_empty(), "no request is lost: {sample:?}");
}
