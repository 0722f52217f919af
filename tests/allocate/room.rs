//! An allocator and a world, with somebody who writes what it decides into the Services as the API server would have it.

use std::time::Duration;

use ovn_vip::allocate::{Allocator, Scope, Step, Verdict};
use ovn_vip::kube::{Converted, Kind};
use ovn_vip::model::{Change, ObjectKey, ServiceKey, World};
use serde_json::{Value, json};

/// All of it.
pub struct Room {
    pub world: World,
    pub allocator: Allocator,
    pub steps: Vec<Step>,
    pub objects: std::collections::BTreeMap<String, Value>,
    pub now: Duration,
}

impl Room {
    /// With the Subnets and pools of a small cluster: `underlay` 10.0.0.0/24 and fd00::/64, of which .200 to .254 and
    /// ::c8 to ::fe are for VIPs.
    pub fn with(objects: &[Value]) -> Self {
        let mut room = Self::empty();
        room.apply(subnet("underlay", &["10.0.0.200..10.0.0.254", "fd00::c8..fd00::fe", "10.0.0.1"]));
        objects.iter().for_each(|object| room.apply(object.clone()));
        room.settle();
        room
    }

    pub fn empty() -> Self {
        Self::of(Scope::Everybody)
    }

    pub fn of(scope: Scope) -> Self {
        Self {
            world: World::default(),
            allocator: Allocator::new(scope),
            steps: Vec::new(),
            objects: Default::default(),
            now: Duration::ZERO,
        }
    }

    /// An object is made or changed. A Service keeps its status, unless it says one.
    pub fn apply(&mut self, mut object: Value) {
        let kind = kind_of(&object);
        let key = kind.key_of(&object).unwrap();
        if kind == Kind::Service {
            complete(&mut object, self.objects.get(&key.to_string()));
        }
        let mut problems = Vec::new();
        let change = match kind.read(&object, &mut problems) {
            Converted::Object(object) => Change::Apply(object),
            Converted::NotOurs(key) => Change::Remove(key),
            Converted::Unusable => {
                self.objects.insert(key.to_string(), object);
                return self.unread(&key);
            }
        };
        self.objects.insert(key.to_string(), object);
        self.allocator.note(&self.world, &change);
        self.world.apply(change);
    }

    /// An object is there that nobody can read. What was known of it before still stands.
    fn unread(&mut self, key: &ObjectKey) {
        let ObjectKey::AddressPool(pool) = key else { return };
        if !self.world.pools().any(|known| known.key == *pool) {
            let mut gaps = self.world.gaps().clone();
            gaps.pools.insert(pool.name.clone());
            self.tell(Change::Gaps(gaps));
        }
    }

    /// Something is told.
    pub fn tell(&mut self, change: Change) {
        self.allocator.note(&self.world, &change);
        self.world.apply(change);
    }

