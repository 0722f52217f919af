//! Our copy of the monitored tables.
//!
//! It is changed in place by what the server tells, and it outlives a connection: after a reconnect the full dump is
//! compared with what is held, and only real differences become [`RowChange`]s. It never goes through an empty state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::error::ProtocolError;
use super::schema::{ColumnType, Schema};
use super::value::Datum;

mod change;
mod update;
mod walk;

pub use update::UpdateFormat;

/// A copy of the monitored tables of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    tables: BTreeMap<Arc<str>, Table>,
}

/// One table of a replica.
#[derive(Debug, Clone)]
pub struct Table {
    name: Arc<str>,
    columns: BTreeMap<Arc<str>, Option<ColumnType>>,
    rows: BTreeMap<Uuid, Row>,
}

/// Two tables are equal when their rows are.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.rows == other.rows
    }
}

impl Eq for Table {}

/// One row: the monitored columns, those with their default value too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(BTreeMap<Arc<str>, Datum>);

/// One row that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Its table.
    pub table: Arc<str>,
    /// Its name.
    pub uuid: Uuid,
    /// How it changed.
    pub kind: ChangeKind,
    /// What is no longer so. Of a deleted row: all of it. Of a modified row, for each changed column: the former
    /// scalar, the members that left the set, the entries that left the map or have another value now (a column that
    /// only gained is empty here). It costs what the change costs, not what the column holds.
    pub old: Option<Row>,
}

/// How a row changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Inserted,
    /// Some of its columns have another value.
    Modified {
        /// These, in order.
        columns: Vec<Arc<str>>,
    },
    /// It is gone.
    Deleted,
}

impl Replica {
    /// No table.
    pub fn new() -> Self {
        Self::default()
    }

    /// These tables and columns, without a row. Columns have the schema's types and defaults.
    pub fn with_schema(schema: &Schema, monitored: &BTreeMap<String, Vec<String>>) -> Self {
        let table = |(name, columns): (&String, &Vec<String>)| {
            let kind = |column: &String| {
                (
                    Arc::from(column.as_str()),
                    schema.tables.get(name).and_then(|t| Some(t.columns.get(column)?.kind.clone())),
                )
            };
            let name: Arc<str> = name.as_str().into();
            let table = Table {
                name: name.clone(),
                columns: columns.iter().map(kind).collect(),
                rows: BTreeMap::new(),
            };
            (name, table)
        };
        Self { tables: monitored.iter().map(table).collect() }
    }

    /// A replica as a value, for tests and offline use: `{"Table": {"<uuid>": {"column": <value>, …}, …}, …}` with
    /// values as on the wire. There is no schema: a column that a row does not give is not there.
    pub fn from_json(json: Value) -> Result<Self, ProtocolError> {
        let mut replica = Self::new();
        let tables = json.as_object().ok_or_else(|| ProtocolError::unexpected("tables", &json))?;
        for (name, rows) in tables {
            let table = replica.table_entry(name);
            for (uuid, row) in update::object(rows, "rows")? {
                let row = table.read_row(row)?;
                table.rows.insert(update::row_name(uuid)?, row);
            }
        }
        Ok(replica)
    }

    fn table_entry(&mut self, name: &str) -> &mut Table {
        let name: Arc<str> = name.into();
        self.tables.entry(name.clone()).or_insert_with(|| Table {
            name,
            columns: BTreeMap::new(),
            rows: BTreeMap::new(),
        })
    }

    /// The tables, ordered by name.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    /// One table, if it is monitored.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// One row: O(log n).
    pub fn row(&self, table: &str, uuid: &Uuid) -> Option<&Row> {
        self.tables.get(table)?.rows.get(uuid)
    }

    /// The rows of a table, ordered by name; nothing for a table that is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (&Uuid, &Row)> {
        self.tables.get(table).into_iter().flat_map(|table| &table.rows)
    }
}

impl Table {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One row: O(log n).
    pub fn row(&self, uuid: &Uuid) -> Option<&Row> {
        self.rows.get(uuid)
    }

    /// The rows, ordered by name.
    pub fn rows(&self) -> impl Iterator<Item = (&Uuid, &Row)> {
        self.rows.iter()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether this column is monitored.
    pub fn has_column(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }
}

impl Row {
    /// The value of a column, if the column is monitored.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.0.get(column)
    }

    /// The columns and their values, ordered by name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0.iter().map(|(column, datum)| (column.as_ref(), datum))
    }
}
