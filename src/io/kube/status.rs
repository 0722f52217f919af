//! Writes what is to be said on objects of the cluster: a condition on Services, annotations on Subnets, Events on both.
//!
//! A condition is applied (server-side) with a field manager of our own, annotations are patched key by key: nothing
//! else of an object is touched.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hyper::http::Request;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::events::v1 as events;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::publish;
use super::watch::{forbidden, root};
use crate::kube::convert::FROM_POOL;
use crate::kube::crd;
use crate::kube::marks::{ALLOCATOR, COUNTS, SERVED, Served, shortened};
use crate::kube::saying::{NAMESPACE, Regarding, Saying};
use crate::model::{PoolKey, ServiceKey, SubnetName};

const MANAGER: &str = "ovn-vip";
/// The longest `note` of an Event (Kubernetes API, Event v1).
const NOTE_LIMIT: usize = 1024;

/// Says one thing. An object that is gone needs no word any more. The error has its cure.
pub async fn say(client: &Client, saying: &Saying) -> Result<(), String> {
    let (done, verb, resource) = match saying {
        Saying::Condition { service, since, served } => {
            (condition(client, service, since.as_deref(), served.as_ref()).await, "patch", "services/status")
        }
        Saying::Annotations { subnet, annotations } => {
            (annotate(client, subnet, annotations).await, "patch", "subnets.kubeovn.io")
        }
        Saying::ExcludeIps { subnet, found, wanted } => {
            (exclude(client, subnet, found.as_deref(), wanted).await, "patch", "subnets.kubeovn.io")
        }
        Saying::Addresses { service, version, addresses, pool } => {
            (give(client, service, version, addresses, pool.as_deref()).await, "patch", "services/status")
        }
        Saying::PoolCounts { pool, counts } => {
            (count(client, pool, *counts).await, "patch", "ipaddresspools/status.metallb.io")
        }
        Saying::Event { regarding, warning, reason, note, about: _ } => {
            (event(client, regarding, *warning, reason, note).await, "create", "events.events.k8s.io")
        }
        Saying::Report { report, owner, lasts } => (
            publish::report(client, report, owner, *lasts).await,
            "create and patch",
            "leases.coordination.k8s.io",
        ),
        Saying::L2Status { service, owner, interface } => {
            let done = publish::l2_status(client, service, owner, interface).await;
            (done, "create, patch and delete", "servicel2statuses.metallb.io")
        }
        Saying::NoL2Status { service, uid } => (
            publish::no_l2_status(client, service, Some(uid)).await,
            "delete",
            "servicel2statuses.metallb.io",
        ),
    };
    let published = matches!(saying, Saying::Report { .. } | Saying::L2Status { .. });
    match done {
        Ok(()) => Ok(()),
        Err(kube::Error::Api(status)) if published && lacks_namespace(&status) => Err(format!(
            "{resource} cannot be written: namespace {NAMESPACE} is not there: apply deploy/rbac.yaml"
        )),
        // Somebody took it away meanwhile: the watch tells, and it is compared anew.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        // Somebody was faster (RFC 6902 §5): the watch brings what they wrote, and it is compared anew.
        Err(kube::Error::Api(status))
            if status.code == 422 && matches!(saying, Saying::ExcludeIps { .. }) =>
        {
            Ok(())
        }
        // The Service is another one than it was decided by: it is decided anew.
        Err(kube::Error::Api(status)) if status.code == 409 && matches!(saying, Saying::Addresses { .. }) => {
            Ok(())
        }
        // An admission policy's word is in its message; RBAC's needs the cure.
        Err(kube::Error::Api(status)) if status.code == 403 && !status.message.contains("denied request") => {
            Err(forbidden(verb, resource))
        }
        Err(error) => Err(format!("{resource} cannot be written: {}", root(&error))),
    }
}

/// Whether that is what was not found: the object itself, or its kind, may be.
fn lacks_namespace(status: &kube::core::Status) -> bool {
    status.code == 404 && status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

async fn condition(
    client: &Client,
    service: &ServiceKey,
    since: Option<&str>,
    served: Option<&Served>,
) -> kube::Result<()> {
    let conditions = served.map(|Served { status, reason, message }| {
        json!({
            "type": SERVED,
            "status": status.as_str(),
            "reason": reason,
            "message": message,
            "lastTransitionTime": since.map_or_else(now, str::to_owned),
        })
    });
    let patch = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": &*service.name },
        "status": { "conditions": conditions.into_iter().collect::<Vec<_>>() },
    });
    let api: Api<core::Service> = Api::namespaced(client.clone(), &service.namespace);
    api.patch_status(&service.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch))
        .await
        .map(drop)
}

