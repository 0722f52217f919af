//! The clock that tells of pauses.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long the host has been up, the time that it slept included (CLOCK_BOOTTIME, clock_gettime(2)).
pub fn up() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
