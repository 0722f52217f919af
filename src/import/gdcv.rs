//! The bundled load balancer of Google Distributed Cloud on bare metal: `spec.loadBalancer` of its `Cluster`
//! (cluster configuration field reference, `loadBalancer.*`).

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::plan::Severity;

use super::addresses::{Taken, parse};
use super::fields::{Fields, Findings};
use super::name::object_name;
use super::{Imported, METALLB_NAMESPACE, Manifest};

/// The label of the nodes of the load balancer's node pool.
const NODE_LABEL: &str = "baremetal.cluster.gke.io/lbnode";

/// Brings the load balancer of a `Cluster` over. `node_subnet`: the subnet that the nodes of the load balancer are in,
/// which the file does not tell; without it that part of the rules is not checked, and said to be so.
pub fn gdcv(cluster: &Value, node_subnet: Option<IpNet>) -> Imported {
    let findings = Findings::default();
    let name = cluster["metadata"]["name"].as_str().unwrap_or("(without a name)");
    let object = format!("Cluster {name}");
    let mut manifests = Vec::new();
    let spec = Fields::of(&object, "spec".into(), &cluster["spec"], &findings);
    let load_balancer = spec.inner("loadBalancer");
    if is_bundled(&load_balancer) {
        let mut import = Import { node_subnet, taken: Taken::default() };
        let pools = import.pools(&load_balancer, &mut manifests);
        import.vips(&spec, &load_balancer);
        let nodes = import.nodes(&load_balancer);
        if !pools.is_empty() {
            manifests.push(advertisement(&pools, nodes));
        }
        load_balancer.finish();
    }
    Imported { manifests, findings: findings.finish() }
}

struct Import {
    node_subnet: Option<IpNet>,
    taken: Taken,
}

fn is_bundled(load_balancer: &Fields<'_>) -> bool {
    let mode = load_balancer.required("mode");
    let kind = load_balancer.text("type");
    match (mode.as_deref(), kind.as_deref()) {
        (Some("bundled"), None | Some("layer2")) => true,
        (Some("bundled"), Some(other)) => {
            load_balancer.wrong("type", &format!("is {other}"), "only layer2 can be brought over");
            false
        }
        (Some(other), _) => {
            let what = format!("is {other}: this cluster's load balancer is not its own");
            load_balancer.wrong("mode", &what, "there is nothing to bring over; look at that load balancer");
            false
        }
        (None, _) => false,
    }
}

