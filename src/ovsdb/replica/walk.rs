//! `<table-updates>` read row by row, from text or from values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Table;
use crate::ovsdb::error::{ProtocolError, shorten};

/// What is done with one row's update.
type Apply<'a> = dyn FnMut(&mut Table, Uuid, &Map<String, Value>) -> Result<(), ProtocolError> + 'a;

/// Hands every row's update to `apply`, with its table.
pub(super) fn walk<'de>(
    updates: impl Deserializer<'de>,
    tables: &mut BTreeMap<Arc<str>, Table>,
    apply: &mut Apply<'_>,
) -> Result<(), ProtocolError> {
    let mut fault = None;
    let read = updates.deserialize_map(Tables { tables, apply, fault: &mut fault });
    read.map_err(|error| {
        let unexpected =
            || ProtocolError::Unexpected { what: "table updates", found: shorten(&error.to_string()) };
        fault.unwrap_or_else(unexpected)
    })
}

struct Tables<'a, 'b> {
    tables: &'a mut BTreeMap<Arc<str>, Table>,
    apply: &'a mut Apply<'b>,
    fault: &'a mut Option<ProtocolError>,
}

struct Rows<'a, 'b> {
    table: &'a mut Table,
    apply: &'a mut Apply<'b>,
    fault: &'a mut Option<ProtocolError>,
}

/// Serde's errors are texts, so ours goes around them.
fn stop<E: Error>(slot: &mut Option<ProtocolError>, fault: ProtocolError) -> E {
    let error = E::custom(&fault);
    *slot = Some(fault);
    error
}

impl<'de> Visitor<'de> for Tables<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tables")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let Some(table) = self.tables.get_mut(name.as_str()) else {
                let fault = ProtocolError::Inconsistent(format!("table {name} is not monitored"));
                return Err(stop(self.fault, fault));
            };
            map.next_value_seed(Rows { table, apply: self.apply, fault: self.fault })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of rows")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(uuid) = map.next_key::<Uuid>()? {
            let update: Map<String, Value> = map.next_value()?;
            (self.apply)(self.table, uuid, &update).map_err(|fault| stop(self.fault, fault))?;
        }
        Ok(())
    }
}
