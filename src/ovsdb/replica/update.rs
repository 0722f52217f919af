//! What a server tells about rows: `<table-updates>` (RFC 7047 §4.1.6) and `<table-updates2>` (ovsdb-server(7)
//! §4.1.14), applied in place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserializer;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Replica, Row, RowChange, Table, walk};
use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::schema::ColumnType;
use crate::ovsdb::value::Datum;

/// The two forms of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateFormat {
    /// Whole rows: what `monitor` and `update` carry.
    Rows,
    /// Differences: what `monitor_cond`, `monitor_cond_since`, `update2` and `update3` carry.
    Differences,
}

impl Replica {
    /// Applies `<table-updates2>`; what really changed, each row once.
    pub fn apply(&mut self, updates: &Value) -> Result<Vec<RowChange>, ProtocolError> {
        let mut changes = Vec::new();
        self.apply_as(UpdateFormat::Differences, updates, &mut changes)?;
        Ok(changes)
    }

    /// Applies an update of either form and adds what really changed, each row once. It is read row by row, so that a
    /// large one needs little memory. What was applied before an error stays, and is added; the replica is then not
    /// to be trusted until the next full dump.
    pub fn apply_as<'de>(
        &mut self,
        format: UpdateFormat,
        updates: impl Deserializer<'de>,
        changes: &mut Vec<RowChange>,
    ) -> Result<(), ProtocolError> {
        walk::walk(updates, &mut self.tables, &mut |table, uuid, update| {
            changes.extend(table.update(format, uuid, update)?);
            Ok(())
        })
    }

    /// Takes the tables and columns of `shape` and the rows of a full dump; the real differences only, in each table
    /// what is gone before what is new. An error leaves what [`Replica::apply_as`] leaves.
    pub fn level_with<'de>(
        &mut self,
        shape: Replica,
        format: UpdateFormat,
        dump: impl Deserializer<'de>,
        changes: &mut Vec<RowChange>,
    ) -> Result<(), ProtocolError> {
        let before = changes.len();
        let mut left: BTreeMap<Arc<str>, Table> = std::mem::take(&mut self.tables);
        for (name, mut table) in shape.tables {
            if let Some(held) = left.remove(&name) {
                table.rows = held.rows;
            }
            self.tables.insert(name, table);
        }
        for (name, table) in left {
            changes.extend(table.rows.into_iter().map(|(uuid, row)| RowChange::deleted(&name, uuid, row)));
        }
        let mut seen: BTreeMap<Arc<str>, BTreeSet<Uuid>> = BTreeMap::new();
        walk::walk(dump, &mut self.tables, &mut |table, uuid, update| {
            seen.entry(table.name.clone()).or_default().insert(uuid);
            changes.extend(table.update(format, uuid, update)?);
            Ok(())
        })?;
        for (name, table) in &mut self.tables {
            let seen = seen.remove(name).unwrap_or_default();
            changes.extend(table.keep_only(&seen));
        }
        changes[before..].sort_by(|one, other| one.order().cmp(&other.order()));
        Ok(())
    }
}

impl Table {
    fn update(
        &mut self,
        format: UpdateFormat,
        uuid: Uuid,
        update: &Map<String, Value>,
    ) -> Result<Option<RowChange>, ProtocolError> {
        match format {
            UpdateFormat::Rows => self.apply_rows(uuid, update),
            UpdateFormat::Differences => self.apply_difference(uuid, update),
        }
    }

    /// Every row that was not seen is gone.
    fn keep_only(&mut self, seen: &BTreeSet<Uuid>) -> Vec<RowChange> {
        let gone: Vec<Uuid> = self.rows.keys().filter(|uuid| !seen.contains(uuid)).copied().collect();
        let removed = gone.into_iter().filter_map(|uuid| Some((uuid, self.rows.remove(&uuid)?)));
        removed.map(|(uuid, row)| RowChange::deleted(&self.name, uuid, row)).collect()
    }

