//! One connection: its bytes, its open requests and their deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::handshake::Monitoring;
use super::server::ServerState;
use super::{Timing, TransactionId};
use crate::ovsdb::framing::Framer;
use crate::ovsdb::message;
use crate::ovsdb::operation::Operation;

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// We asked what the server knows of its databases.
    Server,
    /// We asked for the schema.
    Schema,
    /// We asked for the first dump.
    Dump,
    /// The replica follows.
    Level,
}

/// What a reply is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Whatever the answer.
    Ignored,
    Server,
    Schema,
    Dump,
    Filter,
    Lock {
        name: String,
        request: u64,
    },
    Transaction {
        id: TransactionId,
        operations: Vec<Operation>,
    },
}

#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    until: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) endpoint: String,
    pub(super) stage: Stage,
    pub(super) framer: Framer,
    pub(super) outbound: Outbound,
    pub(super) server: ServerState,
    pub(super) monitoring: Monitoring,
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Duration, u64)>,
    last_received: Duration,
    stage_since: Duration,
    /// When a message was last seen to come in part: a dump on its way.
    partial_at: Duration,
    probe_sent: Option<Duration>,
    mute: bool,
}

impl Connection {
    pub(super) fn new(endpoint: String, now: Duration, message_limit: usize, request: u64) -> Self {
        let endpoint_is_tcp = endpoint.starts_with("tcp:");
        Self {
            endpoint,
            stage: Stage::Server,
            framer: Framer::new(message_limit),
            outbound: Outbound::default(),
            server: ServerState::new(request),
            monitoring: Monitoring::default(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            last_received: now,
            stage_since: now,
            partial_at: now,
            probe_sent: None,
            mute: endpoint_is_tcp,
        }
    }

    /// Whether a TCP server has not said anything yet.
    pub(super) fn is_mute(&self) -> bool {
        self.mute
    }

    pub(super) fn enter(&mut self, now: Duration, stage: Stage) {
        (self.stage, self.stage_since) = (stage, now);
    }

    /// Asks. The reply must come by `until`, if that is given.
    pub(super) fn request(
        &mut self,
        id: u64,
        method: &str,
        params: &impl Serialize,
        purpose: Purpose,
        until: Option<Duration>,
    ) {
        self.send(id, &message::request(id, method, params), purpose, until);
    }

    /// Sends a request as it is on the wire.
    pub(super) fn send(&mut self, id: u64, request: &[u8], purpose: Purpose, until: Option<Duration>) {
        self.outbound.push(request);
        self.pending.insert(id, Pending { purpose, until });
        self.deadlines.extend(until.map(|until| (until, id)));
    }

    /// A reply came: what for. None if nobody waits for it.
    pub(super) fn answered(&mut self, id: &Value) -> Option<Purpose> {
        let id = id.as_u64()?;
        let Pending { purpose, until } = self.pending.remove(&id)?;
        if let Some(until) = until {
            self.deadlines.remove(&(until, id));
        }
        Some(purpose)
    }

    pub(super) fn open_transactions(&self) -> usize {
        self.pending.values().filter(|pending| matches!(pending.purpose, Purpose::Transaction { .. })).count()
    }

    /// Every open request, oldest first.
    pub(super) fn into_pending(self) -> impl Iterator<Item = Purpose> {
        self.pending.into_values().map(|pending| pending.purpose)
    }

    pub(super) fn received(&mut self, now: Duration, bytes: &[u8]) {
        self.last_received = now;
        self.probe_sent = None;
        self.mute = false;
        self.framer.push(bytes);
    }

    /// Everything whole was taken from what came; what is left is the beginning of something large.
    pub(super) fn handled(&mut self, now: Duration) {
        if self.framer.is_within_message() {
            self.partial_at = now;
        }
    }

    /// When there is something to do at the latest.
    pub(super) fn deadline(&self, timing: &Timing) -> Duration {
        let silence = self.silence_ends(timing);
        self.deadlines.first().map_or(silence, |(until, _)| silence.min(*until))
    }

    /// Until when the server may be silent before we act.
    fn silence_ends(&self, timing: &Timing) -> Duration {
        match (self.stage, self.probe_sent) {
            // While it makes the dump the server answers nobody. What else it says is no sign of the dump.
            (Stage::Dump, _) => self.partial_at.max(self.stage_since) + timing.dump_silence,
            (Stage::Server | Stage::Schema | Stage::Level, None) => {
                self.last_received.max(self.stage_since) + timing.probe
            }
            (Stage::Server | Stage::Schema | Stage::Level, Some(sent)) => sent + timing.probe,
        }
    }

    /// Deadlines and silence. Any byte is a sign of life, not only the answer to our probe.
    pub(super) fn tick(&mut self, now: Duration, timing: &Timing, last_id: &mut u64) -> Result<(), Fault> {
        if let Some((until, id)) = self.deadlines.first()
            && now >= *until
        {
            return Err(Fault::Late(match self.pending.get(id).map(|pending| &pending.purpose) {
                Some(Purpose::Transaction { .. }) => "to answer a transaction",
                Some(Purpose::Schema) => "to tell its schema",
                Some(Purpose::Lock { .. }) => "to answer for a lock",
                Some(Purpose::Ignored | Purpose::Server | Purpose::Dump | Purpose::Filter) | None => {
                    "to answer"
                }
            }));
        }
        if now < self.silence_ends(timing) {
            return Ok(());
        }
        match (self.stage, self.probe_sent) {
            (Stage::Dump, _) => Err(Fault::Late("to dump the database")),
            (Stage::Server | Stage::Schema | Stage::Level, Some(_)) => Err(Fault::Silent),
            (Stage::Server | Stage::Schema | Stage::Level, None) => {
                *last_id += 1;
                self.request(*last_id, "echo", &json!([]), Purpose::Ignored, None);
                self.probe_sent = Some(now);
                Ok(())
            }
        }
    }
}

/// Bytes to write.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    buffer: Vec<u8>,
    start: usize,
    /// How much of it are answers of ours, since anything was written last.
    answers: usize,
}

impl Outbound {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(super) fn push(&mut self, message: &[u8]) {
        self.buffer.extend_from_slice(message);
    }

    /// An answer to the peer, which is to read what it asked for before it asks for more.
    pub(super) fn push_answer(&mut self, message: &[u8], limit: usize) -> Result<(), Fault> {
        self.answers += message.len();
        if self.answers > limit {
            return Err(Fault::Deaf);
        }
        self.push(message);
        Ok(())
    }

    pub(super) fn consume(&mut self, count: usize) {
        if count > 0 {
            self.answers = 0;
        }
        self.start = (self.start + count).min(self.buffer.len());
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(1 << 16);
            self.start = 0;
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }
}
