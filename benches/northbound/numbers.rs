//! Samples, and how they are written down.

use std::fmt;
use std::time::Duration;

/// Durations of the same thing, measured several times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle one, in milliseconds.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Samples {
    /// The median, and between which values nine of ten lie.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1}–{:.1})", self.median(), self.at(0.05), self.at(0.95))
    }
}
