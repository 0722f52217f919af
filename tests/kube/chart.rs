//! `deploy/chart`, by the real Helm on the real API server, and the manifests that are rendered from it.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::apiserver::ApiServer;
use crate::cluster::documents;
use crate::process::{eventually, holds, run, try_run};
use crate::stage::checkout;

const CONTROLLER: &str = "/apis/apps/v1/namespaces/kube-system/deployments/ovn-vip-controller";
const SPEAKER: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/ovn-vip-speaker";
const KUBE_OVN: &str = "/apis/apps/v1/namespaces/kube-system/deployments/kube-ovn-controller";
const POLICY: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/ovn-vip-speaker";
const OVN_VIP: &str = "/api/v1/namespaces/ovn-vip";

/// Every knob away from its default, and every object that the chart can make.
const EVERYTHING: &str = r#"
namespace: kube-system
image: {repository: registry.example/ovn-vip, tag: v1, digest: "", pullPolicy: Always, pullSecrets: [registry]}
ovn: {tls: "true", tlsSecret: certificates}
policy: {excludeIps: fix, loadBalancerClass: "*"}
clusterName: blue
ownRouterPort: never
log: {level: "debug,hyper=warn", format: text}
http: {controllerPort: 9001, speakerPort: 9002, statusTokenSecret: token}
controller:
  replicas: 1
  hostNetwork: false
  priorityClassName: ""
  affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
  nodeSelector: {}
  tolerations: []
  podAnnotations: {example.org/a: "1"}
  podLabels: {example.org/b: "2"}
  extraArgs: [--lease=other]
  extraEnv: [{name: RUST_BACKTRACE, value: "1"}]
speaker:
  announceEvery: 60
  conflict: yield
  maxUnavailable: "10%"
  openvswitchDir: /var/snap/openvswitch
  affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
  extraArgs: [--ovs-rundir=/var/run/openvswitch]
networkPolicy: {enabled: true, metricsFrom: [{namespaceSelector: {}}]}
monitoring:
  podMonitor: {enabled: true, interval: 15s, labels: {release: prometheus}}
  rules: {enabled: true, labels: {release: prometheus}}
  dashboards: {enabled: true, namespace: default}
openshift: {scc: "true"}
"#;

const INSTALLER: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: installer, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: installer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: installer, namespace: default}]
"#;

/// The kinds of Prometheus' operator and of OpenShift, as far as it takes to have such objects.
const STRANGERS: &[(&str, &str, &str, &str)] = &[
    ("monitoring.coreos.com", "podmonitors", "PodMonitor", "Namespaced"),
    ("monitoring.coreos.com", "prometheusrules", "PrometheusRule", "Namespaced"),
    ("security.openshift.io", "securitycontextconstraints", "SecurityContextConstraints", "Cluster"),
];

/// Helm, from its own empty home, on the checkout's chart.
pub struct Helm {
    home: TempDir,
    kubeconfig: Option<std::path::PathBuf>,
}

impl Helm {
    /// Without any cluster.
    pub fn offline() -> Self {
        Self { home: tempfile::tempdir().unwrap(), kubeconfig: None }
    }

    /// As somebody who may do anything in that cluster.
    fn on(server: &ApiServer) -> Self {
        server.cluster.apply(INSTALLER);
        Self { kubeconfig: Some(server.service_account("default", "installer")), ..Self::offline() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(checkout("hack/helm.sh"));
        // The program is in the cache of whoever runs the test; what Helm itself writes is not.
        for kind in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(kind, self.home.path());
        }
        let nowhere = self.home.path().join("no-cluster");
        command.env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere));
        command.current_dir(checkout("")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let (ok, said) = try_run(&mut self.command(arguments));
        assert!(!ok, "{arguments:?} succeeded: {said}");
        said
    }

    pub fn template(&self, more: &[&str]) -> Vec<Value> {
        documents(&self.run(&[&["template", "ovn-vip", "deploy/chart"], more].concat()))
    }
}

/// As Kube-OVN's own chart has it.
fn kube_ovn_controller(environment: &[(&str, &str)]) -> Value {
    let env: Vec<Value> =
        environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "kube-ovn-controller", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"app": "kube-ovn-controller"}},
            "template": {
                "metadata": {"labels": {"app": "kube-ovn-controller"}},
                "spec": {"containers": [{"name": "kube-ovn-controller", "image": "kubeovn/kube-ovn", "env": env}]},
            },
        },
    })
}

fn with_kube_ovn(environment: &[(&str, &str)]) -> ApiServer {
    let server = ApiServer::start();
    server.cluster.apply(&kube_ovn_controller(environment).to_string());
    server
}

