//! One database followed through any number of connections, sans-I/O.
//!
//! The driver connects where [`Session::poll_connect`] says, hands over what it reads, writes what
//! [`Session::outbound`] holds, calls [`Session::tick`] at [`Session::deadline`], and takes events. Bytes and `now` go
//! in, bytes and events come out; nothing else decides.
//!
//! What holds, whatever the server or the network does:
//! - the replica outlives connections and is brought level by differences, never emptied;
//! - each change is told once, and before the `Committed` of the transaction that made it;
//! - each transaction gets exactly one `Committed`; it is [`TransactionError::Unknown`] if the reply was lost;
//! - every wait has an end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::endpoint::Endpoint;
use super::outcome::{OperationResult, TransactionError};
use super::replica::{Replica, RowChange};
use super::schema::{MissingOptional, MissingRequired, Schema, TablesWanted};

mod connection;
mod fault;
mod filter;
mod handshake;
mod lock;
mod reconnect;
mod server;
mod transact;

use connection::{Connection, Stage};
use fault::Fault;
use filter::Filters;
pub use filter::RowFilter;
use handshake::Resume;
use lock::Lock;
use reconnect::Reconnect;
use server::Seen;
use transact::Queued;

/// How many different reasons are remembered as told.
const SAID_LIMIT: usize = 100;

/// What to follow, where, and how patiently.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The servers of the database; one is followed at a time.
    pub endpoints: Vec<Endpoint>,
    /// The database, such as `OVN_Northbound`.
    pub database: String,
    /// The tables and columns to follow.
    pub monitors: TablesWanted,
    /// Follow the leader of a raft cluster only, and move when another one leads. Only its lock and its reads are the
    /// cluster's.
    pub leader_only: bool,
    /// How patiently.
    pub timing: Timing,
    /// The largest message to accept, in bytes: a guard for memory, far above any real dump.
    pub message_limit: usize,
    /// Above this many unsent bytes further transactions wait in the queue; with as many bytes of answers that it does
    /// not read, a server is given up.
    pub outbound_limit: usize,
}

impl SessionConfig {
    /// The defaults for this database.
    pub fn new(endpoints: Vec<Endpoint>, database: &str, monitors: TablesWanted) -> Self {
        let timing = if endpoints.len() > 1 { Timing::cluster() } else { Timing::default() };
        Self {
            endpoints,
            database: database.to_owned(),
            monitors,
            leader_only: false,
            timing,
            message_limit: 256 << 20,
            outbound_limit: 4 << 20,
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For the transport to connect.
    pub connect: Duration,
    /// For a small request.
    pub request: Duration,
    /// For the first dump: how long nothing of it may come. A dump that keeps coming may take any time (kube-ovn#4465:
    /// a limit on the whole made large databases reconnect for ever); echoes and the server's news of itself are no dump.
    pub dump_silence: Duration,
    /// For a transaction.
    pub transaction: Duration,
    /// After so much silence we ask for a sign of life; after as much again the connection is given up. A server is
    /// silent while it executes a large transaction of another client, and a reconnect only adds to its work.
    pub probe: Duration,
    /// The pause before the first retry, and between the servers of one round.
    pub first_retry: Duration,
    /// The pause after the first round of all servers; it doubles with each round.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Timing {
    /// Where another member can be asked: one that is stopped is left within 5 s, and what it costs to come back to one that was
    /// only busy is the difference.
    pub fn cluster() -> Self {
        Self { probe: Duration::from_secs(2), ..Self::default() }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(10),
            dump_silence: Duration::from_secs(60),
            transaction: Duration::from_secs(30),
            probe: Duration::from_secs(10),
            first_retry: Duration::from_millis(100),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(8),
        }
    }
}

/// Names one transaction until its [`Event::Committed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u64);

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a session tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A server answers and its schema has what is required. The replica is not level yet. Told again, without a
    /// [`Event::Disconnected`], when the database is converted to another schema.
    Connected {
        /// Which server.
        endpoint: String,
        /// The optional tables and columns to do without.
        missing: MissingOptional,
    },
    /// There is no connection any more, or none came about. The replica stays as it was.
    Disconnected {
        /// Which server.
        endpoint: String,
        /// Why.
        reason: String,
        /// Whether the same was told before, since the replica was last level: log it once.
        said_before: bool,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// The database lacks something required. Told once; the session keeps trying, in case the schema is upgraded.
    SchemaRefused(MissingRequired),
    /// The replica is complete: the first time, and again after every reconnect.
    Synced,
    /// Rows changed. After a reconnect: the difference to what was held.
    Changed(Vec<RowChange>),
    /// A transaction is over. The replica shows its effect already.
    Committed {
        /// Which one.
        id: TransactionId,
        /// What came of it.
        result: Result<Vec<OperationResult>, TransactionError>,
    },
    /// A lock that was asked for is ours.
    Locked {
        /// Its name.
        name: String,
    },
    /// A lock was stolen, or lost with the connection. It is still wanted.
    Unlocked {
        /// Its name.
        name: String,
    },
}

/// How the replica was brought level, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Syncs {
    /// By a full dump, compared with what was held.
    pub dumps: u64,
    /// By what was missed since the last known transaction.
    pub continued: u64,
}

#[derive(Debug)]
enum Link {
    Down { retry_at: Duration },
    Connecting { endpoint: Endpoint, until: Duration },
    Up(Box<Connection>),
}

