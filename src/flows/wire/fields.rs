//! The fields of a match that came in, in any order: which of our matches they are.

use std::net::IpAddr;

use ipnet::IpNet;

use super::bytes::Reader;
use super::oxm::{AnyMac, CLASS, IPV4, IPV6, VID_PRESENT, field, ip_protocol};
use crate::flows::flow::{BeatMatch, Match, Traffic, VipMatch};
use crate::model::{ETHERTYPE_BEAT, Family, Mac, Protocol, VlanId};

/// The fields we use, as they come, in any order.
#[derive(Default)]
pub(super) struct Fields {
    in_port: Option<u32>,
    eth_dst: Option<Mac>,
    eth_type: Option<u16>,
    vlan: Option<VlanId>,
    ip_protocol: Option<u8>,
    destination: Option<IpAddr>,
    source: Option<IpNet>,
    traffic: Option<Traffic>,
    icmp_code: Option<u8>,
}

impl Fields {
    /// `None` as soon as a field is not one of ours, is there twice, or has a mask with holes.
    pub(super) fn read(mut reader: Reader<'_>) -> Option<Self> {
        let mut fields = Self::default();
        while !reader.is_empty() {
            let class = reader.u16().ok()?;
            let number = reader.u8().ok()?;
            let length = usize::from(reader.u8().ok()?);
            let mut body = Reader::new(reader.take(length).ok()?);
            let masked = number & 1 == 1;
            let value = body.take(if masked { length / 2 } else { length }).ok()?;
            let mask = body.rest();
            (class == CLASS).then_some(())?;
            match number >> 1 {
                field::IPV4_SRC => put_once(&mut fields.source, network::<4>(value, mask)?)?,
                field::IPV6_SRC => put_once(&mut fields.source, network::<16>(value, mask)?)?,
                number => {
                    mask.iter().all(|&byte| byte == 0xff).then_some(())?;
                    fields.set(number, Reader::new(value))?;
                }
            }
        }
        Some(fields)
    }

    fn set(&mut self, number: u8, mut value: Reader<'_>) -> Option<()> {
        let port = |protocol, value: &mut Reader<'_>| Some(Traffic::Port(protocol, value.u16().ok()?));
        let icmp = |family, value: &mut Reader<'_>| Traffic::of_icmp_type(family, value.u8().ok()?);
        match number {
            field::IN_PORT => put_once(&mut self.in_port, value.u32().ok()?)?,
            field::ETH_DST => put_once(&mut self.eth_dst, Mac(value.array().ok()?))?,
            field::ETH_TYPE => put_once(&mut self.eth_type, value.u16().ok()?)?,
            field::VLAN_VID => put_once(&mut self.vlan, vlan(value.u16().ok()?)?)?,
            field::IP_PROTO => put_once(&mut self.ip_protocol, value.u8().ok()?)?,
            field::IPV4_DST => {
                put_once(&mut self.destination, IpAddr::from(value.array::<4>().ok()?))?;
            }
            field::IPV6_DST => {
                put_once(&mut self.destination, IpAddr::from(value.array::<16>().ok()?))?;
            }
            field::TCP_DST => put_once(&mut self.traffic, port(Protocol::Tcp, &mut value)?)?,
            field::UDP_DST => put_once(&mut self.traffic, port(Protocol::Udp, &mut value)?)?,
            field::SCTP_DST => put_once(&mut self.traffic, port(Protocol::Sctp, &mut value)?)?,
            field::ICMPV4_TYPE => put_once(&mut self.traffic, icmp(Family::V4, &mut value)?)?,
            field::ICMPV6_TYPE => put_once(&mut self.traffic, icmp(Family::V6, &mut value)?)?,
            field::ICMPV4_CODE | field::ICMPV6_CODE => put_once(&mut self.icmp_code, value.u8().ok()?)?,
            _ => return None,
        }
        value.is_empty().then_some(())
    }

    /// `None` unless everything is there and fits together.
    pub(super) fn into_match(self) -> Option<Match> {
        if self.eth_type == Some(ETHERTYPE_BEAT) {
            return self.into_beat().map(Match::Beat);
        }
        let eth_dst = self.eth_dst?;
        let source = self.source;
        let AnyMac { in_port, vlan, destination, traffic } = self.into_any_client()?;
        source.is_none_or(|source| source.addr().is_ipv4() == destination.is_ipv4()).then_some(())?;
        Some(Match::Vip(VipMatch { in_port, eth_dst, vlan, destination, source, traffic }))
    }

    /// `None` where there is more than that.
    fn into_beat(self) -> Option<BeatMatch> {
        match self {
            Self {
                in_port: Some(in_port),
                eth_type: Some(_),
                vlan,
                eth_dst: None,
                ip_protocol: None,
                destination: None,
                source: None,
                traffic: None,
                icmp_code: None,
            } => Some(BeatMatch { in_port, vlan }),
            _ => None,
        }
    }

    /// The same for any MAC and any client.
    pub(super) fn into_any_mac(self) -> Option<AnyMac> {
        self.source.is_none().then(|| self.into_any_client()).flatten()
    }

    /// The same, whatever the MAC and the client.
    fn into_any_client(self) -> Option<AnyMac> {
        let Self {
            in_port,
            eth_dst: _,
            eth_type,
            vlan,
            ip_protocol: protocol,
            destination,
            source: _,
            traffic,
            icmp_code,
        } = self;
        let (destination, traffic) = (destination?, traffic?);
        let wanted_type = if destination.is_ipv4() { IPV4 } else { IPV6 };
        let wanted_code = traffic.icmp(Family::of(destination)).and_then(|(_, code)| code);
        let fits = eth_type? == wanted_type
            && protocol? == ip_protocol(traffic, destination)
            && icmp_code == wanted_code;
        fits.then_some(AnyMac { in_port: in_port?, vlan, destination, traffic })
    }
}

/// A network of `N` bytes, with a mask or for one address; `None` where the mask has holes, or bits lie outside it.
fn network<const N: usize>(value: &[u8], mask: &[u8]) -> Option<IpNet>
where
    IpAddr: From<[u8; N]>,
{
    let address = IpAddr::from(<[u8; N]>::try_from(value).ok()?);
    if mask.is_empty() {
        return Some(IpNet::from(address));
    }
    let mask = IpAddr::from(<[u8; N]>::try_from(mask).ok()?);
    IpNet::with_netmask(address, mask).ok().filter(|network| network.trunc() == *network)
}

fn vlan(vid: u16) -> Option<VlanId> {
    (vid & VID_PRESENT != 0).then(|| VlanId::new(vid & !VID_PRESENT)).flatten()
}

fn put_once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}
