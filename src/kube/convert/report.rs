//! Speakers' reports: an annotation of a Lease of their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::coordination::v1 as coordination;
use serde::{Deserialize, Serialize};

use super::{Converted, MANAGED_BY, Notes};
use crate::kube::{Kind, Problem};
use crate::model::{Object, SegmentReport, SpeakerReport, Term};

/// The annotation with what the speaker says.
pub const REPORT: &str = "ovn-vip.io/speaker";

/// The annotation's value.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Written {
    subnets: BTreeMap<String, WrittenSegment>,
}

#[derive(Debug, Deserialize, Serialize)]
struct WrittenSegment {
    mac: String,
    ready: bool,
    vips: BTreeMap<IpAddr, Term>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<IpAddr, Term>,
}

/// The annotation's value for a report.
pub fn written(report: &SpeakerReport) -> String {
    let segment = |segment: &SegmentReport| WrittenSegment {
        mac: segment.mac.to_string(),
        ready: segment.ready,
        vips: segment.held.clone(),
        left: segment.left.clone(),
    };
    let subnets = report.segments.iter().map(|(subnet, found)| (subnet.to_string(), segment(found)));
    serde_json::to_string(&Written { subnets: subnets.collect() }).unwrap_or_default()
}

/// A Lease with a speaker's report on it; every other one is none of ours.
pub fn report(object: &coordination::Lease, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::Report, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let (label, value) = MANAGED_BY;
    let labels = object.metadata.labels.as_ref();
    let annotations = object.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(REPORT));
    let ours = labels.and_then(|labels| labels.get(label)).is_some_and(|found| found == value);
    let (Some(text), true) = (text, ours) else { return Converted::NotOurs(notes.key()) };
    let node = object.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    if node.is_empty() {
        return notes.unusable("spec.holderIdentity", "", "delete the Lease: its speaker writes it anew");
    }
    let field = format!("metadata.annotations[{REPORT}]");
    let Ok(Written { subnets }) = serde_json::from_str(text) else {
        return notes.unusable(&field, text, "delete the Lease: its speaker writes it anew");
    };
    let mut segments = BTreeMap::new();
    for (subnet, WrittenSegment { mac, ready, vips: held, left }) in subnets {
        match mac.parse() {
            Ok(mac) => drop(segments.insert(subnet.into(), SegmentReport { mac, ready, held, left })),
            Err(_) => notes.say(field.as_str(), mac, "delete the Lease: its speaker writes it anew"),
        }
    }
    let key = crate::model::ReportKey::new(notes.namespace, notes.name);
    Converted::Object(Object::Report(SpeakerReport { key, node: node.into(), segments }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(lease: serde_json::Value) -> (Converted, Vec<String>) {
        let mut problems = Vec::new();
        let lease: coordination::Lease = serde_json::from_value(lease).unwrap();
        let converted = report(&lease, &mut problems);
        (converted, problems.iter().map(ToString::to_string).collect())
    }

    fn lease(text: &str) -> serde_json::Value {
        json!({
            "metadata": { "namespace": "ovn-vip", "name": "speaker.node1",
                "labels": { "app.kubernetes.io/managed-by": "ovn-vip" }, "annotations": { REPORT: text } },
            "spec": { "holderIdentity": "node1" },
        })
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let held = [([10, 0, 0, 9].into(), 7)].into();
        let segment = SegmentReport {
            mac: "02:00:00:00:00:01".parse().unwrap(),
            ready: true,
            held,
            left: [([10, 0, 0, 8].into(), 3)].into(),
        };
        let report = SpeakerReport {
            key: crate::model::ReportKey::new("ovn-vip", "speaker.node1"),
            node: "node1".into(),
            segments: [("underlay".into(), segment)].into(),
        };
        let (converted, problems) = read(lease(&written(&report)));
        assert_eq!((converted, problems.len()), (Converted::Object(Object::Report(report)), 0));
    }

    #[test]
    fn other_leases_are_none_of_ours() {
        let mut foreign = lease("{}");
        foreign["metadata"]["labels"] = json!({});
        let mut bare = lease("{}");
        bare["metadata"]["annotations"] = json!({});
        for lease in [foreign, bare] {
            assert!(matches!(read(lease), (Converted::NotOurs(_), problems) if problems.is_empty()));
        }
    }

    #[test]
    fn a_report_that_cannot_be_read_is_told_with_its_cure() {
        let (converted, problems) = read(lease("{"));
        assert!(matches!(converted, Converted::Unusable), "{converted:?}");
        assert!(
            problems[0].contains("Lease ovn-vip/speaker.node1") && problems[0].contains("delete the Lease")
        );
        let text = r#"{"subnets":{"a":{"mac":"x","ready":true,"vips":{}}}}"#;
        assert!(matches!(read(lease(text)), (Converted::Object(_), problems) if problems.len() == 1));
    }
}
