//! MetalLB's ConfigMap of 0.8 to 0.12 (its `internal/config/config.go` of 0.12.1 has the fields).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::AddressRange;
use crate::plan::Severity;

use super::addresses::{Taken, parse};
use super::bgp;
use super::fields::{Fields, Findings};
use super::name::object_name;
use super::{Imported, METALLB_NAMESPACE, Manifest};

/// Autonomous system numbers have four octets (RFC 6793), and none of them is 0 (RFC 7607).
const LARGEST_ASN: u64 = u32::MAX as u64;

/// Brings a ConfigMap's `config` over. `namespace`: the ConfigMap's own, which the objects are to be in.
pub fn metallb_configmap(config: &Value, namespace: Option<&str>) -> Imported {
    let findings = Findings::default();
    let namespace = namespace.unwrap_or(METALLB_NAMESPACE);
    let fields = Fields::of("ConfigMap config", String::new(), config, &findings);
    let communities = fields.value("bgp-communities").and_then(Value::as_object);
    let communities = communities.into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let mut import = Import { namespace, taken: Taken::default(), names: BTreeMap::new(), communities };
    let mut manifests = Vec::new();
    import.pools(&fields, &mut manifests);
    import.peers(&fields, &mut manifests);
    import.bfd_profiles(&fields, &mut manifests);
    import.communities(&fields, &mut manifests);
    fields.finish();
    Imported { manifests, findings: findings.finish() }
}

struct Import<'a> {
    namespace: &'a str,
    taken: Taken,
    /// The names that are taken, by kind.
    names: BTreeMap<&'static str, BTreeSet<String>>,
    /// The names that `bgp-communities` gives.
    communities: BTreeSet<String>,
}

/// How a pool was announced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    Layer2,
    Bgp,
}

