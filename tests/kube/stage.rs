//! An API server, a northbound, and controllers of ours between them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::apiserver::ApiServer;
use crate::northbound::Northbound;
use crate::process::{Process, eventually, holds, run};

/// Where `deploy/` puts everything.
pub const NAMESPACE: &str = "kube-system";
/// Objects of `examples/underlay`, by their paths.
pub const NGINX: &str = "/api/v1/namespaces/default/services/nginx";
pub const DNS: &str = "/api/v1/namespaces/default/services/dns";
pub const NGINX_V4: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/nginx-v4";
/// Their rows.
pub const NGINX_ROW: &str = "default/nginx/tcp";
pub const DNS_ROW: &str = "default/dns/udp";
/// The first Service's key.
pub const NGINX_VIP: &str = "10.180.204.252:80";

/// All of it; the processes go first.
pub struct Stage {
    pub server: ApiServer,
    pub northbound: Northbound,
    folder: TempDir,
}

impl Stage {
    /// The neighbours' kinds and everything of `examples/underlay`, with a speaker's word that it announces all of it.
    pub fn with_example() -> Self {
        let stage = Self::empty();
        stage.install_neighbours();
        stage.apply_example();
        let v4 = (200..255).map(|last| format!("10.180.204.{last}"));
        let v6 = (0x250..0x256).map(|last| format!("fd00:180:204::{last:x}"));
        stage.report("node1", v4.chain(v6));
        stage
    }

    /// Says in the name of a node's speaker which VIPs it holds.
    pub fn report(&self, node: &str, held: impl Iterator<Item = String>) {
        self.report_at(node, held, json!({}));
    }

    /// The same, written at a time and to count for so many seconds.
    pub fn report_for(&self, node: &str, held: &[&str], renewed: &str, seconds: u64) {
        let spec = json!({ "renewTime": renewed, "leaseDurationSeconds": seconds });
        self.report_at(node, held.iter().map(ToString::to_string), spec);
    }

