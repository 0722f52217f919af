//! The command lines of `plan`, `check` and `status`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{AllocateArgs, OvnTlsArgs, OwnRouterPort, PolicyArgs};
use crate::io::cluster::Source;
use crate::io::kube::connect::KubeTarget;

pub(super) const PLAN_EXAMPLES: &str = "\
Exit code: 0 nothing would change, 2 something would, 1 an error.

Examples:
  Make a folder of the objects that decide, and see what they come to:
    mkdir -p cluster
    kubectl get -A -o yaml svc,endpointslices,nodes,subnets,vlans,provider-networks > cluster/.all \\
      && mv cluster/.all cluster/all.yaml
    ovn-vip plan -f cluster

  Compare with what is there, from where the northbound can be reached:
    ovn-vip plan -f cluster --ovn-nb tcp:172.30.0.11:6641

Without --ovn-nb the folder is compared with a northbound that has its switches and pods and nothing of ours.";

pub(super) const CHECK_EXAMPLES: &str = "\
Exit code: 0 no errors (perhaps warnings), 1 errors; of a live cluster also where controller and speakers say that no VIP is served.

Examples:
  kubectl get -A -o yaml svc,endpointslices,nodes,subnets,vlans,provider-networks,ips,ipaddresspools,l2advertisements \\
    > cluster/.all && mv cluster/.all cluster/all.yaml
  ovn-vip check -f cluster
  ovn-vip check -f cluster -o json | jq '.findings[] | select(.severity == \"error\")'

docs/refusals.md has every reason with its cause and cure.";

pub(super) const STATUS_EXAMPLES: &str = "\
Exit code: 0 every speaker answered, 1 one did not. With --kubeconfig or --kube-context: 0 every VIP is announced, 1 one is not.

States: announced; handing-over (until the next node is heard); waiting (it says for what); standby (another node is to
announce it, and everything is ready here). Of a cluster: announced; announced, not served (the controller says that clients do not
reach it); announced by others; announced by nobody; held and not delivered; its node is not ready; unknown; not served.

AGE: for how long it is so. HERE, ELSEWHERE: how many ready backends this node has, and others. HEARD: how long ago its speaker said so.

Examples:
  ovn-vip status --kubeconfig ~/.kube/config                   # the cluster's, by what its speakers report
  ovn-vip status                                              # this node's
  ovn-vip status 10.0.0.11 10.0.0.12 --token-file token       # some nodes'
  ovn-vip status -o json | jq '.speakers[].vips[] | select(.state == \"announced\") | .vip'";

/// `ovn-vip status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Where speakers serve their pages (their --http); 127.0.0.1, and port 10686, where they are left out.
    #[arg(value_name = "ADDR[:PORT]", conflicts_with_all = ["kubeconfig", "kube_context"])]
    pub speakers: Vec<String>,
    /// Read what all speakers report from the cluster of this kubeconfig, and ask none of them.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The same, by a context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub kube_context: Option<String>,
    /// The cluster of the kubeconfig, where it is not named: as a plugin of kubectl.
    #[arg(skip)]
    pub whole_cluster: bool,
    /// A file with the token that speakers of other nodes want (their --status-token-file).
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How to print.
    #[arg(short = 'o', long, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
}

/// What `plan`, `check` and `explain` read, and how they print.
#[derive(Clone, Debug, Args)]
pub struct ObjectsArgs {
    /// A folder of manifests, as `kubectl get -o yaml` prints them: Service, EndpointSlice, Node, Subnet, Vlan,
    /// ProviderNetwork, and, where there are any, IP, IPAddressPool, L2Advertisement, ServiceL2Status. Without it the
    /// cluster itself is read.
    #[arg(short = 'f', long = "cluster-dir", env = "OVN_VIP_CLUSTER_DIR", value_name = "DIR",
          conflicts_with_all = ["kubeconfig", "kube_context"])]
    pub dir: Option<PathBuf>,
    /// The kubeconfig of the cluster; by default KUBECONFIG, else ~/.kube/config, else the Pod's ServiceAccount.
    #[arg(long, env = "OVN_VIP_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; the current one by default.
    #[arg(long, env = "OVN_VIP_KUBE_CONTEXT", value_name = "NAME")]
    pub kube_context: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub allocate: AllocateArgs,
    /// How to print.
    #[arg(short = 'o', long, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
}

impl ObjectsArgs {
    /// Where the objects are.
    pub fn source(&self) -> Source {
        match &self.dir {
            Some(dir) => Source::Folder(dir.clone()),
            None => Source::Kube(KubeTarget {
                kubeconfig: self.kubeconfig.clone(),
                context: self.kube_context.clone(),
            }),
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// The northbound that `plan` and `check` compare with.
#[derive(Clone, Debug, Args)]
pub struct NorthboundArgs {
    /// The OVN northbound: unix:PATH, tcp:HOST:PORT, or a comma list of a cluster's members. It is only read.
    #[arg(long, env = "OVN_NB_DB", value_name = "ADDR")]
    pub ovn_nb: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tls: OvnTlsArgs,
    /// How long a database may take to answer.
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = super::values::seconds, allow_negative_numbers = true)]
    pub timeout: u64,
}

/// The controller's own settings, for those who think as it does.
#[derive(Clone, Debug, Args)]
pub struct RulesArgs {
    /// The cluster's name in the northbound, as the controller has it.
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = super::values::cluster_name)]
    pub cluster_name: String,
    /// Whether a switch of a plain upstream OVN gets a router port of ours, which such an OVN needs.
    #[arg(long, env = "OVN_VIP_OWN_ROUTER_PORT", default_value = "auto", value_name = "WHERE")]
    pub own_router_port: OwnRouterPort,
}

/// `ovn-vip plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub objects: ObjectsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub northbound: NorthboundArgs,
    /// Without --ovn-nb: the OVN to plan for.
    #[arg(long, default_value = "kube-ovn", value_name = "OVN")]
    pub ovn: AssumedOvn,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rules: RulesArgs,
}

/// The OVN that a plan without a northbound is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AssumedOvn {
    /// The OVN that Kube-OVN ships.
    KubeOvn,
    /// Upstream OVN 26.03 or newer.
    Upstream,
}

/// `ovn-vip check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub objects: ObjectsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub northbound: NorthboundArgs,
    /// The OVN southbound, likewise, to see flows and where ports are; of no use without --ovn-nb. It is only read.
    #[arg(long, env = "OVN_SB_DB", value_name = "ADDR")]
    pub ovn_sb: Option<String>,
    /// The cluster's name in the northbound, as the controller has it.
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = super::values::cluster_name)]
    pub cluster_name: String,
}
