//! Who leads: the rules, without I/O.
//!
//! A holder that does not renew is given up after the Lease's time *as this process saw it pass*: it counts from the
//! moment at which the last renewal was seen, and the time stamps in the Lease are never compared with a clock, so
//! that skewed clocks harm nobody. We hold for less time than others grant us: from the moment at which a renewal was
//! *sent*, and for the deadline instead of the Lease's time.

use std::time::Duration;

use tokio::time::Instant;

/// How long things take; Kubernetes' own controllers use the same (client-go's leader election).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long others grant a holder that says nothing.
    pub duration: Duration,
    /// How long a holder that cannot renew goes on; less than `duration`.
    pub deadline: Duration,
    /// The pause between renewals.
    pub renew: Duration,
    /// The pause after a failure, and the longest that a request may take.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            renew: Duration::from_secs(2),
            retry: Duration::from_secs(1),
        }
    }
}

/// What counts of a Lease; the default is one that does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `holderIdentity`; empty: nobody.
    pub holder: String,
    /// `leaseDurationSeconds`.
    pub duration: Duration,
    /// `metadata.resourceVersion`: another one is a sign of life.
    pub version: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing before this moment, unless something is seen.
    Wait(Option<Instant>),
    /// Write our name into the Lease, as it was last seen.
    Write,
}

/// One that leads or would.
#[derive(Debug)]
pub struct Candidate {
    me: String,
    timing: LeaseTiming,
    seen: Option<(Record, Instant)>,
    leads_until: Option<Instant>,
    not_before: Option<Instant>,
}

impl Candidate {
    /// Has seen nothing yet. The identity is this process's alone.
    pub fn new(me: impl Into<String>, timing: LeaseTiming) -> Self {
        Self { me: me.into(), timing, seen: None, leads_until: None, not_before: None }
    }

    /// Until when it leads, if it does.
    pub fn leads_until(&self, now: Instant) -> Option<Instant> {
        self.leads_until.filter(|until| now < *until)
    }

    /// Whether the Lease, as last seen, has our name.
    pub fn is_holder(&self) -> bool {
        self.seen.as_ref().is_some_and(|(record, _)| record.holder == self.me)
    }