fn node(name: &str, taint: Option<&str>) -> String {
    let taints: Vec<Value> = taint.iter().map(|key| json!({"key": key, "effect": "NoSchedule"})).collect();
    let labels = json!({"kubernetes.io/os": "linux"});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}})
        .to_string()
}

pub fn kind(documents: &[Value], kind: &str) -> Value {
    documents.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("no {kind}")).clone()
}

/// The value of a variable of a workload's container.
fn variable(workload: &Value, name: &str) -> String {
    let environment = workload["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let found = environment.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    found["value"].as_str().unwrap().to_owned()
}

fn arguments(workload: &Value) -> String {
    workload["spec"]["template"]["spec"]["containers"][0]["args"].to_string()
}

#[test]
fn helm_finds_no_fault_with_the_chart() {
    let said = Helm::offline().run(&["lint", "--strict", "deploy/chart"]);
    assert!(said.contains("0 chart(s) failed"), "{said}");
}

#[test]
fn kustomizes_manifests_are_the_charts() {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(checkout("hack/render-deploy.sh")).arg(folder.path()));
    let more = ["openshift/scc.yaml", "remove/rbac.yaml", "remove/controller.yaml", "remove/speaker.yaml"];
    for name in ["rbac.yaml", "admission.yaml", "controller.yaml", "speaker.yaml"].into_iter().chain(more) {
        let rendered = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let kept = std::fs::read_to_string(checkout("deploy").join(name)).unwrap();
        assert!(rendered == kept, "deploy/{name} is not what the chart renders: run hack/render-deploy.sh");
    }
}

#[test]
fn who_removes_may_give_no_addresses() {
    for (file, gives) in [("deploy/rbac.yaml", true), ("deploy/remove/rbac.yaml", false)] {
        let rules = std::fs::read_to_string(checkout(file)).unwrap();
        for right in ["ipaddresspools/status", "resources: [vips]", "resources: [namespaces]"] {
            assert_eq!(rules.contains(right), gives, "{file}: {right}");
        }
    }
}

#[test]
fn the_chart_and_kustomize_install_the_version_that_this_is() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |file: &str| documents(&std::fs::read_to_string(checkout(file)).unwrap()).remove(0);
    let chart = read("deploy/chart/Chart.yaml");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    assert_eq!(read("deploy/kustomization.yaml")["images"][0]["newTag"], version);
}

#[test]
fn without_a_cluster_the_databases_are_kube_ovns_services() {
    let documents = Helm::offline().template(&[]);
    let controller = kind(&documents, "Deployment");
    assert_eq!(variable(&controller, "OVN_NB_DB"), "tcp:[$(OVN_NB_SERVICE_HOST)]:$(OVN_NB_SERVICE_PORT)");
    assert_eq!(variable(&controller, "OVN_SB_DB"), "tcp:[$(OVN_SB_SERVICE_HOST)]:$(OVN_SB_SERVICE_PORT)");
    assert_eq!(controller["spec"]["replicas"], 2);
}

#[test]
fn addresses_that_are_given_count_more_than_what_is_found() {
    let helm = Helm::offline();
    let controller = |more: &[&str]| kind(&helm.template(&[&["--set"], more].concat()), "Deployment");
    let listed = controller(&["ovn.databaseIPs=10.0.0.1\\, fd00::1,ovn.tls=true"]);
    assert_eq!(variable(&listed, "OVN_NB_DB"), "ssl:[10.0.0.1]:6641,ssl:[fd00::1]:6641");
    assert_eq!(variable(&listed, "OVN_SB_DB"), "ssl:[10.0.0.1]:6642,ssl:[fd00::1]:6642");
    let secret = &listed["spec"]["template"]["spec"]["volumes"][0]["secret"];
    assert_eq!(secret["optional"], false, "with TLS a Pod without certificates must wait for them");
    let given = controller(&["ovn.northbound=tcp:db.example:16641"]);
    assert_eq!(variable(&given, "OVN_NB_DB"), "tcp:db.example:16641");
}

