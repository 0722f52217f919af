//! An AF_PACKET socket that sees ARP and Neighbor Discovery of one interface; the only `unsafe` of the crate.
//!
//! Sees each frame where it enters the kernel, before bridges, VLAN devices and Open vSwitch take it: protocol
//! ETH_P_ALL, for frames of a VLAN without a device of its own reach no other. The filter sits on the socket
//! before the socket sits on the interface, so nothing else ever comes through. Needs CAP_NET_RAW alone.

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::l2::Received;
use crate::l2::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, TPID_8021Q, Tag};
use crate::model::{ETHERTYPE_BEAT, Mac};

/// Longer than any neighbor message in use; one that is cut here does not parse and is counted.
const LONGEST_FRAME: usize = 2048;

/// A socket on one interface. It lives as long as the interface: after `InterfaceGone` open another.
#[derive(Debug)]
pub struct PacketSocket {
    socket: AsyncFd<Socket>,
    interface: String,
    index: libc::c_int,
}

/// What can go wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PacketSocketError {
    /// Retry when the interface appears.
    #[error("there is no interface {interface}; check the provider network's bridge on this node")]
    NoSuchInterface {
        /// Its name.
        interface: String,
    },
    /// Retrying does not help.
    #[error("not allowed to open a packet socket; give the container the capability NET_RAW")]
    NotPermitted,
    /// Retrying does not help.
    #[error("{interface} is no Ethernet interface; ARP and NDP need the bridge itself or a port of it")]
    NotEthernet {
        /// Its name.
        interface: String,
    },
    /// The same socket goes on when the interface is up again; what was sent meanwhile is lost.
    #[error("{interface} is down; set it up (ip link set {interface} up)")]
    InterfaceDown {
        /// Its name.
        interface: String,
    },
    /// The socket is of no more use, even if an interface of that name comes back: open another.
    #[error("{interface} is gone; a new socket is needed when it is back")]
    InterfaceGone {
        /// Its name.
        interface: String,
    },
    /// Anything else the kernel says.
    #[error("{interface}: cannot {action}: {source}")]
    Io {
        /// The interface's name.
        interface: String,
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl PacketSocket {
    /// Opens a socket on the interface. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// With the cure: no such interface, not allowed, not Ethernet, down.
    pub fn open(interface: &str) -> Result<Self, PacketSocketError> {
        let failed = |action| move |source| classify(interface, action, source);
        // Protocol 0: it receives nothing until bind() names one.
        let kind = Type::RAW.nonblocking();
        let socket = Socket::new(Domain::PACKET, kind, None).map_err(failed("open a packet socket"))?;
        let index = interface_index(interface).map_err(failed("find the interface"))?;
        socket.attach_filter(&filter()).map_err(failed("attach the filter"))?;
        set_option(&socket, libc::PACKET_AUXDATA, &1_i32).map_err(failed("ask for VLAN tags"))?;
        // Linux before 4.20 does not know it; the filter drops what we send there.
        let _ = set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1_i32);
        bind(&socket, index).map_err(failed("bind to the interface"))?;
        if let Some(error) = socket.take_error().map_err(failed("ask for its state"))? {
            return Err(classify(interface, "bind to the interface", error));
        }
        let all_groups = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_ALLMULTI as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&socket, libc::PACKET_ADD_MEMBERSHIP, &all_groups).map_err(failed("join all groups"))?;
        let socket = watch(socket).map_err(failed("watch it"))?;
        let opened = Self { socket, interface: interface.to_owned(), index };
        opened.mac().map(|_| opened)
    }

    /// The next ARP or neighbor frame, or beat. Cancel-safe: a frame that was taken is returned.
    ///
    /// # Errors
    /// `InterfaceDown`: call again, it waits until the interface is up. `InterfaceGone`: open another socket.
    pub async fn receive(&self) -> Result<Received, PacketSocketError> {
        // An interface that goes down is an error without a frame: READABLE alone would sleep over it.
        let interest = Interest::READABLE | Interest::ERROR;
        let received = self.socket.async_io(interest, receive_message).await;
        received.map_err(|error| self.classify("receive", error))
    }

    /// Sends a frame; waits while the socket's buffer is full.
    ///
    /// # Errors
    /// As [`PacketSocket::receive`], and `Io` with ENOBUFS when the interface's queue is full; the frame is lost.
    pub async fn send(&self, frame: &[u8]) -> Result<(), PacketSocketError> {
        let sent = self.socket.async_io(Interest::WRITABLE, |socket| socket.send(frame)).await;
        sent.map(drop).map_err(|error| self.classify("send", error))
    }

    /// The interface's MAC address as it is now.
    ///
    /// # Errors
    /// The interface is gone or no Ethernet.
    pub fn mac(&self) -> Result<Mac, PacketSocketError> {
        let bound = self.socket.get_ref().local_addr();
        let address = link_address(bound.map_err(|error| self.classify("read its address", error))?);
        // The kernel leaves both 0 once the interface is gone (packet_getname in net/packet/af_packet.c).
        match (address.sll_hatype, address.sll_halen) {
            (libc::ARPHRD_ETHER, 6) => {
                let [a, b, c, d, e, f, ..] = address.sll_addr;
                Ok(Mac([a, b, c, d, e, f]))
            }
            (0, 0) => Err(PacketSocketError::InterfaceGone { interface: self.interface.clone() }),
            _ => Err(PacketSocketError::NotEthernet { interface: self.interface.clone() }),
        }
    }

    /// The interface's index: another one under the same name means that it was made anew.
    pub fn interface_index(&self) -> u32 {
        self.index.unsigned_abs()
    }

    fn classify(&self, action: &'static str, error: io::Error) -> PacketSocketError {
        // The kernel says ENETDOWN for both; only one of them comes back.
        if error.raw_os_error() == Some(libc::ENETDOWN)
            && !matches!(interface_index(&self.interface), Ok(index) if index == self.index)
        {
            return PacketSocketError::InterfaceGone { interface: self.interface.clone() };
        }
        classify(&self.interface, action, error)
    }
}

