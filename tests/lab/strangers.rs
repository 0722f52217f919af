//! An address that ovn-vip gave, and that a host on the wire turns out to have.

use serde_json::{Value, json};

use crate::lab::Topology;
use crate::process::{eventually, holds};
use crate::stage::Stage;
use crate::traffic::pods_on;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// The first two of the example's pool.
const FIRST: &str = "10.180.204.250";
const NEXT: &str = "10.180.204.251";
const CLIENT_MAC: &str = "02:00:00:00:02:64";

/// A Service that ovn-vip is to give an address, with nginx's IPv4 backends.
fn create(stage: &Stage) {
    let cluster = &stage.kubernetes().server.cluster;
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "given", "namespace": "default" },
        "spec": { "type": "LoadBalancer", "loadBalancerClass": "ovn-vip.io/ovn-vip", "externalTrafficPolicy": "Local",
            "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 80 }] } });
    cluster.post(SERVICES, &service);
    let nginx = cluster.get(&format!("{SLICES}/nginx-v4")).unwrap();
    let slice = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "given-v4", "namespace": "default", "labels": { "kubernetes.io/service-name": "given" } },
        "addressType": "IPv4", "endpoints": nginx["endpoints"], "ports": nginx["ports"] });
    cluster.post(SLICES, &slice);
}

fn has(stage: &Stage) -> Value {
    let service = stage.kubernetes().server.cluster.get(&format!("{SERVICES}/given")).unwrap();
    service["status"]["loadBalancer"]["ingress"][0]["ip"].clone()
}

#[test]
fn an_address_that_a_host_has_is_set_aside_and_the_next_one_is_served() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.lab.run_in("client", &format!("ip addr add {FIRST}/32 dev eth0"));
    stage.start_speakers();
    create(&stage);
    eventually("the next address is given", || {
        let has = has(&stage);
        holds(has == NEXT, has)
    });
    eventually("it is said who has the first", || {
        let events = stage.kubernetes().events("given", "ClearAssignment");
        let is_said = |note: &String| note.contains(FIRST) && note.contains(CLIENT_MAC);
        holds(events.iter().any(is_said), events)
    });
    let node = stage.becomes_announced(NEXT);
    stage.becomes_served("far", NEXT, pods_on(node));
    stage.becomes_served("client", NEXT, pods_on(node));
    assert_eq!(stage.says_announcing(FIRST), None, "nobody of ours ever claims it");
}
