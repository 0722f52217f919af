//! What an operator can set: the command line, with the environment behind it.

mod explain;
mod offline;
mod package;
mod remove;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::io::cluster::Source;
use crate::io::kube::connect::KubeTarget;
use crate::io::ovsdb_client::{TlsConfig, Verify};
use crate::l2::OnConflict;
use crate::l2::beat::State;
use crate::node::{Cadence, Manner, Probe};
use crate::plan::{ClassRule, ExcludeIps, Policy};

use explain::EXPLAIN_EXAMPLES;
pub use explain::ExplainArgs;
pub use offline::{
    AssumedOvn, CheckArgs, ImportArgs, ImportSource, NorthboundArgs, ObjectsArgs, Output, PlanArgs,
    StatusArgs,
};
use offline::{CHECK_EXAMPLES, IMPORT_EXAMPLES, PLAN_EXAMPLES, STATUS_EXAMPLES};
use package::COMPLETIONS_EXAMPLES;
pub use package::{CompletionsArgs, ManArgs, VersionArgs};
use remove::REMOVE_EXAMPLES;
pub use remove::RemoveArgs;

/// Makes MetalLB VIPs work on Kube-OVN underlay subnets.
///
/// A Service of type LoadBalancer gets its VIP from MetalLB, inside the VLAN of its pods. `controller` programs the
/// OVN northbound so that the VIP is translated to pods of the node that answers for it; `speaker`, one on each node,
/// steers the VIP's frames into OVN and answers ARP and neighbour discovery for it. The client's address survives.
#[derive(Debug, Parser)]
#[command(name = "ovn-vip", version, max_term_width = 100)]
pub struct CommandLine {
    /// What to run.
    #[command(subcommand)]
    pub command: Command,
    /// How much to say: a tracing filter, such as info, debug, or ovn_vip::ovsdb=trace.
    #[arg(long, global = true, env = "OVN_VIP_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How log lines look.
    #[arg(long, global = true, env = "OVN_VIP_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to run.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Command {
    /// Program the OVN northbound: one load balancer row per Service and protocol.
    Controller(ControllerArgs),
    /// Steer and answer for VIPs on this node.
    Speaker(SpeakerArgs),
    /// Say what would change in the northbound, and why. Nothing is written.
    #[command(after_long_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Say what is wrong with a cluster's objects, and what to do about it.
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Ask speakers which VIPs their nodes announce, since when, and what the others wait for.
    #[command(after_long_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Follow one Service's or VIP's way, step by step, to the first thing that is wrong with it.
    #[command(after_long_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Take every row of ours out of the northbound: says which, and does it with --yes.
    #[command(after_long_help = REMOVE_EXAMPLES)]
    Remove(RemoveArgs),
    /// Print the configuration of another load balancer as MetalLB's objects. Nothing is written.
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Print which version this is.
    Version(VersionArgs),
    /// Print a script that completes this command line in a shell.
    #[command(after_long_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Write a manual page for each command into a folder.
    #[command(hide = true)]
    Man(ManArgs),
}

/// Where the cluster's objects come from.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// A folder of manifests (Service, EndpointSlice, Node, Subnet, Vlan, ProviderNetwork), as `kubectl get -o yaml`
    /// prints them; followed when it changes. Without it the cluster is Kubernetes: the one that this Pod runs in, or
    /// the one of the kubeconfig.
    #[arg(long, env = "OVN_VIP_CLUSTER_DIR", value_name = "DIR", conflicts_with_all = ["kubeconfig", "kube_context"])]
    pub cluster_dir: Option<PathBuf>,
    /// The kubeconfig of the cluster; by default KUBECONFIG, else ~/.kube/config, else the Pod's ServiceAccount.
    #[arg(long, env = "OVN_VIP_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; the current one by default.
    #[arg(long, env = "OVN_VIP_KUBE_CONTEXT", value_name = "NAME")]
    pub kube_context: Option<String>,
    /// Where to serve /healthz, /readyz, /metrics and a speaker's /status: ADDR:PORT, or :PORT for every address. Nowhere by default.
    #[arg(long, env = "OVN_VIP_HTTP", value_name = "ADDR")]
    pub http: Option<String>,
    /// A file with a token: who shows it as `Authorization: Bearer` may read /status from anywhere. Without it /status is
    /// answered over the loopback interface only.
    #[arg(long, env = "OVN_VIP_STATUS_TOKEN_FILE", value_name = "FILE", requires = "http")]
    pub status_token_file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: PolicyArgs,
}

