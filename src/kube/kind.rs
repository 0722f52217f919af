//! The kinds that we read, and an object whose kind is only known when it is there.

use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use serde::Deserialize;
use serde_json::Value;

use super::convert::{self, Converted};
use super::{Problem, crd};
use crate::model::{
    AdvertisementKey, AllocationName, L2StatusKey, ObjectKey, PoolKey, ReportKey, ServiceKey, SliceKey,
};

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
    /// kubeovn.io/v1 IP.
    Allocation,
    /// metallb.io/v1beta1 IPAddressPool.
    AddressPool,
    /// metallb.io/v1beta1 L2Advertisement.
    Advertisement,
    /// metallb.io/v1beta1 ServiceL2Status.
    L2Status,
    /// coordination.k8s.io/v1 Lease, with a speaker's report on it.
    Report,
    /// kubeovn.io/v1 Vip.
    Vip,
    /// v1 Namespace.
    Namespace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 13] = [
        Kind::Service,
        Kind::EndpointSlice,
        Kind::Node,
        Kind::Subnet,
        Kind::Vlan,
        Kind::ProviderNetwork,
        Kind::Allocation,
        Kind::AddressPool,
        Kind::Advertisement,
        Kind::L2Status,
        Kind::Report,
        Kind::Vip,
        Kind::Namespace,
    ];

    /// What Kubernetes calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::Subnet => "Subnet",
            Self::Vlan => "Vlan",
            Self::ProviderNetwork => "ProviderNetwork",
            Self::Allocation => "IP",
            Self::AddressPool => "IPAddressPool",
            Self::Advertisement => "L2Advertisement",
            Self::L2Status => "ServiceL2Status",
            Self::Report => "Lease",
            Self::Vip => "Vip",
            Self::Namespace => "Namespace",
        }
    }

    /// Its group and version.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Node | Self::Namespace => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::Subnet | Self::Vlan | Self::ProviderNetwork | Self::Allocation | Self::Vip => {
                crd::API_VERSION
            }
            Self::AddressPool | Self::Advertisement | Self::L2Status => crd::METALLB_VERSION,
            Self::Report => "coordination.k8s.io/v1",
        }
    }

    /// `None` for every other kind, also for another group's kind of the same name.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| (known.api_version(), known.name()) == (api_version, kind))
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
            Self::Allocation => ObjectKey::Allocation(name.into()),
            Self::AddressPool => ObjectKey::AddressPool(PoolKey::new(namespace, name)),
            Self::Advertisement => ObjectKey::Advertisement(AdvertisementKey::new(namespace, name)),
            Self::L2Status => ObjectKey::L2Status(L2StatusKey::new(namespace, name)),
            Self::Report => ObjectKey::Report(ReportKey::new(namespace, name)),
            Self::Vip => ObjectKey::Allocation(AllocationName::vip(name)),
            Self::Namespace => ObjectKey::Namespace(name.into()),
        }
    }

    /// The key of an object as it was written; `None` where it has no name, or a namespace that is none.
    pub fn key_of(self, object: &Value) -> Option<ObjectKey> {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().filter(|name| !name.is_empty())?;
        let namespace = match metadata.get("namespace") {
            None => convert::DEFAULT_NAMESPACE,
            Some(namespace) => namespace.as_str()?,
        };
        Some(self.key(namespace, name))
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
            Self::Allocation => self.typed::<crd::Ip>(object, problems, convert::allocation),
            Self::AddressPool => self.typed::<crd::AddressPool>(object, problems, convert::address_pool),
            Self::Advertisement => self.typed::<crd::Advertisement>(object, problems, convert::advertisement),
            Self::L2Status => self.typed::<crd::L2Status>(object, problems, convert::l2_status),
            Self::Report => self.typed::<coordination::Lease>(object, problems, convert::report),
            Self::Vip => self.typed::<crd::Vip>(object, problems, convert::vip),
            Self::Namespace => self.typed::<core::Namespace>(object, problems, convert::namespace),
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
            object: self.key_of(object).map_or_else(|| self.name().to_owned(), |key| key.to_string()),
            field: error.path().to_string(),
            value: value.map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            cure: convert::cure(&error.inner().to_string()),
        }
    }
}
