//! Replays what fuzzing has found worth keeping: every file of `tests/corpus/<target>/` through the target's body.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "corpus/bodies/mod.rs"]
mod bodies;

/// What one target's corpus may be: it is replayed by every run of the tests.
const MOST_FILES: usize = 60;
const MOST_BYTES: usize = 100_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    found.sort();
    found
}

fn names(paths: Vec<PathBuf>) -> BTreeSet<String> {
    paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_file_of_every_corpus_passes() {
    let mut broken = Vec::new();
    for (target, _) in bodies::TARGETS {
        for file in files(&root().join(target)) {
            let bytes = std::fs::read(&file).unwrap();
            if catch_unwind(|| bodies::run(target, &bytes)).is_err() {
                broken.push(file.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    assert!(broken.is_empty(), "what each said stands above: {broken:?}");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = bodies::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut folders = names(files(&root()));
    assert!(folders.remove("bodies"));
    assert_eq!(folders, targets);
    let fuzzed = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/fuzz/targets");
    assert_eq!(names(files(&fuzzed)), targets, "each is fuzzed by hack/fuzz.sh");
    for target in targets {
        let files = files(&root().join(&target));
        let bytes: usize = files.iter().map(|file| std::fs::read(file).unwrap().len()).sum();
        assert!((1..=MOST_FILES).contains(&files.len()), "{target}: {} files", files.len());
        assert!(
            bytes <= MOST_BYTES,
            "{target}: {bytes} bytes; hack/fuzz.sh --help says how to make it smaller"
        );
    }
}
