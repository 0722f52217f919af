//! A controller beside kube-ovn-controller's stand-in: both, their northbound, and the clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ovn_vip::controller::heard::Silent;
use ovn_vip::controller::truth::served;
use ovn_vip::kube::marks::Served;
use ovn_vip::model::{
    Change, Endpoint, EndpointSlice, Family, Object, Protocol, Service, ServiceKey, ServicePort, SliceKey,
    SlicePort,
};
use ovn_vip::ovsdb::{Datum, Operation, Replica};
use uuid::Uuid;

use super::super::kube_ovn::{self, KubeOvn, LOCAL, Release, Rows, Write};
use super::super::{Beside, Step, history};

const STEP: Duration = Duration::from_millis(100);

/// Both controllers, their northbound, and the clock.
pub struct Together {
    pub beside: Beside,
    pub kube_ovn: KubeOvn,
    pub now: Duration,
    /// The Services that kube-ovn-controller has yet to look at, and those of which it has yet to look at the endpoints:
    /// one of each at a time.
    pub woken: VecDeque<String>,
    pub endpoints: VecDeque<String>,
    /// What stands on each Service.
    pub said: BTreeMap<ServiceKey, Served>,
    /// Our transactions, and our writes to Services.
    pub transactions: usize,
    pub sayings: usize,
    /// How long nobody had it.
    pub dark: BTreeMap<SocketAddr, Duration>,
    pub rows_made: u128,
    /// A node that announces what is delivered on it, where there is one.
    pub speaker: Option<Speaker>,
}

/// A speaker as Kube-OVN sees it: its ServiceL2Status comes with delivery, and goes a moment after it.
#[derive(Default)]
pub struct Speaker {
    /// Whether `node-node1` is bound to its chassis.
    pub has_port: bool,
    pub announces: bool,
    /// How often that changed.
    pub tellings: usize,
    undelivered: Duration,
}

/// As long as a speaker waits for delivery that is gone (`flows::delivery`).
const LOSS_GRACE: Duration = Duration::from_millis(200);

pub fn vips(dual_stack: bool) -> Vec<IpAddr> {
    [history::v4(250), history::v6(250)].into_iter().take(if dual_stack { 2 } else { 1 }).collect()
}

/// Services on the same VIPs, each with a port of its own, from 80 up.
pub fn services(names: &[&str], dual_stack: bool, template: bool) -> Vec<kube_ovn::Service> {
    let service = |(number, name): (usize, &&str)| kube_ovn::Service {
        name: (*name).to_owned(),
        cluster_ips: vec![IpAddr::from([10, 96, 0, number as u8 + 10])],
        vips: vips(dual_stack),
        port: 80 + number as u16,
        backends: vec![
            (SocketAddr::new(history::v4(111), 8000), "p111.default".into()),
            (SocketAddr::new(history::v6(111), 8000), "p111.default".into()),
        ],
        template,
        chassis: BTreeMap::new(),
    };
    names.iter().enumerate().map(service).collect()
}

/// The same Services as the cluster has them.
pub fn objects(service: &kube_ovn::Service) -> Vec<Object> {
    let ports = vec![ServicePort { name: "web".into(), protocol: Protocol::Tcp, port: service.port }];
    let object = Service { ports, ..history::bare(&service.name, service.vips.iter().copied().collect()) };
    let slice = |(backend, _): &(SocketAddr, String)| {
        let family = Family::of(backend.ip());
        let endpoint = Endpoint {
            address: backend.ip(),
            node: Some("node1".into()),
            ready: true,
            serving: true,
            terminating: false,
        };
        Object::EndpointSlice(EndpointSlice {
            key: SliceKey::new("default", &format!("{}-{family:?}", service.name)),
            service: object.key.clone(),
            family,
            ports: vec![SlicePort { name: "web".into(), protocol: Protocol::Tcp, port: backend.port() }],
            endpoints: vec![endpoint],
        })
    };
    let slices = service.backends.iter().map(slice);
    [Object::Service(object.clone())].into_iter().chain(slices).collect()
}

impl Together {
    /// Kube-OVN was there before us, with or without its native path, beside the OVN that it ships.
    pub fn start(release: Release, native: bool, services: Vec<kube_ovn::Service>) -> Self {
        Self::start_on("25.03.4-20.41.0-78.9", release, native, services)
    }

    pub fn start_on(northd: &str, release: Release, native: bool, services: Vec<kube_ovn::Service>) -> Self {
        let mut northbound =
            history::northbound_with(&[("northd_internal_version", northd), ("ls_dnat_mod_dl_dst", "true")]);
        northbound.tables.get_mut("Load_Balancer").unwrap().clear();
        let mut together = Self {
            beside: Beside::start(northbound),
            kube_ovn: KubeOvn { release, native, services, announcer: None },
            speaker: None,
            now: Duration::ZERO,
            woken: VecDeque::new(),
            endpoints: VecDeque::new(),
            said: BTreeMap::new(),
            transactions: 0,
            sayings: 0,
            dark: BTreeMap::new(),
            rows_made: 0,
        };
        together.restart();
        let objects = together.kube_ovn.services.iter().flat_map(objects);
        for object in history::base().into_iter().chain(objects) {
            together.beside.take(&Step::Cluster(Box::new(Change::Apply(object))));
        }
        together.pass(10);
        together
    }

