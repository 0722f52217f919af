//! `ovn-vip explain` beside a real API server and a real OVN: what works is said to work, and the first thing that is wrong is named.

use std::process::Command;

use serde_json::Value;

use crate::lab::Topology;
use crate::process::{Process, eventually, holds};
use crate::stage::{NODES, Stage, VIP4};

/// How a VIP is, and the first step that is wrong.
fn explain(stage: &Stage, databases: bool) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    command.args(["explain", "default/nginx", "-o", "json"]).args(stage.kubernetes().options("controller"));
    if databases {
        command.args(["--ovn-nb", stage.lab.variable("LAB_NB"), "--ovn-sb", stage.lab.variable("LAB_SB")]);
    }
    let output = command.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = said["explained"][0]["steps"].as_array().unwrap();
    let wrong = steps.iter().find(|step| step["mark"] == "wrong");
    let wrong = wrong.map(|step| format!("{}: {} {}", step["step"], step["reasons"], step["wrongs"]));
    let verdict = said["explained"][0]["verdict"].as_str().unwrap().to_owned();
    (output.status.code(), verdict, wrong.unwrap_or_default())
}

fn becomes(stage: &Stage, databases: bool, verdict: &str, words: &str) {
    eventually(&format!("explain says {verdict} {words}"), || {
        let (code, found, wrong) = explain(stage, databases);
        let found = if found == "said-to-be-served" { "served".to_owned() } else { found };
        let is_so = found == verdict && wrong.contains(words) && (code == Some(0)) == wrong.is_empty();
        holds(is_so && wrong.is_empty() == words.is_empty(), (code, found, wrong))
    });
}

#[test]
fn what_is_wrong_is_named_and_what_works_is_said_to_work() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    becomes(&stage, true, "not-served", "announced");
    stage.start_speakers();
    stage.becomes_announced(VIP4);
    becomes(&stage, true, "served", "");
    becomes(&stage, false, "served", "");

    // The localnet port's tag is not the Vlan's id: seen in the northbound, and told by the controller.
    let localnet = stage.lab.nb("--bare --columns=name find Logical_Switch_Port type=localnet");
    stage.lab.nb(&format!("set Logical_Switch_Port {localnet} tag=7"));
    stage.lab.sync();
    // OVN 26.03.3 takes it back by itself.
    if stage.lab.nb(&format!("get Logical_Switch_Port {localnet} tag")) == "7" {
        becomes(&stage, true, "not-served", "localnet");
        becomes(&stage, false, "not-served", "VlanDiffers");
    }
    stage.lab.nb(&format!("clear Logical_Switch_Port {localnet} tag"));
    becomes(&stage, true, "served", "");
    becomes(&stage, false, "served", "");

    // Nobody puts a row back that somebody took out.
    stage.controller().terminate();
    stage.lab.nb("lb-del default/nginx/tcp");
    becomes(&stage, true, "not-served", "northbound");

    // A northd that stands still makes no flows of the row.
    stage.lab.run(&["pause", "central", "northd"]);
    let mut again = stage.controller_command();
    let folder = stage.folder.path().to_owned();
    let mut controller = Process::start("controller-again", &mut again, &folder);
    controller.says("the northbound has it");
    stage.controller = Some(controller);
    becomes(&stage, true, "not-served", "southbound");
    stage.lab.run(&["resume", "central", "northd"]);
    becomes(&stage, true, "served", "");
}

#[test]
fn when_all_speakers_are_dead_and_their_nodes_alive_nobody_says_served() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    stage.becomes_announced(VIP4);
    becomes(&stage, false, "served", "");
    let lease = stage.kubernetes().lease("node1");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40, "{lease}");
    // It says nothing new, and is written again.
    eventually("it is renewed", || {
        let again = stage.kubernetes().lease("node1");
        let same = again["metadata"]["annotations"] == lease["metadata"]["annotations"];
        holds(same && again["spec"]["renewTime"] != lease["spec"]["renewTime"], again)
    });
    stage.speakers.clear();
    // Forty seconds are as good as one.
    for node in NODES {
        stage.kubernetes().shorten(node, 1);
    }
    becomes(&stage, false, "not-served", "its speaker has not been heard since");
    eventually("the controller tells it once", || {
        let told = stage.kubernetes().events("nginx", "NotHeard");
        holds(told.len() == 1, told)
    });
    stage.start_speakers();
    becomes(&stage, false, "served", "");
}
