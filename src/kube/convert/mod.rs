//! One function per kind: a typed object in, a model value and the problems met out.
//!
//! A bad entry of a list costs that entry; a bad value without which the object means nothing costs the
//! object, and whoever keeps the world keeps the last good version of it. Nothing here refuses what is
//! understood but unwise: that is `plan`'s to say.

mod metallb;
mod node;
mod packed;
mod report;
mod request;
mod scalar;
mod service;
mod slice;
mod subnet;
mod underlay;

#[cfg(test)]
mod neighbour_tests;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use metallb::{address_pool, advertisement, l2_status, namespace};
pub use node::node;
pub use report::{REPORT, report, written};
pub use request::{FROM_POOL, writes};
pub use service::service;
pub use slice::{endpoint_slice, slice_owner};
pub use subnet::{allocation, subnet, vip, vips_text};
pub use underlay::{provider_network, vlan};

use super::{Kind, Problem};
use crate::model::{Object, ObjectKey};

/// Where an object without `metadata.namespace` belongs, as with kubectl.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The label by which objects of our own are known, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ovn-vip");

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every one is an Object; a box each would cost more")]
pub enum Converted {
    /// It is part of the world.
    Object(Object),
    /// It is well-formed but no part of the world, such as a Service that is no LoadBalancer.
    NotOurs(ObjectKey),
    /// A problem says why it cannot be used; what was known of it before still stands.
    Unusable,
}

/// What to write instead, by serde's word for what does not fit.
pub fn cure(said: &str) -> String {
    if let Some(field) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return format!("add the field {field}");
    }
    let Some((_, expected)) = said.rsplit_once("expected ") else { return said.to_owned() };
    let cure = match expected {
        "a string" => "write a string; what looks like a number or a boolean needs quotes",
        "a boolean" => "write true or false, without quotes",
        "a sequence" => "write a list",
        "a map" => "write a mapping, KEY: VALUE",
        "i32" | "i64" | "u16" | "u32" | "u64" | "u8" => "write a whole number within the field's limits",
        other if other.starts_with("struct ") => "write a mapping, KEY: VALUE",
        _ => return said.to_owned(),
    };
    cure.to_owned()
}

/// The problems of one object.
struct Notes<'a> {
    kind: Kind,
    namespace: &'a str,
    name: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Notes<'a> {
    /// `None`, and a problem, where the object has no name.
    fn of(kind: Kind, metadata: &'a ObjectMeta, problems: &'a mut Vec<Problem>) -> Option<Self> {
        let Some(name) = metadata.name.as_deref().filter(|name| !name.is_empty()) else {
            problems.push(Problem {
                object: kind.name().into(),
                field: "metadata.name".into(),
                value: String::new(),
                cure: "give the object a name".into(),
            });
            return None;
        };
        let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        Some(Self { kind, namespace, name, problems })
    }

    fn key(&self) -> ObjectKey {
        self.kind.key(self.namespace, self.name)
    }

    fn say(&mut self, field: impl Into<String>, value: impl Into<String>, cure: &str) {
        let (object, field, value) = (self.key().to_string(), field.into(), value.into());
        self.problems.push(Problem { object, field, value, cure: cure.into() });
    }

    /// For a field without which the object means nothing: notes it and gives the object up.
    fn unusable(mut self, field: &str, value: &str, cure: &str) -> Converted {
        self.say(field, value, cure);
        Converted::Unusable
    }
}
