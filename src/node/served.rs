//! What is served already, where nobody writes it down: an edit of excludeIps takes down nothing that works.

use super::Agent;
use crate::model::{Change, Object};

impl Agent {
    /// A change of the cluster, as it counts here. With an API server the controller notes on each Subnet what is served in it; in a
    /// folder it cannot, and what this node steers there is.
    pub(super) fn with_served(&self, change: Change) -> Change {
        match change {
            Change::Apply(Object::Subnet(mut subnet)) if !self.settings.reports => {
                let plan = self.announcer.plan().segments.get(&subnet.name);
                subnet.served.extend(plan.into_iter().flat_map(|plan| plan.steered.keys()));
                Change::Apply(Object::Subnet(subnet))
            }
            other => other,
        }
    }
}
