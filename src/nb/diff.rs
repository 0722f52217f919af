//! Wanted against found: what has to be written, and why nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use uuid::Uuid;

use crate::ovsdb::{Datum, Replica};

use super::foreign::is_kube_ovns;
use super::owner::SubnetRow;
use super::rows::{GROUP, LOAD_BALANCER, LoadBalancerRow, map, text};
use super::{Desired, Owner, gate_diff, revision, subnet_diff};

/// Which rows to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// These load balancers.
    pub load_balancers: BTreeSet<Uuid>,
    /// All load balancers, wanted or ours.
    pub all_load_balancers: bool,
    /// Every membership of the groups.
    pub members: bool,
    /// Groups, attachments, router ports.
    pub subnets: bool,
    /// What keeps clients from VIPs.
    pub gates: bool,
}

impl Touched {
    /// All of it.
    pub fn everything() -> Self {
        Self {
            load_balancers: BTreeSet::new(),
            all_load_balancers: true,
            members: true,
            subnets: true,
            gates: true,
        }
    }

    /// Nothing to compare.
    pub fn is_empty(&self) -> bool {
        let Self { load_balancers, all_load_balancers, members, subnets, gates } = self;
        load_balancers.is_empty() && !all_load_balancers && !members && !subnets && !gates
    }

    /// Both.
    pub fn merge(&mut self, other: Touched) {
        let Self { load_balancers, all_load_balancers, members, subnets, gates } = other;
        self.load_balancers.extend(load_balancers);
        self.all_load_balancers |= all_load_balancers;
        self.members |= members;
        self.subnets |= subnets;
        self.gates |= gates;
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A row of ours that is not there.
    Insert {
        /// Its table.
        table: &'static str,
        /// Its name.
        uuid: Uuid,
        /// Its columns.
        columns: BTreeMap<String, Datum>,
    },
    /// Columns of a row of ours that differ.
    Update {
        /// Its table.
        table: &'static str,
        /// Its name.
        uuid: Uuid,
        /// For people.
        name: String,
        /// The columns that differ, as wanted.
        columns: BTreeMap<String, Datum>,
    },
    /// A row of ours that is not wanted.
    Delete {
        /// Its table.
        table: &'static str,
        /// Its name.
        uuid: Uuid,
        /// For people.
        name: String,
    },
    /// References into a set, in a row of ours (a group's members) or of others (a switch's ports).
    Refer {
        /// Its table.
        table: &'static str,
        /// Its name.
        uuid: Uuid,
        /// For people.
        name: String,
        /// The set's column.
        column: &'static str,
        /// What is added.
        added: BTreeSet<Uuid>,
        /// What is taken out.
        removed: BTreeSet<Uuid>,
    },
    /// Keys of a load balancer that is Kube-OVN's, left over there or taken over with consent. Nothing else of its row is
    /// touched.
    RemoveKeys {
        /// Its name.
        uuid: Uuid,
        /// For people.
        name: String,
        /// The keys of `vips`.
        keys: BTreeSet<String>,
    },
}

/// Everything that has to be written, in order: what closes a VIP, subnets, load balancers, and what opens one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Gates that are new or other, and their attachment.
    pub closing: Vec<Change>,
    /// Groups, attachments and router ports: one transaction.
    pub subnets: Vec<Change>,
    /// Load balancers and their places in groups.
    pub load_balancers: Vec<Change>,
    /// Gates that are no longer wanted.
    pub opening: Vec<Change>,
    /// A gate closes more than is wanted, until the load balancers are written.
    pub closes_more: bool,
}

