//! What a rule of ours does, and its text as `ovs-ofctl` prints it.

use std::fmt;

use crate::model::{Family, Mac};

/// `OFPP_LOCAL` (OpenFlow 1.4 §7.2.1): the bridge's own port.
pub const PORT_LOCAL: u32 = 0xffff_fffe;

/// `OFPP_IN_PORT` (OpenFlow 1.4 §7.2.1): the port that the frame came from, to which nothing else sends it back.
pub const PORT_IN: u32 = 0xffff_fff8;

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// `mod_dl_dst`: rewrite the destination MAC.
    SetEthDst(Mac),
    /// `mod_dl_src`: rewrite the source MAC.
    SetEthSrc(Mac),
    /// `set_field:…->pkt_mark`: write the packet's mark, which stays on this host.
    SetMark(u32),
    /// `set_field:…->nw_ttl`: write the time to live, or the hop limit.
    SetTtl(u8),
    /// `set_field:…->icmp_type` or `icmpv6_type`: rewrite the type of an ICMP message of this family.
    SetIcmpType(Family, u8),
    /// `move`: write the whole of one field into another of the same length.
    Move(Field, Field),
    /// `output`: send to a port.
    Output(u32),
}

/// A field that is moved (ovs-fields(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `eth_src`.
    EthSrc,
    /// `eth_dst`.
    EthDst,
    /// `ip_src` or `ipv6_src`.
    IpSrc(Family),
    /// `ip_dst` or `ipv6_dst`.
    IpDst(Family),
    /// `reg0` or `xxreg0`, as long as an address: a place of the rule's own, empty at the start.
    Scratch(Family),
}

impl Field {
    /// All there are.
    #[cfg(test)]
    pub(super) const ALL: [Field; 8] = [
        Field::EthSrc,
        Field::EthDst,
        Field::IpSrc(Family::V4),
        Field::IpSrc(Family::V6),
        Field::IpDst(Family::V4),
        Field::IpDst(Family::V6),
        Field::Scratch(Family::V4),
        Field::Scratch(Family::V6),
    ];

    /// How long it is, in bits.
    pub fn bits(self) -> u16 {
        match self {
            Field::EthSrc | Field::EthDst => 48,
            Field::IpSrc(Family::V4) | Field::IpDst(Family::V4) | Field::Scratch(Family::V4) => 32,
            Field::IpSrc(Family::V6) | Field::IpDst(Family::V6) | Field::Scratch(Family::V6) => 128,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Field::EthSrc => "NXM_OF_ETH_SRC[]",
            Field::EthDst => "NXM_OF_ETH_DST[]",
            Field::IpSrc(Family::V4) => "NXM_OF_IP_SRC[]",
            Field::IpSrc(Family::V6) => "NXM_NX_IPV6_SRC[]",
            Field::IpDst(Family::V4) => "NXM_OF_IP_DST[]",
            Field::IpDst(Family::V6) => "NXM_NX_IPV6_DST[]",
            Field::Scratch(Family::V4) => "NXM_NX_REG0[]",
            Field::Scratch(Family::V6) => "NXM_NX_XXREG0[]",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::SetEthDst(mac) => write!(f, "mod_dl_dst:{mac}"),
            Action::SetEthSrc(mac) => write!(f, "mod_dl_src:{mac}"),
            Action::SetMark(mark) => write!(f, "load:{}->NXM_NX_PKT_MARK[]", Hex(*mark)),
            Action::SetTtl(ttl) => write!(f, "load:{}->NXM_NX_IP_TTL[]", Hex((*ttl).into())),
            Action::SetIcmpType(family, kind) => {
                let field = if *family == Family::V4 { "NXM_OF_ICMP_TYPE" } else { "NXM_NX_ICMPV6_TYPE" };
                write!(f, "load:{}->{field}[]", Hex((*kind).into()))
            }
            Action::Move(from, to) => write!(f, "move:{}->{}", from.name(), to.name()),
            Action::Output(PORT_LOCAL) => f.write_str("LOCAL"),
            Action::Output(PORT_IN) => f.write_str("IN_PORT"),
            Action::Output(port) => write!(f, "output:{port}"),
        }
    }
}

/// As C's `%#x` prints it: 0 has no `0x`.
struct Hex(u32);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            number => write!(f, "{number:#x}"),
        }
    }
}
