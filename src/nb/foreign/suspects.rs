//! Node ports that seem to be nowhere, where no southbound tells: by how Kube-OVN's marks come and go.
//!
//! A key that is handed to a port which no chassis has is dark. So its speaker lets go, Kube-OVN takes the mark away, all is delivered
//! again, the speaker tells so, and Kube-OVN marks the key again: a turn takes half a second, and nothing ends it. Whatever else
//! makes Kube-OVN write its marks again, an event of the Service, takes them away for milliseconds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::LspName;

use super::Key;

/// A mark that is away for less was written again by one event.
const ONE_EVENT: Duration = Duration::from_millis(50);
/// So many turns, each within [`TURN_AT_MOST`] of the last one, are a circle.
const TURNS: u32 = 4;
/// A speaker that waits for the API server, and Kube-OVN, may take so long for a turn.
const TURN_AT_MOST: Duration = Duration::from_secs(10);
/// How long a port is taken to be nowhere; twice as long each time.
const NOWHERE: Duration = Duration::from_secs(60);
/// [`NOWHERE`] is doubled this often: about an hour.
const DOUBLED_AT_MOST: u32 = 6;

/// The ports whose marks go in a circle.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    turns: BTreeMap<Key, (u32, Duration)>,
    ports: BTreeMap<LspName, Suspect>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    times: u32,
    until: Duration,
}

impl Suspects {
    /// A mark is there again that was away since then; whether its port is now taken to be nowhere, and was not.
    pub(super) fn again(&mut self, key: Key, port: &LspName, away_since: Duration, now: Duration) -> bool {
        if now < away_since + ONE_EVENT {
            return false;
        }
        self.turns.retain(|_, (_, last)| now < *last + TURN_AT_MOST);
        let (turns, last) = self.turns.entry(key).or_insert((0, now));
        (*turns, *last) = (*turns + 1, now);
        if *turns < TURNS || self.is_nowhere(port, now) {
            return false;
        }
        self.turns.remove(&key);
        let suspect = self.ports.entry(port.clone()).or_insert(Suspect { times: 0, until: now });
        suspect.until = now + NOWHERE * (1 << suspect.times.min(DOUBLED_AT_MOST));
        suspect.times += 1;
        true
    }

    /// Whether a port is taken to be nowhere.
    pub(super) fn is_nowhere(&self, port: &LspName, now: Duration) -> bool {
        self.ports.get(port).is_some_and(|suspect| now < suspect.until)
    }

    /// When a port is not taken to be nowhere any more: the next one after `now`.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        self.ports.values().map(|suspect| suspect.until).filter(|until| *until > now).min()
    }
}
