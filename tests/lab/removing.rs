//! Everything of ours is taken out as docs/operate.md says, by what the Pods of `deploy/remove` run, and nothing of others.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::lab::{Topology, repository};
use crate::privileges::Privileges;
use crate::process::{Process, eventually, holds, run, try_run};
use crate::stage::{NODES, Stage, VIP4};

const SUBNET: &str = "/apis/kubeovn.io/v1/subnets/underlay-subnet";
const NGINX: &str = "/api/v1/namespaces/default/services/nginx";
const LEASES: [&str; 2] = [
    "/apis/coordination.k8s.io/v1/namespaces/ovn-vip/leases",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
];
/// Where rows of ours are.
const TABLES: [&str; 6] = [
    "Load_Balancer",
    "Load_Balancer_Group",
    "ACL",
    "Logical_Router",
    "Logical_Router_Port",
    "Logical_Switch_Port",
];

/// What the container of a manifest in `deploy/remove` is started with; its page is on a port of its own choice.
fn arguments(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("deploy/remove").join(manifest)).unwrap();
    let workload = text.split("\n---\n").find(|document| document.contains("containers:")).unwrap();
    let workload: Value = serde_saphyr::from_str(workload).unwrap();
    let arguments = workload["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let arguments = arguments.iter().map(|word| word.as_str().unwrap().to_owned());
    arguments
        .map(|word| if word.starts_with("--http=") { "--http=127.0.0.1:0".to_owned() } else { word })
        .collect()
}

/// A Pod of `deploy/remove` on a node, with the privileges that it has there.
fn on_node(stage: &Stage, node: &str, arguments: &[String]) -> Command {
    let mut command = stage.lab.command_in(node, "setpriv");
    command.args(Privileges::of_the_speaker().options()).arg(env!("CARGO_BIN_EXE_ovn-vip")).args(arguments);
    command.args(["--ovs", stage.lab.variable(&format!("LAB_{}_DB", node.to_uppercase()))]);
    command
}

fn in_cluster(stage: &Stage, arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
    command.args(arguments).args(stage.kubernetes().options("controller"));
    command.args(["--ovn-nb", stage.lab.variable("LAB_NB")]);
    command
}

/// Every row of these tables that has a word of ours on it.
fn rows_of_ours(stage: &Stage) -> Vec<String> {
    let rows = TABLES.iter().flat_map(|table| {
        let listed = stage.lab.nb(&format!("--format=csv --no-headings list {table}"));
        listed.lines().map(|row| format!("{table} {row}")).collect::<Vec<_>>()
    });
    rows.filter(|row| row.contains("ovn-vip")).collect()
}

