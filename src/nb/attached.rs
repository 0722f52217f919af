//! On which switches a load balancer that is not ours is: OVN balances a VIP on the switches whose `load_balancer` or
//! `load_balancer_group` name its row (ovn-nb(5)), and on no other. A frame for a VIP comes in by the localnet port of its
//! Subnet's own switch, so what other switches or a router have of it, wired or not, is not in its way.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Owner;
use super::network::{NetworkDirty, NetworkIndex};
use super::owner::PREFIX;
use super::rows::{GROUP, LOAD_BALANCER, SWITCH, TEMPLATE_VAR, text, uuids};
use crate::model::SubnetName;
use crate::ovsdb::{Replica, Row, RowChange};

/// Which switches have which rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    switches: BTreeMap<Uuid, Switch>,
    /// Of each group that is not ours its rows.
    groups: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// On which switches with a localnet port each row is.
    on: BTreeMap<Uuid, BTreeSet<SubnetName>>,
    /// Every switch, where one of them does not tell its rows: each row may be on each.
    untold: Option<BTreeSet<SubnetName>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Switch {
    name: SubnetName,
    /// None: it does not tell them.
    rows: Option<BTreeSet<Uuid>>,
    groups: BTreeSet<Uuid>,
}

impl Attached {
    /// Takes a change of the northbound in; whether it says something about this.
    fn put(&mut self, change: &RowChange, row: Option<&Row>) -> bool {
        match &*change.table {
            SWITCH => {
                let new = row.map(Switch::read);
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

    /// On which switches a row is.
    fn on(&self, row: &Uuid) -> BTreeSet<SubnetName> {
        self.untold.as_ref().or(self.on.get(row)).cloned().unwrap_or_default()
    }

    /// Looks anew; the rows that are on other switches than before. None: it may be any.
    fn settle(&mut self, is_wire: impl Fn(&SubnetName) -> bool) -> Option<BTreeSet<Uuid>> {
        let tells = self.switches.values().all(|switch| switch.rows.is_some());
        let names = self.switches.values().map(|switch| switch.name.clone());
        let untold = (!tells).then(|| names.collect());
        let mut on: BTreeMap<Uuid, BTreeSet<SubnetName>> = BTreeMap::new();
        for switch in self.switches.values().filter(|switch| is_wire(&switch.name)) {
            let grouped = switch.groups.iter().filter_map(|group| self.groups.get(group));
            for row in switch.rows.iter().chain(grouped).flatten() {
                on.entry(*row).or_default().insert(switch.name.clone());
            }
        }
        let before = std::mem::replace(&mut self.on, on);
        if std::mem::replace(&mut self.untold, untold) != self.untold {
            return None;
        }
        let rows = before.keys().chain(self.on.keys());
        Some(rows.filter(|row| before.get(row) != self.on.get(row)).copied().collect())
    }
}

impl Switch {
    fn read(row: &Row) -> Self {
        let tells = row.get("load_balancer").is_some();
        Self {
            name: text(row, "name").into(),
            rows: tells.then(|| uuids(row, "load_balancer").collect()),
            groups: uuids(row, "load_balancer_group").collect(),
        }
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
        let mut touched = BTreeSet::new();
        let mut is_news = dirty.everything;
        for change in changes {
            let row = replica.row(&change.table, &change.uuid);
            match &*change.table {
                LOAD_BALANCER => drop(touched.insert(change.uuid)),
                TEMPLATE_VAR => touched.extend(self.foreign.put_variables(change.uuid, row)),
                _ => is_news |= self.attached.put(change, row),
            }
        }
        // A switch's wires are part of everything.
        if is_news {
            let switches = &self.network.switches;
            let is_wire = |name: &SubnetName| switches.get(name).is_some_and(|found| !found.wires.is_empty());
            match self.attached.settle(is_wire) {
                Some(others) => touched.extend(others),
                None => touched.extend(replica.rows(LOAD_BALANCER).map(|(uuid, _)| *uuid)),
            }
        }
        for uuid in touched {
            let row = replica.row(LOAD_BALANCER, &uuid).filter(|row| !owner.owns_load_balancer(uuid, row));
            let keys = self.foreign.put(uuid, row, self.attached.on(&uuid), replica);
            self.settle_holders(keys, dirty);
        }
    }
}

#[cfg(test)]
#[path = "attached_tests.rs"]
mod tests;
