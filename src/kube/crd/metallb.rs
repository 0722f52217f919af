//! MetalLB's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;

use super::nullable;

/// `apiVersion` of MetalLB's.
pub const METALLB_VERSION: &str = "metallb.io/v1beta1";

/// An IPAddressPool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AddressPool {
    /// Its name and labels.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: AddressPoolSpec,
}

/// `spec` of an IPAddressPool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AddressPoolSpec {
    /// CIDRs and `first-last` ranges.
    #[serde(deserialize_with = "nullable")]
    pub addresses: Vec<String>,
    /// Whether IPv4 addresses that end in 0 or 255 are left alone.
    #[serde(rename = "avoidBuggyIPs", deserialize_with = "nullable")]
    pub avoid_buggy_ips: bool,
    /// Whether Services that do not ask for it get addresses of it; absent is yes.
    #[serde(rename = "autoAssign")]
    pub auto_assign: Option<bool>,
    /// Which Services get addresses of it.
    #[serde(rename = "serviceAllocation")]
    pub service_allocation: Option<ServiceAllocation>,
}

/// `spec.serviceAllocation` of an IPAddressPool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// The lower one is asked first.
    #[serde(deserialize_with = "nullable")]
    pub priority: i64,
    /// Namespaces by name.
    #[serde(deserialize_with = "nullable")]
    pub namespaces: Vec<String>,
    /// Namespaces by label.
    #[serde(deserialize_with = "nullable")]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Services by label.
    #[serde(deserialize_with = "nullable")]
    pub service_selectors: Vec<LabelSelector>,
}

/// An L2Advertisement.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Advertisement {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: AdvertisementSpec,
}

/// `spec` of an L2Advertisement.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdvertisementSpec {
    /// Pools by name.
    #[serde(rename = "ipAddressPools", deserialize_with = "nullable")]
    pub ip_address_pools: Vec<String>,
    /// Pools by label.
    #[serde(deserialize_with = "nullable")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// Services by label.
    #[serde(deserialize_with = "nullable")]
    pub service_selectors: Vec<LabelSelector>,
    /// Nodes by label.
    #[serde(deserialize_with = "nullable")]
    pub node_selectors: Vec<LabelSelector>,
    /// Interfaces by name.
    #[serde(deserialize_with = "nullable")]
    pub interfaces: Vec<String>,
}

/// A ServiceL2Status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct L2Status {
    /// Its name and labels.
    pub metadata: ObjectMeta,
    /// Who announces what.
    #[serde(deserialize_with = "nullable")]
    pub status: L2StatusStatus,
}

/// `status` of a ServiceL2Status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct L2StatusStatus {
    /// The node.
    #[serde(deserialize_with = "nullable")]
    pub node: String,
    /// The Service's name.
    #[serde(deserialize_with = "nullable")]
    pub service_name: String,
    /// The Service's namespace.
    #[serde(deserialize_with = "nullable")]
    pub service_namespace: String,
}
