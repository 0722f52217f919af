//! What a Service says of the addresses that it wants and has, in MetalLB's words.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::scalar::{list, parse_address};
use crate::model::{AddressRequest, Asked, Family, FamilyPolicy};

/// MetalLB's prefix of annotations, and the one that it had before 0.13.
const PREFIXES: [&str; 2] = ["metallb.io", "metallb.universe.tf"];
/// The annotation of the pool that addresses are from.
pub const FROM_POOL: &str = "metallb.io/ip-allocated-from-pool";
const ADDRESSES: &str = "loadBalancerIPs";

/// `held`: what stands in `status`.
pub(super) fn request(object: &core::Service, spec: &core::ServiceSpec, held: Vec<IpAddr>) -> AddressRequest {
    let metadata = &object.metadata;
    let local = spec.external_traffic_policy.as_deref() == Some("Local");
    let annotations = metadata.annotations.iter().flatten();
    let older = annotations.map(|(name, _)| name).filter(|name| name.starts_with("metallb.universe.tf/"));
    AddressRequest {
        families: families(metadata, spec, &held),
        held,
        from_pool: annotation(metadata, "ip-allocated-from-pool").map(Arc::from),
        given_by: giver(metadata),
        pool: annotation(metadata, "address-pool").filter(|name| !name.is_empty()).map(Arc::from),
        asked: asked(metadata, spec),
        sharing: annotation(metadata, "allow-shared-ip").unwrap_or_default().into(),
        backend: if local { selector(spec).into() } else { "".into() },
        policy: match spec.ip_family_policy.as_deref() {
            Some("PreferDualStack") => FamilyPolicy::PreferDual,
            Some("RequireDualStack") => FamilyPolicy::RequireDual,
            Some(_) | None => FamilyPolicy::Single,
        },
        prefers_v6: spec.ip_families.iter().flatten().next().is_some_and(|family| family == "IPv6"),
        deprecated: older.map(|name| name.as_str().into()).collect(),
    }
}

/// The newer name counts first.
fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    let annotations = metadata.annotations.as_ref()?;
    PREFIXES.iter().find_map(|prefix| annotations.get(&format!("{prefix}/{name}"))).map(String::as_str)
}

fn asked(metadata: &ObjectMeta, spec: &core::ServiceSpec) -> Asked {
    let field = spec.load_balancer_ip.as_deref().filter(|text| !text.is_empty());
    let annotation = annotation(metadata, ADDRESSES).filter(|text| !text.is_empty());
    let (name, text) = match (annotation, field) {
        (None, None) => return Asked::Any,
        (Some(_), Some(_)) => {
            let words = "it asks for addresses both in metallb.io/loadBalancerIPs and in spec.loadBalancerIP: \
                         keep one of them";
            return Asked::Unreadable(words.into());
        }
        (Some(text), None) => ("metallb.io/loadBalancerIPs", text),
        (None, Some(text)) => ("spec.loadBalancerIP", text),
    };
    let addresses: Option<Vec<IpAddr>> =
        list(text).map(parse_address).collect::<Option<_>>().filter(|all: &Vec<_>| !all.is_empty());
    let Some(addresses) = addresses else {
        let words = format!("{name} {text:?} cannot be used: write one plain address, or one of each family");
        return Asked::Unreadable(words.into());
    };
    let mut families: Vec<Family> = addresses.iter().map(|address| Family::of(*address)).collect();
    families.sort_unstable();
    families.dedup();
    if families.len() != addresses.len() {
        let words = format!("{name} {text:?} has two addresses of one family: write at most one of each");
        return Asked::Unreadable(words.into());
    }
    Asked::Addresses(addresses)
}

/// The families of the cluster IPs. A manifest that no API server has seen, or that was cleaned of what one adds, has none: it
/// says its families, or has addresses of them, or gets IPv4.
fn families(metadata: &ObjectMeta, spec: &core::ServiceSpec, held: &[IpAddr]) -> Vec<Family> {
    let listed = spec.cluster_ips.iter().flatten().map(String::as_str);
    let mut texts: Vec<&str> = listed.collect();
    if texts.is_empty() {
        texts.extend(spec.cluster_ip.as_deref().filter(|text| !text.is_empty()));
    }
    if texts.is_empty() && metadata.uid.is_none() {
        return families_of_manifest(spec, held);
    }
    let found = texts.into_iter().map(|text| parse_address(text).map(Family::of));
    let families: Option<Vec<Family>> = found.collect();
    match families.as_deref() {
        Some([one]) => vec![*one],
        Some([one, other]) if one != other => vec![*one, *other],
        Some(_) | None => Vec::new(),
    }
}

/// As an API server would complete them.
fn families_of_manifest(spec: &core::ServiceSpec, held: &[IpAddr]) -> Vec<Family> {
    let asked = spec.ip_families.iter().flatten();
    let asked = asked.map(|family| if family == "IPv6" { Family::V6 } else { Family::V4 });
    let mut families: Vec<Family> = asked.collect();
    if families.is_empty() {
        families.extend(held.iter().map(|address| Family::of(*address)));
        families.dedup();
        families.truncate(2);
    }
    if families.is_empty() {
        families.push(Family::V4);
    }
    if spec.ip_family_policy.as_deref() == Some("RequireDualStack")
        && let [one] = families[..]
    {
        families.push(if one == Family::V4 { Family::V6 } else { Family::V4 });
    }
    families
}

