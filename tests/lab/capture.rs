//! What is on the wire: ARP and neighbour discovery, as `tcpdump` prints it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process::{Process, eventually, holds, try_run};
use crate::stage::Stage;

static MARKERS: AtomicUsize = AtomicUsize::new(0);

/// A frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub source: String,
    pub destination: String,
    pub text: String,
}

impl Frame {
    /// `TIME SOURCE > DESTINATION, ethertype …: TEXT`
    fn parse(line: &str) -> Option<Self> {
        let (addresses, text) = line.split_once(", ")?;
        let mut words = addresses.split_whitespace().skip(1);
        let (source, arrow, destination) = (words.next()?, words.next()?, words.next()?);
        let frame = Self { source: source.into(), destination: destination.into(), text: text.into() };
        (arrow == ">").then_some(frame)
    }

    /// A question for the VIP.
    pub fn asks_for(&self, vip: &str) -> bool {
        let arp = self.text.contains(&format!("Request who-has {vip} "));
        let announcement = self.text.contains(&format!("tell {vip},"));
        (arp && !announcement) || self.text.contains(&format!("neighbor solicitation, who has {vip},"))
    }

    /// Somebody says to have the VIP, asked or not.
    pub fn claims(&self, vip: &str) -> bool {
        self.text.contains(&format!("Reply {vip} is-at"))
            || self.text.contains(&format!("tell {vip},"))
            || self.text.contains(&format!("neighbor advertisement, tgt is {vip},"))
    }

    /// A speaker says that it is there.
    pub fn is_beat(&self) -> bool {
        self.destination == "03:6f:76:6e:2d:76"
    }

    /// To all, or to all IPv6 nodes.
    pub fn is_to_all(&self) -> bool {
        self.destination == "Broadcast"
            || self.destination.starts_with("ff:ff")
            || self.destination.starts_with("33:33")
    }
}

/// A running capture of one interface.
pub struct Capture {
    process: Process,
}

impl Capture {
    /// Everything so far, and everything that was on the wire before this call: it asks for an address that
    /// nobody has, and waits until the capture has that question.
    pub fn frames(&self, stage: &Stage) -> Vec<Frame> {
        let marker = format!("10.180.204.{}", 30 + MARKERS.fetch_add(1, Ordering::Relaxed) % 60);
        let _ = try_run(
            stage.lab.command_in("client", "bash").args(["-c", &format!("echo >/dev/udp/{marker}/9")]),
        );
        eventually("the capture has the marker", || {
            let frames: Vec<Frame> = self.process.log().lines().filter_map(Frame::parse).collect();
            let marked = frames.iter().any(|frame| frame.asks_for(&marker));
            holds(marked, &frames).map(|()| frames)
        })
    }
}

impl Stage {
    /// Captures what the on-link client's interface sees.
    pub fn capture_at_client(&self) -> Capture {
        self.capture("client", "eth0", "capture-client")
    }

    /// Captures what passes the physical switch's port of a node.
    pub fn capture_at_port_of(&self, node: &str) -> Capture {
        self.capture("sw", node, &format!("capture-{node}"))
    }

    fn capture(&self, namespace: &str, interface: &str, name: &str) -> Capture {
        self.capture_of("arp or icmp6", namespace, interface, name)
    }

    /// Captures speakers' own frames, too.
    pub fn capture_with_beats(&self, namespace: &str) -> Capture {
        self.capture_of(
            "arp or icmp6 or ether proto 0x88b5",
            namespace,
            "eth0",
            &format!("beats-{namespace}"),
        )
    }

    fn capture_of(&self, what: &str, namespace: &str, interface: &str, name: &str) -> Capture {
        let mut tcpdump = self.lab.command_in(namespace, "tcpdump");
        tcpdump.args(["-n", "-e", "-l", "--immediate-mode", "-i", interface, what]);
        let mut process = Process::start(name, &mut tcpdump, self.folder.path());
        process.says("listening on");
        Capture { process }
    }
}
