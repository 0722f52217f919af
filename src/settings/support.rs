//! The command line of `support`.

use std::path::PathBuf;

use clap::Args;

use super::values::DatabasesError;
use super::{ExplainArgs, NorthboundArgs, ObjectsArgs, RulesArgs};

pub(super) const SUPPORT_EXAMPLES: &str = "\
It reads, and writes nothing but the folder or archive. No Secret is read; keys, certificates and tokens are taken out of what is written. Names
and addresses stay: look at it before you hand it on.

Examples:
  ovn-vip support ovn-vip-support.tar
  kubectl -n kube-system exec deployment/ovn-vip-controller -- /ovn-vip support - > ovn-vip-support.tar
  ovn-vip support ovn-vip-support --ovn-nb tcp:172.30.0.11:6641 --ovn-sb tcp:172.30.0.11:6642 --speakers 10.0.0.11,10.0.0.12";

/// `ovn-vip support`.
#[derive(Clone, Debug, Args)]
pub struct SupportArgs {
    /// The folder to make; or, with a name in `.tar`, the archive; `-`: the archive on standard output.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
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

impl SupportArgs {
    /// The same for `explain`, of nothing yet.
    pub fn explaining(&self) -> ExplainArgs {
        ExplainArgs {
            what: String::new(),
            namespace: None,
            objects: self.objects.clone(),
            northbound: self.northbound.clone(),
            ovn_sb: self.ovn_sb.clone(),
            ovn_db_ips: self.ovn_db_ips.clone(),
            enable_ssl: self.enable_ssl.clone(),
            speakers: self.speakers.clone(),
            token_file: self.token_file.clone(),
            rules: self.rules.clone(),
        }
    }

    /// With Kube-OVN's own list, where no northbound was given.
    pub fn northbound(&self) -> Result<NorthboundArgs, DatabasesError> {
        let [northbound, _] = self.explaining().databases()?;
        Ok(NorthboundArgs { ovn_nb: northbound, ..self.northbound.clone() })
    }
}
