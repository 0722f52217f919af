//! The cluster as an API server tells it: one watch for each kind, converted at once.
//!
//! No object is kept: what a watch brings is read by [`Kind`], given back as a change of the model, and
//! dropped. Lists page: streaming lists need an etcd that not every cluster has. A list takes effect as a whole, and what it no
//! longer has is removed. Trouble is a problem like a bad field is: said while it lasts, with its cure, and retried; nothing
//! that is known is lost by it. A state that went back is listed anew, all of it (ADR 0040).

mod feed;
mod follow;
mod listing;
mod raw;
mod rewinding;
mod trouble;

use std::time::Duration;

use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt, Stream, StreamExt};
use kube::api::ApiResource;
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::watch as signal;
use tokio::time::Instant;

use crate::kube::marks::Marks;
use crate::kube::{Kind, Problem};
use crate::model::{Change, Gaps, ObjectKey, ServiceKey};
use feed::Feed;
pub use follow::follow;
pub use listing::list_all;
pub use raw::{By, Need};
use raw::{Raw, WATCHED, Watched};
use rewinding::Rewinding;
use trouble::Pace;
pub use trouble::{Lasting, Rewind, Trouble, forbidden, root, silent};

/// How long the API server may keep a watch open. A connection that died without a word is found a little later.
const WATCH_TIMEOUT_SECONDS: u32 = 120;

/// Events taken at once: a burst becomes one change of the world.
const BATCH: usize = 2000;

/// What a watch says; with a failure, how long it pauses.
pub type Paced<K> = Result<Event<K>, (Trouble, Duration)>;

/// The same, and of which kind.
type Told = (usize, Paced<Raw>);

/// Every kind, watched.
pub struct KubeWatch {
    client: Client,
    watched: Vec<&'static Watched>,
    told: SelectAll<BoxStream<'static, Told>>,
    feeds: Vec<Feed>,
    /// For each kind: what is the matter.
    troubles: Vec<Option<Lasting<Trouble>>>,
    /// What could not be read, as last told.
    gaps: Gaps,
    /// Changes when whether the state went back is to be looked at.
    look: signal::Sender<u64>,
    rewinding: Option<Rewinding>,
}

/// What happened since the last time.
#[derive(Debug, Default)]
pub struct KubeReading {
    /// What is different.
    pub changes: Vec<Change>,
    /// Everything that is wrong now, also what was wrong before.
    pub problems: Vec<String>,
    /// How often the API server's state went back to an older one.
    pub rewinds: u64,
}

impl KubeWatch {
    /// Watches what serving takes, or, for who gives out addresses, everything; the first requests go out with the first
    /// [`KubeWatch::next`].
    pub fn new(client: &Client, by: By) -> Self {
        let (look, looked) = signal::channel(0);
        let watched: Vec<&Watched> =
            WATCHED.iter().filter(|watched| by == By::Givers || watched.by == By::All).collect();
        Self {
            client: client.clone(),
            told: watch_all(client, &watched, &looked),
            feeds: watched.iter().map(|watched| Feed::new(watched)).collect(),
            troubles: vec![None; watched.len()],
            watched,
            gaps: Gaps::default(),
            look,
            rewinding: None,
        }
    }

    /// Somebody learned that the state went back: each kind is asked at once whether its own did.
    pub fn look(&self) {
        self.look.send_modify(|times| *times += 1);
    }

    /// What happened, while everything is listed anew because the state went back. What is known is of before.
    pub fn rewinding(&self) -> Option<String> {
        self.rewinding.as_ref().map(ToString::to_string)
    }

    /// Whether every kind was listed once: before that, what is missing only has not been told.
    pub fn is_complete(&self) -> bool {
        self.feeds.iter().all(Feed::is_complete)
    }

    /// Whether the API server has the kind, and shows it to us.
    pub fn has(&self, kind: Kind) -> bool {
        self.feeds.iter().any(|feed| feed.watched.kind == kind && feed.was_listed())
    }

    /// Whether changes of the kind are told as they come.
    pub fn is_well(&self, kind: Kind) -> bool {
        let mut feeds = self.feeds.iter().zip(&self.troubles);
        feeds.any(|(feed, trouble)| feed.watched.kind == kind && feed.was_listed() && trouble.is_none())
    }

