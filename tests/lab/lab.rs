//! One lab: `hack/lab.sh` under a prefix of its own, taken down when dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, Once, PoisonError};

use serde_json::Value;

use crate::process::{run, try_run};

/// Labs at a time: each is a dozen daemons.
const AT_ONCE: usize = 2;
/// Where `hack/lab.sh` keeps labs; ours are `it<pid>x<number>`.
const LABS: &str = "/run/ovn-vip-lab";

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
static NUMBER: AtomicUsize = AtomicUsize::new(0);
static SWEPT: Once = Once::new();

/// What a lab is like.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The VLAN; 0: untagged.
    pub vlan: u16,
    /// Leave out the nodes' own port on the VLAN.
    pub no_access_port: bool,
    /// Further settings of `hack/lab.sh`, in its environment.
    pub settings: &'static [(&'static str, &'static str)],
    /// An OVN too old for us, central only.
    pub old: bool,
}

/// A running lab.
pub struct Lab {
    prefix: String,
    environment: BTreeMap<String, String>,
    _slot: Slot,
}

struct Slot;

impl Slot {
    fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= AT_ONCE;
        let mut running = ENDED.wait_while(running, full).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

impl Lab {
    /// Brings one up, once there is room for it.
    pub fn up(topology: &Topology) -> Self {
        SWEPT.call_once(sweep);
        let slot = Slot::take();
        let prefix = format!("it{}x{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // From here on a panic takes it down again.
        let mut lab = Self { prefix, environment: BTreeMap::new(), _slot: slot };
        let mut up = lab.script(&["up", &topology.vlan.to_string()]);
        up.envs(topology.settings.iter().copied());
        if topology.no_access_port {
            up.env("LAB_NO_ACCESS_PORT", "1");
        }
        if topology.old {
            up.env("LAB_ROOT", run(&mut lab.script(&["tree", "old"])).trim()).env("LAB_NODES", "0");
        }
        let (ok, said) = try_run(&mut up);
        assert!(ok, "these tests need the lab, and it does not come up (hack/setup.sh, root): {said}");
        lab.environment = run(&mut lab.script(&["env"]))
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace('\\', "")))
            .collect();
        lab
    }

    fn script(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(repository().join("hack/lab.sh"));
        command.env("LAB_PREFIX", &self.prefix).env_remove("LAB_DIR").args(arguments);
        command
    }

    /// A verb of `hack/lab.sh` that must succeed; what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.script(arguments))
    }

    /// `ovn-nbctl`, its arguments split at blanks.
    pub fn nb(&self, arguments: &str) -> String {
        let words: Vec<&str> = ["nb"].into_iter().chain(arguments.split_whitespace()).collect();
        self.run(&words).trim().to_owned()
    }

    /// Waits until every node has what the northbound says.
    pub fn sync(&self) {
        self.nb("--wait=hv sync");
    }

    /// A variable of `hack/lab.sh env`.
    pub fn variable(&self, name: &str) -> &str {
        self.environment.get(name).unwrap_or_else(|| panic!("hack/lab.sh env has no {name}"))
    }

    /// Whether the OVN is Kube-OVN's own build.
    pub fn is_kube_ovn(&self) -> bool {
        self.nb("get NB_Global . options").contains("ls_dnat_mod_dl_dst")
    }

    /// Does something while northd stands still, so that it then sees all of it at once.
    pub fn while_northd_looks_away(&self, act: impl FnOnce()) {
        let pid = std::fs::read_to_string(Path::new(self.variable("LAB_DIR")).join("central/northd.pid"));
        let pid = pid.unwrap().trim().to_owned();
        run(Command::new("kill").args(["-STOP", &pid]));
        act();
        run(Command::new("kill").args(["-CONT", &pid]));
    }

    /// A program in a namespace.
    pub fn command_in(&self, namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{namespace}", self.prefix)]).arg(program);
        command
    }

    /// A command line in a namespace, split at blanks, that must succeed; what it prints.
    pub fn run_in(&self, namespace: &str, line: &str) -> String {
        let mut words = line.split_whitespace();
        run(self.command_in(namespace, words.next().unwrap()).args(words))
    }

    /// The rules of ours on a node's first provider bridge, without their counters.
    pub fn rules(&self, node: &str) -> BTreeSet<String> {
        self.rules_on(node, self.variable("LAB_BRIDGE"))
    }

    /// The rules of ours on a bridge.
    pub fn rules_on(&self, node: &str, bridge: &str) -> BTreeSet<String> {
        let flows = self.run(&["of", node, "--no-stats", "--no-names", "dump-flows", bridge]);
        flows.lines().filter(|line| line.contains("cookie=0x6f766e2d7669700")).map(str::to_owned).collect()
    }

    /// All that we may write of the northbound, as OVSDB has it: `_uuid` and `_version` too, so that a write which
    /// changes nothing shows.
    pub fn northbound(&self) -> BTreeMap<String, Value> {
        let tables = [
            "Load_Balancer",
            "Load_Balancer_Group",
            "Logical_Switch",
            "Logical_Switch_Port",
            "Logical_Router",
            "Logical_Router_Port",
        ];
        let selects = tables.map(|table| serde_json::json!({"op": "select", "table": table, "where": []}));
        let request: Vec<Value> = [Value::from("OVN_Northbound")].into_iter().chain(selects).collect();
        let client = Path::new(self.variable("LAB_TOOLS")).join("ovsdb-client");
        let mut query = Command::new(client);
        query.args(["query", self.variable("LAB_NB"), &Value::from(request).to_string()]);
        let answer: Value = serde_json::from_str(&run(&mut query)).unwrap();
        let mut found = BTreeMap::new();
        for (table, result) in tables.iter().zip(answer.as_array().unwrap()) {
            for row in result["rows"].as_array().unwrap() {
                found.insert(format!("{table} {}", row["_uuid"][1].as_str().unwrap()), row.clone());
            }
        }
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let (ok, said) = try_run(&mut self.script(&["down"]));
        if !ok {
            eprintln!("lab {} does not go down: {said}", self.prefix);
        }
    }
}

/// Takes down what a killed run of these tests left behind.
fn sweep() {
    let Ok(labs) = std::fs::read_dir(LABS) else { return };
    for lab in labs.flatten() {
        let name = lab.file_name().into_string().unwrap_or_default();
        let Some((pid, _)) = name.strip_prefix("it").and_then(|rest| rest.split_once('x')) else { continue };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            let mut down = Command::new(repository().join("hack/lab.sh"));
            let _ = try_run(down.env("LAB_PREFIX", format!("{name}-")).env_remove("LAB_DIR").arg("down"));
        }
    }
}

/// The checkout.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
