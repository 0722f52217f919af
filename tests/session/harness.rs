//! A session, the other end of its connection, and a clock that moves when told.

use std::time::Duration;

use ovn_vip::ovsdb::framing::Framer;
use ovn_vip::ovsdb::{Datum, Endpoint, Event, Session, SessionConfig, TablesWanted};
use serde_json::{Value, json};
use uuid::Uuid;

pub const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// The schema that scripted servers tell.
pub fn schema() -> Value {
    json!({"name": "Db", "version": "1.0.0", "tables": {
        "T": {"isRoot": true, "columns": {
            "name": {"type": "string"},
            "n": {"type": "integer"},
            "refs": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}})
}

pub fn wanted() -> TablesWanted {
    TablesWanted::new().require("T", &["name", "n"]).prefer("T", &["refs", "ids", "newer"])
}

pub fn config(servers: usize) -> SessionConfig {
    let endpoints: Vec<Endpoint> =
        (0..servers).map(|n| format!("unix:/server{n}").parse().unwrap()).collect();
    let mut config = SessionConfig::new(endpoints, "Db", wanted());
    config.timing.probe = Duration::from_secs(5);
    config
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A session and the server it talks to.
pub struct Peer {
    pub session: Session,
    pub now: Duration,
    from_session: Framer,
}

impl Peer {
    pub fn new(config: SessionConfig) -> Self {
        Self { session: Session::new(config, 1), now: Duration::ZERO, from_session: Framer::new(1 << 30) }
    }

    /// A session whose replica is level with `dump`.
    pub fn level(dump: Value) -> Self {
        let mut peer = Self::new(config(1));
        peer.connect();
        peer.answer_handshake(dump);
        peer.events();
        peer
    }

    /// Connects to a server that knows nothing of `_Server`.
    pub fn connect(&mut self) -> Endpoint {
        let endpoint = self.reach();
        for request in self.requests() {
            self.say(&json!({"id": request["id"], "error": "unknown method"}));
        }
        endpoint
    }

    /// Lets time pass up to the next attempt, and lets it succeed.
    pub fn reach(&mut self) -> Endpoint {
        loop {
            if let Some(endpoint) = self.session.poll_connect(self.now) {
                self.from_session = Framer::new(1 << 30);
                self.session.connected(self.now);
                return endpoint;
            }
            assert!(!self.session.wants_transport(), "there is a connection already");
            self.now = self.now.max(self.session.deadline().expect("an attempt is planned"));
        }
    }

    /// Connects to a server that tells this of our database.
    pub fn connect_to(&mut self, database: Value) -> ServerMonitor {
        self.reach();
        let requests = self.requests();
        assert_eq!(requests[0]["method"], "set_db_change_aware");
        self.say(&json!({"id": requests[0]["id"], "result": {}, "error": null}));
        let monitor = ServerMonitor(requests[1]["params"][1].clone());
        let row = json!({id(500).to_string(): {"new": database}});
        self.say(&json!({"id": requests[1]["id"], "result": {"Database": row}, "error": null}));
        monitor
    }

    /// Schema, then a dump for the newest method.
    pub fn answer_handshake(&mut self, dump: Value) {
        self.answer("get_schema", schema());
        self.answer("monitor_cond_since", json!([false, ZERO, dump]));
    }

    /// What the session wrote since the last look.
    pub fn requests(&mut self) -> Vec<Value> {
        let written = self.session.outbound().to_vec();
        self.session.sent(self.now, written.len());
        self.from_session.push(&written);
        let mut requests = Vec::new();
        while let Some(message) = self.from_session.next_message().unwrap() {
            requests.push(serde_json::from_slice(message).unwrap());
        }
        requests
    }

    /// The one request the session wrote, which must be this one.
    pub fn request(&mut self, method: &str) -> Value {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0]["method"], method);
        requests[0].clone()
    }

    pub fn answer(&mut self, method: &str, result: Value) -> Value {
        let request = self.request(method);
        self.say(&json!({"id": request["id"], "result": result, "error": null}));
        request
    }

    pub fn refuse(&mut self, method: &str, error: &str) {
        let request = self.request(method);
        self.say(&json!({"id": request["id"], "error": {"error": error}}));
    }

    pub fn say(&mut self, message: &Value) {
        self.session.received(self.now, message.to_string().as_bytes());
    }

    /// Lets time pass, ticking where the session asks for it.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.session.deadline()
            && deadline <= end
            && self.session.wants_transport()
        {
            self.now = self.now.max(deadline);
            self.session.tick(self.now);
        }
        self.now = end;
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// The events, in short.
    pub fn told(&mut self) -> Vec<String> {
        self.events().iter().map(short).collect()
    }

    /// The names of the rows, in order of their UUIDs.
    pub fn names(&self) -> Vec<String> {
        let names =
            self.session.replica().rows("T").filter_map(|(_, row)| row.get("name").and_then(Datum::as_str));
        names.map(str::to_owned).collect()
    }
}

/// The session's monitor of `_Server`.
pub struct ServerMonitor(Value);

impl ServerMonitor {
    /// The notification that our database's row is this now.
    pub fn update(&self, database: Value) -> Value {
        let row = json!({id(500).to_string(): {"old": {}, "new": database}});
        json!({"id": null, "method": "update", "params": [self.0, {"Database": row}]})
    }
}

/// One event as a word or a line.
pub fn short(event: &Event) -> String {
    match event {
        Event::Connected { missing, .. } => {
            let missing: Vec<_> = missing.0.iter().map(ToString::to_string).collect();
            format!("connected without {}", missing.join(" "))
        }
        Event::Disconnected { reason, said_before: false, .. } => format!("disconnected: {reason}"),
        Event::Disconnected { said_before: true, .. } => "disconnected again".to_owned(),
        Event::SchemaRefused(missing) => format!("refused: {missing}"),
        Event::Synced => "synced".to_owned(),
        Event::Locked { name } => format!("locked {name}"),
        Event::Unlocked { name } => format!("unlocked {name}"),
        Event::Changed(changes) => format!("changed {}", changes.len()),
        Event::Committed { result: Ok(results), .. } => format!("committed {}", results.len()),
        Event::Committed { result: Err(error), .. } => format!("failed: {error}"),
    }
}

/// A dump or update of table T.
pub fn rows<const N: usize>(kind: &str, rows: [(u128, Value); N]) -> Value {
    let rows: serde_json::Map<_, _> =
        rows.into_iter().map(|(number, row)| (id(number).to_string(), json!({kind: row}))).collect();
    json!({"T": rows})
}
