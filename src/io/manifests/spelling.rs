//! Fields that decisions stand on, written in other letters. An API server refuses or drops them; in a file they are only missed.

use serde_json::Value;

use crate::kube::{Kind, Problem};

/// Of a Subnet's `spec`.
const SUBNET: [&str; 8] = [
    "cidrBlock",
    "enableExternalLBAddress",
    "excludeIps",
    "gateway",
    "logicalGateway",
    "protocol",
    "provider",
    "vlan",
];

/// Each such field, with how it is written.
pub(super) fn misspelt(kind: Kind, value: &Value) -> Vec<Problem> {
    let Some(spec) = value["spec"].as_object().filter(|_| kind == Kind::Subnet) else { return Vec::new() };
    let Some(key) = kind.key_of(value) else { return Vec::new() };
    let right = |field: &str| SUBNET.into_iter().find(|known| known.eq_ignore_ascii_case(field));
    let wrong = spec.keys().filter_map(|field| Some((field, right(field).filter(|known| known != field)?)));
    wrong
        .map(|(field, known)| Problem {
            object: key.to_string(),
            field: format!("spec.{field}"),
            value: field.clone(),
            cure: format!("write {known}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_in_other_letters_is_named_with_the_right_ones() {
        let subnet = json!({ "metadata": { "name": "s" },
            "spec": { "excludeIPs": [], "enableExternalLbAddress": true, "vlan": "v", "natOutgoing": true } });
        let told: Vec<String> = misspelt(Kind::Subnet, &subnet)
            .into_iter()
            .map(|found| format!("{} {}", found.field, found.cure))
            .collect();
        assert_eq!(
            told,
            [
                "spec.excludeIPs write excludeIps",
                "spec.enableExternalLbAddress write enableExternalLBAddress"
            ]
        );
    }
}
