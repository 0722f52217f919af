//! Says what the controller knows on the objects themselves: level-triggered, in small portions, never in the way.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::io::cluster::Cluster;
use crate::io::kube::status::{Regarding, Saying, say};
use crate::model::{Mac, ObjectKey, SubnetName};

use super::Reconciler;
use super::wanted::sayings;

/// How soon after a change; changes in between are said together.
const PAUSE: Duration = Duration::from_secs(1);
/// After a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);
/// Requests in a portion, of which there is one a pause; and at once.
const PORTION: usize = 50;
const AT_ONCE: usize = 4;
/// The same Event on the same object is not repeated sooner: a condition may swing to and fro.
const EVENT_PAUSE: Duration = Duration::from_secs(60);

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
    next_at: Option<Instant>,
    under_way: Option<JoinHandle<Said>>,
    events: BTreeMap<(String, String), Instant>,
}

impl Voice {
    /// Without a client there is nobody to tell.
    pub fn new(client: Option<&kube::Client>) -> Self {
        Self { client: client.cloned(), next_at: None, under_way: None, events: BTreeMap::new() }
    }

    /// Something may have to be said.
    pub fn stir(&mut self, now: Instant) {
        if self.client.is_some() {
            self.next_at.get_or_insert(now + PAUSE);
        }
    }

    /// Ends when a portion was said, with what came of it, or when it is time to say one. Cancel-safe.
    pub async fn due(&mut self) -> Option<Said> {
        if let Some(under_way) = &mut self.under_way {
            let said = under_way.await.unwrap_or_default();
            self.under_way = None;
            return Some(said);
        }
        match self.next_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        None
    }

    /// It is not the moment: once more in a while, or not before something happens.
    pub fn wait(&mut self, again: bool) {
        self.next_at = self.next_at.filter(|_| again).map(|at| at + PAUSE);
    }

    /// A portion was said: whether that was all is found out by comparing again.
    pub fn said(&mut self, said: &Said, now: Instant) {
        let pause = if said.failures.is_empty() { PAUSE } else { FAILURE_PAUSE };
        if said.done > 0 || !said.failures.is_empty() {
            self.next_at = Some(now + pause);
        }
    }

    /// Says the next portion of what differs from what stands there.
    pub fn speak(
        &mut self,
        cluster: &Cluster,
        reconciler: &Reconciler,
        router_mac: impl Fn(&SubnetName) -> Option<Mac>,
        now: Instant,
    ) {
        self.next_at = None;
        let (Some(client), Cluster::Kube(watch, _)) = (self.client.clone(), cluster) else { return };
        let stands = |key: &ObjectKey| Some((watch.marks_of(key)?, watch.problems_of(key)));
        let all = sayings(reconciler, stands, router_mac);
        self.events.retain(|_, at| now < *at + EVENT_PAUSE);
        let fresh = all.into_iter().filter(|saying| self.is_fresh(saying, now));
        let portion: Vec<Saying> = fresh.take(PORTION).collect();
        for saying in &portion {
            if let Some(key) = event_key(saying) {
                self.events.insert(key, now);
            }
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

    fn is_fresh(&self, saying: &Saying, now: Instant) -> bool {
        let at = event_key(saying).and_then(|key| self.events.get(&key));
        at.is_none_or(|at| now >= *at + EVENT_PAUSE)
    }
}

fn event_key(saying: &Saying) -> Option<(String, String)> {
    match saying {
        Saying::Event { regarding, reason, .. } => {
            let object = match regarding {
                Regarding::Service(key, _) => format!("Service {key}"),
                Regarding::Subnet(name, _) => format!("Subnet {name}"),
            };
            Some((object, reason.clone()))
        }
        Saying::Condition { .. } | Saying::Annotations { .. } | Saying::ExcludeIps { .. } => None,
    }
}
