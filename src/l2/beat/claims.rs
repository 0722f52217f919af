//! What a beat says of VIPs, in bytes: `docs/beats.md` has each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{BeatError, Reader, short, text};
use crate::model::{LAST_TERM, NodeName, Term};

/// A beat has no more bytes of payload than this, its signature included: it fits where tunnels take their part of 1,500.
pub const MOST_BYTES: usize = 1200;

/// What a speaker says of VIPs on a segment, in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// It holds something there.
    pub holder: bool,
    /// It has just begun: the others tell at once what they hold, and what it held before.
    pub asks: bool,
    /// Grows each time that all claims have been said.
    pub round: u32,
    /// Of all its claims: who knows the same has missed none.
    pub digest: u64,
    /// Some of them, changes first.
    pub claims: Vec<(IpAddr, Word)>,
    /// What a node that asks said when it was heard last.
    pub remembered: Option<(NodeName, Vec<(IpAddr, Word)>)>,
}

/// What is said of a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// Who has it.
    pub claim: Claim,
    /// It should be delivered on that node, and cannot be.
    pub undelivered: bool,
}

/// Whether the speaker has a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It does not, or not any more, and needs not say so.
    #[default]
    Nothing,
    /// It has.
    Holds(Term),
    /// It had it last.
    Left(Term),
}

const HOLDS: u8 = 1;
const LEFT: u8 = 2;
const UNDELIVERED: u8 = 4;
const V6: u8 = 0x80;
/// Flags of the whole.
const ASKS: u8 = 1;
const HOLDER: u8 = 2;

/// Flags, round, digest, how many claims, the length of the name of who is remembered, and how many of its.
const FIXED: usize = 1 + 4 + 8 + 2 + 1 + 2;
/// No term has more (`LAST_TERM`).
const TERM: usize = 7;

/// How many bytes a claim takes.
pub fn size(vip: IpAddr) -> usize {
    1 + TERM + if vip.is_ipv4() { 4 } else { 16 }
}

/// How many bytes of claims a beat has room for, beside all else.
pub fn room(names: usize) -> usize {
    (MOST_BYTES - super::HEADER - super::TAG - FIXED).saturating_sub(names)
}

/// The bytes of a claim.
pub fn emit(vip: IpAddr, Word { claim, undelivered }: Word, into: &mut Vec<u8>) {
    let (kind, term) = match claim {
        Claim::Nothing => (0, 0),
        Claim::Holds(term) => (HOLDS, term),
        Claim::Left(term) => (LEFT, term),
    };
    let family = if vip.is_ipv4() { 0 } else { V6 };
    let undelivered = if undelivered { UNDELIVERED } else { 0 };
    into.push(kind | undelivered | family);
    let [_, term @ ..] = term.min(LAST_TERM).to_be_bytes();
    into.extend(term);
    match vip {
        IpAddr::V4(address) => into.extend(address.octets()),
        IpAddr::V6(address) => into.extend(address.octets()),
    }
}

impl Said {
    /// What [`Said::parse`] reads.
    pub(super) fn emit(&self, into: &mut Vec<u8>) {
        let Self { holder, asks, round, digest, claims, remembered } = self;
        into.push(if *asks { ASKS } else { 0 } | if *holder { HOLDER } else { 0 });
        into.extend(round.to_be_bytes());
        into.extend(digest.to_be_bytes());
        emit_all(claims, into);
        let (node, claims) =
            remembered.as_ref().map_or((&[][..], &[][..]), |(node, claims)| (short(node.as_str()), claims));
        into.push(u8::try_from(node.len()).unwrap_or(u8::MAX));
        into.extend(node);
        emit_all(claims, into);
    }

