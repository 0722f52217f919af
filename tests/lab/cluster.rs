//! A cluster as a folder of manifests: a copy of an example, edited as Kubernetes and MetalLB would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::repository;

/// A folder of our own.
pub struct Cluster {
    folder: TempDir,
    files: BTreeMap<String, Vec<Value>>,
}

impl Cluster {
    /// A copy of a folder of `examples/`.
    pub fn copy_of(example: &str) -> Self {
        let mut cluster = Self { folder: tempfile::tempdir().unwrap(), files: BTreeMap::new() };
        for entry in fs::read_dir(repository().join("examples").join(example)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let documents = text.split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap());
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            cluster.files.insert(name.clone(), documents.collect());
            cluster.write(&name);
        }
        cluster
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Changes one object.
    pub fn edit(&mut self, kind: &str, name: &str, change: impl Fn(&mut Value)) {
        let is_it = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.edit_where(is_it, change);
    }

    /// Changes every object that is meant, and rewrites the files that are then others.
    fn edit_where(&mut self, is_meant: impl Fn(&Value) -> bool, change: impl Fn(&mut Value)) {
        let mut changed = Vec::new();
        for (file, objects) in &mut self.files {
            let before = objects.clone();
            objects.iter_mut().filter(|object| is_meant(object)).for_each(&change);
            if *objects != before {
                changed.push(file.clone());
            }
        }
        assert!(!changed.is_empty(), "the edit changes nothing");
        changed.iter().for_each(|file| self.write(file));
    }

    /// Changes the list of endpoints of every slice; `at` makes a pod's address of the slice's family.
    fn edit_endpoints(&mut self, change: impl Fn(&mut Vec<Value>, fn(&str) -> String)) {
        let is_slice = |object: &Value| object["kind"] == "EndpointSlice";
        self.edit_where(is_slice, |slice| {
            let at = if slice["addressType"] == "IPv6" { address6 } else { address4 };
            change(slice["endpoints"].as_array_mut().unwrap(), at);
        });
    }

    /// Makes pods ready, or not.
    pub fn set_ready(&mut self, pods: &[&str], ready: bool) {
        self.edit_endpoints(|endpoints, at| {
            for endpoint in endpoints.iter_mut().filter(|endpoint| is_one_of(endpoint, pods, at)) {
                endpoint["conditions"] = json!({ "ready": ready });
            }
        });
    }

    /// Makes pods end: they serve still, and take nothing new.
    pub fn set_terminating(&mut self, pods: &[&str]) {
        self.edit_endpoints(|endpoints, at| {
            for endpoint in endpoints.iter_mut().filter(|endpoint| is_one_of(endpoint, pods, at)) {
                endpoint["conditions"] = json!({ "ready": false, "serving": true, "terminating": true });
            }
        });
    }

    /// Says that a pod is on another node.
    pub fn set_node(&mut self, pod: &str, node: &str) {
        self.edit_endpoints(|endpoints, at| {
            for endpoint in endpoints.iter_mut().filter(|endpoint| is_one_of(endpoint, &[pod], at)) {
                endpoint["nodeName"] = node.into();
            }
        });
    }

    /// Adds a pod to every Service.
    pub fn add_backend(&mut self, pod: &str, node: &str) {
        self.edit_endpoints(|endpoints, at| {
            let endpoint =
                json!({ "addresses": [at(pod)], "nodeName": node, "conditions": { "ready": true } });
            endpoints.push(endpoint);
        });
    }

    /// Takes a pod out of every Service.
    pub fn remove_backend(&mut self, pod: &str) {
        self.edit_endpoints(|endpoints, at| endpoints.retain(|endpoint| !is_one_of(endpoint, &[pod], at)));
    }

    /// Puts a file into the folder at once, whatever is in it.
    pub fn put_file(&self, name: &str, text: &str) {
        let aside = self.file(&format!(".{name}.new"));
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.file(name)).unwrap();
    }

    /// Takes a file away.
    pub fn remove_file(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    /// Puts a file back as it was last edited; JSON is YAML, too.
    pub fn write(&self, name: &str) {
        let documents = self.files[name].iter().map(|object| serde_json::to_string_pretty(object).unwrap());
        self.put_file(name, &documents.collect::<Vec<_>>().join("\n---\n"));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

fn is_one_of(endpoint: &Value, pods: &[&str], at: fn(&str) -> String) -> bool {
    pods.iter().any(|pod| endpoint["addresses"][0] == at(pod))
}

/// Pod pNM of the lab has the address .1NM.
fn address4(pod: &str) -> String {
    format!("10.180.204.1{}", &pod[1..])
}

fn address6(pod: &str) -> String {
    format!("fd00:180:204::1{}", &pod[1..])
}