impl Import<'_> {
    fn pools(&mut self, fields: &Fields<'_>, manifests: &mut Vec<Manifest>) {
        let mut by_layer2 = Vec::new();
        let mut advertisements = Vec::new();
        for pool in fields.inner_list("address-pools") {
            let Some((name, comment)) = self.name(&pool, "IPAddressPool") else { continue };
            let announced = announced(&pool);
            let mut spec = Map::new();
            spec.insert("addresses".into(), json!(self.addresses(&pool, &name)));
            put(&mut spec, "autoAssign", pool.flag("auto-assign"));
            put(&mut spec, "avoidBuggyIPs", pool.flag("avoid-buggy-ips"));
            let mut manifest =
                Manifest::new(self.object("metallb.io/v1beta1", "IPAddressPool", &name, spec.into()));
            manifest.comments.extend(comment);
            manifests.push(manifest);
            let bgp = pool.inner_list("bgp-advertisements");
            match announced {
                Some(Announced::Layer2) => {
                    if !bgp.is_empty() {
                        pool.wrong("bgp-advertisements", "is for pools of protocol bgp", "take it out");
                    }
                    by_layer2.push(name);
                }
                Some(Announced::Bgp) => advertisements.extend(self.bgp_advertisements(&pool, &name, bgp)),
                None => {}
            }
            pool.finish();
        }
        for (number, spec) in advertisements.into_iter().enumerate() {
            let name = format!("bgpadvertisement{}", number + 1);
            manifests.push(Manifest::new(self.object("metallb.io/v1beta1", "BGPAdvertisement", &name, spec)));
        }
        if !by_layer2.is_empty() {
            let spec = json!({ "ipAddressPools": by_layer2 });
            let object = self.object("metallb.io/v1beta1", "L2Advertisement", "l2advertisement1", spec);
            manifests.push(Manifest::new(object));
        }
    }

    /// The pool's ranges that can be read, each in no other pool.
    fn addresses(&mut self, pool: &Fields<'_>, name: &str) -> Vec<String> {
        let texts = pool.texts("addresses");
        if texts.is_empty() {
            pool.wrong("addresses", "has no entry", "write a CIDR, or a range FIRST-LAST");
        }
        let mut kept = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let field = format!("addresses[{index}]");
            match parse(&text) {
                Ok(range) => match self.taken.take(name, range) {
                    Ok(()) => kept.push(text),
                    Err(other) => {
                        let what = format!("{text} overlaps with addresses of pool {other}");
                        pool.wrong(&field, &what, "let each address be in one pool");
                    }
                },
                Err(why) => {
                    pool.wrong(&field, &format!("is {text}: {why}"), "write a CIDR, or a range FIRST-LAST")
                }
            }
        }
        kept
    }

    fn bgp_advertisements(&self, pool: &Fields<'_>, name: &str, found: Vec<Fields<'_>>) -> Vec<Value> {
        let what = format!(
            "is bgp: ovn-vip answers ARP and neighbour discovery, so MetalLB's speaker has to announce pool {name}"
        );
        pool.say(
            Severity::Warning,
            "AnnouncedByBgp",
            "protocol",
            &what,
            "keep MetalLB's speaker for it, or write layer2",
        );
        let pools = json!([name]);
        if found.is_empty() {
            return vec![json!({ "ipAddressPools": pools })];
        }
        let ranges: Vec<AddressRange> =
            pool.texts("addresses").iter().filter_map(|text| parse(text).ok()).collect();
        let spec = |fields: Fields<'_>| {
            bgp::review_advertisement(&fields, &ranges, &self.communities);
            let mut spec = Map::new();
            spec.insert("ipAddressPools".into(), pools.clone());
            put(&mut spec, "aggregationLength", fields.number("aggregation-length", 0, 32));
            put(&mut spec, "aggregationLengthV6", fields.number("aggregation-length-v6", 0, 128));
            put(&mut spec, "localPref", fields.number("localpref", 0, u64::from(u32::MAX)));
            let communities = fields.texts("communities");
            put(&mut spec, "communities", (!communities.is_empty()).then_some(communities));
            fields.finish();
            spec.into()
        };
        found.into_iter().map(spec).collect()
    }

    fn peers(&mut self, fields: &Fields<'_>, manifests: &mut Vec<Manifest>) {
        let profiles = fields.inner_list("bfd-profiles");
        let profiles: BTreeSet<String> = profiles.iter().filter_map(|profile| profile.text("name")).collect();
        let mut made: Vec<Value> = Vec::new();
        for (number, peer) in fields.inner_list("peers").into_iter().enumerate() {
            let name = format!("peer{}", number + 1);
            let mut spec = Map::new();
            put(&mut spec, "myASN", required_number(&peer, "my-asn"));
            put(&mut spec, "peerASN", required_number(&peer, "peer-asn"));
            put(&mut spec, "peerAddress", peer.required("peer-address"));
            put(&mut spec, "sourceAddress", peer.text("source-address"));
            // 0 is what is not written.
            put(&mut spec, "peerPort", peer.number("peer-port", 0, 65535).filter(|port| *port != 0));
            put(&mut spec, "holdTime", peer.text("hold-time"));
            put(&mut spec, "keepaliveTime", peer.text("keepalive-time"));
            put(&mut spec, "routerID", peer.text("router-id"));
            put(&mut spec, "ebgpMultiHop", peer.flag("ebgp-multihop"));
            let profile = peer.text("bfd-profile").and_then(|profile| object_name(&profile));
            put(&mut spec, "bfdProfile", profile);
            let selectors: Vec<Value> =
                peer.inner_list("node-selectors").into_iter().map(node_selector).collect();
            put(&mut spec, "nodeSelectors", (!selectors.is_empty()).then_some(selectors));
            bgp::review_peer(&peer, &profiles);
            if bgp::is_twice(&made, &peer, &spec) {
                continue;
            }
            made.push(spec.clone().into());
            if let Some(password) = peer.text("password").filter(|password| !password.is_empty()) {
                let secret = format!("{name}-password");
                spec.insert("passwordSecret".into(), json!({ "name": secret }));
                manifests.push(self.password(&peer, &secret, &password));
            }
            peer.finish();
            manifests.push(Manifest::new(self.object("metallb.io/v1beta2", "BGPPeer", &name, spec.into())));
        }
    }

    /// A peer's password, where only those who may read Secrets can.
    fn password(&self, peer: &Fields<'_>, name: &str, password: &str) -> Manifest {
        let cure = "apply it with the rest, and do not keep the printed text";
        peer.say(Severity::Info, "PasswordMoved", "password", &format!("goes into Secret {name}"), cure);
        let metadata = json!({ "name": name, "namespace": self.namespace });
        let data = json!({ "password": password });
        Manifest::new(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
            "type": "kubernetes.io/basic-auth", "stringData": data,
        }))
    }

    fn bfd_profiles(&mut self, fields: &Fields<'_>, manifests: &mut Vec<Manifest>) {
        for profile in fields.inner_list("bfd-profiles") {
            let Some((name, comment)) = self.name(&profile, "BFDProfile") else { continue };
            let mut spec = Map::new();
            put(&mut spec, "receiveInterval", profile.number("receive-interval", 10, 60_000));
            put(&mut spec, "transmitInterval", profile.number("transmit-interval", 10, 60_000));
            put(&mut spec, "detectMultiplier", profile.number("detect-multiplier", 2, 255));
            put(&mut spec, "echoInterval", profile.number("echo-interval", 10, 60_000));
            put(&mut spec, "echoMode", profile.flag("echo-mode"));
            put(&mut spec, "passiveMode", profile.flag("passive-mode"));
            put(&mut spec, "minimumTtl", profile.number("minimum-ttl", 1, 254));
            profile.finish();
            let mut manifest =
                Manifest::new(self.object("metallb.io/v1beta1", "BFDProfile", &name, spec.into()));
            manifest.comments.extend(comment);
            manifests.push(manifest);
        }
    }

    fn communities(&self, fields: &Fields<'_>, manifests: &mut Vec<Manifest>) {
        let Some(found) = fields.value("bgp-communities") else { return };
        let Some(found) = found.as_object() else {
            return fields.wrong("bgp-communities", "is no mapping", "write NAME: NUMBER:NUMBER");
        };
        let named: BTreeMap<&String, &Value> = found.iter().collect();
        for (name, value) in &named {
            if !value.as_str().is_some_and(bgp::is_community) {
                let what = format!("is {value}");
                fields.wrong(
                    &format!("bgp-communities.{name}"),
                    &what,
                    "write two numbers up to 65535, as 64512:100",
                );
            }
        }
        let aliases: Vec<Value> =
            named.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let spec = json!({ "communities": aliases });
        manifests.push(Manifest::new(self.object("metallb.io/v1beta1", "Community", "communities", spec)));
    }

    /// The name of an object, and a comment where it had to be another. A name that is there already is a finding.
    fn name(&mut self, fields: &Fields<'_>, kind: &'static str) -> Option<(String, Option<String>)> {
        let given = fields.required("name")?;
        let Some(name) = object_name(&given) else {
            fields.wrong(
                "name",
                &format!("is {given}: Kubernetes takes no such name"),
                "use small letters, digits and -",
            );
            return None;
        };
        if !self.names.entry(kind).or_default().insert(name.clone()) {
            fields.wrong(
                "name",
                &format!("is {given}: another {kind} has the name {name}"),
                "give it a name of its own",
            );
            return None;
        }
        let renamed = name != given;
        if renamed {
            let what = format!("is {given}, which Kubernetes does not take: it is {name} now");
            let cure = match kind {
                "IPAddressPool" => {
                    "use the new name in the annotation metallb.io/address-pool of Services, if any has the old one"
                }
                _ => "where a BGPPeer that is written by hand names it, use the new name there",
            };
            fields.say(Severity::Warning, "Renamed", "name", &what, cure);
        }
        Some((name, renamed.then(|| format!("It was named {given}."))))
    }

    fn object(&self, api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
        let metadata = json!({ "name": name, "namespace": self.namespace });
        json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec })
    }
}

