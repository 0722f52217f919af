//! One VIP's way from wanted to held, and from held to yielded (RFC 5227 §2, RFC 4862 §5.4).
//!
//! ```text
//! Probe ──► Probing ──nobody answers──► Held ◄── TakeOver
//!              │  ▲                      │ ▲ └─ conflict: say it once more
//!              │  └──── in doubt ────────┤ │
//!              └──────conflict──► Yielded ◄┘ second conflict in 10 s, where that was chosen
//!                                    └─ after seconds: Probing
//! ```
//! Given conflicts and the passing of time, says what to say and when to look again. Knows no frames.

use std::time::{Duration, Instant};

use crate::model::Mac;

/// How often a claim is said. RFC 4861 §10 MAX_NEIGHBOR_ADVERTISEMENT allows 3; RFC 5227 §1.1 ANNOUNCE_NUM asks
/// for at least 2. One lost frame then costs a neighbour a second, not its cache's lifetime.
pub const ROUNDS: u8 = 3;

/// Between two rounds of one VIP: longer than RFC 4861 §10 RETRANS_TIMER and than Linux's ARP `locktime`, both 1 s.
/// A neighbour that has just learnt another MAC refuses the first round and takes the second.
pub const SPACING: Duration = Duration::from_millis(1100);

/// RFC 5227 §1.1 PROBE_NUM.
pub const PROBES: u8 = 3;

/// Between two probes. RFC 5227 §1.1 has 1 to 2 s for any link there is, and lets faster ones take less: a wired
/// segment answers within a millisecond, and three probes within a second survive a lost one as well.
pub const PROBE_SPACING: Duration = Duration::from_millis(200);

/// From the last probe to the first announcement (RFC 5227 §1.1 ANNOUNCE_WAIT, 2 s, for the same links).
pub const PROBE_WAIT: Duration = Duration::from_millis(400);

/// RFC 5227 §1.1 DEFEND_INTERVAL: a second conflict within it is one too many (§2.4 (b)), for whoever yields.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Between two defences of one VIP by whoever never yields (RFC 5227 §2.4 (c)). The RFC's own 10 s would leave a client
/// with a stranger's MAC for as long; two that both insist say 5 claims a second each, which no link notices.
pub const DEFEND_SPACING: Duration = Duration::from_millis(200);

/// Between two times that a VIP is said anew for peers that claimed it in the same instant: each of them lets go at the first
/// one that it hears.
pub const PEER_SPACING: Duration = Duration::from_millis(10);

/// How often a defence is said: a neighbour that refuses the first (Linux's ARP `locktime`) takes the second.
const DEFENCE_ROUNDS: u8 = 2;

/// How long a yielded VIP waits, from the last time that the other was heard, before it is probed for again. RFC 5227
/// §1.1 has RATE_LIMIT_INTERVAL, 60 s, for hosts that try address after address; a server has only the one.
pub const RETRY: Duration = Duration::from_secs(5);

/// What to do about a stranger that claims a VIP which is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Say each time that it is here, without end, at a bounded rate (RFC 5227 §2.4 (c)): the address of a server.
    #[default]
    Defend,
    /// Say so once in 10 s, then give way (RFC 5227 §2.4 (b)).
    Yield,
}

/// How to take a VIP that is not held yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// Ask first whether somebody has it: a VIP that this cluster has not announced a moment ago.
    Probe,
    /// Take it at once: a fail-over or a planned move between nodes that know each other.
    TakeOver,
}

/// How far a VIP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// We ask whether it is free, and do not answer for it.
    Probing,
    /// We answer for it.
    Held,
    /// Somebody else has it: silence, and another probe after seconds.
    Yielded {
        /// Who.
        to: Mac,
    },
}

/// What a conflict came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// We hold it and say so once more.
    Defended,
    /// We have fallen silent: it was the second conflict, or we were only asking.
    Yielded,
    /// We had fallen silent already.
    Standing,
    /// It is another node of this cluster: whose VIP it is the election decides, not ARP. A VIP that we hold stays
    /// as it is; one that we ask for waits until the other has let go.
    Peer,
    /// Another node of this cluster asks for it while we do: nobody has it yet. One of the two goes first.
    PeerAsks,
}

/// What to say now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Probe,
    Announcement,
}

/// One VIP's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Probing { probes_left: u8 },
    Held { rounds_left: u8, defended: Option<Instant> },
    Yielded { to: Mac },
}

