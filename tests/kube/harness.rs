//! The harness itself: what the other tests take for granted of it.

use std::path::Path;

use serde_json::json;

use crate::apiserver::ApiServer;
use crate::cluster::{Cluster, documents};
use crate::northbound::Northbound;
use crate::stage::compact;

const NGINX: &str = "/api/v1/namespaces/default/services/nginx";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A folder of the checkout.
fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn config_map(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[test]
fn the_example_is_taken_whole_with_its_status() {
    let server = ApiServer::start();
    server.cluster.apply_folder(&folder("tests/kube/crds"));
    server.cluster.apply_folder(&folder("examples/underlay"));

    let nginx = server.cluster.get(NGINX).unwrap();
    assert_eq!(nginx["status"]["loadBalancer"]["ingress"][1]["ip"], "fd00:180:204::252");
    let subnet = server.cluster.get("/apis/kubeovn.io/v1/subnets/underlay-subnet").unwrap();
    assert_eq!(subnet["spec"]["excludeIps"].as_array().unwrap().len(), 4);
    let node = server.cluster.get("/api/v1/nodes/node1").unwrap();
    assert_eq!(node["status"]["conditions"][0]["type"], "Ready");
    let slices = server.cluster.items("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices");
    assert_eq!(slices.len(), 4);
}

#[test]
fn what_it_holds_survives_its_death() {
    let mut server = ApiServer::start();
    server.cluster.post(CONFIG_MAPS, &config_map("kept"));
    server.kill();
    assert!(server.cluster.get(&format!("{CONFIG_MAPS}/kept")).is_err(), "a dead server answers nothing");
    server.restart();
    server.cluster.get(&format!("{CONFIG_MAPS}/kept")).unwrap();
}

#[test]
fn who_asks_for_changes_since_a_forgotten_version_is_told_so() {
    let mut server = ApiServer::start();
    let before = server.cluster.get(CONFIG_MAPS).unwrap()["metadata"]["resourceVersion"].clone();
    server.cluster.post(CONFIG_MAPS, &config_map("unseen"));
    compact(&server);
    server.restart();
    let since = before.as_str().unwrap();
    let watch = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion={since}");
    let answer = format!("{:?}", server.cluster.get(&watch));
    assert!(answer.contains("410"), "{answer}");
}

#[test]
fn a_service_account_may_do_what_its_role_says_and_nothing_else() {
    let server = ApiServer::start();
    server.cluster.apply(
        r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
"#,
    );
    let reader = Cluster::open(&server.service_account("default", "reader"));
    reader.get(CONFIG_MAPS).unwrap();
    let refused = reader.get("/api/v1/namespaces/default/secrets").unwrap_err();
    assert!(refused.contains("system:serviceaccount:default:reader") && refused.contains("403"), "{refused}");
}

#[test]
fn the_northbound_has_the_examples_ports() {
    let northbound = Northbound::up();
    assert!(northbound.rows().is_empty());
    assert!(northbound.nb("lsp-get-addresses p11.default").contains("10.180.204.111"));
}

#[test]
fn documents_are_parted_and_empty_ones_are_none() {
    let parts = documents("---\na: 1\n---\n# nothing\n--- \nb: 2\n");
    assert_eq!(parts, [json!({"a": 1}), json!({"b": 2})]);
}
