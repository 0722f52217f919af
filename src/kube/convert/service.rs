//! Services.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;

use super::request::request;
use super::scalar::{labels, parse_address, parse_range};
use super::{Converted, Notes};
use crate::kube::{Kind, Problem};
use crate::model::{BadRange, Object, Service, ServiceKey, ServicePort, Sources, TrafficPolicy};

/// `spec.type` (Kubernetes API, ServiceSpec v1).
const TYPES: [&str; 4] = ["LoadBalancer", "NodePort", "ClusterIP", "ExternalName"];

/// A Service. One that is no LoadBalancer is not ours; a LoadBalancer without an address is, with no VIP.
pub fn service(object: &core::Service, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Service, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let kind = object.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    if !TYPES.contains(&kind) {
        return notes.unusable("spec.type", kind, "write LoadBalancer, NodePort, ClusterIP or ExternalName");
    }
    let Some(spec) = object.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("LoadBalancer")) else {
        return Converted::NotOurs(notes.key());
    };
    let direct = vips(object, IpMode::Vip, &mut notes);
    let (sources, bad_ranges) = sources(object, spec);
    let held = ingress(object).iter().filter_map(|entry| parse_address(address_of(entry)?)).collect();
    Converted::Object(Object::Service(Service {
        key: ServiceKey::new(notes.namespace, notes.name),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        created: object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
        labels: labels(object.metadata.labels.as_ref()),
        class: spec.load_balancer_class.as_deref().filter(|class| !class.is_empty()).map(Arc::from),
        hostnames: hostnames(object),
        external_ips: external_ips(spec, &mut notes),
        first_vip: direct.first().copied(),
        vips: direct.into_iter().collect(),
        proxied: vips(object, IpMode::Proxy, &mut notes).into_iter().collect(),
        ports: ports(spec, &mut notes),
        traffic_policy: traffic_policy(spec, &mut notes),
        client_ip_affinity: spec.session_affinity.as_deref() == Some("ClientIP"),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        sources,
        bad_ranges,
        request: request(object, spec, held),
    }))
}

/// `status.loadBalancer.ingress[].ipMode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IpMode {
    /// Clients' frames reach the node with the address as their destination; absent means this.
    Vip,
    /// The address is another load balancer's, which sends to nodes or pods by their own.
    Proxy,
}

impl IpMode {
    fn of(entry: &core::LoadBalancerIngress) -> Self {
        if entry.ip_mode.as_deref() == Some("Proxy") { Self::Proxy } else { Self::Vip }
    }
}

/// The addresses of one mode, in the order written. An entry that has a host name and no address is no VIP, and no
/// mistake either.
fn vips(object: &core::Service, mode: IpMode, notes: &mut Notes) -> Vec<IpAddr> {
    let entries = ingress(object).iter().enumerate().filter(|(_, entry)| IpMode::of(entry) == mode);
    let addresses = entries.filter_map(|(i, entry)| {
        let text = address_of(entry)?;
        notes.address(format!("status.loadBalancer.ingress[{i}].ip"), text)
    });
    addresses.collect()
}

/// The host names of entries that have no address.
fn hostnames(object: &core::Service) -> BTreeSet<Arc<str>> {
    let nameless = ingress(object).iter().filter(|entry| address_of(entry).is_none());
    nameless
        .filter_map(|entry| entry.hostname.as_deref())
        .filter(|name| !name.is_empty())
        .map(Arc::from)
        .collect()
}

fn external_ips(spec: &core::ServiceSpec, notes: &mut Notes) -> BTreeSet<IpAddr> {
    let given = spec.external_ips.as_deref().unwrap_or_default().iter().enumerate();
    given.filter_map(|(i, text)| notes.address(format!("spec.externalIPs[{i}]"), text)).collect()
}

fn ingress(object: &core::Service) -> &[core::LoadBalancerIngress] {
    let balancer = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

fn address_of(entry: &core::LoadBalancerIngress) -> Option<&str> {
    entry.ip.as_deref().filter(|text| !text.is_empty())
}

fn ports(spec: &core::ServiceSpec, notes: &mut Notes) -> Vec<ServicePort> {
    let ports = spec.ports.as_deref().unwrap_or_default().iter().enumerate();
    let ports = ports.filter_map(|(i, entry)| {
        let protocol = notes.protocol(format!("spec.ports[{i}].protocol"), entry.protocol.as_deref());
        let port = notes.port(format!("spec.ports[{i}].port"), entry.port);
        let name = entry.name.as_deref().unwrap_or_default().into();
        Some(ServicePort { name, protocol: protocol?, port: port? })
    });
    ports.collect()
}

/// The older way to write the ranges, which counts where `spec` has none (Kubernetes, `GetLoadBalancerSourceRanges`).
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// Who may reach the VIPs, and the entries that nobody can read. A list of only such lets nobody in.
fn sources(object: &core::Service, spec: &core::ServiceSpec) -> (Sources, BTreeSet<BadRange>) {
    let listed = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let annotation = object.metadata.annotations.as_ref().and_then(|all| all.get(SOURCE_RANGES));
    let annotation = annotation.map(|text| text.trim()).filter(|text| listed.is_empty() && !text.is_empty());
    let (field, texts): (_, Vec<&str>) = match annotation {
        Some(text) => (
            "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
            text.split(',').collect(),
        ),
        None => ("spec.loadBalancerSourceRanges", listed.iter().map(String::as_str).collect()),
    };
    if texts.is_empty() {
        return (Sources::Everybody, BTreeSet::new());
    }
    let (mut ranges, mut bad) = (Vec::new(), BTreeSet::new());
    for text in texts.into_iter().map(str::trim) {
        match parse_range(text) {
            Some(range) => ranges.push(range),
            None => drop(bad.insert(BadRange { field, text: text.into() })),
        }
    }
    (Sources::only(ranges), bad)
}

fn traffic_policy(spec: &core::ServiceSpec, notes: &mut Notes) -> TrafficPolicy {
    match spec.external_traffic_policy.as_deref() {
        Some("Local") => TrafficPolicy::Local,
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some(other) => {
            notes.say("spec.externalTrafficPolicy", other, "write Local or Cluster; Cluster is assumed");
            TrafficPolicy::Cluster
        }
    }
}
