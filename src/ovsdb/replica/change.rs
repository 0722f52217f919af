//! How one value becomes another, and how one replica becomes another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{ChangeKind, Replica, Row, RowChange, Table};
use crate::ovsdb::value::Datum;

impl Datum {
    /// The same kind of value without a member.
    pub(super) fn emptied(&self) -> Datum {
        match self {
            Datum::Set(_) => Datum::empty_set(),
            Datum::Map(_) => Datum::empty_map(),
        }
    }

    /// Replaces the value; what left it, or none if it was the same.
    pub(super) fn replace(&mut self, new: Datum) -> Option<Datum> {
        if *self == new {
            return None;
        }
        let old = std::mem::replace(self, new);
        Some(match (old, &*self) {
            (Datum::Set(old), Datum::Set(new)) => Datum::Set(old.difference(new).cloned().collect()),
            (Datum::Map(old), Datum::Map(new)) => {
                Datum::Map(old.into_iter().filter(|(key, value)| new.get(key) != Some(value)).collect())
            }
            (old @ (Datum::Set(_) | Datum::Map(_)), _) => old,
        })
    }

    /// Applies a difference as `update2` carries it (ovsdb-server(7) §4.1.14); what left the value, or none if the
    /// difference was empty. The cost is that of the difference.
    pub(super) fn apply_difference(&mut self, difference: Datum) -> Option<Datum> {
        match (self, difference) {
            (_, difference) if difference.is_empty() => None,
            (Datum::Set(held), Datum::Set(difference)) => {
                let mut gone = BTreeSet::new();
                for member in difference {
                    match held.take(&member) {
                        Some(member) => gone.insert(member),
                        None => held.insert(member),
                    };
                }
                Some(Datum::Set(gone))
            }
            (Datum::Map(held), Datum::Map(difference)) => {
                let mut gone = BTreeMap::new();
                for (key, value) in difference {
                    match held.get(&key) {
                        Some(same) if *same == value => gone.extend(held.remove_entry(&key)),
                        Some(_) => gone.extend(held.insert(key.clone(), value).map(|old| (key, old))),
                        None => drop(held.insert(key, value)),
                    }
                }
                Some(Datum::Map(gone))
            }
            (held, difference) => held.replace(difference),
        }
    }
}

impl RowChange {
    /// A change of these columns, or none if there are none. Each column comes with what left it.
    pub(super) fn modified(table: &Arc<str>, uuid: Uuid, gone: BTreeMap<Arc<str>, Datum>) -> Option<Self> {
        if gone.is_empty() {
            return None;
        }
        let kind = ChangeKind::Modified { columns: gone.keys().cloned().collect() };
        Some(Self { table: table.clone(), uuid, kind, old: Some(Row(gone)) })
    }

    /// By table, what is gone before what is new, by name.
    pub(super) fn order(&self) -> (&str, bool, Uuid) {
        (&self.table, self.kind != ChangeKind::Deleted, self.uuid)
    }

    pub(super) fn inserted(table: &Arc<str>, uuid: Uuid) -> Self {
        Self { table: table.clone(), uuid, kind: ChangeKind::Inserted, old: None }
    }

    pub(super) fn deleted(table: &Arc<str>, uuid: Uuid, row: Row) -> Self {
        Self { table: table.clone(), uuid, kind: ChangeKind::Deleted, old: Some(row) }
    }
}

impl Row {
    /// Becomes `new`; what left each column that differs. A column that only one of the two has differs.
    pub(super) fn replace(&mut self, new: Row) -> BTreeMap<Arc<str>, Datum> {
        let mut gone = BTreeMap::new();
        let lost: Vec<_> = self.0.keys().filter(|column| !new.0.contains_key(*column)).cloned().collect();
        for column in lost {
            gone.extend(self.0.remove_entry(&column));
        }
        for (column, datum) in new.0 {
            match self.0.get_mut(&column) {
                Some(held) => gone.extend(held.replace(datum).map(|left| (column, left))),
                None => {
                    gone.insert(column.clone(), datum.emptied());
                    self.0.insert(column, datum);
                }
            }
        }
        gone
    }
}

