//! Names, each a type of its own so that a node is never taken for a chassis.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// `metadata.name` of a Kubernetes Node.
    NodeName
);
name!(
    /// `name` of an OVN chassis: the `external_ids:system-id` of the node's Open vSwitch, which Kube-OVN
    /// writes into the Node annotation `ovn.kubernetes.io/chassis`.
    ChassisName
);
name!(
    /// `metadata.name` of a Kube-OVN Subnet, which is also the name of its logical switch.
    SubnetName
);
name!(
    /// `metadata.name` of a Kube-OVN Vlan.
    VlanName
);
name!(
    /// `metadata.name` of a Kube-OVN ProviderNetwork.
    ProviderName
);
name!(
    /// `name` of a row of the northbound's Logical_Switch_Port.
    LspName
);
name!(
    /// Name of a network interface on a node.
    InterfaceName
);

name!(
    /// `metadata.name` of a Kube-OVN Vpc.
    VpcName
);
name!(
    /// `metadata.name` of a Kube-OVN IP, which is also the name of the logical switch port.
    AllocationName
);

/// Namespace and name of a Service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// Namespace and name of an EndpointSlice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// Namespace and name of a MetalLB IPAddressPool.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// Namespace and name of a MetalLB L2Advertisement.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvertisementKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// Namespace and name of a MetalLB ServiceL2Status.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct L2StatusKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// Namespace and name of the Lease that a speaker's report is written on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

macro_rules! namespaced {
    ($type:ident) => {
        impl $type {
            /// A key of these two parts.
            pub fn new(namespace: &str, name: &str) -> Self {
                Self { namespace: namespace.into(), name: name.into() }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.namespace, self.name)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }
    };
}
namespaced!(ServiceKey);
namespaced!(SliceKey);
namespaced!(PoolKey);
namespaced!(AdvertisementKey);
namespaced!(L2StatusKey);
namespaced!(ReportKey);

impl AllocationName {
    /// A Kube-OVN Vip's; no object's name has a slash.
    const VIP: &str = "vip/";

    /// The name of a Kube-OVN Vip among those of IPs.
    pub fn vip(name: &str) -> Self {
        format!("{}{name}", Self::VIP).into()
    }

    /// Of which Vip it is; none, where it is an IP's.
    pub fn of_vip(&self) -> Option<&str> {
        self.as_str().strip_prefix(Self::VIP)
    }
}

impl ServiceKey {
    /// Reads `namespace/name`, the form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty()).then(|| Self::new(namespace, name))
    }
}
