//! The command line of `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{NorthboundArgs, ObjectsArgs};

pub(super) const IMPORT_EXAMPLES: &str = "\
The objects go to standard output, what was not brought over as it stood to standard error.
Exit code: 0 no errors (perhaps warnings), 1 errors: then the objects are not whole.

Examples:
  kubectl -n metallb-system get configmap config -o yaml | ovn-vip import metallb-configmap - > metallb.yaml
  ovn-vip import gdcv bmctl-workspace/c1/c1.yaml --node-subnet 10.180.204.0/24 > metallb.yaml
  ovn-vip import kube-ovn --ovn-nb tcp:172.30.0.11:6641            # the steps, from a running cluster
  kubectl apply --dry-run=server -f metallb.yaml";

/// `ovn-vip import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// What to bring over.
    #[command(subcommand)]
    pub source: ImportSource,
}

/// What to bring over.
#[derive(Clone, Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum ImportSource {
    /// The ConfigMap of MetalLB 0.8 to 0.12: pools, BGP peers and advertisements, BFD profiles, communities.
    MetallbConfigmap {
        /// The ConfigMap, or its `config` alone; - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// The bundled load balancer of Google Distributed Cloud on bare metal: spec.loadBalancer of its Cluster.
    Gdcv {
        /// The cluster's configuration file; - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The subnet of the load balancer's nodes: every address is held against it.
        #[arg(long, value_name = "CIDR", value_parser = super::values::network)]
        node_subnet: Option<IpNet>,
    },
    /// Kube-OVN's own load balancer (--enable-ovn-lb-prefer-local): what changes hands, and in which order.
    KubeOvn(ImportKubeOvnArgs),
}

/// `ovn-vip import kube-ovn`.
#[derive(Clone, Debug, Args)]
pub struct ImportKubeOvnArgs {
    /// The cluster; a folder has the Deployment kube-ovn-controller beside the rest.
    #[command(flatten)]
    pub objects: ObjectsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub northbound: NorthboundArgs,
    /// The cluster's name in the northbound, as the controller has it.
    #[arg(long, env = "OVN_VIP_CLUSTER_NAME", default_value = "kubernetes", value_name = "NAME", value_parser = super::values::cluster_name)]
    pub cluster_name: String,
}