/// As `k8s.io/apimachinery/labels.Set.String()` writes it, which MetalLB compares.
fn selector(spec: &core::ServiceSpec) -> String {
    let labels = spec.selector.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join(",")
}

/// The field manager of the annotation.
fn giver(metadata: &ObjectMeta) -> Option<Arc<str>> {
    let mut managed = metadata.managed_fields.iter().flatten();
    let writer = managed.find(|entry| entry.fields_v1.as_ref().is_some_and(|fields| writes(&fields.0)))?;
    writer.manager.as_deref().map(Arc::from)
}

/// Whether these managed fields (FieldsV1) have the annotation of the pool that addresses are from.
pub fn writes(fields: &Value) -> bool {
    fields["f:metadata"]["f:annotations"].get(format!("f:{FROM_POOL}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(service: Value) -> AddressRequest {
        let object: core::Service = serde_json::from_value(service).unwrap();
        let spec = object.spec.clone().unwrap();
        request(&object, &spec, Vec::new())
    }

    #[test]
    fn annotations_of_both_prefixes_are_read_and_the_newer_one_counts() {
        let found = read(json!({ "metadata": { "annotations": {
            "metallb.io/address-pool": "a", "metallb.universe.tf/address-pool": "b",
            "metallb.universe.tf/allow-shared-ip": "k", "metallb.universe.tf/loadBalancerIPs": "10.0.0.9, fd00::9",
        } }, "spec": { "clusterIPs": ["10.96.0.1", "fd01::1"], "ipFamilyPolicy": "PreferDualStack" } }));
        assert_eq!((found.pool.as_deref(), &*found.sharing), (Some("a"), "k"));
        let asked = vec!["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        assert_eq!(found.asked, Asked::Addresses(asked));
        assert_eq!((found.families, found.policy), (vec![Family::V4, Family::V6], FamilyPolicy::PreferDual));
        assert_eq!(found.deprecated.len(), 3);
    }

    #[test]
    fn what_is_asked_for_and_makes_no_sense_is_said() {
        let asks = |annotation: &str, field: &str| {
            let annotations = json!({ "metallb.io/loadBalancerIPs": annotation });
            let service =
                json!({ "metadata": { "annotations": annotations }, "spec": { "loadBalancerIP": field } });
            match read(service).asked {
                Asked::Unreadable(words) => words.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert!(asks("10.0.0.1", "10.0.0.1").contains("keep one"));
        assert!(asks("10.0.0.1,10.0.0.2", "").contains("two addresses of one family"));
        for text in ["x", "10.0.0.1/32", "::ffff:10.0.0.1", "10.0.0.1;10.0.0.2", ","] {
            assert!(asks(text, "").contains("plain address"), "{text}");
        }
    }

    #[test]
    fn backends_are_told_apart_only_under_a_local_policy() {
        let backend = |policy: &str| {
            read(json!({ "metadata": {}, "spec": { "externalTrafficPolicy": policy, "selector": { "b": "2", "a": "1" } } }))
                .backend
        };
        assert_eq!((&*backend("Local"), &*backend("Cluster")), ("a=1,b=2", ""));
    }

    #[test]
    fn whoever_wrote_the_pools_name_gave_the_address() {
        let fields =
            json!({ "f:metadata": { "f:annotations": { "f:metallb.io/ip-allocated-from-pool": {} } } });
        let managed = json!([{ "manager": "kubectl", "fieldsV1": {} }, { "manager": "controller", "fieldsV1": fields }]);
        let found = read(json!({ "metadata": { "managedFields": managed }, "spec": {} }));
        assert_eq!(found.given_by.as_deref(), Some("controller"));
    }

    #[test]
    fn a_manifest_without_cluster_ips_has_the_families_that_it_says() {
        let of = |metadata: Value, spec: Value, held: &[&str]| {
            let held = held.iter().map(|text| text.parse().unwrap()).collect();
            let service = json!({ "metadata": metadata, "spec": spec });
            let object: core::Service = serde_json::from_value(service).unwrap();
            request(&object, object.spec.as_ref().unwrap(), held).families
        };
        let (none, both) = (json!({}), ["10.0.0.9", "fd00::9"]);
        assert_eq!(of(none.clone(), none.clone(), &[]), [Family::V4]);
        assert_eq!(of(none.clone(), json!({ "ipFamilies": ["IPv6"] }), &both), [Family::V6]);
        assert_eq!(of(none.clone(), none.clone(), &both), [Family::V4, Family::V6]);
        let dual = json!({ "ipFamilyPolicy": "RequireDualStack" });
        assert_eq!(of(none.clone(), dual.clone(), &[]), [Family::V4, Family::V6]);
        assert_eq!(of(none.clone(), dual, &["fd00::9"]), [Family::V6, Family::V4]);
        assert_eq!(of(json!({ "uid": "u" }), none, &both), []);
        assert_eq!(of(json!({ "uid": "u" }), json!({ "clusterIP": "None" }), &[]), []);
    }
}
