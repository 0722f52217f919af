//! The API server's state went back to an older one: what is done until all of it is listed anew. No I/O.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::trouble::Rewind;
use crate::model::Change;

/// How long changes wait for the lists that are still to come, so that the world changes at once and not kind by kind. One
/// kind that cannot be listed must not hold the others up for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// A state that went back, while it is listed anew.
#[derive(Debug)]
pub(super) struct Rewinding {
    /// Where it was noticed.
    kind: &'static str,
    rewind: Rewind,
    /// `None`: no longer.
    held_until: Option<Instant>,
    held: Vec<Change>,
}

impl Rewinding {
    /// It was noticed; `old`: it went back further, before it was listed. What was held then is older than what comes.
    pub fn begin(old: Option<Self>, kind: &'static str, rewind: Rewind, now: Instant) -> Self {
        let held = old.map(|old| old.held).unwrap_or_default();
        Self { kind, rewind, held_until: Some(now + PATIENCE), held }
    }

    /// Until when changes are held back.
    pub fn until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Keeps changes back, or gives all back that were kept.
    pub fn hold_back(&mut self, changes: &mut Vec<Change>, is_listed: bool, now: Instant) {
        self.held.append(changes);
        if is_listed || self.held_until.is_none_or(|until| until <= now) {
            self.held_until = None;
            std::mem::swap(changes, &mut self.held);
        }
    }
}

impl fmt::Display for Rewinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, Rewind { before, now }) = (self.kind, self.rewind);
        write!(
            f,
            "the API server's state went back (of {kind} it told version {before} before, now it has {now}: \
             was etcd restored?): everything is listed anew"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::Kind;

    fn gone(name: &str) -> Change {
        Change::Remove(Kind::Vlan.key("", name))
    }

    #[test]
    fn changes_wait_until_everything_is_listed_and_come_in_their_order() {
        let now = Instant::now();
        let mut rewinding = Rewinding::begin(None, "Vlan", Rewind { before: 9, now: 7 }, now);
        let mut changes = vec![gone("a")];
        rewinding.hold_back(&mut changes, false, now);
        assert!(changes.is_empty());
        let mut further = Rewinding::begin(Some(rewinding), "Node", Rewind { before: 7, now: 5 }, now);
        changes.push(gone("b"));
        further.hold_back(&mut changes, true, now);
        assert_eq!(
            changes.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>(),
            [format!("{:?}", gone("a")), format!("{:?}", gone("b")),]
        );
    }

    #[test]
    fn a_kind_that_cannot_be_listed_does_not_hold_the_others_up_for_ever() {
        let now = Instant::now();
        let mut rewinding = Rewinding::begin(None, "Vlan", Rewind { before: 9, now: 7 }, now);
        let mut changes = vec![gone("a")];
        rewinding.hold_back(&mut changes, false, now);
        rewinding.hold_back(&mut changes, false, now + PATIENCE);
        assert_eq!((changes.len(), rewinding.until()), (1, None));
        changes.clear();
        changes.push(gone("b"));
        rewinding.hold_back(&mut changes, false, now + PATIENCE);
        assert_eq!(changes.len(), 1, "nor what comes later");
    }
}