fn classify(interface: &str, action: &'static str, source: io::Error) -> PacketSocketError {
    let interface = interface.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => PacketSocketError::NotPermitted,
        Some(libc::ENODEV) => PacketSocketError::NoSuchInterface { interface },
        Some(libc::ENETDOWN) => PacketSocketError::InterfaceDown { interface },
        Some(libc::ENXIO) => PacketSocketError::InterfaceGone { interface },
        _ => PacketSocketError::Io { interface, action, source },
    }
}

/// Classic BPF (Linux Documentation/networking/filter.rst): ARP, beats, and ICMPv6 types 135 and 136 right behind the
/// IPv6 header, each with or without a tag in the frame; nothing that this host sends. X is the tag's length.
fn filter() -> [SockFilter; 17] {
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const LOAD_TYPE: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    const LOAD_BYTE_X: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_IND;
    const LOAD_TYPE_X: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_IND;
    const SET_X: u32 = libc::BPF_LDX | libc::BPF_IMM;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    let run = |code: u32, operand: u32| SockFilter::new(code as u16, 0, 0, operand);
    let equal = |value: u32, then: u8, otherwise: u8| {
        let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        SockFilter::new(code as u16, then, otherwise, value)
    };
    [
        run(LOAD_BYTE, PACKET_TYPE),
        equal(libc::PACKET_OUTGOING.into(), 14, 0),
        run(SET_X, 0),
        run(LOAD_TYPE, 12),
        equal(TPID_8021Q.into(), 0, 2),
        run(SET_X, 4),
        run(LOAD_TYPE_X, 12),
        equal(ETHERTYPE_ARP.into(), 7, 0),
        equal(ETHERTYPE_BEAT.into(), 6, 0),
        equal(ETHERTYPE_IPV6.into(), 0, 6),
        run(LOAD_BYTE_X, 14 + 6),
        equal(58, 0, 4),
        run(LOAD_BYTE_X, 14 + 40),
        equal(135, 1, 0),
        equal(136, 0, 1),
        run(RETURN, LONGEST_FRAME as u32),
        run(RETURN, 0),
    ]
}

#[expect(unsafe_code, reason = "no safe wrapper asks for an interface of the caller's network namespace")]
fn interface_index(interface: &str) -> io::Result<libc::c_int> {
    let missing = || io::Error::from_raw_os_error(libc::ENODEV);
    let name = CString::new(interface).map_err(|_| missing())?;
    // SAFETY: the name is a C string that outlives the call, which only reads it.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(missing()),
        index => libc::c_int::try_from(index).map_err(|_| missing()),
    }
}

#[expect(unsafe_code, reason = "socket2 does not know these options")]
fn set_option<T: Copy>(socket: &Socket, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads size_of::<T>() bytes from a live reference; T is a plain C value without padding.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the Socket owns its descriptor: as_raw_fd() is the same one until it is dropped, which closes it.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

#[expect(unsafe_code, reason = "socket2 builds no link-layer address")]
fn bind(socket: &Socket, index: libc::c_int) -> io::Result<()> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is a sockaddr type of this platform.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = (libc::ETH_P_ALL as libc::c_ushort).to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a whole sockaddr_ll, and the length is its length.
    let address = unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) };
    socket.bind(&address)
}

#[expect(unsafe_code, reason = "socket2 reads no link-layer address")]
fn link_address(address: SockAddr) -> libc::sockaddr_ll {
    let mut storage = address.as_storage();
    // SAFETY: sockaddr_ll is a sockaddr type of this platform, and the storage is zero where the kernel wrote nothing.
    *unsafe { storage.view_as::<libc::sockaddr_ll>() }
}

/// Room for one `tpacket_auxdata`, aligned as the kernel's control headers must be.
#[repr(C, align(8))]
struct Control([u8; 128]);

