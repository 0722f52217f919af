//! What a Service says of the addresses that it wants, and what it has by its own status.

use std::net::IpAddr;
use std::sync::Arc;

use super::Family;

/// A Service's part in how addresses are given out. The names are MetalLB's, which users know; `metallb.universe.tf/…`
/// is the older prefix of each annotation `metallb.io/…`, and counts where the new one is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRequest {
    /// Every `status.loadBalancer.ingress[].ip`, in the order written.
    pub held: Vec<IpAddr>,
    /// The annotation `ip-allocated-from-pool`: the pool that they are from, by whoever gave them.
    pub from_pool: Option<Arc<str>>,
    /// Who wrote that annotation (`metadata.managedFields[].manager`), where it is known.
    pub given_by: Option<Arc<str>>,
    /// The annotation `address-pool`: addresses are to be from this pool.
    pub pool: Option<Arc<str>>,
    /// The annotation `loadBalancerIPs`, or `spec.loadBalancerIP`.
    pub asked: Asked,
    /// The annotation `allow-shared-ip`: Services with the same text may share addresses; empty is no.
    pub sharing: Arc<str>,
    /// Under `externalTrafficPolicy: Local` `spec.selector` as text: only Services of the same pods share then.
    pub backend: Arc<str>,
    /// The families of its cluster IPs; none where it has none, or where they make no sense.
    pub families: Vec<Family>,
    /// `spec.ipFamilyPolicy`.
    pub policy: FamilyPolicy,
    /// `spec.ipFamilies[0]` is IPv6.
    pub prefers_v6: bool,
    /// The annotations of the older prefix that it has.
    pub deprecated: Vec<Arc<str>>,
}

/// The addresses that a Service asks for by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// None: any will do.
    #[default]
    Any,
    /// These.
    Addresses(Vec<IpAddr>),
    /// What cannot be read, in words.
    Unreadable(Arc<str>),
}

/// `spec.ipFamilyPolicy` (Kubernetes API, ServiceSpec v1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyPolicy {
    /// One family.
    #[default]
    Single,
    /// Both, where both can be had.
    PreferDual,
    /// Both, or nothing.
    RequireDual,
}
