//! Clients: who served them, with which source address, and what failed.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::lab::repository;
use crate::process::{Process, eventually, run};
use crate::stage::Stage;

/// Both clients, on the link and behind the gateway.
pub const CLIENTS: [&str; 2] = ["client", "far"];

/// Less than the second after which TCP sends a lost packet again: what is lost fails its request.
const TIMEOUT: &str = "--timeout=0.9";

static LOADS: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// What came of some requests, each on a connection of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub ok: u64,
    pub failures: BTreeMap<String, u64>,
    pub pods: Vec<String>,
    pub sources: Vec<String>,
    pub longest_gap_ms: u64,
}

impl Sample {
    /// Of `probe.py`.
    fn of_tcp(printed: &str) -> Self {
        let report: Value =
            serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let keys = |field: &str| report[field].as_object().unwrap().keys().cloned().collect();
        let failures = report["failures"].as_object().unwrap().iter();
        Self {
            ok: report["ok"].as_u64().unwrap(),
            failures: failures.map(|(kind, count)| (kind.clone(), count.as_u64().unwrap())).collect(),
            pods: keys("served_by"),
            sources: keys("sources"),
            longest_gap_ms: report["longest_gap_ms"].as_u64().unwrap(),
        }
    }

    /// Of `udpprobe.py`, whose answers are "POD SOURCE" or the name of a failure.
    fn of_udp(printed: &str) -> Self {
        let report: Value =
            serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let mut sample = Self { ok: report["ok"].as_u64().unwrap(), ..Self::default() };
        for entry in report["runs"].as_array().unwrap() {
            match entry["answer"].as_str().unwrap().split_once(' ') {
                Some((pod, source)) => {
                    sample.pods.push(pod.to_owned());
                    sample.sources.push(source.to_owned());
                }
                None => {
                    let kind = entry["answer"].as_str().unwrap().to_owned();
                    *sample.failures.entry(kind).or_default() += entry["count"].as_u64().unwrap();
                }
            }
        }
        for list in [&mut sample.pods, &mut sample.sources] {
            list.sort();
            list.dedup();
        }
        sample
    }

    /// Nothing failed, exactly these pods served, and they saw the client's own address.
    pub fn is_served_by(&self, pods: &[&str], source: &str) -> Result<(), String> {
        let right = self.failures.is_empty() && self.ok > 0 && self.pods == pods && self.sources == [source];
        if right { Ok(()) } else { Err(format!("wanted {pods:?} for {source}, got {self:?}")) }
    }
}

/// Requests one after another until it is told to end.
pub struct Load {
    process: Process,
}

impl Load {
    /// What came of them.
    pub fn end(mut self) -> Sample {
        assert!(self.process.terminate().success(), "the probe failed: {}", self.process.log());
        Sample::of_tcp(&self.process.log())
    }
}

impl Stage {
    /// Enough requests that every backend serves some of them.
    pub fn sample(&self, transport: Transport, client: &str, vip: &str) -> Sample {
        let probe = |script: &str, arguments: &[&str]| {
            let mut command = self.probe(client, script);
            run(command.arg(vip).args(arguments).arg(TIMEOUT))
        };
        match transport {
            Transport::Tcp => Sample::of_tcp(&probe("probe.py", &["0.3", "--interval=0.01"])),
            Transport::Udp => {
                Sample::of_udp(&probe("udpprobe.py", &["30", "--interval=0.002", "--new-ports"]))
            }
        }
    }

    /// One request that is given as long as the kernel takes to give up.
    pub fn one_request(&self, client: &str, vip: &str) -> Sample {
        Sample::of_tcp(&run(self.probe(client, "probe.py").args([vip, "0.01", "--timeout=20"])))
    }

    /// One datagram.
    pub fn one_datagram(&self, client: &str, vip: &str) -> Sample {
        Sample::of_udp(&run(self.probe(client, "udpprobe.py").args([vip, "1", TIMEOUT])))
    }

    pub fn probe(&self, client: &str, script: &str) -> Command {
        let mut command = self.lab.command_in(client, "python3");
        command.arg(repository().join("hack/lab").join(script));
        command
    }

    /// A steady load of TCP requests from the on-link client, fifty a second, until [`Load::end`].
    pub fn load(&self, vip: &str) -> Load {
        self.load_with(vip, TIMEOUT)
    }

    /// As [`Stage::load`], of requests that wait for a SYN to be sent again once: after 1 s (RFC 6298 §2.1); the next
    /// time would be 2 s later.
    pub fn patient_load(&self, vip: &str) -> Load {
        self.load_with(vip, "--timeout=1.9")
    }

    fn load_with(&self, vip: &str, timeout: &str) -> Load {
        let mut command = self.probe("client", "probe.py");
        command.args([vip, "600", "--interval=0.02", timeout]);
        let name = format!("probe-{}", LOADS.fetch_add(1, Ordering::Relaxed));
        Load { process: Process::start(&name, &mut command, self.folder.path()) }
    }

    /// Every request of a client is served by these pods, with its own source address.
    #[track_caller]
    pub fn is_served(&self, transport: Transport, client: &str, vip: &str, pods: &[&str]) {
        let sample = self.sample(transport, client, vip);
        if let Err(why) = sample.is_served_by(pods, source(client, vip)) {
            panic!("{transport:?} from {client} to {vip}: {why}");
        }
    }

    /// Waits until every request of a client is served by these pods.
    pub fn becomes_served(&self, client: &str, vip: &str, pods: &[&str]) {
        eventually(&format!("TCP from {client} to {vip} is served by {pods:?}"), || {
            self.sample(Transport::Tcp, client, vip).is_served_by(pods, source(client, vip))
        });
    }
}

/// The client's own address.
pub fn source(client: &str, vip: &str) -> &'static str {
    match (client, vip.contains(':')) {
        ("client2", false) if vip.starts_with("10.180.205.") => "10.180.205.100",
        ("client2", true) if vip.starts_with("fd00:180:205:") => "fd00:180:205::100",
        ("client3", false) => "10.180.206.100",
        ("client3", true) => "fd00:180:206::100",
        ("client" | "client2", false) => "10.180.204.100",
        ("client" | "client2", true) => "fd00:180:204::100",
        ("far", false) => "192.0.2.10",
        ("far", true) => "fd00:2::10",
        _ => panic!("{client} is no client"),
    }
}

/// The examples' backends on a node.
pub fn pods_on(node: &str) -> &'static [&'static str] {
    match node {
        "node1" => &["p11", "p12"],
        "node2" => &["p21"],
        _ => &[],
    }
}
