//! Which server is good enough: what `_Server` tells about our database (ovsdb-server(5)).
//!
//! A member of a raft cluster may be cut off, may not lead, or may be behind what we have seen already. Then another
//! one is tried. The server is asked with the plain `monitor`, which gives whole rows.

use serde::Deserializer;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fault::Fault;
use crate::ovsdb::error::ProtocolError;
use crate::ovsdb::replica::{Replica, UpdateFormat};
use crate::ovsdb::value::Datum;

/// What is monitored of `_Server.Database`.
const COLUMNS: [&str; 6] = ["name", "model", "connected", "leader", "cid", "index"];

/// How far we have seen a raft cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its id. A cluster made anew, as after a restore from a backup, has another one and counts from the start.
    cluster: Option<Uuid>,
    /// The index of its log.
    index: i64,
}

/// What this connection's server tells about its databases.
#[derive(Debug)]
pub(super) struct ServerState {
    /// None as long as the server tells nothing; it may be too old to.
    databases: Option<Replica>,
    id: Value,
}

impl ServerState {
    pub(super) fn new(request: u64) -> Self {
        Self { databases: None, id: json!(["ovsdb-server", request]) }
    }

    /// The parameters of the `monitor` request.
    pub(super) fn monitor(&self) -> Value {
        json!(["_Server", self.id, {"Database": [{"columns": COLUMNS}]}])
    }

    /// Whether a notification is for this monitor.
    pub(super) fn is_ours(&self, id: &Value) -> bool {
        self.id == *id
    }

    /// The first dump or an update.
    pub(super) fn told<'de>(&mut self, updates: impl Deserializer<'de>) -> Result<(), ProtocolError> {
        let databases = match &mut self.databases {
            Some(databases) => databases,
            none => none.insert(Replica::from_json(json!({"Database": {}}))?),
        };
        databases.apply_as(UpdateFormat::Rows, updates, &mut Vec::new())
    }

    /// Whether this server will do. `seen` advances with the server.
    pub(super) fn check(&self, database: &str, leader_only: bool, seen: &mut Seen) -> Result<(), Fault> {
        let Some(databases) = &self.databases else { return Ok(()) };
        let mut rows = databases.rows("Database").map(|(_, row)| row);
        let text = |datum: Option<&Datum>| datum.and_then(Datum::as_str).map(str::to_owned);
        let row = rows.find(|row| text(row.get("name")).as_deref() == Some(database));
        let row = row.ok_or_else(|| Fault::NoDatabase(database.to_owned()))?;
        let flag = |column| row.get(column).and_then(Datum::as_bool).unwrap_or(false);
        match text(row.get("model")).as_deref() {
            Some("clustered") => {
                let index = row.get("index").and_then(Datum::as_integer).unwrap_or(0);
                if !flag("connected") {
                    return Err(Fault::CutOff("its cluster"));
                }
                if leader_only && !flag("leader") {
                    return Err(Fault::NotLeader);
                }
                let cluster = row.get("cid").and_then(Datum::as_uuid);
                if seen.cluster == cluster && index < seen.index {
                    return Err(Fault::Stale { index, seen: seen.index });
                }
                *seen = Seen { cluster, index };
                Ok(())
            }
            Some("relay") if !flag("connected") => Err(Fault::CutOff("the server it relays")),
            Some("relay") if leader_only => Err(Fault::NotLeader),
            _ => Ok(()),
        }
    }
}
