//! What we ask of a schema, and what of it is not there.
//!
//! A required table or column that is missing is a refusal that names it; an optional one is left out of the monitor,
//! so that one program follows older and newer databases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Schema;

/// The tables and columns to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablesWanted(BTreeMap<String, ColumnsWanted>);

/// The columns to follow of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnsWanted {
    /// The table itself may be missing; when it is there, its required columns must be too.
    pub table_optional: bool,
    /// Columns that must be there.
    pub required: BTreeSet<String>,
    /// Columns that may be missing.
    pub optional: BTreeSet<String>,
}

impl TablesWanted {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A table with columns that must be there.
    pub fn require(mut self, table: &str, columns: &[&str]) -> Self {
        self.0.entry(table.to_owned()).or_default().required.extend(columns.iter().map(|c| (*c).to_owned()));
        self
    }

    /// Columns that are followed where they exist.
    pub fn prefer(mut self, table: &str, columns: &[&str]) -> Self {
        self.0.entry(table.to_owned()).or_default().optional.extend(columns.iter().map(|c| (*c).to_owned()));
        self
    }

    /// A whole table that is followed where it exists.
    pub fn prefer_table(mut self, table: &str, columns: &[&str]) -> Self {
        self.0.entry(table.to_owned()).or_default().table_optional = true;
        self.prefer(table, columns)
    }

    /// The tables by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &ColumnsWanted)> {
        self.0.iter().map(|(name, columns)| (name.as_str(), columns))
    }

    /// Every table and column wanted that this schema has: what a monitor asks for.
    pub fn present_in(&self, schema: &Schema) -> BTreeMap<String, Vec<String>> {
        let present = |(table, wanted): (&String, &ColumnsWanted)| {
            let columns = &schema.tables.get(table)?.columns;
            let found = wanted.required.union(&wanted.optional).filter(|name| columns.contains_key(*name));
            Some((table.clone(), found.cloned().collect()))
        };
        self.0.iter().filter_map(present).collect()
    }
}

/// A table or column that a database does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingColumn {
    /// The table.
    pub table: String,
    /// The column; none when the table itself is missing.
    pub column: Option<String>,
}

impl fmt::Display for MissingColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}", self.table),
            None => write!(f, "{}", self.table),
        }
    }
}

/// What was asked for where it exists, and does not exist here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingOptional(pub BTreeSet<MissingColumn>);

/// What must be there and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "database {database} (schema {version}) lacks {}: upgrade its schema, or connect to the right database",
    list(missing)
)]
pub struct MissingRequired {
    /// The database.
    pub database: String,
    /// Its schema's version.
    pub version: String,
    /// The tables and columns.
    pub missing: BTreeSet<MissingColumn>,
}

fn list(missing: &BTreeSet<MissingColumn>) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Schema {
    /// Compares what is wanted with what there is. `Ok` lists what is to be done without.
    pub fn check(&self, wanted: &TablesWanted) -> Result<MissingOptional, MissingRequired> {
        let mut required = BTreeSet::new();
        let mut optional = BTreeSet::new();
        for (name, columns) in &wanted.0 {
            let Some(table) = self.tables.get(name) else {
                let missing = MissingColumn { table: name.clone(), column: None };
                if columns.table_optional { &mut optional } else { &mut required }.insert(missing);
                continue;
            };
            let absent = |names: &BTreeSet<String>| -> Vec<MissingColumn> {
                let gone = names.iter().filter(|column| !table.columns.contains_key(*column));
                gone.map(|column| MissingColumn { table: name.clone(), column: Some(column.clone()) })
                    .collect()
            };
            required.extend(absent(&columns.required));
            optional.extend(absent(&columns.optional));
        }
        if required.is_empty() {
            return Ok(MissingOptional(optional));
        }
        Err(MissingRequired { database: self.name.clone(), version: self.version.clone(), missing: required })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::from_json(&json!({"name": "NB", "version": "5.16.0", "tables": {
            "LB": {"columns": {"name": {"type": "string"}, "vips": {"type": "string"}}}}}))
        .unwrap()
    }

    #[test]
    fn a_missing_required_column_is_named_with_its_database_and_table() {
        let wanted = TablesWanted::new().require("LB", &["name", "options"]).require("Group", &["name"]);
        let refusal = schema().check(&wanted).unwrap_err().to_string();
        assert!(refusal.starts_with("database NB (schema 5.16.0) lacks Group, LB.options:"), "{refusal}");
    }

    #[test]
    fn a_missing_optional_column_or_table_is_left_out_and_listed() {
        let wanted = TablesWanted::new()
            .require("LB", &["name"])
            .prefer("LB", &["options", "vips"])
            .prefer_table("Template", &["value"]);
        let missing = schema().check(&wanted).unwrap();
        let names: Vec<_> = missing.0.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["LB.options", "Template"]);
        let present = wanted.present_in(&schema());
        assert_eq!(
            present.into_iter().collect::<Vec<_>>(),
            [("LB".into(), vec!["name".into(), "vips".into()])]
        );
    }
}
