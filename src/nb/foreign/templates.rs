//! Rows whose VIPs are template variables (ovn-nb(5), `options:template`): the addresses are in Chassis_Template_Var.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use crate::nb::rows::{TEMPLATE_VAR, map};
use crate::ovsdb::{Replica, Row};

/// The variables that rows name as VIPs, with each chassis' value.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    rows: BTreeMap<Uuid, BTreeSet<Template>>,
    named: BTreeMap<String, BTreeSet<Uuid>>,
    values: BTreeMap<String, BTreeMap<Uuid, String>>,
}

/// `^address:port`, `^address:^port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Template {
    address: String,
    port: String,
}

impl Templates {
    /// Takes a load balancer row in, or its end.
    pub(super) fn put(&mut self, uuid: Uuid, row: Option<&Row>, replica: &Replica) {
        let template = row.is_some_and(|row| {
            let options = row.get("options");
            options.and_then(|it| it.map_get("template")).is_some_and(|it| it.eq_ignore_ascii_case("true"))
        });
        let vips = row.filter(|_| template).map(|row| map(row, "vips")).unwrap_or_default();
        let new: BTreeSet<Template> = vips.keys().filter_map(|key| Template::read(key)).collect();
        let old = self.rows.remove(&uuid).unwrap_or_default();
        for name in old.iter().flat_map(Template::variables) {
            if let Some(rows) = self.named.get_mut(name) {
                rows.remove(&uuid);
                if rows.is_empty() {
                    self.named.remove(name);
                    self.values.remove(name);
                }
            }
        }
        for name in new.iter().flat_map(Template::variables) {
            let is_new = self.named.entry(name.to_owned()).or_default().insert(uuid);
            if is_new && !self.values.contains_key(name) {
                let value = |row: &Row| Some(row.get("variables")?.map_get(name)?.to_owned());
                let chassis = replica.rows(TEMPLATE_VAR);
                let values = chassis.filter_map(|(chassis, row)| Some((*chassis, value(row)?)));
                self.values.insert(name.to_owned(), values.collect());
            }
        }
        if !new.is_empty() {
            self.rows.insert(uuid, new);
        }
    }

    /// Takes a chassis' variables in; the rows whose VIPs are others now.
    pub(super) fn put_variables(&mut self, chassis: Uuid, variables: Option<&Row>) -> BTreeSet<Uuid> {
        let variables = variables.and_then(|row| row.get("variables"));
        let mut altered = BTreeSet::new();
        for (name, values) in &mut self.values {
            let new = variables.and_then(|variables| variables.map_get(name));
            if values.get(&chassis).map(String::as_str) == new {
                continue;
            }
            match new {
                Some(new) => values.insert(chassis, new.to_owned()),
                None => values.remove(&chassis),
            };
            altered.extend(self.named.get(name).into_iter().flatten());
        }
        altered
    }

    /// What a row's VIPs are, on any chassis.
    pub(super) fn keys(&self, uuid: Uuid) -> BTreeSet<SocketAddr> {
        let templates = self.rows.get(&uuid).into_iter().flatten();
        templates.flat_map(|template| self.resolved(template)).collect()
    }

    fn resolved(&self, template: &Template) -> impl Iterator<Item = SocketAddr> {
        let addresses = self.values.get(&template.address).into_iter().flatten();
        addresses.filter_map(|(chassis, address)| {
            let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
            let port = match template.port.strip_prefix('^') {
                Some(variable) => self.values.get(variable)?.get(chassis)?,
                None => &template.port,
            };
            Some(SocketAddr::new(address, port.parse().ok()?))
        })
    }
}

impl Template {
    fn read(key: &str) -> Option<Self> {
        let (address, port) = key.strip_prefix('^')?.split_once(':')?;
        Some(Self { address: address.to_owned(), port: port.to_owned() })
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        [Some(&*self.address), self.port.strip_prefix('^')].into_iter().flatten()
    }
}
