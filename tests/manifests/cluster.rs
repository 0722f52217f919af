//! A folder of manifests, and the world that is kept by what it tells.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ovn_vip::io::manifests::{ManifestFolder, Reading};
use ovn_vip::model::{Change, World};
use tempfile::TempDir;

/// A folder, and the world as its readings told it.
pub struct Cluster {
    pub temp: TempDir,
    pub folder: ManifestFolder,
    pub world: World,
    pub problems: Vec<String>,
}

impl Cluster {
    pub fn new(files: &[(&str, String)]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(temp.path().join(name), text).unwrap();
        }
        Self::open(temp, "")
    }

    pub fn open(temp: TempDir, below: &str) -> Self {
        let folder = ManifestFolder::open(&temp.path().join(below)).unwrap();
        let mut cluster = Self { temp, folder, world: World::default(), problems: vec![] };
        cluster.reread();
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The changes, as `+Node a` and `-Node a`.
    pub fn reread(&mut self) -> Vec<String> {
        let Reading { changes, problems, .. } = self.folder.reread();
        self.problems = problems.iter().map(ToString::to_string).collect();
        let said = changes.iter().filter_map(|change| match change {
            Change::Apply(object) => Some(format!("+{}", object.key())),
            Change::Remove(key) => Some(format!("-{key}")),
            Change::Gaps(_) => None,
        });
        let said = said.collect();
        for change in changes {
            self.world.apply(change);
        }
        said
    }

    /// Reads whenever something changed, until the nodes are these.
    pub async fn nodes_become(&mut self, nodes: &[&str]) {
        let reading = async {
            while !self.world.nodes().map(|node| node.name.as_str()).eq(nodes.iter().copied()) {
                self.settle().await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert!(done.is_ok(), "never became {nodes:?}: {:?}", self.world);
    }

    /// Waits for what was done so far to be noticed.
    pub async fn settle(&mut self) {
        self.folder.changed().await;
        self.reread();
    }

    /// Whether a change is reported within a time that is far too short for it.
    pub async fn wakes_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.folder.changed()).await.is_ok()
    }
}

pub fn node(name: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n")
}

pub fn cordoned(name: &str) -> String {
    node(name) + "spec:\n  unschedulable: true\n"
}

pub fn nodes(names: &[&str]) -> String {
    names.iter().map(|name| node(name)).collect::<Vec<_>>().join("---\n")
}
