//! What may be said on objects of the cluster: plain values, so that whoever decides needs no client.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::marks::Served;
use crate::model::{
    InterfaceName, L2StatusKey, NodeName, PoolKey, ReportKey, ServiceKey, SpeakerReport, SubnetName,
};

/// The namespace. `deploy/` makes it.
pub const NAMESPACE: &str = "ovn-vip";

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The condition of a Service; none takes it away.
    Condition {
        /// The Service.
        service: ServiceKey,
        /// Since when the status is this, where it was this before.
        since: Option<String>,
        /// The condition.
        served: Option<Served>,
    },
    /// Annotations of a Subnet; `None` takes one away.
    Annotations {
        /// The Subnet.
        subnet: SubnetName,
        /// By name.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// The addresses of a Service, in its status, and the pool that they are of; none of both takes them away.
    Addresses {
        /// The Service.
        service: ServiceKey,
        /// `metadata.resourceVersion` of the Service that it was decided by: of a later one nothing is written.
        version: String,
        /// In order.
        addresses: Vec<IpAddr>,
        /// The pool.
        pool: Option<Arc<str>>,
    },
    /// The status of an IPAddressPool: assigned IPv4 and IPv6 addresses, and available ones.
    PoolCounts {
        /// The pool.
        pool: PoolKey,
        /// As MetalLB counts them.
        counts: [u64; 4],
    },
    /// A Subnet's `spec.excludeIps`, where an operator asked for it to be fixed.
    ExcludeIps {
        /// The Subnet.
        subnet: SubnetName,
        /// The list that was read: a list that somebody has altered since is left alone.
        found: Option<Vec<String>>,
        /// The whole new list.
        wanted: Vec<String>,
    },
    /// An Event.
    Event {
        /// On what.
        regarding: Regarding,
        /// Whether a human may have to act.
        warning: bool,
        /// A short name.
        reason: String,
        /// The words.
        note: String,
        /// What keeps it apart from other Events of the same reason on the same object; may be empty.
        about: String,
    },
    /// A speaker's report.
    Report {
        /// What it says.
        report: SpeakerReport,
        /// Its node.
        owner: Owner,
        /// For how long it is to count, unless it is renewed.
        lasts: Duration,
    },
    /// That a node announces a Service, in MetalLB's way.
    L2Status {
        /// The Service.
        service: ServiceKey,
        /// The node.
        owner: Owner,
        /// Where it answers.
        interface: InterfaceName,
    },
    /// That this node announces a Service no more.
    NoL2Status {
        /// The Service.
        service: ServiceKey,
        /// `metadata.uid` of the one to take away: another node may have written its own meanwhile.
        uid: String,
    },
}

/// What an Event is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regarding {
    /// A Service, with its uid.
    Service(ServiceKey, String),
    /// A Subnet, with its uid.
    Subnet(SubnetName, String),
}

/// A Node, as what belongs to it: what is owned by it goes with it (Kubernetes garbage collection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub node: NodeName,
    /// `metadata.uid`; empty where it is not known, and nothing is owned.
    pub uid: String,
}

/// The Lease of a node's speaker.
pub fn report_key(node: &NodeName) -> ReportKey {
    ReportKey::new(NAMESPACE, &format!("speaker.{node}"))
}

/// The ServiceL2Status of a Service: one, whoever announces it, since Kube-OVN takes two for an error.
pub fn l2_status_key(service: &ServiceKey) -> L2StatusKey {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(service.to_string()));
    L2StatusKey::new(NAMESPACE, &format!("l2-{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}
