//! Beside kube-ovn-controller's stand-in, on a real northbound with real traffic: its native path on, off, left over; and
//! a VIP of two Services, which it takes out of its row in turns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ovn_vip::kube::marks::SERVED;
use serde_json::{Value, json};

use crate::kubernetes::Kubernetes;
use crate::lab::{Lab, Topology};
use crate::process::{eventually, holds, try_run};
use crate::stage::{NODES, Stage, VIP4, VIP6, VIPS};
use crate::traffic::pods_on;
use played::{KubeOvn, LOCAL, Release, Rows, Service, Write};

#[path = "../support/kube_ovn.rs"]
pub mod played;

const SHARED: &str = "cluster-tcp-loadbalancer";
const SWITCH: &str = "underlay-subnet";
/// The second Service on the VIPs.
const ALT: u16 = 8080;

/// A Service on the example's VIPs and pods.
pub fn service(name: &str, port: u16, cluster_ip: &str) -> Service {
    let backend = |pod: &str| {
        let address = [format!("10.180.204.1{}", &pod[1..]), format!("fd00:180:204::1{}", &pod[1..])];
        address.map(|address| (SocketAddr::new(address.parse().unwrap(), port), format!("{pod}.default")))
    };
    Service {
        name: name.to_owned(),
        cluster_ips: vec![cluster_ip.parse().unwrap()],
        vips: VIPS.map(|vip| vip.parse::<IpAddr>().unwrap()).to_vec(),
        port,
        backends: ["p11", "p12", "p21"].into_iter().flat_map(backend).collect(),
        template: false,
        chassis: BTreeMap::new(),
    }
}

pub fn played(release: Release, services: Vec<Service>) -> KubeOvn {
    KubeOvn { release, native: true, services, announcer: None }
}

/// The load balancer rows that are there.
pub fn rows(lab: &Lab) -> Rows {
    let found = lab.northbound().into_iter().filter(|(key, _)| key.starts_with("Load_Balancer "));
    let vips = |row: &Value| -> BTreeMap<String, String> {
        let pairs = row["vips"][1].as_array().unwrap().iter();
        pairs
            .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
            .collect()
    };
    found.map(|(_, row)| (row["name"].as_str().unwrap().to_owned(), vips(&row))).collect()
}

/// Each in a transaction of its own, as kube-ovn-controller does it.
pub fn execute(lab: &Lab, writes: Vec<Write>) {
    for write in writes {
        let words = match write {
            Write::Create { row, external_ids } => {
                let ids = external_ids.iter().map(|(key, value)| format!("external_ids:{key}={value}"));
                let create =
                    ["--id=@row", "create", "Load_Balancer", &format!("name=\"{row}\""), "protocol=tcp"];
                let attach = ["--", "add", "Logical_Switch", SWITCH, "load_balancer", "@row"];
                create.map(str::to_owned).into_iter().chain(ids).chain(attach.map(str::to_owned)).collect()
            }
            Write::Delete { row } => words(["destroy", "Load_Balancer", &row]),
            Write::SetOption { row, key, value } => set(&row, &format!("options:{key}={value}")),
            Write::AddVip { row, key, backends } => set(&row, &format!("vips:\"{key}\"=\"{backends}\"")),
            Write::DeleteVip { row, key } => {
                words(["remove", "Load_Balancer", &row, "vips", &format!("\"{key}\"")])
            }
            Write::Map { row, address, port } => {
                set(&row, &format!("ip_port_mappings:\"{address}\"=\"{port}\""))
            }
            Write::Mark { row, key, port: Some(port) } => {
                set(&row, &format!("external_ids:\"{LOCAL}{key}\"=\"{port}\""))
            }
            Write::Mark { row, key, port: None } => {
                words(["remove", "Load_Balancer", &row, "external_ids", &format!("\"{LOCAL}{key}\"")])
            }
            Write::SetVariable { chassis, name, value } => {
                set_variable(lab, chassis, &name, &value);
                continue;
            }
        };
        let arguments: Vec<&str> = ["nb"].into_iter().chain(words.iter().map(String::as_str)).collect();
        lab.run(&arguments);
    }
}

