//! The whole conversation with a switch, sans-I/O: bytes and the time in, bytes and events out.
//!
//! Decides when to read, what to change, and what became of it. It always compares with what the bridge has, never with
//! what was last sent: hello → read → difference → one bundle → confirmed, and again on every change of the wish, at once
//! when the switch tells that somebody touched our flows, and every few seconds anyway. A change of the wish is not read
//! for where the switch tells of every change, has confirmed ours, and has told of none by others since the last reading.
//! Is given the time as a `Duration` since any fixed moment. Never opens, closes or waits.

mod commit;
#[cfg(test)]
pub(crate) mod fake;
mod leave;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::commit::{BundleFailed, Commit};
use self::leave::Leaving;
use self::read::Reading;
use super::diff::Wanted;
use super::wire::{
    BadFrame, Body, BundleStep, Framer, Message, OpenFlowError, Request, Truncated, Version, encode,
    version_name,
};
use super::{Flow, Match};

/// How long the switch may take for an answer. ovs-vswitchd commits 10,000 flows in well under 0.1 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time between two readings where the switch tells of changes by itself: only a safety net.
const VERIFY_MONITORED: Duration = Duration::from_secs(5);
/// The same where it does not. kube-ovn-cni replaces the flows every 15 s, and may lose one that came in between.
const VERIFY: Duration = Duration::from_secs(2);
/// Least time between two readings that the switch's own tellings cause, so that nobody can keep us busy.
const SETTLE: Duration = Duration::from_millis(100);
/// When a refused flow is tried again, twice as late each time, up to the latter: a full table may have room by then.
const RETRY_REFUSED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// More flows than this with our cookie, or with Kube-OVN's, are nobody's.
const MOST_FLOWS: usize = 500_000;

