//! ovn-vip on a real OVN with real traffic: `hack/lab.sh` in network namespaces, the built binary on each node,
//! `curl`-like clients on the wire.
//!
//! Needs root and `hack/setup.sh` once; without them every test fails and says so. `LAB_ROOT` runs another OVN,
//! such as Kube-OVN's build. Each test brings up a lab of its own, at most two at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may panic")]

#[path = "lab/capture.rs"]
mod capture;
#[path = "lab/cluster.rs"]
mod cluster;
#[path = "lab/kubernetes.rs"]
mod kubernetes;
#[path = "lab/lab.rs"]
mod lab;
#[path = "lab/privileges.rs"]
mod privileges;
#[path = "lab/process.rs"]
mod process;
#[path = "lab/stage.rs"]
mod stage;
#[path = "lab/traffic.rs"]
mod traffic;

#[path = "lab/backends.rs"]
mod backends;
#[path = "lab/beats.rs"]
mod beats;
#[path = "lab/beats_folder.rs"]
mod beats_folder;
#[path = "lab/beats_soak.rs"]
mod beats_soak;
#[path = "lab/claims.rs"]
mod claims;
#[path = "lab/delivered.rs"]
mod delivered;
#[path = "lab/explaining.rs"]
mod explaining;
#[path = "lab/following.rs"]
mod following;
#[path = "lab/judges.rs"]
mod judges;
#[path = "lab/kube_ovn.rs"]
mod kube_ovn;
#[path = "lab/kube_ovn_rows.rs"]
mod kube_ovn_rows;
#[path = "lab/kube_ovn_rules.rs"]
mod kube_ovn_rules;
#[path = "lab/migration.rs"]
mod migration;
#[path = "lab/neighbours.rs"]
mod neighbours;
#[path = "lab/networks.rs"]
mod networks;
#[path = "lab/ping.rs"]
mod ping;
#[path = "lab/pods.rs"]
mod pods;
#[path = "lab/ports.rs"]
mod ports;
#[path = "lab/ranges.rs"]
mod ranges;
#[path = "lab/refusing.rs"]
mod refusing;
#[path = "lab/removing.rs"]
mod removing;
#[path = "lab/repair.rs"]
mod repair;
#[path = "lab/seen.rs"]
mod seen;
#[path = "lab/serving.rs"]
mod serving;
#[path = "lab/strangers.rs"]
mod strangers;
