//! The packet socket and the responder against a real kernel, on veth pairs in namespaces of their own. Needs root.
//!
//! Each test starts itself once more inside its namespace (`ip netns exec`), because a thread cannot be given back
//! the namespace it came from, and a test runner shares its threads.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test: real time, and every failure is one"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use ovn_vip::io::packet_socket::{PacketSocket, PacketSocketError};
use ovn_vip::l2::ethernet::{ETHERTYPE_ARP, Repr, TPID_8021Q, Tag};
use ovn_vip::l2::{ClaimMode, ClaimState, Interface, Received, Responder, Verdict, arp};
use ovn_vip::model::{Mac, VlanId};
use tokio::time::{sleep_until, timeout};

const INSIDE: &str = "OVN_VIP_TEST_PEER_NAMESPACE";
const VIP: &str = "10.99.0.100";
const VIP6: &str = "fd00:99::100";

/// Two namespaces joined by a veth pair, `near` here and `far` there; both are removed whatever happens.
struct Namespaces {
    near: String,
    far: String,
}

impl Namespaces {
    fn create(name: &str) -> Self {
        let id = format!("{}-{name}", std::process::id());
        let both = Self { near: format!("ovv-n-{id}"), far: format!("ovv-f-{id}") };
        let Self { near, far } = &both;
        for arguments in [
            format!("netns add {near}"),
            format!("netns add {far}"),
            format!("-n {near} link add near type veth peer name far netns {far}"),
            format!("-n {near} link set near addrgenmode none up"),
            format!("-n {far} link set far up"),
            format!("-n {far} addr add 10.99.0.1/24 dev far"),
            format!("-n {far} addr add fd00:99::1/64 dev far nodad"),
        ] {
            assert_ok(&Command::new("ip").args(arguments.split(' ')).output().unwrap());
        }
        both
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn assert_ok(output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Runs `body` in a tokio runtime inside the near namespace, in a process of its own, under `wrapper`.
fn inside<F: Future<Output = ()>>(test: &str, wrapper: &[&str], body: impl FnOnce(Shell) -> F) {
    if let Ok(far) = std::env::var(INSIDE) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let body = body(Shell { far });
        return runtime.block_on(async { timeout(Duration::from_secs(30), body).await.unwrap() });
    }
    let namespaces = Namespaces::create(&test[..test.len().min(8)]);
    let output = Command::new("ip")
        .args(["netns", "exec", &namespaces.near])
        .args(wrapper)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, &namespaces.far)
        .output()
        .unwrap();
    assert_ok(&output);
}

/// Runs commands, here and in the far namespace.
struct Shell {
    far: String,
}

impl Shell {
    async fn far(&self, command: &str) -> (bool, String) {
        Self::near(&format!("ip netns exec {} {command}", self.far)).await
    }

