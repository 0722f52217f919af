//! A real northbound: `hack/lab.sh` with central only, an ovn-northd that says its version, and one underlay switch.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::process::{run, try_run};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A running one, taken down when dropped.
pub struct Northbound {
    prefix: String,
    variables: BTreeMap<String, String>,
}

impl Northbound {
    /// The switch and the ports of `examples/underlay`, and nothing of ours.
    pub fn up() -> Self {
        // Named as the lab's tests name theirs, so that those clear up what a killed run leaves behind.
        let prefix = format!("it{}x{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut this = Self { prefix, variables: BTreeMap::new() };
        let (ok, said) = try_run(this.script(&["up"]).env("LAB_NODES", "0"));
        assert!(ok, "these tests need the lab, and it does not come up (hack/setup.sh, root): {said}");
        this.variables = run(&mut this.script(&["env"]))
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace('\\', "")))
            .collect();
        this
    }

    /// Where the northbound listens.
    pub fn address(&self) -> &str {
        &self.variables["LAB_NB"]
    }

    /// Where the southbound listens.
    pub fn southbound(&self) -> &str {
        &self.variables["LAB_SB"]
    }

    /// `ovn-nbctl`, its arguments split at blanks.
    pub fn nb(&self, arguments: &str) -> String {
        let words: Vec<&str> = ["nb"].into_iter().chain(arguments.split_whitespace()).collect();
        run(&mut self.script(&words)).trim().to_owned()
    }

    /// `ovn-nbctl`, its arguments split as a shell does.
    pub fn nb_shell(&self, arguments: &str) {
        let script = format!("hack/lab.sh nb {arguments}");
        let mut shell = Command::new("bash");
        shell.current_dir(env!("CARGO_MANIFEST_DIR")).env("LAB_PREFIX", &self.prefix).env_remove("LAB_DIR");
        run(shell.args(["-c", &script]));
    }

    /// The load balancer rows by their names, as OVSDB has them: `_version` too, so that a write which changes
    /// nothing shows.
    pub fn rows(&self) -> BTreeMap<String, Value> {
        let request = r#"["OVN_Northbound",{"op":"select","table":"Load_Balancer","where":[]}]"#;
        let mut query = Command::new(Path::new(&self.variables["LAB_TOOLS"]).join("ovsdb-client"));
        let answer = run(query.args(["query", self.address(), request]));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let rows = answer[0]["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row.clone())).collect()
    }

    fn script(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/lab.sh"));
        command.env("LAB_PREFIX", &self.prefix).env_remove("LAB_DIR").args(arguments);
        command
    }
}

impl Drop for Northbound {
    fn drop(&mut self) {
        let (ok, said) = try_run(&mut self.script(&["down"]));
        if !ok {
            eprintln!("lab {} does not go down: {said}", self.prefix);
        }
    }
}
