//! Addresses that are given on a real API server, with the neighbours' kinds (`OVN_VIP_CRDS`: MetalLB's real ones).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::process::{Process, eventually, holds};
use crate::stage::{NGINX_ROW, Stage, warnings};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const POOL: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/given";
const CLUSTER_ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ovn-vip-controller";
const FROM_POOL: &str = "metallb.io/ip-allocated-from-pool";

fn pool(stage: &Stage, addresses: &[&str]) {
    let pool = json!({ "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "namespace": "metallb-system", "name": "given" }, "spec": { "addresses": addresses } });
    stage.server.cluster.apply(&pool.to_string());
}

fn service(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "type": "LoadBalancer", "loadBalancerClass": "ovn-vip.io/ovn-vip",
            "allocateLoadBalancerNodePorts": false, "ports": [{ "port": 80 }] } })
}

fn path(name: &str) -> String {
    format!("{SERVICES}/{name}")
}

fn ingress(service: &Value) -> Option<&str> {
    service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()
}

/// Waits until a Service has this address, or, where there is none, none.
fn has(stage: &Stage, name: &str, address: Option<&str>) -> Value {
    eventually(&format!("{name} has {address:?}"), || {
        let found = stage.server.cluster.get(&path(name))?;
        if ingress(&found) == address { Ok(found) } else { Err(found["status"].to_string()) }
    })
}

fn start(stage: &Stage, name: &str, flags: &[&str]) -> Process {
    stage.start(name, stage.controller_command(name).args(flags))
}

#[test]
fn a_service_of_our_class_gets_an_address_and_the_pool_its_counts() {
    let stage = Stage::with_example();
    pool(&stage, &["10.99.0.0/30"]);
    stage.server.cluster.post(SERVICES, &service("web"));
    let mut controller = start(&stage, "controller", &[]);
    let found = has(&stage, "web", Some("10.99.0.0"));
    assert_eq!(found["status"]["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    assert_eq!(found["metadata"]["annotations"][FROM_POOL], "given");
    // Nothing else of the Service is ours, and a Service without a class is somebody else's.
    let managed = found["metadata"]["managedFields"].as_array().unwrap();
    let ours = managed.iter().find(|entry| entry["manager"] == "ovn-vip-allocate").unwrap();
    assert_eq!(ours["subresource"], "status");
    eventually("the pool has its counts", || {
        let status = stage.server.cluster.get(POOL)?["status"].clone();
        holds(status["assignedIPv4"] == 1 && status["availableIPv4"] == 3, status)
    });

    // It is no LoadBalancer any more: what is ours goes, and the address is free.
    let cluster_ip = json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null, "allocateLoadBalancerNodePorts": null } });
    stage.server.cluster.patch(&path("web"), &cluster_ip);
    eventually("nothing of ours is left on it", || {
        let found = stage.server.cluster.get(&path("web"))?;
        let is_left = ingress(&found).is_some() || found["metadata"]["annotations"][FROM_POOL].is_string();
        holds(!is_left, found)
    });
    stage.server.cluster.post(SERVICES, &service("next"));
    has(&stage, "next", Some("10.99.0.0"));
    assert!(controller.terminate().success());
    assert_eq!(warnings(&controller, "may not"), 0);
}

#[test]
fn what_somebody_else_writes_over_it_is_put_right_and_what_cannot_be_given_is_said() {
    let stage = Stage::with_example();
    pool(&stage, &["10.99.0.0/32"]);
    stage.server.cluster.post(SERVICES, &service("web"));
    let mut controller = start(&stage, "controller", &[]);
    has(&stage, "web", Some("10.99.0.0"));
    stage.assign(&path("web"), &["192.0.2.7"]);
    has(&stage, "web", Some("10.99.0.0"));
    // The example has a pool of its own.
    let mut late = service("late");
    late["metadata"]["annotations"] = json!({ "metallb.io/address-pool": "given" });
    stage.server.cluster.post(SERVICES, &late);
    eventually("the condition says what was tried", || {
        let found = stage.server.cluster.get(&path("late"))?;
        let condition = found["status"]["conditions"][0].clone();
        let words = condition["message"].as_str().unwrap_or_default();
        holds(
            condition["reason"] == "NoAddress" && words.contains("given (IPv4): 1 in use by Services"),
            condition,
        )
    });
    eventually("an Event says it, too", || {
        let events = stage.server.cluster.items("/apis/events.k8s.io/v1/namespaces/default/events");
        holds(events.iter().any(|event| event["reason"] == "AllocationFailed"), events.len())
    });
    stage.server.cluster.delete(&path("web"));
    has(&stage, "late", Some("10.99.0.0"));
    assert!(controller.terminate().success());
}

