//! What an API server refuses, in an operator's words, and when to ask again.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;
use tokio::time::Instant;

use super::raw::{Need, Watched};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For what the next attempt mends: history that is no longer kept is listed anew.
const LONGEST_ROUTINE_PAUSE: Duration = Duration::from_secs(1);
/// For a kind that can be done without and that the API server does not have: every node asks.
const LONGEST_ABSENT_PAUSE: Duration = Duration::from_secs(60);
/// A watch says nothing when it is well again. So long after the last failure it is held to be.
const WELL_AFTER: Duration = Duration::from_secs(15);

/// What lasts for so long does not pass by itself.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// Why a kind is not followed at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server does not know the kind.
    Absent,
    /// RBAC: the verb.
    Forbidden(&'static str),
    /// The API server, or the way to it.
    Unwell(String),
    /// A matter of course: a watch that ended, or history that is no longer kept.
    Routine,
    /// The state is an older one than it was. What was told since then is not so any more; a list follows.
    Rewound(Rewind),
}

/// How far the API server's state went back: resource versions of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// What was told once.
    pub before: u64,
    /// What it is now.
    pub now: u64,
}

impl Rewind {
    /// From what was told to what is told now, where it went back. Versions compare by their values where they are decimal,
    /// which they are where etcd's revisions are (documented since Kubernetes 1.35); of others nothing is known.
    pub fn between(before: &str, now: &str) -> Option<Self> {
        let decimal = |version: &str| {
            version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse::<u64>().ok())
        };
        let (before, now) = (decimal(before)??, decimal(now)??);
        (now < before).then_some(Self { before, now })
    }
}

impl Trouble {
    /// What a watch's error means.
    pub fn of(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error) => Self::of_request("list", error),
            watcher::Error::WatchStartFailed(error) => Self::of_request("watch", error),
            // It broke off; the next attempt tells whether that means anything.
            watcher::Error::WatchFailed(_) => Self::Routine,
            watcher::Error::WatchError(status) => Self::of_status("watch", status),
            watcher::Error::NoResourceVersion => Self::Unwell(error.to_string()),
        }
    }

    fn of_request(verb: &'static str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(verb, status),
            error => Self::Unwell(silent(error)),
        }
    }

    fn of_status(verb: &'static str, status: &Status) -> Self {
        match status.code {
            404 => Self::Absent,
            403 => Self::Forbidden(verb),
            410 => Self::Routine,
            401 => Self::Unwell(format!(
                "the API server does not accept our credentials ({}): is the ServiceAccount's token mounted, or the kubeconfig's user right?",
                status.message
            )),
            code => Self::Unwell(format!("the API server answers {code}: {}", status.message)),
        }
    }

    /// What to tell an operator, if anything. The same for every kind where the kind is not the matter.
    pub(super) fn words(&self, watched: &Watched) -> Option<String> {
        let resource = watched.resource_name();
        match self {
            Trouble::Absent if watched.need == Need::Optional => None,
            Trouble::Absent => Some(format!(
                "the API server has no {resource}: install Kube-OVN and its CRDs; nothing is served before"
            )),
            Trouble::Forbidden(verb) => Some(forbidden(verb, &resource)),
            Trouble::Unwell(words) => Some(words.clone()),
            Trouble::Routine | Trouble::Rewound(_) => None,
        }
    }

    /// The same for the Lease, whose kind every API server has.
    pub fn of_lease(&self) -> Option<String> {
        match self {
            Trouble::Absent | Trouble::Routine | Trouble::Rewound(_) => None,
            Trouble::Forbidden(verb) => Some(forbidden(verb, "leases.coordination.k8s.io")),
            Trouble::Unwell(words) => Some(words.clone()),
        }
    }

    fn longest_pause(&self, need: Need) -> Duration {
        match self {
            Trouble::Absent if need == Need::Optional => LONGEST_ABSENT_PAUSE,
            Trouble::Absent => LONGEST_PAUSE,
            Trouble::Routine | Trouble::Rewound(_) => LONGEST_ROUTINE_PAUSE,
            Trouble::Forbidden(_) | Trouble::Unwell(_) => LONGEST_PAUSE,
        }
    }
}

/// What RBAC forbids, with the cure.
pub fn forbidden(verb: &str, resource: &str) -> String {
    format!("the ServiceAccount may not {verb} {resource}: apply deploy/rbac.yaml")
}

/// A request that was not answered at all.
pub fn silent(error: &kube::Error) -> String {
    format!("the API server does not answer: {}", root(error))
}

/// The innermost reason: the outer ones only say that there is one.
pub fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Trouble, and how long it lasts. What passes by itself is not told: while an API server starts it refuses and
/// forbids what it grants a moment later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting<T> {
    /// What is the matter.
    pub what: T,
    since: Instant,
    until: Instant,
}

