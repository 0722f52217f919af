//! Addresses, ports and the like, each with its cure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Notes;
use crate::model::{AddressRange, Labels, Mac, Protocol};

const ADDRESS: &str = "write a plain IPv4 or IPv6 address: no zone, no prefix length, not IPv4-mapped";

impl Notes<'_> {
    /// An address; a zone or an IPv4-mapped IPv6 address is refused, OVN's keys have neither.
    pub(super) fn address(&mut self, field: impl Into<String>, text: &str) -> Option<IpAddr> {
        let address = parse_address(text);
        if address.is_none() {
            self.say(field, text, ADDRESS);
        }
        address
    }

    /// A port number.
    pub(super) fn port(&mut self, field: impl Into<String>, number: i32) -> Option<u16> {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        if port.is_none() {
            self.say(field, number.to_string(), "write a port from 1 to 65535");
        }
        port
    }

    /// A protocol; absent is TCP (Kubernetes API, ServicePort and EndpointPort v1).
    pub(super) fn protocol(&mut self, field: impl Into<String>, text: Option<&str>) -> Option<Protocol> {
        match text {
            None | Some("" | "TCP") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            Some("SCTP") => Some(Protocol::Sctp),
            Some(other) => {
                self.say(field, other, "write TCP, UDP or SCTP");
                None
            }
        }
    }

    /// The MAC of a router port; empty is none.
    pub(super) fn mac(&mut self, field: impl Into<String>, text: &str) -> Option<Mac> {
        if text.is_empty() {
            return None;
        }
        let mac = text.parse().ok().filter(|mac: &Mac| !mac.is_group() && *mac != Mac::ZERO);
        if mac.is_none() {
            self.say(field, text, "write a unicast MAC address, such as 0a:00:00:00:00:01");
        }
        mac
    }

    /// `first..last`, or one address.
    pub(super) fn range(&mut self, field: impl Into<String>, text: &str) -> Option<AddressRange> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let ends = parse_address(first.trim()).zip(parse_address(last.trim()));
        let range = ends.and_then(|(first, last)| AddressRange::new(first, last));
        if range.is_none() {
            self.say(field, text, "write one address, or first..last of one family, lowest first");
        }
        range
    }
}

/// The parts of a comma-separated list; none of an empty text.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A CIDR, host bits cleared as Kube-OVN does.
pub(super) fn parse_cidr(text: &str) -> Option<IpNet> {
    text.parse().ok().filter(|net: &IpNet| !is_mapped(net.addr())).map(|net| net.trunc())
}

/// A network without bits behind its prefix.
pub(super) fn parse_range(text: &str) -> Option<IpNet> {
    text.parse().ok().filter(|net: &IpNet| {
        let is_whole = !is_mapped(net.addr()) && net.trunc() == *net;
        // Leading zeros are octal to some readers, and decimal to others.
        is_whole
            && (net.to_string() == text
                || (net.addr().is_ipv6() && text.ends_with(&format!("/{}", net.prefix_len()))))
    })
}

/// Labels, as they are.
pub(super) fn labels(from: Option<&BTreeMap<String, String>>) -> Labels {
    from.into_iter().flatten().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|address| !is_mapped(*address))
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}