    /// How many objects of each kind are known.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.feeds.iter().map(|feed| (feed.watched.name, feed.count()))
    }

    /// What stands on one object.
    pub fn marks_of(&self, key: &ObjectKey) -> Option<&Marks> {
        self.feeds.iter().find_map(|feed| feed.marks().get(key))
    }

    /// The version of a Service, as it was told last.
    pub fn version_of(&self, service: &ServiceKey) -> Option<u64> {
        let key = ObjectKey::Service(service.clone());
        self.feeds.iter().find_map(|feed| feed.version_of(&key))
    }

    /// The objects of a kind that have something of ours, in order.
    pub fn marked(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        let feeds = self.feeds.iter().filter(move |feed| feed.watched.kind == kind);
        feeds.flat_map(|feed| feed.marks().keys())
    }

    /// What could not be understood in one object.
    pub fn problems_of(&self, key: &ObjectKey) -> &[Problem] {
        self.feeds.iter().find_map(|feed| feed.problems_of(key)).unwrap_or_default()
    }

    /// Every field that could not be understood.
    pub fn field_problems(&self) -> impl Iterator<Item = &Problem> {
        self.feeds.iter().flat_map(Feed::problems)
    }

    /// The next changes, many at once where many came; or other problems. Cancel-safe.
    pub async fn next(&mut self) -> KubeReading {
        let well_at = self.troubles.iter().flatten().map(Lasting::until);
        let well_at = well_at.chain(self.rewinding.as_ref().and_then(Rewinding::until)).min();
        let mut reading = KubeReading::default();
        let first = tokio::select! {
            told = self.told.next() => told,
            () = until(well_at) => None,
        };
        if let Some(told) = first {
            self.take(told, &mut reading);
        }
        for _ in 1..BATCH {
            match self.told.next().now_or_never() {
                Some(Some(told)) => self.take(told, &mut reading),
                Some(None) | None => break,
            }
        }
        let now = Instant::now();
        for trouble in &mut self.troubles {
            if trouble.as_ref().is_some_and(|trouble| trouble.until() <= now) {
                *trouble = None;
            }
        }
        let objects = self.feeds.iter().flat_map(Feed::gaps).collect();
        let pools = self.feeds.iter().flat_map(Feed::unread_pools).collect();
        let gaps = Gaps { objects, pools, ..Gaps::default() };
        if gaps != self.gaps {
            self.gaps = gaps.clone();
            reading.changes.push(Change::Gaps(gaps));
        }
        self.hold_back(&mut reading.changes, now);
        reading.problems = self.problems();
        reading
    }

    /// While everything is listed anew the old world stands; then the new one takes its place at once.
    fn hold_back(&mut self, changes: &mut Vec<Change>, now: Instant) {
        let is_listed = !self.feeds.iter().any(Feed::is_behind);
        if let Some(rewinding) = &mut self.rewinding {
            rewinding.hold_back(changes, is_listed, now);
        }
        self.rewinding.take_if(|_| is_listed);
    }

    /// The state went back: what was told is not so any more, for any kind.
    fn start_over(&mut self, at: usize, rewind: Rewind) {
        self.feeds.iter_mut().for_each(Feed::start_over);
        self.told = watch_all(&self.client, &self.watched, &self.look.subscribe());
        let kind = self.watched.get(at).map_or("", |watched| watched.name);
        self.rewinding = Some(Rewinding::begin(self.rewinding.take(), kind, rewind, Instant::now()));
    }

    fn take(&mut self, (at, told): Told, reading: &mut KubeReading) {
        if let Err((Trouble::Rewound(rewind), _)) = told {
            reading.rewinds += 1;
            return self.start_over(at, rewind);
        }
        let (Some(feed), Some(trouble)) = (self.feeds.get_mut(at), self.troubles.get_mut(at)) else { return };
        match told {
            Ok(event) => {
                // The beginning of a list is told before the list is asked for.
                if !matches!(event, Event::Init) {
                    *trouble = None;
                }
                feed.take(event, &mut reading.changes);
            }
            Err((Trouble::Routine | Trouble::Rewound(_), _)) => {}
            Err((new, pause)) => {
                let now = Instant::now();
                let lasting = Lasting::go_on(trouble.take(), new, pause, now);
                // One forbidden at last is as one that is not there.
                if lasting.what == Trouble::Absent || matches!(lasting.told(now), Some(Trouble::Forbidden(_)))
                {
                    feed.absent();
                }
                *trouble = Some(lasting);
            }
        }
    }

    fn problems(&self) -> Vec<String> {
        let now = Instant::now();
        let troubles = self.feeds.iter().zip(&self.troubles);
        let troubles =
            troubles.filter_map(|(feed, trouble)| trouble.as_ref()?.told(now)?.words(feed.watched));
        let fields = self.feeds.iter().flat_map(Feed::problems).map(ToString::to_string);
        troubles.chain(fields).chain(self.rewinding()).collect()
    }
}

/// A kind as the API server has it, and its name there.
pub fn resource_of(kind: Kind) -> Option<(ApiResource, String)> {
    let watched = WATCHED.iter().find(|watched| watched.kind == kind)?;
    Some((watched.resource(), watched.resource_name()))
}

/// Every kind's events, from their beginning.
fn watch_all(
    client: &Client,
    watched: &[&'static Watched],
    look: &signal::Receiver<u64>,
) -> SelectAll<BoxStream<'static, Told>> {
    let kinds = watched.iter().copied().enumerate();
    kinds.map(|(at, watched)| watch(client, at, watched, look.clone())).collect()
}

/// One kind's events.
fn watch(
    client: &Client,
    at: usize,
    watched: &'static Watched,
    look: signal::Receiver<u64>,
) -> BoxStream<'static, Told> {
    let (client, resource) = (client.clone(), watched.resource());
    let api: Api<Raw> = match watched.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let events = follow(api, WATCH_TIMEOUT_SECONDS, None, look);
    paced(watched.need, events).map(move |told| (at, told)).boxed()
}

/// A watch that goes on for ever; after a failure there is a pause.
pub fn paced<K: Send + 'static>(
    need: Need,
    events: impl Stream<Item = Result<Event<K>, Trouble>> + Send + 'static,
) -> BoxStream<'static, Paced<K>> {
    let pace = Pace::new(need, uuid::Uuid::new_v4().as_bytes()[0]);
    stream::unfold((events.boxed(), pace, Duration::ZERO), next).boxed()
}

type Watching<K> = (BoxStream<'static, Result<Event<K>, Trouble>>, Pace, Duration);

async fn next<K>((mut events, mut pace, pause): Watching<K>) -> Option<(Paced<K>, Watching<K>)> {
    tokio::time::sleep(pause).await;
    match events.next().await? {
        Ok(event) => {
            // The beginning of a list is told before the list is asked for.
            if !matches!(event, Event::Init) {
                pace.succeeded();
            }
            Some((Ok(event), (events, pace, Duration::ZERO)))
        }
        Err(trouble) => {
            let pause = pace.failed(&trouble, Instant::now());
            Some((Err((trouble, pause)), (events, pace, pause)))
        }
    }
}

/// Waits for a moment; for ever, where there is none.
pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
