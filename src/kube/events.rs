//! Which Events are told, and when: the same of one object not twice a minute, and what happened last always. No I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::saying::{Regarding, Saying};

/// The same Event on the same object is not repeated sooner: a state may swing to and fro.
const PAUSE: Duration = Duration::from_secs(60);
/// Events that wait for their turn; of more, only the last of each subject is kept.
const MOST: usize = 2000;

/// What Events are about: the object with its uid, and what else keeps it apart, such as a VIP.
type Subject = (String, String);

/// Events that happened, and those that were told.
#[derive(Debug, Default)]
pub struct Events {
    queue: VecDeque<Saying>,
    /// When which was told last, by subject and reason.
    told: BTreeMap<(Subject, String), Instant>,
    /// Of each subject the reason that was told last.
    last: BTreeMap<Subject, String>,
    /// Of each subject what happened since, and was told less than a minute ago.
    held: BTreeMap<Subject, Saying>,
}

impl Events {
    /// Something happened.
    pub fn push(&mut self, event: Saying) {
        if self.queue.len() < MOST {
            return self.queue.push_back(event);
        }
        let Some((subject, _)) = key(&event) else { return };
        self.queue.retain(|other| key(other).is_none_or(|(other, _)| other != subject));
        self.held.insert(subject, event);
    }

    /// The next one to tell; none, where there is none that may be told now.
    pub fn next(&mut self, now: Instant) -> Option<Saying> {
        while let Some(event) = self.queue.pop_front() {
            if let Some(event) = self.offer(event, now) {
                return Some(event);
            }
        }
        let due = self
            .held
            .iter()
            .find(|(_, event)| self.is_fresh(event, now))
            .map(|(subject, _)| subject.clone())?;
        self.held.remove(&due).and_then(|event| self.offer(event, now))
    }

    /// The event, where it may be told now, and counts as told; else it is held back.
    pub fn offer(&mut self, event: Saying, now: Instant) -> Option<Saying> {
        let Some((subject, reason)) = key(&event) else { return Some(event) };
        self.held.remove(&subject);
        if self.is_fresh(&event, now) {
            self.last.insert(subject.clone(), reason.clone());
            self.told.insert((subject, reason), now);
            return Some(event);
        }
        // What was told last still holds, unless something else was told meanwhile.
        if self.last.get(&subject) != Some(&reason) {
            self.held.insert(subject, event);
        }
        None
    }

    /// Forgets what is too long ago to count.
    pub fn forget(&mut self, now: Instant) {
        let held = &self.held;
        self.told.retain(|(subject, _), at| now < *at + PAUSE || held.contains_key(subject));
        let subjects: BTreeSet<&Subject> =
            self.told.keys().map(|(subject, _)| subject).chain(self.held.keys()).collect();
        self.last.retain(|subject, _| subjects.contains(subject));
    }

    /// When the first one that is held back may be told.
    pub fn due(&self) -> Option<Instant> {
        let told = |(subject, event): (&Subject, &Saying)| {
            let (_, reason) = key(event)?;
            self.told.get(&(subject.clone(), reason)).map(|at| *at + PAUSE)
        };
        self.held.iter().filter_map(told).min()
    }

    fn is_fresh(&self, event: &Saying, now: Instant) -> bool {
        let at = key(event).and_then(|key| self.told.get(&key));
        at.is_none_or(|at| now >= *at + PAUSE)
    }
}

/// Subject and reason of an Event.
fn key(saying: &Saying) -> Option<(Subject, String)> {
    let Saying::Event { regarding, reason, about, .. } = saying else { return None };
    let object = match regarding {
        Regarding::Service(key, uid) => format!("Service {key} {uid}"),
        Regarding::Subnet(name, uid) => format!("Subnet {name} {uid}"),
    };
    Some(((object, about.clone()), reason.clone()))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
mod tests {
    use super::*;
    use crate::model::ServiceKey;

    fn event(uid: &str, reason: &str) -> Saying {
        Saying::Event {
            regarding: Regarding::Service(ServiceKey::new("d", "web"), uid.into()),
            warning: false,
            reason: reason.into(),
            note: String::new(),
            about: "10.0.0.9".into(),
        }
    }

    /// The reasons that are told at that second.
    fn told(events: &mut Events, start: Instant, second: u64) -> Vec<String> {
        let now = start + Duration::from_secs(second);
        let told = std::iter::from_fn(|| events.next(now));
        told.filter_map(|event| key(&event).map(|(_, reason)| reason)).collect()
    }

    #[test]
    fn what_happened_last_is_told_however_often_it_swung() {
        let (mut events, start) = (Events::default(), Instant::now());
        for second in 0..20 {
            events.push(event("u", "Announced"));
            let first = told(&mut events, start, second);
            events.push(event("u", "Withdrawn"));
            let second = told(&mut events, start, second);
            assert_eq!((first.len(), second.len()), if first.is_empty() { (0, 0) } else { (1, 1) });
        }
        events.push(event("u", "Announced"));
        assert_eq!(told(&mut events, start, 20), Vec::<String>::new());
        let due = events.due().unwrap();
        assert_eq!(due, start + Duration::from_secs(60));
        assert_eq!(told(&mut events, start, 60), ["Announced"]);
        assert_eq!((events.due(), told(&mut events, start, 200)), (None, Vec::new()));
    }

    #[test]
    fn the_same_again_is_not_told_again() {
        let (mut events, start) = (Events::default(), Instant::now());
        for _ in 0..3 {
            events.push(event("u", "Announced"));
        }
        assert_eq!(told(&mut events, start, 0), ["Announced"]);
        assert_eq!((events.due(), told(&mut events, start, 100)), (None, Vec::new()));
    }

    #[test]
    fn an_object_that_was_made_anew_has_its_own() {
        let (mut events, start) = (Events::default(), Instant::now());
        events.push(event("u", "Announced"));
        events.push(event("v", "Announced"));
        assert_eq!(told(&mut events, start, 0).len(), 2);
    }

    #[test]
    fn of_more_than_may_wait_the_last_of_each_is_told() {
        let (mut events, start) = (Events::default(), Instant::now());
        for _ in 0..MOST {
            events.push(event("u", "Announced"));
        }
        events.push(event("u", "Withdrawn"));
        assert_eq!(told(&mut events, start, 0), ["Withdrawn"]);
    }
}