    pub fn restart(&mut self) {
        let writes = self.kube_ovn.start(&self.rows());
        self.execute(writes);
    }

    pub fn switch(&mut self, native: bool) {
        self.kube_ovn.native = native;
        self.restart();
    }

    /// Somebody writes to a Service.
    pub fn touch(&mut self, name: &str) {
        if !self.woken.iter().any(|woken| woken == name) {
            self.woken.push_back(name.to_owned());
        }
    }

    pub fn wake(&mut self) {
        let endpoints = self.endpoints.pop_front();
        if let Some(name) = self.woken.pop_front() {
            let (writes, is_missing) = self.kube_ovn.service_updated(&name, &self.rows());
            self.execute(writes);
            self.endpoints.extend(is_missing.then_some(name));
        }
        if let Some(name) = endpoints {
            let writes = self.kube_ovn.endpoints_updated(&name, &self.rows());
            self.execute(writes);
        }
    }

    /// Lets seconds pass, and forgets how much was written before them.
    pub fn pass(&mut self, seconds: u32) {
        (self.transactions, self.sayings) = (0, 0);
        self.dark.clear();
        if let Some(speaker) = &mut self.speaker {
            speaker.tellings = 0;
        }
        for step in 0..seconds * 10 {
            self.wake();
            self.beside.reconciler.advance(self.now);
            self.transactions += self.beside.converge().len();
            self.count_holders();
            self.speak();
            if step % 10 == 9 {
                self.say();
            }
            self.now += STEP;
        }
    }

    /// The port `node-node1` is there, bound to a chassis or not, and a speaker tells what it announces.
    pub fn put_speaker(&mut self, has_port: bool) {
        let southbound = history::southbound_with_node_port(has_port);
        let changes = Replica::new().become_level_with(southbound.clone());
        self.beside.reconciler.southbound_changed(&southbound, &changes);
        self.speaker.get_or_insert_default().has_port = has_port;
        self.kube_ovn.announcer.get_or_insert_default();
    }

    /// The same, without a southbound: nobody tells where the port is.
    pub fn put_speaker_unseen(&mut self, has_port: bool) {
        self.speaker.get_or_insert_default().has_port = has_port;
        self.kube_ovn.announcer.get_or_insert_default();
    }

    fn speak(&mut self) {
        let (keys, holders) = (self.keys(), |key: &SocketAddr| self.holder(*key));
        let is_delivered = |row: String, key: &SocketAddr, speaker: &Speaker| {
            let ids = self.column(&row, "external_ids");
            speaker.has_port || row.ends_with("/tcp") || !ids.contains_key(&format!("{LOCAL}{key}"))
        };
        let delivered = self.speaker.as_ref().map(|speaker| {
            keys.iter().all(|key| holders(key).is_some_and(|row| is_delivered(row, key, speaker)))
        });
        let Some((speaker, delivered)) = self.speaker.as_mut().zip(delivered) else { return };
        speaker.undelivered = if delivered { Duration::ZERO } else { speaker.undelivered + STEP };
        let announces = delivered || (speaker.announces && speaker.undelivered <= LOSS_GRACE);
        if std::mem::replace(&mut speaker.announces, announces) != announces {
            speaker.tellings += 1;
            self.kube_ovn.announcer = Some(announces.then(|| "node1".to_owned()));
            let names = self.kube_ovn.services.iter().map(|service| service.name.clone());
            self.endpoints.extend(names);
        }
    }

    /// As the controller does it, once a second.
    pub fn say(&mut self) {
        let reconciler = &self.beside.reconciler;
        let served = reconciler.outcomes().iter().filter_map(|(key, outcome)| {
            let refusals = reconciler.refusals().get(key);
            Some((key.clone(), served(reconciler.world(), &Silent::new(), outcome, refusals)?))
        });
        let new: Vec<_> = served.filter(|(key, served)| self.said.get(key) != Some(served)).collect();
        for (key, served) in new {
            let name = key.to_string().trim_start_matches("default/").to_owned();
            self.said.insert(key, served);
            self.sayings += 1;
            self.touch(&name);
        }
    }

