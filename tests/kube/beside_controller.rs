//! Beside MetalLB's real controller: what it writes, and how long it takes. `METALLB_CONTROLLER` names the program, built
//! from its public source, and `METALLB_CRDS` the folder of its kinds (`config/crd/bases` there); without them the tests
//! here are passed over, with a word.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use hyper::Request;
use kube::Client;
use serde_json::json;

use crate::process::{Process, eventually, holds};
use crate::stage::{Stage, checkout, page};

const SERVICES: &str = "/api/v1/namespaces/bench/services";
/// Requests at a time.
const AT_ONCE: usize = 32;
/// As long as anything here takes.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Nobody wrote for so long: they are at rest.
const QUIET: Duration = Duration::from_secs(10);

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// How often the API server was asked to write, by resource and verb.
type Writes = BTreeMap<(String, String), u64>;

/// MetalLB's program and its kinds, where somebody has them.
fn metallb() -> Option<(PathBuf, PathBuf)> {
    let found = std::env::var_os("METALLB_CONTROLLER").zip(std::env::var_os("METALLB_CRDS"));
    if found.is_none() {
        println!("passed over: METALLB_CONTROLLER and METALLB_CRDS name MetalLB's controller and its kinds");
    }
    found.map(|(program, kinds)| (program.into(), kinds.into()))
}

/// A large underlay subnet in both, MetalLB's own kinds, and one pool.
fn stage(kinds: &std::path::Path) -> Stage {
    let stage = Stage::empty();
    stage.install_neighbours();
    stage.server.cluster.apply_folder(kinds);
    let example = |file: &str| std::fs::read_to_string(checkout("examples/underlay").join(file)).unwrap();
    stage.server.cluster.apply(&example("01-subnet.yaml"));
    stage.server.cluster.apply(&example("02-nodes.yaml"));
    let spec = json!({"protocol": "IPv4", "cidrBlock": "10.180.0.0/16", "gateway": "10.180.0.1",
        "excludeIps": ["10.180.0.1", "10.180.64.0..10.180.127.255"]});
    stage.server.cluster.patch("/apis/kubeovn.io/v1/subnets/underlay-subnet", &json!({"spec": spec}));
    let pool = json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": "bench", "namespace": "metallb-system"}, "spec": {"addresses": ["10.180.64.0/18"]}});
    stage.server.cluster.apply(&pool.to_string());
    // MetalLB's controller looks for its own Pod.
    let container = json!({"name": "controller", "image": "metallb"});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]},
        "metadata": {"name": "controller", "namespace": "metallb-system"}});
    stage.server.cluster.apply(&pod.to_string());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}});
    stage.server.cluster.post("/api/v1/namespaces", &namespace);
    stage
}

/// MetalLB's controller, as an administrator: what it may do is not what is asked here.
fn start_metallb(stage: &Stage, program: &std::path::Path) -> Process {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).arg("--kubeconfig").arg(stage.server.admin());
    command.args(["--namespace=metallb-system", "--webhook-mode=disabled", "--disable-cert-rotation"]);
    command.args(["--port=0", "--health-probe-port=0", "--log-level=info", "--pod-name=controller"]);
    let metallb = stage.start("metallb", &mut command);
    serves(stage);
    metallb
}

/// Waits until a first Service has its address: who gives them is ready.
fn serves(stage: &Stage) {
    stage.server.cluster.block_on(create(stage, 0));
    eventually("a first Service has an address", || holds(addresses(stage).len() == 1, "none"));
    clear(stage);
}

