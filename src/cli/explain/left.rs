//! The step in the southbound; and what becomes of ports that are left to somebody else's row: northd's flows tell, not the row.

use std::net::SocketAddr;

use super::steps::{Mark, Step, Way, Wrong};
use crate::model::Protocol;
use crate::nb::translated::{Translation, translation};
use crate::plan::Refusal;
use crate::plan::Stage;

/// A port of the VIP that Kube-OVN is said to serve.
pub(super) struct Left<'f> {
    protocol: Protocol,
    key: SocketAddr,
    row: &'f str,
}

impl Left<'_> {
    fn words(&self) -> String {
        format!("{}/{} is left to Load_Balancer {}", self.protocol, self.key.port(), self.row)
    }

    fn wrong(&self, found: Translation, switch: &str) -> Wrong {
        let (is, cure) = match found {
            Translation::None => (
                "no flow of the Subnet's switch translates it",
                format!(
                    "does ovn-northd run, and has the switch that row (`ovn-nbctl ls-lb-list {switch}`)?"
                ),
            ),
            Translation::Refused => (
                "northd drops or refuses what comes to it",
                "has the Service ready endpoints, and does kube-ovn-controller run?".to_owned(),
            ),
            Translation::Anywhere | Translation::Local => (
                "northd hands it to backends of any node, and only those of the announcing node get it",
                format!(
                    "has the row `prefer_local_backend`, and an entry for each backend in ip_port_mappings (`ovn-nbctl list Load_Balancer {}`)?",
                    self.row
                ),
            ),
        };
        let cure =
            format!("{cure} Take the VIP out of the row where nothing needs it: ovn-vip serves it then");
        Wrong { is: format!("{}, and {is}", self.words()), cure }
    }
}