/// In one write, so that nobody sees half of it: annotations may be written with the status, as MetalLB does.
async fn give(
    client: &Client,
    service: &ServiceKey,
    version: &str,
    addresses: &[IpAddr],
    pool: Option<&str>,
) -> kube::Result<()> {
    let ingress: Vec<Value> =
        addresses.iter().map(|address| json!({ "ip": address, "ipMode": "VIP" })).collect();
    let patch = json!({
        "metadata": { "resourceVersion": version, "annotations": { FROM_POOL: pool } },
        "status": { "loadBalancer": { "ingress": if ingress.is_empty() { Value::Null } else { ingress.into() } } },
    });
    let api: Api<core::Service> = Api::namespaced(client.clone(), &service.namespace);
    let how = PatchParams { field_manager: Some(ALLOCATOR.to_owned()), ..PatchParams::default() };
    api.patch_status(&service.name, &how, &Patch::Merge(patch)).await.map(drop)
}

async fn count(client: &Client, pool: &PoolKey, counts: [u64; 4]) -> kube::Result<()> {
    let (group, version) = crd::METALLB_VERSION.split_once('/').unwrap_or_default();
    let kind = GroupVersionKind::gvk(group, version, "IPAddressPool");
    let kind = ApiResource::from_gvk_with_plural(&kind, "ipaddresspools");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &pool.namespace, &kind);
    let status: serde_json::Map<String, Value> =
        COUNTS.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), count.into())).collect();
    let how = PatchParams { field_manager: Some(ALLOCATOR.to_owned()), ..PatchParams::default() };
    api.patch_status(&pool.name, &how, &Patch::Merge(json!({ "status": status }))).await.map(drop)
}

async fn annotate(
    client: &Client,
    subnet: &SubnetName,
    annotations: &BTreeMap<String, Option<String>>,
) -> kube::Result<()> {
    let (group, version) = crd::API_VERSION.split_once('/').unwrap_or_default();
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, "Subnet"), "subnets");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let patch = json!({ "metadata": { "annotations": annotations } });
    api.patch(subnet.as_str(), &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// Replaces the list if it still is what was found, by a JSON patch with a test (RFC 6902 §4.6): Kube-OVN and people
/// write it as well, and nothing of theirs is lost.
async fn exclude(
    client: &Client,
    subnet: &SubnetName,
    found: Option<&[String]>,
    wanted: &[String],
) -> kube::Result<()> {
    const PATH: &str = "/spec/excludeIps";
    // A list that was not there must not be there still: null is what the API server takes an absent member for.
    let patch = json!([
        { "op": "test", "path": PATH, "value": found },
        { "op": "add", "path": PATH, "value": wanted },
    ]);
    let request = Request::patch(format!("/apis/{}/subnets/{subnet}", crd::API_VERSION))
        .header("content-type", "application/json-patch+json")
        .body(patch.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request::<Value>(request).await.map(drop)
}

async fn event(
    client: &Client,
    regarding: &Regarding,
    warning: bool,
    reason: &str,
    note: &str,
) -> kube::Result<()> {
    let (api_version, kind, namespace, name, uid) = match regarding {
        Regarding::Service(key, uid) => ("v1", "Service", &*key.namespace, &*key.name, uid),
        // Events on objects without a namespace are kept in this one, as the API server asks.
        Regarding::Subnet(name, uid) => (crd::API_VERSION, "Subnet", "default", name.as_str(), uid),
    };
    let mut object = json!({ "apiVersion": api_version, "kind": kind, "name": name });
    for (field, value) in [("namespace", namespace), ("uid", uid.as_str())] {
        if !value.is_empty() && (field != "namespace" || kind == "Service") {
            object[field] = value.into();
        }
    }
    let event = json!({
        "metadata": { "name": format!("{name}.{:x}", Timestamp::now().as_nanosecond()), "namespace": namespace },
        "eventTime": format!("{:.6}", Timestamp::now()),
        "reportingController": MANAGER,
        "reportingInstance": MANAGER,
        "action": "Serve",
        "type": if warning { "Warning" } else { "Normal" },
        "reason": reason,
        "note": shortened(note, NOTE_LIMIT),
        "regarding": object,
    });
    let event: events::Event = serde_json::from_value(event).map_err(kube::Error::SerdeError)?;
    let api: Api<events::Event> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &event).await.map(drop)
}

fn now() -> String {
    format!("{:.0}", Timestamp::now())
}
