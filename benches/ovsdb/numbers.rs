//! Samples, and how they are written down.

use std::fmt;
use std::time::Duration;

/// The same thing measured several times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// One more, in milliseconds.
    pub fn push_ms(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e3);
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut samples = Self::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

impl fmt::Display for Samples {
    /// The median, and between which values nine of ten lie.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, median, high] = [0.05, 0.5, 0.95].map(|share| Rounded(self.at(share)));
        if self.0.len() > 1 { write!(f, "{median} ({low}–{high})") } else { write!(f, "{median}") }
    }
}

/// A number with three digits that matter.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0 {
            number if number >= 100.0 => 0,
            number if number >= 10.0 => 1,
            number if number >= 1.0 => 2,
            _ => 3,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

/// One thing that all clients do: lines of the table, in the order in which they came.
#[derive(Debug)]
pub struct Contest {
    what: String,
    entries: Vec<(String, Samples)>,
}

impl Contest {
    /// Nobody yet.
    pub fn new(what: &str) -> Self {
        Self { what: what.to_owned(), entries: Vec::new() }
    }

    /// A client's samples.
    pub fn of(&mut self, client: &str) -> &mut Samples {
        let found = self.entries.iter().position(|(name, _)| name == client).unwrap_or_else(|| {
            self.entries.push((client.to_owned(), Samples::default()));
            self.entries.len() - 1
        });
        &mut self.entries[found].1
    }

    /// Its lines; ratios are to the first client.
    pub fn print(&self) {
        let first = self.entries.first().map_or(f64::NAN, |(_, samples)| samples.median());
        for (client, samples) in &self.entries {
            println!("| {} | {client} | {samples} | {:.2} |", self.what, samples.median() / first);
        }
    }
}