impl Claim {
    pub(super) fn new(mode: ClaimMode) -> Self {
        match mode {
            ClaimMode::Probe => Claim::Probing { probes_left: PROBES },
            ClaimMode::TakeOver => Claim::Held { rounds_left: ROUNDS, defended: None },
        }
    }

    pub(super) fn state(&self) -> ClaimState {
        match *self {
            Claim::Probing { probes_left: _ } => ClaimState::Probing,
            Claim::Held { rounds_left: _, defended: _ } => ClaimState::Held,
            Claim::Yielded { to } => ClaimState::Yielded { to },
        }
    }

    /// The time has come: what to say, and when to come back.
    pub(super) fn step(&mut self, now: Instant) -> (Option<Say>, Option<Instant>) {
        match *self {
            Claim::Probing { probes_left: 0 } => {
                *self = Claim::new(ClaimMode::TakeOver);
                self.step(now)
            }
            Claim::Probing { probes_left } => {
                *self = Claim::Probing { probes_left: probes_left - 1 };
                let pause = if probes_left == 1 { PROBE_WAIT } else { PROBE_SPACING };
                (Some(Say::Probe), Some(now + pause))
            }
            Claim::Held { rounds_left: 0, defended: _ } => (None, None),
            Claim::Held { rounds_left, defended } => {
                *self = Claim::Held { rounds_left: rounds_left - 1, defended };
                (Some(Say::Announcement), (rounds_left > 1).then(|| now + SPACING))
            }
            Claim::Yielded { to: _ } => {
                *self = Claim::new(ClaimMode::Probe);
                self.step(now)
            }
        }
    }

    /// Somebody else says that the VIP is at `mac`: what that comes to, and when to step. `jitter` keeps two that
    /// yielded to each other from probing in step for ever.
    pub(super) fn conflict(
        &mut self,
        mac: Mac,
        on_conflict: OnConflict,
        jitter: Duration,
        now: Instant,
    ) -> (Outcome, Instant) {
        let again = now + RETRY + jitter;
        match *self {
            Claim::Held { rounds_left, defended } if on_conflict == OnConflict::Defend => {
                // One that is to come answers this, too.
                let at = match defended {
                    Some(last) if last > now => last,
                    Some(last) => now.max(last + DEFEND_SPACING),
                    None => now,
                };
                *self = Claim::Held { rounds_left: rounds_left.max(DEFENCE_ROUNDS), defended: Some(at) };
                (Outcome::Defended, at)
            }
            Claim::Held { rounds_left, defended }
                if defended.is_none_or(|at| now >= at + DEFEND_INTERVAL) =>
            {
                *self = Claim::Held { rounds_left: rounds_left.max(1), defended: Some(now) };
                (Outcome::Defended, now)
            }
            Claim::Held { rounds_left: _, defended: _ } | Claim::Probing { probes_left: _ } => {
                *self = Claim::Yielded { to: mac };
                (Outcome::Yielded, again)
            }
            Claim::Yielded { to: _ } => {
                *self = Claim::Yielded { to: mac };
                (Outcome::Standing, again)
            }
        }
    }

    /// Another node of this cluster holds the VIP that we ask for: ask anew until it has let go. When to step.
    pub(super) fn wait_for_peer(&mut self, now: Instant) -> Option<Instant> {
        let waits = matches!(self, Claim::Probing { probes_left: _ });
        waits.then(|| {
            *self = Claim::new(ClaimMode::Probe);
            now + SPACING
        })
    }

    /// A held VIP is said anew, for a peer that has not heard of it. Whether it is held.
    pub(super) fn say_again(&mut self) -> bool {
        let Claim::Held { rounds_left, defended: _ } = self else { return false };
        *rounds_left = (*rounds_left).max(DEFENCE_ROUNDS);
        true
    }

    /// A held VIP that has been said often enough is said once more, in case that a neighbour has lost it.
    pub(super) fn refresh(&mut self) {
        if let Claim::Held { rounds_left: rounds @ 0, defended: _ } = self {
            *rounds = 1;
        }
    }

