//! Beside MetalLB's real speaker: its rule for ServiceL2Statuses, played on a real API server.

use ovn_vip::io::kube::status::say;
use ovn_vip::kube::saying::{NAMESPACE as REPORTS, Owner, Saying};
use ovn_vip::model::ServiceKey;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::stage::{NAMESPACE, Stage};

const STATUSES: &str = "/apis/metallb.io/v1beta1/servicel2statuses";

/// What MetalLB's speaker of a node deletes of a Service that it does not announce (`layer2_status_controller.go`): every
/// status of any namespace whose label says that it is that node's.
fn deleted_by_metallb<'s>(node: &str, statuses: &'s [Value]) -> Vec<&'s Value> {
    let is_its = |status: &&Value| status["metadata"]["labels"]["metallb.io/node"] == node;
    statuses.iter().filter(is_its).collect()
}

#[test]
fn metallbs_speaker_of_the_same_node_leaves_our_statuses_alone_and_readers_find_the_node() {
    let stage = Stage::with_example();
    let speaker = Cluster::open(&stage.server.service_account(NAMESPACE, "ovn-vip-speaker"));
    let saying = Saying::L2Status {
        service: ServiceKey::new("default", "nginx"),
        owner: Owner { node: "node1".into(), uid: String::new() },
        interface: "br-provider".into(),
    };
    speaker.block_on(say(&speaker.client, &saying)).unwrap();
    let statuses = stage.server.cluster.items(STATUSES);
    assert_eq!(deleted_by_metallb("node1", &statuses), Vec::<&Value>::new());
    let [status] = &statuses[..] else { panic!("{statuses:?}") };
    // MetalLB's speaker logs an error at each one that lacks a label; Kube-OVN reads the status alone.
    for label in ["metallb.io/node", "metallb.io/service-name", "metallb.io/service-namespace"] {
        assert!(status["metadata"]["labels"][label].is_string(), "{label}");
    }
    let words = &status["status"];
    assert_eq!(
        [&words["node"], &words["serviceName"], &words["serviceNamespace"]],
        ["node1", "nginx", "default"]
    );
    assert_eq!(status["metadata"]["namespace"], REPORTS);
}
