//! What we say on objects of the cluster: a condition on Services, annotations on Subnets, Events on both.
//!
//! [`Marks`] is what stands there, read from the watch; whoever decides compares with it and writes what differs. A
//! condition is applied (server-side) with a field manager of our own, annotations are patched key by key: nothing
//! else of an object is touched.

use std::collections::BTreeMap;

use hyper::http::Request;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::events::v1 as events;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::publish::Owner;
use super::watch::{forbidden, root};
use super::{crd, publish};
use crate::model::{InterfaceName, ServiceKey, SpeakerReport, SubnetName};

/// The type of our condition on a Service.
pub const SERVED: &str = "ovn-vip.io/Served";
/// Annotation of a Subnet: the VIPs that are served in it.
pub const VIPS: &str = "ovn-vip.io/vips";
/// Annotation of a Subnet: what is declined in it.
pub const WARNINGS: &str = "ovn-vip.io/warnings";
/// Annotation of a Subnet: the MAC of its switch's router port, which speakers cannot see.
pub const STEERING_MAC: &str = "ovn-vip.io/steering-mac";

const MANAGER: &str = "ovn-vip";
/// The longest `note` of an Event (Kubernetes API, Event v1).
const NOTE_LIMIT: usize = 1024;

/// Our condition on a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// `status`.
    pub served: bool,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
}

/// What stands on an object of what we say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `metadata.uid`.
    pub uid: String,
    /// The condition, with its `lastTransitionTime`.
    pub served: Option<(Served, String)>,
    /// Our annotations.
    pub annotations: BTreeMap<String, String>,
    /// A Subnet's `spec.excludeIps`, as it is written; none where the field is not there.
    pub exclude_ips: Option<Vec<String>>,
}

impl Marks {
    /// Reads them.
    pub fn read(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = object["status"]["conditions"].as_array();
        let ours = conditions.into_iter().flatten().find(|condition| condition["type"] == SERVED);
        let served = ours.map(|ours| {
            let served = Served {
                served: ours["status"] == "True",
                reason: text(&ours["reason"]),
                message: text(&ours["message"]),
            };
            (served, text(&ours["lastTransitionTime"]))
        });
        let annotations = [VIPS, WARNINGS, STEERING_MAC].into_iter().filter_map(|name| {
            let value = object["metadata"]["annotations"][name].as_str()?;
            Some((name.to_owned(), value.to_owned()))
        });
        let annotations: BTreeMap<String, String> = annotations.collect();
        let uid = text(&object["metadata"]["uid"]);
        let list = object["spec"]["excludeIps"].as_array();
        let exclude_ips = list.map(|list| list.iter().map(text).collect());
        Self { uid, served, annotations, exclude_ips }
    }

    /// Whether nothing of ours stands there.
    pub fn is_empty(&self) -> bool {
        self.served.is_none() && self.annotations.is_empty()
    }
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The condition of a Service; none takes it away.
    Condition {
        /// The Service.
        service: ServiceKey,
        /// Since when the status is this, where it was this before.
        since: Option<String>,
        /// The condition.
        served: Option<Served>,
    },
    /// Annotations of a Subnet; `None` takes one away.
    Annotations {
        /// The Subnet.
        subnet: SubnetName,
        /// By name.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// A Subnet's `spec.excludeIps`, where an operator asked for it to be fixed.
    ExcludeIps {
        /// The Subnet.
        subnet: SubnetName,
        /// The list that was read: a list that somebody has altered since is left alone.
        found: Option<Vec<String>>,
        /// The whole new list.
        wanted: Vec<String>,
    },
    /// An Event.
    Event {
        /// On what.
        regarding: Regarding,
        /// Whether a human may have to act.
        warning: bool,
        /// A short name.
        reason: String,
        /// The words.
        note: String,
        /// What keeps it apart from other Events of the same reason on the same object; may be empty.
        about: String,
    },
    /// A speaker's report.
    Report {
        /// What it says.
        report: SpeakerReport,
        /// Its node.
        owner: Owner,
    },
    /// That a node announces a Service, in MetalLB's way.
    L2Status {
        /// The Service.
        service: ServiceKey,
        /// The node.
        owner: Owner,
        /// Where it answers.
        interface: InterfaceName,
    },
    /// That no node of ours announces a Service any more.
    NoL2Status(ServiceKey),
}

/// What an Event is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regarding {
    /// A Service, with its uid.
    Service(ServiceKey, String),
    /// A Subnet, with its uid.
    Subnet(SubnetName, String),
}

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
        Saying::Event { regarding, warning, reason, note, about: _ } => {
            (event(client, regarding, *warning, reason, note).await, "create", "events.events.k8s.io")
        }
        Saying::Report { report, owner } => {
            (publish::report(client, report, owner).await, "create and patch", "leases.coordination.k8s.io")
        }
        Saying::L2Status { service, owner, interface } => {
            let done = publish::l2_status(client, service, owner, interface).await;
            (done, "create, patch and delete", "servicel2statuses.metallb.io")
        }
        Saying::NoL2Status(service) => {
            (publish::no_l2_status(client, service).await, "delete", "servicel2statuses.metallb.io")
        }
    };
    let published = matches!(saying, Saying::Report { .. } | Saying::L2Status { .. });
    match done {
        Ok(()) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 && published => Err(format!(
            "{resource} cannot be written: namespace {} is not there: apply deploy/rbac.yaml",
            publish::NAMESPACE
        )),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        // Somebody was faster (RFC 6902 §5): the watch brings what they wrote, and it is compared anew.
        Err(kube::Error::Api(status))
            if status.code == 422 && matches!(saying, Saying::ExcludeIps { .. }) =>
        {
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Err(forbidden(verb, resource)),
        Err(error) => Err(format!("{resource} cannot be written: {}", root(&error))),
    }
}

async fn condition(
    client: &Client,
    service: &ServiceKey,
    since: Option<&str>,
    served: Option<&Served>,
) -> kube::Result<()> {
    let conditions = served.map(|Served { served, reason, message }| {
        json!({
            "type": SERVED,
            "status": if *served { "True" } else { "False" },
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

/// A text of at most so many bytes, with a mark where something was left out.
pub fn shortened(text: &str, limit: usize) -> String {
    const LEFT_OUT: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - LEFT_OUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{LEFT_OUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_ours_alone() {
        let foreign = json!({ "metadata": { "annotations": { "a": "b" } },
            "status": { "conditions": [{ "type": "Other", "status": "True" }] } });
        assert!(Marks::read(&foreign).is_empty());
        let object = json!({
            "metadata": { "uid": "u", "annotations": { "a": "b", VIPS: "10.0.0.1 d/s" } },
            "status": { "conditions": [{ "type": SERVED, "status": "False", "reason": "NoReadyBackend",
                "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
        });
        let marks = Marks::read(&object);
        assert!(!marks.is_empty());
        let served = Served { served: false, reason: "NoReadyBackend".into(), message: "m".into() };
        assert_eq!(marks.served, Some((served, "2026-01-01T00:00:00Z".to_owned())));
        assert_eq!(marks.annotations, BTreeMap::from([(VIPS.to_owned(), "10.0.0.1 d/s".to_owned())]));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 6), "äöü");
        assert_eq!(shortened("äöüß", 7), "äö…");
    }
}
