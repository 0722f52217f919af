//! The speakers' own frames: "I am here", some ten times a second. `docs/beats.md` has every byte.
//!
//! Given a beat and a key, gives the frame; given a frame and the keys, says what it tells, or why it is not believed. Never
//! remembers: whether a beat is new is for whoever keeps the last one.

pub mod claims;

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;

use super::ethernet::{self, Tag};
use super::hear::Received;
use super::responder::Interface;
use crate::model::{ETHERTYPE_BEAT, Mac, NodeName, SubnetName, VlanId};
pub use claims::{Claim, Said, Word};

/// Where they go: a group address of local administration, "ovn-v" of our own choice.
pub const GROUP: Mac = Mac([0x03, 0x6f, 0x76, 0x6e, 0x2d, 0x76]);

const MAGIC: [u8; 2] = *b"ov";
const VERSION: u8 = 1;
/// Magic, version, state, period, boot, sequence, length, the lengths of two names.
const HEADER: usize = 2 + 1 + 1 + 4 + 8 + 8 + 2 + 1 + 1;
/// HMAC-SHA-256, whole.
const TAG: usize = 32;

/// What a speaker says of itself on a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its node.
    pub node: NodeName,
    /// The segment.
    pub subnet: SubnetName,
    /// When the process began, in milliseconds since 1970: of two processes of one node the later one counts.
    pub boot: u64,
    /// Grows with each beat of a process.
    pub sequence: u64,
    /// How it is.
    pub state: State,
    /// What it says of VIPs; nothing, where nobody could believe it, and in those of an older version.
    pub said: Option<Said>,
}

/// How a speaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs; its next beat comes within this time.
    Here(Duration),
    /// It ends, and another takes its place on this node within this time: what it holds is to be left to it.
    BackSoon(Duration),
    /// It ends for good.
    Leaving,
}

/// Why a frame is no beat to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum BeatError {
    /// No frame of this kind, or cut off.
    #[error("not a beat, or cut off")]
    Malformed,
    /// Of another version of ovn-vip, which this one cannot read.
    #[error("a beat of another version")]
    OtherVersion,
    /// It has no tag, or one by another key.
    #[error("a beat that no key of ours has made")]
    NotAuthentic,
    /// Of another subnet than the one of this interface.
    #[error("a beat for another segment")]
    OtherSegment,
    /// It, or a later one, was heard before.
    #[error("a beat that is not new")]
    Replayed,
    /// This node's own, come back.
    #[error("a beat of our own")]
    Own,
}

impl BeatError {
    /// A stable short name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            BeatError::Malformed => "beat_malformed",
            BeatError::OtherVersion => "beat_other_version",
            BeatError::NotAuthentic => "beat_not_authentic",
            BeatError::OtherSegment => "beat_other_segment",
            BeatError::Replayed => "beat_replayed",
            BeatError::Own => "beat_own",
        }
    }
}

