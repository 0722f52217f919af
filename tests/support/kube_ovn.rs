//! A stand-in for kube-ovn-controller: what its releases write into load balancer rows for Services of type LoadBalancer,
//! with `externalTrafficPolicy: Local`. Pure: the rows that are there go in, writes come out; who plays it executes them.
//!
//! Where a ServiceL2Status is read (1.15.20 and newer), each external VIP of the row is handed to the port of the node that
//! it names.
//!
//! Played after `gc.go`, `init.go`, `service.go` and `endpoint_slice.go` of v1.14.41 and v1.16.2, and
//! `service_load_balancer.go` of 1.17. TCP only, one port a Service, every backend ready.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Which kube-ovn-controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Marks no row.
    V1_14,
    /// Marks the rows that it makes.
    V1_16,
    /// Has rows for one Service.
    V1_17,
}

/// A Service as it knows it.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub cluster_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`.
    pub vips: Vec<IpAddr>,
    pub port: u16,
    /// Each backend and its logical switch port.
    pub backends: Vec<(SocketAddr, String)>,
    /// Its VIPs stand in template variables (1.17).
    pub template: bool,
    /// The chassis of each backend's port; where none is known each chassis has all backends.
    pub chassis: BTreeMap<String, String>,
}

/// A row that is there: its `vips`, by its name.
pub type Rows = BTreeMap<String, BTreeMap<String, String>>;

/// One write.
#[derive(Clone, Debug)]
pub enum Write {
    /// A row without VIPs.
    Create {
        row: String,
        external_ids: BTreeMap<String, String>,
    },
    Delete {
        row: String,
    },
    SetOption {
        row: String,
        key: &'static str,
        value: String,
    },
    AddVip {
        row: String,
        key: String,
        backends: String,
    },
    DeleteVip {
        row: String,
        key: String,
    },
    Map {
        row: String,
        address: String,
        port: String,
    },
    /// `external_ids:kube-ovn.io/local-external-vip/<key>`, or its end.
    Mark {
        row: String,
        key: String,
        port: Option<String>,
    },
    /// On this chassis, or on every one.
    SetVariable {
        chassis: Option<String>,
        name: String,
        value: String,
    },
}

/// kube-ovn-controller, between its restarts.
pub struct KubeOvn {
    pub release: Release,
    /// `--enable-ovn-lb-prefer-local`.
    pub native: bool,
    pub services: Vec<Service>,
    /// The node that the ServiceL2Statuses name; no reader of them: `None`.
    pub announcer: Option<Option<String>>,
}

/// What a mark's name begins with.
pub const LOCAL: &str = "kube-ovn.io/local-external-vip/";

const SHARED: [&str; 2] = ["cluster-tcp-loadbalancer", "cluster-tcp-session-loadbalancer"];

impl KubeOvn {
    /// A start: its rows are made, the clean-up deletes what it does not know, and every Service is looked at.
    pub fn start(&self, rows: &Rows) -> Vec<Write> {
        let mut play = Play { rows: rows.clone(), writes: Vec::new() };
        let mut known: BTreeSet<String> = SHARED.map(str::to_owned).into();
        if self.release == Release::V1_17 {
            known = self.services.iter().filter(|_| self.native).flat_map(Service::rows).collect();
        } else {
            for row in SHARED {
                let marked = [("vendor".to_owned(), "kube-ovn".to_owned())];
                let marks = marked.into_iter().filter(|_| self.release == Release::V1_16);
                play.create(row, marks.collect());
                let value = self.native.to_string();
                play.write(Write::SetOption { row: row.into(), key: "prefer_local_backend", value });
                self.clean(row, &mut play);
            }
        }
        for row in rows.keys().filter(|row| !known.contains(*row)) {
            play.write(Write::Delete { row: row.clone() });
        }
        self.services.iter().for_each(|service| self.take_endpoints(service, &mut play));
        play.writes
    }

    /// `gcLoadBalancer`: keys that are no Service's. A Service's VIPs count, whether they are native or not.
    fn clean(&self, row: &str, play: &mut Play) {
        let wanted: BTreeSet<String> = self.services.iter().flat_map(Service::keys).collect();
        for key in play.keys(row).into_iter().filter(|key| !wanted.contains(key)) {
            play.write(Write::DeleteVip { row: row.into(), key });
        }
    }

