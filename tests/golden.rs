//! Stories: a cluster and a northbound in; the transactions, what each node announces, its rules, and every "no" out.
//!
//! A folder is a story: `world.yaml`, and where it needs them its own `topology.yaml` and `northbound.json` (else
//! those of `base/`). The northbound is played by both kinds of OVN. `UPDATE_GOLDEN=1 cargo test --test golden`
//! writes the expectations anew; read the difference as you read code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::flows::{BridgePorts, flows_for};
use ovn_vip::io::manifests::ManifestFolder;
use ovn_vip::model::{Change, Mac, NodeName, Object, World};
use ovn_vip::nb::{Owner, transaction};
use ovn_vip::plan::{Policy, announce_plan};
use serde_json::{Value, json};

use support::northbound::Northbound;

/// What each kind of OVN writes into `NB_Global.options`.
const OVNS: [(&str, &str, &str); 2] = [
    ("distributed", "northd_internal_version", "26.03.1-21.8.0-82.14"),
    ("prefer-local", "ls_dnat_mod_dl_dst", "true"),
];

#[test]
fn every_story_ends_as_it_is_told() {
    let stories = stories();
    assert!(stories.len() >= 18, "only {} stories found", stories.len());
    let mut broken = String::new();
    for story in stories {
        for (file, found) in play(&story) {
            let path = story.join(&file);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &found).unwrap();
            }
            let told = std::fs::read_to_string(&path).unwrap_or_default();
            if told != found {
                writeln!(broken, "{} differs:\n{}", path.display(), difference(&told, &found)).unwrap();
            }
        }
    }
    assert!(broken.is_empty(), "{broken}(UPDATE_GOLDEN=1 takes it as it is)");
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn stories() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut stories: Vec<PathBuf> = entries.filter(|path| path.join("world.yaml").exists()).collect();
    stories.sort();
    stories
}

/// The story's own file, or the one that all share.
fn part(story: &Path, file: &str) -> PathBuf {
    let own = story.join(file);
    if own.exists() { own } else { golden().join("base").join(file) }
}

fn play(story: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["topology.yaml", "world.yaml"] {
        std::fs::copy(part(story, file), folder.path().join(file)).unwrap();
    }
    let reading = ManifestFolder::open(folder.path()).unwrap().reread();
    assert_eq!(reading.problems, [], "{} has problems", story.display());
    let northbound: Value =
        serde_json::from_str(&std::fs::read_to_string(part(story, "northbound.json")).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    let mut refusals = String::new();
    for (name, option, value) in OVNS {
        let (transactions, refused) =
            program(with_option(northbound.clone(), option, value), &reading.changes);
        files.insert(format!("transaction.{name}.json"), transactions);
        writeln!(refusals, "# {name}\n{refused}").unwrap();
    }
    let (announced, flows) = speak(&reading.changes);
    files.insert("refusals.txt".into(), refusals);
    files.insert("announce.txt".into(), announced);
    files.insert("flows.txt".into(), flows);
    files
}

fn with_option(mut northbound: Value, option: &str, value: &str) -> Value {
    let globals = northbound["NB_Global"].as_object_mut().unwrap();
    let options = globals.values_mut().next().unwrap()["options"][1].as_array_mut().unwrap();
    options.push(json!([option, value]));
    northbound
}

/// What the controller writes, until it has nothing more to write.
fn program(northbound: Value, changes: &[Change]) -> (String, String) {
    let mut northbound = Northbound::from_json(northbound);
    let rules = Rules {
        owner: Owner::new("kubernetes"),
        policy: Policy::default(),
        own_router_port: Default::default(),
    };
    let mut reconciler = Reconciler::new(rules);
    reconciler.northbound_changed(northbound.replica(), &northbound.first_dump());
    reconciler.cluster_changed(changes.to_vec());
    let mut transactions = Vec::new();
    for round in 0.. {
        let (changes, _) = reconciler.reconcile(northbound.replica());
        if changes.is_empty() {
            break;
        }
        assert_eq!(round, 0, "one round of writes is enough, not also: {changes}");
        for operations in transaction::encode(&changes) {
            let lines: Vec<String> =
                operations.iter().map(|operation| format!("  {}", operation.to_json())).collect();
            transactions.push(format!(" [\n{}\n ]", lines.join(",\n")));
            let changes = northbound.commit(&operations);
            reconciler.northbound_changed(northbound.replica(), &changes);
        }
    }
    let refusals = reconciler.refusals().iter();
    let refusals = refusals
        .flat_map(|(key, all)| all.iter().map(move |one| format!("{key}: {}: {one}\n", one.reason())));
    (format!("[\n{}\n]\n", transactions.join(",\n")), refusals.collect())
}

/// What each node announces, and its rules.
fn speak(changes: &[Change]) -> (String, String) {
    let mut world = World::default();
    let mut nodes = Vec::new();
    for change in changes {
        if let Change::Apply(Object::Node(node)) = change {
            nodes.push(node.name.clone());
        }
        world.apply(change.clone());
    }
    let (mut announced, mut flows) = (String::new(), String::new());
    for (number, node) in (1..).zip(&nodes) {
        speak_on(&world, node, number, &mut announced, &mut flows);
    }
    (announced, flows)
}

fn speak_on(world: &World, node: &NodeName, number: u8, announced: &mut String, flows: &mut String) {
    let (plan, refusals) = announce_plan(world, &Policy::default(), node);
    writeln!(announced, "{node}").unwrap();
    writeln!(flows, "{node}").unwrap();
    for refusal in refusals {
        writeln!(announced, "  {refusal}").unwrap();
    }
    for (subnet, segment) in plan.segments {
        for (vip, steered) in &segment.steered {
            let ports: Vec<String> =
                steered.ports.iter().map(|(protocol, port)| format!("{protocol}/{port}")).collect();
            let verb = if segment.announced.contains(vip) { "announces" } else { "is ready for" };
            writeln!(announced, "  {verb} {vip} {} in {subnet} on {}", ports.join(" "), segment.bridge)
                .unwrap();
        }
        let ports = BridgePorts { nic: 1, patch: 2, mac: Mac([2, 0, 0, 0, 0, number]) };
        for flow in flows_for(&segment, &ports) {
            writeln!(flows, "  {flow}").unwrap();
        }
    }
}

/// The lines that differ.
fn difference(told: &str, found: &str) -> String {
    let only = |mark: char, a: &str, b: &str| -> String {
        let b: Vec<&str> = b.lines().collect();
        a.lines().filter(|line| !b.contains(line)).map(|line| format!("  {mark} {line}\n")).collect()
    };
    only('-', told, found) + &only('+', found, told)
}
