//! A small OVSDB server: one table, three ways to monitor, a short memory; the leader of a cluster, until it steps down.
//! Written for the tests' histories, and on purpose from the server's side of the manual, not from the client's code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ovn_vip::ovsdb::framing::Framer;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::harness::{id, schema};

/// A row: a scalar, a set, a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeRow {
    pub n: i64,
    pub refs: BTreeSet<u128>,
    pub ids: BTreeMap<u8, u8>,
}

pub type FakeTable = BTreeMap<u128, FakeRow>;

/// How many transactions `monitor_cond_since` can go back.
const MEMORY: usize = 4;

struct Connection {
    incoming: Framer,
    outgoing: Vec<u8>,
    monitor: Option<(Value, Monitor)>,
    /// The monitor of `_Server`.
    server_monitor: Option<Value>,
    /// Answers to transactions that are on their way for long.
    held: Option<Vec<Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Monitor {
    Plain,
    Cond,
    CondSince,
}

/// The server. It survives its connections.
pub struct FakeServer {
    pub table: FakeTable,
    pub newest: Monitor,
    /// The comments of the transactions that were committed.
    pub committed: BTreeSet<String>,
    past: VecDeque<(Uuid, FakeTable)>,
    transactions: u128,
    connection: Option<Connection>,
}

impl FakeServer {
    pub fn new() -> Self {
        let past = VecDeque::from([(id(1 << 64), FakeTable::new())]);
        Self {
            table: FakeTable::new(),
            newest: Monitor::CondSince,
            committed: BTreeSet::new(),
            past,
            transactions: 1 << 64,
            connection: None,
        }
    }

    pub fn accept(&mut self) {
        self.connection = Some(Connection {
            incoming: Framer::new(1 << 20),
            outgoing: vec![],
            monitor: None,
            server_monitor: None,
            held: None,
        });
    }

    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Forgets the past, and may be of another version afterwards.
    pub fn restart(&mut self, newest: Monitor) {
        self.hang_up();
        self.newest = newest;
        self.transactions += 1 << 32;
        self.past = VecDeque::from([(id(self.transactions), self.table.clone())]);
    }

    /// Up to so many of the bytes on their way to the client.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let Some(connection) = &mut self.connection else { return vec![] };
        let count = count.min(connection.outgoing.len());
        connection.outgoing.drain(..count).collect()
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        let Some(connection) = &mut self.connection else { return };
        connection.incoming.push(bytes);
        let mut requests: Vec<Value> = Vec::new();
        while let Some(message) = connection.incoming.next_message().unwrap() {
            requests.push(serde_json::from_slice(message).unwrap());
        }
        // Without a method it is the answer to a probe.
        for request in requests.iter().filter(|request| request["method"].is_string()) {
            let answer = self.answer(request);
            let reply = match answer {
                Ok(result) => json!({"id": request["id"], "result": result, "error": null}),
                Err(error) => json!({"id": request["id"], "error": {"error": error}}),
            };
            match self.connection.as_mut().and_then(|connection| connection.held.as_mut()) {
                Some(held) if request["method"] == "transact" => held.push(reply),
                _ => self.send(&reply),
            }
        }
    }

