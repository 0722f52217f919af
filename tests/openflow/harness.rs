//! An Open vSwitch of our own: `ovsdb-server` and `ovs-vswitchd` with a dummy datapath, in a temporary folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ovn_vip::flows::{BridgePorts, Flow, flows_for};
use ovn_vip::model::{Mac, Protocol, SegmentPlan, Sources, Steered, VlanId};
use tempfile::TempDir;

/// More than any step needs, so that a hang is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The full path of a program of Open vSwitch: in the folder `$OVN_VIP_BIN`, else in `$PATH`.
fn program(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("OVN_VIP_BIN") {
        let path = Path::new(&folder).join(name);
        assert!(path.exists(), "{} does not exist; OVN_VIP_BIN must hold Open vSwitch", path.display());
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed; set OVN_VIP_BIN to a folder that has it"))
}

fn schema() -> PathBuf {
    let beside = std::env::var_os("OVN_VIP_BIN").map(PathBuf::from);
    let near = beside.iter().flat_map(|bin| bin.ancestors().take(3)).flat_map(|folder| {
        ["", "share/openvswitch", "usr/share/openvswitch"].map(|share| folder.join(share))
    });
    let usual = ["/usr/share/openvswitch", "/usr/local/share/openvswitch"].map(PathBuf::from);
    let mut folders = near.chain(usual);
    let found =
        folders.find_map(|folder| Some(folder.join("vswitch.ovsschema")).filter(|path| path.exists()));
    found.expect("no vswitch.ovsschema beside OVN_VIP_BIN or in /usr/share/openvswitch")
}

/// Gone with its files when dropped.
pub struct OpenVSwitch {
    folder: TempDir,
    ovsdb: Option<Child>,
    vswitchd: Option<Child>,
}

impl OpenVSwitch {
    /// With the bridge `br-x`, which has port 1 (a NIC) and port 2 (a patch port), and speaks these versions.
    pub fn start(protocols: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ovs = Self { folder, ovsdb: None, vswitchd: None };
        ovs.run("ovsdb-tool", &["create", &ovs.file("db"), &schema().display().to_string()]);
        let remote = format!("--remote=punix:{}", ovs.file("db.sock"));
        ovs.ovsdb = Some(ovs.spawn("ovsdb-server", &[&remote, "--no-chdir", &ovs.file("db")]));
        ovs.wait_for("db.sock");
        ovs.vsctl(&["--no-wait", "init"]);
        ovs.start_vswitchd();
        let interfaces = ["nic", "patch"].map(|name| {
            ["--", "add-port", "br-x", name, "--", "set", "interface", name, "type=dummy"].map(String::from)
        });
        let mut bridge: Vec<String> =
            ["add-br", "br-x", "--", "set", "bridge", "br-x"].map(String::from).into();
        bridge.extend(["datapath_type=dummy", "fail_mode=secure"].map(String::from));
        bridge.push(format!("protocols={protocols}"));
        bridge.extend(interfaces.into_iter().enumerate().flat_map(|(index, interface)| {
            interface.into_iter().chain([format!("ofport_request={}", index + 1)])
        }));
        ovs.vsctl(&bridge.iter().map(String::as_str).collect::<Vec<_>>());
        ovs
    }

    pub fn socket(&self) -> PathBuf {
        self.socket_of("br-x")
    }

    pub fn socket_of(&self, bridge: &str) -> PathBuf {
        self.folder.path().join(format!("{bridge}.mgmt"))
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn start_vswitchd(&mut self) {
        let database = format!("unix:{}", self.file("db.sock"));
        let unixctl = format!("--unixctl={}", self.file("vswitchd.ctl"));
        let dummy = ["--enable-dummy=override", "--disable-system"];
        let arguments = [&database, dummy[0], dummy[1], "--no-chdir", &unixctl];
        self.vswitchd = Some(self.spawn("ovs-vswitchd", &arguments));
    }

    /// Without a chance to say goodbye.
    pub fn kill_vswitchd(&mut self) {
        kill(&mut self.vswitchd);
    }

    pub fn vsctl(&self, arguments: &[&str]) {
        let database = format!("--db=unix:{}", self.file("db.sock"));
        self.run("ovs-vsctl", &[&[&database, "--timeout=20"], arguments].concat());
    }

    pub fn ofctl(&self, arguments: &[&str]) -> String {
        self.run("ovs-ofctl", arguments)
    }

    /// `ovs-ofctl --bundle COMMAND br-x FILE`, with these lines in the file.
    pub fn ofctl_file(&self, command: &str, lines: &str) {
        let file = self.file("flows.txt");
        std::fs::write(&file, lines).unwrap();
        self.ofctl(&["--bundle", command, "br-x", &file]);
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
            command.env(variable, self.folder.path());
        }
        command.stdin(Stdio::null());
        command
    }

    fn spawn(&self, name: &str, arguments: &[&str]) -> Child {
        let log = File::create(self.folder.path().join(format!("{name}.log"))).unwrap();
        self.command(name).args(arguments).stderr(log).spawn().unwrap()
    }

    fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for(&self, name: &str) {
        let start = Instant::now();
        while !self.folder.path().join(name).exists() {
            assert!(start.elapsed() < PATIENCE, "{name} does not appear");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for OpenVSwitch {
    fn drop(&mut self) {
        self.kill_vswitchd();
        kill(&mut self.ovsdb);
    }
}

fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The rules of as many VIPs, half of them IPv6: one port of each protocol, and path MTU.
pub fn flows(vips: u16, vlan: Option<u16>) -> BTreeSet<Flow> {
    flows_for(&segment(vips, vlan), &PORTS)
}

/// Of the bridge.
pub const PORTS: BridgePorts = BridgePorts { nic: 1, patch: 2, own: 3, mac: Mac([0x0a, 0, 0, 0, 0, 1]) };

/// With as many VIPs.
pub fn segment(vips: u16, vlan: Option<u16>) -> SegmentPlan {
    let ports = Steered {
        ports: Protocol::ALL.map(|protocol| ((protocol, 80), Sources::Everybody)).into(),
        ..Steered::default()
    };
    let vip = |index: u16| match index % 2 {
        0 => format!("10.180.{}.{}", index >> 8, index & 0xff).parse().unwrap(),
        _ => format!("fd00:180:204::{index:x}").parse().unwrap(),
    };
    SegmentPlan {
        bridge: "br-x".into(),
        nic: "nic".into(),
        vlan: vlan.and_then(VlanId::new),
        patch_port: "patch".into(),
        steering_mac: Mac([0, 0, 0, 1, 0, 1]),
        steered: (0..vips).map(|index| (vip(index), ports.clone())).collect(),
        peers: None,
        beating: [].into(),
        announced: [].into(),
        handed_over: [].into(),
        successors: [].into(),
        taken_over: [].into(),
    }
}
