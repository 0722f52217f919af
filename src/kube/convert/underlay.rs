//! Kube-OVN's Vlans and ProviderNetworks.

use std::collections::BTreeSet;

use super::{Converted, Notes};
use crate::kube::{Kind, Problem, crd};
use crate::model::{CustomInterface, InterfaceName, NodeName, Object, ProviderNetwork, Vlan, VlanId};

/// Longest name of a Linux interface: IFNAMSIZ (16) less the terminating zero.
const LONGEST_INTERFACE: usize = 15;

/// A Vlan. A tag or provider that cannot be makes it unusable: frames would leave in the wrong network.
pub fn vlan(object: &crd::Vlan, problems: &mut Vec<Problem>) -> Converted {
    let Some(notes) = Notes::of(Kind::Vlan, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::VlanSpec { id: number, provider } = &object.spec;
    let id = u16::try_from(*number).ok().and_then(VlanId::new);
    if id.is_none() && *number != 0 {
        return notes.unusable("spec.id", &number.to_string(), "write 1 to 4094, or 0 for untagged");
    }
    if provider.is_empty() {
        return notes.unusable("spec.provider", provider, "name the ProviderNetwork");
    }
    Converted::Object(Object::Vlan(Vlan { name: notes.name.into(), id, provider: provider.as_str().into() }))
}

/// A ProviderNetwork. Without a default interface it cannot be used; a bad custom one
/// makes it unusable too: its nodes would fall back to a NIC that is not theirs.
pub fn provider_network(object: &crd::ProviderNetwork, problems: &mut Vec<Problem>) -> Converted {
    let Some(mut notes) = Notes::of(Kind::ProviderNetwork, &object.metadata, problems) else {
        return Converted::Unusable;
    };
    let crd::ProviderNetworkSpec { default_interface, custom_interfaces, exclude_nodes, exchange_link_name } =
        &object.spec;
    let Some(default_interface) = notes.interface("spec.defaultInterface", default_interface) else {
        return Converted::Unusable;
    };
    let custom = custom_interfaces.iter().enumerate().map(|(i, entry)| {
        let crd::CustomInterface { interface, nodes } = entry;
        let interface = notes.interface(format!("spec.customInterfaces[{i}].interface"), interface)?;
        Some(CustomInterface { interface, nodes: names(nodes) })
    });
    let Some(custom_interfaces) = custom.collect() else { return Converted::Unusable };
    Converted::Object(Object::ProviderNetwork(ProviderNetwork {
        name: notes.name.into(),
        default_interface,
        custom_interfaces,
        exclude_nodes: names(exclude_nodes),
        exchange_link_name: *exchange_link_name,
    }))
}

fn names(nodes: &[String]) -> BTreeSet<NodeName> {
    nodes.iter().map(|node| NodeName::from(node.as_str())).collect()
}

impl Notes<'_> {
    fn interface(&mut self, field: impl Into<String>, text: &str) -> Option<InterfaceName> {
        let good = (1..=LONGEST_INTERFACE).contains(&text.len())
            && !text.contains(|c: char| c == '/' || c.is_whitespace());
        if !good {
            self.say(field, text, "write the name of a network interface, at most 15 characters");
        }
        good.then(|| text.into())
    }
}
