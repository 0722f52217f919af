//! How soon a question for a VIP is answered on a wire: packet socket and responder on one end of a veth pair, whoever asks
//! on the other, in namespaces of their own. The peer is the kernel itself, which answers for its own address on the same
//! interface in the same run. Needs root. `hack/bench-wire.sh` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench: real time, and a failure ends it"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ovn_vip::io::packet_socket::PacketSocket;
use ovn_vip::l2::ethernet::{ETHERTYPE_ARP, Repr};
use ovn_vip::l2::{ClaimMode, Interface, Received, Responder, arp};
use ovn_vip::model::Mac;
use tokio::time::{sleep_until, timeout};

const ANSWERER: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ASKER: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// What the kernel answers for on the answerer's interface.
const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const SIZES: [u32; 3] = [1, 1_000, 10_000];
const QUESTIONS: u32 = 5_000;
const FLOOD_PER_SECOND: u32 = 100_000;
const FLOOD: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let number = |at: usize| arguments[at].parse().unwrap();
    match arguments.first().map(String::as_str) {
        Some("answer") => runtime.block_on(answer(number(1))),
        Some("ask") => runtime.block_on(ask(number(1), number(2))),
        Some("flood") => runtime.block_on(flood()),
        _ => compare(),
    }
}

fn vip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 99, 0, 0)) + number)
}

/// As the speaker does: a frame in, a verdict, what there is to say out.
async fn answer(vips: u32) {
    let socket = PacketSocket::open("near").unwrap();
    let mut responder = Responder::new(Interface { mac: ANSWERER, vlan: None });
    let claims: BTreeMap<IpAddr, ClaimMode> =
        (0..vips).map(|number| (vip(number).into(), ClaimMode::TakeOver)).collect();
    responder.set_vips(&claims, Instant::now());
    loop {
        let due = responder.poll_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
        tokio::select! {
            frame = socket.receive() => drop(responder.handle_frame(&frame.unwrap(), Instant::now())),
            () = sleep_until(due.into()) => {}
        }
        while let Some(frame) = responder.poll_transmit(Instant::now()) {
            socket.send(&frame).await.unwrap();
        }
    }
}