/// What an operator mistypes is refused before anything is installed, with the value's name.
#[test]
fn a_bad_value_is_refused_by_name() {
    let helm = Helm::offline();
    let cases = [
        ("controler.replicas=2", "controler"),
        ("controller.replicas=two", "/controller/replicas"),
        ("ovn.northbound=10.0.0.1", "/ovn/northbound"),
        ("ovn.databaseIPs=ovn-central", "/ovn/databaseIPs"),
        ("policy.excludeIps=never", "/policy/excludeIps"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("http.controllerPort=0", "/http/controllerPort"),
        ("speaker.extraArgs={-v}", "/speaker/extraArgs"),
        ("networkPolicy.enabled=true", "controller.hostNetwork=false"),
        ("monitoring.podMonitor.enabled=true,http.bind=localhost", "http.bind=all"),
        ("controller.hostNetwork=false,http.bind=localhost", "http.bind=all"),
    ];
    for (set, named) in cases {
        let said = helm.fails(&["template", "ovn-vip", "deploy/chart", "--set", set]);
        let plain = said.replace('.', "/");
        assert!(said.contains(named) || plain.contains(named), "{set}: {said}");
    }
}

#[test]
fn only_the_node_itself_reaches_a_page_on_localhost() {
    let documents = Helm::offline().template(&["--set", "http.bind=localhost"]);
    for workload in [kind(&documents, "Deployment"), kind(&documents, "DaemonSet")] {
        assert!(arguments(&workload).contains("--http=127.0.0.1:106"), "{}", arguments(&workload));
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["livenessProbe"]["httpGet"]["host"], "127.0.0.1");
        assert_eq!(workload["spec"]["template"]["metadata"]["annotations"], Value::Null);
    }
}

#[test]
fn it_installs_without_an_edit_follows_kube_ovn_rolls_back_and_leaves_nothing() {
    let server = with_kube_ovn(&[("ENABLE_SSL", "true"), ("OVN_DB_IPS", "10.0.0.1,10.0.0.2")]);
    let helm = Helm::on(&server);
    helm.run(&["install", "ovn-vip", "deploy/chart", "--dry-run=server"]);
    assert!(server.cluster.get(CONTROLLER).is_err(), "a dry run makes nothing");

    let said = helm.run(&["install", "ovn-vip", "deploy/chart"]);
    assert!(said.contains("ssl:[10.0.0.1]:6641,ssl:[10.0.0.2]:6641"), "{said}");
    let first = server.cluster.get(CONTROLLER).unwrap();
    assert_eq!(variable(&first, "OVN_SB_DB"), "ssl:[10.0.0.1]:6642,ssl:[10.0.0.2]:6642");
    assert!(arguments(&first).contains("--exclude-ips=enforce"));
    server.cluster.get(SPEAKER).unwrap();
    server.cluster.get(OVN_VIP).unwrap();
    server.cluster.get(POLICY).unwrap();

    // Kube-OVN got a third member and lost its TLS; the operator changes a setting.
    let moved = kube_ovn_controller(&[("ENABLE_SSL", "false"), ("OVN_DB_IPS", "10.0.0.1,10.0.0.2,10.0.0.3")]);
    server.cluster.apply(&moved.to_string());
    helm.run(&[
        "upgrade",
        "ovn-vip",
        "deploy/chart",
        "--set",
        "policy.excludeIps=warn,http.controllerPort=9001",
    ]);
    let second = server.cluster.get(CONTROLLER).unwrap();
    assert_eq!(variable(&second, "OVN_NB_DB"), "tcp:[10.0.0.1]:6641,tcp:[10.0.0.2]:6641,tcp:[10.0.0.3]:6641");
    assert!(arguments(&second).contains("--exclude-ips=warn") && arguments(&second).contains(":9001"));

    helm.run(&["rollback", "ovn-vip", "1"]);
    let third = server.cluster.get(CONTROLLER).unwrap();
    assert_eq!(third["spec"]["template"], first["spec"]["template"]);
    assert_eq!(third["spec"]["replicas"], first["spec"]["replicas"]);

    helm.run(&["uninstall", "ovn-vip"]);
    for path in [CONTROLLER, SPEAKER] {
        eventually(&format!("{path} is gone"), || holds(server.cluster.get(path).is_err(), "it is there"));
    }
    let roles = server.cluster.items("/apis/rbac.authorization.k8s.io/v1/clusterroles");
    assert!(!roles.iter().any(|role| role["metadata"]["name"].as_str().unwrap().starts_with("ovn-vip")));
}

#[test]
fn a_cluster_without_kube_ovn_is_refused_with_what_to_give() {
    let server = ApiServer::start();
    let helm = Helm::on(&server);
    let said = helm.fails(&["install", "ovn-vip", "deploy/chart"]);
    assert!(said.contains("no Deployment \"kube-ovn-controller\" in namespace \"kube-system\""), "{said}");
    assert!(said.contains("--set ovn.northbound="), "{said}");
    let given = "ovn.northbound=tcp:10.0.0.1:6641,ovn.southbound=tcp:10.0.0.1:6642";
    helm.run(&["install", "ovn-vip", "deploy/chart", "--set", given]);
}

