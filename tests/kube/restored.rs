//! etcd restored to an older state: what was told since has not happened, and versions count from there again.

use serde_json::json;

use crate::metrics::becomes;
use crate::process::{Process, eventually, holds};
use crate::stage::{DNS, DNS_ROW, NGINX, NGINX_ROW, NGINX_V4, NGINX_VIP, Stage, page, warnings};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ovn-vip-controller";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";

const LEADS: &str = "leading: this replica writes the northbound";
const WENT_BACK: &str = "the API server's state went back";
const REWINDS: &str = "ovn_vip_cluster_rewinds_total";

fn version(stage: &Stage) -> u64 {
    let lease = stage.server.cluster.get(LEASE).unwrap();
    lease["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// What happens after the backup: renewals, one Service more, one less, other backends, and so many versions that the
/// restored etcd does not come to where it was.
fn future(stage: &Stage) {
    let before = version(stage);
    stage.set_endpoints(NGINX_V4, &["10.180.204.111"]);
    stage.server.cluster.delete(DNS);
    let dns = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "later"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "later"}}});
    stage.server.cluster.post(SERVICES, &dns);
    for number in 0..500 {
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{number}")}});
        stage.server.cluster.post(CONFIG_MAPS, &map);
    }
    eventually("the lease was renewed", || {
        let now = version(stage);
        holds(now > before + 500, now)
    });
}

fn knows_services(process: &mut Process, count: u32) {
    becomes(process, r#"ovn_vip_cluster_objects{kind="Service"}"#, f64::from(count));
}

#[test]
fn after_etcd_was_restored_one_leads_and_everybody_follows() {
    let mut stage = Stage::with_example();
    let mut controller = stage.serving();
    let mut speaker = stage.speaker();
    stage.server.back_up();
    stage.row(DNS_ROW);
    future(&stage);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.111:80"]);
    stage.no_row(DNS_ROW);
    // One came, one went.
    knows_services(&mut speaker, 2);
    becomes(&mut controller, REWINDS, 0.0);

    stage.server.restore();
    stage.row(DNS_ROW);
    let all = ["10.180.204.111:80", "10.180.204.112:80", "10.180.204.121:80"];
    stage.backends(NGINX_ROW, NGINX_VIP, &all);

    stage.set_endpoints(NGINX_V4, &["10.180.204.112"]);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.112:80"]);
    stage.server.cluster.delete(NGINX);
    knows_services(&mut controller, 1);
    knows_services(&mut speaker, 1);
    for process in [&mut controller, &mut speaker] {
        becomes(process, REWINDS, 1.0);
        assert_eq!(warnings(process, WENT_BACK), 1);
    }
    assert_eq!(page(&mut controller, "/readyz"), "ready\n");
}

#[test]
fn a_replica_that_only_waits_takes_over_after_etcd_was_restored() {
    let mut stage = Stage::with_example();
    let mut leader = stage.serving();
    stage.server.back_up();
    stage.row(DNS_ROW);
    let mut follower = stage.controller("second");
    follower.says("another replica leads");
    future(&stage);
    stage.no_row(DNS_ROW);
    stage.server.restore();
    // The restored Lease has its name, and nobody renews it.
    leader.kill();
    follower.says(LEADS);
    stage.row(DNS_ROW);
}

#[test]
fn etcd_restored_below_a_running_api_server_is_named_with_its_cure() {
    let mut stage = Stage::with_example();
    let mut controller = stage.serving();
    stage.server.back_up();
    stage.row(DNS_ROW);
    future(&stage);
    stage.no_row(DNS_ROW);
    stage.server.restore_below();
    let cure = "restart every kube-apiserver";
    eventually("it says so", || {
        let ready = page(&mut controller, "/readyz");
        holds(ready.contains(cure), ready)
    });
    assert_eq!(warnings(&controller, cure), 1);

    stage.server.restart();
    stage.row(DNS_ROW);
    becomes(&mut controller, REWINDS, 1.0);
    eventually("all is well", || {
        let ready = page(&mut controller, "/readyz");
        holds(ready == "ready\n", ready)
    });
}
