//! The command line of `remove`, and what names a cluster and its databases.

use std::path::PathBuf;

use clap::Args;

use super::OvnTlsArgs;
use super::values::{self, DatabasesError};

pub(super) const REMOVE_EXAMPLES: &str = "\
Exit code: 0 nothing is left, 2 something would be removed and --yes was not said, 1 an error.

Stop the speakers, then the controllers: one that runs puts all of it back. In a cluster the chart does that and all that
follows, on every node: helm upgrade … --set remove=true (docs/operate.md, Removing).

Examples:
  ovn-vip remove --ovn-nb tcp:172.30.0.11:6641              # what would go
  ovn-vip remove --ovn-nb tcp:172.30.0.11:6641 --yes
  ovn-vip remove --objects --kubeconfig ~/.kube/config --yes   # conditions, annotations, reports
  ovn-vip remove --node-rules --yes                         # on each node";

/// `ovn-vip remove`.
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// The OVN northbound: unix:PATH, tcp:HOST:PORT, or a comma list of a cluster's members. Without it Kube-OVN's
    /// OVN_DB_IPS is used.
    #[arg(long, env = "OVN_NB_DB", value_name = "ADDR")]
    pub ovn_nb: Option<String>,
    /// Kube-OVN's own list of database addresses, without ports; used where --ovn-nb is not given.
    #[arg(long, env = "OVN_DB_IPS", value_name = "IPS", hide = true)]
    pub ovn_db_ips: Option<String>,
    /// Kube-OVN's own switch for TLS to the databases.
    #[arg(long, env = "ENABLE_SSL", value_name = "BOOL", hide = true)]
    pub enable_ssl: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tls: OvnTlsArgs,
    /// The cluster's name in the northbound, as the controller had it.
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = values::cluster_name)]
    pub cluster_name: String,
    /// Also what stands on objects of the cluster: the condition of Services, the annotations of Subnets, the reports of speakers,
    /// the controllers' Lease, ServiceL2Statuses. Without a northbound only these.
    #[arg(long)]
    pub objects: bool,
    /// The kubeconfig of the cluster; by default KUBECONFIG, else ~/.kube/config, else the Pod's ServiceAccount.
    #[arg(long, env = "OVN_VIP_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; the current one by default.
    #[arg(long, env = "OVN_VIP_KUBE_CONTEXT", value_name = "NAME")]
    pub kube_context: Option<String>,
    /// The controllers' Lease.
    #[arg(long, env = "OVN_VIP_LEASE", default_value = "ovn-vip-controller", value_name = "NAME")]
    pub lease: String,
    /// Its namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "kube-system", value_name = "NAMESPACE")]
    pub lease_namespace: String,
    /// The rules on this node's bridges, and nothing else. No speaker may run here.
    #[arg(long, conflicts_with = "objects")]
    pub node_rules: bool,
    /// This node's Open vSwitch database, for --node-rules.
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
    /// For a Pod: once nothing is left, stay until told to end, and serve /healthz and /readyz at ADDR:PORT, or :PORT. It is ready
    /// when nothing is left.
    #[arg(long, value_name = "ADDR", requires = "yes")]
    pub http: Option<String>,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
    /// How long it may take.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = values::seconds, allow_negative_numbers = true)]
    pub timeout: u64,
}

impl RemoveArgs {
    /// The northbound's address: what was given, else Kube-OVN's own list with its port.
    pub fn northbound(&self) -> Result<String, DatabasesError> {
        let listed = || values::listed(self.ovn_db_ips.as_deref(), self.enable_ssl.as_deref(), 6641);
        let northbound = self.ovn_nb.clone().map_or_else(listed, |given| Ok(Some(given)))?;
        northbound.ok_or(DatabasesError::NoNorthbound)
    }
}
