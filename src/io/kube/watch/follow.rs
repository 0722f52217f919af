//! One kind, followed: list, watch, watch on from where it ended; and list anew where the API server cannot go on, or
//! where its state went back.
//!
//! kube-rs' watcher keeps the `resourceVersion` to itself. An API server whose etcd was restored to an older state is
//! asked for changes since a version that it has not reached, and says nothing, for ever. So whenever a watch failed,
//! or said nothing to its end (a healthy one brings a bookmark each minute), the version is asked for again, by a list of
//! one object. Such a list is a consistent read, never behind what was told before: an older one means that the state
//! went back. Versions are compared within one kind only (kinds may have an etcd each).

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::api::{ListParams, WatchParams};
use kube::core::{ObjectList, WatchEvent};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;

use super::trouble::{Rewind, Trouble, root};

/// Objects in a page of a list.
const PAGE: u32 = 500;
/// What a watch may be late with its end.
const MARGIN: Duration = Duration::from_secs(5);

/// What an answer to a watch is.
pub type Watching<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// What is followed: an API server's objects, or what a test makes of them.
pub trait Source: Send + Sync + 'static {
    /// The objects.
    type Object: Resource + Clone + Send + 'static;

    /// A page.
    fn list(&self, how: &ListParams) -> impl Future<Output = kube::Result<ObjectList<Self::Object>>> + Send;

    /// What happens after that version.
    fn watch(
        &self,
        how: &WatchParams,
        version: &str,
    ) -> impl Future<Output = kube::Result<Watching<Self::Object>>> + Send;
}

impl<K> Source for Api<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    type Object = K;

    async fn list(&self, how: &ListParams) -> kube::Result<ObjectList<K>> {
        Api::list(self, how).await
    }

    async fn watch(&self, how: &WatchParams, version: &str) -> kube::Result<Watching<K>> {
        Ok(Api::watch(self, how, version).await?.boxed())
    }
}

/// Follows it for ever. After a failure it goes on when it is polled again: pauses are the caller's. `seconds`: how long a
/// watch may be open; `fields`: which objects, by a selector; `look`: when it changes, whether the state went back
/// is looked at.
pub fn follow<S: Source>(
    source: S,
    seconds: u32,
    fields: Option<String>,
    look: Receiver<u64>,
) -> impl Stream<Item = Result<Event<S::Object>, Trouble>> + Send {
    let list = ListParams { field_selector: fields.clone(), limit: Some(PAGE), ..ListParams::default() };
    let watch = WatchParams { field_selector: fields, timeout: Some(seconds), ..WatchParams::default() };
    let follower = Follower { source, list, watch, look, version: String::new(), state: State::Start };
    stream::unfold(follower, |mut follower| async {
        loop {
            if let Some(told) = follower.step().await {
                return Some((told, follower));
            }
        }
    })
}

struct Follower<S: Source> {
    source: S,
    list: ListParams,
    watch: WatchParams,
    look: Receiver<u64>,
    /// Everything up to it was told.
    version: String,
    state: State<S::Object>,
}

enum State<K> {
    /// Nothing is known.
    Start,
    /// A list is under way: what is still to be told of the page, and where the next begins.
    Listing { page: VecDeque<K>, next: Option<String>, is_last: bool },
    /// Everything up to the version was told. Whether the state went back has to be looked at?
    Told { look: bool },
    /// A watch is open. Whether it has said anything.
    Open { watching: Watching<K>, spoke: bool },
}

type Said<K> = Option<Result<Event<K>, Trouble>>;

impl<S: Source> Follower<S> {
    async fn step(&mut self) -> Said<S::Object> {
        // A failure that says nothing else begins anew.
        match std::mem::replace(&mut self.state, State::Start) {
            State::Start => {
                self.state = State::Listing { page: VecDeque::new(), next: None, is_last: false };
                Some(Ok(Event::Init))
            }
            State::Listing { mut page, next, is_last } => match page.pop_front() {
                Some(object) => {
                    self.state = State::Listing { page, next, is_last };
                    Some(Ok(Event::InitApply(object)))
                }
                None if is_last => {
                    self.state = State::Told { look: false };
                    Some(Ok(Event::InitDone))
                }
                None => self.read_page(next).await,
            },
            State::Told { look: true } => self.look_back().await,
            State::Told { look: false } => self.open().await,
            State::Open { watching, spoke } => self.hear(watching, spoke).await,
        }
    }