fn question(sender_mac: Mac, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Vec<u8> {
    let operation = arp::Operation::Request;
    let packet = arp::Repr { operation, sender_mac, sender_ip, target_mac: Mac::ZERO, target_ip };
    let header =
        Repr { destination: Mac::BROADCAST, source: sender_mac, tag: None, ethertype: ETHERTYPE_ARP };
    header.emit(&packet.emit())
}

/// One question after the other, for VIPs all over the set; none: for the kernel's address. Prints p50 and p99 in µs, and
/// how many in a thousand had no answer within 0.1 s: an asker would ask again.
async fn ask(vips: u32, questions: u32) {
    let socket = PacketSocket::open("far").unwrap();
    let (mut took, mut lost) = (Vec::new(), 0);
    for number in 0..questions {
        let target = if vips == 0 { KERNEL } else { vip(number.wrapping_mul(2_654_435_769) % vips) };
        let (frame, asked) = (question(ASKER, SOURCE, target), Instant::now());
        socket.send(&frame).await.unwrap();
        let is_answered = timeout(Duration::from_millis(100), async {
            while !is_answer(&socket.receive().await.unwrap(), target) {}
        });
        match is_answered.await {
            Ok(()) => took.push(asked.elapsed()),
            Err(_) => lost += 1,
        }
        tokio::time::sleep(Duration::from_micros(50)).await;
    }
    took.sort_unstable();
    let micros = |share: usize| took[took.len() * share / 100].as_nanos() as f64 / 1000.0;
    println!("{} {} {}", micros(50), micros(99), lost * 1000 / questions);
}

fn is_answer(frame: &Received, target: Ipv4Addr) -> bool {
    let packet = frame.bytes.get(14..).and_then(|payload| arp::Repr::parse(payload).ok());
    packet.is_some_and(|packet| packet.operation == arp::Operation::Reply && packet.sender_ip == target)
}

/// Questions between strangers, as a busy VLAN has them, at a steady rate.
async fn flood() {
    let socket = PacketSocket::open("far").unwrap();
    let (start, mut sent) = (Instant::now(), 0_u32);
    let frames: Vec<Vec<u8>> = (0..256)
        .map(|number| {
            question(Mac([2, 0, 0, 0, 9, number as u8]), vip(60_000 + number), vip(61_000 + number))
        })
        .collect();
    while start.elapsed() < FLOOD {
        let owed = (start.elapsed().as_secs_f64() * f64::from(FLOOD_PER_SECOND)) as u32;
        while sent < owed {
            socket.send(&frames[sent as usize % frames.len()]).await.unwrap();
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{}", f64::from(sent) / start.elapsed().as_secs_f64());
}

/// Two namespaces and what runs in them; gone with it.
struct Wire {
    near: String,
    far: String,
}

impl Wire {
    fn new() -> Self {
        let id = std::process::id();
        let (near, far) = (format!("ovb-n-{id}"), format!("ovb-f-{id}"));
        for line in [
            format!("netns add {near}"),
            format!("netns add {far}"),
            format!(
                "-n {near} link add near address {ANSWERER} type veth peer name far address {ASKER} netns {far}"
            ),
            format!("-n {near} link set near up"),
            format!("-n {near} addr add {KERNEL}/24 dev near"),
            format!("-n {far} link set far up"),
        ] {
            assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "{line}");
        }
        Self { near, far }
    }

    fn start(&self, namespace: &str, arguments: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(std::env::current_exe().unwrap()).args(arguments);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// p50 and p99, in µs, and how many in a thousand were lost.
    fn ask(&self, vips: u32, questions: u32) -> (f64, f64, f64) {
        let asked = self.start(&self.far, &["ask", &vips.to_string(), &questions.to_string()]);
        let said = said(asked);
        let numbers: Vec<f64> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
        (numbers[0], numbers[1], numbers[2])
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Seconds that a process has had of a CPU (proc_pid_stat(5): `utime` and `stime`, in hundredths).
fn cpu(child: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Median over the runs, of each column.
fn medians(mut runs: Vec<(f64, f64)>) -> (f64, f64) {
    let middle = runs.len() / 2;
    runs.sort_by(|a, b| a.1.total_cmp(&b.1));
    let p99 = runs[middle].1;
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    (runs[middle].0, p99)
}

fn compare() {
    let runs: usize = std::env::var("N").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    println!(
        "{QUESTIONS} questions, one after the other; medians of {runs} runs; ratios to the kernel's own answers\n"
    );
    println!("{:<44} {:>8} {:>8} {:>7} {:>7}", "", "p50 µs", "p99 µs", "p50 ×", "p99 ×");
    for vips in SIZES {
        let wire = Wire::new();
        let mut answerer = wire.start(&wire.near, &["answer", &vips.to_string()]);
        // Until the last announcement is out: they are paced, one VIP a millisecond, three times.
        std::thread::sleep(Duration::from_millis(3_000 + 3 * u64::from(vips)));
        let both: Vec<_> = (0..runs).map(|_| (wire.ask(vips, QUESTIONS), wire.ask(0, QUESTIONS))).collect();
        let columns = |(p50, p99, lost): (f64, f64, f64)| {
            assert!(lost == 0.0, "answers were lost");
            (p50, p99)
        };
        let ours = medians(both.iter().map(|(ours, _)| columns(*ours)).collect());
        let kernel = medians(both.iter().map(|(_, kernel)| columns(*kernel)).collect());
        print(&format!("{vips} VIPs"), ours, kernel);
        print("  the kernel, for its own address", kernel, kernel);
        if vips == 10_000 {
            flooded(&wire, &answerer, vips);
        }
        answerer.kill().unwrap();
        answerer.wait().unwrap();
    }
}

fn flooded(wire: &Wire, answerer: &Child, vips: u32) {
    for (who, vips) in [("ours", vips), ("the kernel", 0)] {
        let (before, start) = (cpu(answerer), Instant::now());
        let flood = wire.start(&wire.far, &["flood"]);
        std::thread::sleep(Duration::from_millis(500));
        let (p50, p99, lost) = wire.ask(vips, 2_000);
        let rate: f64 = said(flood).trim().parse().unwrap();
        let share = (cpu(answerer) - before) / start.elapsed().as_secs_f64();
        println!(
            "beside {rate:.0} foreign broadcasts a second: {who}, p50 {p50:.0} µs, p99 {p99:.0} µs, {lost} in a thousand lost; the answerer has {:.0} % of a CPU",
            share * 100.0
        );
    }
}

fn print(what: &str, found: (f64, f64), kernel: (f64, f64)) {
    let (p50, p99) = found;
    println!("{what:<44} {p50:>8.1} {p99:>8.1} {:>7.2} {:>7.2}", p50 / kernel.0, p99 / kernel.1);
}