/// One database, followed.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    reconnect: Reconnect,
    link: Link,
    replica: Replica,
    schema: Option<Schema>,
    resume: Option<Resume>,
    filters: Filters,
    locks: BTreeMap<String, Lock>,
    queue: VecDeque<Queued>,
    events: VecDeque<Event>,
    last_id: u64,
    /// How far we have seen a raft cluster; a server that is behind would take us back in time.
    seen: Seen,
    syncs: Syncs,
    /// What was told about trouble since the replica was last level.
    said: BTreeSet<String>,
}

impl Session {
    /// A session that wants to connect at once. The seed spreads retries and picks the first server.
    pub fn new(config: SessionConfig, seed: u64) -> Self {
        Self {
            reconnect: Reconnect::new(config.endpoints.clone(), config.timing, seed),
            config,
            link: Link::Down { retry_at: Duration::ZERO },
            replica: Replica::new(),
            schema: None,
            resume: None,
            filters: Filters::new(),
            locks: BTreeMap::new(),
            queue: VecDeque::new(),
            events: VecDeque::new(),
            last_id: 0,
            seen: Seen::default(),
            syncs: Syncs::default(),
            said: BTreeSet::new(),
        }
    }

    /// The copy of the monitored tables, as far as it is known.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The schema of the last server that told one.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Whether the replica follows a server right now.
    pub fn is_synced(&self) -> bool {
        matches!(&self.link, Link::Up(connection) if connection.stage == Stage::Level)
    }

    /// How often the replica was brought level, and how.
    pub fn syncs(&self) -> Syncs {
        self.syncs
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a transport should exist; if not, the driver drops the one it has.
    pub fn wants_transport(&self) -> bool {
        !matches!(self.link, Link::Down { .. })
    }

    /// Where to connect, once for each attempt. Afterwards the driver calls [`Session::connected`] or
    /// [`Session::disconnected`].
    pub fn poll_connect(&mut self, now: Duration) -> Option<Endpoint> {
        match self.link {
            Link::Down { retry_at } if now >= retry_at => {
                let endpoint = self.reconnect.next_endpoint()?;
                let until = now + self.config.timing.connect;
                self.link = Link::Connecting { endpoint: endpoint.clone(), until };
                Some(endpoint)
            }
            Link::Down { .. } | Link::Connecting { .. } | Link::Up(_) => None,
        }
    }

    /// The transport is there.
    pub fn connected(&mut self, now: Duration) {
        let request = self.next_id();
        if let Link::Connecting { endpoint, .. } = &self.link {
            let connection = Connection::new(endpoint.to_string(), now, self.config.message_limit, request);
            self.link = Link::Up(Box::new(connection));
            self.start_handshake(now);
        }
    }

    /// The transport is gone, or did not come about.
    pub fn disconnected(&mut self, now: Duration, reason: &str) {
        let mute = matches!(&self.link, Link::Up(connection) if connection.is_mute());
        self.give_up(
            now,
            &if mute { Fault::Mute(reason.to_owned()) } else { Fault::Transport(reason.to_owned()) },
        );
    }

    /// Bytes came.
    pub fn received(&mut self, now: Duration, bytes: &[u8]) {
        if let Link::Up(connection) = &mut self.link {
            connection.received(now, bytes);
            if let Err(fault) = self.handle_messages(now) {
                self.give_up(now, &fault);
            }
        }
    }

    /// What is to be written.
    pub fn outbound(&self) -> &[u8] {
        match &self.link {
            Link::Up(connection) => connection.outbound.bytes(),
            Link::Down { .. } | Link::Connecting { .. } => &[],
        }
    }

    /// So many bytes of it were written.
    pub fn sent(&mut self, now: Duration, count: usize) {
        if let Link::Up(connection) = &mut self.link {
            connection.outbound.consume(count);
        }
        self.send_queued(now);
    }

    /// When [`Session::tick`] or [`Session::poll_connect`] has something to do at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.link {
            Link::Down { retry_at } => (!self.config.endpoints.is_empty()).then_some(*retry_at),
            Link::Connecting { until, .. } => Some(*until),
            Link::Up(connection) => Some(connection.deadline(&self.config.timing)),
        }
    }

    /// Time has passed. To be called when nothing more can be read, so that a late reader blames nobody else.
    pub fn tick(&mut self, now: Duration) {
        let fault = match &mut self.link {
            Link::Down { .. } => None,
            Link::Connecting { until, .. } => (now >= *until).then_some(Fault::Late("to connect")),
            Link::Up(connection) => connection.tick(now, &self.config.timing, &mut self.last_id).err(),
        };
        if let Some(fault) = fault {
            self.give_up(now, &fault);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The end of a connection or of an attempt. Everything that waited for it gets its answer.
    fn give_up(&mut self, now: Duration, fault: &Fault) {
        if !self.wants_transport() {
            return;
        }
        let retry_in = self.reconnect.pause(now, fault.pace());
        let link = std::mem::replace(&mut self.link, Link::Down { retry_at: now + retry_in });
        let endpoint = match &link {
            Link::Down { .. } => return,
            Link::Connecting { endpoint, .. } => endpoint.to_string(),
            Link::Up(connection) => connection.endpoint.clone(),
        };
        if fault.breaks_the_copy() {
            self.resume = None;
        }
        let reason = fault.to_string();
        if self.said.len() > SAID_LIMIT {
            self.said.clear();
        }
        if let Fault::Schema(missing) = fault
            && !self.said.contains(&format!("{endpoint} {reason}"))
        {
            self.events.push_back(Event::SchemaRefused(missing.clone()));
        }
        let said_before = !self.said.insert(format!("{endpoint} {reason}"));
        self.events.push_back(Event::Disconnected { endpoint, reason, said_before, retry_in });
        self.lose_locks();
        if let Link::Up(connection) = link {
            self.fail_transactions(*connection);
        }
    }
}