impl<T> Lasting<T> {
    /// It goes on, or begins; it counts for this pause and a while.
    pub fn go_on(old: Option<Self>, what: T, pause: Duration, now: Instant) -> Self {
        let since = old.map_or(now, |old| old.since);
        Self { what, since, until: now + pause + WELL_AFTER }
    }

    /// What is to be told, if it did not pass.
    pub fn told(&self, now: Instant) -> Option<&T> {
        (now - self.since >= TOLD_AFTER).then_some(&self.what)
    }

    /// Until when it counts, without another failure.
    pub fn until(&self) -> Instant {
        self.until
    }
}

/// When to try again: doubling pauses, spread so that many clients do not come at once.
#[derive(Debug)]
pub(super) struct Pace {
    need: Need,
    pause: Duration,
    failed: Option<Instant>,
    /// From 0.75 to 1.25, this watch's own.
    spread: f64,
}

impl Pace {
    pub fn new(need: Need, seed: u8) -> Self {
        Self { need, pause: Duration::ZERO, failed: None, spread: 0.75 + f64::from(seed) / 510.0 }
    }

    /// A failure: how long to wait.
    pub fn failed(&mut self, trouble: &Trouble, now: Instant) -> Duration {
        let well = self.failed.is_some_and(|last| now - last > self.pause + WELL_AFTER);
        let pause = if well { FIRST_PAUSE } else { (self.pause * 2).max(FIRST_PAUSE) };
        self.pause = pause.min(trouble.longest_pause(self.need));
        self.failed = Some(now);
        self.pause.mul_f64(self.spread)
    }

    /// Objects came.
    pub fn succeeded(&mut self) {
        (self.pause, self.failed) = (Duration::ZERO, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::WATCHED;
    use super::*;

    fn status(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: "m".into(), ..Status::default() }))
    }

    #[test]
    fn a_forbidden_verb_is_named_with_its_resource_and_the_cure() {
        let subnets = &WATCHED[3];
        for (error, verb) in [
            (watcher::Error::InitialListFailed(status(403)), "list"),
            (watcher::Error::WatchStartFailed(status(403)), "watch"),
        ] {
            let words = Trouble::of(&error).words(subnets).unwrap();
            assert_eq!(
                words,
                format!("the ServiceAccount may not {verb} subnets.kubeovn.io: apply deploy/rbac.yaml")
            );
        }
    }

    #[test]
    fn expired_history_and_a_broken_watch_are_no_news() {
        let gone = Status { code: 410, ..Status::default() };
        assert_eq!(Trouble::of(&watcher::Error::WatchError(Box::new(gone))), Trouble::Routine);
        assert_eq!(Trouble::of(&watcher::Error::WatchStartFailed(status(410))), Trouble::Routine);
    }

    #[test]
    fn versions_that_go_back_are_told_from_those_that_go_on_or_mean_nothing() {
        assert_eq!(Rewind::between("1000", "999"), Some(Rewind { before: 1000, now: 999 }));
        for (before, now) in [
            ("999", "1000"),
            ("7", "7"),
            ("", "7"),
            ("7", ""),
            ("b", "a"),
            ("7", "+6"),
            ("7", "-6"),
            ("7", "99999999999999999999999"),
        ] {
            assert_eq!(Rewind::between(before, now), None, "{before} {now}");
        }
    }

    #[test]
    fn what_is_the_api_servers_matter_reads_the_same_for_every_kind() {
        for code in [401, 429, 500] {
            let trouble = Trouble::of(&watcher::Error::InitialListFailed(status(code)));
            let words: std::collections::BTreeSet<_> = WATCHED.iter().map(|it| trouble.words(it)).collect();
            assert_eq!(words.len(), 1, "{code}");
        }
    }

    #[test]
    fn pauses_double_to_their_limit_and_start_over_after_a_quiet_time() {
        let mut pace = Pace::new(Need::Required, 127);
        let mut now = Instant::now();
        let trouble = Trouble::Unwell(String::new());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = pace.failed(&trouble, now);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert!(pauses.is_sorted() && pauses[0] <= 250 && pauses[7] >= 4_500, "{pauses:?}");
        let listed_anew = pace.failed(&Trouble::Routine, now);
        assert!(listed_anew <= Duration::from_millis(1250), "{listed_anew:?}");
        assert!(pace.failed(&trouble, now + Duration::from_secs(60)) <= Duration::from_millis(250));
    }

    #[test]
    fn only_trouble_that_lasts_is_told() {
        let start = Instant::now();
        let first = Lasting::go_on(None, "a", FIRST_PAUSE, start);
        assert_eq!(first.told(start), None);
        let later = start + TOLD_AFTER;
        let second = Lasting::go_on(Some(first), "b", FIRST_PAUSE, later);
        assert_eq!(second.told(later), Some(&"b"));
    }
}
