//! What was wrong with a folder, each with its place and its cure.

use std::io;
use std::path::{Path, PathBuf};

use crate::kube::Problem;

/// Why a folder cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file was given.
    #[error("{} is a file: give the folder that it is in, {}", file.display(), folder(file).display())]
    File {
        /// The file.
        file: PathBuf,
    },
    /// Nothing is there, or it cannot be read.
    #[error("cannot read the cluster folder {}: {why}; give a folder of manifests, such as `kubectl get -o yaml` prints", dir.display())]
    Unreadable {
        /// The folder.
        dir: PathBuf,
        /// The operating system's word.
        why: io::Error,
    },
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Something in a folder that could not be taken as it stands. What was last read of it stays in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ManifestProblem {
    /// A field of an object.
    #[error("{}:{line}: {problem}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// Where the object begins.
        line: usize,
        /// The field.
        problem: Problem,
    },
    /// A document that is no YAML, or no Kubernetes object.
    #[error("{}:{line}: {}cannot be read: {why}", file.display(), named(object))]
    Broken {
        /// The file.
        file: PathBuf,
        /// Where reading ended.
        line: usize,
        /// The object, where the document lets it be guessed.
        object: Option<String>,
        /// What is wrong.
        why: String,
    },
    /// A whole file, or the folder itself.
    #[error("{}: {why}; what was last read of it stays in force", path.display())]
    Unreadable {
        /// The file, or the folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// An object that stands in the folder more than once.
    #[error("{}: {object} also stands in {}; this later one counts: remove one of them", file.display(), other.display())]
    Twice {
        /// The file whose object counts.
        file: PathBuf,
        /// Kind and name.
        object: String,
        /// The file whose object does not; may be the same.
        other: PathBuf,
    },
}

impl ManifestProblem {
    /// Kind and name of the object whose field it is.
    pub(super) fn object(&self) -> Option<&str> {
        match self {
            Self::Field { problem, .. } => Some(&problem.object),
            Self::Broken { .. } | Self::Unreadable { .. } | Self::Twice { .. } => None,
        }
    }
}

fn named(object: &Option<String>) -> String {
    object.as_ref().map_or_else(String::new, |object| format!("{object} "))
}
