//! This node's Open vSwitch: its database, the bridges of provider networks, and OVN's own bridge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::flows::{Flow, Spared, Wanted, Wishes};
use crate::io::ovsdb_client::Client;
use crate::io::switch::{Integration, Switch};
use crate::model::{InterfaceName, SegmentPlan, SubnetName};
use crate::node::{Located, NotFound, Sight, bridge};

/// All of them.
pub(super) struct Switches {
    rundir: PathBuf,
    pub vswitch: Client,
    pub bridges: BTreeMap<InterfaceName, Switch>,
    /// Whether it delivers what is announced.
    pub integration: Integration,
}

impl Switches {
    pub fn new(rundir: PathBuf, vswitch: Client) -> Self {
        let integration = Integration::new(socket_of(&rundir, &InterfaceName::from("br-int")));
        Self { rundir, vswitch, bridges: BTreeMap::new(), integration }
    }

    /// Without its database ovs-vswitchd answers nobody, and the kernel forwards on.
    pub fn excuse(&mut self) {
        let away = !self.vswitch.is_synced();
        for (name, switch) in &mut self.bridges {
            switch.excuse(away && bridge::is_kernels(self.vswitch.replica(), name));
        }
        let name = bridge::integration_bridge(self.vswitch.replica());
        self.integration.excuse(away && bridge::is_kernels(self.vswitch.replica(), &name));
    }

    /// Every bridge that exists has exactly its rules, and what is spared or kept, and OVN is asked for exactly the wishes.
    pub fn want(
        &mut self,
        mut rules: BTreeMap<InterfaceName, BTreeSet<Flow>>,
        spared: &Spared,
        kept: &BTreeSet<Flow>,
        wishes: Wishes,
    ) {
        for bridge in rules.keys().filter(|bridge| bridge::exists(self.vswitch.replica(), bridge)) {
            let socket = || Switch::new(socket_of(&self.rundir, bridge));
            self.bridges.entry(bridge.clone()).or_insert_with(socket);
        }
        for (bridge, switch) in &mut self.bridges {
            let wanted = Wanted::from(rules.remove(bridge).unwrap_or_default());
            switch.set_wanted(wanted.sparing(spared.clone()).keeping(kept.clone()));
        }
        let socket = socket_of(&self.rundir, &bridge::integration_bridge(self.vswitch.replica()));
        if *self.integration.socket() != socket {
            self.integration = Integration::new(socket);
        }
        self.integration.set_wanted(wishes);
    }
}

impl Sight for Switches {
    fn locate(&self, segment: &SegmentPlan) -> Result<Located, NotFound> {
        bridge::locate(self.vswitch.replica(), segment)
    }

    fn is_on_bridge(&self, bridge: &InterfaceName, flow: &Flow) -> bool {
        self.bridges.get(bridge).is_some_and(|switch| switch.confirms(flow))
    }

    fn is_delivered(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.integration.confirms(subnet, vip)
    }

    fn is_partly_delivered(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.integration.confirms_partly(subnet, vip)
    }
}

/// A bridge's management socket (ovs-vswitchd(8)).
fn socket_of(rundir: &Path, bridge: &InterfaceName) -> PathBuf {
    rundir.join(format!("{bridge}.mgmt"))
}

/// The folder of a database's socket.
pub(super) fn folder_of(address: &str) -> Option<PathBuf> {
    address.strip_prefix("unix:").and_then(|path| Path::new(path).parent()).map(Path::to_path_buf)
}