    /// We are at another MAC address: a held VIP is announced anew. Whether it is.
    pub(super) fn announce_again(&mut self) -> bool {
        match self {
            Claim::Held { rounds_left, defended: _ } => {
                *rounds_left = ROUNDS;
                true
            }
            Claim::Probing { probes_left: _ } | Claim::Yielded { to: _ } => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
mod tests {
    use super::*;

    const FOREIGN: Mac = Mac([2; 6]);

    /// Steps until the claim wants no more; what it said, and when in milliseconds.
    fn run(claim: &mut Claim, start: Instant) -> Vec<(u128, Say)> {
        let (mut said, mut next) = (Vec::new(), Some(start));
        while let Some(now) = next {
            let (say, after) = claim.step(now);
            said.extend(say.map(|say| ((now - start).as_millis(), say)));
            next = after;
        }
        said
    }

    #[test]
    fn a_probed_claim_asks_three_times_waits_and_is_said_three_times() {
        let mut claim = Claim::new(ClaimMode::Probe);
        let said = run(&mut claim, Instant::now());
        let probes = [(0, Say::Probe), (200, Say::Probe), (400, Say::Probe)];
        assert_eq!(said[..3], probes);
        let (first, second, third) = (800, 1900, 3000);
        assert_eq!(said[3..], [first, second, third].map(|at| (at, Say::Announcement)));
        assert_eq!(claim.state(), ClaimState::Held);
    }

    #[test]
    fn a_conflict_while_probing_yields_at_once_and_is_probed_again_after_seconds() {
        let (mut claim, now) = (Claim::new(ClaimMode::Probe), Instant::now());
        claim.step(now);
        let conflict = claim.conflict(FOREIGN, OnConflict::Defend, Duration::ZERO, now);
        assert_eq!(conflict, (Outcome::Yielded, now + RETRY));
        assert_eq!(claim.state(), ClaimState::Yielded { to: FOREIGN });
        assert_eq!(run(&mut claim, now + RETRY).len(), 6, "probes, then announcements");
    }

    #[test]
    fn a_held_claim_is_defended_without_end_at_a_bounded_rate() {
        let (mut claim, start) = (Claim::new(ClaimMode::TakeOver), Instant::now());
        run(&mut claim, start);
        let (mut said, mut next) = (0, None::<Instant>);
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            if next.is_some_and(|at| now >= at) {
                said += usize::from(claim.step(now).0.is_some());
            }
            let (outcome, at) = claim.conflict(FOREIGN, OnConflict::Defend, Duration::ZERO, now);
            assert_eq!((outcome, claim.state()), (Outcome::Defended, ClaimState::Held));
            assert!(millis > 0 || at == now, "the first at once");
            next = Some(at);
        }
        assert!((48..=51).contains(&said), "{said} in 10 s");
    }

    #[test]
    fn a_held_claim_that_may_yield_defends_once_in_ten_seconds_and_then_yields() {
        let (mut claim, start) = (Claim::new(ClaimMode::TakeOver), Instant::now());
        run(&mut claim, start);
        let outcome = |claim: &mut Claim, seconds| {
            let at = start + Duration::from_secs(seconds);
            claim.conflict(FOREIGN, OnConflict::Yield, Duration::ZERO, at).0
        };
        assert_eq!(outcome(&mut claim, 100), Outcome::Defended);
        assert_eq!(run(&mut claim, start).len(), 1, "one announcement");
        assert_eq!(outcome(&mut claim, 110), Outcome::Defended, "ten seconds later it is a new one");
        assert_eq!(outcome(&mut claim, 119), Outcome::Yielded);
        assert_eq!(outcome(&mut claim, 120), Outcome::Standing);
    }

    #[test]
    fn a_probing_claim_waits_for_a_peer_and_a_held_one_does_not() {
        let (mut claim, now) = (Claim::new(ClaimMode::Probe), Instant::now());
        claim.step(now);
        assert_eq!(claim.wait_for_peer(now), Some(now + SPACING));
        assert_eq!(run(&mut claim, now + SPACING).len(), 6, "all three probes again");
        assert_eq!((claim.wait_for_peer(now), claim.state()), (None, ClaimState::Held));
    }

    #[test]
    fn a_yielded_claim_waits_from_the_last_time_the_other_was_heard() {
        let (mut claim, now) = (Claim::new(ClaimMode::Probe), Instant::now());
        claim.conflict(FOREIGN, OnConflict::Defend, Duration::ZERO, now);
        let later = now + RETRY / 2;
        let jitter = Duration::from_secs(3);
        let again = claim.conflict(Mac([4; 6]), OnConflict::Defend, jitter, later);
        assert_eq!(again, (Outcome::Standing, later + RETRY + jitter));
        assert_eq!(claim.state(), ClaimState::Yielded { to: Mac([4; 6]) });
    }
}
