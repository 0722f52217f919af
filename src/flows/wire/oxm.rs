//! Matches: `ofp_match` of OXM fields (OpenFlow 1.4 §7.2.2; ovs-fields(7) has the same table).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::bytes::{Reader, Truncated, pad_to_8, set_length};
use super::fields::Fields;
use crate::flows::flow::{BeatMatch, Match, Traffic, VipMatch};
use crate::model::{ETHERTYPE_BEAT, Family, Protocol, VlanId};

/// `OFPXMC_OPENFLOW_BASIC` (§7.2.2.3).
pub(super) const CLASS: u16 = 0x8000;
/// `OFPMT_OXM` (§7.2.2.1).
const MATCH_OXM: u16 = 1;
/// `OFPVID_PRESENT` (§7.2.2.7).
pub(super) const VID_PRESENT: u16 = 0x1000;
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// `oxm_ofb_match_fields` (§7.2.2.7).
pub(super) mod field {
    pub(in crate::flows::wire) const IN_PORT: u8 = 0;
    pub(in crate::flows::wire) const METADATA: u8 = 2;
    pub(in crate::flows::wire) const ETH_DST: u8 = 3;
    pub(in crate::flows::wire) const ETH_SRC: u8 = 4;
    pub(in crate::flows::wire) const ETH_TYPE: u8 = 5;
    pub(in crate::flows::wire) const VLAN_VID: u8 = 6;
    pub(in crate::flows::wire) const IP_PROTO: u8 = 10;
    pub(in crate::flows::wire) const IPV4_SRC: u8 = 11;
    pub(in crate::flows::wire) const IPV4_DST: u8 = 12;
    pub(in crate::flows::wire) const TCP_DST: u8 = 14;
    pub(in crate::flows::wire) const UDP_DST: u8 = 16;
    pub(in crate::flows::wire) const SCTP_DST: u8 = 18;
    pub(in crate::flows::wire) const ICMPV4_TYPE: u8 = 19;
    pub(in crate::flows::wire) const ICMPV4_CODE: u8 = 20;
    pub(in crate::flows::wire) const IPV6_SRC: u8 = 26;
    pub(in crate::flows::wire) const IPV6_DST: u8 = 27;
    pub(in crate::flows::wire) const ICMPV6_TYPE: u8 = 29;
    pub(in crate::flows::wire) const ICMPV6_CODE: u8 = 30;
}

/// The match of a flow that a bridge has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundMatch {
    /// One that we could have written.
    Known(Match),
    /// Any other: its OXM fields as they came, enough to name the flow in a strict delete.
    Other(Vec<u8>),
}

/// What kube-ovn-cni's own rule for a service port matches: the fields of a [`VipMatch`], with any destination MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnyMac {
    /// `in_port`.
    pub in_port: u32,
    /// `dl_vlan`; `None` matches frames with any tag and without one.
    pub vlan: Option<VlanId>,
    /// `nw_dst` or `ipv6_dst`.
    pub destination: IpAddr,
    /// Which of the packets for that address.
    pub traffic: Traffic,
}

impl FoundMatch {
    /// The same fields, if they are exactly those of a rule for any MAC.
    pub fn any_mac(&self) -> Option<AnyMac> {
        match self {
            FoundMatch::Known(_) => None,
            FoundMatch::Other(fields) => Fields::read(Reader::new(fields))?.into_any_mac(),
        }
    }
}

impl fmt::Display for FoundMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FoundMatch::Known(known) => known.fmt(f),
            FoundMatch::Other(fields) => write!(f, "a match of {} bytes that is not ours", fields.len()),
        }
    }
}

/// Appends an `ofp_match`, padded to 8 bytes.
pub(super) fn put_match(matches: &FoundMatch, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([MATCH_OXM.to_be_bytes(), [0; 2]].as_flattened());
    match matches {
        FoundMatch::Known(known) => put_fields(known, out),
        FoundMatch::Other(fields) => out.extend(fields),
    }
    set_length(out, start, 2);
    pad_to_8(out, start);
}

/// Appends an `ofp_match` that every flow matches.
pub(super) fn put_match_all(out: &mut Vec<u8>) {
    put_match(&FoundMatch::Other(Vec::new()), out);
}

/// Appends an `ofp_match` of everything to this IP address.
pub(super) fn put_match_to(destination: IpAddr, out: &mut Vec<u8>) {
    let mut fields = Vec::new();
    put_destination(destination, &mut fields, |_| ());
    put_match(&FoundMatch::Other(fields), out);
}

/// Reads an `ofp_match` and its padding.
pub(super) fn take_match(reader: &mut Reader<'_>) -> Result<FoundMatch, Truncated> {
    let mut part = reader.part(2, 4)?;
    let padding = part.rest().len().next_multiple_of(8) - part.rest().len();
    reader.take(padding)?;
    let kind = part.u16()?;
    part.u16()?;
    let known = if kind == MATCH_OXM { Fields::read(part).and_then(Fields::into_match) } else { None };
    Ok(known.map_or_else(|| FoundMatch::Other(part.rest().to_vec()), FoundMatch::Known))
}

/// The exact `metadata` among the fields of an `ofp_match`, padding or not; `None` where there is none.
///
/// # Errors
/// When it contradicts itself in a length.
pub(super) fn take_metadata(mut matches: Reader<'_>) -> Result<Option<u64>, Truncated> {
    matches.take(4)?; // type, length
    while matches.rest().len() >= 4 {
        let [class @ .., number, length] = matches.array::<4>()?;
        let mut value = Reader::new(matches.take(usize::from(length))?);
        if u16::from_be_bytes(class) == CLASS && number >> 1 == field::METADATA {
            let metadata = value.u64()?;
            let is_exact = value.rest().iter().all(|&byte| byte == 0xff);
            return Ok(is_exact.then_some(metadata));
        }
    }
    Ok(None)
}