    /// From now on transactions are done, but not answered.
    pub fn hold_answers(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.held.get_or_insert_default();
        }
    }

    /// What was held back is answered, the last first.
    pub fn answer_held(&mut self) {
        let held = self.connection.as_mut().and_then(|connection| connection.held.take());
        held.into_iter().flatten().rev().for_each(|reply| self.send(&reply));
    }

    /// Asks for a sign of life.
    pub fn probe(&mut self) {
        self.send(&json!({"id": "echo", "method": "echo", "params": []}));
    }

    /// Another member leads from now on; this one says so to who asked, in whatever state they are.
    pub fn step_down(&mut self) {
        self.tell_of_itself(false);
    }

    fn tell_of_itself(&mut self, leader: bool) {
        let database = self.itself(leader);
        let monitor = self.connection.as_ref().and_then(|connection| connection.server_monitor.clone());
        if let Some(monitor) = monitor {
            self.send(&json!({"id": null, "method": "update", "params": [monitor, database]}));
        }
    }

    /// The row of our database, as `_Server` has it.
    fn itself(&self, leader: bool) -> Value {
        let index = self.transactions - (1 << 64);
        let row = json!({"name": "Db", "model": "clustered", "connected": true, "leader": leader,
            "cid": ["uuid", id(900)], "index": index});
        json!({"Database": {id(500).to_string(): {"new": row}}})
    }

    fn send(&mut self, message: &Value) {
        if let Some(connection) = &mut self.connection {
            connection.outgoing.extend(message.to_string().into_bytes());
        }
    }

    fn answer(&mut self, request: &Value) -> Result<Value, &'static str> {
        let params = &request["params"];
        match request["method"].as_str().unwrap() {
            "get_schema" => Ok(schema()),
            "echo" => Ok(params.clone()),
            "transact" => Ok(self.transact(&params.as_array().unwrap()[1..])),
            "monitor" if params[0] == "_Server" && self.newest == Monitor::Plain => Err("unknown database"),
            "monitor" if params[0] == "_Server" => {
                self.connection.as_mut().unwrap().server_monitor = Some(params[1].clone());
                Ok(self.itself(true))
            }
            "monitor" => self.monitor(params, Monitor::Plain),
            "monitor_cond" if self.newest >= Monitor::Cond => self.monitor(params, Monitor::Cond),
            "monitor_cond_since" if self.newest == Monitor::CondSince => {
                self.monitor(params, Monitor::CondSince)
            }
            _ => Err("unknown method"),
        }
    }

    fn monitor(&mut self, params: &Value, monitor: Monitor) -> Result<Value, &'static str> {
        self.connection.as_mut().unwrap().monitor = Some((params[1].clone(), monitor));
        let empty = FakeTable::new();
        Ok(match monitor {
            Monitor::Plain => json!({"T": whole_rows(&empty, &self.table)}),
            Monitor::Cond => json!({"T": differences(&empty, &self.table, "initial")}),
            Monitor::CondSince => {
                let since = self.past.iter().find(|(id, _)| json!(id) == params[3]);
                let updates = match since {
                    Some((_, then)) => differences(then, &self.table, "insert"),
                    None => differences(&empty, &self.table, "initial"),
                };
                json!([since.is_some(), self.past.back().unwrap().0, {"T": updates}])
            }
        })
    }

    /// Changes the table as one transaction, whoever asks, and tells the client.
    pub fn change(&mut self, change: impl FnOnce(&mut FakeTable)) {
        let before = self.table.clone();
        change(&mut self.table);
        if before == self.table {
            return;
        }
        self.transactions += 1;
        let transaction = id(self.transactions);
        self.past.push_back((transaction, self.table.clone()));
        while self.past.len() > MEMORY {
            self.past.pop_front();
        }
        self.tell_of_itself(true);
        let Some((monitor_id, monitor)) = self.connection.as_ref().and_then(|c| c.monitor.clone()) else {
            return;
        };
        let update = json!({"T": differences(&before, &self.table, "insert")});
        self.send(&match monitor {
            Monitor::Plain => {
                let update = json!({"T": whole_rows(&before, &self.table)});
                json!({"id": null, "method": "update", "params": [monitor_id, update]})
            }
            Monitor::Cond => json!({"id": null, "method": "update2", "params": [monitor_id, update]}),
            Monitor::CondSince => {
                json!({"id": null, "method": "update3", "params": [monitor_id, transaction, update]})
            }
        });
    }

    /// Inserts by UUID, deletes by UUID, and `refs` gaining or losing members. All or nothing.
    fn transact(&mut self, operations: &[Value]) -> Value {
        let mut table = self.table.clone();
        let (mut results, mut comments) = (Vec::new(), Vec::new());
        for operation in operations {
            let row = operation["where"][0][2][1].as_str().map(number);
            let result = match operation["op"].as_str().unwrap() {
                "insert" => {
                    let row = number(operation["uuid"].as_str().unwrap());
                    let new = FakeRow { n: operation["row"]["n"].as_i64().unwrap(), ..FakeRow::default() };
                    match table.insert(row, new) {
                        None => json!({"uuid": ["uuid", id(row)]}),
                        Some(_) => {
                            results.push(json!({"error": "duplicate uuid", "details": ""}));
                            return json!(results);
                        }
                    }
                }
                "delete" => json!({"count": usize::from(table.remove(&row.unwrap()).is_some())}),
                "mutate" => match table.get_mut(&row.unwrap()) {
                    Some(row) => {
                        let [_, mutator, value] = &operation["mutations"][0].as_array().unwrap()[..] else {
                            panic!()
                        };
                        let member = number(value[1].as_str().unwrap());
                        match mutator.as_str().unwrap() {
                            "insert" => row.refs.insert(member),
                            _ => row.refs.remove(&member),
                        };
                        json!({"count": 1})
                    }
                    None => json!({"count": 0}),
                },
                "comment" => {
                    comments.push(operation["comment"].as_str().unwrap().to_owned());
                    json!({})
                }
                other => panic!("{other}"),
            };
            results.push(result);
        }
        self.committed.extend(comments);
        self.change(|current| *current = table);
        json!(results)
    }
}

