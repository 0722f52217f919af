//! Kube-OVN's rows that keep their VIPs on a node by `prefer_local_backend` alone: which of their keys are dark.
//!
//! All of them on a northd that does not know the option: it balances them to every node, where they are lost. And a key that the
//! row hands to the port of one node (`kube-ovn.io/local-external-vip/…`), while that is bound to no chassis: then
//! northd lets no node translate it; where no southbound tells, [`super::suspects`] does. Kube-OVN takes that mark away and puts it back with each event of the Service or its
//! ServiceL2Status, so one that went is as good as there for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use crate::model::LspName;
use crate::ovsdb::Row;

use super::Key;
use super::kind::{marks, prefers_local};
use super::suspects::Suspects;

/// How long a mark that was taken away still counts. Kube-OVN writes it again within milliseconds, or after a speaker told
/// something else: a second, and with an API server that is busy some more.
const MEMORY: Duration = Duration::from_secs(30);

/// Such rows, with what decides whether they serve.
#[derive(Clone, Debug, Default)]
pub(super) struct Preferring {
    /// The port that each marked key is handed to.
    rows: BTreeMap<Uuid, BTreeMap<Key, LspName>>,
    now: Duration,
    /// Marks that were taken away lately, and until when they count.
    taken_away: BTreeMap<Key, (LspName, Duration)>,
    /// This northd does not know the option.
    is_ignored: bool,
    /// Without a southbound nobody knows where ports are.
    southbound_known: bool,
    bound: BTreeSet<LspName>,
    suspects: Suspects,
}

impl Preferring {
    /// Takes a row in, or its end, with its keys; those that it says something about.
    pub(super) fn put<'k>(
        &mut self,
        uuid: Uuid,
        row: Option<&Row>,
        keys: impl Iterator<Item = &'k Key>,
    ) -> BTreeSet<Key> {
        let new = row.filter(|row| prefers_local(row)).map(marks);
        let mut again = Vec::new();
        let old = self.rows.get(&uuid);
        let mut keys: BTreeSet<Key> = match (old, &new) {
            (None, None) => return BTreeSet::new(),
            (Some(old), Some(new)) if old == new => return BTreeSet::new(),
            (Some(old), Some(new)) => {
                let news = new.iter().filter(|(key, port)| old.get(key) != Some(port));
                again.extend(news.map(|(key, port)| (*key, port.clone())));
                let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
                let until = self.now + MEMORY;
                self.taken_away.extend(gone.map(|(key, port)| (*key, (port.clone(), until))));
                let marked = old.keys().chain(new.keys());
                marked.filter(|key| old.get(key) != new.get(key)).copied().collect()
            }
            (None, Some(_)) | (Some(_), None) => keys.copied().collect(),
        };
        match new {
            Some(new) => self.rows.insert(uuid, new),
            None => self.rows.remove(&uuid),
        };
        for (key, port) in again {
            keys.extend(self.marked_again(key, &port));
        }
        keys
    }

    /// The keys that a mark says something about which is there again.
    fn marked_again(&mut self, key: Key, port: &LspName) -> BTreeSet<Key> {
        let away = self.taken_away.get(&key).filter(|(before, _)| before == port);
        let since = away.map(|(_, until)| until.saturating_sub(MEMORY));
        let is_suspect = since.is_some_and(|since| self.suspects.again(key, port, since, self.now));
        if is_suspect && !self.southbound_known {
            self.marked(|named| named == port)
        } else {
            BTreeSet::new()
        }
    }

    /// Whether northd does not know the option; whether that is news.
    pub(super) fn set_ignored(&mut self, ignored: bool) -> bool {
        std::mem::replace(&mut self.is_ignored, ignored) != ignored
    }

    /// Whether it is known where ports are; the keys that it says something about.
    pub(super) fn set_southbound_known(&mut self, known: bool) -> BTreeSet<Key> {
        let is_news = std::mem::replace(&mut self.southbound_known, known) != known;
        if is_news { self.marked(|_| true) } else { BTreeSet::new() }
    }

    /// Whether a node's own port is bound; the keys that it says something about.
    pub(super) fn put_node_port(&mut self, port: &LspName, bound: bool) -> BTreeSet<Key> {
        let is_news = if bound { self.bound.insert(port.clone()) } else { self.bound.remove(port) };
        if is_news { self.marked(|named| named == port) } else { BTreeSet::new() }
    }

    /// It is this late; the keys about which that says something.
    pub(super) fn advance(&mut self, now: Duration) -> BTreeSet<Key> {
        let before = self.now;
        self.now = self.now.max(now);
        let is_over = self.suspects.due(before).is_some_and(|due| due <= self.now);
        let mut keys = if is_over { self.marked(|_| true) } else { BTreeSet::new() };
        let over = self.taken_away.extract_if(.., |_, (_, until)| *until <= self.now);
        keys.extend(over.map(|(key, _)| key));
        keys
    }

    /// When [`Preferring::advance`] may say something.
    pub(super) fn due(&self) -> Option<Duration> {
        let marks = self.taken_away.values().map(|(_, until)| *until);
        marks.chain(self.suspects.due(self.now)).min()
    }

    fn marked(&self, is_meant: impl Fn(&LspName) -> bool) -> BTreeSet<Key> {
        let marks = self.rows.values().flatten();
        let taken_away = self.taken_away.iter().map(|(key, (port, _))| (key, port));
        marks.chain(taken_away).filter(|(_, port)| is_meant(port)).map(|(key, _)| *key).collect()
    }

    /// Whether a row has a key, and nobody serves it.
    pub(super) fn is_dark(&self, row: Uuid, key: &Key) -> bool {
        let Some(marks) = self.rows.get(&row) else { return false };
        let is_away = |port| match self.southbound_known {
            true => !self.bound.contains(port),
            false => self.suspects.is_nowhere(port, self.now),
        };
        let port = marks.get(key).or_else(|| self.taken_away.get(key).map(|(port, _)| port));
        self.is_ignored || port.is_some_and(is_away)
    }
}