/// The exact destination address among the fields of an `ofp_match`, padding or not; `None` where there is none.
///
/// # Errors
/// When it contradicts itself in a length.
pub(super) fn take_destination(mut matches: Reader<'_>) -> Result<Option<IpAddr>, Truncated> {
    matches.take(4)?; // type, length
    while matches.rest().len() >= 4 {
        let [class @ .., number, length] = matches.array::<4>()?;
        let mut value = Reader::new(matches.take(usize::from(length))?);
        let is_exact = number & 1 == 0 && u16::from_be_bytes(class) == CLASS;
        match number >> 1 {
            field::IPV4_DST if is_exact => return Ok(Some(value.array::<4>()?.into())),
            field::IPV6_DST if is_exact => return Ok(Some(value.array::<16>()?.into())),
            _ => {}
        }
    }
    Ok(None)
}

/// Appends one exact OXM field.
pub(super) fn put_field(number: u8, value: &[u8], out: &mut Vec<u8>) {
    out.extend(CLASS.to_be_bytes());
    out.extend([number << 1, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
    out.extend(value);
}

/// Prerequisites first, as §7.2.2.6 asks for.
fn put_fields(matches: &Match, out: &mut Vec<u8>) {
    match matches {
        Match::Vip(vip) => put_vip(vip, out),
        Match::Beat(beat) => put_beat(*beat, out),
    }
}

fn put_beat(BeatMatch { in_port, vlan }: BeatMatch, out: &mut Vec<u8>) {
    put_field(field::IN_PORT, &in_port.to_be_bytes(), out);
    put_field(field::ETH_TYPE, &ETHERTYPE_BEAT.to_be_bytes(), out);
    put_vlan(vlan, out);
}

fn put_vlan(vlan: Option<VlanId>, out: &mut Vec<u8>) {
    if let Some(vlan) = vlan {
        put_field(field::VLAN_VID, &(VID_PRESENT | vlan.get()).to_be_bytes(), out);
    }
}

fn put_vip(matches: &VipMatch, out: &mut Vec<u8>) {
    let VipMatch { in_port, eth_dst, vlan, destination, source, traffic } = matches;
    put_field(field::IN_PORT, &in_port.to_be_bytes(), out);
    put_field(field::ETH_DST, &eth_dst.0, out);
    put_destination(*destination, out, |out| {
        put_vlan(*vlan, out);
        put_field(field::IP_PROTO, &[ip_protocol(*traffic, *destination)], out);
    });
    if let Some(source) = source {
        put_source(*source, out);
    }
    if let Traffic::Port(protocol, port) = traffic {
        put_field(port_field(*protocol), &port.to_be_bytes(), out);
    }
    let (of_type, of_code) = match destination {
        IpAddr::V4(_) => (field::ICMPV4_TYPE, field::ICMPV4_CODE),
        IpAddr::V6(_) => (field::ICMPV6_TYPE, field::ICMPV6_CODE),
    };
    if let Some((number, code)) = traffic.icmp(Family::of(*destination)) {
        put_field(of_type, &[number], out);
        code.into_iter().for_each(|code| put_field(of_code, &[code], out));
    }
}

/// The address, with what must come before it.
fn put_destination(destination: IpAddr, out: &mut Vec<u8>, between: impl FnOnce(&mut Vec<u8>)) {
    let eth_type = if destination.is_ipv4() { IPV4 } else { IPV6 };
    put_field(field::ETH_TYPE, &eth_type.to_be_bytes(), out);
    between(out);
    match destination {
        IpAddr::V4(address) => put_field(field::IPV4_DST, &address.octets(), out),
        IpAddr::V6(address) => put_field(field::IPV6_DST, &address.octets(), out),
    }
}

/// The network that the packet comes from: exact where it is one address, else with its mask.
fn put_source(source: IpNet, out: &mut Vec<u8>) {
    let (number, value, mask) = match source {
        IpNet::V4(source) => {
            (field::IPV4_SRC, source.addr().octets().to_vec(), source.netmask().octets().to_vec())
        }
        IpNet::V6(source) => {
            (field::IPV6_SRC, source.addr().octets().to_vec(), source.netmask().octets().to_vec())
        }
    };
    if source.prefix_len() == source.max_prefix_len() {
        return put_field(number, &value, out);
    }
    out.extend(CLASS.to_be_bytes());
    out.extend([number << 1 | 1, u8::try_from(value.len() + mask.len()).unwrap_or(u8::MAX)]);
    out.extend(value.iter().chain(&mask));
}

pub(super) fn ip_protocol(traffic: Traffic, destination: IpAddr) -> u8 {
    match traffic {
        Traffic::Port(protocol, _) => protocol.number(),
        Traffic::PathMtu | Traffic::Echo if destination.is_ipv4() => ICMP,
        Traffic::PathMtu | Traffic::Echo => ICMPV6,
    }
}

fn port_field(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => field::TCP_DST,
        Protocol::Udp => field::UDP_DST,
        Protocol::Sctp => field::SCTP_DST,
    }
}

#[cfg(test)]
#[path = "oxm_tests.rs"]
mod tests;
