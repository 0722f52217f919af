//! From a fresh connection to a level replica, and what the server tells afterwards.
//!
//! What the server knows of itself, the schema, its check, then the newest monitor the server knows: `monitor_cond_since`, `monitor_cond`, `monitor`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::connection::{Purpose, Stage};
use super::fault::Fault;
use super::filter::Filters;
use super::lock::LockState;
use super::{Event, Link, Session};
use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::message::{self, Message, error_text, read};
use crate::ovsdb::replica::{Replica, RowChange, UpdateFormat};
use crate::ovsdb::schema::Schema;

/// The transaction id that stands for "from the beginning" (ovsdb-server(7) §4.1.15).
const NEVER: &str = "00000000-0000-0000-0000-000000000000";

/// The ways to monitor, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MonitorMethod {
    #[default]
    CondSince,
    Cond,
    Plain,
}

impl MonitorMethod {
    fn name(self) -> &'static str {
        match self {
            Self::CondSince => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    fn older(self) -> Option<Self> {
        match self {
            Self::CondSince => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// What this connection monitors, and how.
#[derive(Debug, Default)]
pub(super) struct Monitoring {
    method: MonitorMethod,
    pub(super) columns: BTreeMap<String, Vec<String>>,
    /// What the server was told last.
    pub(super) filters: Filters,
    pub(super) filters_in_flight: u32,
    pub(super) id: Value,
}

impl Monitoring {
    pub(super) fn knows_filters(&self) -> bool {
        self.method != MonitorMethod::Plain
    }

    /// The `<monitor-cond-requests>`.
    fn tables(&self) -> Map<String, Value> {
        let table = |(table, columns): (&String, &Vec<String>)| {
            let request = match self.filters.get(table).filter(|_| self.knows_filters()) {
                Some(filter) => json!([{"columns": columns, "where": filter.to_json()}]),
                None => json!([{"columns": columns}]),
            };
            (table.clone(), request)
        };
        self.columns.iter().map(table).collect()
    }
}

/// Where a resumed monitor goes on.
#[derive(Debug)]
pub(super) struct Resume {
    last_transaction: String,
    columns: BTreeMap<String, Vec<String>>,
    filters: Filters,
}

impl Resume {
    fn is_of(&self, monitoring: &Monitoring) -> bool {
        self.columns == monitoring.columns && self.filters == monitoring.filters
    }
}

impl Session {
    /// Asks what the server knows of its databases. An old server knows nothing; that is fine.
    pub(super) fn start_handshake(&mut self, now: Duration) {
        let (aware, server) = (self.next_id(), self.next_id());
        let until = Some(now + self.config.timing.request);
        if let Link::Up(connection) = &mut self.link {
            connection.request(aware, "set_db_change_aware", &json!([true]), Purpose::Ignored, until);
            let monitor = connection.server.monitor();
            connection.request(server, "monitor", &monitor, Purpose::Server, until);
        }
    }

    fn server_told(&mut self, now: Duration, result: Result<Value, Value>) -> Result<(), Fault> {
        if let (Link::Up(connection), Ok(databases)) = (&mut self.link, result) {
            connection.server.told(databases)?;
        }
        self.check_server()?;
        self.ask_for_schema(now);
        Ok(())
    }

    /// Whether the server will do, at first and whenever it tells news of itself.
    fn check_server(&mut self) -> Result<(), Fault> {
        let Link::Up(connection) = &self.link else { return Ok(()) };
        connection.server.check(&self.config.database, self.config.leader_only, &mut self.seen)
    }

    fn ask_for_schema(&mut self, now: Duration) {
        let id = self.next_id();
        let until = Some(now + self.config.timing.request);
        if let Link::Up(connection) = &mut self.link {
            connection.request(id, "get_schema", &json!([self.config.database]), Purpose::Schema, until);
            connection.enter(now, Stage::Schema);
        }
    }

    /// Everything whole that was received.
    pub(super) fn handle_messages(&mut self, now: Duration) -> Result<(), Fault> {
        loop {
            let Link::Up(connection) = &mut self.link else { return Ok(()) };
            let Some(bytes) = connection.framer.take_message()? else {
                connection.handled(now);
                return Ok(());
            };
            match Message::parse(&bytes)? {
                Message::Request { id, method, params } => {
                    let answer = match method.as_str() {
                        "echo" => message::reply(&id, &read("the parameters of an echo", params)?),
                        _ => message::unknown_method(&id),
                    };
                    connection.outbound.push_answer(&answer, self.config.outbound_limit)?;
                }
                Message::Notification { method, params } => self.notified(now, &method, params)?,
                Message::Reply { id, result } => match (connection.answered(&id), result) {
                    (None, _) => {}
                    (Some(Purpose::Dump), result) => self.dump_told(now, result)?,
                    (Some(purpose), Ok(result)) => {
                        self.answered(now, purpose, Ok(read("a result", result)?))?
                    }
                    (Some(purpose), Err(error)) => self.answered(now, purpose, Err(error))?,
                },
            }
        }
    }

    fn answered(
        &mut self,
        now: Duration,
        purpose: Purpose,
        result: Result<Value, Value>,
    ) -> Result<(), Fault> {
        match purpose {
            Purpose::Ignored | Purpose::Dump => Ok(()),
            Purpose::Server => self.server_told(now, result),
            Purpose::Schema => self.schema_told(now, result),
            Purpose::Filter => self.filter_told(result),
            Purpose::Lock { name, request } => self.lock_answered(&name, request, result),
            Purpose::Transaction { id, operations } => {
                self.transaction_told(id, &operations, &result);
                Ok(())
            }
        }
    }

    fn schema_told(&mut self, now: Duration, result: Result<Value, Value>) -> Result<(), Fault> {
        let json =
            result.map_err(|error| Fault::Refused { method: "get_schema", error: error_text(&error) })?;
        let schema = Schema::from_json(&json)?;
        let checked = schema.check(&self.config.monitors);
        let columns = self.config.monitors.present_in(&schema);
        // Under another schema a difference may mean something else.
        if self.schema.as_ref() != Some(&schema) {
            self.resume = None;
        }
        self.schema = Some(schema);
        let missing = checked?;
        if let Link::Up(connection) = &mut self.link {
            connection.monitoring.columns = columns;
            self.events.push_back(Event::Connected { endpoint: connection.endpoint.clone(), missing });
        }
        self.ask_for_dump(now);
        Ok(())
    }

    fn ask_for_dump(&mut self, now: Duration) {
        let id = self.next_id();
        let Link::Up(connection) = &mut self.link else { return };
        let monitoring = &mut connection.monitoring;
        monitoring.id = json!(["ovsdb-session", id]);
        monitoring.filters = self.filters.clone();
        let tables = Value::Object(monitoring.tables());
        let mut params = vec![json!(self.config.database), monitoring.id.clone(), tables];
        if monitoring.method == MonitorMethod::CondSince {
            let since = self.resume.as_ref().filter(|resume| resume.is_of(monitoring));
            params.push(json!(since.map_or(NEVER, |resume| resume.last_transaction.as_str())));
        }
        let method = monitoring.method.name();
        connection.request(id, method, &Value::Array(params), Purpose::Dump, None);
        connection.enter(now, Stage::Dump);
    }

    fn dump_told(&mut self, now: Duration, result: Result<&RawValue, Value>) -> Result<(), Fault> {
        let Link::Up(connection) = &mut self.link else { return Ok(()) };
        let monitoring = &mut connection.monitoring;
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => {
                let text = error_text(&error);
                let older = monitoring.method.older().filter(|_| text.starts_with("unknown method"));
                let Some(older) = older else {
                    return Err(Fault::Refused { method: monitoring.method.name(), error: text });
                };
                monitoring.method = older;
                self.ask_for_dump(now);
                return Ok(());
            }
        };
        let (continues, last_transaction, updates) = match monitoring.method {
            MonitorMethod::CondSince => {
                let (found, last, updates) = read("the reply of monitor_cond_since", reply)?;
                (found, Some(last), updates)
            }
            MonitorMethod::Cond | MonitorMethod::Plain => (false, None, reply),
        };
        self.bring_level(continues, updates)?;
        self.remember(last_transaction);
        self.reached_level(now);
        Ok(())
    }

    /// The replica takes what the first reply holds: a continuation, or a dump to compare with.
    fn bring_level(&mut self, continues: bool, updates: &RawValue) -> Result<(), Fault> {
        let (Link::Up(connection), Some(schema)) = (&self.link, &self.schema) else { return Ok(()) };
        let monitoring = &connection.monitoring;
        if continues {
            self.syncs.continued += 1;
            return self.apply(UpdateFormat::Differences, updates);
        }
        self.syncs.dumps += 1;
        let shape = Replica::with_schema(schema, &monitoring.columns);
        let mut changes = Vec::new();
        let levelled = self.replica.level_with(shape, monitoring.method.format(), updates, &mut changes);
        self.tell(changes);
        Ok(levelled?)
    }

    /// What was applied is told, even if the rest could not be.
    fn apply(&mut self, format: UpdateFormat, updates: &RawValue) -> Result<(), Fault> {
        let mut changes = Vec::new();
        let applied = self.replica.apply_as(format, updates, &mut changes);
        self.tell(changes);
        Ok(applied?)
    }

    fn reached_level(&mut self, now: Duration) {
        if let Link::Up(connection) = &mut self.link {
            connection.enter(now, Stage::Level);
        }
        self.send_filters(now);
        self.ask_for_locks(now);
        self.reconnect.level(now);
        self.said.clear();
        self.events.push_back(Event::Synced);
    }

    /// Notes where to go on after a reconnect; nothing, if the server does not say or cannot (a standalone database
    /// says zero).
    fn remember(&mut self, last_transaction: Option<String>) {
        let Link::Up(connection) = &self.link else { return };
        let monitoring = &connection.monitoring;
        let last_transaction =
            last_transaction.filter(|last| last != NEVER && monitoring.filters_in_flight == 0);
        match (last_transaction, &mut self.resume) {
            (None, resume) => *resume = None,
            (Some(last), Some(resume)) if resume.is_of(monitoring) => resume.last_transaction = last,
            (Some(last_transaction), resume) => {
                let (columns, filters) = (monitoring.columns.clone(), monitoring.filters.clone());
                *resume = Some(Resume { last_transaction, columns, filters });
            }
        }
    }

    fn notified(&mut self, now: Duration, method: &str, params: &RawValue) -> Result<(), Fault> {
        let Link::Up(connection) = &mut self.link else { return Ok(()) };
        let params: Vec<&RawValue> = read("the parameters of a notification", params)?;
        let part = |index: usize| params.get(index).copied().unwrap_or(RawValue::NULL);
        let subject: Value = read("the subject of a notification", part(0))?;
        if method == "update" && connection.server.is_ours(&subject) {
            connection.server.told(part(1))?;
            return self.check_server();
        }
        if let ("locked" | "stolen", Some(name)) = (method, subject.as_str()) {
            let state = if method == "locked" { LockState::Held } else { LockState::Queued };
            self.lock_told(name, state);
            return Ok(());
        }
        if connection.monitoring.id != subject {
            return Ok(());
        }
        match (method, connection.stage) {
            ("update", Stage::Level) => self.apply(UpdateFormat::Rows, part(1)),
            ("update2", Stage::Level) => self.apply(UpdateFormat::Differences, part(1)),
            ("update3", Stage::Level) => {
                self.apply(UpdateFormat::Differences, part(2))?;
                self.remember(Some(read("a transaction's id", part(1))?));
                Ok(())
            }
            ("update" | "update2" | "update3", _) => {
                Err(ProtocolError::unexpected("the first dump before any update", &subject).into())
            }
            ("monitor_canceled", _) => {
                self.monitor_canceled(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The database was converted to another schema, or left the server (ovsdb-server(7) §4.1.18). If it is still
    /// there, the handshake starts again with its schema; the copy stays and is compared.
    fn monitor_canceled(&mut self, now: Duration) {
        if let Link::Up(connection) = &mut self.link {
            connection.monitoring = Monitoring::default();
        }
        self.resume = None;
        self.fail_queued();
        self.ask_for_schema(now);
    }

    fn tell(&mut self, changes: Vec<RowChange>) {
        if !changes.is_empty() {
            self.events.push_back(Event::Changed(changes));
        }
    }
}

impl MonitorMethod {
    fn format(self) -> UpdateFormat {
        match self {
            Self::Plain => UpdateFormat::Rows,
            Self::CondSince | Self::Cond => UpdateFormat::Differences,
        }
    }
}
