//! The command line of `explain`.

use std::path::PathBuf;

use clap::Args;

use super::values::{DatabasesError, listed};
use super::{NorthboundArgs, ObjectsArgs, RulesArgs};

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Each step is right (✓), wrong (✗), worth a look (!), or not known (?): the way ends at the first that is wrong, with what to do.
Exit code: 0 nothing is wrong, 1 something is, or an error.

Examples:
  In the cluster, with both databases; nothing needs to be given:
    kubectl -n kube-system exec deploy/ovn-vip-controller -- ovn-vip explain default/web

  From elsewhere, by what the controller and the speakers have said in the cluster:
    ovn-vip explain 10.180.204.252
    ovn-vip explain default/web -o json | jq '.explained[].steps[] | select(.mark == \"wrong\")'

  A folder of manifests, before anything is applied:
    ovn-vip explain -f cluster default/web";

/// `ovn-vip explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// A Service, as NAMESPACE/NAME or NAME, or a VIP.
    #[arg(value_name = "SERVICE|VIP")]
    pub what: String,
    /// The namespace of a Service that is given by its name alone; default without it.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub objects: ObjectsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub northbound: NorthboundArgs,
    /// The OVN southbound, likewise. It is only read.
    #[arg(long, env = "OVN_SB_DB", value_name = "ADDR")]
    pub ovn_sb: Option<String>,
    /// Kube-OVN's own list of database addresses, without ports; used where --ovn-nb is not given.
    #[arg(long, env = "OVN_DB_IPS", value_name = "IPS", hide = true)]
    pub ovn_db_ips: Option<String>,
    /// Kube-OVN's own switch for TLS to the databases.
    #[arg(long, env = "ENABLE_SSL", value_name = "BOOL", hide = true)]
    pub enable_ssl: Option<String>,
    /// Speakers to ask, too (their --http): ADDR or ADDR:PORT, with commas between.
    #[arg(long, value_name = "ADDRS", value_delimiter = ',')]
    pub speakers: Vec<String>,
    /// A file with the token that speakers of other nodes want (their --status-token-file).
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rules: RulesArgs,
}

impl ExplainArgs {
    /// The databases' addresses: what was given, else Kube-OVN's own list with its ports.
    pub fn databases(&self) -> Result<[Option<String>; 2], DatabasesError> {
        let given =
            [&self.northbound.ovn_nb, &self.ovn_sb].map(|given| given.clone().filter(|it| !it.is_empty()));
        // A folder is not of the cluster that this Pod runs in.
        if self.objects.dir.is_some() {
            return Ok(given);
        }
        let [northbound, southbound] = given;
        let listed = |port| listed(self.ovn_db_ips.as_deref(), self.enable_ssl.as_deref(), port);
        let northbound = northbound.map_or_else(|| listed(6641), |given| Ok(Some(given)))?;
        let southbound = southbound.map_or_else(|| listed(6642), |given| Ok(Some(given)))?;
        Ok([northbound, southbound])
    }
}
