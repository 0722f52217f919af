//! The shared vocabulary: plain values that every other module speaks in.
//!
//! Decides nothing, reads nothing, imports nothing of ours. A value of these types is already valid:
//! what cannot be understood is refused where it is read (`io/`), with the object, the field and the cure.

mod announcement;
mod load_balancer;
mod names;
mod net;
mod service;
mod topology;
mod world;

pub use announcement::{AnnouncePlan, SegmentPlan, Steered};
pub use load_balancer::{LoadBalancer, Locality, Network, Port, Switch};
pub use names::{
    ChassisName, InterfaceName, LspName, NodeName, ProviderName, ServiceKey, SliceKey, SubnetName, VlanName,
};
pub use net::{AddressRange, Family, Mac, ParseMacError, Protocol, VlanId};
pub use service::{Endpoint, EndpointSlice, Service, ServicePort, SlicePort, TrafficPolicy};
pub use topology::{CustomInterface, Node, ProviderNetwork, Subnet, Vlan};
pub use world::{Change, Dirty, Object, ObjectKey, World};