fn number(uuid: &str) -> u128 {
    Uuid::parse_str(uuid).unwrap().as_u128()
}

fn set(members: impl IntoIterator<Item = u128>) -> Value {
    json!(["set", members.into_iter().map(|member| json!(["uuid", id(member)])).collect::<Vec<_>>()])
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a u8, &'a u8)>) -> Value {
    let text = |(key, value): (&u8, &u8)| json!([key.to_string(), value.to_string()]);
    json!(["map", entries.into_iter().map(text).collect::<Vec<_>>()])
}

fn whole(row: &FakeRow) -> Value {
    json!({"name": "", "n": row.n, "refs": set(row.refs.iter().copied()), "ids": map(&row.ids)})
}

/// `<table-updates>`.
fn whole_rows(old: &FakeTable, new: &FakeTable) -> Value {
    let rows: BTreeSet<_> =
        old.keys().chain(new.keys()).filter(|row| old.get(*row) != new.get(*row)).collect();
    let mut updates = Map::new();
    for row in rows {
        let mut update = Map::new();
        old.get(row).map(|row| update.insert("old".into(), whole(row)));
        new.get(row).map(|row| update.insert("new".into(), whole(row)));
        updates.insert(id(*row).to_string(), Value::Object(update));
    }
    Value::Object(updates)
}

/// `<table-updates2>`.
fn differences(old: &FakeTable, new: &FakeTable, inserted: &str) -> Value {
    let mut updates = Map::new();
    for row in old.keys().filter(|row| !new.contains_key(*row)) {
        updates.insert(id(*row).to_string(), json!({"delete": null}));
    }
    for (number, row) in new {
        let before = old.get(number);
        let kind = if before.is_some() { "modify" } else { inserted };
        let columns = difference(&before.cloned().unwrap_or_default(), row);
        if before.is_none() || !columns.is_empty() {
            updates.insert(id(*number).to_string(), json!({kind: columns}));
        }
    }
    Value::Object(updates)
}

fn difference(old: &FakeRow, new: &FakeRow) -> Map<String, Value> {
    let mut columns = Map::new();
    if old.n != new.n {
        columns.insert("n".into(), json!(new.n));
    }
    if old.refs != new.refs {
        columns.insert("refs".into(), set(old.refs.symmetric_difference(&new.refs).copied()));
    }
    let gone = old.ids.iter().filter(|(key, _)| !new.ids.contains_key(*key));
    let changed = new.ids.iter().filter(|(key, value)| old.ids.get(*key) != Some(*value));
    if old.ids != new.ids {
        columns.insert("ids".into(), map(gone.chain(changed)));
    }
    columns
}
