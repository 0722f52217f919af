//! The kinds that we read, and an object whose kind is only known when it is there.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use serde::Deserialize;
use serde_json::Value;

use super::convert::{self, Converted};
use super::{Problem, crd};
use crate::model::{ObjectKey, ServiceKey, SliceKey};

/// A kind of object that the model is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// v1 Service.
    Service,
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice,
    /// v1 Node.
    Node,
    /// kubeovn.io/v1 Subnet.
    Subnet,
    /// kubeovn.io/v1 Vlan.
    Vlan,
    /// kubeovn.io/v1 ProviderNetwork.
    ProviderNetwork,
}

impl Kind {
    /// `None` for every other kind, also for another group's kind of the same name.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        match (api_version, kind) {
            ("v1", "Service") => Some(Self::Service),
            ("discovery.k8s.io/v1", "EndpointSlice") => Some(Self::EndpointSlice),
            ("v1", "Node") => Some(Self::Node),
            (crd::API_VERSION, "Subnet") => Some(Self::Subnet),
            (crd::API_VERSION, "Vlan") => Some(Self::Vlan),
            (crd::API_VERSION, "ProviderNetwork") => Some(Self::ProviderNetwork),
            _ => None,
        }
    }

    /// The key of an object of this kind; the namespace counts only where the kind has one.
    pub fn key(self, namespace: &str, name: &str) -> ObjectKey {
        match self {
            Self::Service => ObjectKey::Service(ServiceKey::new(namespace, name)),
            Self::EndpointSlice => ObjectKey::EndpointSlice(SliceKey::new(namespace, name)),
            Self::Node => ObjectKey::Node(name.into()),
            Self::Subnet => ObjectKey::Subnet(name.into()),
            Self::Vlan => ObjectKey::Vlan(name.into()),
            Self::ProviderNetwork => ObjectKey::ProviderNetwork(name.into()),
        }
    }

    /// The key of an object as it was written; `None` where it has no name.
    pub fn key_of(self, object: &Value) -> Option<ObjectKey> {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().filter(|name| !name.is_empty())?;
        Some(self.key(metadata["namespace"].as_str().unwrap_or(convert::DEFAULT_NAMESPACE), name))
    }

    /// Reads an object of this kind.
    pub fn read(self, object: &Value, problems: &mut Vec<Problem>) -> Converted {
        match self {
            Self::Service => self.typed::<core::Service>(object, problems, convert::service),
            Self::EndpointSlice => {
                self.typed::<discovery::EndpointSlice>(object, problems, convert::endpoint_slice)
            }
            Self::Node => self.typed::<core::Node>(object, problems, convert::node),
            Self::Subnet => self.typed::<crd::Subnet>(object, problems, convert::subnet),
            Self::Vlan => self.typed::<crd::Vlan>(object, problems, convert::vlan),
            Self::ProviderNetwork => {
                self.typed::<crd::ProviderNetwork>(object, problems, convert::provider_network)
            }
        }
    }

    fn typed<'a, T: Deserialize<'a>>(
        self,
        object: &'a Value,
        problems: &mut Vec<Problem>,
        convert: fn(&T, &mut Vec<Problem>) -> Converted,
    ) -> Converted {
        // Following the path costs time, so it is looked for only once it is known to be needed.
        match T::deserialize(object).or_else(|_| serde_path_to_error::deserialize(object)) {
            Ok(typed) => convert(&typed, problems),
            Err(error) => {
                problems.push(self.misfit(object, &error));
                Converted::Unusable
            }
        }
    }

    fn misfit(self, object: &Value, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
        use serde_path_to_error::Segment;
        let mut value = Some(object);
        for segment in error.path() {
            value = value.and_then(|value| match segment {
                Segment::Seq { index } => value.get(index),
                Segment::Map { key } => value.get(key),
                Segment::Enum { .. } | Segment::Unknown => None,
            });
        }
        Problem {
            object: self.key_of(object).map_or_else(|| format!("{self:?}"), |key| key.to_string()),
            field: error.path().to_string(),
            value: value.map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            cure: error.inner().to_string(),
        }
    }
}
