//! What stands on objects of the cluster of what we say: a condition on Services, annotations on Subnets.
//!
//! [`Marks`] is read from the watch; whoever decides compares with it, and what differs is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::convert::writes;

/// The type of our condition on a Service.
pub const SERVED: &str = "ovn-vip.io/Served";
/// Annotation of a Subnet: the VIPs that are served in it.
pub const VIPS: &str = "ovn-vip.io/vips";
/// Annotation of a Subnet: what is declined in it.
pub const WARNINGS: &str = "ovn-vip.io/warnings";
/// Annotation of a Subnet: the MAC of its switch's router port, which speakers cannot see.
pub const STEERING_MAC: &str = "ovn-vip.io/steering-mac";
/// A Subnet's annotation: the endpoints that OVN cannot deliver to, `address` or `address@node`, for speakers.
pub const UNDELIVERABLE: &str = "ovn-vip.io/undeliverable";

/// The field manager of the addresses that we give.
pub const ALLOCATOR: &str = "ovn-vip-allocate";
/// The fields of an IPAddressPool's status.
pub const COUNTS: [&str; 4] = ["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"];

/// `status` of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    #[default]
    False,
    /// Nobody can know.
    Unknown,
}

impl Status {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        }
    }
}

/// Our condition on a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// `status`.
    pub status: Status,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
}

/// When a speaker's Lease was written last, and for how long that is to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// `spec.renewTime`, by the clock of the node that wrote it.
    pub renewed: String,
    /// `spec.leaseDurationSeconds`; none of a speaker that writes only when it has something new to say.
    pub lasts: Option<Duration>,
}

impl Pulse {
    fn read(spec: &Value) -> Option<Self> {
        let renewed = spec["renewTime"].as_str()?.to_owned();
        Some(Self { renewed, lasts: spec["leaseDurationSeconds"].as_u64().map(Duration::from_secs) })
    }
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
    /// Of a Lease.
    pub pulse: Option<Pulse>,
    /// A Service has the pool's name of us, and so its addresses.
    pub given: bool,
    /// An IPAddressPool's counts: assigned IPv4 and IPv6 addresses, and available ones.
    pub counts: Option<[u64; 4]>,
}

impl Marks {
    /// Reads them.
    pub fn read(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = object["status"]["conditions"].as_array();
        let ours = conditions.into_iter().flatten().find(|condition| condition["type"] == SERVED);
        let served = ours.map(|ours| {
            let served = Served {
                status: match ours["status"].as_str() {
                    Some("True") => Status::True,
                    Some("Unknown") => Status::Unknown,
                    Some(_) | None => Status::False,
                },
                reason: text(&ours["reason"]),
                message: text(&ours["message"]),
            };
            (served, text(&ours["lastTransitionTime"]))
        });
        let annotations = [VIPS, WARNINGS, STEERING_MAC, UNDELIVERABLE].into_iter().filter_map(|name| {
            let value = object["metadata"]["annotations"][name].as_str()?;
            Some((name.to_owned(), value.to_owned()))
        });
        let annotations: BTreeMap<String, String> = annotations.collect();
        let uid = text(&object["metadata"]["uid"]);
        let list = object["spec"]["excludeIps"].as_array();
        let exclude_ips = list.map(|list| list.iter().map(text).collect());
        let pulse = Pulse::read(&object["spec"]);
        let managed = object["metadata"]["managedFields"].as_array();
        let given = managed
            .into_iter()
            .flatten()
            .any(|entry| entry["manager"] == ALLOCATOR && writes(&entry["fieldsV1"]));
        let count = |name: &str| object["status"][name].as_u64().unwrap_or(0);
        let counts = object["status"].get("availableIPv4").is_some();
        let counts = counts.then(|| COUNTS.map(count));
        Self { uid, served, annotations, exclude_ips, pulse, given, counts }
    }

    /// Whether nothing of ours stands there.
    pub fn is_empty(&self) -> bool {
        self.served.is_none() && self.annotations.is_empty() && !self.given && self.counts.is_none()
    }
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
    use serde_json::json;

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
        let served = Served { status: Status::False, reason: "NoReadyBackend".into(), message: "m".into() };
        assert_eq!(marks.served, Some((served, "2026-01-01T00:00:00Z".to_owned())));
        assert_eq!(marks.annotations, BTreeMap::from([(VIPS.to_owned(), "10.0.0.1 d/s".to_owned())]));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 6), "äöü");
        assert_eq!(shortened("äöüß", 7), "äö…");
    }
}
