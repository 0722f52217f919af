//! What a node's agent sees of its switches while it decides.

use std::net::IpAddr;

use super::bridge::{Located, NotFound};
use super::segment::Ready;
use crate::flows::Flow;
use crate::model::{InterfaceName, SegmentPlan, SubnetName};

/// The node's Open vSwitch, as it is known now.
pub trait Sight {
    /// Where a segment is.
    ///
    /// # Errors
    /// What is missing.
    fn locate(&self, segment: &SegmentPlan) -> Result<Located, NotFound>;

    /// Whether a rule is known to be on a provider network's bridge.
    fn is_on_bridge(&self, bridge: &InterfaceName, flow: &Flow) -> bool;

    /// Whether OVN delivers the VIP of this subnet on this node.
    fn is_delivered(&self, subnet: &SubnetName, vip: IpAddr) -> bool;

    /// Whether it delivers some of its ports, of those that it delivered.
    fn is_partly_delivered(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.is_delivered(subnet, vip)
    }
}

/// What a segment is to know of its switches.
pub(super) fn see<R>(
    sight: &dyn Sight,
    subnet: &SubnetName,
    bridge: &InterfaceName,
    is_known: bool,
    look: impl FnOnce(&Ready<'_>) -> R,
) -> R {
    look(&Ready {
        is_on_bridge: &|flow: &Flow| sight.is_on_bridge(bridge, flow),
        is_delivered: &|vip: IpAddr| sight.is_delivered(subnet, vip),
        is_partly_delivered: &|vip: IpAddr| sight.is_partly_delivered(subnet, vip),
        is_known,
    })
}
