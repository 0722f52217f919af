//! A lab with everything of ours running on it: a cluster folder, a controller, a speaker on each node.

use std::collections::BTreeMap;
use std::process::Command;

use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::kubernetes::Kubernetes;
use crate::lab::{Lab, Topology};
use crate::privileges::Privileges;
use crate::process::{Process, eventually, holds, run};

/// The examples' VIP, in both families.
pub const VIP4: &str = "10.180.204.252";
pub const VIP6: &str = "fd00:180:204::252";
pub const VIPS: [&str; 2] = [VIP4, VIP6];

pub const NODES: [&str; 3] = ["node1", "node2", "node3"];

fn example(topology: &Topology) -> &'static str {
    if topology.vlan == 0 { "underlay" } else { "underlay-vlan341" }
}

/// Of the two nodes with backends the other one.
pub fn other(node: &str) -> &'static str {
    if node == "node1" { "node2" } else { "node1" }
}

/// Everything, dropped in this order: the processes before the namespaces that they are in.
pub struct Stage {
    pub controller: Option<Process>,
    pub speakers: BTreeMap<&'static str, Process>,
    /// In its place the folder, where there is none.
    pub kubernetes: Option<Kubernetes>,
    pub cluster: Cluster,
    pub lab: Lab,
    pub folder: TempDir,
    /// Whether speakers beat where there is a folder. Where they do not the rank alone says who announces, which a test can
    /// foretell; with an API server they always do.
    pub beats: bool,
}

impl Stage {
    /// All of it, untagged, serving.
    pub fn serving() -> Self {
        Self::serving_on(&Topology::default())
    }

    /// All of it, serving.
    pub fn serving_on(topology: &Topology) -> Self {
        let mut stage = Self::silent_on(topology);
        stage.start_controller();
        stage.start_speakers();
        for vip in VIPS {
            let node = stage.becomes_announced(vip);
            // The last rule that an announcement brings.
            eventually(&format!("{vip} answers ping"), || {
                let rules = stage.lab.rules(node);
                let is_answer = |rule: &String| rule.contains(vip) && rule.contains("icmp_code=0");
                holds(rules.iter().any(is_answer), &rules)
            });
        }
        stage
    }