impl Import {
    fn pools(&mut self, load_balancer: &Fields<'_>, manifests: &mut Vec<Manifest>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for pool in load_balancer.inner_list("addressPools") {
            let Some(given) = pool.required("name") else { continue };
            let Some(name) = object_name(&given).filter(|name| !names.contains(name)) else {
                pool.wrong(
                    "name",
                    &format!("is {given}"),
                    "give each pool a name of its own: small letters, digits and -",
                );
                continue;
            };
            let mut spec = serde_json::Map::new();
            spec.insert("addresses".into(), json!(self.addresses(&pool, &name)));
            if let Some(manual) = pool.flag("manualAssign") {
                spec.insert("autoAssign".into(), json!(!manual));
            }
            if let Some(avoid) = pool.flag("avoidBuggyIPs") {
                spec.insert("avoidBuggyIPs".into(), json!(avoid));
            }
            pool.finish();
            let metadata = json!({ "name": name, "namespace": METALLB_NAMESPACE });
            let mut manifest = Manifest::new(json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec,
            }));
            if given != name {
                manifest.comments.push(format!("It was named {given}."));
            }
            manifest.comments.push("name and addresses could not be changed there; here they can.".into());
            manifests.push(manifest);
            names.push(name);
        }
        names
    }

    fn addresses(&mut self, pool: &Fields<'_>, name: &str) -> Vec<String> {
        let texts = pool.texts("addresses");
        if texts.is_empty() {
            pool.wrong("addresses", "has no entry", "write a CIDR, or a range FIRST-LAST");
        }
        let mut kept = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let field = format!("addresses[{index}]");
            let range = match parse(&text) {
                Ok(range) => range,
                Err(why) => {
                    pool.wrong(&field, &format!("is {text}: {why}"), "write a CIDR, or a range FIRST-LAST");
                    continue;
                }
            };
            if text.contains(char::is_whitespace) {
                pool.wrong(&field, &format!("is '{text}'"), "write the range without spaces");
            }
            for end in [range.first(), range.last()] {
                self.in_node_subnet(pool, &field, end);
            }
            match self.taken.take(name, range) {
                Ok(()) => kept.push(text),
                Err(other) => {
                    let what = format!("{text} overlaps with addresses of pool {other}");
                    pool.wrong(&field, &what, "let each address be in one pool");
                }
            }
        }
        kept
    }

    /// The addresses of the control plane and of the ingress: neither is made into an object.
    fn vips(&self, spec: &Fields<'_>, load_balancer: &Fields<'_>) {
        let vips = load_balancer.inner("vips");
        let ports = load_balancer.inner("ports");
        if ports.number("controlPlaneLBPort", 1, 65535).is_some() {
            let cure = "give it to what answers for the API servers";
            let what = "belongs to HAProxy, which serves the API servers, and is not brought over";
            ports.say(Severity::Info, "NotBroughtOver", "controlPlaneLBPort", what, cure);
        }
        ports.finish();
        if let Some(control_plane) = address(&vips, "controlPlaneVIP") {
            if let Some(pool) = self.taken.holder(control_plane) {
                let what = format!("{control_plane} is in pool {pool}: a Service could get it");
                vips.wrong("controlPlaneVIP", &what, &format!("take it out of pool {pool}"));
            }
            self.in_node_subnet(&vips, "controlPlaneVIP", control_plane);
            let what =
                format!("{control_plane} is served by keepalived and HAProxy there, and stays with them");
            let cure = "have something else answer for the API servers before those go";
            vips.say(Severity::Warning, "ControlPlaneVip", "controlPlaneVIP", &what, cure);
        } else if vips.value("controlPlaneVIP").is_none() {
            vips.wrong("controlPlaneVIP", "is missing", "write it");
        }
        self.ingress(spec, &vips);
        if self.node_subnet.is_none() {
            let cure = "give it with --node-subnet CIDR";
            let what = "is not compared with the subnet of the nodes, which this file does not tell";
            vips.say(Severity::Info, "NotChecked", "", what, cure);
        }
        vips.finish();
    }

    fn ingress(&self, spec: &Fields<'_>, vips: &Fields<'_>) {
        let Some(ingress) = address(vips, "ingressVIP") else { return };
        if spec.text("type").as_deref() == Some("admin") {
            return vips.wrong("ingressVIP", "is not for an admin cluster", "take it out");
        }
        match self.taken.holder(ingress) {
            None => {
                vips.wrong("ingressVIP", &format!("{ingress} is in no pool"), "add it to one of addressPools")
            }
            Some(pool) => {
                let what = format!(
                    "{ingress}, of pool {pool}, belonged to the ingress's Service by that field alone"
                );
                let cure = format!("annotate that Service: metallb.io/loadBalancerIPs: {ingress}");
                vips.say(Severity::Warning, "IngressVip", "ingressVIP", &what, &cure);
            }
        }
    }

    fn in_node_subnet(&self, fields: &Fields<'_>, field: &str, address: IpAddr) {
        if self.node_subnet.is_some_and(|subnet| !subnet.contains(&address)) {
            let subnet = self.node_subnet.map(|subnet| subnet.to_string()).unwrap_or_default();
            let what = format!("{address} is not in the nodes' subnet {subnet}");
            fields.wrong(field, &what, "all addresses of the load balancer lie in the subnet of its nodes");
        }
    }

    /// Whether there is a pool of nodes for the load balancer; those that it names go into a comment.
    fn nodes(&self, load_balancer: &Fields<'_>) -> Vec<String> {
        let pool = load_balancer.inner("nodePoolSpec");
        let mut nodes = Vec::new();
        for node in pool.inner_list("nodes") {
            let given = address(&node, "address");
            let kubernetes = address(&node, "k8sIP");
            if let Some(address) = kubernetes.or(given) {
                self.in_node_subnet(&node, "address", address);
                if let Some(pool) = self.taken.holder(address) {
                    let what = format!("{address} is in pool {pool}: a Service could get it");
                    node.wrong("address", &what, &format!("take it out of pool {pool}"));
                }
                nodes.push(address.to_string());
            }
            node.finish();
        }
        pool.finish();
        nodes
    }
}

fn address(fields: &Fields<'_>, name: &'static str) -> Option<IpAddr> {
    let text = fields.text(name)?;
    let address = text.parse().ok();
    if address.is_none() {
        fields.wrong(name, &format!("is {text}"), "write an address");
    }
    address
}

/// All pools, from the nodes of the load balancer, where it has nodes of its own.
fn advertisement(pools: &[String], nodes: Vec<String>) -> Manifest {
    let mut spec = json!({ "ipAddressPools": pools });
    let mut comments = Vec::new();
    if nodes.is_empty() {
        comments.push(
            "There the nodes of the control plane announced; here every node with a backend may.".to_owned(),
        );
    } else {
        spec["nodeSelectors"] = json!([{ "matchLabels": { NODE_LABEL: "true" } }]);
        comments.push(format!("For the nodes {}: each needs the label {NODE_LABEL}=true.", nodes.join(", ")));
        comments.push("A node announces a VIP only if it has a ready backend of it.".to_owned());
    }
    let metadata = json!({ "name": "bundled", "namespace": METALLB_NAMESPACE });
    let object = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": metadata, "spec": spec,
    });
    Manifest { comments, object: Some(object) }
}
