//! Where a cluster's objects come from: an API server, or a folder of manifests. Same conversion, same changes.

use std::path::PathBuf;

use super::kube::connect::{ConnectError, KubeTarget, connect};
use super::kube::watch::{KubeReading, KubeWatch};
use super::manifests::{ManifestError, ManifestFolder, Reading};
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
    /// A folder, and whether it was read once.
    Folder(Box<ManifestFolder>, bool),
    /// An API server, with a client for what else is asked of it.
    Kube(Box<KubeWatch>, ::kube::Client),
}

/// What happened in a cluster since it was last asked.
#[derive(Debug, Default)]
pub struct News {
    /// What is different.
    pub changes: Vec<Change>,
    /// Everything that is wrong now, also what was wrong before, each with its cure.
    pub problems: Vec<String>,
}

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
    /// Opens the folder, or finds out where the API server is. Nothing is read yet.
    pub async fn open(source: &Source) -> Result<Self, ClusterError> {
        Ok(match source {
            Source::Folder(dir) => Self::Folder(Box::new(ManifestFolder::open(dir)?), false),
            Source::Kube(target) => {
                let client = connect(target).await?;
                Self::Kube(Box::new(KubeWatch::new(&client)), client)
            }
        })
    }

    /// The next news; it may be none. Cancel-safe.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Folder(folder, read) => {
                if *read {
                    folder.changed().await;
                }
                *read = true;
                let Reading { changes, problems } = folder.reread();
                News { changes, problems: problems.iter().map(ToString::to_string).collect() }
            }
            Self::Kube(watch, _) => {
                let KubeReading { changes, problems } = watch.next().await;
                News { changes, problems }
            }
        }
    }

    /// Whether all of it was told once. Before that nothing may be withdrawn or deleted.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Folder(_, read) => *read,
            Self::Kube(watch, _) => watch.is_complete(),
        }
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
