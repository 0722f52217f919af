//! A real API server for a lab: on loopback, and reached from the nodes' namespaces.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{Lab, repository};
use crate::process::Process;
use crate::stage::NODES;

#[expect(dead_code, reason = "nothing is restored here")]
#[path = "../kube/apiserver.rs"]
mod apiserver;
#[path = "../kube/cluster.rs"]
mod cluster;

use apiserver::ApiServer;

/// Where speakers publish.
const PUBLISHED: [&str; 2] = [
    "/apis/coordination.k8s.io/v1/namespaces/ovn-vip/leases",
    "/apis/metallb.io/v1beta1/namespaces/ovn-vip/servicel2statuses",
];

/// The API server, and what carries the nodes' connections to it.
pub struct Kubernetes {
    _carriers: Vec<Process>,
    pub server: ApiServer,
    _folder: TempDir,
}

impl Kubernetes {
    /// With the neighbours' kinds, the roles of `deploy/`, and everything of an example.
    pub fn start(lab: &Lab, example: &str) -> Self {
        let (server, folder) = (ApiServer::start(), tempfile::tempdir().unwrap());
        server.cluster.apply(&std::fs::read_to_string(repository().join("deploy/rbac.yaml")).unwrap());
        server.cluster.apply_folder(&repository().join("tests/kube/crds"));
        server.cluster.apply_folder(&repository().join("examples").join(example));
        let address = format!("tcp:127.0.0.1:{}", server.port);
        let socket = format!("unix:{}", folder.path().join("api.sock").display());
        let script = repository().join("hack/lab/forward.py");
        let mut carriers =
            vec![carrier("api", Command::new("python3").arg(&script).args([&socket, &address]), &folder)];
        for node in NODES {
            let mut command = lab.command_in(node, "python3");
            carriers.push(carrier(node, command.arg(&script).args([&address, &socket]), &folder));
        }
        Self { _carriers: carriers, server, _folder: folder }
    }

    /// The options that lead a component of ours to it, with exactly its roles.
    pub fn options(&self, component: &str) -> [String; 2] {
        let file = self.server.service_account("kube-system", &format!("ovn-vip-{component}"));
        ["--kubeconfig".into(), file.display().to_string()]
    }

    /// The Lease with a speaker's report.
    pub fn lease(&self, node: &str) -> Value {
        self.server.cluster.get(&format!("{}/speaker.{node}", PUBLISHED[0])).unwrap_or_default()
    }

    /// Makes a report count for so many seconds from now, unless it is renewed.
    pub fn shorten(&self, node: &str, seconds: u64) {
        let path = format!("{}/speaker.{node}", PUBLISHED[0]);
        self.server.cluster.patch(&path, &json!({"spec": {"leaseDurationSeconds": seconds}}));
    }

    /// A speaker's report.
    pub fn report(&self, node: &str) -> Value {
        let lease = self.lease(node);
        let text = lease["metadata"]["annotations"]["ovn-vip.io/speaker"].as_str().unwrap_or("null");
        serde_json::from_str(text).unwrap()
    }

    /// The Node that a speaker's report goes with.
    pub fn owner(&self, node: &str) -> Value {
        self.lease(node)["metadata"]["ownerReferences"][0]["name"].clone()
    }

    /// Which node states that it announces which Service.
    pub fn stated(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let statuses = self.server.cluster.items(PUBLISHED[1]);
        let mut stated: Vec<_> = statuses
            .iter()
            .map(|found| (text(&found["status"]["serviceName"]), text(&found["status"]["node"])))
            .collect();
        stated.sort();
        stated
    }

    /// The notes of the Events of that reason on a Service.
    pub fn events(&self, service: &str, reason: &str) -> Vec<String> {
        let events = self.server.cluster.items("/apis/events.k8s.io/v1/events").into_iter();
        let meant = events.filter(|event| event["reason"] == reason && event["regarding"]["name"] == service);
        meant.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn carrier(name: &str, command: &mut Command, folder: &TempDir) -> Process {
    let mut process = Process::start(&format!("carrier-{name}"), command, folder.path());
    process.says("ready");
    process
}