/// What of ours stands on objects of the cluster.
fn words_of_ours(stage: &Stage) -> Vec<String> {
    let cluster = &stage.kubernetes().server.cluster;
    let mut words = Vec::new();
    let subnet = cluster.get(SUBNET).unwrap();
    let annotations = subnet["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    words.extend(annotations.keys().filter(|name| name.starts_with("ovn-vip.io/")).cloned());
    for service in cluster.items("/api/v1/services") {
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        words.extend(
            conditions.iter().map(|it| it["type"].to_string()).filter(|it| it.contains("ovn-vip.io/")),
        );
    }
    let leases = LEASES.into_iter().flat_map(|path| cluster.items(path));
    let leases = leases.map(|lease| lease["metadata"]["name"].as_str().unwrap().to_owned());
    words.extend(leases.filter(|name| !name.starts_with("apiserver-")));
    words.extend(
        stage.kubernetes().stated().into_iter().map(|(service, node)| format!("{service} at {node}")),
    );
    words
}

/// A neighbour of each kind.
fn put_neighbours(stage: &Stage) {
    stage.lab.nb("lb-add others 10.180.204.77:80 10.180.204.111:80");
    stage.lab.nb("ls-lb-add underlay-subnet others");
    stage.lab.nb("acl-add underlay-subnet to-lport 900 ip4 allow-related");
    for node in NODES {
        let rule = "cookie=0x1234,priority=77,tcp,nw_dst=10.180.204.77 actions=drop";
        stage.lab.run(&["of", node, "add-flow", "br-provider", rule]);
    }
    let cluster = &stage.kubernetes().server.cluster;
    let theirs = json!({"type": "example.com/Theirs", "status": "True", "reason": "R", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    cluster.patch(&format!("{NGINX}/status"), &json!({"status": {"conditions": [theirs]}}));
    cluster.patch(SUBNET, &json!({"metadata": {"annotations": {"example.com/theirs": "yes"}}}));
}

fn neighbours_are_there(stage: &Stage) {
    assert!(stage.lab.nb("ls-lb-list underlay-subnet").contains("10.180.204.77:80"));
    assert!(stage.lab.nb("acl-list underlay-subnet").contains("900"));
    for node in NODES {
        let flows = stage.lab.run(&["of", node, "--no-stats", "dump-flows", "br-provider"]);
        assert!(flows.contains("cookie=0x1234"), "{flows}");
        assert!(flows.contains("actions=NORMAL"), "the bridge's own rule: {flows}");
    }
    let cluster = &stage.kubernetes().server.cluster;
    let nginx = cluster.get(NGINX).unwrap();
    assert!(nginx["status"]["conditions"].to_string().contains("example.com/Theirs"));
    assert_eq!(cluster.get(SUBNET).unwrap()["metadata"]["annotations"]["example.com/theirs"], "yes");
}

/// Without --yes it is said, and nothing is done.
fn without_yes_it_is_only_said(stage: &Stage) {
    let unsaid: Vec<String> = ["remove", "--node-rules"].map(str::to_owned).into();
    let (ok, said) = try_run(&mut on_node(stage, "node1", &unsaid));
    assert!(!ok && said.contains("bridge br-provider: ") && said.contains("say --yes"), "{said}");
    let unsaid: Vec<String> = ["remove", "--objects"].map(str::to_owned).into();
    let (ok, said) = try_run(&mut in_cluster(stage, &unsaid));
    for words in ["Subnet underlay-subnet: ", "Lease ovn-vip/speaker.node1", "ServiceL2Status", "say --yes"] {
        assert!(!ok && said.contains(words), "{words}: {said}");
    }
    assert!(!rows_of_ours(stage).is_empty() && !words_of_ours(stage).is_empty());
    assert!(!stage.lab.rules("node1").is_empty());
}

/// `kubectl rollout status`, of one Pod.
fn becomes_ready(stage: &Stage, pod: &mut Process, place: &str) {
    pod.says("serving /healthz and /readyz");
    let log = pod.log();
    let address = log.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = format!("http://{address}/readyz");
    eventually("it is ready", || {
        let mut curl = match place {
            "central" => Command::new("curl"),
            node => stage.lab.command_in(node, "curl"),
        };
        let (ok, said) = try_run(curl.args(["-sSf", "--max-time", "5", &page]));
        holds(ok, said)
    });
}

#[test]
fn nothing_of_ours_is_left_and_everything_of_others() {
    let mut stage = Stage::balanced_in_kubernetes(&Topology::default());
    stage.start_speakers();
    put_neighbours(&stage);
    let ranges = json!({"spec": {"loadBalancerSourceRanges": ["10.180.204.0/24", "fd00:180:204::/64"]}});
    stage.kubernetes().server.cluster.patch(NGINX, &ranges);
    stage.becomes_announced(VIP4);
    eventually("there is something of every kind to remove", || {
        let (rows, words) = (rows_of_ours(&stage), words_of_ours(&stage));
        let kinds =
            ["ovn-vip.io/vips", "ovn-vip.io/Served", "speaker.node3", "ovn-vip-controller", "nginx at"];
        let are_said = kinds.iter().all(|kind| words.iter().any(|word| word.contains(kind)));
        let are_rules = NODES[..2].iter().all(|node| !stage.lab.rules(node).is_empty());
        holds(are_said && are_rules && rows.iter().any(|row| row.starts_with("ACL")), (rows, words))
    });

    // `kubectl apply -k deploy/remove`: first the old Pods end, then the new ones begin.
    let rbac = fs::read_to_string(repository().join("deploy/remove/rbac.yaml")).unwrap();
    stage.kubernetes().server.cluster.apply(&rbac);
    stage.speakers.clear();
    stage.controller = None;

    without_yes_it_is_only_said(&stage);
    let folder = stage.folder.path().to_owned();
    let start =
        |name: &str, mut command: Command| Process::start(&format!("remove-{name}"), &mut command, &folder);
    let speaker = arguments("speaker.yaml");
    let mut pods: Vec<Process> =
        NODES.iter().map(|node| start(node, on_node(&stage, node, &speaker))).collect();
    pods.push(start("cluster", in_cluster(&stage, &arguments("controller.yaml"))));
    for (pod, place) in pods.iter_mut().zip(NODES.into_iter().chain(["central"])) {
        becomes_ready(&stage, pod, place);
    }

    assert_eq!(rows_of_ours(&stage), Vec::<String>::new());
    assert_eq!(words_of_ours(&stage), Vec::<String>::new());
    for node in NODES {
        assert!(stage.lab.rules(node).is_empty(), "{node}");
    }
    neighbours_are_there(&stage);
    // Once more: there is nothing to do.
    let again = run(&mut in_cluster(&stage, &["remove", "--objects"].map(str::to_owned)));
    assert!(again.contains("there is no row of cluster kubernetes, none of any"), "{again}");
    for pod in &mut pods {
        assert!(pod.terminate().success());
    }
}