    /// Whose name the Lease has; empty: nobody's.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |(record, _)| &record.holder)
    }

    /// The Lease looks like this.
    pub fn see(&mut self, record: Record, now: Instant) {
        if record.holder != self.me {
            self.leads_until = None;
        }
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record, now));
        }
    }

    /// What to do now.
    pub fn next(&self, now: Instant) -> Action {
        let Some((record, at)) = &self.seen else { return Action::Wait(None) };
        let due = if record.holder == self.me || record.holder.is_empty() {
            None
        } else {
            Some(*at + record.duration)
        };
        match due.into_iter().chain(self.not_before).max() {
            Some(due) if now < due => Action::Wait(Some(due)),
            Some(_) | None => Action::Write,
        }
    }

    /// A write that was sent at `asked` came to this.
    pub fn wrote(&mut self, record: Record, asked: Instant) {
        self.leads_until = Some(asked + self.timing.deadline);
        self.not_before = Some(asked + self.timing.renew);
        self.seen = Some((record, asked));
    }

    /// A write failed, or nobody knows what came of it: if it did come about, the Lease will be seen to have our name.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.timing.retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API server's Lease, with its optimistic lock.
    struct Server {
        record: Record,
        writes: u64,
    }

    impl Server {
        fn new() -> Self {
            Self { record: Record::default(), writes: 0 }
        }

        fn write(&mut self, candidate: &mut Candidate, now: Instant) -> bool {
            let seen = candidate.seen.as_ref().map(|(record, _)| record.version.clone());
            if seen.as_ref() != Some(&self.record.version) {
                candidate.failed(now);
                return false;
            }
            self.writes += 1;
            let (holder, duration) = (candidate.me.clone(), candidate.timing.duration);
            self.record = Record { holder, duration, version: self.writes.to_string() };
            candidate.wrote(self.record.clone(), now);
            true
        }

        fn release(&mut self) {
            self.writes += 1;
            self.record = Record { version: self.writes.to_string(), ..Record::default() };
        }

        /// Everybody that is `alive` sees the Lease and acts, each second.
        fn run(&mut self, candidates: &mut [&mut Candidate], from: Instant, seconds: u64) -> Instant {
            for second in 0..seconds {
                let now = from + Duration::from_secs(second);
                for candidate in candidates.iter_mut() {
                    candidate.see(self.record.clone(), now);
                    if candidate.next(now) == Action::Write {
                        self.write(candidate, now);
                    }
                }
                let leaders = candidates.iter().filter(|one| one.leads_until(now).is_some()).count();
                assert!(leaders <= 1, "two lead after {second} s");
            }
            from + Duration::from_secs(seconds)
        }
    }

    fn two() -> (Candidate, Candidate, Instant) {
        let timing = LeaseTiming::default();
        (Candidate::new("a", timing), Candidate::new("b", timing), Instant::now())
    }

    #[test]
    fn before_the_lease_was_seen_nothing_is_written() {
        let (a, _, now) = two();
        assert_eq!(a.next(now), Action::Wait(None));
    }

    #[test]
    fn the_first_to_come_leads_and_stays_leader() {
        let (mut a, mut b, now) = two();
        let mut server = Server::new();
        let now = server.run(&mut [&mut a, &mut b], now, 100);
        assert!(a.leads_until(now).is_some() && b.leads_until(now).is_none());
        assert_eq!(server.writes, 50, "a renewal every two seconds");
    }

    #[test]
    fn a_leader_that_falls_silent_is_followed_after_the_leases_time_and_has_stopped_before() {
        let (mut a, mut b, start) = two();
        let mut server = Server::new();
        let silent = server.run(&mut [&mut a, &mut b], start, 9);
        let mut now = silent;
        while b.leads_until(now).is_none() {
            server.run(&mut [&mut b], now, 1);
            now += Duration::from_secs(1);
        }
        let took = now - silent;
        assert!((Duration::from_secs(13)..=Duration::from_secs(17)).contains(&took), "{took:?}");
        assert!(a.leads_until(now - Duration::from_secs(3)).is_none(), "it gave up by itself, before");
    }

    #[test]
    fn a_released_lease_is_taken_as_soon_as_it_is_seen() {
        let (mut a, mut b, start) = two();
        let mut server = Server::new();
        let now = server.run(&mut [&mut a, &mut b], start, 9);
        server.release();
        b.see(server.record.clone(), now);
        assert_eq!(b.next(now), Action::Write);
        assert!(server.write(&mut b, now) && b.leads_until(now).is_some());
        a.see(server.record.clone(), now);
        assert_eq!(a.leads_until(now), None);
    }

    #[test]
    fn of_two_that_reach_for_a_free_lease_one_gets_it() {
        let (mut a, mut b, now) = two();
        let mut server = Server::new();
        a.see(server.record.clone(), now);
        b.see(server.record.clone(), now);
        assert_eq!((a.next(now), b.next(now)), (Action::Write, Action::Write));
        assert!(server.write(&mut b, now) && !server.write(&mut a, now));
        a.see(server.record.clone(), now);
        assert!(matches!(a.next(now), Action::Wait(Some(_))));
    }

    #[test]
    fn a_leader_that_cannot_renew_stops_by_itself_at_the_deadline() {
        let (mut a, _, now) = two();
        let mut server = Server::new();
        server.run(&mut [&mut a], now, 1);
        for second in 1..10 {
            a.failed(now + Duration::from_secs(second));
        }
        assert!(a.leads_until(now + Duration::from_millis(9_999)).is_some());
        assert_eq!(a.leads_until(now + Duration::from_secs(10)), None);
        assert_eq!(a.next(now + Duration::from_secs(11)), Action::Write, "and keeps trying");
    }

    #[test]
    fn a_write_whose_answer_was_lost_is_noticed_by_our_name_in_the_lease() {
        let (mut a, _, now) = two();
        let record = Record { holder: "a".into(), duration: Duration::from_secs(15), version: "7".into() };
        a.see(record, now);
        assert_eq!(a.leads_until(now), None, "seen is not granted: it may be long ago");
        assert_eq!(a.next(now), Action::Write);
    }

    #[test]
    fn whoever_loses_the_lease_stops_at_once() {
        let (mut a, _, now) = two();
        Server::new().run(&mut [&mut a], now, 1);
        let other = Record { holder: "b".into(), duration: Duration::from_secs(15), version: "8".into() };
        a.see(other, now);
        assert_eq!(a.leads_until(now), None);
    }
}