impl<'f> Way<'f> {
    /// The ports that are left to a row of Kube-OVN's.
    pub(super) fn left(&self) -> Vec<Left<'f>> {
        let left = self.refusals.iter().filter_map(|refusal| match refusal {
            Refusal::NativeOwner { key, protocol, row, holder, .. } if holder.serves() => {
                Some(Left { protocol: *protocol, key: *key, row })
            }
            _ => None,
        });
        left.collect()
    }

    /// All that could serve the VIP is left to others, and nobody looked whether they do.
    pub(super) fn is_left_unseen(&self) -> bool {
        self.backends.is_empty() && self.facts.southbound.is_none() && !self.left().is_empty()
    }

    pub(super) fn southbound_step(&self) -> Step {
        let left = self.left();
        let Some(southbound) = self.facts.southbound else {
            let mut says =
                vec!["not looked at: --ovn-nb and --ovn-sb say where the databases are".to_owned()];
            says.extend(
                left.iter().map(|left| format!("{}: not looked at whether that serves it", left.words())),
            );
            return self.step(Stage::Southbound, Mark::Unknown, says);
        };
        let switch = self.subnet.map(|subnet| subnet.name.as_str()).unwrap_or_default();
        let (lit, dark): (Vec<_>, Vec<_>) = left
            .iter()
            .map(|left| (left, translation(southbound, switch, left.protocol, left.key)))
            .partition(|(_, found)| *found == Translation::Local);
        let mut says = Vec::new();
        if !self.backends.is_empty() {
            says.push("northd took the row up, and translates on the announcing node".to_owned());
        }
        says.extend(
            lit.iter().map(|(left, _)| {
                format!("{}, and northd translates it on the Subnet's switch", left.words())
            }),
        );
        let mut step = self.step(Stage::Southbound, Mark::Right, says);
        if dark.is_empty() {
            return step;
        }
        if self.backends.is_empty() && lit.is_empty() {
            step.mark = Mark::Wrong;
            step.says.clear();
        } else if step.mark != Mark::Wrong {
            step.mark = Mark::Doubtful;
        }
        step.wrongs.extend(dark.iter().map(|(left, found)| left.wrong(*found, switch)));
        step
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use serde_json::json;

    use super::super::steps::{Explained, Facts, Verdict, explain};
    use super::Mark;
    use crate::controller::heard::Silent;
    use crate::controller::{Reconciler, Rules};
    use crate::io::manifests::ManifestFolder;
    use crate::model::ServiceKey;
    use crate::nb::Owner;
    use crate::ovsdb::Replica;
    use crate::plan::Policy;
    use crate::settings::OwnRouterPort;

    const TRANSLATES: &str = "ct_lb_mark(backends=10.180.204.111:80);";

    /// A Service whose only port Kube-OVN's row has.
    fn kube_ovns() -> Reconciler {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let story = golden.join("320-rows-of-kube-ovn-1.14");
        let northbound = std::fs::read_to_string(story.join("northbound.json")).unwrap();
        let mut northbound: serde_json::Value = serde_json::from_str(&northbound).unwrap();
        for row in northbound["NB_Global"].as_object_mut().unwrap().values_mut() {
            row["options"] = json!(["map", [["ls_dnat_mod_dl_dst", "true"]]]);
        }
        let replica = Replica::from_json(northbound).unwrap();
        let (owner, policy) = (Owner::new("c", 0), Policy::default());
        let mut reconciler =
            Reconciler::new(Rules { owner, policy, own_router_port: OwnRouterPort::default() });
        reconciler.northbound_changed(&replica, &Replica::new().become_level_with(replica.clone()));
        for folder in [golden.join("base"), story] {
            let folder = tempfile(&folder);
            reconciler.cluster_changed(ManifestFolder::open(folder.path()).unwrap().reread().changes);
        }
        reconciler.advance(Duration::ZERO);
        reconciler.reconcile(&replica);
        reconciler
    }

    /// Only what is YAML there.
    fn tempfile(folder: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["topology.yaml", "world.yaml"] {
            if folder.join(name).exists() {
                std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
            }
        }
        copy
    }

    fn explained(reconciler: &Reconciler, southbound: Option<&Replica>) -> Explained {
        let none = BTreeMap::new();
        let facts = Facts {
            reconciler,
            differences: Some(&none),
            fault: None,
            southbound,
            disabled: &BTreeMap::new(),
            live: false,
            said: None,
            lack: None,
            silent: &Silent::new(),
            asked: false,
            speakers: &[],
        };
        let service = reconciler.world().service(&ServiceKey::new("default", "nginx")).unwrap();
        explain(&facts, service, Some("10.180.204.252".parse().unwrap()))
    }

    fn southbound(switch: &str, actions: &str) -> Replica {
        let uuid = "00000000-0000-4000-8000-0000000000a1";
        Replica::from_json(json!({
            "Datapath_Binding": { uuid: { "external_ids": ["map", [["name", switch]]] } },
            "Logical_Flow": { uuid: {
                "match": "ct.new && ip4.dst == 10.180.204.252 && tcp.dst == 80 && is_chassis_resident(\"p11\")",
                "actions": actions, "logical_datapath": ["uuid", uuid],
                "external_ids": ["map", [["stage-name", "ls_in_lb"]]] } },
        }))
        .unwrap()
    }

    fn step(explained: &Explained, name: &str) -> (Mark, String) {
        let step = explained.steps.iter().find(|step| step.step == name).unwrap();
        let wrongs = step.wrongs.iter().map(|wrong| &*wrong.is);
        (step.mark, step.says.iter().map(String::as_str).chain(wrongs).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn what_is_left_to_kube_ovn_is_served_only_where_the_southbound_shows_it() {
        let reconciler = kube_ovns();
        let unseen = explained(&reconciler, None);
        assert_eq!(unseen.verdict, Verdict::LeftUnseen);
        assert_eq!(step(&unseen, "southbound").0, Mark::Unknown);

        let dark = explained(&reconciler, Some(&southbound("other-vpc", TRANSLATES)));
        let (mark, words) = step(&dark, "southbound");
        assert_eq!((dark.verdict, mark), (Verdict::NotServed, Mark::Wrong));
        assert!(
            words.contains("tcp/80 is left to Load_Balancer cluster-tcp-loadbalancer, and no flow"),
            "{words}"
        );

        let lit = explained(&reconciler, Some(&southbound("underlay-subnet", TRANSLATES)));
        let (mark, words) = step(&lit, "southbound");
        assert_eq!((lit.verdict, mark), (Verdict::Unknown, Mark::Right), "nobody asked who announces it");
        assert!(words.contains("and northd translates it on the Subnet's switch"), "{words}");
        let refused = explained(&reconciler, Some(&southbound("underlay-subnet", "drop;")));
        assert_eq!((refused.verdict, step(&refused, "southbound").0), (Verdict::NotServed, Mark::Wrong));
        for empty in ["backends", "nodes"] {
            let (mark, words) = step(&lit, empty);
            assert!(mark == Mark::Unknown && words.starts_with("not looked at"), "{empty}: {words}");
        }
    }

    #[test]
    fn a_row_without_a_name_is_not_ticked() {
        let words = step(&explained(&kube_ovns(), None), "northbound").1;
        assert_eq!(words, "no row of ours is to be there for this VIP, and none is");
    }
}