/// Kube-OVN's other ways to say where the databases are, as its `start-controller.sh` reads them.
#[test]
fn what_kube_ovn_says_is_read_as_it_reads_it_itself() {
    let server = with_kube_ovn(&[]);
    let helm = Helm::on(&server);
    let northbound = |environment: &[(&str, &str)]| {
        server.cluster.patch(KUBE_OVN, &json!({"spec": kube_ovn_controller(environment)["spec"]}));
        let documents = documents_of(&helm, &[]);
        variable(&kind(&documents, "Deployment"), "OVN_NB_DB")
    };
    assert_eq!(northbound(&[("ENABLE_SSL", "true")]), "ssl:[$(OVN_NB_SERVICE_HOST)]:$(OVN_NB_SERVICE_PORT)");
    let remapped = [("OVN_DB_IPS", "192.0.2.7"), ("KUBE_OVN_NB_PORT", "30641")];
    assert_eq!(northbound(&remapped), "tcp:[192.0.2.7]:30641");
    let hosted = [("OVN_DB_IPS", "192.0.2.7"), ("OVN_NB_ADDR", "ssl:[192.0.2.9]:30641")];
    assert_eq!(northbound(&hosted), "ssl:[192.0.2.9]:30641");
}

/// A dry run asks the cluster, and prints what it would make.
fn documents_of(helm: &Helm, more: &[&str]) -> Vec<Value> {
    let said = helm.run(&[&["template", "ovn-vip", "deploy/chart", "--dry-run=server"], more].concat());
    documents(&said)
}

#[test]
fn as_many_controllers_as_nodes_can_run_them_but_two_at_most() {
    let server = with_kube_ovn(&[]);
    let helm = Helm::on(&server);
    let replicas = |more: &[&str]| kind(&documents_of(&helm, more), "Deployment")["spec"]["replicas"].clone();
    server.cluster.apply(&node("control", Some("node-role.kubernetes.io/control-plane")));
    server.cluster.apply(&node("gpu", Some("example.org/gpu")));
    assert_eq!(replicas(&[]), 1);
    assert_eq!(replicas(&["--set", "controller.replicas=2"]), 2);
    // Cordoned, for now.
    server.cluster.apply(&node("worker", Some("node.kubernetes.io/unschedulable")));
    assert_eq!(replicas(&[]), 2);
    server.cluster.apply(&node("another", None));
    assert_eq!(replicas(&[]), 2);
}

#[test]
fn the_server_takes_everything_that_the_chart_can_make() {
    let server = with_kube_ovn(&[("OVN_DB_IPS", "10.0.0.1")]);
    for (group, plural, kind, scope) in STRANGERS {
        let names = json!({"plural": plural, "kind": kind});
        let schema =
            json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": scope, "names": names, "versions": [version]},
        });
        server.cluster.apply(&definition.to_string());
    }
    let helm = Helm::on(&server);
    let values = helm.home.path().join("values.yaml");
    std::fs::write(&values, EVERYTHING).unwrap();
    helm.run(&["install", "ovn-vip", "deploy/chart", "--values", values.to_str().unwrap()]);

    let controller = server.cluster.get(CONTROLLER).unwrap();
    for argument in
        ["--load-balancer-class=*", "--cluster-name=blue", "--own-router-port=never", "--lease=other"]
    {
        assert!(arguments(&controller).contains(argument), "{}", arguments(&controller));
    }
    let pod = &controller["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example/ovn-vip:v1");
    assert_eq!(pod["hostNetwork"], Value::Null);
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "certificates");
    let speaker = server.cluster.get(SPEAKER).unwrap();
    assert_eq!(
        speaker["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"],
        "/var/snap/openvswitch"
    );
    assert!(arguments(&speaker).contains("--announce-every=60"));
    let rules = "/apis/monitoring.coreos.com/v1/namespaces/kube-system/prometheusrules/ovn-vip";
    assert_eq!(server.cluster.get(rules).unwrap()["spec"]["groups"][0]["name"], "ovn-vip");
    let dashboard = server.cluster.get("/api/v1/namespaces/default/configmaps/ovn-vip-dashboard").unwrap();
    let dashboard: Value = serde_json::from_str(dashboard["data"]["ovn-vip.json"].as_str().unwrap()).unwrap();
    assert_eq!(dashboard["title"], "ovn-vip");
    server.cluster.get("/apis/security.openshift.io/v1/securitycontextconstraints/ovn-vip-speaker").unwrap();
}
