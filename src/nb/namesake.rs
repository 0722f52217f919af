//! Rows of ours under another cluster's name: two rows with one VIP and port on a switch are undefined in OVN.

use crate::model::World;
use crate::ovsdb::Replica;

use super::Owner;
use super::owner::{CLUSTER, SERVICE, UID};
use super::rows::{LOAD_BALANCER, map};

/// The name that rows of this cluster's own Services bear, where it is not this owner's. A Service is known by its uid, which
/// no two clusters share; without one by its name and an address.
pub fn other_name(owner: &Owner, replica: &Replica, world: &World) -> Option<String> {
    replica.rows(LOAD_BALANCER).find_map(|(_, row)| {
        let ids = row.get("external_ids")?;
        let name = ids.map_get(CLUSTER).filter(|name| *name != owner.cluster())?;
        let key = crate::model::ServiceKey::parse(ids.map_get(SERVICE)?)?;
        let service = world.service(&key)?;
        let is_it = match ids.map_get(UID) {
            Some(uid) if !service.uid.is_empty() => uid == service.uid,
            Some(_) | None => map(row, "vips").keys().any(|key| {
                let key: Option<std::net::SocketAddr> = key.parse().ok();
                key.is_some_and(|key| service.vips.contains(&key.ip()))
            }),
        };
        is_it.then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Object, Service, ServiceKey, Sources, TrafficPolicy};
    use serde_json::json;
    use std::collections::BTreeSet;

    fn world(uid: &str) -> World {
        let service = Service {
            key: ServiceKey::new("d", "web"),
            uid: uid.into(),
            created: None,
            labels: Default::default(),
            class: None,
            vips: BTreeSet::from(["10.0.0.9".parse().unwrap()]),
            first_vip: None,
            proxied: BTreeSet::new(),
            hostnames: BTreeSet::new(),
            external_ips: BTreeSet::new(),
            ports: Vec::new(),
            traffic_policy: TrafficPolicy::Cluster,
            client_ip_affinity: false,
            publish_not_ready: false,
            sources: Sources::Everybody,
            bad_ranges: BTreeSet::new(),
            request: Default::default(),
        };
        let mut world = World::default();
        world.apply(Change::Apply(Object::Service(service)));
        world
    }

    fn name_of(uid: &str, vip: &str, world: &World) -> Option<String> {
        let ids = json!([[CLUSTER, "old"], [SERVICE, "d/web"], [UID, uid]]);
        let row = json!({ "name": "d/web/tcp", "vips": ["map", [[vip, ""]]], "external_ids": ["map", ids] });
        let rows = json!({ LOAD_BALANCER: { "00000000-0000-0000-0000-000000000007": row } });
        other_name(&Owner::new("new", 0), &Replica::from_json(rows).unwrap(), world)
    }

    #[test]
    fn a_service_is_known_by_its_uid_and_without_one_by_name_and_address() {
        assert_eq!(name_of("u", "10.0.0.9:80", &world("u")).as_deref(), Some("old"));
        assert_eq!(name_of("v", "10.0.0.9:80", &world("u")), None, "another cluster's, of that name");
        assert_eq!(name_of("u", "10.0.0.9:80", &world("")).as_deref(), Some("old"));
        assert_eq!(name_of("u", "10.0.0.8:80", &world("")), None);
    }
}
