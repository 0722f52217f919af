//! EndpointSlices.

use k8s_openapi::api::discovery::v1 as discovery;
use serde_json::Value;

use super::{Converted, Notes};
use crate::kube::{Kind, Problem};
use crate::model::{
    Endpoint, EndpointSlice, Family, NodeName, Object, ObjectKey, ServiceKey, SliceKey, SlicePort,
};

/// The label that joins a slice to its Service (Kubernetes API, well-known labels).
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An EndpointSlice. One of host names, or of no Service, is not ours.
pub fn endpoint_slice(object: &discovery::EndpointSlice, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::EndpointSlice, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let key = SliceKey::new(notes.namespace, notes.name);
    let Some(service) = service_of(&key, object) else { return Converted::NotOurs(notes.key()) };
    let family = match object.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        "FQDN" => return Converted::NotOurs(notes.key()),
        other => return notes.unusable("addressType", other, "write IPv4 or IPv6"),
    };
    let ports = object.ports.as_deref().unwrap_or_default().iter().enumerate();
    let ports = ports.filter_map(|(i, port)| slice_port(i, port, &mut notes)).collect();
    let endpoints = object.endpoints.iter().enumerate();
    let endpoints = endpoints.filter_map(|(i, entry)| endpoint(i, entry, family, &mut notes)).collect();
    Converted::Object(Object::EndpointSlice(EndpointSlice { key, service, family, ports, endpoints }))
}

fn service_of(key: &SliceKey, object: &discovery::EndpointSlice) -> Option<ServiceKey> {
    let name = object.metadata.labels.as_ref()?.get(SERVICE_NAME).filter(|name| !name.is_empty())?;
    Some(ServiceKey { namespace: key.namespace.clone(), name: name.as_str().into() })
}

/// The Service that an EndpointSlice says it belongs to, also of one that is otherwise unreadable.
pub fn slice_owner(key: &ObjectKey, object: &Value) -> Option<ServiceKey> {
    let ObjectKey::EndpointSlice(key) = key else { return None };
    let name = object["metadata"]["labels"][SERVICE_NAME].as_str().filter(|name| !name.is_empty())?;
    Some(ServiceKey { namespace: key.namespace.clone(), name: name.into() })
}

fn slice_port(i: usize, entry: &discovery::EndpointPort, notes: &mut Notes) -> Option<SlicePort> {
    let protocol = notes.protocol(format!("ports[{i}].protocol"), entry.protocol.as_deref());
    let Some(number) = entry.port else {
        notes.say(format!("ports[{i}].port"), "", "write the port that the pods listen on");
        return None;
    };
    let port = notes.port(format!("ports[{i}].port"), number);
    let name = entry.name.as_deref().unwrap_or_default().into();
    Some(SlicePort { name, protocol: protocol?, port: port? })
}

/// The conditions' defaults are the API's own (EndpointConditions v1).
fn endpoint(i: usize, entry: &discovery::Endpoint, family: Family, notes: &mut Notes) -> Option<Endpoint> {
    let field = format!("endpoints[{i}].addresses[0]");
    let Some(text) = entry.addresses.first() else {
        notes.say(field, "", "write the endpoint's address");
        return None;
    };
    let address = notes.address(field.as_str(), text)?;
    if Family::of(address) != family {
        notes.say(field, text.as_str(), &format!("write an {family} address, as addressType says"));
        return None;
    }
    let conditions = entry.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    Some(Endpoint {
        address,
        node: entry.node_name.as_deref().filter(|name| !name.is_empty()).map(NodeName::from),
        ready,
        serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
        terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
    })
}
