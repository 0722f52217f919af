//! What the controller does with less than it needs.

use std::path::PathBuf;

use serde_json::json;

use crate::stage::{NGINX_ROW, Stage, warnings};

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/short";

/// A ServiceAccount that may read these, and nothing else.
fn reader_of(stage: &Stage, resources: &[&str]) -> PathBuf {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "short", "namespace": "default"}});
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "short"},
        "rules": [{"apiGroups": ["*"], "resources": resources, "verbs": ["list", "watch"]}]});
    let binding = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": "short"}, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "short"},
        "subjects": [{"kind": "ServiceAccount", "name": "short", "namespace": "default"}]});
    for object in [account, role, binding] {
        stage.server.cluster.apply(&object.to_string());
    }
    stage.server.service_account("default", "short")
}

const WITHOUT_SLICES: [&str; 5] = ["services", "nodes", "subnets", "vlans", "provider-networks"];

#[test]
fn with_a_kind_that_it_may_not_list_it_says_so_once_and_deletes_nothing() {
    let stage = Stage::with_example();
    let mut first = stage.serving();
    assert!(first.terminate().success());
    // Its row is to go, but not before all is known.
    stage.server.cluster.delete("/api/v1/namespaces/default/services/dns");
    let before = stage.northbound.rows();

    let short = reader_of(&stage, &WITHOUT_SLICES);
    let mut controller = stage.controller_as("short", &short);
    let refused = "the ServiceAccount may not list endpointslices.discovery.k8s.io";
    controller.says(refused);
    controller.says("the northbound's replica is level");
    assert_eq!(stage.northbound.rows(), before);
    assert!(!controller.log().contains("writing to the northbound"), "{}", controller.log());
    assert_eq!(warnings(&controller, "the ServiceAccount may not"), 1);

    let all = [&WITHOUT_SLICES[..], &["endpointslices"]].concat();
    let rules = json!([{"apiGroups": ["*"], "resources": all, "verbs": ["list", "watch"]}]);
    stage.server.cluster.patch(ROLE, &json!({"rules": rules}));
    stage.no_row("default/dns/udp");
    assert_eq!(stage.row(NGINX_ROW), before[NGINX_ROW]);
    assert_eq!(warnings(&controller, refused), 1);
}
