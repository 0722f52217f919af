//! The shared vocabulary: plain values that every other module speaks in.
//!
//! Decides nothing, reads nothing, imports nothing of ours. A value of these types is already valid:
//! what cannot be understood is refused where it is read (`io/`), with the object, the field and the cure.

mod announcement;
mod gaps;
mod gate;
mod load_balancer;
mod metallb;
mod names;
mod native;
mod net;
mod object;
mod ranges;
mod report;
mod request;
mod selector;
mod service;
mod sources;
mod topology;
mod world;

pub use announcement::{AnnouncePlan, ETHERTYPE_BEAT, PlannedClaim, SegmentPlan, Steered};
pub use gaps::Gaps;
pub use gate::{Gate, MARK_BIT};
pub use load_balancer::{LoadBalancer, Locality, Network, Port, Switch, Unseen};
pub use metallb::{AddressPool, Advertisement, Giving, L2Status, Namespace, ServiceAllocation};
pub use names::{
    AdvertisementKey, AllocationName, ChassisName, InterfaceName, L2StatusKey, LspName, NodeName, PoolKey,
    ProviderName, ReportKey, ServiceKey, SliceKey, SubnetName, VlanName, VpcName,
};
pub use native::{Holder, NativeRow};
pub use net::{AddressRange, Family, Mac, ParseMacError, Protocol, VlanId, number_of};
pub use object::{Affected, Change, Dirty, Object, ObjectKey};
pub use ranges::RangeSet;
pub use report::{LAST_TERM, SegmentReport, SpeakerReport, Term};
pub use request::{AddressRequest, Asked, FamilyPolicy};
pub use selector::{Labels, Requirement, Selector};
pub use service::{CLASS, Endpoint, EndpointSlice, Service, ServicePort, SlicePort, TrafficPolicy};
pub use sources::{BadRange, Sources, whole};
pub use topology::{
    Allocation, CustomInterface, ExcludeIps, Node, ProviderNetwork, Subnet, SubnetWishes, Vlan,
};
pub use world::World;
