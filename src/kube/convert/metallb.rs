//! MetalLB's pools, advertisements and statuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::scalar::{labels, parse_address};
use super::{Converted, MANAGED_BY, Notes};
use crate::kube::{Kind, Problem, crd};
use crate::model::{
    self, AddressPool, AddressRange, Advertisement, AdvertisementKey, Giving, L2Status, L2StatusKey, Object,
    PoolKey, Requirement, Selector, ServiceAllocation, ServiceKey,
};

/// An IPAddressPool. A bad entry costs that entry; and nothing is given out by what is not whole.
pub fn address_pool(object: &crd::AddressPool, problems: &mut Vec<Problem>) -> Converted {
    let before = problems.len();
    let Some(mut notes) = Notes::of(Kind::AddressPool, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::AddressPoolSpec { addresses, avoid_buggy_ips, auto_assign, service_allocation } = &object.spec;
    let ranges = addresses.iter().enumerate();
    let ranges =
        ranges.filter_map(|(i, text)| notes.pool_range(format!("spec.addresses[{i}]"), text)).collect();
    let allocation = service_allocation.as_ref().map(|found| notes.service_allocation(found));
    let key = PoolKey::new(notes.namespace, notes.name);
    let said = problems.iter().skip(before);
    let mut faults: Vec<Arc<str>> = said
        .map(|problem| format!("{} {:?}: {}", problem.field, problem.value, problem.cure).into())
        .collect();
    if addresses.is_empty() {
        faults.push("spec.addresses is empty: write a CIDR, or first-last".into());
    }
    Converted::Object(Object::AddressPool(AddressPool {
        key,
        labels: labels(object.metadata.labels.as_ref()),
        ranges,
        avoid_buggy_ips: *avoid_buggy_ips,
        giving: Giving { auto_assign: auto_assign.unwrap_or(true), allocation, faults },
    }))
}

/// A Namespace.
pub fn namespace(object: &Namespace, problems: &mut Vec<Problem>) -> Converted {
    let Some(notes) = Notes::of(Kind::Namespace, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    Converted::Object(Object::Namespace(model::Namespace {
        name: notes.name.into(),
        labels: labels(object.metadata.labels.as_ref()),
    }))
}

/// An L2Advertisement. A selector that cannot be read makes it unusable: without it too many would be selected.
pub fn advertisement(object: &crd::Advertisement, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Advertisement, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::AdvertisementSpec {
        ip_address_pools,
        ip_address_pool_selectors,
        service_selectors,
        node_selectors,
        interfaces,
    } = &object.spec;
    let selectors = [
        notes.selectors("spec.ipAddressPoolSelectors", ip_address_pool_selectors),
        notes.selectors("spec.serviceSelectors", service_selectors),
        notes.selectors("spec.nodeSelectors", node_selectors),
    ];
    let [Some(pool_selectors), Some(service_selectors), Some(node_selectors)] = selectors else {
        return Converted::Unusable;
    };
    Converted::Object(Object::Advertisement(Advertisement {
        key: AdvertisementKey::new(notes.namespace, notes.name),
        pools: ip_address_pools.iter().map(|name| name.as_str().into()).collect(),
        pool_selectors,
        service_selectors,
        node_selectors,
        interfaces: interfaces.iter().map(|name| name.as_str().into()).collect(),
    }))
}

/// A ServiceL2Status. One that says nothing yet is not ours to read.
pub fn l2_status(object: &crd::L2Status, problems: &mut Vec<Problem>) -> Converted {
    let Some(notes) = Notes::of(Kind::L2Status, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::L2StatusStatus { node, service_name, service_namespace } = &object.status;
    if node.is_empty() || service_name.is_empty() || service_namespace.is_empty() {
        return Converted::NotOurs(notes.key());
    }
    let (label, value) = MANAGED_BY;
    let managed_by = object.metadata.labels.as_ref().and_then(|labels| labels.get(label));
    Converted::Object(Object::L2Status(L2Status {
        key: L2StatusKey::new(notes.namespace, notes.name),
        service: ServiceKey::new(service_namespace, service_name),
        node: node.as_str().into(),
        ours: managed_by.is_some_and(|found| found == value),
    }))
}

impl Notes<'_> {
    /// What cannot be read is said, and left out: whoever gives addresses out looks whether anything was.
    fn service_allocation(&mut self, found: &crd::ServiceAllocation) -> ServiceAllocation {
        let field = |name: &str| format!("spec.serviceAllocation.{name}");
        let crd::ServiceAllocation { priority, namespaces, namespace_selectors, service_selectors } = found;
        if *priority < 0 {
            self.say(field("priority"), priority.to_string(), "write 0 for none, or a number above it");
        }
        let namespace_selectors = self.selectors(&field("namespaceSelectors"), namespace_selectors);
        let service_selectors = self.selectors(&field("serviceSelectors"), service_selectors);
        ServiceAllocation {
            priority: *priority,
            namespaces: namespaces.iter().map(|name| name.as_str().into()).collect(),
            namespace_selectors: namespace_selectors.unwrap_or_default(),
            service_selectors: service_selectors.unwrap_or_default(),
        }
    }

    /// A CIDR, or `first-last`.
    fn pool_range(&mut self, field: String, text: &str) -> Option<AddressRange> {
        let range = match text.split_once('-') {
            Some((first, last)) => {
                let ends = parse_address(first.trim()).zip(parse_address(last.trim()));
                ends.and_then(|(first, last)| AddressRange::new(first, last))
            }
            None => super::scalar::parse_cidr(text.trim())
                .and_then(|cidr: IpNet| AddressRange::new(cidr.network(), cidr.broadcast())),
        };
        if range.is_none() {
            self.say(field, text, "write a CIDR, or first-last of one family, lowest first");
        }
        range
    }

    /// `None` where one of them cannot be read.
    fn selectors(&mut self, field: &str, selectors: &[LabelSelector]) -> Option<Vec<Selector>> {
        let read = selectors
            .iter()
            .enumerate()
            .map(|(i, selector)| self.selector(format!("{field}[{i}]"), selector));
        read.collect::<Vec<_>>().into_iter().collect()
    }

    fn selector(&mut self, field: String, selector: &LabelSelector) -> Option<Selector> {
        let none = BTreeMap::new();
        let labels = selector.match_labels.as_ref().unwrap_or(&none).iter();
        let mut requirements: Vec<Requirement> = labels
            .map(|(key, value)| Requirement::In(key.as_str().into(), [value.as_str().into()].into()))
            .collect();
        for (i, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let key: Arc<str> = expression.key.as_str().into();
            let values = expression.values.iter().flatten().map(|value| value.as_str().into()).collect();
            requirements.push(match expression.operator.as_str() {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::DoesNotExist(key),
                other => {
                    let cure = "write In, NotIn, Exists or DoesNotExist";
                    self.say(format!("{field}.matchExpressions[{i}].operator"), other, cure);
                    return None;
                }
            });
        }
        Some(Selector { requirements })
    }
}
