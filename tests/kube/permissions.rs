//! What ours do with exactly the Roles of `deploy/`, and with less.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::process::{Process, eventually, holds};
use crate::stage::{DNS, NAMESPACE, NGINX_ROW, Stage, page, warnings};

const CLUSTER_ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ovn-vip-controller";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/ovn-vip-controller";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

const MAY_NOT: &str = "the ServiceAccount may not";

/// Takes the rules that name this resource out of a role; the rules as they were.
fn forbid(stage: &Stage, role: &str, resource: &str) -> Value {
    let rules = stage.server.cluster.get(role).unwrap()["rules"].clone();
    let mut fewer = rules.as_array().unwrap().clone();
    fewer.retain(|rule| !rule["resources"].as_array().unwrap().contains(&json!(resource)));
    stage.server.cluster.patch(role, &json!({"rules": fewer}));
    rules
}

/// Waits until the API server refuses the controller this list.
fn await_forbidden(stage: &Stage, list: &str) {
    let controller = Cluster::open(&stage.server.service_account(NAMESPACE, "ovn-vip-controller"));
    eventually(&format!("{list} is forbidden"), || holds(controller.get(list).is_err(), "it is not"));
}

fn has_written(process: &Process) -> bool {
    process.log().contains("writing to the northbound")
}

#[test]
fn the_roles_of_deploy_suffice_for_the_controller() {
    let stage = Stage::with_example();
    let mut controller = stage.serving();
    stage.server.cluster.delete(DNS);
    stage.no_row("default/dns/udp");
    assert!(controller.terminate().success());
    assert_eq!(warnings(&controller, "may not"), 0);
}

#[test]
fn the_roles_of_deploy_suffice_for_the_speaker() {
    let stage = Stage::with_example();
    let speaker = stage.speaker();
    assert_eq!(warnings(&speaker, "may not"), 0);
}

#[test]
fn with_a_kind_that_it_may_not_list_it_says_so_once_and_deletes_nothing() {
    let stage = Stage::with_example();
    let mut first = stage.serving();
    assert!(first.terminate().success());
    // Its row is to go, but not before all is known.
    stage.server.cluster.delete(DNS);
    let before = stage.northbound.rows();
    let rules = forbid(&stage, CLUSTER_ROLE, "endpointslices");
    await_forbidden(&stage, SLICES);

    let mut controller = stage.controller("short");
    let refused = "the ServiceAccount may not list endpointslices.discovery.k8s.io";
    controller.says(refused);
    controller.says("the northbound's replica is level");
    controller.says("leading");
    assert!(page(&mut controller, "/readyz").contains("the cluster's objects"));
    assert_eq!(stage.northbound.rows(), before);
    assert!(!has_written(&controller));
    assert_eq!(warnings(&controller, MAY_NOT), 1);

    stage.server.cluster.patch(CLUSTER_ROLE, &json!({"rules": rules}));
    stage.no_row("default/dns/udp");
    assert_eq!(stage.row(NGINX_ROW), before[NGINX_ROW]);
    assert_eq!(warnings(&controller, MAY_NOT), 1);
}

#[test]
fn without_the_lease_it_says_so_once_and_writes_nothing() {
    let stage = Stage::with_example();
    let rules = forbid(&stage, ROLE, "leases");
    await_forbidden(&stage, LEASES);

    let mut controller = stage.controller("short");
    eventually("it is told", || {
        let told = warnings(&controller, "leases.coordination.k8s.io");
        holds(told == 1, controller.log())
    });
    controller.says("the northbound's replica is level");
    assert!(!has_written(&controller));

    stage.server.cluster.patch(ROLE, &json!({"rules": rules}));
    stage.row(NGINX_ROW);
    assert_eq!(warnings(&controller, "leases.coordination.k8s.io"), 1);
}
