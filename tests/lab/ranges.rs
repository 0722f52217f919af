//! Source ranges: who gets in and who does not, on the wire, behind the gateway, in the subnet, with real traffic.

use serde_json::{Value, json};

use crate::lab::{Topology, repository};
use crate::process::{Process, eventually, holds, run};
use crate::stage::{Stage, VIP4, VIPS};
use crate::traffic::{Transport, pods_on, source};

/// The client behind the gateway, a pod beside a backend, and a backend on another node.
const ADMITTED: [&str; 6] = [
    "192.0.2.0/24",
    "10.180.204.112/32",
    "10.180.204.121/32",
    "fd00:2::/64",
    "fd00:180:204::112/128",
    "fd00:180:204::121/128",
];

/// Further ranges with which the client on the link is let in, too.
const ON_LINK: [&str; 2] = ["10.180.204.100/32", "fd00:180:204::100/128"];

impl Stage {
    pub fn set_ranges(&mut self, service: &str, ranges: &[&str]) {
        self.cluster.edit("Service", service, |service| {
            service["spec"]["loadBalancerSourceRanges"] = json!(ranges);
        });
    }

    #[track_caller]
    fn is_refused(&self, client: &str, vip: &str) {
        let sample = self.sample(Transport::Tcp, client, vip);
        assert_eq!(sample.ok, 0, "from {client} to {vip}: {sample:?}");
    }

    /// Some requests are answered. Not all of a pod's on upstream's OVN: once it has heard a gratuitous ARP it sends to the
    /// announcer's MAC, which only takes it to itself.
    #[track_caller]
    fn is_let_in(&self, client: &str, vip: &str) {
        let sample = self.sample(Transport::Tcp, client, vip);
        assert!(sample.ok > 0, "from {client} to {vip}: {sample:?}");
    }

    /// Waits until no request of a client is answered.
    fn becomes_refused(&self, client: &str, vip: &str) {
        eventually(&format!("{vip} is closed to {client}"), || {
            let sample = self.sample(Transport::Tcp, client, vip);
            holds(sample.ok == 0, sample)
        });
    }

    fn becomes_let_in(&self, client: &str, vip: &str) {
        eventually(&format!("{vip} is open to {client}"), || {
            let sample = self.sample(Transport::Tcp, client, vip);
            holds(sample.ok > 0, sample)
        });
    }