/// The secrets that all speakers of a cluster share: the first makes tags, each is believed. None: nothing is checked.
#[derive(Clone, Default)]
pub struct Keys(Arc<Vec<Hmac<Sha256>>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// One key a line; blank lines do not count.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        // An HMAC takes keys of any length (RFC 2104 §2).
        Self(Arc::new(lines.filter_map(|line| Hmac::new_from_slice(line.as_bytes()).ok()).collect()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sender's MAC is part of what is signed, so that nobody else's frame carries it.
    fn tag(key: &Hmac<Sha256>, sender: Mac, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = key.clone();
        mac.update(&sender.0);
        mac.update(body);
        mac
    }

    fn sign(&self, sender: Mac, body: &[u8]) -> [u8; TAG] {
        let tag = self.0.first().map(|key| Self::tag(key, sender, body).finalize().into_bytes().into());
        tag.unwrap_or([0; TAG])
    }

    fn believes(&self, sender: Mac, body: &[u8], tag: &[u8]) -> bool {
        self.is_empty() || self.0.iter().any(|key| Self::tag(key, sender, body).verify_slice(tag).is_ok())
    }
}

impl Beat {
    /// The frame. It bears the segment's tag on every interface, also where the kernel or the switch would write it: rules
    /// on the bridge take it to the NIC as it is.
    pub fn emit(&self, sender: Mac, vlan: Option<VlanId>, keys: &Keys) -> Vec<u8> {
        let Self { node, subnet, boot, sequence, state, said } = self;
        let (state, time) = match state {
            State::Here(time) => (0, *time),
            State::BackSoon(time) => (1, *time),
            State::Leaving => (2, Duration::ZERO),
        };
        let (node, subnet) = (short(node.as_str()), short(subnet.as_str()));
        let mut body = Vec::with_capacity(claims::MOST_BYTES);
        body.extend(MAGIC);
        body.extend([VERSION, state]);
        body.extend(u32::try_from(time.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(boot.to_be_bytes());
        body.extend(sequence.to_be_bytes());
        let at_length = body.len();
        body.extend([0; 2]);
        body.extend([node, subnet].map(|name| u8::try_from(name.len()).unwrap_or(u8::MAX)));
        body.extend(node);
        body.extend(subnet);
        if let Some(said) = said {
            said.emit(&mut body);
        }
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        body.splice(at_length..at_length + length.len(), length);
        let tag = keys.sign(sender, &body);
        body.extend(tag);
        let tag = vlan.map(Tag::of);
        ethernet::Repr { destination: GROUP, source: sender, tag, ethertype: ETHERTYPE_BEAT }.emit(&body)
    }

    /// Whether a frame is one at all, by its type.
    pub fn is_one(frame: &Received) -> bool {
        ethernet::Repr::parse(&frame.bytes).is_ok_and(|(header, _)| header.ethertype == ETHERTYPE_BEAT)
    }

    /// Reads a frame that came in on an interface of this segment.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn parse(frame: &Received, interface: Interface, keys: &Keys) -> Result<(Mac, Self), BeatError> {
        let (header, payload) = ethernet::Repr::parse(&frame.bytes).map_err(|_| BeatError::Malformed)?;
        if header.source == interface.mac {
            return Err(BeatError::Own);
        }
        let mut reader = Reader(payload);
        if reader.take(2)? != MAGIC {
            return Err(BeatError::Malformed);
        }
        if reader.take(1)? != [VERSION] {
            return Err(BeatError::OtherVersion);
        }
        let state = reader.array::<1>()?;
        let time = Duration::from_millis(u32::from_be_bytes(reader.array()?).into());
        let (boot, sequence) = (u64::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        let [node, subnet] = reader.array::<2>()?;
        let (node, subnet) = (text(reader.take(node.into())?)?, text(reader.take(subnet.into())?)?);
        let body = payload.get(..length).ok_or(BeatError::Malformed)?;
        let tag = payload.get(length..length + TAG).ok_or(BeatError::Malformed)?;
        let read = payload.len() - reader.0.len();
        // What follows the names is of later versions than the first, and so is what follows that.
        let rest = body.get(read..).ok_or(BeatError::Malformed)?;
        if !keys.believes(header.source, body, tag) {
            return Err(BeatError::NotAuthentic);
        }
        let state = match state {
            [0] => State::Here(time),
            [1] => State::BackSoon(time),
            [2] => State::Leaving,
            _ => return Err(BeatError::OtherVersion),
        };
        let said = Said::parse(&mut Reader(rest))?;
        let (node, subnet) = (NodeName::from(node), SubnetName::from(subnet));
        Ok((header.source, Self { node, subnet, boot, sequence, state, said }))
    }
}

/// Kubernetes' names have 253 bytes at most.
fn short(name: &str) -> &[u8] {
    name.as_bytes().get(..usize::from(u8::MAX)).unwrap_or(name.as_bytes())
}

fn text(bytes: &[u8]) -> Result<&str, BeatError> {
    std::str::from_utf8(bytes).map_err(|_| BeatError::Malformed)
}

/// What is left to read.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn take(&mut self, count: usize) -> Result<&'p [u8], BeatError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BeatError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BeatError> {
        self.take(N)?.try_into().map_err(|_| BeatError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENDER: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const HEARER: Interface = Interface { mac: Mac([2, 0, 0, 0, 0, 2]), vlan: None };

    fn beat(state: State) -> Beat {
        Beat { node: "node1".into(), subnet: "underlay".into(), boot: 7, sequence: 3, state, said: None }
    }

    fn telling(state: State) -> Beat {
        let word = Word { claim: Claim::Holds(4), undelivered: false };
        let claims = vec![([10, 0, 0, 1].into(), word)];
        Beat { said: Some(Said { digest: 1, claims, ..Said::default() }), ..beat(state) }
    }

    fn heard(bytes: Vec<u8>, keys: &Keys) -> Result<Beat, BeatError> {
        let frame = Received { bytes, stripped: None };
        assert!(Beat::is_one(&frame));
        Beat::parse(&frame, HEARER, keys).map(|(sender, beat)| {
            assert_eq!(sender, SENDER);
            beat
        })
    }

    #[test]
    fn a_beat_is_read_as_it_was_written_tagged_or_not_with_a_key_or_none() {
        let second = Duration::from_secs(1);
        for state in [State::Here(second), State::BackSoon(second), State::Leaving] {
            for vlan in [None, VlanId::new(341)] {
                for keys in [Keys::default(), Keys::read("secret\n")] {
                    for beat in [beat(state), telling(state)] {
                        assert_eq!(heard(beat.emit(SENDER, vlan, &keys), &keys), Ok(beat));
                    }
                }
            }
        }
    }

    #[test]
    fn only_keys_of_ours_are_believed_and_an_old_one_while_it_is_there() {
        let frame = |keys: &str| telling(State::Leaving).emit(SENDER, None, &Keys::read(keys));
        let both = Keys::read("new\n\nold\n");
        for (made_by, believed) in [("new", true), ("old", true), ("", false), ("other", false)] {
            assert_eq!(heard(frame(made_by), &both).is_ok(), believed, "{made_by}");
        }
        let mut other_mac = frame("new");
        other_mac[11] = 9;
        let other_mac = Received { bytes: other_mac, stripped: None };
        assert_eq!(Beat::parse(&other_mac, HEARER, &both).err(), Some(BeatError::NotAuthentic));
        for byte in 14..frame("new").len() {
            let mut altered = frame("new");
            altered[byte] ^= 1;
            assert!(heard(altered, &both).is_err(), "byte {byte} altered");
        }
    }

    #[test]
    fn another_version_and_what_is_cut_off_are_told_apart() {
        let keys = Keys::default();
        let whole = telling(State::Leaving).emit(SENDER, None, &keys);
        let mut newer = whole.clone();
        newer[16] = 2;
        assert_eq!(heard(newer, &keys), Err(BeatError::OtherVersion));
        for length in 14..whole.len() {
            assert_eq!(heard(whole[..length].to_vec(), &keys), Err(BeatError::Malformed), "{length} bytes");
        }
        let own = Received { bytes: beat(State::Leaving).emit(HEARER.mac, None, &keys), stripped: None };
        assert_eq!(Beat::parse(&own, HEARER, &keys).err(), Some(BeatError::Own));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let header = [&GROUP.0[..], &SENDER.0, &[0x88, 0xb5], &bytes].concat();
            let _ = Beat::parse(&Received { bytes: header, stripped: None }, HEARER, &Keys::read("k"));
        }
    }
}