/// Why the conversation is over. The connection must be closed; a new one may fare better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No version in common.
    #[error("it speaks only {}, and this needs OpenFlow14 or OpenFlow13", offered(.0))]
    Versions(BTreeSet<u8>),
    /// No answer in time.
    #[error("no answer to {0} within {within} s", within = ANSWER_WITHIN.as_secs())]
    Silent(&'static str),
    /// It has answered, and does so no more.
    #[error("it does not answer any more: is ovs-vswitchd stopped, or its host out of breath?")]
    Stopped,
    /// It refuses a request that every switch must answer.
    #[error("it refuses {0}: {1}")]
    Refused(&'static str, OpenFlowError),
    /// It does not speak OpenFlow.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// A message contradicts itself.
    #[error(transparent)]
    Message(#[from] Truncated),
    /// It has an absurd number of flows.
    #[error("it has more than {MOST_FLOWS} flows with our cookie, or with Kube-OVN's")]
    TooMany,
}

fn offered(versions: &BTreeSet<u8>) -> String {
    let names: Vec<String> = versions.iter().map(|&number| version_name(number)).collect();
    if names.is_empty() { "no version of OpenFlow".to_owned() } else { names.join(", ") }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The switch answered and is being read.
    Connected {
        /// The version agreed on.
        version: Version,
        /// The bridge's `datapath_id`.
        datapath: u64,
    },
    /// What is wanted since the last `set_wanted`, or since the connection came up, is on the bridge.
    Installed {
        /// Flows that were made or replaced for it.
        added: usize,
        /// Flows that were removed for it.
        removed: usize,
    },
    /// Somebody had changed our flows, and they are as wanted again.
    Repaired {
        /// Flows that were missing or wrong.
        added: usize,
        /// Flows that were too many.
        removed: usize,
    },
    /// How many of the wanted flows are left to Kube-OVN's own rules, which do the same, has changed.
    LeftToKubeOvn {
        /// So many are now.
        left: usize,
        /// So many are no longer, because its rules are gone or wrong: ours are back.
        taken_back: usize,
    },
    /// One of ours takes the place of somebody else's flow, which has the same match and priority.
    Replaces {
        /// Ours, as `ovs-ofctl` would print it.
        flow: String,
        /// The cookie of the other.
        cookie: u64,
    },
    /// The switch does not take this change; the others were made without it.
    Refused {
        /// The change, as `ovs-ofctl` would print it.
        change: String,
        /// Why.
        error: OpenFlowError,
    },
}

/// A conversation over one connection.
#[derive(Debug)]
pub struct Session {
    frames: Framer,
    out: Vec<u8>,
    version: Version,
    next_xid: u32,
    phase: Phase,
    /// When the answer is overdue; when idle, when to read again.
    deadline: Duration,
    verified_at: Duration,
    /// Set when something came in between that asks for another reading.
    touched: bool,
    monitor: Monitor,
    bundles: bool,
    wanted: Arc<Wanted>,
    /// What was wanted when the bridge last had it; `None` until then.
    installed: Option<Arc<Wanted>>,
    leaving: Leaving,
    /// Flows that are nobody's here, by priority and match, with their cookies.
    others: BTreeMap<(u16, Match), u64>,
    /// How many flows with our cookie the bridge had when it was read last.
    found: usize,
    /// What the switch did not take, and is not asked to again until `retry_refused_at`.
    refused: BTreeMap<Flow, OpenFlowError>,
    /// What was refused before the last retry: to be told only once.
    reported: BTreeMap<Flow, OpenFlowError>,
    retry_refused_at: Duration,
    retry_pause: Duration,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum Phase {
    Hello,
    Features,
    Reading(Reading),
    Committing(Commit),
    Idle,
}

#[derive(Debug, PartialEq, Eq)]
enum Monitor {
    /// Asked for by this xid.
    Asked(u32),
    On,
    Off,
}

impl Session {
    /// Starts a conversation; the first bytes are ready to be sent.
    pub fn new(now: Duration, wanted: Arc<Wanted>) -> Self {
        let mut session = Self {
            frames: Framer::default(),
            out: Vec::new(),
            version: Version::V14,
            next_xid: 1,
            phase: Phase::Hello,
            deadline: now + ANSWER_WITHIN,
            verified_at: now,
            touched: false,
            monitor: Monitor::Off,
            bundles: true,
            wanted,
            installed: None,
            leaving: Leaving::default(),
            others: BTreeMap::new(),
            found: 0,
            refused: BTreeMap::new(),
            reported: BTreeMap::new(),
            retry_refused_at: now,
            retry_pause: RETRY_REFUSED[0],
            events: VecDeque::new(),
        };
        session.send(&Request::Hello);
        session
    }

    /// Changes what is wanted. `Installed` follows once the bridge has it, even where it had it already.
    pub fn set_wanted(&mut self, now: Duration, wanted: Arc<Wanted>) {
        if *wanted == *self.wanted {
            return;
        }
        self.wanted = wanted;
        if matches!(self.phase, Phase::Idle) {
            self.advance(now);
        }
    }

    /// Whether everything wanted was on the bridge when last looked at.
    pub fn is_installed(&self) -> bool {
        self.refused.is_empty() && self.is_current()
    }

    /// Whether this flow, or Kube-OVN's that does the same, was on the bridge when last looked at.
    pub fn confirms(&self, flow: &Flow) -> bool {
        self.installed.as_ref().is_some_and(|installed| installed.contains(flow))
            && !self.refused.contains_key(flow)
    }

    /// How many flows with our cookie the bridge had when it was read last.
    pub fn found(&self) -> usize {
        self.found
    }

    /// Bytes for the switch; drop from the front what was sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// What happened, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`tick`](Self::tick).
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Time passed.
    pub fn tick(&mut self, now: Duration) -> Result<(), SessionError> {
        if now < self.deadline {
            return Ok(());
        }
        match self.phase {
            Phase::Hello => Err(SessionError::Silent("hello")),
            Phase::Features => Err(SessionError::Silent("a features request")),
            Phase::Reading(_) => Err(SessionError::Silent("a request for its flows")),
            Phase::Committing(_) => Err(SessionError::Silent("a change of flows")),
            Phase::Idle => {
                self.read(now);
                Ok(())
            }
        }
    }

    /// Bytes came, in whatever portions.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) -> Result<(), SessionError> {
        self.frames.push(bytes);
        while let Some(message) = self.frames.next_message()? {
            let message = Message::decode(message)?;
            self.take(now, message)?;
        }
        Ok(())
    }

    fn take(&mut self, now: Duration, message: Message) -> Result<(), SessionError> {
        let Message { version: _, xid, body } = message;
        match body {
            Body::Hello(versions) => self.negotiate(now, &versions)?,
            Body::Error(error) => self.take_error(now, xid, error)?,
            Body::EchoRequest(payload) => {
                encode(self.version, xid, &Request::EchoReply(&payload), &mut self.out)
            }
            Body::Features { datapath } if matches!(self.phase, Phase::Features) => {
                self.events.push_back(Event::Connected { version: self.version, datapath });
                self.read(now);
            }
            Body::Flows { found, more } => self.take_flows(now, xid, found, more)?,
            Body::Changes(changes) => self.take_changes(now, xid, &changes),
            Body::BundleReply(BundleStep::Commit) | Body::BarrierReply => self.take_done(now, xid),
            Body::Features { .. } | Body::EchoReply | Body::BundleReply(_) | Body::Other(_) => {}
        }
        Ok(())
    }

    /// The highest version of both (OpenFlow 1.4 §6.3.1).
    fn negotiate(&mut self, now: Duration, offered: &BTreeSet<u8>) -> Result<(), SessionError> {
        if !matches!(self.phase, Phase::Hello) {
            return Ok(());
        }
        let common = Version::ALL.into_iter().find(|version| offered.contains(&version.number()));
        self.version = common.ok_or_else(|| SessionError::Versions(offered.clone()))?;
        self.bundles = self.version == Version::V14;
        if self.version == Version::V14 {
            self.monitor = Monitor::Asked(self.send(&Request::Monitor));
        }
        self.send(&Request::Features);
        self.enter(now, Phase::Features);
        Ok(())
    }

    fn take_error(&mut self, now: Duration, xid: u32, error: OpenFlowError) -> Result<(), SessionError> {
        if self.monitor == Monitor::Asked(xid) {
            self.monitor = Monitor::Off;
            return Ok(());
        }
        match &mut self.phase {
            Phase::Hello => Err(SessionError::Refused("hello", error)),
            Phase::Features => Err(SessionError::Refused("a features request", error)),
            Phase::Reading(reading) if reading.asked(xid) => {
                Err(SessionError::Refused("a request for its flows", error))
            }
            Phase::Committing(commit) => {
                if let Some(failed) = commit.take_error(xid, error) {
                    self.bundles &= failed == BundleFailed::ToCommit;
                    self.change_one_by_one(now);
                }
                Ok(())
            }
            Phase::Reading(_) | Phase::Idle => Ok(()),
        }
    }

    fn idle(&mut self) {
        self.phase = Phase::Idle;
        let pause = match self.monitor {
            _ if self.touched => SETTLE,
            Monitor::On => VERIFY_MONITORED,
            Monitor::Asked(_) | Monitor::Off => VERIFY,
        };
        let verify_at = self.verified_at + pause;
        let retry = (!self.refused.is_empty()).then_some(self.retry_refused_at);
        let due = self.leaving.next_trust().into_iter().chain(retry);
        self.deadline = due.fold(verify_at, Duration::min);
    }

    fn enter(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.deadline = now + ANSWER_WITHIN;
    }

    fn is_current(&self) -> bool {
        self.installed.as_ref().is_some_and(|installed| Arc::ptr_eq(installed, &self.wanted))
    }

    /// Sends a request and tells its xid. 0 is left to the switch's own tellings.
    fn send(&mut self, request: &Request<'_>) -> u32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        encode(self.version, xid, request, &mut self.out);
        xid
    }
}
