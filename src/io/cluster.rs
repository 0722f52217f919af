//! Where a cluster's objects come from: an API server, or a folder of manifests. Same conversion, same changes.

use std::path::PathBuf;

use super::kube::connect::{ConnectError, KubeTarget, connect};
use super::kube::watch::{By, KubeReading, KubeWatch};
use super::manifests::{ManifestError, ManifestFolder, Reading, Tally};
use crate::model::Change;

/// Which cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of manifests.
    Folder(PathBuf),
    /// An API server.
    Kube(KubeTarget),
}

/// A cluster, followed.
pub enum Cluster {
    /// A folder, and how far it was read.
    Folder(Box<ManifestFolder>, Read),
    /// An API server, with a client for what else is asked of it.
    Kube(Box<KubeWatch>, ::kube::Client),
}

/// How far a folder was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Not at all.
    NotYet,
    /// It had no object so far: not mounted yet, perhaps. That is not to be taken at its word.
    Empty,
    /// All of it.
    Whole,
}

/// What happened in a cluster since it was last asked.
#[derive(Debug, Default)]
pub struct News {
    /// What is different.
    pub changes: Vec<Change>,
    /// Everything that is wrong now, also what was wrong before, each with its cure.
    pub problems: Vec<String>,
    /// How often the cluster's state went back to an older one.
    pub rewinds: u64,
}

const EMPTY: &str = "the cluster's folder has no object of a kind that is read: nothing is done until it has one \
                     (to take everything of ours out: ovn-vip remove)";

/// Why a cluster cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] ManifestError),
    /// The API server.
    #[error(transparent)]
    Kube(#[from] ConnectError),
}

impl Cluster {
    /// Opens the folder, or finds out where the API server is. Nothing is read yet. Of an API server what `by` needs.
    pub async fn open(source: &Source, by: By) -> Result<Self, ClusterError> {
        Ok(match source {
            Source::Folder(dir) => {
                Self::Folder(Box::new(ManifestFolder::open(dir)?.as_cluster()), Read::NotYet)
            }
            Source::Kube(target) => {
                let client = connect(target).await?;
                Self::Kube(Box::new(KubeWatch::new(&client, by)), client)
            }
        })
    }

    /// The next news; it may be none. Cancel-safe.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Folder(folder, read) => {
                if *read != Read::NotYet {
                    folder.changed().await;
                }
                let Reading { changes, problems, tally } = folder.reread();
                let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                if *read != Read::Whole {
                    let is_object = |change: &Change| matches!(change, Change::Apply(_));
                    *read = if changes.iter().any(is_object) { Read::Whole } else { Read::Empty };
                }
                if *read == Read::Empty {
                    problems.push(EMPTY.to_owned());
                }
                problems.extend(not_whole(&tally));
                News { changes, problems, rewinds: 0 }
            }
            Self::Kube(watch, _) => {
                let KubeReading { changes, problems, rewinds } = watch.next().await;
                News { changes, problems, rewinds }
            }
        }
    }

    /// Whether all of it was told once. Before that nothing may be withdrawn or deleted.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Folder(_, read) => *read == Read::Whole,
            Self::Kube(watch, _) => watch.is_complete(),
        }
    }

    /// What happened, while what is known is of a state that is no more, and everything is read anew.
    pub fn rewinding(&self) -> Option<String> {
        match self {
            Self::Folder(..) => None,
            Self::Kube(watch, _) => watch.rewinding(),
        }
    }

    /// Somebody learned that the cluster's state went back: whatever did is read anew.
    pub fn look(&self) {
        match self {
            Self::Folder(..) => {}
            Self::Kube(watch, _) => watch.look(),
        }
    }

    /// Whether it is a folder without any object.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Folder(_, Read::Empty))
    }

    /// How many objects of each kind are known, where they are watched.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        match self {
            Self::Folder(..) => Vec::new(),
            Self::Kube(watch, _) => watch.counts().collect(),
        }
    }

    /// A client of the API server; none for a folder, which is read only.
    pub fn client(&self) -> Option<&::kube::Client> {
        match self {
            Self::Folder(..) => None,
            Self::Kube(_, client) => Some(client),
        }
    }
}

/// What to say of a folder without a kind that every cluster has.
fn not_whole(tally: &Tally) -> Option<String> {
    let missing = (!tally.missing.is_empty()).then(|| tally.missing.join(", no "))?;
    let over: Vec<String> = tally.passed_over.iter().map(|(path, _)| path.display().to_string()).collect();
    let over = if over.is_empty() { String::new() } else { format!(" (not read: {})", over.join(", ")) };
    Some(format!(
        "the cluster's folder has no {missing}, which every cluster has{over}: was a file renamed or moved? Nothing that may be theirs is \
         deleted until it has one (to take everything of ours out: ovn-vip remove)"
    ))
}
