//! An object as it came, whatever its kind, and the kinds that are watched.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{ApiResource, GroupVersionKind};
use kube::core::DynamicResourceScope;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::kube::Kind;
use crate::kube::convert::writes;
use crate::kube::saying::NAMESPACE;

/// Whether a cluster without this kind can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot: nothing is decided before its objects are known.
    Required,
    /// It can; where the kind appears later it is picked up.
    Optional,
}

/// A kind that is watched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub kind: Kind,
    /// Kubernetes' own name of the kind.
    pub name: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub need: Need,
    /// Where; everywhere, where there is none.
    pub namespace: Option<&'static str>,
    /// Who watches it.
    pub by: By,
}

/// Who watches a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Whoever serves VIPs.
    All,
    /// Only who gives out addresses.
    Givers,
}

const KUBE_OVN: &str = "kubeovn.io";
const METALLB: &str = "metallb.io";

/// Every kind that is watched, a line each. `deploy/` grants `list` and `watch` on exactly these: on those of one
/// namespace in a Role, on the others in a ClusterRole.
#[rustfmt::skip]
pub(super) const WATCHED: &[Watched] = &[
    Watched { kind: Kind::Service, name: "Service", group: "", version: "v1", plural: "services", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::EndpointSlice, name: "EndpointSlice", group: "discovery.k8s.io", version: "v1", plural: "endpointslices", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::Node, name: "Node", group: "", version: "v1", plural: "nodes", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::Subnet, name: "Subnet", group: KUBE_OVN, version: "v1", plural: "subnets", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::Vlan, name: "Vlan", group: KUBE_OVN, version: "v1", plural: "vlans", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::ProviderNetwork, name: "ProviderNetwork", group: KUBE_OVN, version: "v1", plural: "provider-networks", need: Need::Required, namespace: None, by: By::All },
    Watched { kind: Kind::Allocation, name: "IP", group: KUBE_OVN, version: "v1", plural: "ips", need: Need::Optional, namespace: None, by: By::All },
    Watched { kind: Kind::AddressPool, name: "IPAddressPool", group: METALLB, version: "v1beta1", plural: "ipaddresspools", need: Need::Optional, namespace: None, by: By::All },
    Watched { kind: Kind::Advertisement, name: "L2Advertisement", group: METALLB, version: "v1beta1", plural: "l2advertisements", need: Need::Optional, namespace: None, by: By::All },
    Watched { kind: Kind::L2Status, name: "ServiceL2Status", group: METALLB, version: "v1beta1", plural: "servicel2statuses", need: Need::Optional, namespace: None, by: By::All },
    Watched { kind: Kind::Report, name: "Lease", group: "coordination.k8s.io", version: "v1", plural: "leases", need: Need::Optional, namespace: Some(NAMESPACE), by: By::All },
    Watched { kind: Kind::Vip, name: "Vip", group: KUBE_OVN, version: "v1", plural: "vips", need: Need::Optional, namespace: None, by: By::Givers },
    Watched { kind: Kind::Namespace, name: "Namespace", group: "", version: "v1", plural: "namespaces", need: Need::Optional, namespace: None, by: By::Givers },
];

impl Watched {
    pub fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.name);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// As `kubectl` and RBAC name it, such as `subnets.kubeovn.io`.
    pub fn resource_name(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// An object: what the watch itself needs of it, and the whole for conversion. It lives until it is converted.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    metadata: ObjectMeta,
    pub body: Value,
}