    /// Any write to a Service, also to its status (`handleUpdateService`); whether its endpoints are to be looked at, too,
    /// which is another queue's work.
    pub fn service_updated(&self, name: &str, rows: &Rows) -> (Vec<Write>, bool) {
        let mut play = Play { rows: rows.clone(), writes: Vec::new() };
        let service = self.service(name);
        if self.release == Release::V1_17 {
            return (play.writes, true);
        }
        let [row, other] = SHARED;
        let (wanted, addresses) = (service.keys(), service.addresses());
        let is_its = |key: &String| key.parse::<SocketAddr>().is_ok_and(|key| addresses.contains(&key.ip()));
        let there = play.keys(row);
        let is_missing = wanted.iter().any(|key| !there.contains(key));
        // Another Service's, on the same VIP: "remove stale vip".
        for key in there.into_iter().filter(|key| is_its(key) && !wanted.contains(key)) {
            play.write(Write::DeleteVip { row: row.into(), key });
        }
        for key in play.keys(other).into_iter().filter(is_its) {
            play.write(Write::DeleteVip { row: other.into(), key });
        }
        (play.writes, is_missing)
    }

    /// A change of a Service's endpoints, or what [`KubeOvn::service_updated`] asked for.
    pub fn endpoints_updated(&self, name: &str, rows: &Rows) -> Vec<Write> {
        let mut play = Play { rows: rows.clone(), writes: Vec::new() };
        self.take_endpoints(self.service(name), &mut play);
        play.writes
    }

    fn service(&self, name: &str) -> &Service {
        self.services.iter().find(|service| service.name == name).unwrap()
    }

    /// `handleUpdateEndpointSlice`.
    fn take_endpoints(&self, service: &Service, play: &mut Play) {
        if self.release == Release::V1_17 {
            return self.take_endpoints_scoped(service, play);
        }
        let vips = service.vips.iter().filter(|_| self.native);
        let announcer = self.announcer.as_ref().filter(|_| self.native);
        let mark = |play: &mut Play, vip: &IpAddr, port| {
            let key = SocketAddr::new(*vip, service.port).to_string();
            play.write(Write::Mark { row: SHARED[0].into(), key, port });
        };
        for vip in service.vips.iter().filter(|_| announcer.is_some()) {
            mark(play, vip, None);
        }
        for address in service.cluster_ips.iter().chain(vips) {
            play.add_vip(SHARED[0], service, *address);
            if let Some(Some(node)) = announcer.filter(|_| service.vips.contains(address)) {
                mark(play, address, Some(format!("node-{node}")));
            }
            if self.native {
                service.map_ports(SHARED[0], play, ":0.0.0.0");
            }
        }
    }

    fn take_endpoints_scoped(&self, service: &Service, play: &mut Play) {
        if !self.native {
            for row in
                service.rows().into_iter().filter(|row| play.rows.contains_key(row)).collect::<Vec<_>>()
            {
                play.write(Write::Delete { row });
            }
            return;
        }
        let ids = [
            ("vendor", "kube-ovn".to_owned()),
            ("kube-ovn.io/lb-owner-uid", format!("uid-{}", service.name)),
            ("kube-ovn.io/lb-owner-kind", "service".to_owned()),
            ("kube-ovn.io/lb-owner-namespace", "default".to_owned()),
            ("kube-ovn.io/lb-owner-name", service.name.clone()),
            ("kube-ovn.io/service-lb-version", "v1".to_owned()),
        ];
        for row in service.rows() {
            play.create(&row, ids.clone().map(|(key, value)| (key.to_owned(), value)).into());
            let option = if service.template { "template" } else { "distributed" };
            play.write(Write::SetOption { row: row.clone(), key: option, value: "true".into() });
            if row.ends_with(":ipv6") {
                let value = "ipv6".into();
                play.write(Write::SetOption { row: row.clone(), key: "address-family", value });
            }
        }
        for (number, vip) in service.vips.iter().enumerate() {
            let row = service.row_of(*vip);
            if !service.template {
                play.add_vip(&row, service, *vip);
                service.map_ports(&row, play, "");
                continue;
            }
            let variable = format!("kube_ovn_svc_{}_{number}", service.name);
            let (name, value) = (format!("{variable}_vip"), vip.to_string());
            play.write(Write::SetVariable { chassis: None, name, value });
            for (chassis, value) in service.local_backends_of(*vip) {
                play.write(Write::SetVariable { chassis, name: variable.clone(), value });
            }
            let key = format!("^{variable}_vip:{}", service.port);
            play.write(Write::AddVip { row, key, backends: format!("^{variable}") });
        }
    }
}

