//! When to announce which VIP: rounds per VIP, a pace over all VIPs.
//!
//! Given VIPs and the time, says which VIP is next. Knows no frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How often a claim is said. RFC 4861 §10 MAX_NEIGHBOR_ADVERTISEMENT allows 3; RFC 5227 §1.1 ANNOUNCE_NUM asks
/// for at least 2. One lost frame then costs a neighbour a second, not its cache's lifetime.
pub const ROUNDS: u8 = 3;

/// Between two rounds of one VIP: longer than RFC 4861 §10 RETRANS_TIMER and than Linux's ARP `locktime`, both 1 s.
/// A neighbour that has just learnt another MAC refuses the first round and takes the second.
pub const SPACING: Duration = Duration::from_millis(1100);

/// Over all VIPs: one VIP's round per millisecond on the average, so that 1,000 VIPs that move at once are 2,000
/// small broadcasts in a second and not in a burst that a switch's CPU queue drops (keepalived advises the same
/// 1 ms as `vrrp_garp_interval`).
pub const PACE: Duration = Duration::from_millis(1);

/// How far the pace may catch up after a pause: a timer of millisecond grain wakes late, and a handful of VIPs
/// should not wait for it at all.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Which VIP to announce next, and when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pending: BTreeMap<IpAddr, Pending>,
    due: BTreeSet<(Instant, IpAddr)>,
    free_from: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    at: Instant,
    rounds_left: u8,
}

impl Schedule {
    /// All rounds for `vip`, the first one now; what was pending for it is forgotten.
    pub(super) fn start(&mut self, vip: IpAddr, now: Instant) {
        self.stop(vip);
        self.put(vip, Pending { at: now, rounds_left: ROUNDS });
    }

    /// Not another round for `vip`.
    pub(super) fn stop(&mut self, vip: IpAddr) {
        if let Some(pending) = self.pending.remove(&vip) {
            self.due.remove(&(pending.at, vip));
        }
    }

    /// The VIP whose round is due and paced, if any; its next round is put [`SPACING`] after this one.
    pub(super) fn pop(&mut self, now: Instant) -> Option<IpAddr> {
        let &(at, vip) = self.due.first()?;
        if at.max(self.free_from.unwrap_or(at)) > now {
            return None;
        }
        let rounds_left = self.pending.get(&vip)?.rounds_left - 1;
        self.stop(vip);
        if rounds_left > 0 {
            self.put(vip, Pending { at: now + SPACING, rounds_left });
        }
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.free_from = Some(self.free_from.map_or(earliest, |free| free.max(earliest)) + PACE);
        Some(vip)
    }

    /// When [`Schedule::pop`] gives something again.
    pub(super) fn next(&self) -> Option<Instant> {
        let &(at, _) = self.due.first()?;
        Some(at.max(self.free_from.unwrap_or(at)))
    }

    fn put(&mut self, vip: IpAddr, pending: Pending) {
        self.due.insert((pending.at, vip));
        self.pending.insert(vip, pending);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn vips(count: u32) -> Vec<IpAddr> {
        (0..count).map(|number| Ipv4Addr::from(0x0a00_0000 + number).into()).collect()
    }

    /// Runs the schedule dry; when each VIP was said.
    fn run(schedule: &mut Schedule, start: Instant) -> Vec<(Duration, IpAddr)> {
        let mut said = Vec::new();
        while let Some(at) = schedule.next() {
            let now = at.max(start);
            while let Some(vip) = schedule.pop(now) {
                said.push((now - start, vip));
            }
        }
        said
    }

    #[test]
    fn one_vip_is_said_three_times_more_than_a_second_apart() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.start(vips(1)[0], start);
        let said: Vec<_> = run(&mut schedule, start).into_iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(said, [0, 1100, 2200]);
    }

    #[test]
    fn a_thousand_vips_are_each_said_three_times_at_the_pace_of_one_a_millisecond() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        vips(1000).into_iter().for_each(|vip| schedule.start(vip, start));
        let said = run(&mut schedule, start);
        assert_eq!(said.len(), 3000);
        for (first, last) in said.iter().zip(said.iter().skip(50)) {
            assert!(last.0 - first.0 >= Duration::from_millis(40), "51 rounds within {:?}", last.0 - first.0);
        }
        assert!(said.last().unwrap().0 < Duration::from_millis(3300), "and it keeps the pace");
        for vip in vips(1000) {
            let at: Vec<_> = said.iter().filter(|(_, other)| *other == vip).map(|(at, _)| *at).collect();
            assert_eq!(at.len(), 3, "{vip}");
            assert!(at.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_secs(1)), "{vip}");
        }
    }

    #[test]
    fn first_rounds_come_before_second_rounds() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        vips(3000).into_iter().for_each(|vip| schedule.start(vip, start));
        let first: BTreeSet<_> =
            run(&mut schedule, start).into_iter().take(3000).map(|(_, vip)| vip).collect();
        assert_eq!(first.len(), 3000);
    }

    #[test]
    fn a_stopped_vip_is_not_said_again() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.start(vips(1)[0], start);
        assert!(schedule.pop(start).is_some());
        schedule.stop(vips(1)[0]);
        assert_eq!((schedule.next(), schedule.pop(start + SPACING)), (None, None));
    }
}
