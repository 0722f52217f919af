//! Following only some rows of a table (ovsdb-server(7) §4.1.13), and changing which.
//!
//! The rows that come into view are told as inserted, those that leave it as deleted, as if they came and went. A
//! server older than OVS 2.6 knows no conditions and shows every row.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::connection::{Purpose, Stage};
use super::fault::Fault;
use super::{Link, Session};
use crate::ovsdb::message::error_text;
use crate::ovsdb::operation::Condition;

/// Which rows of a table are followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RowFilter {
    /// All.
    #[default]
    All,
    /// Those for which at least one condition holds; none, if there is no condition.
    AnyOf(Vec<Condition>),
}

impl RowFilter {
    /// The `where` member. An empty list would mean all rows, so that none is `[false]`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::All => json!([true]),
            Self::AnyOf(conditions) if conditions.is_empty() => json!([false]),
            Self::AnyOf(conditions) => conditions.iter().map(Condition::to_json).collect(),
        }
    }
}

/// The filters by table; a table that is not named has none.
pub(super) type Filters = BTreeMap<String, RowFilter>;

impl Session {
    /// Follows only these rows of a table from now on, over this connection and all that come.
    pub fn filter(&mut self, now: Duration, table: &str, filter: RowFilter) {
        match filter {
            RowFilter::All => drop(self.filters.remove(table)),
            RowFilter::AnyOf(_) => drop(self.filters.insert(table.to_owned(), filter)),
        }
        self.send_filters(now);
    }

    /// Tells the server what differs from what it was told. Until it agrees, nobody knows which rows the replica
    /// holds, so that there is nothing to continue from.
    pub(super) fn send_filters(&mut self, now: Duration) {
        let id = self.next_id();
        let Link::Up(connection) = &mut self.link else { return };
        let monitoring = &mut connection.monitoring;
        if connection.stage != Stage::Level
            || !monitoring.knows_filters()
            || monitoring.filters == self.filters
        {
            return;
        }
        let differs = |table: &&String| monitoring.filters.get(*table) != self.filters.get(*table);
        let wanted = |table: &String| self.filters.get(table).cloned().unwrap_or_default().to_json();
        let tables = monitoring.columns.keys().filter(differs);
        let tables: Map<String, Value> =
            tables.map(|table| (table.clone(), json!([{"where": wanted(table)}]))).collect();
        monitoring.filters = self.filters.clone();
        if tables.is_empty() {
            return;
        }
        monitoring.filters_in_flight += 1;
        self.resume = None;
        let params = json!([monitoring.id, monitoring.id, tables]);
        let until = Some(now + self.config.timing.request);
        connection.request(id, "monitor_cond_change", &params, Purpose::Filter, until);
    }

    pub(super) fn filter_told(&mut self, result: Result<Value, Value>) -> Result<(), Fault> {
        result
            .map_err(|error| Fault::Refused { method: "monitor_cond_change", error: error_text(&error) })?;
        if let Link::Up(connection) = &mut self.link {
            let in_flight = &mut connection.monitoring.filters_in_flight;
            *in_flight = in_flight.saturating_sub(1);
        }
        Ok(())
    }
}