    async fn near(command: &str) -> (bool, String) {
        let mut words = command.split(' ');
        let output = tokio::process::Command::new(words.next().unwrap()).args(words).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What the far kernel remembers of an address, once it holds `wanted`.
    async fn far_neighbor(&self, address: &str, wanted: &str) {
        let mut seen = String::new();
        for _ in 0..40 {
            seen = self.far(&format!("ip neigh show {address}")).await.1;
            if seen.contains(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{address}: {seen:?} has no {wanted:?}");
    }
}

/// The speaker's loop, in small. Never returns.
async fn speak(socket: &PacketSocket, responder: &mut Responder) {
    loop {
        while let Some(frame) = responder.poll_transmit(Instant::now()) {
            socket.send(&frame).await.unwrap();
        }
        let idle = Instant::now() + Duration::from_secs(60);
        tokio::select! {
            received = socket.receive() => {
                responder.handle_frame(&received.unwrap(), Instant::now());
            }
            () = sleep_until(responder.poll_timeout().unwrap_or(idle).into()) => {}
        }
    }
}

fn speaker(socket: &PacketSocket) -> Responder {
    let mut responder = Responder::new(Interface { mac: socket.mac().unwrap(), vlan: None });
    let vips: BTreeMap<IpAddr, ClaimMode> =
        [VIP, VIP6].map(|vip| (vip.parse().unwrap(), ClaimMode::TakeOver)).into();
    responder.set_vips(&vips, Instant::now());
    responder
}

/// Runs `checks` while the VIPs are answered for.
async fn while_speaking(checks: impl AsyncFnOnce(&str)) {
    let socket = PacketSocket::open("near").unwrap();
    let mut responder = speaker(&socket);
    let mac = socket.mac().unwrap().to_string();
    tokio::select! {
        () = checks(&mac) => {}
        () = speak(&socket, &mut responder) => {}
    }
}

#[test]
fn a_kernel_resolves_probes_and_keeps_the_vip() {
    inside("a_kernel_resolves_probes_and_keeps_the_vip", &[], |shell| async move {
        while_speaking(async |mac: &str| {
            for vip in [VIP, VIP6] {
                shell.far(&format!("ping -c 1 -W 1 {vip}")).await;
                shell.far_neighbor(vip, mac).await;
                // Unicast reachability probes, at once.
                shell.far(&format!("ip neigh change {vip} dev far lladdr {mac} nud probe")).await;
                shell.far_neighbor(vip, "REACHABLE").await;
            }
        })
        .await;
    });
}

#[test]
fn arping_and_ndisc6_hear_exactly_one_answer() {
    inside("arping_and_ndisc6_hear_exactly_one_answer", &[], |shell| async move {
        while_speaking(async |mac: &str| {
            let (_, heard) = shell.far(&format!("arping -c 2 -w 3 -I far {VIP}")).await;
            assert!(heard.to_lowercase().contains(mac) && heard.contains("Received 2 response"), "{heard}");
            let (free, _) = shell.far(&format!("arping -D -c 1 -w 2 -I far {VIP}")).await;
            assert!(!free, "a probe from 0.0.0.0 is answered");
            let (other, _) = shell.far("arping -c 1 -w 1 -I far 10.99.0.101").await;
            assert!(!other, "nobody answers for another address");
            if Command::new("ndisc6").arg("--version").output().is_ok() {
                let (_, heard) = shell.far(&format!("ndisc6 -m {VIP6} far")).await;
                assert!(heard.to_lowercase().contains(mac), "{heard}");
            }
        })
        .await;
    });
}

#[test]
fn duplicate_address_detection_of_a_kernel_fails_for_the_vip() {
    inside("duplicate_address_detection_of_a_kernel_fails_for_the_vip", &[], |shell| async move {
        while_speaking(async |_: &str| {
            shell.far(&format!("ip addr add {VIP6}/64 dev far")).await;
            for _ in 0..40 {
                if shell.far("ip -6 addr show dev far dadfailed").await.1.contains(VIP6) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("the far kernel took the VIP");
        })
        .await;
    });
}

#[test]
fn announcements_replace_what_a_kernel_remembers() {
    inside("announcements_replace_what_a_kernel_remembers", &[], |shell| async move {
        for vip in [VIP, VIP6] {
            shell
                .far(&format!("ip neigh replace {vip} dev far lladdr 02:00:00:00:00:99 nud reachable"))
                .await;
        }
        while_speaking(async |mac: &str| {
            for vip in [VIP, VIP6] {
                shell.far_neighbor(vip, mac).await;
            }
        })
        .await;
    });
}

#[test]
fn an_address_that_a_kernel_has_is_yielded_to_it_and_a_free_one_is_held() {
    inside("an_address_that_a_kernel_has_is_yielded_to_it_and_a_free_one_is_held", &[], |shell| async move {
        let socket = PacketSocket::open("near").unwrap();
        let mut responder = Responder::new(Interface { mac: socket.mac().unwrap(), vlan: None });
        let vips = ["10.99.0.1", "fd00:99::1", VIP, VIP6].map(|vip| (vip.parse().unwrap(), ClaimMode::Probe));
        responder.set_vips(&vips.into(), Instant::now());
        let _ = timeout(Duration::from_secs(2), speak(&socket, &mut responder)).await;
        let (_, link) = shell.far("ip -br link show dev far").await;
        let to = link.split_whitespace().nth(2).unwrap().parse().unwrap();
        for (vip, state) in responder.claims() {
            let taken = ["10.99.0.1", "fd00:99::1"].contains(&vip.to_string().as_str());
            assert_eq!(state, if taken { ClaimState::Yielded { to } } else { ClaimState::Held }, "{vip}");
        }
    });
}

/// A request for the VIP from the far end of a pair in this namespace.
fn request(source: Mac, tag: Option<Tag>) -> Vec<u8> {
    let packet = arp::Repr {
        operation: arp::Operation::Request,
        sender_mac: source,
        sender_ip: [10, 99, 0, 1].into(),
        target_mac: Mac::ZERO,
        target_ip: VIP.parse().unwrap(),
    };
    Repr { destination: Mac::BROADCAST, source, tag, ethertype: ETHERTYPE_ARP }.emit(&packet.emit())
}

/// The next frame, if one comes soon.
async fn soon(socket: &PacketSocket) -> Option<Received> {
    timeout(Duration::from_millis(300), socket.receive()).await.ok().map(Result::unwrap)
}

/// Both ends of another pair, in this namespace; IPv6 off, so that only the test speaks.
async fn pair() -> (PacketSocket, PacketSocket) {
    for command in [
        "ip link add veth-a type veth peer name veth-b",
        "ip link set veth-a addrgenmode none up",
        "ip link set veth-b addrgenmode none up",
    ] {
        assert!(Shell::near(command).await.0, "{command}");
    }
    both_up().await;
    (PacketSocket::open("veth-a").unwrap(), PacketSocket::open("veth-b").unwrap())
}

/// A link that comes up sends nothing until the kernel's link watch has given it a queue: it drops without a word.
async fn both_up() {
    while Shell::near("ip -br link show type veth up").await.1.matches(" UP ").count() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_tag_arrives_beside_the_frame_and_leaves_within_it() {
    inside("a_tag_arrives_beside_the_frame_and_leaves_within_it", &[], |_| async {
        let (ours, client) = pair().await;
        let vlan = VlanId::new(341);
        let tag = Tag { tpid: TPID_8021Q, tci: 0x6000 | 341 };
        client.send(&request(client.mac().unwrap(), Some(tag))).await.unwrap();
        let received = soon(&ours).await.unwrap();
        assert_eq!(received.stripped, Some(tag), "priority included");
        assert_eq!(Repr::parse(&received.bytes).unwrap().0.tag, None);
        let mut responder = Responder::new(Interface { mac: ours.mac().unwrap(), vlan });
        responder.set_vips(&[(VIP.parse().unwrap(), ClaimMode::TakeOver)].into(), Instant::now());
        assert!(matches!(responder.handle_frame(&received, Instant::now()), Verdict::Answered { .. }));
        ours.send(&responder.poll_transmit(Instant::now()).unwrap()).await.unwrap();
        assert_eq!(soon(&client).await.unwrap().stripped, vlan.map(Tag::of));
    });
}

#[test]
fn neither_outgoing_frames_nor_other_protocols_are_received() {
    inside("neither_outgoing_frames_nor_other_protocols_are_received", &[], |_| async {
        let (ours, client) = pair().await;
        let source = client.mac().unwrap();
        // From another socket of this host: what a socket sends itself the kernel never gives back to it.
        let other = PacketSocket::open("veth-a").unwrap();
        other.send(&request(ours.mac().unwrap(), None)).await.unwrap();
        assert!(soon(&client).await.is_some(), "it went out");
        let ipv4 = Repr { destination: Mac::BROADCAST, source, tag: None, ethertype: 0x0800 };
        client.send(&ipv4.emit(&[0x45; 60])).await.unwrap();
        assert_eq!(soon(&ours).await, None);
        client.send(&request(source, None)).await.unwrap();
        assert!(soon(&ours).await.is_some());
    });
}

#[test]
fn an_interface_that_goes_down_comes_back_and_one_that_is_deleted_does_not() {
    inside("an_interface_that_goes_down_comes_back_and_one_that_is_deleted_does_not", &[], |_| async {
        let (ours, client) = pair().await;
        let (source, index) = (client.mac().unwrap(), ours.interface_index());
        Shell::near("ip link set veth-a down").await;
        let down = ours.receive().await.unwrap_err();
        assert!(matches!(down, PacketSocketError::InterfaceDown { .. }), "{down}");
        assert!(matches!(PacketSocket::open("veth-a"), Err(PacketSocketError::InterfaceDown { .. })));
        let unsent = ours.send(&request(source, None)).await.unwrap_err();
        assert!(matches!(unsent, PacketSocketError::InterfaceDown { .. }), "{unsent}");
        Shell::near("ip link set veth-a up").await;
        both_up().await;
        client.send(&request(source, None)).await.unwrap();
        assert!(soon(&ours).await.is_some(), "the same socket goes on");
        Shell::near("ip link del veth-a").await;
        let gone = ours.receive().await.unwrap_err();
        assert!(matches!(gone, PacketSocketError::InterfaceGone { .. }), "{gone}");
        for error in [ours.send(&request(source, None)).await.unwrap_err(), ours.mac().unwrap_err()] {
            assert!(matches!(error, PacketSocketError::InterfaceGone { .. }), "{error}");
        }
        let (anew, _) = pair().await;
        assert_ne!(anew.interface_index(), index);
    });
}

#[test]
fn a_changed_mac_is_seen() {
    inside("a_changed_mac_is_seen", &[], |_| async {
        let (ours, _) = pair().await;
        Shell::near("ip link set veth-a address 02:00:00:00:00:77").await;
        assert_eq!(ours.mac().unwrap().to_string(), "02:00:00:00:00:77");
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    inside("what_cannot_be_opened_says_why", &[], |_| async {
        let why = |name| PacketSocket::open(name).unwrap_err();
        assert!(matches!(why("br-none"), PacketSocketError::NoSuchInterface { .. }));
        Shell::near("ip link set lo up").await;
        assert!(matches!(why("lo"), PacketSocketError::NotEthernet { .. }), "{}", why("lo"));
    });
}

#[test]
fn without_cap_net_raw_the_capability_is_named() {
    let without = ["setpriv", "--bounding-set=-net_raw"];
    inside("without_cap_net_raw_the_capability_is_named", &without, |_| async {
        let error = PacketSocket::open("near").unwrap_err();
        assert!(matches!(error, PacketSocketError::NotPermitted) && error.to_string().contains("NET_RAW"));
    });
}