async fn create(stage: &Stage, number: usize) {
    let port = json!({"name": "http", "port": 80, "protocol": "TCP"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{number}")},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [port]}});
    let _ = stage.server.cluster.create(SERVICES, &service).await;
}

/// Makes so many Services; how long until the last has an address, since the first was asked for.
fn until_all_have_addresses(stage: &Stage, services: usize) -> Duration {
    let began = Instant::now();
    let all = stream::iter(0..services).map(|number| create(stage, number)).buffer_unordered(AT_ONCE).count();
    stage.server.cluster.block_on(all);
    loop {
        let with = addresses(stage).len();
        if with == services {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{with} of {services} have an address, and no more come");
        // What is asked for is large: not more often than it can be answered.
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What the API server answers that is no object, such as its own metrics.
async fn text(client: &Client, method: &str, path: &str) -> String {
    let request = Request::builder().method(method).uri(path).body(Vec::new()).unwrap();
    client.request_text(request).await.unwrap()
}

/// The addresses, each with its Service.
fn addresses(stage: &Stage) -> BTreeMap<String, String> {
    let found = stage.server.cluster.items(SERVICES).into_iter().filter_map(|service| {
        let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?.to_owned();
        Some((address, service["metadata"]["name"].as_str()?.to_owned()))
    });
    found.collect()
}

/// What the API server was asked to write so far, by resource and verb, without the Leases.
fn writes(stage: &Stage) -> Writes {
    let cluster = &stage.server.cluster;
    let text = cluster.block_on(text(&cluster.client, "GET", "/metrics"));
    let mut writes = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let (Some(resource), Some(verb)) = (label("resource"), label("verb")) else { continue };
        let is_write = matches!(&*verb, "PUT" | "PATCH" | "POST" | "DELETE" | "APPLY");
        if !is_write || matches!(&*resource, "leases" | "") {
            continue;
        }
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok()).unwrap_or_default();
        *writes.entry((resource, verb)).or_default() += count as u64;
    }
    writes
}

/// Waits until nobody writes any more; all writes until then.
fn at_rest(stage: &Stage) -> Writes {
    let began = Instant::now();
    let (mut last, mut since) = (writes(stage), Instant::now());
    while since.elapsed() < QUIET {
        assert!(began.elapsed() < PATIENCE, "somebody writes without end: {last:?}");
        std::thread::sleep(Duration::from_secs(1));
        let now = writes(stage);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// The same, once ovn-vip has patched so many Services since a count.
fn at_rest_after(stage: &Stage, before: &Writes, services: usize) -> Writes {
    let patched = || {
        let since = between(before, &writes(stage));
        of(&since, "services", "PATCH") + of(&since, "services", "APPLY")
    };
    let began = Instant::now();
    while patched() < services as u64 {
        assert!(began.elapsed() < PATIENCE, "{} of {services} conditions are written", patched());
        std::thread::sleep(Duration::from_millis(200));
    }
    at_rest(stage)
}

/// What was written between two counts.
fn between(before: &Writes, after: &Writes) -> Writes {
    let grown = after.iter().map(|(key, count)| (key.clone(), count - before.get(key).unwrap_or(&0)));
    grown.filter(|(_, count)| *count > 0).collect()
}

fn of(writes: &Writes, resource: &str, verb: &str) -> u64 {
    writes.get(&(resource.to_owned(), verb.to_owned())).copied().unwrap_or_default()
}

/// MetalLB leaves `ipMode` out, the API server puts it in, and so MetalLB's controller writes what stands there already at each
/// event of a Service, whoever caused it. That write changes nothing, and no event follows.
fn answers_at_most_once(writes: &Writes) {
    assert!(of(writes, "services", "PUT") <= of(writes, "services", "APPLY"), "{writes:?}");
}

/// MetalLB writes Services with PUT, ovn-vip with patches.
#[test]
#[ignore = "needs MetalLB's controller: hack/bench-allocate.sh"]
fn metallbs_controller_writes_nothing_for_what_we_say_on_services() {
    let Some((program, kinds)) = metallb() else { return };
    let services = number("BENCH_SERVICES", 1000);
    let stage = stage(&kinds);
    let metallb = start_metallb(&stage, &program);
    until_all_have_addresses(&stage, services);
    let allocated = at_rest(&stage);

    let mut controller =
        stage.start("controller", stage.controller_command("controller").env("OVN_VIP_LOG", "info"));
    controller.says("leading");
    let told = at_rest_after(&stage, &allocated, services);
    let beside = between(&allocated, &told);
    println!("| {services} conditions and Events of ours: all writes | {beside:?} |");
    answers_at_most_once(&beside);

    // Every condition changes.
    let closed = json!({"spec": {"enableExternalLBAddress": false}});
    stage.server.cluster.patch("/apis/kubeovn.io/v1/subnets/underlay-subnet", &closed);
    let dark = at_rest_after(&stage, &told, services);
    let changed = between(&told, &dark);
    println!("| every condition changes: all writes | {changed:?} |");
    answers_at_most_once(&changed);
    let rested = writes(&stage);
    std::thread::sleep(Duration::from_secs(30));
    let rest = between(&rested, &writes(&stage));
    println!("| 30 s at rest: all writes but Leases | {rest:?} |");
    assert_eq!(rest, BTreeMap::new());
    println!("| its pages answer | {} |", page(&mut controller, "/readyz").trim());
    drop(metallb);
}

/// Everything that was made, gone again.
fn clear(stage: &Stage) {
    let names = addresses(stage).into_values();
    let client = &stage.server.cluster.client;
    let delete = |name: String| async move { text(client, "DELETE", &format!("{SERVICES}/{name}")).await };
    stage.server.cluster.block_on(stream::iter(names).map(delete).buffer_unordered(AT_ONCE).count());
    assert!(stage.server.cluster.items(SERVICES).is_empty());
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Both give addresses to everybody, and know of each other only what they do.
#[test]
#[ignore = "needs MetalLB's controller: hack/bench-allocate.sh"]
fn beside_metallbs_controller_no_address_flips() {
    let Some((program, kinds)) = metallb() else { return };
    let services = number("BENCH_SERVICES", 200);
    let stage = stage(&kinds);
    let metallb = start_metallb(&stage, &program);
    let mut controller =
        stage.start("controller", stage.controller_command("controller").arg("--allocate=all"));
    controller.says("leading");
    let before = writes(&stage);
    until_all_have_addresses(&stage, services);
    let given = addresses(&stage);
    at_rest(&stage);
    let rested = writes(&stage);
    std::thread::sleep(Duration::from_secs(60));
    let now = writes(&stage);
    assert_eq!(addresses(&stage), given, "an address flipped");
    let (until, rest) = (between(&before, &rested), between(&rested, &now));
    println!("| {services} Services, both at once: all writes | {until:?} |");
    println!("| 60 s at rest: all writes but Leases | {rest:?} |");
    assert_eq!(rest, BTreeMap::new());
    drop(metallb);
}

/// Nobody else gives addresses: what ovn-vip writes for each, and then nothing.
#[test]
#[ignore = "takes minutes: hack/bench-allocate.sh"]
fn at_rest_nothing_is_written() {
    let Some((_, kinds)) = metallb() else { return };
    let services = number("BENCH_SERVICES", 1000);
    let stage = stage(&kinds);
    let mut controller =
        stage.start("controller", stage.controller_command("controller").arg("--allocate=all"));
    controller.says("leading");
    let before = writes(&stage);
    until_all_have_addresses(&stage, services);
    let rested = at_rest(&stage);
    println!("| {services} Services: all writes | {:?} |", between(&before, &rested));
    std::thread::sleep(Duration::from_secs(30));
    let rest = between(&rested, &writes(&stage));
    println!("| 30 s at rest: all writes but Leases | {rest:?} |");
    assert_eq!(rest, BTreeMap::new());
}

#[test]
#[ignore = "takes minutes: hack/bench-allocate.sh"]
fn addresses_for_many_services_at_once() {
    let Some((program, kinds)) = metallb() else { return };
    let (services, runs) = (number("BENCH_SERVICES", 10_000), number("BENCH_RUNS", 3));
    let stage = stage(&kinds);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let mut metallb = start_metallb(&stage, &program);
        theirs.push(until_all_have_addresses(&stage, services));
        // It still ran 30 s after SIGTERM.
        metallb.kill();
        clear(&stage);
        let mut command = stage.controller_command(&format!("run{run}"));
        let mut controller =
            stage.start("controller", command.env("OVN_VIP_LOG", "info").arg("--allocate=all"));
        controller.says("leading");
        serves(&stage);
        ours.push(until_all_have_addresses(&stage, services));
        assert_eq!(addresses(&stage).len(), services, "an address was given twice");
        controller.terminate();
        clear(&stage);
        println!("| run {run} | MetalLB {:?} | ovn-vip {:?} |", theirs[run - 1], ours[run - 1]);
    }
    let (theirs, ours) = (median(theirs), median(ours));
    println!(
        "\n| {services} Services at once, median of {runs} | MetalLB's controller | ovn-vip --allocate=all | ratio |"
    );
    println!("|---|---|---|---|");
    println!("| until the last has its address | {theirs:.1} s | {ours:.1} s | {:.1} |", theirs / ours);
}
