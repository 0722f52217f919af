//! What a speaker publishes: its report for the other speakers, on a Lease, and MetalLB's ServiceL2Status of the Services
//! that it announces. Both are in a namespace of their own, so that what speakers may write there is nothing else's.

use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::convert::{MANAGED_BY, REPORT, written};
use super::crd;
use crate::model::{InterfaceName, L2StatusKey, NodeName, ReportKey, ServiceKey, SpeakerReport};

/// The namespace. `deploy/` makes it.
pub const NAMESPACE: &str = "ovn-vip";

const MANAGER: &str = "ovn-vip-speaker";

/// A Node, as what belongs to it: what is owned by it goes with it (Kubernetes garbage collection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub node: NodeName,
    /// `metadata.uid`; empty where it is not known, and nothing is owned.
    pub uid: String,
}

impl Owner {
    fn references(&self) -> Value {
        let reference =
            json!({ "apiVersion": "v1", "kind": "Node", "name": self.node.as_str(), "uid": self.uid });
        if self.uid.is_empty() { json!([]) } else { json!([reference]) }
    }
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

/// Writes a report over the one that is there.
pub(super) async fn report(client: &Client, report: &SpeakerReport, owner: &Owner) -> kube::Result<()> {
    let name = &*report.key.name;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": { MANAGED_BY.0: MANAGED_BY.1 },
            "annotations": { REPORT: written(report) },
            "ownerReferences": owner.references(),
        },
        "spec": { "holderIdentity": report.node.as_str(), "renewTime": format!("{:.6}", Timestamp::now()) },
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
            no_l2_status(client, service).await?;
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
                "metallb.io/node": owner.node.as_str(),
                "metallb.io/service-name": &*service.name,
                "metallb.io/service-namespace": &*service.namespace,
            },
            "ownerReferences": owner.references(),
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

/// Takes the ServiceL2Status of a Service away, whosever it is.
pub(super) async fn no_l2_status(client: &Client, service: &ServiceKey) -> kube::Result<()> {
    let key = l2_status_key(service);
    match l2_statuses(client).delete(&key.name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => deleted.map(drop),
    }
}

fn l2_statuses(client: &Client) -> Api<DynamicObject> {
    let (group, version) = crd::METALLB_VERSION.split_once('/').unwrap_or_default();
    let kind = GroupVersionKind::gvk(group, version, "ServiceL2Status");
    let kind = ApiResource::from_gvk_with_plural(&kind, "servicel2statuses");
    Api::namespaced_with(client.clone(), NAMESPACE, &kind)
}