impl Changes {
    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// How many writes.
    pub fn len(&self) -> usize {
        self.all().count()
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Change> {
        let Self { closing, subnets, load_balancers, opening, closes_more: _ } = self;
        closing.iter().chain(subnets).chain(load_balancers).chain(opening)
    }

    /// What may be written at once, and whether there is more: that has to wait until this is there, so that a
    /// transaction that fails leaves no VIP open.
    pub fn next_step(mut self) -> (Self, bool) {
        let rest = if self.closing.is_empty() {
            let opens_only = self.subnets.is_empty() && self.load_balancers.is_empty();
            if opens_only { Vec::new() } else { std::mem::take(&mut self.opening) }
        } else {
            let Self { closing: _, subnets, load_balancers, opening, closes_more: _ } = &mut self;
            [subnets, load_balancers, opening].into_iter().flat_map(std::mem::take).collect()
        };
        let more = !rest.is_empty() || self.closes_more;
        (self, more)
    }
}

/// Compares what is wanted with what is there. Names only rows that bear our mark, of others only the sets that hold
/// our rows, and of Kube-OVN's load balancers keys that are left over, or taken over with consent.
pub fn diff(owner: &Owner, desired: &Desired, replica: &Replica, touched: &Touched) -> Changes {
    let mut changes = Changes::default();
    if touched.subnets {
        subnet_diff::diff(owner, desired, replica, &mut changes.subnets);
    }
    let mut uuids = touched.load_balancers.clone();
    if touched.all_load_balancers {
        uuids.extend(desired.load_balancers.keys());
        let ours = replica.rows(LOAD_BALANCER).filter(|(uuid, row)| owner.owns_load_balancer(**uuid, row));
        uuids.extend(ours.map(|(uuid, _)| *uuid));
    }
    for uuid in &uuids {
        take_over(desired, replica, *uuid, &mut changes.load_balancers);
        diff_load_balancer(owner, desired, replica, *uuid, &mut changes.load_balancers);
    }
    diff_members(owner, desired, replica, &uuids, touched, &mut changes.load_balancers);
    if touched.gates {
        gate_diff::diff(owner, desired, replica, &mut changes);
    }
    changes
}

fn diff_load_balancer(
    owner: &Owner,
    desired: &Desired,
    replica: &Replica,
    uuid: Uuid,
    changes: &mut Vec<Change>,
) {
    let found = LoadBalancerRow::read(replica, uuid);
    let mut wanted = desired.load_balancers.get(&uuid).cloned();
    wanted.iter_mut().for_each(|wanted| revision::settle(wanted, found.as_ref()));
    let table = LOAD_BALANCER;
    match (wanted, found) {
        (Some(wanted), None) => {
            // Empty is every column's default, and an older northbound may lack a column that we leave empty.
            let columns = wanted.columns().into_iter().filter(|(_, datum)| !datum.is_empty()).collect();
            changes.push(Change::Insert { table, uuid, columns });
        }
        (Some(wanted), Some(found)) if wanted != found => {
            let columns = differing(wanted.columns(), &found.columns());
            changes.push(Change::Update { table, uuid, name: wanted.name.clone(), columns });
        }
        (Some(_), Some(_)) | (None, None) => {}
        (None, Some(found)) => {
            if replica.row(table, &uuid).is_some_and(|row| owner.owns_load_balancer(uuid, row)) {
                changes.push(Change::Delete { table, uuid, name: found.name });
            }
        }
    }
}

/// Two rows with one VIP are undefined in OVN: what is taken over goes from the other row first.
fn take_over(desired: &Desired, replica: &Replica, uuid: Uuid, changes: &mut Vec<Change>) {
    for (row, wanted) in desired.takeovers.get(&uuid).into_iter().flatten() {
        let Some(found) = replica.row(LOAD_BALANCER, row) else { continue };
        // Never out of a row that is not known as Kube-OVN's. It may write an address in another form than ours.
        let there = map(found, "vips").into_keys().filter(|_| is_kube_ovns(found));
        let is_wanted = |key: &String| key.parse::<SocketAddr>().is_ok_and(|key| wanted.contains(&key));
        let keys: BTreeSet<String> = there.filter(is_wanted).collect();
        if !keys.is_empty() {
            changes.push(Change::RemoveKeys { uuid: *row, name: text(found, "name").to_owned(), keys });
        }
    }
}

pub(super) fn differing(
    wanted: BTreeMap<String, Datum>,
    found: &BTreeMap<String, Datum>,
) -> BTreeMap<String, Datum> {
    wanted.into_iter().filter(|(column, datum)| found.get(column) != Some(datum)).collect()
}

/// Members of groups. A row that goes takes its memberships along (the reference is weak), so that only rows
/// that stay, and are in the wrong group, are taken out.
fn diff_members(
    owner: &Owner,
    desired: &Desired,
    replica: &Replica,
    uuids_touched: &BTreeSet<Uuid>,
    touched: &Touched,
    changes: &mut Vec<Change>,
) {
    for (subnet, wanted) in &desired.groups {
        let uuid = owner.subnet_row(subnet, SubnetRow::Group);
        let found = replica.row(GROUP, &uuid).and_then(|row| row.get("load_balancer"));
        let is_member = |member: &Uuid| found.is_some_and(|found| found.contains_uuid(member));
        let candidates = |set: &BTreeSet<Uuid>| -> BTreeSet<Uuid> {
            if touched.members || touched.all_load_balancers {
                return set.clone();
            }
            set.intersection(uuids_touched).copied().collect()
        };
        let added: BTreeSet<Uuid> =
            candidates(wanted).into_iter().filter(|member| !is_member(member)).collect();
        let strangers = uuids_touched.iter().filter(|member| is_member(member) && !wanted.contains(member));
        let removed =
            strangers.filter(|member| desired.load_balancers.contains_key(member)).copied().collect();
        push_refer(changes, GROUP, uuid, SubnetRow::Group.name(subnet), "load_balancer", added, removed);
    }
}

pub(super) fn push_refer(
    changes: &mut Vec<Change>,
    table: &'static str,
    uuid: Uuid,
    name: String,
    column: &'static str,
    added: BTreeSet<Uuid>,
    removed: BTreeSet<Uuid>,
) {
    if !added.is_empty() || !removed.is_empty() {
        changes.push(Change::Refer { table, uuid, name, column, added, removed });
    }
}

impl fmt::Display for Changes {
    /// One line a write: `+` inserted, `~` altered, `-` deleted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Insert { table, columns, uuid: _ } => {
                let name = columns.get("name").and_then(Datum::as_str).unwrap_or_default();
                write!(f, "+ {table} {name}")
            }
            Change::Update { table, name, columns, uuid: _ } => {
                let columns: Vec<&str> = columns.keys().map(String::as_str).collect();
                write!(f, "~ {table} {name}: {}", columns.join(", "))
            }
            Change::Delete { table, name, uuid: _ } => write!(f, "- {table} {name}"),
            Change::Refer { table, name, column, added, removed, uuid: _ } => {
                write!(f, "~ {table} {name}: {column} +{} -{}", added.len(), removed.len())
            }
            Change::RemoveKeys { name, keys, uuid: _ } => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                write!(f, "~ {LOAD_BALANCER} {name}: vips -{}", keys.join(" -"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_that_is_not_ours_is_never_deleted_even_if_it_is_named() {
        let uuid = Uuid::from_u128(7);
        let row = json!({ "name": "theirs", "external_ids": ["map", [["ovn-vip.io/cluster", "another"]]] });
        let replica = Replica::from_json(json!({ "Load_Balancer": { uuid.to_string(): row } })).unwrap();
        let touched = Touched { load_balancers: BTreeSet::from([uuid]), ..Touched::everything() };
        let changes = diff(&Owner::new("ours", 0), &Desired::default(), &replica, &touched);
        assert!(changes.is_empty(), "{changes}");
    }
}
