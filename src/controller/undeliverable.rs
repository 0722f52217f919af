//! Which endpoints OVN cannot deliver to, as speakers read it: they see no northbound. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ServiceKey, SubnetName};
use crate::plan::Refusal;

/// Endpoints of one Subnet, of at most some 60 bytes each: an object's annotations may have 256 KiB (Kubernetes API).
const ENDPOINTS: usize = 1000;

/// By subnet the words of its annotation, in order: `address` where its switch has no port of the address,
/// `address@node` where the port is not on that node.
pub fn undeliverable(refusals: &BTreeMap<ServiceKey, BTreeSet<Refusal>>) -> BTreeMap<SubnetName, String> {
    let mut words: BTreeMap<SubnetName, BTreeSet<String>> = BTreeMap::new();
    for refusal in refusals.values().flatten() {
        if let Refusal::BackendNoPort { address, subnet } = refusal {
            words.entry(subnet.clone()).or_default().insert(address.to_string());
        }
        if let Refusal::BackendElsewhere { address, node, subnet } = refusal {
            words.entry(subnet.clone()).or_default().insert(format!("{address}@{node}"));
        }
    }
    let text = |words: BTreeSet<String>| words.into_iter().take(ENDPOINTS).collect::<Vec<_>>().join("\n");
    words.into_iter().map(|(subnet, words)| (subnet, text(words))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_is_named_once_in_its_subnet() {
        let (a, b) = ("10.0.0.7".parse().unwrap(), "10.0.0.8".parse().unwrap());
        let subnet = || SubnetName::from("underlay");
        let missing = || Refusal::BackendNoPort { address: a, subnet: subnet() };
        let elsewhere = || Refusal::BackendElsewhere { address: b, node: "node1".into(), subnet: subnet() };
        let refusals = BTreeMap::from([
            (ServiceKey::new("d", "x"), BTreeSet::from([missing(), Refusal::NoVip])),
            (ServiceKey::new("d", "y"), BTreeSet::from([missing(), elsewhere()])),
        ]);
        let words = BTreeMap::from([(subnet(), "10.0.0.7\n10.0.0.8@node1".to_owned())]);
        assert_eq!(undeliverable(&refusals), words);
    }
}
