//! Locks (RFC 7047 §4.1.8): asked for on every connection, as long as they are wanted.
//!
//! A lock is the server's, not the cluster's: two clients on two members of a raft cluster both get it. It fences only
//! together with `leader_only` and an [`Operation::Assert`](crate::ovsdb::Operation::Assert) in each transaction.

use std::time::Duration;

use serde_json::{Value, json};

use super::connection::Purpose;
use super::fault::Fault;
use super::{Event, Link, Session};
use crate::ovsdb::message::error_text;

/// How a wanted lock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockState {
    /// This connection's server was not asked yet.
    Wanted,
    /// It was; somebody else has it.
    Queued,
    /// It is ours.
    Held,
}

/// A wanted lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock {
    state: LockState,
    /// Our last request for it: answers to earlier ones are out of date.
    request: u64,
}

impl Session {
    /// Asks for a lock, now and on every connection to come. [`Event::Locked`] tells when it is ours.
    pub fn lock(&mut self, now: Duration, name: &str) {
        self.locks.entry(name.to_owned()).or_insert(Lock { state: LockState::Wanted, request: 0 });
        self.ask_for_locks(now);
    }

    /// Takes a lock from whoever has it, who is told. Without a level replica it is asked for in the ordinary way.
    pub fn steal(&mut self, now: Duration, name: &str) {
        let state = self.locks.get(name).map(|lock| lock.state);
        if !self.is_synced() || state == Some(LockState::Held) {
            return self.lock(now, name);
        }
        // To steal while queued is an error, so the place in the queue is given up first.
        if state == Some(LockState::Queued) {
            self.give_back(now, name);
        }
        self.request_lock(now, "steal", name);
    }

    /// Gives a lock back, or no longer waits for it.
    pub fn unlock(&mut self, now: Duration, name: &str) {
        if self.locks.remove(name).is_some_and(|lock| lock.state != LockState::Wanted) {
            self.give_back(now, name);
        }
    }

    /// Whether a lock is ours, as far as the server told.
    pub fn holds(&self, name: &str) -> bool {
        self.locks.get(name).is_some_and(|lock| lock.state == LockState::Held)
    }

    pub(super) fn ask_for_locks(&mut self, now: Duration) {
        if !self.is_synced() {
            return;
        }
        let wanted = self.locks.iter().filter(|(_, lock)| lock.state == LockState::Wanted);
        for name in wanted.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.request_lock(now, "lock", &name);
        }
    }

    fn request_lock(&mut self, now: Duration, method: &str, name: &str) {
        let request = self.next_id();
        let until = Some(now + self.config.timing.request);
        if let Link::Up(connection) = &mut self.link {
            let purpose = Purpose::Lock { name: name.to_owned(), request };
            connection.request(request, method, &json!([name]), purpose, until);
            self.locks.insert(name.to_owned(), Lock { state: LockState::Queued, request });
        }
    }

    fn give_back(&mut self, now: Duration, name: &str) {
        let id = self.next_id();
        let until = Some(now + self.config.timing.request);
        if let Link::Up(connection) = &mut self.link {
            connection.request(id, "unlock", &json!([name]), Purpose::Ignored, until);
        }
    }

    pub(super) fn lock_answered(
        &mut self,
        name: &str,
        request: u64,
        result: Result<Value, Value>,
    ) -> Result<(), Fault> {
        let reply = result.map_err(|error| Fault::Refused { method: "lock", error: error_text(&error) })?;
        if reply["locked"] == json!(true) && self.locks.get(name).is_some_and(|lock| lock.request == request)
        {
            self.lock_told(name, LockState::Held);
        }
        Ok(())
    }

    /// The server says whose a lock is. One that is no longer wanted is on its way back already.
    pub(super) fn lock_told(&mut self, name: &str, now_is: LockState) {
        let Some(lock) = self.locks.get_mut(name) else { return };
        let was = std::mem::replace(&mut lock.state, now_is);
        match (was == LockState::Held, now_is == LockState::Held) {
            (false, true) => self.events.push_back(Event::Locked { name: name.to_owned() }),
            (true, false) => self.events.push_back(Event::Unlocked { name: name.to_owned() }),
            (true, true) | (false, false) => {}
        }
    }

    /// The connection is gone, and every lock with it.
    pub(super) fn lose_locks(&mut self) {
        for name in self.locks.keys().cloned().collect::<Vec<_>>() {
            self.lock_told(&name, LockState::Wanted);
        }
    }
}
