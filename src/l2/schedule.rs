//! Which VIP's turn it is: one appointment per VIP, a pace over all of them.
//!
//! Given appointments and the time, says whose turn it is. Knows neither claims nor frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Over all VIPs: two VIPs' rounds per millisecond on the average, so that 1,000 VIPs that move at once are 2,000
/// small broadcasts in half a second, after 0.3 s until their node is known to be dead, and not in a burst that a switch's CPU
/// queue drops (keepalived advises 1 ms as `vrrp_garp_interval`, for addresses that nobody waits for).
pub const PACE: Duration = Duration::from_micros(500);

/// How far the pace may catch up after a pause: a timer of millisecond grain wakes late, on a busy machine by some tens of them,
/// and a handful of VIPs should not wait for it at all.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Whose turn it is, and when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    appointments: BTreeMap<IpAddr, Instant>,
    due: BTreeSet<(Instant, IpAddr)>,
    free_from: Option<Instant>,
}

impl Schedule {
    /// The VIP's next turn is at `at`, in place of what was set before; `None`: it has none.
    pub(super) fn set(&mut self, vip: IpAddr, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.appointments.insert(vip, at),
            None => self.appointments.remove(&vip),
        };
        if let Some(before) = before {
            self.due.remove(&(before, vip));
        }
        self.due.extend(at.map(|at| (at, vip)));
    }

    /// The VIP whose turn has come, if the pace allows one; its appointment is over.
    pub(super) fn pop(&mut self, now: Instant) -> Option<IpAddr> {
        if self.next()? > now {
            return None;
        }
        let &(_, vip) = self.due.first()?;
        self.set(vip, None);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.free_from = Some(self.free_from.map_or(earliest, |free| free.max(earliest)) + PACE);
        Some(vip)
    }

    /// When [`Schedule::pop`] gives something again.
    pub(super) fn next(&self) -> Option<Instant> {
        let &(at, _) = self.due.first()?;
        Some(at.max(self.free_from.unwrap_or(at)))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn vip(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_vip_has_one_appointment_at_a_time() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.set(vip(1), Some(now));
        schedule.set(vip(1), Some(now + PACE));
        assert_eq!((schedule.pop(now), schedule.next()), (None, Some(now + PACE)));
        schedule.set(vip(1), None);
        assert_eq!((schedule.pop(now + PACE), schedule.next()), (None, None));
    }

    #[test]
    fn a_thousand_turns_at_once_come_two_a_millisecond_after_a_first_few() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        (0..1000).for_each(|number| schedule.set(vip(number), Some(start)));
        let mut turns = Vec::new();
        while let Some(at) = schedule.next() {
            while schedule.pop(at).is_some() {
                turns.push(at.saturating_duration_since(start).as_millis());
            }
        }
        assert_eq!(turns.len(), 1000);
        assert!(turns[39] == 0 && turns[50] > 0, "a first few at once: {:?}", &turns[..51]);
        assert!(turns.windows(101).all(|window| window[100] - window[0] >= 25), "then the pace");
        assert!(turns[999] < 500, "and no slower");
    }

    #[test]
    fn a_late_timer_catches_up_and_no_further() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.set(vip(0), Some(start));
        assert!(schedule.pop(start).is_some());
        let late = start + Duration::from_secs(5);
        (0..1000).for_each(|number| schedule.set(vip(number), Some(start)));
        let at_once = std::iter::from_fn(|| schedule.pop(late)).count();
        assert!((40..=41).contains(&at_once), "{at_once}");
    }

    #[test]
    fn who_has_waited_longest_comes_first() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.set(vip(1), Some(start + PACE));
        schedule.set(vip(2), Some(start));
        assert_eq!(schedule.pop(start + PACE), Some(vip(2)));
    }
}
