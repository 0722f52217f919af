//! ovn-vip on a real API server: kube-apiserver and etcd on loopback, RBAC on, and a real northbound beside them.
//!
//! The programs are those of `hack/kube-programs.sh` (`KUBEBUILDER_ASSETS` names others), the northbound is
//! `hack/lab.sh` without nodes, so root is needed. The neighbours' kinds are minimal CRDs of ours, `tests/kube/crds`;
//! `OVN_VIP_CRDS` names a folder of their real ones, with which everything must pass, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may panic")]

#[path = "kube/apiserver.rs"]
mod apiserver;
#[path = "kube/cluster.rs"]
mod cluster;
#[path = "kube/northbound.rs"]
mod northbound;
#[path = "lab/process.rs"]
mod process;
#[path = "kube/stage.rs"]
mod stage;

#[path = "kube/beside_controller.rs"]
mod beside_controller;
#[path = "kube/beside_metallb.rs"]
mod beside_metallb;
#[path = "kube/chart.rs"]
mod chart;
#[path = "kube/following.rs"]
mod following;
#[path = "kube/giving.rs"]
mod giving;
#[path = "kube/harness.rs"]
mod harness;
#[path = "kube/leading.rs"]
mod leading;
#[path = "kube/metrics.rs"]
mod metrics;
#[path = "kube/numbers.rs"]
mod numbers;
#[path = "kube/openshift.rs"]
mod openshift;
#[path = "kube/permissions.rs"]
mod permissions;
#[path = "kube/restored.rs"]
mod restored;
#[path = "kube/saying.rs"]
mod saying;
#[path = "kube/speaking_for.rs"]
mod speaking_for;
