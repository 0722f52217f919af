//! Speakers' reports: an annotation of a Lease of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::coordination::v1 as coordination;
use serde::{Deserialize, Serialize};

use super::packed::{pack, pack_addresses, unpack};
use super::{Converted, MANAGED_BY, Notes};
use crate::kube::saying::report_key;
use crate::kube::{Kind, Problem};
use crate::model::{LAST_TERM, Mac, Object, ReportKey, SegmentReport, SpeakerReport, Term};

/// The annotation with what the speaker says.
pub const REPORT: &str = "ovn-vip.io/speaker";

/// So many VIPs are written one by one; more are packed, for there is no room for many (ADR 0061).
const PLAIN: usize = 1000;

/// The annotation's value.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Written {
    subnets: BTreeMap<String, WrittenSegment>,
}

#[derive(Debug, Deserialize, Serialize)]
struct WrittenSegment {
    mac: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    beats: bool,
    ready: bool,
    vips: BTreeMap<IpAddr, Term>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<IpAddr, Term>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    undelivered: BTreeSet<IpAddr>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    strangers: BTreeMap<IpAddr, String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    missed: BTreeSet<String>,
    /// More of `vips`, of `left` and of `undelivered`.
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "vipsPacked")]
    packed_vips: String,
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "leftPacked")]
    packed_left: String,
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "undeliveredPacked")]
    packed_undelivered: String,
}

/// The annotation's value for a report.
pub fn written(report: &SpeakerReport) -> String {
    let segment = |segment: &SegmentReport| {
        let (vips, packed_vips) = plain_or_packed(&segment.held);
        let (left, packed_left) = plain_or_packed(&segment.left);
        let is_plain = segment.undelivered.len() <= PLAIN;
        let (undelivered, packed_undelivered) = match is_plain {
            true => (segment.undelivered.clone(), String::new()),
            false => (BTreeSet::new(), pack_addresses(&segment.undelivered)),
        };
        WrittenSegment {
            mac: segment.mac.to_string(),
            beats: segment.beats,
            ready: segment.ready,
            vips,
            left,
            undelivered,
            strangers: segment.strangers.iter().map(|(vip, mac)| (*vip, mac.to_string())).collect(),
            missed: segment.missed.iter().map(ToString::to_string).collect(),
            packed_vips,
            packed_left,
            packed_undelivered,
        }
    };
    let subnets = report.segments.iter().map(|(subnet, found)| (subnet.to_string(), segment(found)));
    serde_json::to_string(&Written { subnets: subnets.collect() }).unwrap_or_default()
}

fn plain_or_packed(terms: &BTreeMap<IpAddr, Term>) -> (BTreeMap<IpAddr, Term>, String) {
    match terms.len() <= PLAIN {
        true => (terms.clone(), String::new()),
        false => (BTreeMap::new(), pack(terms)),
    }
}

impl WrittenSegment {
    /// Nothing is packed any more; `None` where it cannot be read.
    fn unpacked(mut self) -> Option<Self> {
        self.vips.extend(unpack(&self.packed_vips)?);
        self.left.extend(unpack(&self.packed_left)?);
        self.undelivered.extend(unpack(&self.packed_undelivered)?.into_keys());
        Some(self)
    }
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
    let key = ReportKey::new(notes.namespace, notes.name);
    if key != report_key(&node.into()) {
        let cure = "only the Lease speaker.<node> speaks for a node: delete this one, and ask who wrote it";
        return notes.unusable("spec.holderIdentity", node, cure);
    }
    let field = format!("metadata.annotations[{REPORT}]");
    let Ok(Written { subnets }) = serde_json::from_str(text) else {
        return notes.unusable(&field, text, "delete the Lease: its speaker writes it anew");
    };
    let mut segments = BTreeMap::new();
    for (subnet, written) in subnets {
        let Some(written) = written.unpacked() else {
            return notes.unusable(&field, "", "delete the Lease: its speaker writes it anew");
        };
        let WrittenSegment {
            mac,
            beats,
            ready,
            vips: mut held,
            mut left,
            undelivered,
            strangers,
            missed,
            ..
        } = written;
        let strangers = strangers.into_iter().filter_map(|(vip, mac)| Some((vip, mac.parse().ok()?)));
        let strangers = strangers.collect();
        for (vip, term) in [&mut held, &mut left].into_iter().flat_map(beyond_all) {
            notes.say(
                format!("{field}.{vip}"),
                term.to_string(),
                "no claim has such a term: it does not count",
            );
        }
        match mac.parse().ok().filter(|mac: &Mac| !mac.is_group() && *mac != Mac::ZERO) {
            Some(mac) => {
                let missed = missed.iter().map(|node| node.as_str().into()).collect();
                let segment = SegmentReport { mac, beats, ready, held, left, undelivered, strangers, missed };
                segments.insert(subnet.into(), segment);
            }
            None => notes.say(field.as_str(), mac, "delete the Lease: its speaker writes it anew"),
        }
    }
    Converted::Object(Object::Report(SpeakerReport { key, node: node.into(), segments }))
}

