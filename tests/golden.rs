//! Stories: a cluster and a northbound in; the transactions, what each node announces, its rules, and every "no" out.
//!
//! A folder is a story: `world.yaml`, and where it needs them its own `topology.yaml` and `northbound.json` (else
//! those of `base/`), its `southbound.json`, what the southbound becomes (`later.json`), its settings as flags in `flags.txt`, and `then.yaml`: what `world.yaml` becomes later. The
//! northbound is played by both kinds of OVN. `UPDATE_GOLDEN=1 cargo test --test golden` writes the expectations
//! anew; read the difference as you read code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ovn_vip::allocate::{Allocator, Step};
use ovn_vip::controller::{Reconciler, Rules};
use ovn_vip::flows::{BridgePorts, answer_flows, flows_for};
use ovn_vip::io::manifests::ManifestFolder;
use ovn_vip::model::{Change, Mac, NodeName, PlannedClaim, Protocol, SegmentPlan, Sources, World};
use ovn_vip::nb::{Owner, transaction};
use ovn_vip::ovsdb::Replica;
use ovn_vip::plan::{Policy, announce_plan, check};
use ovn_vip::settings::{Command, CommandLine, ObjectsArgs};
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
    assert!(stories.len() >= 60, "only {} stories found", stories.len());
    let mut broken = String::new();
    for story in stories {
        for (file, found) in play(&story) {
            let path = story.join(&file);
            if std::env::var_os("UPDATE_GOLDEN").is_some() && (!found.is_empty() || path.exists()) {
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
    let mut manifests = ManifestFolder::open(folder.path()).unwrap();
    let mut histories = vec![read(&mut manifests, story)];
    if story.join("then.yaml").exists() {
        std::fs::copy(story.join("then.yaml"), folder.path().join("world.yaml")).unwrap();
        histories.push(read(&mut manifests, story));
    }
    let policy = policy(story);
    let northbound: Value =
        serde_json::from_str(&std::fs::read_to_string(part(story, "northbound.json")).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    let (mut refusals, mut findings) = (String::new(), String::new());
    for (name, option, value) in OVNS {
        let mut program = Program::start(with_option(northbound.clone(), option, value), &policy);
        program.read_southbound(story);
        for (prefix, changes) in ["", "then."].iter().zip(&histories) {
            let transactions = program.take(changes);
            files.insert(format!("{prefix}transaction.{name}.json"), transactions);
        }
        if let Some(transactions) = program.look(story) {
            files.insert(format!("later.transaction.{name}.json"), transactions);
        }
        writeln!(refusals, "# {name}\n{}", program.refusals()).unwrap();
        writeln!(findings, "# {name}\n{}", program.findings(&policy)).unwrap();
    }
    let (announced, flows) = speak(&histories.concat(), &policy);
    files.insert("addresses.txt".into(), addresses(story, &histories));
    files.insert("refusals.txt".into(), refusals);
    // Where nothing was found there is no file.
    let nothing = findings.lines().all(|line| line.is_empty() || line.starts_with('#'));
    files.insert("findings.txt".into(), if nothing { String::new() } else { findings });
    files.insert("announce.txt".into(), announced);
    files.insert("flows.txt".into(), flows);
    files
}

fn read(manifests: &mut ManifestFolder, story: &Path) -> Vec<Change> {
    let reading = manifests.reread();
    assert_eq!(reading.problems, [], "{} has problems", story.display());
    reading.changes
}

/// Which addresses Services get, and why others get none; where that is of no interest nothing.
fn addresses(story: &Path, histories: &[Vec<Change>]) -> String {
    let flags = std::fs::read_to_string(story.join("flags.txt")).unwrap_or_default();
    if !flags.contains("--allocate") {
        return String::new();
    }
    let objects = settings(story);
    let scope = objects.allocate.scope(&objects.policy);
    let (mut allocator, mut world, mut text) = (Allocator::new(scope), World::default(), String::new());
    for changes in histories {
        for change in changes {
            allocator.note(&world, change);
            world.apply(change.clone());
        }
        for step in allocator.settle(&world, None, Duration::ZERO) {
            let all = |addresses: &[IpAddr]| addresses.iter().map(|it| format!(" {it}")).collect::<String>();
            match step {
                Step::Given { service, addresses, pool } => {
                    writeln!(text, "{service}: given{} of {pool}", all(&addresses)).unwrap();
                }
                Step::TakenBack { service, addresses, why } => {
                    writeln!(text, "{service}: taken back{}: {why}", all(&addresses)).unwrap();
                }
                Step::Refused { service, why } => writeln!(text, "{service}: refused: {why}").unwrap(),
            }
        }
        for (pool, fault) in allocator.pool_faults() {
            writeln!(text, "IPAddressPool {pool}: {fault}").unwrap();
        }
        if let Some(rival) = allocator.rival() {
            writeln!(text, "nobody: {rival}").unwrap();
        }
    }
    text
}

/// The story's settings that change decisions.
fn policy(story: &Path) -> Policy {
    settings(story).policy.policy()
}

/// The story's settings.
fn settings(story: &Path) -> ObjectsArgs {
    let flags = std::fs::read_to_string(story.join("flags.txt")).unwrap_or_default();
    let line = ["ovn-vip", "check", "-f", "x"].into_iter().chain(flags.split_whitespace());
    match CommandLine::parse_from(line).command {
        Command::Check(arguments) => arguments.objects,
        other => panic!("{other:?}"),
    }
}

fn with_option(mut northbound: Value, option: &str, value: &str) -> Value {
    let globals = northbound["NB_Global"].as_object_mut().unwrap();
    let options = globals.values_mut().next().unwrap()["options"][1].as_array_mut().unwrap();
    options.push(json!([option, value]));
    northbound
}

/// A controller beside its northbound.
struct Program {
    northbound: Northbound,
    reconciler: Reconciler,
    world: World,
}

impl Program {
    fn start(northbound: Value, policy: &Policy) -> Self {
        let northbound = Northbound::from_json(northbound);
        let rules = Rules {
            owner: Owner::new("kubernetes", 0),
            policy: policy.clone(),
            own_router_port: Default::default(),
        };
        let mut reconciler = Reconciler::new(rules);
        reconciler.northbound_changed(northbound.replica(), &northbound.first_dump());
        Self { northbound, reconciler, world: World::default() }
    }

    /// Where ports are bound, in stories that say so.
    fn read_southbound(&mut self, story: &Path) {
        if let Ok(text) = std::fs::read_to_string(story.join("southbound.json")) {
            let southbound = Replica::from_json(serde_json::from_str(&text).unwrap()).unwrap();
            let changes = Replica::new().become_level_with(southbound.clone());
            self.reconciler.southbound_changed(&southbound, &changes);
        }
    }

    /// What northd made of it, in stories that say so, and what follows once that has lasted.
    fn look(&mut self, story: &Path) -> Option<String> {
        let text = std::fs::read_to_string(story.join("later.json")).ok()?;
        let southbound = Replica::from_json(serde_json::from_str(&text).unwrap()).unwrap();
        let changes = Replica::new().become_level_with(southbound.clone());
        self.reconciler.southbound_changed(&southbound, &changes);
        self.reconciler.set_southbound_level(true);
        let mut written = Vec::new();
        for seconds in [10, 20, 30, 40] {
            self.reconciler.advance(Duration::from_secs(seconds));
            written.push(self.take(&[]));
        }
        assert_eq!(written.pop().unwrap(), "[\n\n]\n", "it comes to rest");
        Some(written.concat())
    }

    /// What the controller writes, until it has nothing more to write.
    fn take(&mut self, changes: &[Change]) -> String {
        self.reconciler.cluster_changed(changes.to_vec());
        for change in changes {
            self.world.apply(change.clone());
        }
        let mut transactions = Vec::new();
        for round in 0.. {
            let (changes, _) = self.reconciler.step(self.northbound.replica());
            if changes.is_empty() {
                break;
            }
            let gated = changes.to_string().contains("acls")
                || transactions.iter().any(|written: &String| written.contains("acls"));
            assert!(round == 0 || (gated && round < 4), "one round of writes is enough, not also: {changes}");
            for operations in transaction::encode(&changes) {
                let lines: Vec<String> =
                    operations.iter().map(|operation| format!("  {}", operation.to_json())).collect();
                transactions.push(format!(" [\n{}\n ]", lines.join(",\n")));
                let changes = self.northbound.commit(&operations);
                self.reconciler.northbound_changed(self.northbound.replica(), &changes);
            }
        }
        format!("[\n{}\n]\n", transactions.join(",\n"))
    }

    fn refusals(&self) -> String {
        let refusals = self.reconciler.refusals().iter();
        refusals
            .flat_map(|(key, all)| all.iter().map(move |one| format!("{key}: {}: {one}\n", one.reason())))
            .collect()
    }

    fn findings(&self, policy: &Policy) -> String {
        let findings = check(&self.world, Some(self.reconciler.network()), policy);
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    }
}

/// What each node announces, and its rules.
fn speak(changes: &[Change], policy: &Policy) -> (String, String) {
    let mut world = World::default();
    for change in changes {
        world.apply(change.clone());
    }
    let nodes: Vec<NodeName> = world.nodes().map(|node| node.name.clone()).collect();
    let (mut announced, mut flows) = (String::new(), String::new());
    for (number, node) in (1..).zip(&nodes) {
        speak_on((&world, policy), node, number, &mut announced, &mut flows);
    }
    (announced, flows)
}

fn speak_on(
    (world, policy): (&World, &Policy),
    node: &NodeName,
    number: u8,
    announced: &mut String,
    flows: &mut String,
) {
    let (plan, refusals) = announce_plan(world, policy, None, node);
    writeln!(announced, "{node}").unwrap();
    writeln!(flows, "{node}").unwrap();
    for refusal in refusals {
        writeln!(announced, "  {}: {refusal}", refusal.reason()).unwrap();
    }
    for (subnet, segment) in plan.segments {
        for (vip, steered) in &segment.steered {
            let port = |((protocol, port), sources): (&(Protocol, u16), &Sources)| match sources {
                Sources::Everybody => format!("{protocol}/{port}"),
                Sources::Only(_) => format!("{protocol}/{port} (to {sources})"),
            };
            let ports: Vec<String> = steered.ports.iter().map(port).collect();
            let verb = if segment.announced.contains_key(vip) { "announces" } else { "is ready for" };
            let how = how(&segment, *vip);
            writeln!(announced, "  {verb} {vip} {} in {subnet} on {}{how}", ports.join(" "), segment.bridge)
                .unwrap();
        }
        let ports = BridgePorts { nic: 1, patch: 2, own: 3, mac: Mac([2, 0, 0, 0, 0, number]) };
        let answers = answer_flows(&segment, &ports, segment.announced.keys().copied());
        for flow in flows_for(&segment, &ports).union(&answers) {
            writeln!(flows, "  {flow}").unwrap();
        }
    }
}

/// What speakers that know each other make of a VIP; nothing, where they do not.
fn how(segment: &SegmentPlan, vip: IpAddr) -> String {
    match segment.announced.get(&vip) {
        _ if segment.peers.is_none() => String::new(),
        Some(PlannedClaim { first: true, .. }) => ", and asks first whether somebody has it".into(),
        Some(PlannedClaim { term, first: false }) => format!(", term {term}"),
        None if segment.taken_over.contains(&vip) => ", which another node has".into(),
        None => String::new(),
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