impl Replica {
    /// Becomes `fresh`; the real differences only. Tables in order, in each: rows in order.
    pub fn become_level_with(&mut self, fresh: Replica) -> Vec<RowChange> {
        let mut changes = Vec::new();
        let mut held = std::mem::take(&mut self.tables);
        for (name, table) in fresh.tables {
            let mut kept = held.remove(&name).unwrap_or_else(|| Table {
                name: name.clone(),
                columns: BTreeMap::new(),
                rows: BTreeMap::new(),
            });
            kept.become_level_with(table, &mut changes);
            self.tables.insert(name, kept);
        }
        for (name, table) in held {
            changes.extend(table.rows.into_iter().map(|(uuid, row)| RowChange::deleted(&name, uuid, row)));
        }
        changes
    }
}

impl Table {
    fn become_level_with(&mut self, fresh: Table, changes: &mut Vec<RowChange>) {
        self.columns = fresh.columns;
        let gone: Vec<Uuid> =
            self.rows.keys().filter(|uuid| !fresh.rows.contains_key(uuid)).copied().collect();
        for uuid in gone {
            changes.extend(self.rows.remove(&uuid).map(|row| RowChange::deleted(&self.name, uuid, row)));
        }
        for (uuid, row) in fresh.rows {
            match self.rows.get_mut(&uuid) {
                Some(held) => changes.extend(RowChange::modified(&self.name, uuid, held.replace(row))),
                None => {
                    self.rows.insert(uuid, row);
                    changes.push(RowChange::inserted(&self.name, uuid));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(number: u128) -> String {
        Uuid::from_u128(number).to_string()
    }

    #[test]
    fn a_difference_of_sets_adds_what_is_not_there_and_removes_what_is() {
        let mut set = Datum::strings(["a", "b"]);
        assert_eq!(set.apply_difference(Datum::strings(["b", "c"])), Some(Datum::strings(["b"])));
        assert_eq!(set, Datum::strings(["a", "c"]));
    }

    #[test]
    fn a_difference_of_maps_adds_replaces_and_removes() {
        let mut map = Datum::map([("same", "1"), ("other", "2"), ("kept", "3")]);
        let gone = map.apply_difference(Datum::map([("same", "1"), ("other", "9"), ("new", "4")]));
        assert_eq!(map, Datum::map([("kept", "3"), ("new", "4"), ("other", "9")]));
        assert_eq!(gone, Some(Datum::map([("same", "1"), ("other", "2")])));
    }

    #[test]
    fn a_value_replaced_by_itself_is_no_change() {
        assert_eq!(Datum::from("x").replace(Datum::from("x")), None);
        assert_eq!(Datum::strings(["x"]).apply_difference(Datum::empty_set()), None);
        assert_eq!(Datum::from("x").replace(Datum::from("y")), Some(Datum::from("x")));
    }

    #[test]
    fn a_dump_gives_only_the_real_differences() {
        let mut held = Replica::from_json(json!({
            "A": {id(1): {"n": "same"}, id(2): {"n": "old", "m": ["map", [["k", "v"]]]}, id(3): {"n": "gone"}},
            "Left": {id(4): {"n": "x"}}}))
        .unwrap();
        let fresh = Replica::from_json(json!({
            "A": {id(1): {"n": "same"}, id(2): {"n": "new", "m": ["map", [["k", "v"]]]}, id(5): {"n": "new"}},
            "B": {}}))
        .unwrap();
        let changes = held.become_level_with(fresh.clone());
        assert_eq!(held, fresh);
        let told: Vec<_> = changes
            .iter()
            .map(|change| match &change.kind {
                ChangeKind::Inserted => format!("{} +{}", change.table, change.uuid.as_u128()),
                ChangeKind::Deleted => format!("{} -{}", change.table, change.uuid.as_u128()),
                ChangeKind::Modified { columns } => {
                    format!("{} {}: {}", change.table, change.uuid.as_u128(), columns.join(" "))
                }
            })
            .collect();
        assert_eq!(told, ["A -3", "A 2: n", "A +5", "Left -4"]);
        assert_eq!(changes[1].old.as_ref().unwrap().get("n"), Some(&Datum::from("old")));
        assert_eq!(held.become_level_with(fresh), []);
    }

    #[test]
    fn a_column_that_comes_or_goes_with_a_schema_is_a_change() {
        let mut held = Replica::from_json(json!({"A": {id(1): {"gone": "x"}}})).unwrap();
        let fresh = Replica::from_json(json!({"A": {id(1): {"new": "y"}}})).unwrap();
        let changes = held.become_level_with(fresh.clone());
        assert_eq!(changes[0].kind, ChangeKind::Modified { columns: vec!["gone".into(), "new".into()] });
        assert_eq!(held, fresh);
    }
}
