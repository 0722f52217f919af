//! What it costs, on a large cluster: `hack/bench-kube.sh` runs it, and says which numbers may be set.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event};
use ovn_vip::ovsdb::TablesWanted;
use serde_json::{Value, json};

use crate::process::{Process, run};
use crate::stage::{Stage, checkout, page};

const SERVICES: &str = "/api/v1/namespaces/bench/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices";
const ENDPOINTS: usize = 10;
/// Pods; each is behind several Services.
const PODS: usize = 500;
/// Requests at a time.
const AT_ONCE: usize = 16;
/// As long as anything here takes.
const PATIENCE: Duration = Duration::from_secs(900);
/// The answer to what was said stays the same for so long: that was all.
const QUIET: Duration = Duration::from_secs(5);

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn pod(number: usize) -> String {
    format!("10.180.{}.{}", 1 + number / 250, 1 + number % 250)
}

fn vip(number: usize) -> String {
    format!("10.180.{}.{}", 100 + number / 250, 1 + number % 250)
}

fn row(line: &str, value: impl std::fmt::Display) {
    println!("| {line} | {value} |");
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// A Service's endpoints; one of them is not ready in every other `turn`.
fn endpoints(number: usize, turn: usize) -> Value {
    let endpoint = |at: usize| {
        let pod_number = (number * 7 + at) % PODS;
        json!({"addresses": [pod(pod_number)], "nodeName": format!("node{}", 1 + pod_number % 3),
            "conditions": {"ready": at > 0 || turn.is_multiple_of(2)}})
    };
    (0..ENDPOINTS).map(endpoint).collect()
}

/// A large underlay subnet in both, with ports for the pods, and the Services; how long those took.
fn fill(stage: &Stage, services: usize) -> Duration {
    stage.install_neighbours();
    let example = |file: &str| std::fs::read_to_string(checkout("examples/underlay").join(file)).unwrap();
    stage.server.cluster.apply(&example("01-subnet.yaml"));
    stage.server.cluster.apply(&example("02-nodes.yaml"));
    let spec = json!({"protocol": "IPv4", "cidrBlock": "10.180.0.0/16", "gateway": "10.180.0.1",
        "excludeIps": ["10.180.0.1", "10.180.100.0..10.180.200.255"]});
    stage.server.cluster.patch("/apis/kubeovn.io/v1/subnets/underlay-subnet", &json!({"spec": spec}));
    for some in (0..PODS).collect::<Vec<_>>().chunks(100) {
        let ports = some.iter().map(|number| {
            let mac = format!("0a:00:00:01:{:02x}:{:02x}", number / 256, number % 256);
            format!(
                "lsp-add underlay-subnet b{number} -- lsp-set-addresses b{number} {mac}\\ {}",
                pod(*number)
            )
        });
        let ports: Vec<String> = ports.collect();
        stage.northbound.nb_shell(&ports.join(" -- "));
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}});
    stage.server.cluster.post("/api/v1/namespaces", &namespace);
    let began = Instant::now();
    let all = stream::iter(0..services).map(|number| create(stage, number)).buffer_unordered(AT_ONCE).count();
    stage.server.cluster.block_on(all);
    began.elapsed()
}

