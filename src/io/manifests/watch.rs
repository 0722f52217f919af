//! Waiting until a folder has changed and whoever changed it is done.
//!
//! Events only ever wake: what changed is found by reading. An event that comes while the folder is read
//! wakes the next wait, and a slow look at the time stamps finds what no event told (a file system without
//! events, a link behind a link, an overflowing queue).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Quiet after the last event before the folder is read.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// A file that was written and not closed: its writer is given this long after its last write.
const UNCLOSED: Duration = Duration::from_secs(1);
/// A file that went away: an editor that moves it aside is given this long to put the new one there.
const VANISHED: Duration = Duration::from_millis(100);
/// However busy the folder is, it is read this long after the first event.
const LONGEST: Duration = Duration::from_secs(2);

/// Watches a folder, its own name, and where the links in it lead.
pub(super) struct Watch {
    dir: PathBuf,
    shared: Arc<Shared>,
    watcher: Option<RecommendedWatcher>,
    /// Each watched directory, with the inode that was there when the watch began.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

/// What a wait is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing happened.
    Idle,
    /// Something did; wait this long for it to be complete.
    In(Duration),
    /// Read.
    Now,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Default)]
struct State {
    /// Files outside of the folder that links in it lead to.
    targets: BTreeSet<PathBuf>,
    /// The first and the last event since the folder was last read.
    pending: Option<(Instant, Instant)>,
    /// Until when a file's writer is waited for.
    unfinished: BTreeMap<PathBuf, Instant>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(dir: &Path) -> Self {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Self { dir, shared: Arc::default(), watcher: None, watched: BTreeMap::new() }
    }

    /// Whether events are asked for.
    pub fn is_on(&self) -> bool {
        self.watcher.is_some()
    }

    /// Asks for events. Where the system has no watches left, the time stamps alone must do.
    pub fn turn_on(&mut self, links: &[PathBuf]) {
        let (shared, dir) = (Arc::clone(&self.shared), self.dir.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if shared.state().take(&dir, event, Instant::now()) {
                shared.woken.notify_one();
            }
        });
        match watcher {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "folder cannot be watched, polling it")
            }
        }
        self.follow(links);
    }

    /// Forgets the events so far: the folder is about to be read.
    pub fn acknowledge(&self) {
        self.shared.state().pending = None;
    }

    /// Brings the watches level with what is there now: the folder may have been swapped, links moved.
    pub fn follow(&mut self, links: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let targets: BTreeSet<_> = links.iter().filter_map(|link| fs::canonicalize(link).ok()).collect();
        let parents = targets.iter().chain([&self.dir]).filter_map(|path| path.parent());
        let parents = parents.map(|dir| (dir.to_owned(), inode(dir)));
        let itself = (self.dir.clone(), inode(&self.dir));
        // Two watches of one inode are one, and tell their events under one name only: the folder's.
        let wanted = parents.filter(|(_, inode)| *inode != itself.1).chain([itself.clone()]);
        let wanted: BTreeMap<_, _> = wanted.collect();
        self.shared.state().targets = targets;
        if wanted == self.watched {
            return;
        }
        for (dir, inode) in &self.watched {
            if wanted.get(dir) != Some(inode) {
                let _ = watcher.unwatch(dir); // Fails where the directory is gone, and its watch with it.
            }
        }
        for (dir, inode) in &wanted {
            if self.watched.get(dir) != Some(inode)
                && let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive)
            {
                tracing::warn!(dir = %dir.display(), %error, "folder cannot be watched, polling it");
            }
        }
        self.watched = wanted;
        // What changed before the new watches stood is found by reading once more.
        self.shared.state().touch(Instant::now());
        self.shared.woken.notify_one();
    }

    /// What a wait is to do now.
    pub fn due(&self) -> Due {
        self.shared.state().due(Instant::now())
    }

    /// Waits for an event, at most that long; `false` where none came.
    pub async fn event(&self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.shared.woken.notified()).await.is_ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes an event in; `false` where it tells nothing.
    fn take(&mut self, dir: &Path, event: notify::Result<Event>, now: Instant) -> bool {
        let Ok(event) = event else { return self.touch(now) };
        let ours = |path: &Path| path == dir || path.parent() == Some(dir) || self.targets.contains(path);
        let paths: Vec<_> = event.paths.into_iter().filter(|path| ours(path)).collect();
        if paths.is_empty() && !matches!(event.kind, EventKind::Other) {
            return false;
        }
        let wait = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => None,
            EventKind::Access(_) => return false,
            EventKind::Modify(ModifyKind::Data(_)) => Some(UNCLOSED),
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(VANISHED),
            _ => return self.touch(now),
        };
        for path in paths.into_iter().filter(|path| super::is_manifest(path)) {
            match wait {
                Some(wait) => self.unfinished.insert(path, now + wait),
                None => self.unfinished.remove(&path),
            };
        }
        self.touch(now)
    }

    fn touch(&mut self, now: Instant) -> bool {
        let first = self.pending.map_or(now, |(first, _)| first);
        self.pending = Some((first, now));
        true
    }

    fn due(&mut self, now: Instant) -> Due {
        self.unfinished.retain(|_, until| *until > now);
        let Some((first, last)) = self.pending else { return Due::Idle };
        let quiet = self.unfinished.values().copied().fold(last + DEBOUNCE, Instant::max);
        match quiet.min(first + LONGEST).saturating_duration_since(now) {
            Duration::ZERO => Due::Now,
            wait => Due::In(wait),
        }
    }
}

fn inode(dir: &Path) -> Option<(u64, u64)> {
    fs::metadata(dir).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
