//! Says things on the objects of a cluster: in small portions, never in the way of who says them.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::status::say;
use crate::kube::events::Events;
use crate::kube::saying::Saying;

/// Requests at once.
const AT_ONCE: usize = 4;

/// How fast it is said.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// How soon after a change; changes in between are said together.
    pub pause: Duration,
    /// The same after a failure.
    pub failure_pause: Duration,
    /// Requests in a portion, of which there is one a pause.
    pub portion: usize,
}

/// What came of a portion.
#[derive(Debug, Default)]
pub struct Said {
    /// Requests that were answered well.
    pub done: usize,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// The state of saying.
pub struct Voice {
    client: Option<kube::Client>,
    tempo: Tempo,
    next_at: Option<Instant>,
    /// When the last portion went out.
    spoke_at: Option<Instant>,
    under_way: Option<JoinHandle<Said>>,
    events: Events,
}

impl Voice {
    /// Without a client there is nobody to tell.
    pub fn new(client: Option<&kube::Client>, tempo: Tempo) -> Self {
        let events = Events::default();
        Self { client: client.cloned(), tempo, next_at: None, spoke_at: None, under_way: None, events }
    }

    /// Something happened that is said once; call [`Voice::stir`], too.
    pub fn tell(&mut self, event: Saying) {
        if self.client.is_some() {
            self.events.push(event);
        }
    }

    /// Something may have to be said.
    pub fn stir(&mut self, now: Instant) {
        if self.client.is_some() {
            self.next_at.get_or_insert(now + self.tempo.pause);
        }
    }

    /// Ends when a portion was said, with what came of it, or when it is time to say one. Cancel-safe.
    pub async fn due(&mut self) -> Option<Said> {
        if let Some(under_way) = &mut self.under_way {
            let said = under_way.await.unwrap_or_default();
            self.under_way = None;
            return Some(said);
        }
        // One that was told less than a minute ago, and is so again, has its time, too.
        let held_back = self.events.due().map(Instant::from_std);
        match self.next_at.into_iter().chain(held_back).min() {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        None
    }

    /// It is not the moment: once more in a while, or not before something happens.
    pub fn wait(&mut self, again: bool) {
        self.next_at = self.next_at.filter(|_| again).map(|at| at + self.tempo.pause);
    }

    /// Whether what is to be said may wait for something better, since a portion went out lately.
    pub fn may_wait(&self, now: Instant) -> bool {
        self.spoke_at.is_some_and(|at| now < at + self.tempo.failure_pause)
    }

    /// A portion was said: whether that was all is found out by comparing again.
    pub fn said(&mut self, said: &Said, now: Instant) {
        let pause = if said.failures.is_empty() { self.tempo.pause } else { self.tempo.failure_pause };
        if said.done > 0 || !said.failures.is_empty() {
            self.next_at = Some(now + pause);
        }
    }

    /// Says the next portion: of `all`, what differs from what stands there now, and of what happened.
    pub fn speak(&mut self, all: impl IntoIterator<Item = Saying>, now: Instant) {
        (self.next_at, self.spoke_at) = (None, Some(now));
        let Some(client) = self.client.clone() else { return };
        let then = now.into_std();
        self.events.forget(then);
        let mut portion: Vec<Saying> = Vec::new();
        let mut all = all.into_iter();
        while portion.len() < self.tempo.portion
            && let Some(saying) = all.next()
        {
            portion.extend(self.events.offer(saying, then));
        }
        while portion.len() < self.tempo.portion
            && let Some(event) = self.events.next(then)
        {
            portion.push(event);
        }
        if portion.is_empty() {
            return;
        }
        tracing::debug!(requests = portion.len(), "saying it on the objects");
        self.under_way = Some(tokio::spawn(async move {
            let answers = stream::iter(portion).map(|saying| {
                let client = client.clone();
                async move { say(&client, &saying).await }
            });
            let answers: Vec<Result<(), String>> = answers.buffered(AT_ONCE).collect().await;
            let done = answers.iter().filter(|answer| answer.is_ok()).count();
            Said { done, failures: answers.into_iter().filter_map(Result::err).collect() }
        }));
    }
}
