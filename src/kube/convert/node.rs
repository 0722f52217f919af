//! Nodes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1 as core;

use super::{Converted, Notes};
use crate::kube::{Kind, Problem};
use crate::model::{ChassisName, Node, Object, ProviderName};

/// Kube-OVN's annotation with the chassis' system-id.
const CHASSIS: &str = "ovn.kubernetes.io/chassis";
/// Its presence alone counts, whatever the value, as for MetalLB and the cloud providers.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// After the provider network's name: Kube-OVN's label, `true` once the bridge stands.
const PROVIDER_READY: &str = ".provider-network.kubernetes.io/ready";
/// After the provider network's name: Kube-OVN's label, `true` where the network leaves the node out.
const PROVIDER_EXCLUDE: &str = ".provider-network.kubernetes.io/exclude";

/// A Node.
pub fn node(object: &core::Node, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Node, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let annotations = object.metadata.annotations.as_ref();
    let chassis = annotations.and_then(|annotations| annotations.get(CHASSIS));
    let labels = || object.metadata.labels.iter().flatten();
    Converted::Object(Object::Node(Node {
        name: notes.name.into(),
        ready: condition(object, "Ready").is_none_or(|status| status == "True"),
        network_unavailable: condition(object, "NetworkUnavailable").is_some_and(|status| status == "True"),
        cordoned: object.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        excluded_from_load_balancers: labels().any(|(label, _)| label == EXCLUDED),
        chassis: chassis.filter(|text| !text.is_empty()).map(|text| ChassisName::from(text.as_str())),
        labels: super::scalar::labels(object.metadata.labels.as_ref()),
        addresses: addresses(object, &mut notes),
        providers_not_ready: providers(object, PROVIDER_READY, |value| value != "true"),
        providers_excluding: providers(object, PROVIDER_EXCLUDE, |value| value == "true"),
    }))
}

/// The provider networks of labels `<provider network><suffix>` with such a value.
fn providers(object: &core::Node, suffix: &str, is_meant: impl Fn(&str) -> bool) -> BTreeSet<ProviderName> {
    let labels = object.metadata.labels.iter().flatten().filter(|(_, value)| is_meant(value));
    labels.filter_map(|(label, _)| label.strip_suffix(suffix).map(ProviderName::from)).collect()
}

/// The status of a condition.
fn condition<'o>(object: &'o core::Node, name: &str) -> Option<&'o str> {
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_deref());
    let condition = conditions.into_iter().flatten().find(|condition| condition.type_ == name);
    condition.map(|condition| condition.status.as_str())
}

fn addresses(object: &core::Node, notes: &mut Notes) -> BTreeSet<IpAddr> {
    let addresses = object.status.as_ref().and_then(|status| status.addresses.as_deref());
    let addresses = addresses.unwrap_or_default().iter().enumerate();
    let addresses = addresses.filter(|(_, entry)| matches!(&*entry.type_, "InternalIP" | "ExternalIP"));
    addresses
        .filter_map(|(i, entry)| notes.address(format!("status.addresses[{i}].address"), &entry.address))
        .collect()
}