/// What changes decisions. The controller and all speakers must agree on it.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// What to do with a VIP that Kube-OVN could hand to a pod, because its Subnet's excludeIps does not cover it.
    /// The Subnet's annotation ovn-vip.io/exclude-ips counts more.
    #[arg(long, env = "OVN_VIP_EXCLUDE_IPS", default_value = "enforce", value_name = "POLICY")]
    pub exclude_ips: ExcludeIpsArg,
    /// Serve Services of this spec.loadBalancerClass only, or, with '*', of any; by default those without one, as
    /// MetalLB does. Give what MetalLB's --lb-class has.
    #[arg(long, env = "OVN_VIP_LOAD_BALANCER_CLASS", value_name = "CLASS")]
    pub load_balancer_class: Option<String>,
}

/// `--exclude-ips`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExcludeIpsArg {
    /// Refuse the VIP.
    Enforce,
    /// Serve it all the same, and say so.
    Warn,
    /// Refuse the VIP until the Subnet covers it, and add what is missing to the Subnet's excludeIps.
    Fix,
}

impl ClusterArgs {
    /// Where the objects come from.
    pub fn source(&self) -> Source {
        match &self.cluster_dir {
            Some(dir) => Source::Folder(dir.clone()),
            None => Source::Kube(KubeTarget {
                kubeconfig: self.kubeconfig.clone(),
                context: self.kube_context.clone(),
            }),
        }
    }

    /// The settings that change decisions.
    pub fn policy(&self) -> Policy {
        self.policy.policy()
    }
}

impl PolicyArgs {
    /// The settings as decisions take them.
    pub fn policy(&self) -> Policy {
        let exclude_ips = match self.exclude_ips {
            ExcludeIpsArg::Enforce => ExcludeIps::Enforce,
            ExcludeIpsArg::Warn => ExcludeIps::Warn,
            ExcludeIpsArg::Fix => ExcludeIps::Fix,
        };
        let load_balancer_class = match self.load_balancer_class.as_deref() {
            None | Some("") => ClassRule::Classless,
            Some("*") => ClassRule::Any,
            Some(class) => ClassRule::Only(class.into()),
        };
        Policy { exclude_ips, load_balancer_class }
    }
}

/// `ovn-vip controller`.
#[derive(Clone, Debug, Args)]
pub struct ControllerArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cluster: ClusterArgs,
    /// The OVN northbound: unix:PATH, tcp:HOST:PORT, or a comma list of a cluster's members. Without it Kube-OVN's
    /// OVN_DB_IPS is used.
    #[arg(long, env = "OVN_NB_DB", value_name = "ADDR")]
    pub ovn_nb: Option<String>,
    /// The OVN southbound, likewise: tells which chassis a backend's port is bound to, so that a backend that moves
    /// (a VM's live migration) is followed.
    #[arg(long, env = "OVN_SB_DB", value_name = "ADDR")]
    pub ovn_sb: Option<String>,
    /// Kube-OVN's own list of database addresses, without ports; used where --ovn-nb is not given.
    #[arg(long, env = "OVN_DB_IPS", value_name = "IPS", hide = true)]
    pub ovn_db_ips: Option<String>,
    /// Kube-OVN's own switch for TLS to the databases.
    #[arg(long, env = "ENABLE_SSL", value_name = "BOOL", hide = true)]
    pub enable_ssl: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tls: OvnTlsArgs,
    /// Whether several replicas choose one that writes, by a Lease. A folder of manifests has no Lease, and --once
    /// asks for none.
    #[arg(long, env = "OVN_VIP_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub leader_election: bool,
    /// The Lease's name.
    #[arg(long, env = "OVN_VIP_LEASE", default_value = "ovn-vip-controller", value_name = "NAME")]
    pub lease: String,
    /// The Lease's namespace; by default the Pod's own, or the kubeconfig's.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// What this replica is called in the Lease.
    #[arg(long, env = "POD_NAME", default_value = "ovn-vip", value_name = "NAME")]
    pub pod_name: String,
    /// The cluster's name in the northbound: it marks our rows, and makes their names. Never change it on a running
    /// cluster.
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = remove::cluster_name)]
    pub cluster_name: String,
    /// Whether a switch of a plain upstream OVN gets a router port of ours, which such an OVN needs.
    #[arg(long, env = "OVN_VIP_OWN_ROUTER_PORT", default_value = "auto", value_name = "WHERE")]
    pub own_router_port: OwnRouterPort,
    /// Write what is missing, print it, and exit: 0 when the northbound is as it should be, 1 when it could not be
    /// made so.
    #[arg(long)]
    pub once: bool,
    /// How long --once may take.
    #[arg(long, default_value = "30", value_name = "SECONDS")]
    pub timeout: u64,
}