/// Takes out the terms that nobody can have come to.
fn beyond_all(terms: &mut BTreeMap<IpAddr, Term>) -> impl Iterator<Item = (IpAddr, Term)> {
    terms.extract_if(.., |_, term| *term > LAST_TERM)
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
    fn a_report_of_many_claims_is_small_and_read_as_it_was_written() {
        // The worst that is to be borne: no two in a row, and each with another term.
        let vip = |number: u32| IpAddr::from((0x0a64_0000 + 2 * number).to_be_bytes());
        let terms =
            |of: std::ops::Range<u32>| of.map(|number| (vip(number), u64::from(number % 900))).collect();
        let segment = SegmentReport {
            beats: true,
            mac: "02:00:00:00:00:01".parse().unwrap(),
            ready: true,
            held: terms(0..10_000),
            left: terms(10_000..12_000),
            undelivered: (12_000..14_000).map(vip).collect(),
            strangers: BTreeMap::new(),
            missed: BTreeSet::new(),
        };
        let node = "node1".into();
        let key = report_key(&node);
        let report = SpeakerReport { key, node, segments: [("underlay".into(), segment)].into() };
        let text = written(&report);
        assert!(text.len() < 256 << 10 >> 1, "{} bytes", text.len());
        assert_eq!(read(lease(&text)), (Converted::Object(Object::Report(report)), vec![]));
        let spoilt = text.replace("vipsPacked\":\"", "vipsPacked\":\"no ");
        assert!(matches!(read(lease(&spoilt)), (Converted::Unusable, problems) if problems.len() == 1));
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let held = [([10, 0, 0, 9].into(), 7)].into();
        let segment = SegmentReport {
            beats: true,
            mac: "02:00:00:00:00:01".parse().unwrap(),
            ready: true,
            held,
            left: [([10, 0, 0, 8].into(), 3)].into(),
            undelivered: [[10, 0, 0, 7].into()].into(),
            strangers: [([10, 0, 0, 6].into(), Mac([2, 0, 0, 0, 0, 9]))].into(),
            missed: ["node2".into()].into(),
        };
        let report = SpeakerReport {
            key: ReportKey::new("ovn-vip", "speaker.node1"),
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
    fn only_the_lease_of_a_node_speaks_for_it() {
        for (field, value) in [("name", "speaker.node2"), ("name", "node1"), ("namespace", "default")] {
            let mut forged = lease(r#"{"subnets":{}}"#);
            forged["metadata"][field] = json!(value);
            let (converted, problems) = read(forged);
            assert_eq!(converted, Converted::Unusable, "{value}");
            assert!(problems[0].contains("only the Lease speaker.<node>"), "{problems:?}");
        }
    }

    #[test]
    fn a_term_beyond_all_claims_does_not_count_and_is_told() {
        for (term, held) in [(u64::MAX, 0), (LAST_TERM + 1, 0), (LAST_TERM, 1)] {
            let text = format!(
                r#"{{"subnets":{{"a":{{"mac":"02:00:00:00:00:01","ready":true,"vips":{{"10.0.0.9":{term}}},"left":{{"10.0.0.8":{term}}}}}}}}}"#
            );
            let (converted, problems) = read(lease(&text));
            let Converted::Object(Object::Report(report)) = converted else { panic!("{problems:?}") };
            let segment = &report.segments[&"a".into()];
            assert_eq!(
                (segment.held.len(), segment.left.len(), problems.len()),
                (held, held, 2 - 2 * held),
                "{term}"
            );
        }
    }

    #[test]
    fn a_mac_that_no_speaker_has_is_none() {
        for mac in ["ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:00:5e:00:00:01"] {
            let text = format!(r#"{{"subnets":{{"a":{{"mac":"{mac}","ready":true,"vips":{{}}}}}}}}"#);
            let (converted, problems) = read(lease(&text));
            let Converted::Object(Object::Report(report)) = converted else { panic!("{problems:?}") };
            assert!(report.segments.is_empty() && problems.len() == 1, "{mac}");
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