async fn create(stage: &Stage, number: usize) {
    let (cluster, name) = (&stage.server.cluster, format!("s{number}"));
    let port = json!({"name": "http", "port": 80, "protocol": "TCP"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [port]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "endpoints": endpoints(number, 0), "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    let _ = cluster.create(SERVICES, &service).await;
    let _ = cluster.create(SLICES, &slice).await;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": vip(number)}]}}});
    cluster.merge(&format!("{SERVICES}/{name}/status"), &status).await;
}

/// A run to convergence: how long the whole process took, and the last line that it said.
fn once(stage: &Stage) -> (Duration, String) {
    let mut command = stage.controller_command("once");
    let began = Instant::now();
    let said = run(command.env("OVN_VIP_LOG", "warn").args(["--once", "--timeout", "600"]));
    (began.elapsed(), said.lines().last().unwrap().to_owned())
}

fn metric(controller: &mut Process, series: &str) -> f64 {
    let text = page(controller, "/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_default()
}

fn memory(controller: &Process) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", controller.pid())).unwrap();
    let field = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    format!("{:.1} MiB (at most {:.1})", field("VmRSS:"), field("VmHWM:"))
}

/// Waits until it has said everything on the objects; how long that took, and how much it was.
fn all_said(controller: &mut Process, began: Instant) -> (Duration, f64) {
    let series = r#"ovn_vip_status_writes_total{outcome="done"}"#;
    let (mut last, mut since) = (0.0, Instant::now());
    while last == 0.0 || since.elapsed() < QUIET {
        assert!(began.elapsed() < PATIENCE, "{last} things were said, and no end");
        std::thread::sleep(Duration::from_millis(500));
        let said = metric(controller, series);
        if said > last {
            (last, since) = (said, Instant::now());
        }
    }
    (since - began, last)
}

/// A second client of the northbound.
struct Follower(Client);

impl Follower {
    async fn open(address: &str) -> Self {
        let tables = TablesWanted::new().require("Load_Balancer", &["name", "vips"]);
        let endpoints = Endpoint::parse_list(address).unwrap();
        let mut client = Client::new(ClientConfig::new(endpoints, "OVN_Northbound", tables));
        while !client.is_synced() {
            client.next_event().await;
        }
        Self(client)
    }

    /// Returns when so many rows were seen to change; when the last did.
    async fn sees(&mut self, count: usize) -> Instant {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < count {
            if let Event::Changed(changes) = self.0.next_event().await {
                seen.extend(changes.iter().map(|change| change.uuid));
            }
        }
        Instant::now()
    }
}

async fn change(stage: &Stage, number: usize, turn: usize) {
    let path = format!("{SLICES}/s{number}");
    stage.server.cluster.merge(&path, &json!({"endpoints": endpoints(number, turn)})).await;
}

/// One change after the other: from sending it, and from its answer, until the northbound has it.
fn changes(stage: &Stage, follower: &mut Follower, services: usize) {
    let (mut from_sent, mut from_answer) = (Vec::new(), Vec::new());
    for turn in 0..number("BENCH_CHANGES", 300) {
        let number = turn * 13 % services;
        let sent = Instant::now();
        let answered = async {
            change(stage, number, 1).await;
            Instant::now()
        };
        let both = async {
            tokio::time::timeout(PATIENCE, async { tokio::join!(answered, follower.sees(1)) }).await
        };
        let (answered, seen) = stage.server.cluster.block_on(both).expect("the change arrives");
        from_sent.push(seen - sent);
        from_answer.push(seen.saturating_duration_since(answered));
    }
    for (what, mut times) in [("request", from_sent), ("answer", from_answer)] {
        times.sort_unstable();
        let at = |percent: usize| milliseconds(times[(times.len() - 1) * percent / 100]);
        let value = format!("p50 {}, p99 {}, at most {}", at(50), at(99), at(100));
        row(&format!("one endpoint changes: from the {what} to the northbound, N = {}", times.len()), value);
    }
}

/// Many changes at once.
fn burst(stage: &Stage, follower: &mut Follower, controller: &mut Process, services: usize) {
    let count = number("BENCH_BURST", 1000).min(services);
    // Those that were changed before are changed back.
    let changed: std::collections::BTreeSet<usize> =
        (0..number("BENCH_CHANGES", 300)).map(|turn| turn * 13 % services).collect();
    let series = r#"ovn_vip_northbound_transactions_total{outcome="committed"}"#;
    let before = metric(controller, series);
    let sent = Instant::now();
    let answered = async {
        let one = |number| change(stage, number, if changed.contains(&number) { 0 } else { 1 });
        stream::iter(0..count).map(one).buffer_unordered(AT_ONCE * 4).count().await;
        Instant::now()
    };
    let both = async {
        tokio::time::timeout(PATIENCE, async { tokio::join!(answered, follower.sees(count)) }).await
    };
    let (answered, seen) = stage.server.cluster.block_on(both).expect("all changes arrive");
    row(
        &format!("{count} endpoint changes at once: until the API server took the last"),
        milliseconds(answered - sent),
    );
    row("… until the northbound has all of them", milliseconds(seen - sent));
    row("… after the last answer", milliseconds(seen.saturating_duration_since(answered)));
    row("… transactions", metric(controller, series) - before);
}

#[test]
#[ignore = "takes minutes: hack/bench-kube.sh"]
fn numbers() {
    let services = number("BENCH_SERVICES", 5000);
    let stage = Stage::empty();
    let filling = fill(&stage, services);
    println!("\n| {services} Services, {ENDPOINTS} endpoints each | |\n|---|---|");
    row("making them in the API server", milliseconds(filling));
    let (took, said) = once(&stage);
    row("cold start of the controller to converged", format!("{} ({said})", milliseconds(took)));
    let (took, said) = once(&stage);
    row("second start", format!("{} ({said})", milliseconds(took)));

    let began = Instant::now();
    let mut command = stage.controller_command("controller");
    let mut controller = stage.start("controller", command.env("OVN_VIP_LOG", "info"));
    controller.says("leading");
    while page(&mut controller, "/readyz") != "ready\n" {
        std::thread::sleep(Duration::from_millis(50));
    }
    row("start of a replica to ready", milliseconds(began.elapsed()));
    row("its memory", memory(&controller));
    let (took, count) = all_said(&mut controller, began);
    row(&format!("{count} conditions and Events written, until the last"), milliseconds(took));

    let mut follower = stage.server.cluster.block_on(Follower::open(stage.northbound.address()));
    changes(&stage, &mut follower, services);
    burst(&stage, &mut follower, &mut controller, services);
    row("memory of the controller after all of it", memory(&controller));
}