impl ControllerArgs {
    /// The addresses of northbound and southbound: what was given, else Kube-OVN's own list with its ports.
    pub fn databases(&self) -> Result<(String, Option<String>), NoNorthbound> {
        let listed = |port| remove::listed(self.ovn_db_ips.as_deref(), self.enable_ssl.as_deref(), port);
        let northbound = self.ovn_nb.clone().or_else(|| listed(6641)).ok_or(NoNorthbound)?;
        Ok((northbound, self.ovn_sb.clone().or_else(|| listed(6642))))
    }
}

/// The certificates for `ssl:` addresses. Kube-OVN's Pods have theirs in the same place.
#[derive(Clone, Debug, Args)]
pub struct OvnTlsArgs {
    /// The CA that signed the databases' certificates. The chain is verified, no host name: OVN's certificates carry
    /// none.
    #[arg(long, env = "OVN_VIP_OVN_TLS_CA", default_value = "/var/run/tls/cacert", value_name = "FILE")]
    pub ovn_tls_ca: PathBuf,
    /// Our certificate.
    #[arg(long, env = "OVN_VIP_OVN_TLS_CERT", default_value = "/var/run/tls/cert", value_name = "FILE")]
    pub ovn_tls_cert: PathBuf,
    /// Our key.
    #[arg(long, env = "OVN_VIP_OVN_TLS_KEY", default_value = "/var/run/tls/key", value_name = "FILE")]
    pub ovn_tls_key: PathBuf,
}

impl OvnTlsArgs {
    /// For the client.
    pub fn config(&self) -> TlsConfig {
        let Self { ovn_tls_ca, ovn_tls_cert, ovn_tls_key } = self.clone();
        TlsConfig { ca: ovn_tls_ca, certificate: ovn_tls_cert, key: ovn_tls_key, verify: Verify::Chain }
    }
}

/// `--own-router-port`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OwnRouterPort {
    /// Where the OVN is plain upstream, no Kube-OVN manages the switch and it has no router port yet.
    #[default]
    Auto,
    /// Nowhere.
    Never,
}

/// No northbound was named.
#[derive(Debug, thiserror::Error)]
#[error(
    "no northbound: give --ovn-nb ADDR (unix:PATH or tcp:HOST:PORT), or set OVN_NB_DB, or Kube-OVN's OVN_DB_IPS"
)]
pub struct NoNorthbound;

