//! The command line of `remove`, and what names a cluster and its databases.

use clap::Args;

use super::OvnTlsArgs;
use super::values::{self, DatabasesError};

pub(super) const REMOVE_EXAMPLES: &str = "\
Exit code: 0 nothing is left, 2 something would be removed and --yes was not said, 1 an error.

Stop the speakers, then the controllers: one that runs puts all of it back. Rules on the nodes' bridges stay; what takes them
out is printed at the end.

Examples:
  ovn-vip remove --ovn-nb tcp:172.30.0.11:6641              # what would go
  ovn-vip remove --ovn-nb tcp:172.30.0.11:6641 --yes";

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