fn announced(pool: &Fields<'_>) -> Option<Announced> {
    match pool.required("protocol")?.as_str() {
        "layer2" => Some(Announced::Layer2),
        "bgp" => Some(Announced::Bgp),
        other => {
            pool.wrong("protocol", &format!("is {other}"), "write layer2 or bgp");
            None
        }
    }
}

fn required_number(peer: &Fields<'_>, name: &'static str) -> Option<u64> {
    if peer.value(name).is_none() {
        peer.wrong(name, "is missing", "write it");
    }
    peer.number(name, 1, LARGEST_ASN)
}

fn node_selector(fields: Fields<'_>) -> Value {
    let mut selector = Map::new();
    put(&mut selector, "matchLabels", fields.value("match-labels").cloned());
    let expressions: Vec<Value> = fields
        .inner_list("match-expressions")
        .into_iter()
        .map(|expression| {
            let (key, operator) = (expression.required("key"), expression.required("operator"));
            let mut made = Map::new();
            put(&mut made, "key", key);
            put(&mut made, "operator", operator);
            let values = expression.texts("values");
            put(&mut made, "values", (!values.is_empty()).then_some(values));
            expression.finish();
            made.into()
        })
        .collect();
    put(&mut selector, "matchExpressions", (!expressions.is_empty()).then_some(expressions));
    fields.finish();
    selector.into()
}

fn put(map: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}