/// A template variable, on a chassis or on all of them. A row of them is made once, and never deleted: ovn-controller would not
/// survive that it comes back (OVN 23.03 to 26.03).
fn set_variable(lab: &Lab, chassis: Option<String>, name: &str, value: &str) {
    let all = || NODES.map(str::to_owned).to_vec();
    for chassis in chassis.map_or_else(all, |chassis| vec![chassis]) {
        let found = lab.nb(&format!("--bare --columns=_uuid find Chassis_Template_Var chassis={chassis}"));
        let set = format!("variables:{name}=\"{value}\"");
        match found.is_empty() {
            true => lab.nb(&format!("create Chassis_Template_Var chassis={chassis} {set}")),
            false => lab.nb(&format!("set Chassis_Template_Var {found} {set}")),
        };
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn set(row: &str, assignment: &str) -> Vec<String> {
    words(["set", "Load_Balancer", row, assignment])
}

/// Whether this OVN keeps local what Kube-OVN asks it to keep local.
fn prefers_local(lab: &Lab) -> bool {
    let version = lab.nb("--bare get NB_Global . options:northd_internal_version");
    lab.is_kube_ovn() && version.trim_matches('"') < "26"
}

/// Waits until exactly one row has each VIP of a Service, and that is this one.
pub fn is_in(stage: &Stage, row: &str, port: u16) {
    for vip in VIPS {
        let key = SocketAddr::new(vip.parse().unwrap(), port).to_string();
        eventually(&format!("{key} is in {row} alone"), || {
            let rows = rows(&stage.lab);
            let holders: Vec<_> = rows.iter().filter(|(_, vips)| vips.contains_key(&key)).collect();
            holds(matches!(holders[..], [(name, _)] if name == row), holders)
        });
    }
    stage.lab.sync();
}

pub fn are_announced(stage: &Stage) {
    for vip in VIPS {
        stage.becomes_announced(vip);
    }
}

pub fn is_served(stage: &Stage) {
    for vip in VIPS {
        let pods = pods_on(stage.says_announcing(vip).unwrap());
        stage.becomes_served("client", vip, pods);
    }
}

#[test]
fn what_kube_ovn_left_over_is_served_and_nothing_is_lost_from_then_on() {
    let mut stage = Stage::silent_on(&Topology::default());
    let mut kube_ovn = played(Release::V1_14, vec![service("nginx", 80, "10.96.0.10")]);
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    stage.start_controller();
    stage.start_speakers();
    // What this OVN does not keep local is nobody's, whatever Kube-OVN asks for.
    is_in(&stage, if prefers_local(&stage.lab) { SHARED } else { "default/nginx/tcp" }, 80);
    are_announced(&stage);
    is_served(&stage);

    kube_ovn.native = false;
    let mark = stage.controller().mark();
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    is_in(&stage, "default/nginx/tcp", 80);
    are_announced(&stage);
    is_served(&stage);
    // A flow that both rows made keeps the hint of the one that is gone: what is served is not doubted for it.
    let began = Instant::now();
    eventually("more than the controller's patience is over", || {
        let over = began.elapsed() > Duration::from_secs(4);
        holds(over, over)
    });
    let log = stage.controller().log();
    assert!(!log[mark..].contains("NorthdSilent"), "{log}");
    let loads = VIPS.map(|vip| stage.load(vip));
    let left = rows(&stage.lab)[SHARED].clone();
    assert_eq!(left.keys().collect::<Vec<_>>(), ["10.96.0.10:80"], "its own key stays");
    is_served(&stage);
    for load in loads {
        let sample = load.end();
        assert!(sample.failures.is_empty() && sample.ok > 10, "{sample:?}");
    }
}

/// kube-ovn-controller as the API server's events drive it: two queues, one piece of work each at a time.
struct Watching<'s> {
    stage: &'s Stage,
    kube_ovn: KubeOvn,
    seen: BTreeMap<String, String>,
    endpoints: Vec<String>,
    /// What the ServiceL2Statuses said, each time that it was something else: of each Service the nodes.
    stated: Vec<Vec<(String, String)>>,
}

fn path_of(service: &str) -> String {
    format!("/api/v1/namespaces/default/services/{service}")
}

impl<'s> Watching<'s> {
    fn start(stage: &'s Stage, kube_ovn: KubeOvn) -> Self {
        Self { stage, kube_ovn, seen: BTreeMap::new(), endpoints: Vec::new(), stated: Vec::new() }
    }

    /// Where it reads ServiceL2Statuses, each of them is an event of its Service's endpoints.
    fn reads_statuses(&mut self) {
        if self.kube_ovn.announcer.is_none() {
            return;
        }
        let stated = self.stage.kubernetes().stated();
        if self.stated.last() == Some(&stated) {
            return;
        }
        let nodes: BTreeSet<&String> = stated.iter().map(|(_, node)| node).collect();
        // "multiple announcing nodes": it does nothing, and tries again.
        if nodes.len() <= 1 {
            self.kube_ovn.announcer = Some(nodes.first().map(|node| (*node).clone()));
            self.endpoints = self.kube_ovn.services.iter().map(|service| service.name.clone()).collect();
        }
        self.stated.push(stated);
    }

    fn version(&self, service: &str) -> String {
        let object = self.stage.kubernetes().server.cluster.get(&path_of(service)).unwrap();
        object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }

    /// For so long; how often which Service was written to.
    fn works(&mut self, time: Duration) -> BTreeMap<String, usize> {
        let end = Instant::now() + time;
        let mut written = BTreeMap::new();
        while Instant::now() < end {
            for name in self.looks() {
                *written.entry(name).or_default() += 1;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        written
    }

    /// Takes up what there is to do; the Services that were written to.
    fn looks(&mut self) -> Vec<String> {
        self.reads_statuses();
        for name in std::mem::take(&mut self.endpoints) {
            let writes = self.kube_ovn.endpoints_updated(&name, &rows(&self.stage.lab));
            execute(&self.stage.lab, writes);
        }
        let names: Vec<String> = self.kube_ovn.services.iter().map(|service| service.name.clone()).collect();
        let mut written = Vec::new();
        for name in names {
            let version = self.version(&name);
            if self.seen.insert(name.clone(), version.clone()).is_none_or(|old| old == version) {
                continue;
            }
            let (writes, is_missing) = self.kube_ovn.service_updated(&name, &rows(&self.stage.lab));
            execute(&self.stage.lab, writes);
            self.endpoints.extend(is_missing.then(|| name.clone()));
            written.push(name);
        }
        written
    }

    /// Until it is told on every Service that it is served; that wakes it, too.
    fn works_until_all_is_told(&mut self) {
        eventually("each Service is told as served", || {
            self.looks();
            let served = |service: &Service| {
                let object = self.stage.kubernetes().server.cluster.get(&path_of(&service.name)).unwrap();
                let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|found| found["type"] == SERVED && found["reason"] == "Served")
            };
            holds(self.kube_ovn.services.iter().all(served), "not yet")
        });
    }
}

/// The second Service, on the same VIPs and pods.
fn add_alt(kubernetes: &Kubernetes) {
    let cluster = &kubernetes.server.cluster;
    let text =
        std::fs::read_to_string(crate::lab::repository().join("examples/underlay/03-nginx.yaml")).unwrap();
    let text = text.replace("name: nginx", "name: alt").replace("service-name: nginx", "service-name: alt");
    cluster.apply(&text.replace(": 80\n", &format!(": {ALT}\n")));
}

#[test]
fn two_services_on_one_vip_are_not_fought_over_and_each_port_is_served() {
    let mut stage = Stage::silent_on(&Topology::default());
    let services = vec![service("nginx", 80, "10.96.0.10"), service("alt", ALT, "10.96.0.11")];
    let kube_ovn = played(Release::V1_16, services);
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    let kubernetes = Kubernetes::start(&stage.lab, "underlay");
    add_alt(&kubernetes);
    stage.kubernetes = Some(kubernetes);
    stage.start_controller();
    stage.start_speakers();
    are_announced(&stage);
    let mark = {
        let mut watching = Watching::start(&stage, kube_ovn);
        watching.works_until_all_is_told();
        let mark = stage.controller.as_ref().unwrap().mark();
        let touched = json!({ "metadata": { "annotations": { "example.org/touched": "now" } } });
        stage.kubernetes().server.cluster.patch(&path_of("nginx"), &touched);
        let written = watching.works(Duration::from_secs(3));
        assert_eq!(written, BTreeMap::from([("nginx".to_owned(), 1)]), "and ours wrote to none");
        mark
    };
    let log = stage.controller.as_ref().unwrap().log();
    let writes = log[mark..].matches("writing to the northbound").count();
    // Where this OVN keeps none of it local each key that Kube-OVN writes is taken at once: two Services, two families.
    let most = if prefers_local(&stage.lab) { 4 } else { 8 };
    assert!(writes <= most, "{writes} times written after one event");
    stage.lab.sync();
    let ports: Vec<u16> = if prefers_local(&stage.lab) { vec![80, ALT] } else { ours(&stage) };
    assert!(!ports.is_empty());
    for (vip, port) in ports.iter().flat_map(|port| [(VIP4.to_owned(), port), (format!("[{VIP6}]"), port)]) {
        eventually(&format!("{vip}:{port} is served"), || {
            let mut curl = stage.lab.command_in("client", "curl");
            let (ok, said) =
                try_run(curl.args(["-gsS", "--max-time", "1", &format!("http://{vip}:{port}/")]));
            holds(ok && said.starts_with('p'), said)
        });
    }
}

/// The ports that a row of ours has: where OVN does not prefer local backends, Kube-OVN's row serves none.
fn ours(stage: &Stage) -> Vec<u16> {
    let rows = rows(&stage.lab).into_iter().filter(|(name, _)| name.ends_with("/tcp"));
    let ports = rows.flat_map(|(_, vips)| vips.into_keys()).filter(|key| key.starts_with(VIP4));
    ports.map(|key| key.parse::<SocketAddr>().unwrap().port()).collect()
}

/// The nodes' own ports are in the northbound and bound nowhere, as where kube-ovn-cni does not run. A key that Kube-OVN hands
/// to such a port is dark on every node: a speaker that lets go for it makes Kube-OVN take the mark away, and so on.
#[test]
fn a_key_that_kube_ovn_hands_to_a_port_that_is_nowhere_is_served_and_no_speaker_lets_go() {
    let mut stage = Stage::silent_on(&Topology::default());
    stage.lab.nb("ls-add join");
    for node in NODES {
        stage.lab.nb(&format!("lsp-add join node-{node}"));
    }
    let mut kube_ovn = played(Release::V1_16, vec![service("nginx", 80, "10.96.0.10")]);
    kube_ovn.announcer = Some(None);
    execute(&stage.lab, kube_ovn.start(&rows(&stage.lab)));
    stage.kubernetes = Some(Kubernetes::start(&stage.lab, "underlay"));
    stage.start_controller();
    stage.start_speakers();
    are_announced(&stage);
    let mut watching = Watching::start(&stage, kube_ovn);
    eventually("Kube-OVN has read who announces", || {
        watching.looks();
        holds(matches!(watching.kube_ovn.announcer, Some(Some(_))), &watching.stated)
    });
    let stated = watching.stated.len();
    let loads = VIPS.map(|vip| stage.load(vip));
    watching.works(Duration::from_secs(4));
    let touched = json!({ "metadata": { "annotations": { "example.org/touched": "now" } } });
    stage.kubernetes().server.cluster.patch(&path_of("nginx"), &touched);
    watching.works(Duration::from_secs(2));
    assert_eq!(watching.stated.len(), stated, "told once: {:?}", watching.stated);
    for load in loads {
        let sample = load.end();
        assert!(sample.failures.is_empty() && sample.ok > 10, "{sample:?}");
    }
    is_in(&stage, "default/nginx/tcp", 80);
}
