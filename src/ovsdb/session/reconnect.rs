//! Which server next, and when.
//!
//! All servers of a round are tried one after the other; rounds are spaced further and further apart.

use std::time::Duration;

use super::Timing;
use super::fault::Pace;
use crate::ovsdb::endpoint::Endpoint;

#[derive(Debug)]
pub(super) struct Reconnect {
    endpoints: Vec<Endpoint>,
    next: usize,
    failures: usize,
    timing: Timing,
    random: u64,
    /// Since when the replica is level.
    level_since: Option<Duration>,
    /// The attempt that last met a living cluster's wrong member.
    moved_on: Option<usize>,
}

/// How many rounds follow each other quickly while a cluster has no leader.
const QUICK_ROUNDS: usize = 10;

impl Reconnect {
    pub(super) fn new(endpoints: Vec<Endpoint>, timing: Timing, seed: u64) -> Self {
        let mut reconnect =
            Self { endpoints, next: 0, failures: 0, timing, random: seed, level_since: None, moved_on: None };
        reconnect.shuffle();
        reconnect
    }

    /// Fisher-Yates: so that many clients spread over the servers.
    fn shuffle(&mut self) {
        for last in (1..self.endpoints.len()).rev() {
            let other = usize::try_from(self.random() % (last as u64 + 1)).unwrap_or(0);
            self.endpoints.swap(last, other);
        }
    }

    pub(super) fn next_endpoint(&mut self) -> Option<Endpoint> {
        let endpoint = self.endpoints.get(self.next)?.clone();
        self.next = (self.next + 1) % self.endpoints.len();
        Some(endpoint)
    }

    /// The replica is level.
    pub(super) fn level(&mut self, now: Duration) {
        self.level_since = Some(now);
    }

    /// An attempt or a connection is over: how long until the next. A connection that was level for a while clears
    /// the record; one that breaks at once does not, or it would be a fast loop of full dumps.
    pub(super) fn pause(&mut self, now: Duration, pace: Pace) -> Duration {
        if self.level_since.take().is_some_and(|since| now >= since + self.timing.backoff_max) {
            (self.failures, self.moved_on) = (0, None);
        }
        let servers = self.endpoints.len().max(1);
        let round = self.failures / servers;
        let within_round = round == 0 || !self.failures.is_multiple_of(servers);
        if pace == Pace::MoveOn {
            self.moved_on = Some(self.failures);
        }
        // One dead member does not make a cluster dead that another one belongs to.
        let cluster_lives = self.moved_on.is_some_and(|attempt| self.failures - attempt < servers);
        self.failures += 1;
        match (cluster_lives, within_round) {
            (true, true) if pace == Pace::MoveOn => return Duration::ZERO,
            (true, false) if round > QUICK_ROUNDS => return self.jitter(self.timing.backoff_min / 2),
            (_, true) | (true, false) => return self.jitter(self.timing.first_retry),
            (false, false) => {}
        }
        let doubled =
            self.timing.backoff_min * 2_u32.saturating_pow(u32::try_from(round - 1).unwrap_or(8).min(8));
        self.jitter(doubled.min(self.timing.backoff_max))
    }

    /// Three to five quarters of it.
    fn jitter(&mut self, pause: Duration) -> Duration {
        let thousandth = u32::try_from(self.random() % 501).unwrap_or(0);
        pause * (750 + thousandth) / 1000
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconnect(servers: usize) -> Reconnect {
        let endpoints = (0..servers).map(|n| format!("unix:/{n}").parse().unwrap()).collect();
        Reconnect::new(endpoints, Timing::default(), 1)
    }

    fn near(pause: Duration, milliseconds: u64) -> bool {
        let nominal = Duration::from_millis(milliseconds);
        pause >= nominal * 3 / 4 && pause <= nominal * 5 / 4
    }

    #[test]
    fn the_first_retry_is_quick_and_the_next_back_off_to_eight_seconds() {
        let mut one = reconnect(1);
        for expected in [100, 1000, 2000, 4000, 8000, 8000, 8000] {
            let pause = one.pause(Duration::ZERO, Pace::BackOff);
            assert!(near(pause, expected), "{pause:?} is not near {expected} ms");
        }
    }

    #[test]
    fn all_servers_of_a_round_are_tried_quickly() {
        let mut three = reconnect(3);
        let mut seen = std::collections::BTreeSet::new();
        for expected in [100, 100, 100, 1000, 100, 100, 2000] {
            seen.insert(three.next_endpoint().unwrap());
            let pause = three.pause(Duration::ZERO, Pace::BackOff);
            assert!(near(pause, expected), "{pause:?} is not near {expected} ms");
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn the_wrong_member_of_a_cluster_is_left_at_once_and_an_election_is_waited_for_briefly() {
        let mut three = reconnect(3);
        for round in 0..20 {
            for member in 0..3 {
                let expected = match (round, member) {
                    (0, _) | (_, 1 | 2) => 0,
                    (..=10, _) => 100,
                    _ => 500,
                };
                let pause = three.pause(Duration::ZERO, Pace::MoveOn);
                assert!(near(pause, expected), "round {round}: {pause:?} is not near {expected} ms");
            }
        }
    }

    #[test]
    fn a_dead_member_does_not_slow_down_the_search_for_the_leader() {
        for dead in 0..3 {
            let mut three = reconnect(3);
            let pauses = (0..15).map(|attempt| {
                let pace = if attempt % 3 == dead { Pace::BackOff } else { Pace::MoveOn };
                three.pause(Duration::ZERO, pace)
            });
            let total: Duration = pauses.sum();
            assert!(total < Duration::from_millis(1500), "five rounds took {total:?}");
        }
    }

    #[test]
    fn only_a_connection_that_lasted_clears_the_record() {
        let mut one = reconnect(1);
        for _ in 0..3 {
            one.pause(Duration::ZERO, Pace::BackOff);
        }
        one.level(Duration::from_secs(10));
        assert!(near(one.pause(Duration::from_secs(11), Pace::BackOff), 4000));
        one.level(Duration::from_secs(20));
        assert!(near(one.pause(Duration::from_secs(60), Pace::BackOff), 100));
    }

    #[test]
    fn clients_with_different_seeds_start_with_different_servers() {
        let endpoints: Vec<Endpoint> = (0..3).map(|n| format!("unix:/{n}").parse().unwrap()).collect();
        let first = |seed| Reconnect::new(endpoints.clone(), Timing::default(), seed).next_endpoint();
        let firsts: std::collections::BTreeSet<_> = (0..20).map(first).collect();
        assert_eq!(firsts.len(), 3);
    }
}
