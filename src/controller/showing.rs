//! What the controller shows by name, to who may see it: the page, and metrics of each VIP.

use std::net::IpAddr;

use super::announcer::{Announcer, announcer};
use super::page::{FORM, Facts, Picture};
use super::words::too_old;
use super::{Controller, now};
use crate::io::cluster::Cluster;
use crate::model::{Service, SubnetName};

impl Controller {
    /// Draws the page anew.
    pub(super) fn show(&self) {
        self.health.show(|| serde_json::to_string(&self.picture()).unwrap_or_default());
    }

    fn picture(&self) -> Picture {
        let unaddressed = |service: &Service| self.giving.why(service);
        let facts = Facts {
            reconciler: &self.reconciler,
            silent: self.heard.silent(),
            live: matches!(self.cluster, Cluster::Kube(..)),
            unaddressed: &unaddressed,
        };
        let network = self.reconciler.network();
        let unfit = self.northbound.is_synced() && network.locality.is_none();
        let unfit = unfit.then(|| too_old(network.northd_version.as_deref()));
        Picture {
            form: FORM,
            version: env!("CARGO_PKG_VERSION"),
            leads: self.leading.may_write(&self.northbound, now()),
            leader: self.leading.leader().map(str::to_owned),
            waiting_for: self.lacks(),
            problems: self.said.iter().cloned().chain(unfit).collect(),
            nodes: facts.nodes(),
            vips: facts.vips(),
        }
    }

    /// For who asked for it: `ovn_vip_vip_info`.
    pub(super) fn name_vips(&self) {
        let (world, family) = (self.reconciler.world(), &self.metrics.vip_info);
        family.clear();
        let node = |subnet: &SubnetName, vip: IpAddr| match announcer(world, self.heard.silent(), subnet, vip)
        {
            Announcer::Node(node) => node.to_string(),
            Announcer::Undelivered(_)
            | Announcer::Lost(_)
            | Announcer::NotHeard(..)
            | Announcer::Nobody
            | Announcer::Unreported => String::new(),
        };
        for (service, outcome) in self.reconciler.outcomes() {
            for (vip, subnet) in &outcome.vips {
                let labels = [
                    ("ip", vip.to_string()),
                    ("service", service.to_string()),
                    ("subnet", subnet.to_string()),
                    ("node", node(subnet, *vip)),
                ];
                family.get_or_create(&labels).set(1);
            }
        }
    }
}