    /// `{"old": …, "new": …}`: without `new` the row is gone, else `new` has every monitored column.
    fn apply_rows(
        &mut self,
        uuid: Uuid,
        update: &Map<String, Value>,
    ) -> Result<Option<RowChange>, ProtocolError> {
        match update.get("new") {
            Some(row) => {
                let row = self.read_row(row)?;
                Ok(self.put(uuid, row))
            }
            None => self.remove(uuid).map(Some),
        }
    }

    /// `{"initial" | "insert" | "modify" | "delete": <row>}`.
    fn apply_difference(
        &mut self,
        uuid: Uuid,
        update: &Map<String, Value>,
    ) -> Result<Option<RowChange>, ProtocolError> {
        let form = update.iter().next().map(|(kind, row)| (kind.as_str(), row));
        match form {
            Some(("initial" | "insert", row)) => {
                let row = self.read_row(row)?;
                Ok(self.put(uuid, row))
            }
            Some(("modify", row)) => self.modify(uuid, row),
            Some(("delete", _)) => self.remove(uuid).map(Some),
            _ => Err(ProtocolError::unexpected("a row update", &Value::Object(update.clone()))),
        }
    }

    /// A row as the server has it now, whether we knew it or not.
    fn put(&mut self, uuid: Uuid, row: Row) -> Option<RowChange> {
        match self.rows.get_mut(&uuid) {
            Some(held) => RowChange::modified(&self.name, uuid, held.replace(row)),
            None => {
                self.rows.insert(uuid, row);
                Some(RowChange::inserted(&self.name, uuid))
            }
        }
    }

    fn remove(&mut self, uuid: Uuid) -> Result<RowChange, ProtocolError> {
        let row = self.rows.remove(&uuid).ok_or_else(|| self.unknown_row(uuid))?;
        Ok(RowChange::deleted(&self.name, uuid, row))
    }

    /// Reads all differences before it applies the first: a row is changed as a whole or not at all.
    fn modify(&mut self, uuid: Uuid, differences: &Value) -> Result<Option<RowChange>, ProtocolError> {
        let differences = object(differences, "a row's differences")?;
        let read: Vec<_> = differences
            .iter()
            .map(|(column, json)| {
                let column = self.column(column)?;
                let kind = self.columns.get(&column).and_then(Option::as_ref);
                let value =
                    kind.map_or_else(|| Datum::from_json(json), |kind| Datum::from_json_typed(json, kind))?;
                Ok((column, value, kind.map(ColumnType::changes_by_difference), json))
            })
            .collect::<Result<_, ProtocolError>>()?;
        let Some(row) = self.rows.get_mut(&uuid) else { return Err(self.unknown_row(uuid)) };
        let mut gone = BTreeMap::new();
        for (column, value, by_difference, json) in read {
            let held = row.0.entry(column.clone()).or_insert_with(|| value.emptied());
            let left = match by_difference.unwrap_or_else(|| looks_like_a_difference(held, json)) {
                true => held.apply_difference(value),
                false => held.replace(value),
            };
            gone.extend(left.map(|left| (column, left)));
        }
        Ok(RowChange::modified(&self.name, uuid, gone))
    }

    fn unknown_row(&self, uuid: Uuid) -> ProtocolError {
        ProtocolError::Inconsistent(format!("{} has no row {uuid}", self.name))
    }

    /// The one copy of a column's name. Without a schema any column is taken.
    fn column(&mut self, name: &str) -> Result<Arc<str>, ProtocolError> {
        match self.columns.get_key_value(name) {
            Some((column, _)) => Ok(column.clone()),
            None if self.columns.values().any(Option::is_some) => {
                Err(ProtocolError::Inconsistent(format!("{}.{name} is not monitored", self.name)))
            }
            None => {
                let column: Arc<str> = name.into();
                self.columns.insert(column.clone(), None);
                Ok(column)
            }
        }
    }

