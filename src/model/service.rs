//! What a user asked for: Services and the endpoints behind them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{AddressRequest, BadRange, Family, Labels, NodeName, Protocol, ServiceKey, SliceKey, Sources};

/// `spec.loadBalancerClass` of Services that are ours alone: no other load balancer has it.
pub const CLASS: &str = "ovn-vip.io/ovn-vip";

/// A Service of type LoadBalancer. Others are not part of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace and name.
    pub key: ServiceKey,
    /// `metadata.uid`, or empty where the source has none (a hand-written manifest).
    pub uid: String,
    /// `metadata.creationTimestamp`, in seconds since 1970; `None` where the source has none.
    pub created: Option<i64>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.loadBalancerClass`.
    pub class: Option<Arc<str>>,
    /// Every `status.loadBalancer.ingress[].ip` that clients reach at the address itself.
    pub vips: BTreeSet<IpAddr>,
    /// The first of them, in the order written: MetalLB ranks nodes by it.
    pub first_vip: Option<IpAddr>,
    /// Every `status.loadBalancer.ingress[].ip` with `ipMode: Proxy`: the address of another load balancer.
    pub proxied: BTreeSet<IpAddr>,
    /// Every `status.loadBalancer.ingress[].hostname` of an entry that has no `ip`.
    pub hostnames: BTreeSet<Arc<str>>,
    /// `spec.externalIPs`: what others, such as OpenShift's `autoAssignCIDRs`, gave it; kube-proxy serves them.
    pub external_ips: BTreeSet<IpAddr>,
    /// `spec.ports`, in the order written.
    pub ports: Vec<ServicePort>,
    /// `spec.externalTrafficPolicy`. Both are served by local backends; it is kept for what we say.
    pub traffic_policy: TrafficPolicy,
    /// `spec.sessionAffinity: ClientIP`.
    pub client_ip_affinity: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// `spec.loadBalancerSourceRanges`: who may reach its VIPs.
    pub sources: Sources,
    /// Entries of it that cannot be read.
    pub bad_ranges: BTreeSet<BadRange>,
    /// The addresses that it wants, and has.
    pub request: AddressRequest,
}

impl Service {
    /// Of two Services that want the same the one with the lower value was there first: the one that was created
    /// earlier, then by name. One that does not say when comes after those that do.
    pub fn seniority(&self) -> (bool, Option<i64>, &ServiceKey) {
        (self.created.is_none(), self.created, &self.key)
    }
}

/// One of a Service's ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// `name`; it joins the port to the EndpointSlices' ports. Absent and empty are the same.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`: the one that clients use with the VIP.
    pub port: u16,
}

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node may answer, to any pod.
    Cluster,
    /// Only pods of the answering node serve.
    Local,
}

/// An EndpointSlice that belongs to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Its namespace and name.
    pub key: SliceKey,
    /// The Service that its label `kubernetes.io/service-name` names.
    pub service: ServiceKey,
    /// `addressType`.
    pub family: Family,
    /// `ports`.
    pub ports: Vec<SlicePort>,
    /// `endpoints`.
    pub endpoints: Vec<Endpoint>,
}

/// A port of an EndpointSlice: the number that pods listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// `name`, as the Service's port has it. Absent and empty are the same.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
}

/// One endpoint of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses[0]`; the others are not to be used (Kubernetes API, EndpointSlice v1).
    pub address: IpAddr,
    /// `nodeName`.
    pub node: Option<NodeName>,
    /// `conditions.ready`; absent counts as ready.
    pub ready: bool,
    /// `conditions.serving`; absent counts as `ready`.
    pub serving: bool,
    /// `conditions.terminating`; absent counts as false.
    pub terminating: bool,
}