    /// Makes a client send its frames for a VIP to this MAC, whatever it hears.
    fn send_to(&self, client: &str, vip: &str, mac: &str) {
        self.lab.run_in(client, &format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud permanent"));
    }
}

/// With the ranges of nginx, its VIP in both families, and dns beside it on the same VIP, which is open.
fn closed(topology: &Topology) -> Stage {
    let mut stage = Stage::serving_on(topology);
    stage.set_ranges("nginx", &ADMITTED);
    for vip in VIPS {
        stage.becomes_refused("client", vip);
    }
    stage.lab.sync();
    stage
}

fn lets_in_whom_the_ranges_hold(stage: &Stage) {
    for vip in VIPS {
        let pods = pods_on(stage.says_announcing(vip).unwrap());
        stage.is_served(Transport::Tcp, "far", vip, pods);
        for client in ["client", "p11", "p31"] {
            stage.is_refused(client, vip);
        }
        for pod in ["p12", "p21"] {
            stage.is_let_in(pod, vip);
        }
        for client in ["client", "far"] {
            stage.is_served(Transport::Udp, client, vip, pods);
        }
        let open = stage.sample(Transport::Udp, "p11", vip);
        assert!(open.ok > 0, "{vip} {open:?}");
    }
}

#[test]
fn ranges_let_in_whom_they_hold_and_nobody_else_and_the_other_service_on_the_vip_stays_open() {
    let stage = closed(&Topology::default());
    lets_in_whom_the_ranges_hold(&stage);
}

#[test]
fn ranges_hold_in_a_vlan() {
    let stage = closed(&Topology { vlan: 341, ..Topology::default() });
    lets_in_whom_the_ranges_hold(&stage);
}

#[test]
fn a_frame_for_another_mac_than_the_one_that_is_announced_does_not_get_in() {
    let mut stage = Stage::serving();
    let row = "find Logical_Router_Port name=ovn-vip.underlay-subnet.lrp";
    let steering = stage.lab.nb(&format!("--bare --columns=mac {row}"));
    let steering = if steering.is_empty() { "00:00:00:01:00:01".to_owned() } else { steering };
    let macs =
        [&*steering, "0a:00:00:00:00:11", "0a:00:00:00:00:21", "02:00:00:00:00:01", "02:00:00:00:00:02"];
    // That these are ways in at all: a pod's own MAC is one into its switch.
    for vip in VIPS {
        stage.send_to("client", vip, "0a:00:00:00:00:11");
        eventually(&format!("a pod's MAC is a way to {vip}"), || {
            let sample = stage.sample(Transport::Tcp, "client", vip);
            holds(sample.ok > 0, sample)
        });
    }
    stage.set_ranges("nginx", &ADMITTED);
    for vip in VIPS {
        stage.becomes_refused("client", vip);
        for mac in macs {
            stage.send_to("client", vip, mac);
            stage.is_refused("client", vip);
        }
    }
    // Without the bridges' rules the switch is closed to the wire, not open.
    stage.speakers.clear();
    for node in ["node1", "node2"] {
        stage.lab.run(&["of", node, "del-flows", "br-provider", "cookie=0x6f766e2d76697000/-1"]);
        stage.lab.run(&["of", node, "add-flow", "br-provider", "priority=0,actions=NORMAL"]);
    }
    for vip in VIPS {
        for mac in macs {
            stage.send_to("client", vip, mac);
            stage.is_refused("client", vip);
        }
    }
}

/// A connection of a client with a line each 20 ms, for half a minute if nothing ends it before.
fn connection(stage: &Stage, client: &str, name: &str) -> Process {
    let mut command = stage.lab.command_in(client, "python3");
    command.arg(repository().join("hack/lab/longconn.py"));
    command.args([VIP4, "30", "--interval=0.02", "--timeout=3", "--port=80"]);
    Process::start(name, &mut command, stage.folder.path())
}

fn outcome(mut connection: Process) -> Value {
    connection.wait();
    serde_json::from_str(&connection.log()).unwrap()
}

#[test]
fn a_changed_range_ends_what_is_open_from_outside_it_and_whom_it_holds_loses_nothing() {
    let mut stage = Stage::serving();
    let all: Vec<&str> = ADMITTED.into_iter().chain(ON_LINK).collect();
    stage.set_ranges("nginx", &all);
    stage.becomes_refused("p11", VIP4);
    stage.lab.sync();
    let load = stage.load(VIP4);
    let lasting = [("far", "far"), ("client", "client"), ("p12", "pod")];
    let lasting = lasting.map(|(client, name)| connection(&stage, client, name));
    stage.sample(Transport::Tcp, "far", VIP4);

    let without_far: Vec<&str> = ON_LINK.to_vec();
    stage.set_ranges("nginx", &without_far);
    stage.becomes_refused("far", VIP4);
    stage.is_refused("p12", VIP4);
    let [far, client, pod] = lasting.map(outcome);
    assert_eq!((&far["survived"], &pod["survived"]), (&json!(false), &json!(false)), "{far} {pod}");
    assert_eq!(client["survived"], json!(true), "{client}");
    let sample = load.end();
    assert!(sample.failures.is_empty() && sample.ok > 50, "{sample:?}");
    assert_eq!(sample.sources, [source("client", VIP4)]);

    stage.set_ranges("nginx", &[]);
    stage.becomes_let_in("far", VIP4);
    stage.becomes_let_in("p11", VIP4);
    eventually("the gates are gone", || {
        let acls = stage.lab.nb("--bare --columns=name list ACL");
        holds(acls.is_empty(), acls)
    });
}

/// A datagram in two fragments, and then small ones from the same port: the fragments must not open the way for them.
const FRAGMENTS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.2)
s.connect((sys.argv[1], 53))
answers = 0
for data in [b'x' * 3000] + [b'who are you?\\n'] * 5:
    try:
        s.send(data)
        s.recv(9000)
        answers += 1
    except OSError:
        pass
print(answers)
";

#[test]
fn fragments_open_no_way_in() {
    let mut stage = Stage::serving();
    let answers = |stage: &Stage, client: &str, vip: &str| {
        let mut command = stage.lab.command_in(client, "python3");
        run(command.args(["-c", FRAGMENTS, vip])).trim().to_owned()
    };
    // Kube-OVN's OVN answers none of these, open or not.
    if !stage.lab.is_kube_ovn() {
        assert_ne!(answers(&stage, "p11", VIP4), "0", "an open Service answers");
    }
    stage.set_ranges("dns", &["192.0.2.0/24", "fd00:2::/64"]);
    for vip in VIPS {
        eventually("dns is closed", || {
            let sample = stage.one_datagram("p11", vip);
            holds(sample.ok == 0, sample)
        });
        for client in ["client", "p11", "p12", "p21"] {
            assert_eq!(answers(&stage, client, vip), "0", "{client} {vip}");
        }
        stage.is_let_in("client", vip);
    }
}
