//! What an operator can set: the command line, with the environment behind it.

mod allocate;
mod explain;
mod import;
mod offline;
mod package;
mod remove;
mod speaker;
mod support;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::io::cluster::Source;
use crate::io::kube::connect::KubeTarget;
use crate::io::ovsdb_client::{TlsConfig, Verify};
use crate::plan::{ClassRule, ExcludeIps, Policy};

pub use allocate::{Allocate, AllocateArgs};
use explain::EXPLAIN_EXAMPLES;
pub use explain::ExplainArgs;
use import::IMPORT_EXAMPLES;
pub use import::{ImportArgs, ImportKubeOvnArgs, ImportSource};
pub use offline::{
    AssumedOvn, CheckArgs, NorthboundArgs, ObjectsArgs, Output, PlanArgs, RulesArgs, StatusArgs,
};
use offline::{CHECK_EXAMPLES, PLAN_EXAMPLES, STATUS_EXAMPLES};
use package::COMPLETIONS_EXAMPLES;
pub use package::{CompletionsArgs, ManArgs, VersionArgs};
use remove::REMOVE_EXAMPLES;
pub use remove::RemoveArgs;
pub use speaker::{ConflictArg, LivenessArg, ProbeArg, SpeakerArgs};
use support::SUPPORT_EXAMPLES;
pub use support::SupportArgs;
pub use values::DatabasesError;

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
    #[arg(long, global = true, env = "OVN_VIP_LOG", default_value = "info", value_name = "FILTER",
          value_parser = values::log_filter)]
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
    /// Gather what somebody else needs to see what is wrong, without secrets, in a folder.
    #[command(after_long_help = SUPPORT_EXAMPLES)]
    Support(SupportArgs),
    /// Take everything of ours out: rows of the northbound, what stands on objects, a node's rules. Says what, and does it with --yes.
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
    /// Where to serve /healthz, /readyz, /metrics, a speaker's /status and the controller's /page: ADDR:PORT, or :PORT for every address. Nowhere by default.
    #[arg(long, env = "OVN_VIP_HTTP", value_name = "ADDR")]
    pub http: Option<String>,
    /// A file with a token: who shows it as `Authorization: Bearer` may read /status, and what /page shows, from anywhere. Without it
    /// they are answered over the loopback interface only.
    #[arg(long, env = "OVN_VIP_STATUS_TOKEN_FILE", value_name = "FILE", requires = "http")]
    pub status_token_file: Option<PathBuf>,
    /// Name each VIP, its Service and its node in /metrics, as MetalLB's speaker does: ovn_vip_vip_info, ovn_vip_announced. By default
    /// /metrics, which anybody may read who reaches it, names none.
    #[arg(long, env = "OVN_VIP_METRICS_PER_VIP", requires = "http")]
    pub metrics_per_vip: bool,
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
    /// MetalLB's namespace. A ServiceL2Status elsewhere does not count: whoever may write one there could take a VIP away. By default
    /// each namespace that has an IPAddressPool is MetalLB's.
    #[arg(long, env = "OVN_VIP_METALLB_NAMESPACE", value_name = "NAME")]
    pub metallb_namespace: Option<String>,
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
        let namespace = self.metallb_namespace.as_deref().filter(|name| !name.is_empty());
        Policy { exclude_ips, load_balancer_class, metallb_namespace: namespace.map(Into::into) }
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
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = values::cluster_name)]
    pub cluster_name: String,
    /// Whether a switch of a plain upstream OVN gets a router port of ours, which such an OVN needs.
    #[arg(long, env = "OVN_VIP_OWN_ROUTER_PORT", default_value = "auto", value_name = "WHERE")]
    pub own_router_port: OwnRouterPort,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub allocate: AllocateArgs,
    /// Write what is missing, print it, and exit: 0 when the northbound is as it should be, 1 when it could not be
    /// made so.
    #[arg(long)]
    pub once: bool,
    /// How long --once may take.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = values::seconds, allow_negative_numbers = true)]
    pub timeout: u64,
}

impl ControllerArgs {
    /// The addresses of northbound and southbound: what was given, else Kube-OVN's own list with its ports.
    pub fn databases(&self) -> Result<(String, Option<String>), DatabasesError> {
        let listed = |port| values::listed(self.ovn_db_ips.as_deref(), self.enable_ssl.as_deref(), port);
        let northbound = self.ovn_nb.clone().map_or_else(|| listed(6641), |given| Ok(Some(given)))?;
        let southbound = self.ovn_sb.clone().map_or_else(|| listed(6642), |given| Ok(Some(given)));
        Ok((northbound.ok_or(DatabasesError::NoNorthbound)?, southbound?))
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

#[cfg(test)]
mod tests;
