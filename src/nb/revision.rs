//! How a row follows its backends' ports from chassis to chassis.
//!
//! Neither OVN notices by itself that a backend's port has moved (a VM's migration, a late binding):
//! Kube-OVN's northd groups backends by chassis only when it processes the row, so that any write to the row is
//! enough; upstream's ovn-controller expands `ct_lb_mark_local` only when the logical flow itself is another, so
//! that the row must come to another flow that means the same (measured: a written option repaired 0 of 12 moves,
//! another order of the backends 12 of 12).
//!
//! The option [`REVISION`] holds a digest of who is bound where, and a turn. A digest other than the row's own
//! takes the next turn, and each turn lists the same backends in another way. So it needs no memory but the row,
//! and a second run over the same network writes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::model::Port;

use super::rows::LoadBalancerRow;

/// `options` key: `<digest>.<turn>`.
pub const REVISION: &str = "ovn-vip-rev";

/// Three, so that two moves which northd takes in at once still come to another flow.
const TURNS: usize = 3;

/// A digest of who is bound where; `None` where no binding is known.
pub(super) fn digest(ports: &BTreeMap<IpAddr, Port>) -> Option<String> {
    if ports.values().all(|port| port.chassis.is_none()) {
        return None;
    }
    let mut digest = Sha256::new();
    for (address, port) in ports {
        digest.update(format!("{address} {} {:?}\n", port.name, port.chassis));
    }
    Some(digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect())
}

/// Brings the wanted row's revision level with the row that is there.
pub(super) fn settle(wanted: &mut LoadBalancerRow, found: Option<&LoadBalancerRow>) {
    let found = found.and_then(|found| found.options.get(REVISION)).map(|found| split(found));
    let digest = wanted.options.get(REVISION).cloned();
    let (digest, turn) = match (digest, found) {
        (None, None) => return,
        // Not to know who is bound where is no reason to write.
        (None, Some((digest, turn))) => (digest.to_owned(), turn),
        (Some(digest), None) => (digest, 0),
        (Some(digest), Some((old, turn))) => {
            let next = if digest == old { turn } else { (turn + 1) % TURNS };
            (digest, next)
        }
    };
    wanted.options.insert(REVISION.to_owned(), format!("{digest}.{turn}"));
    if wanted.options.contains_key("distributed") {
        wanted.vips.values_mut().for_each(|backends| *backends = turned(backends, turn));
    }
}

fn split(revision: &str) -> (&str, usize) {
    let (digest, turn) = revision.split_once('.').unwrap_or((revision, ""));
    (digest, turn.parse().map_or(0, |turn: usize| turn % TURNS))
}

/// The same backends, listed in another way on each turn: from another one on, or, where there are too few for
/// that, several times over.
fn turned(backends: &str, turn: usize) -> String {
    let mut list: Vec<&str> = backends.split(',').collect();
    if list.len() >= TURNS {
        list.rotate_left(turn);
        list.join(",")
    } else if backends.is_empty() {
        String::new()
    } else {
        list.repeat(turn + 1).join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(vips: &str, revision: Option<&str>) -> LoadBalancerRow {
        let options = revision.map(|revision| (REVISION.to_owned(), revision.to_owned()));
        LoadBalancerRow {
            vips: [("v".to_owned(), vips.to_owned())].into(),
            options: options.into_iter().chain([("distributed".to_owned(), "true".to_owned())]).collect(),
            ..LoadBalancerRow::default()
        }
    }

    fn settled(wanted: Option<&str>, found: Option<&str>) -> (String, Option<String>) {
        let mut wanted = row("a,b,c", wanted);
        settle(&mut wanted, found.map(|found| row("", Some(found))).as_ref());
        (wanted.vips["v"].clone(), wanted.options.get(REVISION).cloned())
    }

    #[test]
    fn a_row_is_listed_in_another_way_when_its_bindings_are_others_and_only_then() {
        assert_eq!(settled(Some("d1"), None), ("a,b,c".into(), Some("d1.0".into())));
        assert_eq!(settled(Some("d1"), Some("d1.0")), ("a,b,c".into(), Some("d1.0".into())));
        assert_eq!(settled(Some("d2"), Some("d1.0")), ("b,c,a".into(), Some("d2.1".into())));
        assert_eq!(settled(Some("d2"), Some("d2.1")), ("b,c,a".into(), Some("d2.1".into())));
        assert_eq!(settled(Some("d1"), Some("d2.1")), ("c,a,b".into(), Some("d1.2".into())));
        assert_eq!(settled(Some("d2"), Some("d1.2")), ("a,b,c".into(), Some("d2.0".into())));
    }

    #[test]
    fn without_a_southbound_the_row_stays_as_it_is() {
        assert_eq!(settled(None, Some("d1.1")), ("b,c,a".into(), Some("d1.1".into())));
        assert_eq!(settled(None, None), ("a,b,c".into(), None));
    }

    #[test]
    fn no_two_turns_list_a_few_backends_alike() {
        for backends in ["a", "a,b", "a,b,c", "a,b,c,d"] {
            let all: std::collections::BTreeSet<String> =
                (0..TURNS).map(|turn| turned(backends, turn)).collect();
            assert_eq!(all.len(), TURNS, "{backends}");
        }
        assert_eq!(turned("", 2), "");
    }

    #[test]
    fn somebody_elses_nonsense_in_the_option_is_no_reason_to_fail() {
        assert_eq!(settled(Some("d1"), Some("x.y.z")), ("b,c,a".into(), Some("d1.1".into())));
    }
}