#[test]
fn without_the_right_to_write_a_status_it_says_so_and_the_northbound_is_written_all_the_same() {
    let stage = Stage::with_example();
    pool(&stage, &["10.99.0.0/30"]);
    let rules = stage.server.cluster.get(CLUSTER_ROLE).unwrap()["rules"].clone();
    let mut fewer = rules.as_array().unwrap().clone();
    fewer.retain(|rule| rule["resources"] != json!(["services/status"]));
    stage.server.cluster.patch(CLUSTER_ROLE, &json!({ "rules": fewer }));
    stage.server.cluster.post(SERVICES, &service("web"));
    let controller = start(&stage, "controller", &[]);
    stage.row(NGINX_ROW);
    eventually("it says so", || {
        holds(warnings(&controller, "may not patch services/status") > 0, controller.log())
    });
    stage.server.cluster.patch(CLUSTER_ROLE, &json!({ "rules": rules }));
    has(&stage, "web", Some("10.99.0.0"));
}

#[test]
fn where_metallbs_controller_runs_nothing_is_given_whatever_the_flag_says() {
    let stage = Stage::with_example();
    pool(&stage, &["10.99.0.0/30"]);
    let slice = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "namespace": "metallb-system", "name": "metallb-webhook-service-1",
            "labels": { "kubernetes.io/service-name": "metallb-webhook-service" } },
        "endpoints": [{ "addresses": ["10.16.0.9"] }], "ports": [] });
    stage.server.cluster.apply(&slice.to_string());
    stage.server.cluster.post(SERVICES, &service("web"));
    let mut controller = start(&stage, "controller", &["--allocate=all"]);
    stage.row(NGINX_ROW);
    controller.says("MetalLB's controller runs in namespace metallb-system");
    has(&stage, "web", None);
    // It is stopped, as the words say.
    stage.server.cluster.delete(
        "/apis/discovery.k8s.io/v1/namespaces/metallb-system/endpointslices/metallb-webhook-service-1",
    );
    has(&stage, "web", Some("10.99.0.0"));
}

/// Who has what.
fn given(stage: &Stage) -> BTreeMap<String, String> {
    let services = stage.server.cluster.items(SERVICES);
    let ours = services.iter().filter(|it| it["spec"]["loadBalancerClass"] == "ovn-vip.io/ovn-vip");
    let given = ours.filter_map(|service| {
        Some((service["metadata"]["name"].as_str()?.to_owned(), ingress(service)?.to_owned()))
    });
    given.collect()
}

#[test]
fn a_leader_that_dies_in_the_middle_of_a_thousand_gives_nobody_two_and_loses_none() {
    const MANY: usize = 1000;
    let stage = Stage::with_example();
    pool(&stage, &["10.99.0.0/22"]);
    let mut leader = start(&stage, "first", &[]);
    leader.says("leading: this replica writes the northbound");
    let mut follower = start(&stage, "second", &[]);
    follower.says("another replica leads");
    stage.server.cluster.block_on(async {
        let cluster = &stage.server.cluster;
        let all = (0..MANY).map(|number| async move {
            cluster.create(SERVICES, &service(&format!("s{number:04}"))).await;
        });
        futures::StreamExt::collect::<Vec<()>>(futures::StreamExt::buffer_unordered(
            futures::stream::iter(all),
            16,
        ))
        .await;
    });
    let before = eventually("some are given", || {
        let given = given(&stage);
        if given.len() > MANY / 20 { Ok(given) } else { Err(given.len().to_string()) }
    });
    leader.kill();
    let at_its_death = given(&stage);
    follower.says("leading: this replica writes the northbound");
    eventually("all are given", || {
        let given = given(&stage);
        holds(given.len() == MANY, given.len())
    });
    let after = given(&stage);
    assert_eq!(after.values().collect::<BTreeSet<_>>().len(), MANY, "no address twice");
    for (service, address) in before.iter().chain(&at_its_death) {
        assert_eq!(after.get(service), Some(address), "{service}");
    }
    eprintln!("{} of {MANY} were given when the leader died", at_its_death.len());
}
