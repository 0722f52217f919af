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
        ready: ready(object),
        cordoned: object.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        excluded_from_load_balancers: labels().any(|(label, _)| label == EXCLUDED),
        chassis: chassis.filter(|text| !text.is_empty()).map(|text| ChassisName::from(text.as_str())),
        labels: super::scalar::labels(object.metadata.labels.as_ref()),
        addresses: addresses(object, &mut notes),
        providers_not_ready: labels()
            .filter(|(_, value)| *value != "true")
            .filter_map(|(label, _)| label.strip_suffix(PROVIDER_READY).map(ProviderName::from))
            .collect(),
    }))
}

fn ready(object: &core::Node) -> bool {
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_deref());
    let condition = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    condition.is_none_or(|condition| condition.status == "True")
}

fn addresses(object: &core::Node, notes: &mut Notes) -> BTreeSet<IpAddr> {
    let addresses = object.status.as_ref().and_then(|status| status.addresses.as_deref());
    let addresses = addresses.unwrap_or_default().iter().enumerate();
    let addresses = addresses.filter(|(_, entry)| matches!(&*entry.type_, "InternalIP" | "ExternalIP"));
    addresses
        .filter_map(|(i, entry)| notes.address(format!("status.addresses[{i}].address"), &entry.address))
        .collect()
}
