//! Updates applied to a replica, beside a model of a few lines that copies where the replica works in place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use ovn_vip::ovsdb::replica::UpdateFormat;
use ovn_vip::ovsdb::schema::ColumnType;
use ovn_vip::ovsdb::{ChangeKind, Datum, Replica, RowChange, Schema};
use serde_json::{Map, Value, json};
use uuid::Uuid;

type Columns = BTreeMap<String, Datum>;
type Rows = BTreeMap<Uuid, Columns>;

/// One column of each kind.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let columns = json!({
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "real"},
        "maybe": {"type": {"key": "string", "min": 0}},
        "refs": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
        "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}});
    Schema::from_json(&json!({"name": "D", "tables": {"T": {"columns": columns}}})).unwrap()
});

/// A stream of JSON values, each an update of the table `T`: an array `["rows", <table-updates>]`, `["dump",
/// <table-updates2>]`, or `<table-updates2>` itself. After each the replica has the model's rows and has told exactly what
/// differs; the same update as text gives the same. It ends at the first that is refused.
pub fn ovsdb_update(data: &[u8]) {
    let mut replica = empty();
    let mut model = Rows::new();
    let updates = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
    for update in updates.map_while(Result::ok) {
        let (way, update) = match update.as_array().map(Vec::as_slice) {
            Some([Value::String(word), update]) if word == "rows" => (Way::Rows, update),
            Some([Value::String(word), update]) if word == "dump" => (Way::Dump, update),
            _ => (Way::Differences, &update),
        };
        let mut from_text = replica.clone();
        let changes = apply(&mut replica, way, update);
        let text = update.to_string();
        let told_by_text = apply_text(&mut from_text, way, &text);
        assert_eq!((&replica, changes.as_ref().ok()), (&from_text, told_by_text.as_ref().ok()));
        let Ok(changes) = changes else { return };
        let before = model.clone();
        let seen = advance(&mut model, way, update);
        let Some(seen) = seen else { panic!("the replica took what the model cannot read: {update}") };
        assert_eq!(rows(&replica), model);
        if seen.iter().collect::<BTreeSet<_>>().len() == seen.len() {
            assert_eq!(told(&changes), differences(&before, &model));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Differences,
    Rows,
    Dump,
}

fn empty() -> Replica {
    let columns = SCHEMA.tables["T"].columns.keys().cloned().collect();
    Replica::with_schema(&SCHEMA, &BTreeMap::from([("T".to_owned(), columns)]))
}

fn apply(replica: &mut Replica, way: Way, update: &Value) -> Result<Vec<RowChange>, String> {
    let mut changes = Vec::new();
    let result = match way {
        Way::Differences => replica.apply_as(UpdateFormat::Differences, update, &mut changes),
        Way::Rows => replica.apply_as(UpdateFormat::Rows, update, &mut changes),
        Way::Dump => replica.level_with(empty(), UpdateFormat::Differences, update, &mut changes),
    };
    result.map(|()| changes).map_err(|error| error.to_string())
}

fn apply_text(replica: &mut Replica, way: Way, update: &str) -> Result<Vec<RowChange>, String> {
    let mut changes = Vec::new();
    let mut text = serde_json::Deserializer::from_str(update);
    let result = match way {
        Way::Differences => replica.apply_as(UpdateFormat::Differences, &mut text, &mut changes),
        Way::Rows => replica.apply_as(UpdateFormat::Rows, &mut text, &mut changes),
        Way::Dump => replica.level_with(empty(), UpdateFormat::Differences, &mut text, &mut changes),
    };
    result.map(|()| changes).map_err(|error| error.to_string())
}

fn rows(replica: &Replica) -> Rows {
    let columns = |row: &ovn_vip::ovsdb::Row| {
        row.columns().map(|(column, datum)| (column.to_owned(), datum.clone())).collect()
    };
    replica.rows("T").map(|(uuid, row)| (*uuid, columns(row))).collect()
}

/// Applies a well-formed update; the rows that it names, as often as it does.
fn advance(model: &mut Rows, way: Way, update: &Value) -> Option<Vec<Uuid>> {
    let mut seen = Vec::new();
    for (table, rows) in update.as_object()? {
        (table == "T").then_some(())?;
        for (uuid, update) in rows.as_object()? {
            let uuid = Uuid::try_parse(uuid).ok()?;
            seen.push(uuid);
            let update = update.as_object()?;
            let (form, row) = match way {
                Way::Rows => ("insert", update.get("new")),
                Way::Differences | Way::Dump => update.iter().next().map(|(k, v)| (k.as_str(), Some(v)))?,
            };
            match (form, row) {
                ("initial" | "insert", Some(row)) => drop(model.insert(uuid, whole_row(row.as_object()?)?)),
                ("modify", Some(row)) => modify(model.get_mut(&uuid)?, row.as_object()?)?,
                ("delete" | "insert", _) => drop(model.remove(&uuid)?),
                _ => return None,
            }
        }
    }
    if way == Way::Dump {
        model.retain(|uuid, _| seen.contains(uuid));
    }
    Some(seen)
}

fn kind(column: &str) -> Option<&'static ColumnType> {
    SCHEMA.column("T", column)
}

fn whole_row(given: &Map<String, Value>) -> Option<Columns> {
    let columns = SCHEMA.tables["T"].columns.iter();
    let mut row: Columns =
        columns.map(|(name, column)| (name.clone(), column.kind.default_value())).collect();
    for (column, json) in given {
        row.insert(column.clone(), Datum::from_json_typed(json, kind(column)?).ok()?);
    }
    Some(row)
}

fn modify(row: &mut Columns, differences: &Map<String, Value>) -> Option<()> {
    for (column, json) in differences {
        let value = Datum::from_json_typed(json, kind(column)?).ok()?;
        let new = match (&row[column], value) {
            (Datum::Set(held), Datum::Set(value)) if column == "refs" => Datum::Set(held ^ &value),
            (Datum::Map(held), Datum::Map(value)) => {
                let stays = held.iter().filter(|(key, _)| !value.contains_key(key));
                let comes = value.iter().filter(|(key, value)| held.get(key) != Some(value));
                stays.chain(comes).map(|(key, value)| (key.clone(), value.clone())).collect()
            }
            (_, value) => value,
        };
        row.insert(column.clone(), new);
    }
    Some(())
}

/// Each row that differs: the columns that do, none for one that came or went.
fn differences(before: &Rows, after: &Rows) -> BTreeMap<Uuid, Vec<String>> {
    let uuids: BTreeSet<&Uuid> = before.keys().chain(after.keys()).collect();
    let differing = uuids.into_iter().filter(|uuid| before.get(*uuid) != after.get(*uuid));
    let columns = |uuid: &Uuid| match (before.get(uuid), after.get(uuid)) {
        (Some(old), Some(new)) => {
            new.keys().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
        }
        _ => Vec::new(),
    };
    differing.map(|uuid| (*uuid, columns(uuid))).collect()
}

fn told(changes: &[RowChange]) -> BTreeMap<Uuid, Vec<String>> {
    let columns = |change: &RowChange| match &change.kind {
        ChangeKind::Modified { columns } => columns.iter().map(|name| name.to_string()).collect(),
        ChangeKind::Inserted | ChangeKind::Deleted => Vec::new(),
    };
    changes.iter().map(|change| (change.uuid, columns(change))).collect()
}
