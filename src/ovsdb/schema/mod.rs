//! What a database has: its tables, their columns, the columns' types (RFC 7047 §3.2).
//!
//! Read from `get_schema` or from an `.ovsschema` file; the two have one form. What this crate does not use (checksum,
//! number ranges) is passed over, so that a newer server's schema still reads.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::ProtocolError;
use super::value::{Atom, Datum};

mod wanted;

pub use wanted::{ColumnsWanted, MissingColumn, MissingOptional, MissingRequired, TablesWanted};

/// A database's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The database's name, such as `OVN_Northbound`.
    pub name: String,
    /// The schema's version, such as `7.3.0`.
    pub version: String,
    /// The tables by name.
    pub tables: BTreeMap<String, TableSchema>,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// The columns by name, without `_uuid` and `_version`.
    pub columns: BTreeMap<String, ColumnSchema>,
    /// Whether rows stay without a reference to them.
    pub is_root: bool,
    /// The most rows the table may hold, if there is a limit.
    pub max_rows: Option<u64>,
    /// The sets of columns that are unique together.
    pub indexes: Vec<Vec<String>>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSchema {
    /// What its values are.
    pub kind: ColumnType,
    /// Whether it is forgotten when the server restarts.
    pub ephemeral: bool,
    /// Whether it can change after the insert.
    pub mutable: bool,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    /// A set's members or a map's keys.
    pub key: BaseType,
    /// A map's values; none for a set.
    pub value: Option<BaseType>,
    /// The fewest members: 0 or 1.
    pub min: u64,
    /// The most members; none is unlimited.
    pub max: Option<u64>,
}

/// The type of one atom.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseType {
    /// Its kind.
    pub atom: AtomType,
    /// The only values allowed, if they are listed.
    pub allowed: Option<Datum>,
    /// For a UUID, the table whose rows it names.
    pub refers_to: Option<Reference>,
}

/// What a UUID column refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// Whether the row named must exist (strong), or the reference goes away with it (weak).
    pub strong: bool,
}

/// The kinds of atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomType {
    /// 64-bit integer.
    Integer,
    /// Real number.
    Real,
    /// Boolean.
    Boolean,
    /// Text.
    String,
    /// Name of a row.
    Uuid,
}

impl Schema {
    /// Reads a `<database-schema>`.
    pub fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        let fields = object(json, "a database schema")?;
        let tables = fields.get("tables").map(|tables| object(tables, "a schema's tables")).transpose()?;
        let tables = tables.into_iter().flatten();
        Ok(Self {
            name: text(fields, "name").unwrap_or_default(),
            version: text(fields, "version").unwrap_or_default(),
            tables: tables
                .map(|(name, table)| Ok((name.clone(), TableSchema::from_json(table)?)))
                .collect::<Result<_, ProtocolError>>()?,
        })
    }

    /// The type of one column, if table and column are there.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnType> {
        Some(&self.tables.get(table)?.columns.get(column)?.kind)
    }
}

impl TableSchema {
    fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        let fields = object(json, "a table schema")?;
        let columns = object(fields.get("columns").unwrap_or(&Value::Null), "a table's columns")?;
        let indexes = fields.get("indexes").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            columns: columns
                .iter()
                .map(|(name, column)| Ok((name.clone(), ColumnSchema::from_json(column)?)))
                .collect::<Result<_, ProtocolError>>()?,
            is_root: flag(fields, "isRoot", false),
            max_rows: fields.get("maxRows").and_then(Value::as_u64),
            indexes: indexes.map(names).collect(),
        })
    }
}

impl ColumnSchema {
    fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        let fields = object(json, "a column schema")?;
        Ok(Self {
            kind: ColumnType::from_json(fields.get("type").unwrap_or(&Value::Null))?,
            ephemeral: flag(fields, "ephemeral", false),
            mutable: flag(fields, "mutable", true),
        })
    }
}

impl ColumnType {
    /// The type of a column that holds exactly one atom.
    pub fn scalar(atom: AtomType) -> Self {
        Self { key: BaseType::plain(atom), value: None, min: 1, max: Some(1) }
    }

    fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        if json.is_string() {
            return Ok(Self { key: BaseType::from_json(json)?, value: None, min: 1, max: Some(1) });
        }
        let fields = object(json, "a column type")?;
        let max = match fields.get("max") {
            None => Some(1),
            Some(Value::String(word)) if word == "unlimited" => None,
            Some(number) => {
                Some(number.as_u64().ok_or_else(|| ProtocolError::unexpected("a column's max", number))?)
            }
        };
        Ok(Self {
            key: BaseType::from_json(fields.get("key").unwrap_or(&Value::Null))?,
            value: fields.get("value").map(BaseType::from_json).transpose()?,
            min: fields.get("min").and_then(Value::as_u64).unwrap_or(1),
            max,
        })
    }

    /// Whether values are maps.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// Whether an update carries the difference (ovsdb-server(7) §4.1.14: sets and maps) or the new value.
    pub fn changes_by_difference(&self) -> bool {
        self.max != Some(1)
    }

    /// What the column holds in a row that does not say (RFC 7047 §5.2.1); updates leave it out.
    pub fn default_value(&self) -> Datum {
        match (self.is_map(), self.min) {
            (true, 0) => Datum::empty_map(),
            (false, 0) => Datum::empty_set(),
            (false, _) => Datum::from(self.key.default_atom()),
            (true, _) => {
                let value = self.value.as_ref().map_or(Atom::from(""), BaseType::default_atom);
                [(self.key.default_atom(), value)].into_iter().collect()
            }
        }
    }
}

