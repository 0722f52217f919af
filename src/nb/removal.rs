//! Everything of ours, taken out: what only a word of its own asks for.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::ovsdb::{Replica, RowChange};

use super::diff::{Change, Changes, Touched, diff};
use super::owner::CLUSTER;
use super::rows::{GROUP, LOAD_BALANCER, ROUTER, uuids};
use super::{Desired, Owner};

/// What takes out all rows of a cluster's name. A group that has members of another's stays.
pub fn everything(owner: &mut Owner, replica: &Replica) -> Changes {
    let rows: Vec<RowChange> = crate::ovsdb::Replica::new().become_level_with(replica.clone());
    rows.iter().for_each(|change| drop(owner.observe(replica, change)));
    let mut changes = diff(owner, &Desired::default(), replica, &Touched::everything());
    let is_others = |member: &Uuid| {
        let row = replica.row(LOAD_BALANCER, member);
        row.is_some_and(|row| !owner.owns_load_balancer(*member, row))
    };
    let groups = replica.rows(GROUP).filter(|(_, row)| uuids(row, "load_balancer").any(|it| is_others(&it)));
    let shared: BTreeSet<Uuid> = groups.map(|(uuid, _)| *uuid).collect();
    changes.subnets.retain(|change| match change {
        Change::Delete { uuid, .. } => !shared.contains(uuid),
        Change::Refer { removed, .. } => removed.is_disjoint(&shared),
        Change::Insert { .. } | Change::Update { .. } | Change::RemoveKeys { .. } => true,
    });
    changes
}

/// The clusters' names that rows of ours bear, in order.
pub fn names(replica: &Replica) -> BTreeSet<String> {
    let rows = [LOAD_BALANCER, ROUTER].into_iter().flat_map(|table| replica.rows(table));
    rows.filter_map(|(_, row)| row.get("external_ids")?.map_get(CLUSTER).map(str::to_owned)).collect()
}