    /// A whole row; columns it leaves out have their default.
    pub(super) fn read_row(&mut self, json: &Value) -> Result<Row, ProtocolError> {
        let given = object(json, "a row")?;
        for column in given.keys() {
            self.column(column)?;
        }
        let mut row = BTreeMap::new();
        for (column, kind) in &self.columns {
            let datum = match (given.get(column.as_ref()), kind) {
                (Some(value), Some(kind)) => Datum::from_json_typed(value, kind)?,
                (Some(value), None) => Datum::from_json(value)?,
                (None, Some(kind)) => kind.default_value(),
                (None, None) => continue,
            };
            row.insert(column.clone(), datum);
        }
        Ok(Row(row))
    }
}

/// Without a schema: an atom that meets a scalar replaces it, everything else is a difference.
fn looks_like_a_difference(held: &Datum, json: &Value) -> bool {
    let set_or_map = matches!(json.get(0).and_then(Value::as_str), Some("set" | "map"));
    set_or_map || held.len() != 1
}

pub(super) fn object<'a>(
    json: &'a Value,
    what: &'static str,
) -> Result<&'a Map<String, Value>, ProtocolError> {
    json.as_object().ok_or_else(|| ProtocolError::unexpected(what, json))
}

pub(super) fn row_name(text: &str) -> Result<Uuid, ProtocolError> {
    Uuid::try_parse(text).map_err(|_| ProtocolError::unexpected("a row's UUID", &Value::from(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ovsdb::replica::ChangeKind;
    use crate::ovsdb::schema::Schema;

    const A: &str = "00000000-0000-0000-0000-00000000000a";

    fn empty() -> Replica {
        let schema = Schema::from_json(&json!({"name": "D", "tables": {"T": {"columns": {
            "name": {"type": "string"},
            "maybe": {"type": {"key": "string", "min": 0}},
            "refs": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}))
        .unwrap();
        let columns = ["name", "maybe", "refs", "ids"].map(str::to_owned).to_vec();
        Replica::with_schema(&schema, &BTreeMap::from([("T".to_owned(), columns)]))
    }

    fn row(replica: &Replica) -> &Row {
        replica.row("T", &Uuid::from_u128(10)).unwrap()
    }

    fn columns(changes: &[RowChange]) -> Vec<Arc<str>> {
        match &changes[0].kind {
            ChangeKind::Modified { columns } => columns.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_row_has_the_defaults_that_the_server_left_out() {
        let mut replica = empty();
        let changes = replica.apply(&json!({"T": {A: {"insert": {"name": "x"}}}})).unwrap();
        assert_eq!(changes[0].kind, ChangeKind::Inserted);
        assert_eq!(row(&replica).get("name"), Some(&Datum::from("x")));
        assert_eq!(row(&replica).get("maybe"), Some(&Datum::empty_set()));
        assert_eq!(row(&replica).get("ids"), Some(&Datum::empty_map()));
        assert_eq!(row(&replica).get("other"), None);
    }

    #[test]
    fn a_modify_replaces_scalars_and_applies_differences_to_sets_and_maps() {
        let mut replica = empty();
        let one = json!(["uuid", Uuid::from_u128(1)]);
        let two = json!(["uuid", Uuid::from_u128(2)]);
        let insert = json!({"name": "x", "maybe": "m", "refs": one, "ids": ["map", [["k", "v"]]]});
        replica.apply(&json!({"T": {A: {"insert": insert}}})).unwrap();
        let modify = json!({"name": "y", "maybe": ["set", []], "refs": ["set", [one, two]], "ids": ["map", [["k", "w"]]]});
        let changes = replica.apply(&json!({"T": {A: {"modify": modify}}})).unwrap();
        assert_eq!(columns(&changes).len(), 4);
        assert_eq!(row(&replica).get("name"), Some(&Datum::from("y")));
        assert_eq!(row(&replica).get("maybe"), Some(&Datum::empty_set()));
        assert_eq!(row(&replica).get("refs"), Some(&Datum::from(Uuid::from_u128(2))));
        assert_eq!(row(&replica).get("ids"), Some(&Datum::map([("k", "w")])));
        let old = changes[0].old.as_ref().unwrap();
        assert_eq!(old.get("refs"), Some(&Datum::from(Uuid::from_u128(1))));
        assert_eq!(old.get("ids"), Some(&Datum::map([("k", "v")])));
    }

    #[test]
    fn one_reference_more_in_a_set_of_one_is_an_addition_not_a_replacement() {
        let mut replica = empty();
        let reference = |number| json!(["uuid", Uuid::from_u128(number)]);
        replica.apply(&json!({"T": {A: {"insert": {"refs": reference(1)}}}})).unwrap();
        replica.apply(&json!({"T": {A: {"modify": {"refs": reference(2)}}}})).unwrap();
        assert_eq!(row(&replica).get("refs").unwrap().len(), 2);
    }

    #[test]
    fn the_old_form_replaces_whole_rows_and_tells_only_what_differs() {
        let mut replica = empty();
        let apply = |replica: &mut Replica, json| {
            let mut changes = Vec::new();
            replica.apply_as(UpdateFormat::Rows, &json, &mut changes).unwrap();
            changes
        };
        apply(&mut replica, json!({"T": {A: {"new": {"name": "x", "maybe": "m"}}}}));
        let changes = apply(
            &mut replica,
            json!({"T": {A: {"old": {"name": "x"}, "new": {"name": "y", "maybe": "m"}}}}),
        );
        assert_eq!(columns(&changes), ["name".into()]);
        let changes = apply(&mut replica, json!({"T": {A: {"old": {"name": "y"}}}}));
        assert_eq!(changes[0].kind, ChangeKind::Deleted);
        assert_eq!(changes[0].old.as_ref().unwrap().get("name"), Some(&Datum::from("y")));
        assert_eq!(replica.rows("T").count(), 0);
    }

    #[test]
    fn what_does_not_fit_is_an_error_not_a_guess() {
        let mut replica = empty();
        for (update, expected) in [
            (json!({"X": {}}), "table X is not monitored"),
            (json!({"T": {A: {"modify": {"name": "y"}}}}), "has no row"),
            (json!({"T": {A: {"delete": null}}}), "has no row"),
            (json!({"T": {A: {"insert": {"other": 1}}}}), "T.other is not monitored"),
            (json!({"T": {"nope": {"delete": null}}}), "UUID"),
            (json!({"T": {A: {}}}), "row update"),
        ] {
            let error = replica.apply(&update).unwrap_err().to_string();
            assert!(error.contains(expected), "{update}: {error}");
        }
    }

    #[test]
    fn a_replica_without_a_schema_takes_any_column() {
        let mut replica = Replica::from_json(json!({"T": {A: {"name": "x", "refs": ["set", []]}}})).unwrap();
        let reference = json!(["uuid", Uuid::from_u128(1)]);
        let changes =
            replica.apply(&json!({"T": {A: {"modify": {"name": "y", "refs": reference}}}})).unwrap();
        assert_eq!(columns(&changes), ["name".into(), "refs".into()]);
        assert_eq!(row(&replica).get("name").unwrap().as_str(), Some("y"));
    }

    #[test]
    fn what_was_applied_before_an_error_is_told_and_a_row_is_never_changed_by_half() {
        let mut replica = empty();
        replica.apply(&json!({"T": {A: {"insert": {"name": "x"}}}})).unwrap();
        let before = replica.clone();
        let half = json!({"T": {A: {"modify": {"name": "y", "ids": "no map"}}}});
        assert!(replica.apply(&half).is_err());
        assert_eq!(replica, before);
        let mut changes = Vec::new();
        let update = json!({"T": {A: {"modify": {"name": "y"}}}, "Z": {}});
        assert!(replica.apply_as(UpdateFormat::Differences, &update, &mut changes).is_err());
        assert_eq!(columns(&changes), ["name".into()]);
    }
}
