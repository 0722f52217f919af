//! Gates, wanted against found. What closes comes before all else that is written, and what opens after it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::SubnetName;
use crate::ovsdb::Replica;

use super::diff::{Change, Changes, differing, push_refer};
use super::rows::{ACL, AclRow, SWITCH, text, uuids};
use super::{Desired, Owner};

/// The `acls` of a switch, which hold its rows: one that no switch names any more is gone.
const COLUMN: &str = "acls";

/// To be called when the load balancers' changes are known: until they are written, a gate also closes what it closed.
pub(super) fn diff(owner: &Owner, desired: &Desired, replica: &Replica, changes: &mut Changes) {
    let wanted = desired.gates.rows(owner);
    let mut by_subnet: BTreeMap<&SubnetName, BTreeSet<Uuid>> = BTreeMap::new();
    for (uuid, (subnet, row)) in &wanted {
        by_subnet.entry(subnet).or_default().insert(*uuid);
        put_row(replica, *uuid, row, changes);
    }
    for (switch, row) in replica.rows(SWITCH) {
        let name = SubnetName::from(text(row, "name"));
        let wanted = by_subnet.get(&name).cloned().unwrap_or_default();
        let found: BTreeSet<Uuid> = uuids(row, COLUMN).collect();
        let is_ours = |uuid: &&Uuid| replica.row(ACL, uuid).is_some_and(|row| owner.owns_gate(**uuid, row));
        let missing = wanted.difference(&found).copied().collect();
        let surplus = found.difference(&wanted).filter(is_ours).copied().collect();
        let none = BTreeSet::new;
        push_refer(&mut changes.closing, SWITCH, *switch, name.to_string(), COLUMN, missing, none());
        push_refer(&mut changes.opening, SWITCH, *switch, name.to_string(), COLUMN, none(), surplus);
    }
}

/// Inserts the row, or updates the columns that differ.
fn put_row(replica: &Replica, uuid: Uuid, wanted: &AclRow, changes: &mut Changes) {
    let table = ACL;
    let Some(found) = AclRow::read(replica, uuid) else {
        changes.closing.push(Change::Insert { table, uuid, columns: wanted.columns() });
        return;
    };
    let mut wanted = wanted.clone();
    if found.matches != wanted.matches && !changes.load_balancers.is_empty() {
        wanted.matches = both(&found.matches, &wanted.matches);
        changes.closes_more = true;
    }
    let columns = differing(wanted.columns(), &found.columns());
    if !columns.is_empty() {
        changes.closing.push(Change::Update { table, uuid, name: wanted.name, columns });
    }
}

/// A match of what either matches.
fn both(found: &str, wanted: &str) -> String {
    let wanted = format!(" || ({wanted})");
    if found.ends_with(&wanted) { found.to_owned() } else { format!("({found}){wanted}") }
}
