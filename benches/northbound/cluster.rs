//! Clusters as folders of manifests: N Services with a TCP port and some endpoints each, on the lab's subnet made wider.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The lab's logical switch, and its Subnet.
pub const SUBNET: &str = "underlay-subnet";
/// The Services' namespace.
pub const NAMESPACE: &str = "bench";

/// A pod that can be an endpoint.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its switch port.
    pub port: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its node.
    pub node: String,
}

/// What a folder is to hold.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How many Services.
    pub services: usize,
    /// How many endpoints each has.
    pub endpoints: usize,
    /// What the endpoints are taken from.
    pub pods: Vec<Pod>,
}

impl Cluster {
    /// Endpoints are pods of the lab: two on node1, one on node2.
    pub fn of_lab_pods(services: usize) -> Self {
        let pods = [("p11", 111), ("p12", 112), ("p21", 121)].map(|(pod, host)| Pod {
            port: format!("{pod}.default"),
            address: Ipv4Addr::new(10, 180, 204, host),
            node: format!("node{}", &pod[1..2]),
        });
        Self { services, endpoints: pods.len(), pods: pods.into() }
    }

    /// Endpoints are taken in turn from a hundred pods that are not plugged in anywhere.
    pub fn of_many_pods(services: usize, endpoints: usize) -> Self {
        let pods = (1..=100_u8).map(|number| Pod {
            port: format!("bench-{number}.default"),
            address: Ipv4Addr::new(10, 180, 210, number),
            node: format!("node{}", 1 + number % 3),
        });
        Self { services, endpoints, pods: pods.collect() }
    }

    /// Writes the folder: the Service 0's slice has a file of its own, so that a change of it is a small file's.
    pub fn write(&self, work: &Path) -> anyhow::Result<PathBuf> {
        let dir = work.join("cluster");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("01-network.yaml"), network())?;
        if self.services > 0 {
            fs::write(dir.join("02-services.yaml"), list((0..self.services).map(service)))?;
            fs::write(dir.join("03-slices.yaml"), list((1..self.services).map(|number| self.slice(number))))?;
            fs::write(changing(&dir), list([self.slice(0)]))?;
        }
        Ok(dir)
    }

    /// The endpoints of a Service.
    pub fn backends(&self, number: usize) -> impl Iterator<Item = &Pod> {
        (0..self.endpoints).filter_map(move |k| self.pods.get((number * 7 + k) % self.pods.len()))
    }

    fn slice(&self, number: usize) -> String {
        slice(number, self.backends(number))
    }
}

/// The file that holds the Service 0's slice.
pub fn changing(dir: &Path) -> PathBuf {
    dir.join("04-changing.yaml")
}

/// The file of a Service that comes and goes.
pub fn added(dir: &Path) -> PathBuf {
    dir.join("05-added.yaml")
}

/// Service and slice, for that file.
pub fn service_with_slice<'a>(number: usize, backends: impl Iterator<Item = &'a Pod>) -> String {
    list([service(number), slice(number, backends)])
}

/// A slice's file.
pub fn slice_file<'a>(number: usize, backends: impl Iterator<Item = &'a Pod>) -> String {
    list([slice(number, backends)])
}

/// A Service's name.
pub fn name(number: usize) -> String {
    format!("s{number:05}")
}

/// A Service's VIP.
pub fn vip(number: usize) -> Ipv4Addr {
    let (high, low) = (number / 250, number % 250 + 1);
    Ipv4Addr::new(10, 180, u8::try_from(high).unwrap_or(u8::MAX), u8::try_from(low).unwrap_or(u8::MAX))
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
    for item in items {
        text.push_str(&item);
    }
    text
}

fn service(number: usize) -> String {
    let (name, vip) = (name(number), vip(number));
    format!(
        "- apiVersion: v1\n  kind: Service\n  metadata:\n    name: {name}\n    namespace: {NAMESPACE}\n    uid: {}\n  spec:\n    \
         type: LoadBalancer\n    externalTrafficPolicy: Local\n    ports:\n    - name: http\n      protocol: TCP\n      \
         port: 80\n      targetPort: 80\n  status:\n    loadBalancer:\n      ingress:\n      - ip: {vip}\n",
        uuid::Uuid::from_u128(number as u128)
    )
}

fn slice<'a>(number: usize, backends: impl Iterator<Item = &'a Pod>) -> String {
    let name = name(number);
    let mut text = format!(
        "- apiVersion: discovery.k8s.io/v1\n  kind: EndpointSlice\n  metadata:\n    name: {name}-x\n    namespace: {NAMESPACE}\n    \
         labels:\n      kubernetes.io/service-name: {name}\n  addressType: IPv4\n  ports:\n  - name: http\n    \
         protocol: TCP\n    port: 80\n  endpoints:\n"
    );
    for pod in backends {
        let _ = write!(
            text,
            "  - addresses:\n    - {}\n    conditions:\n      ready: true\n      serving: true\n      terminating: false\n    \
             nodeName: {}\n    targetRef:\n      kind: Pod\n      name: {}\n      namespace: default\n",
            pod.address, pod.node, pod.port
        );
    }
    text
}

fn network() -> String {
    let mut items = vec![
        format!(
            "- apiVersion: kubeovn.io/v1\n  kind: Subnet\n  metadata:\n    name: {SUBNET}\n  spec:\n    protocol: IPv4\n    \
             cidrBlock: 10.180.0.0/16\n    gateway: 10.180.204.1\n    excludeIps:\n    - 10.180.204.1\n    \
             - 10.180.0.1..10.180.99.254\n    vlan: untagged\n    enableExternalLBAddress: true\n"
        ),
        "- apiVersion: kubeovn.io/v1\n  kind: Vlan\n  metadata:\n    name: untagged\n  spec:\n    id: 0\n    provider: provider\n"
            .to_owned(),
        "- apiVersion: kubeovn.io/v1\n  kind: ProviderNetwork\n  metadata:\n    name: provider\n  spec:\n    \
         defaultInterface: underlay0\n"
            .to_owned(),
    ];
    items.extend((1..=3).map(|n| {
        format!(
            "- apiVersion: v1\n  kind: Node\n  metadata:\n    name: node{n}\n    labels:\n      \
             provider.provider-network.kubernetes.io/ready: \"true\"\n    annotations:\n      ovn.kubernetes.io/chassis: node{n}\n  \
             status:\n    conditions:\n    - type: Ready\n      status: \"True\"\n    addresses:\n    - type: InternalIP\n      \
             address: 172.30.0.1{n}\n"
        )
    }));
    list(items)
}
