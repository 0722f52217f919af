//! Who may speak for a node: its own speaker, held by `deploy/admission.yaml` on a real API server.

use std::path::{Path, PathBuf};

use ovn_vip::io::kube::status::say;
use ovn_vip::kube::saying::{NAMESPACE as REPORTS, Owner, Saying, report_key};
use ovn_vip::model::{ServiceKey, SpeakerReport};
use serde_json::json;

use crate::cluster::Cluster;
use crate::process::{eventually, holds};
use crate::stage::{NAMESPACE, Stage, checkout};

const SPEAKER: &str = "ovn-vip-speaker";

fn owner(node: &str) -> Owner {
    Owner { node: node.into(), uid: String::new() }
}

/// A report in a node's name, on that Lease.
fn report(lease: &str, node: &str) -> Saying {
    let key = ovn_vip::model::ReportKey::new(REPORTS, lease);
    let report = SpeakerReport { key, node: node.into(), segments: Default::default() };
    Saying::Report { report, owner: owner(node), lasts: std::time::Duration::from_secs(40) }
}

fn states(node: &str) -> Saying {
    let service = ServiceKey::new("default", "nginx");
    Saying::L2Status { service, owner: owner(node), interface: "br-provider".into() }
}

/// The file with which the speaker of that node connects: as the kubelet mounts it, the token is bound to its Pod.
fn speaker_on(stage: &Stage, node: &str) -> PathBuf {
    let name = format!("{SPEAKER}-{node}");
    let container = json!({"name": "c", "image": "i"});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"serviceAccountName": SPEAKER, "nodeName": node, "containers": [container]}});
    let made = stage.server.cluster.post(&format!("/api/v1/namespaces/{NAMESPACE}/pods"), &pod);
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": name, "uid": made["metadata"]["uid"]});
    stage.server.token(NAMESPACE, SPEAKER, &name, json!({ "boundObjectRef": bound }))
}

fn says(account: &Path, saying: &Saying) -> Result<(), String> {
    let cluster = Cluster::open(account);
    cluster.block_on(say(&cluster.client, saying))
}

fn is_denied(account: &Path, saying: &Saying) {
    let said = says(account, saying);
    assert!(said.as_ref().is_err_and(|why| why.contains("ovn-vip-speaker")), "{said:?}");
}

fn with_policy() -> Stage {
    let stage = Stage::with_example();
    stage.server.cluster.apply(&std::fs::read_to_string(checkout("deploy/admission.yaml")).unwrap());
    // The API server takes a policy up a moment after it has it.
    let unbound = stage.server.service_account(NAMESPACE, SPEAKER);
    eventually("the policy is in force", || {
        holds(says(&unbound, &report("speaker.x", "x")).is_err(), "it is not")
    });
    stage
}

#[test]
fn a_speaker_speaks_for_its_own_node_alone() {
    let stage = with_policy();
    let node1 = speaker_on(&stage, "node1");
    for saying in [report("speaker.node1", "node1"), report("speaker.node1", "node1"), states("node1")] {
        says(&node1, &saying).unwrap();
    }
    is_denied(&node1, &report("speaker.node2", "node2"));
    is_denied(&node1, &report("speaker.node2", "node1"));
    is_denied(&node1, &report("speaker.node1", "node2"));
    is_denied(&node1, &states("node2"));
    let unbound = stage.server.service_account(NAMESPACE, SPEAKER);
    is_denied(&unbound, &report("speaker.node1", "node1"));
    let node2 = speaker_on(&stage, "node2");
    says(&node2, &report("speaker.node2", "node2")).unwrap();
    is_denied(&node2, &report("speaker.node1", "node1"));
}

#[test]
fn the_next_announcer_takes_a_services_status_over_and_the_one_before_leaves_it_alone() {
    let stage = with_policy();
    let node1 = speaker_on(&stage, "node1");
    let node2 = speaker_on(&stage, "node2");
    let statuses = || {
        stage
            .server
            .cluster
            .items(&format!("/apis/metallb.io/v1beta1/namespaces/{REPORTS}/servicel2statuses"))
    };
    says(&node1, &states("node1")).unwrap();
    let uid = statuses()[0]["metadata"]["uid"].as_str().unwrap().to_owned();
    says(&node2, &states("node2")).unwrap();
    // What node1 lets go is its own, which is gone where the kind forbids a change of the node.
    if statuses()[0]["metadata"]["uid"] != json!(uid) {
        let service = ServiceKey::new("default", "nginx");
        says(&node1, &Saying::NoL2Status { service, uid }).unwrap();
    }
    assert_eq!(statuses().len(), 1);
    assert_eq!(statuses()[0]["status"]["node"], "node2");
}

#[test]
fn what_is_missing_is_named_for_what_it_is() {
    let stage = Stage::empty();
    let speaker = stage.server.service_account(NAMESPACE, SPEAKER);
    // A kind that is not there is looked for again by the watch; it is no matter of the namespace.
    says(&speaker, &states("node1")).unwrap();
    stage.install_neighbours();
    says(&speaker, &states("node1")).unwrap();
    let mut elsewhere = report("speaker.node1", "node1");
    if let Saying::Report { report, .. } = &mut elsewhere {
        report.key = ovn_vip::model::ReportKey::new("nowhere", &report_key(&"node1".into()).name);
    }
    let admin = &stage.server.cluster;
    let said = admin.block_on(say(&admin.client, &elsewhere));
    assert!(said.as_ref().is_err_and(|why| why.contains("namespace")), "{said:?}");
}