#[expect(unsafe_code, reason = "control messages have no safe reader in std or socket2")]
fn receive_message(socket: &Socket) -> io::Result<Received> {
    let (mut bytes, mut control) = ([0_u8; LONGEST_FRAME], Control([0; 128]));
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid msghdr: no name, no buffers.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: the message points at buffers of the lengths it gives; all of them live until the last use below.
    let length = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let mut stripped = None;
    // SAFETY: recvmsg has filled msg_control and set msg_controllen; the macro stays within them.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: not null, so a whole cmsghdr lies in the aligned control buffer.
        let this = unsafe { &*header };
        if (this.cmsg_level, this.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
            // SAFETY: the kernel writes a whole tpacket_auxdata under this level and type; it may be unaligned.
            let data = unsafe { libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned() };
            stripped = stripped_tag(&data);
        }
        // SAFETY: header is one of this message's, as CMSG_FIRSTHDR and CMSG_NXTHDR gave it.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(Received { bytes: bytes[..length].to_vec(), stripped })
}

/// The tag that the kernel took off the frame (packet(7), PACKET_AUXDATA).
fn stripped_tag(data: &libc::tpacket_auxdata) -> Option<Tag> {
    let has = |bit: u32| data.tp_status & bit != 0;
    let tpid = if has(libc::TP_STATUS_VLAN_TPID_VALID) { data.tp_vlan_tpid } else { TPID_8021Q };
    has(libc::TP_STATUS_VLAN_VALID).then_some(Tag { tpid, tci: data.tp_vlan_tci })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the filter lets a frame through. The kernel runs it on any socket; this one needs no rights.
    fn passes(frame: &[u8]) -> bool {
        let (sender, receiver) = Socket::pair(Domain::UNIX, Type::DGRAM.nonblocking(), None).unwrap();
        receiver.attach_filter(&filter()).unwrap();
        sender.send(frame).unwrap();
        receiver.recv(&mut [std::mem::MaybeUninit::uninit(); 2048]).is_ok()
    }

    /// A frame whose bytes after the MAC addresses are these, the IPv6 next header and ICMPv6 type where they belong.
    fn frame(types: &[u8], next_header: u8, kind: u8) -> Vec<u8> {
        let mut frame = [&[2; 12], types, &[0; 80]].concat();
        let start = 12 + types.len();
        (frame[start + 6], frame[start + 40]) = (next_header, kind);
        frame
    }

    #[test]
    fn the_filter_passes_arp_beats_and_neighbor_messages_tagged_or_not() {
        for tag in [&[][..], &[0x81, 0, 1, 0x55]] {
            assert!(passes(&frame(&[tag, &[8, 6]].concat(), 0, 0)), "ARP behind {tag:?}");
            assert!(passes(&frame(&[tag, &[0x88, 0xb5]].concat(), 0, 0)), "a beat behind {tag:?}");
            for kind in [135, 136] {
                assert!(passes(&frame(&[tag, &[0x86, 0xdd]].concat(), 58, kind)), "{kind} behind {tag:?}");
            }
        }
    }

    #[test]
    fn the_filter_drops_everything_else() {
        for tag in [&[][..], &[0x81, 0, 1, 0x55], &[0x81, 0, 1, 0x55, 0x81, 0, 0, 1]] {
            assert!(!passes(&frame(&[tag, &[8, 0]].concat(), 58, 135)), "IPv4 behind {tag:?}");
            assert!(!passes(&frame(&[tag, &[0x86, 0xdd]].concat(), 6, 135)), "TCP behind {tag:?}");
            for kind in [128, 134, 137] {
                assert!(!passes(&frame(&[tag, &[0x86, 0xdd]].concat(), 58, kind)), "{kind} behind {tag:?}");
            }
        }
        assert!(!passes(&[2; 13]) && !passes(&frame(&[0x86, 0xdd], 58, 135)[..54]), "cut short");
    }

    #[test]
    fn a_tag_counts_only_where_the_kernel_says_that_there_is_one() {
        let data = |tp_status| libc::tpacket_auxdata {
            tp_status,
            tp_len: 0,
            tp_snaplen: 0,
            tp_mac: 0,
            tp_net: 0,
            tp_vlan_tci: 341,
            tp_vlan_tpid: 0x88a8,
        };
        assert_eq!(stripped_tag(&data(0)), None);
        let old = stripped_tag(&data(libc::TP_STATUS_VLAN_VALID));
        assert_eq!(old, Some(Tag { tpid: TPID_8021Q, tci: 341 }));
        let new = stripped_tag(&data(libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID));
        assert_eq!(new, Some(Tag { tpid: 0x88a8, tci: 341 }));
    }

    #[test]
    fn a_missing_interface_is_named() {
        let error = classify("br-provider", "find it", io::Error::from_raw_os_error(libc::ENODEV));
        assert!(error.to_string().contains("there is no interface br-provider"));
    }
}