    /// `None`: nothing of the kind is there, as in beats of older versions.
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Option<Self>, BeatError> {
        if reader.0.is_empty() {
            return Ok(None);
        }
        let [flags] = reader.array()?;
        let (round, digest) = (u32::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
        let claims = parse_all(reader)?;
        let [length] = reader.array()?;
        let node = text(reader.take(length.into())?)?;
        let remembered = (NodeName::from(node), parse_all(reader)?);
        let remembered = (!node.is_empty()).then_some(remembered);
        let (asks, holder) = (flags & ASKS != 0, flags & HOLDER != 0);
        Ok(Some(Self { holder, asks, round, digest, claims, remembered }))
    }
}

fn emit_all(claims: &[(IpAddr, Word)], into: &mut Vec<u8>) {
    into.extend(u16::try_from(claims.len()).unwrap_or(u16::MAX).to_be_bytes());
    claims.iter().for_each(|(vip, word)| emit(*vip, *word, into));
}

fn parse_all(reader: &mut Reader<'_>) -> Result<Vec<(IpAddr, Word)>, BeatError> {
    let count = u16::from_be_bytes(reader.array()?);
    // No room is made for what is only said to come.
    (0..count).map(|_| parse(reader)).collect()
}

fn parse(reader: &mut Reader<'_>) -> Result<(IpAddr, Word), BeatError> {
    let [kind] = reader.array()?;
    let term = reader.array::<TERM>()?.iter().fold(0, |term, byte| term << 8 | Term::from(*byte));
    let vip = match kind & V6 {
        0 => IpAddr::from(Ipv4Addr::from(reader.array::<4>()?)),
        _ => IpAddr::from(Ipv6Addr::from(reader.array::<16>()?)),
    };
    let claim = match kind & (HOLDS | LEFT) {
        0 => Claim::Nothing,
        HOLDS => Claim::Holds(term),
        LEFT => Claim::Left(term),
        _ => return Err(BeatError::Malformed),
    };
    if term > LAST_TERM || kind & !(HOLDS | LEFT | UNDELIVERED | V6) != 0 {
        return Err(BeatError::Malformed);
    }
    Ok((vip, Word { claim, undelivered: kind & UNDELIVERED != 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<(IpAddr, Word)> {
        let vips = ["10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3"].map(|vip| vip.parse().unwrap());
        let claims =
            [Claim::Holds(1), Claim::Left(LAST_TERM), Claim::Nothing, Claim::Holds(0x0102_0304_0506)];
        let word = |(claim, number)| Word { claim, undelivered: number % 2 == 0 };
        vips.into_iter().zip(claims.into_iter().zip(0..).map(word)).collect()
    }

    fn bytes(said: &Said) -> Vec<u8> {
        let mut bytes = Vec::new();
        said.emit(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_said_is_read_as_it_was() {
        let said = Said { asks: true, round: 7, digest: 9, claims: words(), ..Said::default() };
        for remembered in [None, Some(("node2".into(), words()))] {
            let said = Said { remembered, ..said.clone() };
            let bytes = bytes(&said);
            assert_eq!(Said::parse(&mut Reader(&bytes)), Ok(Some(said)));
            for length in 1..bytes.len() {
                assert_eq!(Said::parse(&mut Reader(&bytes[..length])), Err(BeatError::Malformed), "{length}");
            }
        }
        assert_eq!(Said::parse(&mut Reader(&[])), Ok(None), "a beat of before");
    }

    #[test]
    fn a_term_beyond_the_last_and_a_kind_that_is_none_are_malformed() {
        let said = Said { claims: vec![words()[0]], ..Said::default() };
        for (at, byte) in [(15, 3), (15, 8), (16, 0xff)] {
            let mut bytes = bytes(&said);
            bytes[at] = byte;
            assert_eq!(Said::parse(&mut Reader(&bytes)), Err(BeatError::Malformed), "{at} {byte}");
        }
        let mut ten_thousand = bytes(&said);
        ten_thousand[13..15].copy_from_slice(&10_000_u16.to_be_bytes());
        assert_eq!(Said::parse(&mut Reader(&ten_thousand)), Err(BeatError::Malformed));
    }

    #[test]
    fn a_claim_takes_as_many_bytes_as_are_counted_for_it() {
        for (vip, word) in words() {
            let mut bytes = Vec::new();
            emit(vip, word, &mut bytes);
            assert_eq!(bytes.len(), size(vip));
        }
        assert_eq!(bytes(&Said::default()).len(), FIXED);
    }
}
