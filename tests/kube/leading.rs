//! Several controllers, one that writes.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::process::{Process, eventually, holds};
use crate::stage::{DNS, DNS_ROW, NGINX_ROW, NGINX_V4, NGINX_VIP, Stage, page, signal};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ovn-vip-controller";

const LEADS: &str = "leading: this replica writes the northbound";
const WRITES: &str = "writing to the northbound";

fn lease(stage: &Stage) -> LeaseSpec {
    Lease::deserialize(stage.server.cluster.get(LEASE).unwrap()).unwrap().spec.unwrap()
}

fn renewed(lease: &LeaseSpec) -> Timestamp {
    lease.renew_time.as_ref().unwrap().0
}

/// When its holder got it.
fn acquired(lease: &LeaseSpec) -> Timestamp {
    lease.acquire_time.as_ref().unwrap().0
}

fn duration(lease: &LeaseSpec) -> SignedDuration {
    SignedDuration::from_secs(lease.lease_duration_seconds.unwrap().into())
}

/// A leader that has written everything, and a replica that is level with everything, too.
fn leader_and_follower(stage: &Stage) -> (Process, Process) {
    let mut leader = stage.controller("first");
    leader.says(LEADS);
    stage.row(NGINX_ROW);
    stage.row(DNS_ROW);
    let mut follower = stage.controller("second");
    follower.says("another replica leads");
    eventually("the follower knows everything", || {
        let ready = page(&mut follower, "/readyz");
        holds(ready == "ready\n", ready)
    });
    (leader, follower)
}

#[test]
fn of_two_replicas_one_writes() {
    let stage = Stage::with_example();
    let (mut leader, mut follower) = leader_and_follower(&stage);
    stage.set_endpoints(NGINX_V4, &["10.180.204.111"]);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.111:80"]);
    assert!(!follower.log().contains(WRITES));
    assert!(page(&mut leader, "/metrics").contains("ovn_vip_leader 1"));
    assert!(page(&mut follower, "/metrics").contains("ovn_vip_leader 0"));
}

#[test]
fn a_leader_that_stops_hands_over_without_waiting_for_its_lease() {
    let stage = Stage::with_example();
    let (mut leader, mut follower) = leader_and_follower(&stage);
    let before = (stage.northbound.rows(), lease(&stage));
    assert!(leader.terminate().success());
    follower.says(LEADS);
    let after = lease(&stage);
    assert!(acquired(&after) < renewed(&before.1) + duration(&before.1), "{before:?} {after:?}");
    assert_eq!(stage.northbound.rows(), before.0);

    stage.server.cluster.delete(DNS);
    stage.no_row(DNS_ROW);
}

#[test]
fn a_leader_that_crashes_is_succeeded_when_its_lease_is_over_and_not_before() {
    let stage = Stage::with_example();
    let (mut leader, mut follower) = leader_and_follower(&stage);
    leader.kill();
    let before = lease(&stage);
    stage.server.cluster.delete(DNS);
    follower.says(LEADS);
    stage.no_row(DNS_ROW);
    let after = lease(&stage);
    assert!(acquired(&after) >= renewed(&before) + duration(&before), "{before:?} {after:?}");
}

#[test]
fn a_leader_that_was_deposed_in_its_sleep_writes_no_more() {
    let stage = Stage::with_example();
    let (mut leader, mut follower) = leader_and_follower(&stage);
    signal(&leader, "STOP");
    let mark = leader.mark();
    follower.says(LEADS);
    stage.server.cluster.delete(DNS);
    stage.no_row(DNS_ROW);
    signal(&leader, "CONT");
    leader.says_after(mark, "no longer leading");
    stage.set_endpoints(NGINX_V4, &["10.180.204.111"]);
    stage.backends(NGINX_ROW, NGINX_VIP, &["10.180.204.111:80"]);
    assert!(!leader.log()[mark..].contains(WRITES));
}

#[test]
fn a_holder_with_another_clock_is_waited_out_and_succeeded() {
    let stage = Stage::with_example();
    let ghost = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "ovn-vip-controller"},
        "spec": {"holderIdentity": "ghost", "leaseDurationSeconds": 1, "leaseTransitions": 4,
            "acquireTime": "2050-01-01T00:00:00.000000Z", "renewTime": "2050-01-01T00:00:00.000000Z"}});
    stage.server.cluster.post(LEASES, &ghost);
    let mut controller = stage.controller("controller");
    controller.says(LEADS);
    stage.row(NGINX_ROW);
    let lease = lease(&stage);
    assert!(lease.holder_identity.unwrap().starts_with("controller_"));
    assert_eq!(lease.lease_transitions, Some(5));
}

#[test]
fn a_leader_that_loses_the_api_server_for_long_stands_down_and_leads_again() {
    let mut stage = Stage::with_example();
    let mut controller = stage.serving();
    stage.server.kill();
    controller.says("no longer leading");
    let mark = controller.mark();
    stage.server.restart();
    controller.says_after(mark, LEADS);
    stage.server.cluster.delete(DNS);
    stage.no_row(DNS_ROW);
    stage.row(NGINX_ROW);
}