impl Raw {
    pub fn new(body: Value) -> Self {
        let field = |name: &str| body["metadata"][name].as_str().map(str::to_owned);
        let metadata = ObjectMeta {
            name: field("name"),
            namespace: field("namespace"),
            resource_version: field("resourceVersion"),
            // A bookmark says with one that the initial list is over.
            annotations: Deserialize::deserialize(&body["metadata"]["annotations"]).unwrap_or_default(),
            ..ObjectMeta::default()
        };
        Self { metadata, body }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut body = Value::deserialize(from)?;
        // Half of an object's size, and nothing for us but who gave a Service its addresses.
        let managed = body.get_mut("metadata").and_then(Value::as_object_mut).and_then(|metadata| {
            let managed = metadata.get_mut("managedFields").and_then(Value::as_array_mut)?;
            managed.retain(|entry| writes(&entry["fieldsV1"]));
            managed.is_empty().then_some(metadata)
        });
        if let Some(metadata) = managed {
            metadata.remove("managedFields");
        }
        Ok(Self::new(body))
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn managed_fields_are_dropped_as_soon_as_an_object_is_read() {
        let text =
            json!({ "metadata": { "name": "s", "resourceVersion": "7", "managedFields": [{ "a": 1 }] } });
        let raw: Raw = serde_json::from_str(&text.to_string()).unwrap();
        assert_eq!(raw.body, json!({ "metadata": { "name": "s", "resourceVersion": "7" } }));
        assert_eq!(raw.meta().resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn who_gave_a_service_its_addresses_is_kept() {
        let fields =
            json!({ "f:metadata": { "f:annotations": { "f:metallb.io/ip-allocated-from-pool": {} } } });
        let managed = json!([{ "manager": "a", "fieldsV1": {} }, { "manager": "b", "fieldsV1": fields }]);
        let raw: Raw =
            serde_json::from_str(&json!({ "metadata": { "managedFields": managed } }).to_string()).unwrap();
        assert_eq!(raw.body["metadata"]["managedFields"], json!([managed[1]]));
    }

    #[test]
    fn every_row_of_the_table_is_the_kind_that_it_converts_as() {
        for watched in WATCHED {
            let api_version = watched.resource().api_version;
            assert_eq!(Kind::of(&api_version, watched.name), Some(watched.kind), "{}", watched.name);
        }
    }

    type Verbs = BTreeMap<String, BTreeSet<String>>;

    /// Resource to verbs, of a role of `deploy/`.
    fn granted(kind: &str, namespace: Option<&str>, role: &str) -> Verbs {
        let text = include_str!("../../../../deploy/rbac.yaml");
        let documents = text.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
        let is_it = |it: &Value| {
            let metadata = &it["metadata"];
            it["kind"] == kind && metadata["name"] == role && metadata["namespace"].as_str() == namespace
        };
        let role = documents.into_iter().find(is_it).unwrap();
        let words = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
        let mut granted = Verbs::new();
        for rule in role["rules"].as_array().unwrap() {
            let group = &words(&rule["apiGroups"])[0];
            for resource in words(&rule["resources"]) {
                let name = if group.is_empty() { resource } else { format!("{resource}.{group}") };
                granted.entry(name).or_default().extend(words(&rule["verbs"]));
            }
        }
        granted
    }

    fn watched_in(namespace: Option<&str>, by: &[By]) -> Verbs {
        let verbs = || ["list", "watch"].map(str::to_owned).into();
        let watched = WATCHED.iter().filter(|it| it.namespace == namespace && by.contains(&it.by));
        watched.map(|watched| (watched.resource_name(), verbs())).collect()
    }

    fn and(mut verbs: Verbs, more: &[(&str, &[&str])]) -> Verbs {
        for (resource, more) in more {
            let granted = verbs.entry((*resource).to_owned()).or_default();
            granted.extend(more.iter().map(|verb| (*verb).to_owned()));
        }
        verbs
    }

    #[test]
    fn deploy_grants_what_is_watched_and_written_and_nothing_else() {
        let event: (&str, &[&str]) = ("events.events.k8s.io", &["create"]);
        let wanted = and(watched_in(None, &[By::All]), &[event]);
        assert_eq!(granted("ClusterRole", None, "ovn-vip-speaker"), wanted);
        let wanted = and(watched_in(None, &[By::All, By::Givers]), &[event]);
        let written: &[(&str, &[&str])] = &[
            ("services/status", &["patch"]),
            ("subnets.kubeovn.io", &["patch"]),
            ("ipaddresspools/status.metallb.io", &["patch"]),
        ];
        let wanted = and(wanted, written);
        assert_eq!(granted("ClusterRole", None, "ovn-vip-controller"), wanted);

        let here = watched_in(Some(NAMESPACE), &[By::All]);
        assert_eq!(granted("Role", Some(NAMESPACE), "ovn-vip-controller"), here);
        let written: &[(&str, &[&str])] = &[
            ("leases.coordination.k8s.io", &["create", "patch"]),
            ("servicel2statuses.metallb.io", &["create", "patch", "delete"]),
            ("servicel2statuses/status.metallb.io", &["patch"]),
        ];
        assert_eq!(granted("Role", Some(NAMESPACE), "ovn-vip-speaker"), and(here, written));
    }
}
