//! What a speaker publishes: its report for the other speakers, on a Lease, and MetalLB's ServiceL2Status of the Services
//! that it announces. Both are in a namespace of their own, so that what speakers may write there is nothing else's.

use std::time::Duration;

use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, Preconditions,
};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::kube::convert::{MANAGED_BY, REPORT, written};
use crate::kube::crd;
use crate::kube::saying::{NAMESPACE, Owner, l2_status_key};
use crate::model::{InterfaceName, ServiceKey, SpeakerReport};

const MANAGER: &str = "ovn-vip-speaker";
/// No node's name (RFC 1123 knows no underscore). Readers look at `.status`.
const NO_NODE: &str = "ovn_vip";

/// Writes a report over the one that is there.
pub(super) async fn report(
    client: &Client,
    report: &SpeakerReport,
    owner: &Owner,
    lasts: Duration,
) -> kube::Result<()> {
    let name = &*report.key.name;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": { MANAGED_BY.0: MANAGED_BY.1 },
            "annotations": { REPORT: written(report) },
            "ownerReferences": references(owner),
        },
        "spec": {
            "holderIdentity": report.node.as_str(),
            "renewTime": format!("{:.6}", Timestamp::now()),
            "leaseDurationSeconds": lasts.as_secs(),
        },
    });
    let api: Api<coordination::Lease> = Api::namespaced(client.clone(), &report.key.namespace);
    api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(lease)).await.map(drop)
}

/// Writes that the owner's node announces a Service on that interface. Its `status.node` cannot be changed, so one of
/// another node goes first.
pub(super) async fn l2_status(
    client: &Client,
    service: &ServiceKey,
    owner: &Owner,
    interface: &InterfaceName,
) -> kube::Result<()> {
    match state(client, service, owner, interface).await {
        Err(kube::Error::Api(status)) if status.code == 422 => {
            no_l2_status(client, service, None).await?;
            state(client, service, owner, interface).await
        }
        done => done,
    }
}

async fn state(
    client: &Client,
    service: &ServiceKey,
    owner: &Owner,
    interface: &InterfaceName,
) -> kube::Result<()> {
    let key = l2_status_key(service);
    let object = json!({
        "apiVersion": crd::METALLB_VERSION,
        "kind": "ServiceL2Status",
        "metadata": {
            "name": &*key.name,
            "labels": {
                MANAGED_BY.0: MANAGED_BY.1,
                // MetalLB's speaker deletes those that name its own node here and that it did not write.
                "metallb.io/node": NO_NODE,
                "metallb.io/service-name": &*service.name,
                "metallb.io/service-namespace": &*service.namespace,
            },
            "ownerReferences": references(owner),
        },
    });
    let status = json!({ "status": {
        "node": owner.node.as_str(),
        "serviceName": &*service.name,
        "serviceNamespace": &*service.namespace,
        "interfaces": [{ "name": interface.as_str() }],
    } });
    let api = l2_statuses(client);
    api.patch(&key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?;
    api.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}

fn references(owner: &Owner) -> Value {
    let Owner { node, uid } = owner;
    let reference = json!({ "apiVersion": "v1", "kind": "Node", "name": node.as_str(), "uid": uid });
    if uid.is_empty() { json!([]) } else { json!([reference]) }
}

/// Takes the ServiceL2Status of a Service away: the one of that uid, or, without one, whosever it is.
pub(super) async fn no_l2_status(
    client: &Client,
    service: &ServiceKey,
    uid: Option<&str>,
) -> kube::Result<()> {
    let key = l2_status_key(service);
    let only = uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None });
    let parameters = DeleteParams { preconditions: only, ..DeleteParams::default() };
    match l2_statuses(client).delete(&key.name, &parameters).await {
        // It is gone, or (409) it is another's by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        deleted => deleted.map(drop),
    }
}

fn l2_statuses(client: &Client) -> Api<DynamicObject> {
    let (group, version) = crd::METALLB_VERSION.split_once('/').unwrap_or_default();
    let kind = GroupVersionKind::gvk(group, version, "ServiceL2Status");
    let kind = ApiResource::from_gvk_with_plural(&kind, "servicel2statuses");
    Api::namespaced_with(client.clone(), NAMESPACE, &kind)
}
