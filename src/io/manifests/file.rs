//! One file of the folder: when it is read again, and what of it stays in force while it cannot be read.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::document::{Contents, Entry};
use crate::model::ObjectKey;

/// A file changed more recently than this may change again with the same time stamp: the coarsest one in use
/// is FAT's, 2 s. Until it is older it is read again and compared by content.
const YOUNG: Duration = Duration::from_secs(2);

const NO_FILE: &str = "it is no file: put one there, or remove it to remove its objects";

/// What a file was when it was read, so that an unchanged one is not read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// The status change: the one that cannot be set back.
    changed: (i64, i64),
}

impl Stamp {
    /// `None` while the file is too young for its stamp to tell anything.
    fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let stamp = Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        let seconds = u64::try_from(stamp.modified.0.max(stamp.changed.0)).ok()?;
        let settled = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds + 1) + YOUNG;
        (settled <= now).then_some(stamp)
    }
}

/// A file as last read.
#[derive(Debug)]
pub(super) struct File {
    stamp: Option<Stamp>,
    digest: Option<[u8; 32]>,
    /// What it says.
    pub contents: Contents,
    /// What it said of objects that it cannot be asked about now.
    pub kept: BTreeMap<ObjectKey, Entry>,
    /// It says something that was never read.
    pub has_gap: bool,
}

impl File {
    /// Reads a file, or what changed of it. `None` where nothing is there.
    pub fn read(path: &Path, old: Option<File>) -> Option<File> {
        let now = SystemTime::now();
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(metadata) if metadata.is_dir() && old.is_none() => return None,
            Ok(_) => return Some(Self::replace(None, None, Contents::unreadable(path, NO_FILE), old)),
            Err(error) if absent(path, &error) => return None,
            Err(error) => return Some(Self::unreadable(path, old, &error)),
        };
        // Taken before the content is read: a write in between leaves a stamp that is already wrong.
        let stamp = Stamp::of(&metadata, now);
        let old = match old {
            Some(old) if old.stamp.is_some() && old.stamp == stamp => return Some(old),
            old => old,
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if absent(path, &error) => return None,
            Err(error) => return Some(Self::unreadable(path, old, &error)),
        };
        let digest = Some(Sha256::digest(&bytes).into());
        match old {
            Some(old) if old.digest == digest => Some(File { stamp, ..old }),
            old => Some(Self::replace(stamp, digest, contents(path, bytes), old)),
        }
    }

    /// Whether reading it again might tell something new.
    pub fn is_stale(&self, path: &Path) -> bool {
        let stamp = fs::metadata(path).ok().and_then(|metadata| Stamp::of(&metadata, SystemTime::now()));
        self.stamp.is_none() || self.stamp != stamp
    }

    fn unreadable(path: &Path, old: Option<File>, error: &io::Error) -> File {
        let why = format!("cannot be read: {error}; make it readable, or remove it");
        Self::replace(None, None, Contents::unreadable(path, why), old)
    }

    fn replace(
        stamp: Option<Stamp>,
        digest: Option<[u8; 32]>,
        contents: Contents,
        old: Option<File>,
    ) -> File {
        let mut kept = BTreeMap::new();
        let has_gap = !contents.intact && old.as_ref().is_none_or(|old| old.has_gap);
        if let Some(old) = old.filter(|_| !contents.intact) {
            kept = old.kept;
            kept.extend(old.contents.objects);
            kept.retain(|key, _| !contents.objects.contains_key(key));
        }
        File { stamp, digest, contents, kept, has_gap }
    }
}

fn contents(path: &Path, bytes: Vec<u8>) -> Contents {
    // `kubectl get … > file` empties the file first and asks the API server then.
    if bytes.is_empty() {
        let why = "it is empty, as if a write were under way: remove the file to remove its objects";
        return Contents::unreadable(path, why);
    }
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Contents::unreadable(path, "it is UTF-32: save it as UTF-8");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let why = "it is UTF-16, as PowerShell writes: save it as UTF-8 (Out-File -Encoding utf8)";
        return Contents::unreadable(path, why);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Contents::read(path, &text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            Contents::unreadable(path, format!("line {line} is not UTF-8: save the file as UTF-8"))
        }
    }
}

/// Gone for good, unlike a symbolic link to nowhere.
fn absent(path: &Path, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err()
}