/// `ovn-vip speaker`.
#[derive(Clone, Debug, Args)]
pub struct SpeakerArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cluster: ClusterArgs,
    /// The Node that this is.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node: String,
    /// This node's Open vSwitch database.
    #[arg(
        long,
        env = "OVN_VIP_OVS",
        default_value = "unix:/var/run/openvswitch/db.sock",
        value_name = "ADDR"
    )]
    pub ovs: String,
    /// Where the bridges' management sockets are; the folder of --ovs by default.
    #[arg(long, env = "OVS_RUNDIR", value_name = "DIR")]
    pub ovs_rundir: Option<PathBuf>,
    /// How often each VIP that this node answers for is announced anew, in seconds, a little sooner at random; by default
    /// never: a neighbour that has lost it asks. For switches that forget a MAC which is silent for long.
    #[arg(long, env = "OVN_VIP_ANNOUNCE_EVERY", default_value = "0", value_name = "SECONDS")]
    pub announce_every: u32,
    /// What to do when a host that is no node of this cluster claims a VIP that is announced. Its MAC is told either way.
    #[arg(long, env = "OVN_VIP_CONFLICT", default_value = "defend", value_name = "WHAT")]
    pub conflict: ConflictArg,
    /// When to ask the wire whether somebody has a VIP's address before it is announced (RFC 5227), which takes 0.8 s.
    #[arg(long, env = "OVN_VIP_PROBE", default_value = "first", value_name = "WHEN")]
    pub probe: ProbeArg,
    /// How soon a node that dies is noticed by the others: each speaker says on the wire that it is there, and is dead after
    /// three times that it does not. docs/beats.md has the frames.
    #[arg(long, env = "OVN_VIP_LIVENESS", default_value = "default", value_name = "HOW")]
    pub liveness: LivenessArg,
    /// The secret that all speakers of the cluster share, one a line: the first signs what is said, each is believed. Without it
    /// any host on the wire can say that a node lives.
    #[arg(long, env = "OVN_VIP_BEAT_KEY_FILE", value_name = "FILE")]
    pub beat_key_file: Option<PathBuf>,
    /// How long the others leave this node what it holds when its speaker is told to end, in seconds: another one is to start.
    #[arg(long, env = "OVN_VIP_RESTART_PATIENCE", default_value = "10", value_name = "SECONDS")]
    pub restart_patience: u32,
    /// When told to end, hand over at once: for a node that goes for good.
    #[arg(long, env = "OVN_VIP_HAND_OVER_ON_STOP")]
    pub hand_over_on_stop: bool,
}

/// `--probe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeArg {
    /// Where no node of the cluster is known to have held it.
    First,
    /// Each time, also when a dead node is replaced.
    Always,
    /// Never, but where this node was stopped or had no link: a host that has the address is heard of only afterwards.
    Never,
}

/// `--liveness`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LivenessArg {
    /// Ten times a second where it holds a VIP, once a second elsewhere.
    Default,
    /// Fifty times a second where it holds a VIP, five times elsewhere.
    Fast,
    /// Never: a node is dead when Kubernetes says so.
    Off,
}

/// `--conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConflictArg {
    /// Say each time that the VIP is here, five times a second at most, without end (RFC 5227, section 2.4 (c)).
    Defend,
    /// Say so once in ten seconds, then give way and ask again every few seconds (section 2.4 (b)).
    Yield,
}

impl SpeakerArgs {
    /// How segments are spoken on.
    pub fn manner(&self) -> Manner {
        let refresh = (self.announce_every > 0).then(|| Duration::from_secs(self.announce_every.into()));
        let on_conflict = match self.conflict {
            ConflictArg::Defend => OnConflict::Defend,
            ConflictArg::Yield => OnConflict::Yield,
        };
        let probe = match self.probe {
            ProbeArg::First => Probe::First,
            ProbeArg::Always => Probe::Always,
            ProbeArg::Never => Probe::Never,
        };
        Manner { refresh, on_conflict, probe, beats: None }
    }

    /// How often it says that it is there.
    pub fn cadence(&self) -> Option<Cadence> {
        let cadence = |holder, other| Cadence {
            holder: Duration::from_millis(holder),
            other: Duration::from_millis(other),
        };
        match self.liveness {
            LivenessArg::Default => Some(cadence(100, 1000)),
            LivenessArg::Fast => Some(cadence(20, 200)),
            LivenessArg::Off => None,
        }
    }

    /// What it says when it is told to end.
    pub fn last_words(&self) -> State {
        if self.hand_over_on_stop {
            State::Leaving
        } else {
            State::BackSoon(Duration::from_secs(self.restart_patience.into()))
        }
    }
}

#[cfg(test)]
mod tests;
