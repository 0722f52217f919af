//! Beside MetalLB's real speaker: its rule for ServiceL2Statuses, played on a real API server.

use std::process::Command;

use hyper::Request;
use ovn_vip::io::kube::status::say;
use ovn_vip::kube::saying::{NAMESPACE as REPORTS, Owner, Saying};
use ovn_vip::model::ServiceKey;
use serde_json::{Value, json};

use crate::cluster::{Cluster, documents};
use crate::process::run;
use crate::stage::{NAMESPACE, Stage, checkout};

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

/// What `ovn-vip import` prints of one of its tests' files.
fn imported(arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    documents(&run(command.current_dir(checkout("tests/import")).arg("import").args(arguments)))
}

/// Whether the API server has the kind, and takes the object as it stands, with every field.
fn is_taken(stage: &Stage, object: &Value) -> Option<Result<Value, String>> {
    let plural = match object["kind"].as_str()? {
        "Community" => "communities".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let list = format!("/apis/{}/namespaces/metallb-system/{plural}", object["apiVersion"].as_str()?);
    stage.server.cluster.get(&list).ok()?;
    let mut object = object.clone();
    object["metadata"]["namespace"] = "metallb-system".into();
    let request = Request::post(format!("{list}?dryRun=All&fieldValidation=Strict"));
    let request =
        request.header("content-type", "application/json").body(object.to_string().into_bytes()).unwrap();
    let Cluster { client, .. } = &stage.server.cluster;
    Some(stage.server.cluster.block_on(client.request(request)).map_err(|error| format!("{error:?}")))
}

#[test]
fn what_import_prints_and_an_allocator_says_is_taken_by_metallbs_own_kinds() {
    let stage = Stage::with_example();
    let gdcv = ["gdcv", "gdcv-whole.yaml", "--node-subnet", "10.180.204.0/24"];
    let native = ["kube-ovn", "-f", "kube-ovn-native"];
    let all = [imported(&["metallb-configmap", "metallb-whole.yaml"]), imported(&gdcv), imported(&native)];
    let taken: Vec<_> = all.iter().flatten().filter_map(|object| is_taken(&stage, object)).collect();
    assert!(taken.len() >= 8, "{taken:?}");
    for answer in taken {
        answer.unwrap();
    }
    let misspelt = json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "odd"},
        "spec": {"addresses": ["10.0.0.0/24"], "avoidBuggyIps": true}});
    let refused = is_taken(&stage, &misspelt).unwrap().unwrap_err();
    assert!(refused.contains("avoidBuggyIps"), "{refused}");

    let pool = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/underlay";
    let counts = json!({"assignedIPv4": 1, "assignedIPv6": 1, "availableIPv4": 4, "availableIPv6": 15});
    stage.server.cluster.patch(&format!("{pool}/status"), &json!({ "status": counts }));
    assert_eq!(stage.server.cluster.get(pool).unwrap()["status"], counts);
}
