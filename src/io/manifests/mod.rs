//! A folder of manifests as a cluster: what a watch on an API server tells, told by files.
//!
//! It is given a folder with what `kubectl get -o yaml` prints (`*.yaml`, `*.yml`, `*.json`; not its folders)
//! and gives back what changed in it since it was last asked, with everything that could not be understood.
//! Nothing is lost by a mistake: while a file or an object in it cannot be read, what was last read of it
//! stays in force, and it is removed only when a readable file no longer has it. It writes nothing.

mod document;
mod file;
mod json;
mod problem;
mod shape;
mod spelling;
mod strings;
mod watch;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use document::{Entry, opens};
use file::File;
pub use problem::{ManifestError, ManifestProblem};
use watch::{Due, Watch};

use crate::kube::Kind;
use crate::model::{Change, Gaps, Object, ObjectKey};

/// How manifests' names end.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// What every cluster with Kube-OVN has: Kubernetes' own Service `default/kubernetes` and its endpoints, a Node, Kube-OVN's two
/// Subnets. A folder without any of a kind is not whole: its file was renamed, moved, or never written.
const EVERYWHERE: [Kind; 4] = [Kind::Service, Kind::EndpointSlice, Kind::Node, Kind::Subnet];

/// How often the time stamps are looked at, for what no event tells.
const POLL: Duration = Duration::from_secs(2);

/// A folder, and what was last said of it.
pub struct ManifestFolder {
    dir: PathBuf,
    files: BTreeMap<PathBuf, File>,
    told: BTreeMap<ObjectKey, Object>,
    /// What could not be read, as last told.
    gaps: Gaps,
    /// Why the folder could not be listed, the last time.
    unlisted: Option<ManifestProblem>,
    /// Whether it is taken for a whole cluster.
    is_cluster: bool,
    watch: Watch,
    polled: Instant,
}

/// What reading a folder brought.
#[derive(Debug, Default)]
pub struct Reading {
    /// What is different since the last reading: what went away, then what came or changed, each in order.
    pub changes: Vec<Change>,
    /// Everything that is wrong now, also what was wrong before.
    pub problems: Vec<ManifestProblem>,
    /// What the folder comes to.
    pub tally: Tally,
}