    /// Waits until a speaker says that it announces the VIP; which.
    pub fn becomes_announced(&self, vip: &str) -> &'static str {
        eventually(&format!("{vip} is announced"), || self.says_announcing(vip).ok_or("by nobody".into()))
    }

    /// The node that is to announce a VIP of `underlay-subnet`, by MetalLB's order: of those with a backend, node1 and node2.
    pub fn elected_for(&self, vip: &str) -> &'static str {
        let vip = vip.parse().unwrap();
        let nodes = ["node1", "node2"];
        nodes.into_iter().min_by_key(|node| ovn_vip::plan::rank(&(*node).into(), vip)).unwrap()
    }

    /// A lab and a cluster; nothing of ours runs.
    pub fn silent_on(topology: &Topology) -> Self {
        let lab = Lab::up(topology);
        let cluster = Cluster::copy_of(example(topology));
        let folder = tempfile::tempdir().unwrap();
        Self {
            controller: None,
            speakers: BTreeMap::new(),
            kubernetes: None,
            cluster,
            lab,
            folder,
            beats: false,
        }
    }

    /// The same with a real API server, and the controller's rows written.
    pub fn balanced_in_kubernetes(topology: &Topology) -> Self {
        let mut stage = Self::silent_on(topology);
        stage.kubernetes = Some(Kubernetes::start(&stage.lab, example(topology)));
        stage.start_controller();
        stage
    }

    pub fn kubernetes(&self) -> &Kubernetes {
        self.kubernetes.as_ref().expect("there is an API server")
    }

    /// The options that say where the cluster's objects are.
    fn source(&self, component: &str) -> [String; 2] {
        let folder = || ["--cluster-dir".into(), self.cluster.path().display().to_string()];
        self.kubernetes.as_ref().map_or_else(folder, |kubernetes| kubernetes.options(component))
    }

    /// `ovn-vip controller` on this lab.
    pub fn controller_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-vip"));
        command.args(["controller", "--log=debug", "--lease-namespace=kube-system"]);
        command.args(self.source("controller"));
        command.args(["--ovn-nb", self.lab.variable("LAB_NB"), "--ovn-sb", self.lab.variable("LAB_SB")]);
        command
    }

    /// Returns when every node has what it wrote.
    pub fn start_controller(&mut self) {
        let mut controller = Process::start("controller", &mut self.controller_command(), self.folder.path());
        controller.says("the northbound has it");
        self.controller = Some(controller);
        self.lab.sync();
    }

    /// Returns when it has looked at everything; it is to write nothing.
    pub fn start_controller_over_what_is_there(&mut self) {
        let mut command = self.controller_command();
        let mut controller = Process::start("controller-again", &mut command, self.folder.path());
        controller.says("the northbound's replica is level");
        self.controller = Some(controller);
    }

    pub fn start_speakers(&mut self) {
        NODES.into_iter().for_each(|node| self.start_speaker(node));
    }

    /// As its DaemonSet starts it: with that user and those capabilities, no more.
    pub fn start_speaker(&mut self, node: &'static str) {
        self.start_speaker_without(node, "");
    }

    /// As [`Stage::start_speaker`], without a capability, as `setpriv` names it.
    pub fn start_speaker_without(&mut self, node: &'static str, capability: &str) {
        let mut command = self.lab.command_in(node, "setpriv");
        command.args(Privileges::of_the_speaker().without(capability).options());
        command.arg(env!("CARGO_BIN_EXE_ovn-vip"));
        self.start_speaker_by(node, command);
    }

    fn start_speaker_by(&mut self, node: &'static str, mut command: Command) {
        command.args(["speaker", "--log=ovn_vip=debug", "--node", node]).args(self.source("speaker"));
        command.args(["--http", "127.0.0.1:10686", "--restart-patience=2"]);
        if self.kubernetes.is_none() && !self.beats {
            command.arg("--liveness=off");
        }
        command.args(["--ovs", self.lab.variable(&format!("LAB_{}_DB", node.to_uppercase()))]);
        let name = format!("speaker-{node}");
        self.speakers.insert(node, Process::start(&name, &mut command, self.folder.path()));
    }

    /// What `ovn-vip status` says on a node, as a table.
    pub fn status(&self, node: &str) -> String {
        run(self.lab.command_in(node, env!("CARGO_BIN_EXE_ovn-vip")).arg("status"))
    }

    pub fn controller(&mut self) -> &mut Process {
        self.controller.as_mut().expect("the controller was started")
    }

    pub fn speaker(&mut self, node: &str) -> &mut Process {
        self.speakers.get_mut(node).expect("the speaker was started")
    }

    /// The node whose speaker says last that it announces this VIP, and has not said since that it withdrew it.
    pub fn says_announcing(&self, vip: &str) -> Option<&'static str> {
        let announcing = |speaker: &Process| {
            let log = speaker.log();
            let last = |words: String| log.rfind(&words);
            last(format!("announcing vip={vip} ")) > last(format!("withdrawn vip={vip} "))
        };
        self.speakers.iter().find(|(_, speaker)| announcing(speaker)).map(|(node, _)| *node)
    }

    /// The node that a host on the wire has learnt for this VIP.
    pub fn learnt(&self, namespace: &str, vip: &str) -> Option<String> {
        let entry = self.lab.run_in(namespace, &format!("ip neigh show {vip} dev eth0"));
        let mac = entry.split_once("lladdr ")?.1.split_whitespace().next()?.to_owned();
        mac.strip_prefix("02:00:00:00:00:0").map(|node| format!("node{node}"))
    }

    /// Waits until a host on the wire has learnt that node for the VIP.
    pub fn learns(&self, namespace: &str, vip: &str, node: &str) {
        eventually(&format!("{namespace} learns that {vip} is at {node}"), || {
            let learnt = self.learnt(namespace, vip);
            holds(learnt.as_deref() == Some(node), learnt)
        });
    }

    /// Makes a host on the wire ask anew.
    pub fn forget(&self, namespace: &str, vip: &str) {
        self.lab.run_in(namespace, &format!("ip neigh flush to {vip} dev eth0"));
    }

    /// Our row of a Service and protocol, by its name: one column of it.
    pub fn row(&self, name: &str, column: &str) -> String {
        self.lab.nb(&format!("--bare --columns={column} find Load_Balancer name={name}"))
    }
}
