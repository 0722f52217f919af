//! The controller's own mind, beside databases that nobody writes to.

use crate::controller::{Reconciler, Rules};
use crate::model::Change;
use crate::nb::Owner;
use crate::nb::rows::Selection;
use crate::ovsdb::Replica;
use crate::plan::Policy;
use crate::settings::RulesArgs;

/// One that knows the cluster and the northbound, and has planned nothing.
pub fn reconciler(
    rules: &RulesArgs,
    policy: Policy,
    replica: &Replica,
    selection: Selection,
    cluster: impl IntoIterator<Item = Change>,
) -> Reconciler {
    let owner = Owner::new(&rules.cluster_name, 0);
    let mut reconciler = Reconciler::new(Rules { owner, policy, own_router_port: rules.own_router_port });
    reconciler.set_selection(selection);
    reconciler.northbound_changed(replica, &Replica::new().become_level_with(replica.clone()));
    reconciler.cluster_changed(cluster);
    reconciler
}

/// Why this OVN can serve nothing at all.
pub fn without_locality(reconciler: &Reconciler) -> Option<String> {
    let network = reconciler.network();
    let version = network.northd_version.as_deref().unwrap_or("of unknown version");
    let fault = || format!("OVN {version} can keep DNAT on the announcing node in no way");
    network.locality.is_none().then(fault)
}