impl BaseType {
    fn plain(atom: AtomType) -> Self {
        Self { atom, allowed: None, refers_to: None }
    }

    fn default_atom(&self) -> Atom {
        match self.atom {
            AtomType::Integer => Atom::from(0),
            AtomType::Real => Atom::from(0.0),
            AtomType::Boolean => Atom::from(false),
            AtomType::String => Atom::from(""),
            AtomType::Uuid => Atom::from(Uuid::nil()),
        }
    }

    fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        if json.is_string() {
            return Ok(Self::plain(AtomType::from_json(json)?));
        }
        let fields = object(json, "a base type")?;
        let atom = AtomType::from_json(fields.get("type").unwrap_or(&Value::Null))?;
        Ok(Self {
            atom,
            allowed: fields.get("enum").map(Datum::from_json).transpose()?,
            refers_to: text(fields, "refTable")
                .map(|table| Reference { table, strong: text(fields, "refType").as_deref() != Some("weak") }),
        })
    }
}

impl AtomType {
    fn from_json(json: &Value) -> Result<Self, ProtocolError> {
        match json.as_str() {
            Some("integer") => Ok(Self::Integer),
            Some("real") => Ok(Self::Real),
            Some("boolean") => Ok(Self::Boolean),
            Some("string") => Ok(Self::String),
            Some("uuid") => Ok(Self::Uuid),
            _ => Err(ProtocolError::unexpected("an atomic type", json)),
        }
    }
}

fn object<'a>(json: &'a Value, what: &'static str) -> Result<&'a Map<String, Value>, ProtocolError> {
    json.as_object().ok_or_else(|| ProtocolError::unexpected(what, json))
}

fn text(fields: &Map<String, Value>, key: &str) -> Option<String> {
    fields.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn flag(fields: &Map<String, Value>, key: &str, default: bool) -> bool {
    fields.get(key).and_then(Value::as_bool).unwrap_or(default)
}

fn names(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nb() -> Schema {
        Schema::from_json(&json!({
            "name": "OVN_Northbound", "version": "7.3.0", "cksum": "1 2",
            "tables": {
                "Load_Balancer": {
                    "columns": {
                        "name": {"type": "string"},
                        "vips": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                        "protocol": {"type": {"key": {"type": "string", "enum": ["set", ["tcp", "udp"]]}, "min": 0}},
                        "health": {"type": {"key": {"type": "uuid", "refTable": "HC"}, "min": 0, "max": "unlimited"}},
                        "weak": {"ephemeral": true, "mutable": false,
                                 "type": {"key": {"type": "uuid", "refTable": "HC", "refType": "weak"}}}},
                    "indexes": [["name", "protocol"]], "isRoot": true, "maxRows": 5},
                "HC": {"columns": {}}}}))
        .unwrap()
    }

    #[test]
    fn a_schema_reads_with_all_we_use_of_it() {
        let schema = nb();
        assert_eq!((schema.name.as_str(), schema.version.as_str()), ("OVN_Northbound", "7.3.0"));
        let table = &schema.tables["Load_Balancer"];
        assert!(table.is_root && !schema.tables["HC"].is_root);
        assert_eq!(table.max_rows, Some(5));
        assert_eq!(table.indexes, [["name", "protocol"]]);
        assert!(table.columns["weak"].ephemeral && !table.columns["weak"].mutable);
        let refers = |column| schema.column("Load_Balancer", column).unwrap().key.refers_to.clone().unwrap();
        assert!(refers("health").strong && !refers("weak").strong);
        assert_eq!(
            schema.column("Load_Balancer", "protocol").unwrap().key.allowed,
            Some(Datum::strings(["tcp", "udp"]))
        );
    }

    #[test]
    fn only_columns_of_many_members_change_by_difference() {
        let schema = nb();
        let differs = |column| schema.column("Load_Balancer", column).unwrap().changes_by_difference();
        assert!(differs("vips") && differs("health"));
        assert!(!differs("name") && !differs("protocol"));
    }

    #[test]
    fn a_column_left_out_has_its_types_default() {
        let schema = nb();
        let default = |column| schema.column("Load_Balancer", column).unwrap().default_value();
        assert_eq!(default("name"), Datum::from(""));
        assert_eq!(default("protocol"), Datum::empty_set());
        assert_eq!(default("vips"), Datum::empty_map());
        assert_eq!(default("weak"), Datum::from(Uuid::nil()));
        assert_eq!(ColumnType::scalar(AtomType::Boolean).default_value(), Datum::from(false));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Schema::from_json(&json!([])).is_err());
        let table = json!({"tables": {"T": {"columns": {"c": {"type": "colour"}}}}});
        let error = Schema::from_json(&table).unwrap_err().to_string();
        assert!(error.contains("atomic type") && error.contains("colour"), "{error}");
    }
}