/// What was read of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many objects of each kind.
    pub objects: BTreeMap<String, usize>,
    /// How many objects of kinds that are not read.
    pub others: usize,
    /// Files that were passed over, each with the reason.
    pub passed_over: Vec<(PathBuf, &'static str)>,
    /// Objects of others' kinds that say what is to be brought over, each with how.
    pub to_import: Vec<(PathBuf, &'static str)>,
    /// The kinds of which every cluster has some, and this folder none, though it has others.
    pub missing: Vec<&'static str>,
}

impl ManifestFolder {
    /// A folder of which nothing has been read yet.
    pub fn open(dir: &Path) -> Result<Self, ManifestError> {
        fs::read_dir(dir).map_err(|why| match why.kind() {
            io::ErrorKind::NotADirectory => ManifestError::File { file: dir.into() },
            _ => ManifestError::Unreadable { dir: dir.into(), why },
        })?;
        Ok(Self {
            dir: dir.into(),
            files: BTreeMap::new(),
            told: BTreeMap::new(),
            gaps: Gaps::default(),
            unlisted: None,
            is_cluster: false,
            watch: Watch::new(dir),
            polled: Instant::now(),
        })
    }

    /// It is to be a whole cluster: where a kind is missing that every cluster has, what is not there is not gone.
    pub fn as_cluster(self) -> Self {
        Self { is_cluster: true, ..self }
    }

    /// Reads the files that changed and says what is different. Blocks: about a second for 15 MB of YAML.
    pub fn reread(&mut self) -> Reading {
        self.watch.acknowledge();
        match list(&self.dir, &self.files) {
            Ok(paths) => {
                self.unlisted = None;
                let mut old = std::mem::take(&mut self.files);
                let read = |path: PathBuf| Some((path.clone(), File::read(&path, old.remove(&path))?));
                self.files = paths.into_iter().filter_map(read).collect();
            }
            Err(error) => {
                let why = format!("the folder cannot be read: {error}; put it back");
                self.unlisted = Some(ManifestProblem::Unreadable { path: self.dir.clone(), why });
            }
        }
        self.watch.follow(&self.links());
        self.polled = Instant::now();
        let ignored: usize = self.files.values().map(|file| file.contents.ignored).sum();
        let reading = self.compare();
        let (changes, problems) = (reading.changes.len(), reading.problems.len());
        tracing::debug!(dir = %self.dir.display(), changes, problems, ignored, "cluster folder read");
        reading
    }

    /// Waits until the folder may have changed since it was last read and its writer is done; it may also
    /// come back for nothing. Safe to drop at any time: a change is not forgotten until it is read.
    pub async fn changed(&mut self) {
        if !self.watch.is_on() {
            let links = self.links();
            self.watch.turn_on(&links);
        }
        loop {
            match self.watch.due() {
                Due::Now => return,
                Due::In(wait) => {
                    self.watch.event(wait).await;
                }
                Due::Idle => {
                    let wait = POLL.saturating_sub(self.polled.elapsed());
                    if !self.watch.event(wait).await {
                        self.polled = Instant::now();
                        if self.is_stale() {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn is_stale(&self) -> bool {
        match list(&self.dir, &self.files) {
            Ok(paths) => {
                self.unlisted.is_some()
                    || !paths.iter().eq(self.files.keys())
                    || self.files.iter().any(|(path, file)| file.is_stale(path))
            }
            Err(_) => self.unlisted.is_none(),
        }
    }

    fn links(&self) -> Vec<PathBuf> {
        self.files.keys().filter(|path| path.is_symlink()).cloned().collect()
    }

    fn tally(&self) -> Tally {
        let mut objects = BTreeMap::new();
        for key in self.told.keys() {
            let text = key.to_string();
            let kind = text.split(' ').next().unwrap_or_default();
            *objects.entry(kind.to_owned()).or_default() += 1;
        }
        let to_import = self
            .files
            .iter()
            .flat_map(|(path, file)| file.contents.to_import.iter().map(move |how| (path.clone(), *how)));
        Tally {
            missing: self.missing(),
            objects,
            others: self.files.values().map(|file| file.contents.ignored).sum(),
            passed_over: passed_over(&self.dir),
            to_import: to_import.collect(),
        }
    }

    /// The kinds of which every cluster has some and this one has none, not even one that cannot be read.
    fn missing(&self) -> Vec<&'static str> {
        let entries =
            || self.files.values().flat_map(|file| file.contents.objects.keys().chain(file.kept.keys()));
        let is_unread = self.files.values().any(|file| file.has_gap);
        if !self.is_cluster || is_unread || entries().next().is_none() {
            return Vec::new();
        }
        let has = |kind: Kind| entries().any(|key| key.to_string().starts_with(&format!("{} ", kind.name())));
        EVERYWHERE.into_iter().filter(|kind| !has(*kind)).map(Kind::name).collect()
    }

    /// What the files say now against what was told before. What a file only said earlier counts least.
    fn compare(&mut self) -> Reading {
        let mut problems: Vec<_> = self.unlisted.iter().cloned().collect();
        let mut wanted: BTreeMap<&ObjectKey, (&Entry, Option<&Path>)> = BTreeMap::new();
        for (key, entry) in self.files.values().flat_map(|file| &file.kept) {
            wanted.insert(key, (entry, None));
        }
        for (path, file) in &self.files {
            problems.extend_from_slice(&file.contents.problems);
            for (key, entry) in &file.contents.objects {
                let Some((before, Some(other))) = wanted.insert(key, (entry, Some(path))) else { continue };
                let (mut file, mut other) = (path.clone(), other.to_owned());
                if opens(before, entry) {
                    wanted.insert(
                        key,
                        (before, Some(self.files.get_key_value(&other).map_or(path, |it| it.0))),
                    );
                    std::mem::swap(&mut file, &mut other);
                }
                problems.push(ManifestProblem::Twice { file, object: key.to_string(), other });
            }
        }
        let missing = self.missing();
        // Of a kind that is missing nothing is gone.
        let is_missing = |key: &ObjectKey| {
            !missing.is_empty() && missing.iter().any(|kind| key.to_string().starts_with(&format!("{kind} ")))
        };
        let gone = |key: &&ObjectKey| {
            wanted.get(key).map_or(!is_missing(key), |(entry, _)| **entry == Entry::NotOurs)
        };
        let gone: Vec<_> = self.told.keys().filter(gone).cloned().collect();
        let changed = wanted.iter().filter_map(|(key, (entry, _))| match entry {
            Entry::Object(object) => (self.told.get(key) != Some(&**object)).then(|| (**object).clone()),
            Entry::NotOurs | Entry::Unusable => None,
        });
        let changed: Vec<_> = changed.collect();
        for key in &gone {
            self.told.remove(key);
        }
        self.told.extend(changed.iter().map(|object| (object.key(), object.clone())));
        let mut gaps = gaps(&self.files, &self.told, &wanted, &problems);
        gaps.anything |= !missing.is_empty();
        gaps.slices |= missing.contains(&Kind::EndpointSlice.name());
        let gaps = (gaps != self.gaps).then(|| std::mem::replace(&mut self.gaps, gaps.clone())).map(|_| gaps);
        let gone = gone.into_iter().map(Change::Remove);
        let changes = gone.chain(changed.into_iter().map(Change::Apply)).chain(gaps.map(Change::Gaps));
        Reading { changes: changes.collect(), problems, tally: self.tally() }
    }
}

/// What cannot be read, or not whole, or was never read. A folder without any object is no decision: perhaps it is not
/// mounted yet.
fn gaps(
    files: &BTreeMap<PathBuf, File>,
    told: &BTreeMap<ObjectKey, Object>,
    wanted: &BTreeMap<&ObjectKey, (&Entry, Option<&Path>)>,
    problems: &[ManifestProblem],
) -> Gaps {
    let with_problems: BTreeSet<&str> = problems.iter().filter_map(ManifestProblem::object).collect();
    let is_gap = |key: &ObjectKey, entry: &Entry| {
        *entry == Entry::Unusable || with_problems.contains(key.to_string().as_str())
    };
    let keys = wanted.iter().filter(|(key, _)| Gaps::counts(key) && !with_problems.is_empty());
    let keys = keys.filter(|(key, (entry, _))| is_gap(key, entry));
    let owner = |key: &ObjectKey| match told.get(key) {
        Some(Object::EndpointSlice(slice)) => Some(slice.service.clone()),
        _ => None,
    };
    let objects = keys.map(|(key, _)| ((*key).clone(), owner(key))).collect();
    let slices = files.values().any(|file| file.has_gap && file.contents.hides_slices);
    let never =
        wanted.iter().filter(|(key, (entry, _))| **entry == Entry::Unusable && !told.contains_key(*key));
    let pools = never.filter_map(|(key, _)| match key {
        ObjectKey::AddressPool(pool) => Some(pool.name.clone()),
        _ => None,
    });
    let pools = pools.collect();
    Gaps { anything: told.is_empty() || files.values().any(|file| file.has_gap), slices, objects, pools }
}

/// The folder's manifests, in the order in which they count. A folder is none, unless it stands where a file was.
fn list(dir: &Path, known: &BTreeMap<PathBuf, File>) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_folder = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_manifest(&path) && (!is_folder || known.contains_key(&path)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What of the folder is passed over, and why.
fn passed_over(dir: &Path) -> Vec<(PathBuf, &'static str)> {
    let paths = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let over = paths.filter(|path| !is_hidden(path)).filter_map(|path| {
        let is_folder = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        let why = match (is_folder, is_manifest(&path)) {
            (true, _) => "a folder: only files right in the folder are read",
            (false, false) => "its name ends in none of .yaml, .yml and .json",
            (false, true) => return None,
        };
        Some((path, why))
    });
    let mut over: Vec<_> = over.collect();
    over.sort();
    over
}

/// By its name; hidden files are editors' own.
fn is_manifest(path: &Path) -> bool {
    !is_hidden(path)
        && path.extension().is_some_and(|ending| ENDINGS.iter().any(|it| ending.eq_ignore_ascii_case(it)))
}