impl Service {
    /// The row of one of its VIPs in 1.17. A template row is of one family (ovn-nb(5), `options:address-family`).
    fn row_of(&self, vip: IpAddr) -> String {
        let family = if self.template && vip.is_ipv6() { ":ipv6" } else { "" };
        format!("service:default/{}:tcp:external{family}", self.name)
    }

    fn rows(&self) -> BTreeSet<String> {
        self.vips.iter().map(|vip| self.row_of(*vip)).collect()
    }

    /// By chassis the backends there; all of them for every chassis, where it is not known where they are.
    fn local_backends_of(&self, vip: IpAddr) -> BTreeMap<Option<String>, String> {
        let mut local: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for (backend, port) in self.backends.iter().filter(|(backend, _)| backend.is_ipv4() == vip.is_ipv4())
        {
            local.entry(self.chassis.get(port).cloned()).or_default().push(backend.to_string());
        }
        local.into_iter().map(|(chassis, backends)| (chassis, backends.join(","))).collect()
    }

    fn map_ports(&self, row: &str, play: &mut Play, check: &str) {
        for (backend, port) in &self.backends {
            let address = match backend.ip() {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            play.write(Write::Map { row: row.into(), address, port: format!("{port}{check}") });
        }
    }

    /// `getVipIps`: with the annotation that a VIP inside a Subnet always has.
    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.cluster_ips.iter().chain(&self.vips).copied().collect()
    }

    fn keys(&self) -> BTreeSet<String> {
        let key = |address| SocketAddr::new(address, self.port).to_string();
        self.addresses().into_iter().map(key).collect()
    }

    fn backends_of(&self, vip: IpAddr) -> String {
        let alike = self.backends.iter().filter(|(backend, _)| backend.is_ipv4() == vip.is_ipv4());
        alike.map(|(backend, _)| backend.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// The rows as they become.
struct Play {
    rows: Rows,
    writes: Vec<Write>,
}

impl Play {
    fn keys(&self, row: &str) -> Vec<String> {
        self.rows.get(row).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// `CreateLoadBalancer` leaves a row that is there as it is.
    fn create(&mut self, row: &str, external_ids: BTreeMap<String, String>) {
        if !self.rows.contains_key(row) {
            self.write(Write::Create { row: row.into(), external_ids });
        }
    }

    fn add_vip(&mut self, row: &str, service: &Service, address: IpAddr) {
        let key = SocketAddr::new(address, service.port).to_string();
        let backends = service.backends_of(address);
        match (backends.is_empty(), self.rows[row].get(&key) == Some(&backends)) {
            (true, _) => self.write(Write::DeleteVip { row: row.into(), key }),
            (false, true) => {}
            (false, false) => self.write(Write::AddVip { row: row.into(), key, backends }),
        }
    }

    fn write(&mut self, write: Write) {
        match &write {
            Write::Create { row, .. } => drop(self.rows.insert(row.clone(), BTreeMap::new())),
            Write::Delete { row } => drop(self.rows.remove(row)),
            Write::AddVip { row, key, backends } => {
                self.rows.get_mut(row).unwrap().insert(key.clone(), backends.clone());
            }
            Write::DeleteVip { row, key } => {
                self.rows.get_mut(row).unwrap().remove(key);
            }
            Write::SetOption { .. } | Write::Map { .. } | Write::Mark { .. } | Write::SetVariable { .. } => {}
        }
        self.writes.push(write);
    }
}