    fn report_at(&self, node: &str, held: impl Iterator<Item = String>, mut spec: Value) {
        spec["holderIdentity"] = json!(node);
        let held: Value = held.map(|vip| (vip, json!(1))).collect::<serde_json::Map<_, _>>().into();
        let segment = json!({ "mac": "02:00:00:00:00:01", "ready": true, "vips": held });
        let report = json!({ "subnets": { "underlay-subnet": segment } }).to_string();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": format!("speaker.{node}"), "namespace": "ovn-vip",
                "labels": {"app.kubernetes.io/managed-by": "ovn-vip"}, "annotations": {"ovn-vip.io/speaker": report}},
            "spec": spec,
        });
        self.server.cluster.apply(&lease.to_string());
    }

    /// Kubernetes alone, and our Roles.
    pub fn empty() -> Self {
        let (server, northbound) = (ApiServer::start(), Northbound::up());
        server.cluster.apply(&std::fs::read_to_string(checkout("deploy/rbac.yaml")).unwrap());
        Self { server, northbound, folder: tempfile::tempdir().unwrap() }
    }

    /// The neighbours' kinds: minimal ones of ours, or their real ones from the folder that `OVN_VIP_CRDS` names.
    pub fn install_neighbours(&self) {
        let folder =
            std::env::var_os("OVN_VIP_CRDS").map_or_else(|| checkout("tests/kube/crds"), PathBuf::from);
        self.server.cluster.apply_folder(&folder);
    }

    pub fn apply_example(&self) {
        self.server.cluster.apply_folder(&checkout("examples/underlay"));
    }

    /// `ovn-vip controller`, with exactly the Roles of `deploy/`.
    pub fn controller_command(&self, name: &str) -> Command {
        // Numbers are taken of a release build.
        let built = env!("CARGO_BIN_EXE_ovn-vip").into();
        let mut command = Command::new(std::env::var_os("BENCH_PROGRAM").unwrap_or(built));
        command.env("OVN_VIP_LOG", "ovn_vip=debug").args(["controller", "--kubeconfig"]);
        command.arg(self.server.service_account(NAMESPACE, "ovn-vip-controller"));
        command.args(["--pod-name", name, "--lease-namespace", NAMESPACE, "--http=127.0.0.1:0"]);
        command.args(["--ovn-nb", self.northbound.address(), "--ovn-sb", self.northbound.southbound()]);
        command
    }

    /// A speaker that knows the cluster, with exactly the Roles of `deploy/`. It comes no further than to wait for a switch.
    pub fn speaker(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        command.args([
            "speaker",
            "--log=ovn_vip=debug",
            "--node=node1",
            "--http=127.0.0.1:0",
            "--kubeconfig",
        ]);
        command.arg(self.server.service_account(NAMESPACE, "ovn-vip-speaker"));
        command.args(["--ovs", "unix:/nonexistent/db.sock"]);
        let mut speaker = self.start("speaker", &mut command);
        eventually("it knows the cluster", || {
            let ready = page(&mut speaker, "/readyz");
            holds(ready.contains("Open vSwitch"), ready)
        });
        speaker
    }

    /// Starts a controller of that name.
    pub fn controller(&self, name: &str) -> Process {
        self.start(name, &mut self.controller_command(name))
    }

    pub fn start(&self, name: &str, command: &mut Command) -> Process {
        Process::start(name, command, self.folder.path())
    }

    /// Starts a controller, and waits until it has written the example.
    pub fn serving(&self) -> Process {
        let mut controller = self.controller("controller");
        controller.says("the northbound has it");
        self.row(NGINX_ROW);
        self.row(DNS_ROW);
        controller
    }

    /// Waits until there is a row of that name; the row.
    pub fn row(&self, name: &str) -> Value {
        eventually(&format!("there is a row {name}"), || {
            let mut rows = self.northbound.rows();
            rows.remove(name).ok_or_else(|| format!("{:?}", rows.keys()))
        })
    }

    /// Waits until there is none.
    pub fn no_row(&self, name: &str) {
        eventually(&format!("there is no row {name}"), || {
            let rows = self.northbound.rows();
            holds(!rows.contains_key(name), rows.keys())
        });
    }

    /// Waits until that VIP and port has these backends, in any order.
    pub fn backends(&self, row: &str, vip: &str, wanted: &[&str]) {
        eventually(&format!("{row} has {wanted:?}"), || {
            let found = self.northbound.rows().remove(row).ok_or("no row")?;
            let mut backends = backends_in(&found, vip);
            backends.sort_unstable();
            holds(backends == wanted, backends)
        });
    }

    /// Gives a Service its VIPs as MetalLB does: through the status subresource.
    pub fn assign(&self, service: &str, vips: &[&str]) {
        let ingress: Vec<Value> = vips.iter().map(|vip| json!({"ip": vip})).collect();
        let status = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        self.server.cluster.patch(&format!("{service}/status"), &status);
    }

    /// Gives a slice these IPv4 backends, all ready, all on node1.
    pub fn set_endpoints(&self, slice: &str, addresses: &[&str]) {
        let endpoint = |address: &&str| json!({"addresses": [address], "nodeName": "node1", "conditions": {"ready": true}});
        let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
        self.server.cluster.patch(slice, &json!({"endpoints": endpoints}));
    }
}

/// Makes etcd forget all history before now: whoever asks for changes since an older version gets "410 Gone". The API
/// server itself remembers some of it, until it is restarted.
pub fn compact(server: &ApiServer) {
    let post = |path: &str, body: Value| -> Value {
        let url = format!("http://127.0.0.1:{}/v3/{path}", server.etcd_port);
        let said = run(Command::new("curl").args(["-sSf", "-d", &body.to_string(), &url]));
        serde_json::from_str(&said).unwrap()
    };
    let status = post("maintenance/status", json!({}));
    post("kv/compaction", json!({"revision": status["header"]["revision"], "physical": true}));
}

/// A folder of the checkout.
pub fn checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// How many warnings it gave with these words in them.
pub fn warnings(process: &Process, words: &str) -> usize {
    process.log().lines().filter(|line| line.contains(" WARN ") && line.contains(words)).count()
}

/// A page that a process of ours serves, whether it is well or not.
pub fn page(process: &mut Process, path: &str) -> String {
    process.says("serving /healthz");
    let log = process.log();
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    run(Command::new("curl").args(["-sS", "--max-time", "10", &format!("http://{address}{path}")]))
}

/// Holds a process still, or lets it go on.
pub fn signal(process: &Process, name: &str) {
    run(Command::new("kill").args([&format!("-{name}"), &process.pid().to_string()]));
}

fn backends_in(row: &Value, vip: &str) -> Vec<String> {
    // A map on the wire is ["map", [[key, value], …]].
    let pairs = row["vips"][1].as_array().cloned().unwrap_or_default();
    let value = pairs.iter().find(|pair| pair[0] == vip).and_then(|pair| pair[1].as_str().map(str::to_owned));
    value.map(|value| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
}