    pub fn rows(&self) -> Rows {
        let row = |row: &BTreeMap<String, Datum>| {
            let name = row["name"].as_str().unwrap().to_owned();
            let vips = row.get("vips").into_iter().flat_map(Datum::string_map);
            (name, vips.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        };
        self.beside.northbound.rows("Load_Balancer").map(|(_, found)| row(found)).collect()
    }

    /// The row that has a key, a template's too. Never two.
    pub fn holder(&self, key: SocketAddr) -> Option<String> {
        let template = |name: &str, key: &str| -> Option<SocketAddr> {
            let (_, number) =
                name.split_once(':').and(key.strip_prefix('^')?.rsplit_once('_')?.0.rsplit_once('_'))?;
            let vip = *vips(true).get(number.parse::<usize>().ok()?)?;
            Some(SocketAddr::new(vip, key.rsplit_once(':')?.1.parse().ok()?))
        };
        let has =
            |name: &str, found: &String| found.parse().ok().or_else(|| template(name, found)) == Some(key);
        let rows = self.rows();
        let mut holders = rows.into_iter().filter(|(name, vips)| vips.keys().any(|found| has(name, found)));
        let holder = holders.next().map(|(name, _)| name);
        assert_eq!(holders.next(), None, "{key} is in two rows, {holder:?} and this");
        holder
    }

    pub fn keys(&self) -> Vec<SocketAddr> {
        let services = self.kube_ovn.services.iter();
        services
            .flat_map(|service| service.vips.iter().map(|vip| SocketAddr::new(*vip, service.port)))
            .collect()
    }

    pub fn count_holders(&mut self) {
        for key in self.keys().into_iter().filter(|key| self.holder(*key).is_none()).collect::<Vec<_>>() {
            *self.dark.entry(key).or_default() += STEP;
        }
    }

    /// How many keys we have.
    pub fn ours(&self) -> usize {
        let holders = self.keys().into_iter().filter_map(|key| self.holder(key));
        holders.filter(|name| name.ends_with("/tcp")).count()
    }

    pub fn longest_dark(&self) -> Duration {
        self.dark.values().copied().max().unwrap_or_default()
    }

    pub fn uuid_of(&self, row: &str) -> Uuid {
        let named = |(_, found): &(&Uuid, &BTreeMap<String, Datum>)| found["name"].as_str() == Some(row);
        *self.beside.northbound.rows("Load_Balancer").find(named).unwrap().0
    }

    pub fn column(&self, row: &str, column: &str) -> BTreeMap<String, String> {
        let uuid = self.uuid_of(row);
        let (_, found) =
            self.beside.northbound.rows("Load_Balancer").find(|(name, _)| **name == uuid).unwrap();
        let pairs = found.get(column).into_iter().flat_map(Datum::string_map);
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    pub fn set(&mut self, row: &str, column: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut pairs = self.column(row, column);
        change(&mut pairs);
        let datum = Datum::map(pairs.iter().map(|(key, value)| (&**key, &**value)));
        self.commit(history::interference::edit(self.uuid_of(row), column, datum));
    }

    pub fn commit(&mut self, operation: Operation) {
        let changes = self.beside.northbound.commit(&[operation]);
        let replica = self.beside.northbound.replica();
        self.beside.reconciler.northbound_changed(replica, &changes);
    }

    pub fn insert(&mut self, table: &str, row: BTreeMap<String, Datum>) {
        self.rows_made += 1;
        let uuid = Some(Uuid::from_u128(0x4000_0000_0000_0000_0000 + self.rows_made));
        self.commit(Operation::Insert { table: table.into(), uuid, row, uuid_name: None });
    }

    pub fn execute(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Create { row, external_ids } => {
                    let ids = Datum::map(external_ids.iter().map(|(key, value)| (&**key, &**value)));
                    let columns =
                        [("name", row.as_str().into()), ("protocol", "tcp".into()), ("external_ids", ids)];
                    let columns = columns.map(|(column, datum): (&str, Datum)| (column.to_owned(), datum));
                    self.insert("Load_Balancer", columns.into());
                }
                Write::Delete { row } => {
                    self.commit(history::interference::delete("Load_Balancer", self.uuid_of(&row)));
                }
                Write::SetOption { row, key, value } => {
                    self.set(&row, "options", |it| drop(it.insert(key.to_owned(), value)));
                }
                Write::AddVip { row, key, backends } => {
                    self.set(&row, "vips", |vips| drop(vips.insert(key, backends)));
                }
                Write::DeleteVip { row, key } => self.set(&row, "vips", |vips| drop(vips.remove(&key))),
                Write::Map { row, address, port } => {
                    self.set(&row, "ip_port_mappings", |it| drop(it.insert(address, port)));
                }
                Write::Mark { row, key, port } => self.set(&row, "external_ids", |it| {
                    let key = format!("{LOCAL}{key}");
                    drop(match port {
                        Some(port) => it.insert(key, port),
                        None => it.remove(&key),
                    });
                }),
                Write::SetVariable { chassis, name, value } => {
                    assert_eq!(chassis, None, "one row has them all");
                    self.set_variable(&name, &value);
                }
            }
        }
    }

    pub fn set_variable(&mut self, name: &str, value: &str) {
        let table = "Chassis_Template_Var";
        let found = self.beside.northbound.rows(table).next();
        let Some((uuid, row)) = found.map(|(uuid, row)| (*uuid, row.clone())) else {
            return self.insert(table, [("variables".to_owned(), Datum::map([(name, value)]))].into());
        };
        let pairs = row["variables"].string_map().filter(|(found, _)| *found != name);
        let variables = Datum::map(pairs.chain([(name, value)]));
        let row = BTreeMap::from([("variables".to_owned(), variables)]);
        let condition = vec![ovn_vip::ovsdb::Condition::uuid(uuid)];
        self.commit(Operation::Update { table: table.into(), condition, row });
    }
}
