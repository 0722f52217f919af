//! The controller's own mind, beside databases that nobody writes to.

use std::time::Duration;

use crate::controller::{Reconciler, Rules};
use crate::model::Change;
use crate::nb::Owner;
use crate::nb::diff::Changes;
use crate::nb::rows::Selection;
use crate::ovsdb::Replica;
use crate::plan::Policy;
use crate::settings::RulesArgs;

/// Later than northd may be with its flows, and than Kube-OVN's rows are waited for: what is not there now is missing.
const LATER: Duration = Duration::from_secs(60);

/// One that knows the cluster and the northbound, and has planned nothing.
pub fn reconciler(
    rules: &RulesArgs,
    policy: Policy,
    replica: &Replica,
    selection: Selection,
    cluster: impl IntoIterator<Item = Change>,
) -> Reconciler {
    let owner = Owner::new(&rules.cluster_name, 0);
    of(Rules { owner, policy, own_router_port: rules.own_router_port }, replica, selection, cluster)
}

/// The same, by its own settings.
pub fn of(
    rules: Rules,
    replica: &Replica,
    selection: Selection,
    cluster: impl IntoIterator<Item = Change>,
) -> Reconciler {
    let mut reconciler = Reconciler::new(rules);
    reconciler.set_selection(selection);
    reconciler.northbound_changed(replica, &Replica::new().become_level_with(replica.clone()));
    reconciler.cluster_changed(cluster);
    reconciler
}

/// Looks at the databases as they are, and concludes what a controller would that has waited for long; what it would write.
pub fn look_later(reconciler: &mut Reconciler, replica: &Replica, southbound: Option<&Replica>) -> Changes {
    if let Some(southbound) = southbound {
        reconciler.southbound_changed(southbound, &Replica::new().become_level_with(southbound.clone()));
        reconciler.set_southbound_level(true);
    }
    reconciler.advance(Duration::ZERO);
    reconciler.advance(LATER);
    reconciler.reconcile(replica).0
}

/// Why this OVN can serve nothing at all.
pub fn without_locality(reconciler: &Reconciler) -> Option<String> {
    let network = reconciler.network();
    let version = network.northd_version.as_deref().unwrap_or("of unknown version");
    let fault = || format!("OVN {version} can keep DNAT on the announcing node in no way");
    network.locality.is_none().then(fault)
}