    async fn read_page(&mut self, from: Option<String>) -> Said<S::Object> {
        let is_first = from.is_none();
        let how = ListParams { continue_token: from, ..self.list.clone() };
        let list = match self.source.list(&how).await {
            Ok(list) => list,
            Err(error) => return failed(watcher::Error::InitialListFailed(error)),
        };
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        let Some(version) = list.metadata.resource_version.filter(|version| !version.is_empty()) else {
            return failed(watcher::Error::NoResourceVersion);
        };
        // History that was gone may be the restored server's word for a version that it has not reached.
        let rewind = Rewind::between(&self.version, &version).filter(|_| is_first);
        if let Some(rewind) = rewind {
            self.version.clear();
            return Some(Err(Trouble::Rewound(rewind)));
        }
        self.version = version;
        self.state = State::Listing { page: list.items.into(), is_last: next.is_none(), next };
        None
    }

    /// Whether the API server is still where it was.
    async fn look_back(&mut self) -> Said<S::Object> {
        self.look.mark_unchanged();
        let how = ListParams { limit: Some(1), ..self.list.clone() };
        match self.source.list(&how).await {
            Ok(list) => {
                let now = list.metadata.resource_version.unwrap_or_default();
                if let Some(rewind) = Rewind::between(&self.version, &now) {
                    self.version.clear();
                    return Some(Err(Trouble::Rewound(rewind)));
                }
                self.state = State::Told { look: false };
                None
            }
            Err(error) => {
                self.state = State::Told { look: true };
                failed(watcher::Error::InitialListFailed(error))
            }
        }
    }

    async fn open(&mut self) -> Said<S::Object> {
        match self.source.watch(&self.watch, &self.version).await {
            Ok(watching) => {
                self.state = State::Open { watching, spoke: false };
                None
            }
            Err(error) => {
                if !is_gone(&error) {
                    self.state = State::Told { look: true };
                }
                failed(watcher::Error::WatchStartFailed(error))
            }
        }
    }

    async fn hear(&mut self, mut watching: Watching<S::Object>, spoke: bool) -> Said<S::Object> {
        let patience = Duration::from_secs(self.watch.timeout.unwrap_or_default().into()) + MARGIN;
        let heard = tokio::select! {
            heard = tokio::time::timeout(patience, watching.next()) => heard.ok().flatten(),
            () = asked(&mut self.look) => {
                self.state = State::Told { look: true };
                return None;
            }
        };
        match heard {
            Some(Ok(event)) => self.take(event, watching),
            Some(Err(error)) => {
                self.state = State::Told { look: true };
                failed(watcher::Error::WatchFailed(error))
            }
            None => {
                self.state = State::Told { look: !spoke };
                // Where each watch ends at once there has to be a pause.
                (!spoke).then_some(Err(Trouble::Routine))
            }
        }
    }

    fn take(&mut self, event: WatchEvent<S::Object>, watching: Watching<S::Object>) -> Said<S::Object> {
        let (version, said) = match event {
            WatchEvent::Bookmark(bookmark) => (Some(bookmark.metadata.resource_version), None),
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (object.resource_version(), Some(Ok(Event::Apply(object))))
            }
            WatchEvent::Deleted(object) => (object.resource_version(), Some(Ok(Event::Delete(object)))),
            WatchEvent::Error(status) => {
                if status.code != 410 {
                    self.state = State::Told { look: true };
                }
                return failed(watcher::Error::WatchError(status.boxed()));
            }
        };
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            return failed(watcher::Error::NoResourceVersion);
        };
        self.version = version;
        self.state = State::Open { watching, spoke: true };
        said
    }
}

fn failed<K>(error: watcher::Error) -> Said<K> {
    tracing::debug!(error = root(&error), "a watch failed");
    Some(Err(Trouble::of(&error)))
}

/// History that is no longer kept.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

/// Waits until somebody wants it looked at; for ever, where nobody can.
async fn asked(look: &mut Receiver<u64>) {
    if look.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