    /// An object is deleted.
    pub fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = kind.key(namespace, name);
        self.objects.remove(&key.to_string());
        let change = Change::Remove(key);
        self.allocator.note(&self.world, &change);
        self.world.apply(change);
    }

    /// Decides, and writes it, until there is nothing more to decide.
    pub fn settle(&mut self) {
        for _ in 0..10 {
            self.steps.extend(self.allocator.settle(&self.world, None, self.now));
            let changed = self.allocator.take_changed();
            if changed.is_empty() {
                return;
            }
            changed.iter().for_each(|key| self.write(key));
        }
        panic!("it does not come to rest: {:?}", self.steps);
    }

    /// Writes what is decided of a Service.
    pub fn write(&mut self, key: &ServiceKey) {
        let Some(mut object) = self.objects.get(&format!("Service {key}")).cloned() else { return };
        let (ingress, pool) = match self.allocator.verdict(key) {
            Some(Verdict::Has { addresses, pool }) => {
                let entries = addresses.iter().map(|address| json!({ "ip": address, "ipMode": "VIP" }));
                (Value::from(entries.collect::<Vec<_>>()), json!(&*pool))
            }
            Some(Verdict::Waits) => (json!([]), Value::Null),
            Some(Verdict::LeftAlone) | None => return,
        };
        let before = object.clone();
        object["status"]["loadBalancer"]["ingress"] = ingress;
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("metallb.io/ip-allocated-from-pool");
        if !pool.is_null() {
            annotations.insert("metallb.io/ip-allocated-from-pool".into(), pool);
        }
        if object != before {
            self.apply(object);
        }
    }

    pub fn apply_and_settle(&mut self, object: Value) {
        self.apply(object);
        self.settle();
    }

    /// Forgets everything, and reads the same objects again: a restart, or another leader.
    pub fn restart(&mut self, scope: Scope) {
        let objects = std::mem::take(&mut self.objects);
        let now = self.now;
        *self = Self { now, ..Self::of(scope) };
        objects.into_values().for_each(|object| self.apply(object));
        self.settle();
    }

    /// What a Service has, by its status.
    pub fn has(&self, name: &str) -> Vec<String> {
        let key = if name.contains('/') { name.to_owned() } else { format!("default/{name}") };
        let object = &self.objects[&format!("Service {key}")];
        let ingress = object["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
        ingress.iter().map(|entry| entry["ip"].as_str().unwrap().to_owned()).collect()
    }

    pub fn annotation(&self, name: &str) -> Option<String> {
        let object = &self.objects[&format!("Service default/{name}")];
        object["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"].as_str().map(str::to_owned)
    }

    /// Why it has nothing, or not what it asks for.
    pub fn why(&self, name: &str) -> String {
        let key = ServiceKey::new("default", name);
        self.allocator.why(&key).map(ToString::to_string).unwrap_or_default()
    }
}

fn kind_of(object: &Value) -> Kind {
    Kind::of(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()).unwrap()
}

/// What the API server fills in, and what stood in the status.
fn complete(object: &mut Value, before: Option<&Value>) {
    object["metadata"]["annotations"].as_object_mut().map(|_| ()).unwrap_or_else(|| {
        object["metadata"]["annotations"] = json!({});
    });
    let Some(before) = before else { return };
    if object.get("status").is_none() {
        object["status"] = before["status"].clone();
        let name = "metallb.io/ip-allocated-from-pool";
        if let Some(pool) = before["metadata"]["annotations"].get(name) {
            object["metadata"]["annotations"][name] = pool.clone();
        }
    }
}

pub fn subnet(name: &str, exclude_ips: &[&str]) -> Value {
    json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": { "name": name },
        "spec": { "cidrBlock": "10.0.0.0/24,fd00::/64", "gateway": "10.0.0.1,fd00::1", "excludeIps": exclude_ips,
            "vlan": "vlan", "enableExternalLBAddress": true },
    })
}

pub fn pool(name: &str, addresses: &[&str]) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": { "namespace": "metallb-system", "name": name }, "spec": { "addresses": addresses },
    })
}

/// A Service of one family with port tcp/80.
pub fn service(name: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": namespace, "name": name, "uid": name, "annotations": {}, "labels": {} },
        "spec": { "type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{ "port": 80 }],
            "selector": { "app": name } },
    })
}

pub fn dual(name: &str, policy: &str) -> Value {
    let mut service = service(name);
    service["spec"]["clusterIPs"] = json!(["10.96.0.1", "fd96::1"]);
    service["spec"]["ipFamilyPolicy"] = json!(policy);
    service
}

/// The same with something else in it, by a path such as `spec.loadBalancerIP`; a dot in a name is written `~`.
pub fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut place = &mut object;
    for part in path.split('.') {
        place = &mut place[part.replace('~', ".")];
    }
    *place = value;
    object
}

/// With an annotation of MetalLB's.
pub fn annotated(object: Value, name: &str, value: &str) -> Value {
    with(object, &format!("metadata.annotations.metallb~io/{name}"), json!(value))
}
