//! A row that is not ours is known by what it is, since not every Kube-OVN marks its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::model::{Holder, LspName, Protocol};
use crate::nb::rows::{map, text};
use crate::ovsdb::{Datum, Row};

use super::Key;

/// `external_ids` of Kube-OVN's own.
const PREFIX: &str = "kube-ovn.io/";
/// Marks of its rows for one Service (1.17, `service_load_balancer.go`).
const OWNER: &str = "kube-ovn.io/lb-owner-";
/// Mark of a key whose node it told northd (1.15.20, `ovn-nb-load_balancer.go`). It counts with `prefer_local_backend`
/// only, and Kube-OVN leaves it there with the key.
const LOCAL: &str = "kube-ovn.io/local-external-vip/";
/// The address that it maps backends to for prefer-local, and for nothing else (`MasqueradeCheckIP`).
const NATIVE_MAPPING: &str = ":0.0.0.0";

/// Whether a row is Kube-OVN's: marked so, or of a name that only it gives and without anybody else's mark. Up to 1.14
/// it marked nothing, and later ones leave rows that they find as they are.
pub fn is_kube_ovns(row: &Row) -> bool {
    let ids = map(row, "external_ids");
    match ids.get("vendor") {
        Some(vendor) => vendor == "kube-ovn",
        None => ids.keys().all(|key| key.starts_with(PREFIX)) && is_its_name(text(row, "name")),
    }
}

/// The names of `clusterLBPattern` and `vpcLBPattern` (`ovn-nb-migration.go`), and of rows for one Service or rule
/// (`service_load_balancer.go`, 1.17).
fn is_its_name(name: &str) -> bool {
    let protocol = |text: &str| Protocol::ALL.iter().any(|known| known.as_str() == text);
    if let Some(rest) = name.strip_prefix("cluster-") {
        let rest = rest.strip_suffix("-session-loadbalancer").or(rest.strip_suffix("-loadbalancer"));
        return rest.is_some_and(protocol);
    }
    if let Some(rest) = name.strip_prefix("vpc-") {
        let rest = rest.strip_suffix("-sess-load").or(rest.strip_suffix("-load"));
        let vpc = rest.and_then(|rest| rest.rsplit_once('-'));
        return vpc.is_some_and(|(vpc, kind)| !vpc.is_empty() && protocol(kind));
    }
    let parts: Vec<&str> = name.split(':').collect();
    let (kind, owner, transport, class) = match parts[..] {
        [kind, owner, transport, class] | [kind, owner, transport, class, "ipv4" | "ipv6"] => {
            (kind, owner, transport, class)
        }
        _ => return false,
    };
    ["service", "switchlbrule", "routerlbrule"].contains(&kind)
        && owner.split('/').filter(|part| !part.is_empty()).count() == 2
        && protocol(transport)
        && ["internal", "external"].contains(&class)
}

/// Whether a row of Kube-OVN's keeps its VIPs on the announcing node by `prefer_local_backend` alone, which northd knows up to
/// 25.09 with Kube-OVN's patch, and from 26.03 on not any more.
pub(super) fn prefers_local(row: &Row) -> bool {
    let (options, ids) = (map(row, "options"), map(row, "external_ids"));
    let is_on = |name: &str| options.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let otherwise = is_on("distributed") || is_on("template") || ids.keys().any(|key| key.starts_with(OWNER));
    is_kube_ovns(row) && is_on("prefer_local_backend") && !otherwise
}

/// The node's port that alone lets each of a row's keys through, where it names one.
pub(super) fn marks(row: &Row) -> BTreeMap<Key, LspName> {
    let protocol = protocol(row);
    let ids = row.get("external_ids").into_iter().flat_map(Datum::string_map);
    let marks = ids.filter_map(|(key, port)| Some((key.strip_prefix(LOCAL)?.parse().ok()?, port)));
    marks.map(|(key, port)| ((protocol, key), LspName::from(port))).collect()
}

/// ovn-nb(5): a row without protocol is TCP.
fn protocol(row: &Row) -> Protocol {
    let named = text(row, "protocol");
    Protocol::ALL.into_iter().find(|known| known.as_str() == named).unwrap_or(Protocol::Tcp)
}

/// What a row that is not ours does for each of its keys; `resolved`: those whose address is a template variable's.
pub(super) fn holders(row: &Row, resolved: BTreeSet<SocketAddr>) -> BTreeMap<Key, Holder> {
    let protocol = protocol(row);
    let kube_ovn = is_kube_ovns(row);
    let by_template = if kube_ovn { Holder::Template } else { Holder::Stranger };
    let mut holders: BTreeMap<Key, Holder> =
        resolved.into_iter().map(|key| ((protocol, key), by_template)).collect();
    let place = if kube_ovn { Place::read(row) } else { Place::default() };
    // Kube-OVN's rows have thousands of keys, and it writes one at a time: nothing here is copied.
    for (key, backends) in row.get("vips").into_iter().flat_map(Datum::string_map) {
        let Ok(key) = key.parse() else { continue };
        let holder = match kube_ovn {
            false => Holder::Stranger,
            true if place.serves => Holder::KubeOvn,
            true if place.served(key, backends) => Holder::Leftover,
            true => Holder::Idle,
        };
        holders.insert((protocol, key), holder);
    }
    holders
}

/// What of a row of Kube-OVN's says where its VIPs are served.
#[derive(Default)]
struct Place<'r> {
    /// On the announcing node.
    serves: bool,
    /// The keys that were once marked local.
    marked: BTreeSet<SocketAddr>,
    /// `ip_port_mappings`.
    mappings: Option<&'r Datum>,
}

impl<'r> Place<'r> {
    fn read(row: &'r Row) -> Self {
        let (options, ids) = (map(row, "options"), map(row, "external_ids"));
        let is_on = |name: &&str| options.get(*name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let marked = ids.keys().filter_map(|key| key.strip_prefix(LOCAL)?.parse().ok());
        Self {
            // A row for one Service is written anew with each change of that, whatever its options.
            serves: ["prefer_local_backend", "distributed", "template"].iter().any(is_on)
                || ids.keys().any(|key| key.starts_with(OWNER)),
            marked: marked.collect(),
            mappings: row.get("ip_port_mappings").filter(|mappings| !mappings.is_empty()),
        }
    }

    /// Whether the key was once marked local, or one of its backends mapped for prefer-local. An IPv6 address is in
    /// brackets there.
    fn served(&self, key: SocketAddr, backends: &str) -> bool {
        if self.marked.contains(&key) {
            return true;
        }
        let Some(mappings) = self.mappings else { return false };
        let port = |address| mappings.map_get(address).is_some_and(|port| port.ends_with(NATIVE_MAPPING));
        backends
            .split(',')
            .filter_map(|backend| backend.rsplit_once(':'))
            .any(|(address, _)| port(address) || port(address.trim_matches(['[', ']'])))
    }
}
