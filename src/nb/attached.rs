//! Whether a load balancer that is not ours is on the wire at all: OVN balances a VIP on the switches whose `load_balancer` or
//! `load_balancer_group` name its row (ovn-nb(5)), and on no other. A row that only other switches have, or none, holds nothing here.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Owner;
use super::network::{NetworkDirty, NetworkIndex};
use super::owner::PREFIX;
use super::rows::{GROUP, LOAD_BALANCER, SWITCH, text, uuids};
use crate::model::SubnetName;
use crate::ovsdb::{Replica, Row, RowChange};

/// Which rows the switches have.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    /// Of each switch its rows, where it tells them.
    switches: BTreeMap<Uuid, (SubnetName, Option<BTreeSet<Uuid>>)>,
    /// Of each group that is not ours its rows: whoever makes one attaches it.
    groups: BTreeMap<Uuid, BTreeSet<Uuid>>,
    on_wire: BTreeSet<Uuid>,
    /// Whether every switch tells its rows.
    tells: bool,
}

impl Attached {
    /// Takes a change of the northbound in; whether it says something about this.
    fn put(&mut self, change: &RowChange, row: Option<&Row>) -> bool {
        match &*change.table {
            SWITCH => {
                let read = |row: &Row| {
                    let tells = row.get("load_balancer").is_some();
                    (text(row, "name").into(), tells.then(|| uuids(row, "load_balancer").collect()))
                };
                let new: Option<(SubnetName, _)> = row.map(read);
                let old = self.switches.remove(&change.uuid);
                let is_news = old != new;
                self.switches.extend(new.map(|new| (change.uuid, new)));
                is_news
            }
            GROUP => {
                let theirs = row.filter(|row| !text(row, "name").starts_with(PREFIX));
                let new = theirs.map(|row| uuids(row, "load_balancer").collect());
                let old = self.groups.remove(&change.uuid);
                let is_news = old != new;
                self.groups.extend(new.map(|new| (change.uuid, new)));
                is_news
            }
            _ => false,
        }
    }

    /// Whether a row counts.
    fn counts(&self, row: &Uuid) -> bool {
        !self.tells || self.on_wire.contains(row)
    }

    /// Looks anew; the rows that count and did not, or the other way round. None: it may be any.
    fn settle(&mut self, is_wire: impl Fn(&SubnetName) -> bool) -> Option<BTreeSet<Uuid>> {
        let tells = !self.switches.is_empty() && self.switches.values().all(|(_, rows)| rows.is_some());
        let switches = self.switches.values().filter(|(name, _)| is_wire(name));
        let rows = switches.filter_map(|(_, rows)| rows.as_ref()).chain(self.groups.values());
        let on_wire: BTreeSet<Uuid> = rows.flatten().copied().collect();
        let was = std::mem::replace(&mut self.tells, tells);
        let before = std::mem::replace(&mut self.on_wire, on_wire);
        (was == tells).then(|| before.symmetric_difference(&self.on_wire).copied().collect())
    }
}

impl NetworkIndex {
    /// Takes in what a northbound's changes say of rows that are not ours; after everything else.
    pub(super) fn foreign_changed(
        &mut self,
        owner: &Owner,
        replica: &Replica,
        changes: &[RowChange],
        dirty: &mut NetworkDirty,
    ) {
        let of = |change: &&RowChange| &*change.table == LOAD_BALANCER;
        let mut touched: BTreeSet<Uuid> = changes.iter().filter(of).map(|change| change.uuid).collect();
        let put = |attached: &mut Attached, change: &RowChange| {
            attached.put(change, replica.row(&change.table, &change.uuid))
        };
        let is_news = changes.iter().fold(false, |news, change| put(&mut self.attached, change) | news);
        // A switch's wires are part of everything.
        if is_news || dirty.everything {
            let switches = &self.network.switches;
            let is_wire = |name: &SubnetName| switches.get(name).is_some_and(|found| !found.wires.is_empty());
            match self.attached.settle(is_wire) {
                Some(others) => touched.extend(others),
                None => touched.extend(replica.rows(LOAD_BALANCER).map(|(uuid, _)| *uuid)),
            }
        }
        for uuid in touched {
            let row = replica.row(LOAD_BALANCER, &uuid).filter(|row| !owner.owns_load_balancer(uuid, row));
            let row = row.filter(|_| self.attached.counts(&uuid));
            let keys = self.foreign.put(uuid, row, replica);
            self.settle_holders(keys, dirty);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Protocol;

    const BALANCER: Uuid = Uuid::from_u128(9);

    /// A wired switch and one that is not, each with these rows, a group with these; whether the row holds its key then.
    fn is_held(wired: &[Uuid], other: &[Uuid], group: &[Uuid]) -> bool {
        let set =
            |rows: &[Uuid]| json!(["set", rows.iter().map(|row| json!(["uuid", row])).collect::<Vec<_>>()]);
        let id = |number| Uuid::from_u128(number).to_string();
        let replica = Replica::from_json(json!({
            "Logical_Switch": {
                id(1): { "name": "underlay", "ports": ["uuid", id(3)], "load_balancer": set(wired) },
                id(2): { "name": "overlay", "ports": ["set", []], "load_balancer": set(other) },
            },
            "Logical_Switch_Port": { id(3): { "name": "localnet.underlay", "type": "localnet" } },
            "Load_Balancer_Group": { id(4): { "name": "theirs", "load_balancer": set(group) } },
            "Load_Balancer": { BALANCER.to_string(): { "name": "cluster-tcp-loadbalancer", "protocol": "tcp",
                "vips": ["map", [["10.0.0.9:80", "10.0.0.1:80"]]], "options": ["map", [["prefer_local_backend", "true"]]] } },
        }));
        let replica = replica.unwrap();
        let mut index = NetworkIndex::default();
        let changes = Replica::new().become_level_with(replica.clone());
        index.northbound_changed(&Owner::new("test", 0), &replica, &changes);
        index.network().native.contains_key(&(Protocol::Tcp, "10.0.0.9:80".parse().unwrap()))
    }

    #[test]
    fn a_row_holds_what_it_has_where_a_switch_on_the_wire_has_it() {
        assert!(is_held(&[BALANCER], &[], &[]));
        assert!(is_held(&[], &[], &[BALANCER]), "by a group");
        assert!(!is_held(&[], &[BALANCER], &[]), "another network's");
        assert!(!is_held(&[], &[], &[]), "nobody's");
    }
}
