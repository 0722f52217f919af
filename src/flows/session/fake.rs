//! A switch of a hundred lines, so that a session can be driven in virtual time.

use std::collections::BTreeMap;

use crate::flows::Flow;
use crate::flows::wire::{
    FlowMod, FlowModParts, Framer, Request, Version, encode, flow_mod_parts, put_entry,
};

/// Table, priority, padded `ofp_match`.
type Key = (u8, u16, Vec<u8>);

pub(crate) struct Fake {
    /// The bits of its hello's bitmap.
    pub versions: u32,
    pub bundles: bool,
    pub monitors: bool,
    /// Flows per part of a multipart reply.
    pub per_part: usize,
    /// Refuses every flow whose `ofp_match` contains these bytes.
    pub refuses: Option<Vec<u8>>,
    /// Answers nothing.
    pub mute: bool,
    /// By key: cookie and instructions.
    pub flows: BTreeMap<Key, (u64, Vec<u8>)>,
    pub out: Vec<u8>,
    /// Types of the messages that came.
    pub seen: Vec<u8>,
    pub(super) frames: Framer,
    pub(super) bundle: Vec<(u32, FlowModParts)>,
    pub(super) version: u8,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            versions: 0x7e,
            bundles: true,
            monitors: true,
            per_part: 1000,
            refuses: None,
            mute: false,
            flows: BTreeMap::new(),
            out: Vec::new(),
            seen: Vec::new(),
            frames: Framer::default(),
            bundle: Vec::new(),
            version: 0,
        }
    }

    /// Somebody's flow with the match and priority of this one of ours.
    pub fn put_anothers(&mut self, flow: &Flow, cookie: u64) {
        let mut body = Vec::new();
        encode(Version::V14, 1, &Request::FlowMod(&FlowMod::Add(flow.clone())), &mut body);
        let FlowModParts { table, priority, matches, instructions, .. } = flow_mod_parts(&body[8..]);
        self.flows.insert((table, priority, matches), (cookie, instructions));
    }

    /// Kube-OVN's own rule that does the same as this flow of ours; what it replaces is gone. Tells it.
    pub fn put_kube_ovns(&mut self, flow: &Flow, cookie: u64) {
        let key = Self::kube_ovns_key(flow);
        let mut body = Vec::new();
        encode(Version::V14, 1, &Request::FlowMod(&FlowMod::Add(flow.clone())), &mut body);
        self.flows.insert(key, (cookie, flow_mod_parts(&body[8..]).instructions));
        self.tell_change(1, cookie, 10000);
    }

    /// It is gone. Tells it.
    pub fn remove_kube_ovns(&mut self, flow: &Flow) {
        let (cookie, _) = self.flows.remove(&Self::kube_ovns_key(flow)).unwrap();
        self.tell_change(2, cookie, 10000);
    }

    /// The match without the MAC, which comes second, after 8 bytes of a port.
    fn kube_ovns_key(flow: &Flow) -> Key {
        let mut body = Vec::new();
        encode(Version::V14, 1, &Request::FlowMod(&FlowMod::Add(flow.clone())), &mut body);
        let mut matches = flow_mod_parts(&body[8..]).matches;
        let length = matches[3];
        matches.truncate(usize::from(length));
        matches.drain(12..22);
        matches[3] = length - 10;
        matches.resize(matches.len().next_multiple_of(8), 0);
        (0, 10000, matches)
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        let mut messages = Vec::new();
        while let Some(message) = self.frames.next_message().unwrap() {
            messages.push(message.to_vec());
        }
        for message in messages {
            if !self.mute {
                let xid = u32::from_be_bytes(message[4..8].try_into().unwrap());
                self.seen.push(message[1]);
                self.answer(message[0], message[1], xid, &message[8..]);
            }
        }
    }

    fn answer(&mut self, version: u8, kind: u8, xid: u32, body: &[u8]) {
        match (kind, body) {
            (0, _) => {
                let bitmap = [&[0, 1, 0, 8][..], &self.versions.to_be_bytes()].concat();
                self.version = 6;
                self.reply(0, xid, &bitmap);
                self.version = version;
            }
            (5, _) => {
                self.version = version;
                self.reply(6, xid, &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 254, 0, 0, 0]);
            }
            (14, body) => self.change(xid, flow_mod_parts(body)),
            (18, [0, 1, ..]) => self.dump(xid, body),
            (18, [0, 16, ..]) if self.monitors => self.reply(19, xid, &[0, 16, 0, 0, 0, 0, 0, 0]),
            (20, _) => self.reply(21, xid, &[]),
            (33, [_, _, _, _, 0, 0, ..]) if self.bundles => self.reply(33, xid, &[body, &[]].concat()),
            (33, [id @ .., 0, 4, _, _]) if self.bundles => self.commit(xid, id),
            (34, [_, _, _, _, 0, 0, 0, 3, inner @ ..]) if self.bundles => {
                self.bundle.push((xid, flow_mod_parts(&inner[8..])));
            }
            _ => self.error(xid, 1, 1),
        }
    }

    fn commit(&mut self, xid: u32, id: &[u8]) {
        let bundle = std::mem::take(&mut self.bundle);
        if let Some((of, _)) = bundle.iter().find(|(_, parts)| self.is_refused(parts)) {
            self.error(*of, 2, 4);
            return self.error(xid, 17, 13);
        }
        for (of, parts) in bundle {
            self.change(of, parts);
        }
        self.reply(33, xid, &[id, &[0, 5, 0, 3]].concat());
    }

    fn change(&mut self, xid: u32, parts: FlowModParts) {
        if self.is_refused(&parts) {
            return self.error(xid, 2, 4);
        }
        let FlowModParts { cookie, mask, command, table, priority, matches, instructions } = parts;
        match command {
            0 => drop(self.flows.insert((table, priority, matches), (cookie, instructions))),
            3 => self.flows.retain(|_, (found, _)| *found & mask != cookie),
            4 => self.flows.retain(|key, (found, _)| {
                *found & mask != cookie || *key != (table, priority, matches.clone())
            }),
            other => panic!("command {other}"),
        }
    }

    fn is_refused(&self, parts: &FlowModParts) -> bool {
        let refuses = self.refuses.as_deref();
        refuses.is_some_and(|bytes| parts.matches.windows(bytes.len()).any(|window| window == bytes))
    }

    fn dump(&mut self, xid: u32, body: &[u8]) {
        let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
        let (wanted, mask) = (number(24), number(32));
        let asked = |cookie: &u64| cookie & mask == wanted;
        let entries: Vec<Vec<u8>> = self
            .flows
            .iter()
            .filter(|(_, (cookie, _))| asked(cookie))
            .map(|((table, priority, matches), (cookie, instructions))| {
                let mut entry = Vec::new();
                put_entry((*cookie, *table, *priority), matches, instructions, &mut entry);
                entry
            })
            .collect();
        for part in entries.chunks(self.per_part) {
            self.reply(19, xid, &[&[0, 1, 0, 1, 0, 0, 0, 0], &part.concat()[..]].concat());
        }
        self.reply(19, xid, &[0, 1, 0, 0, 0, 0, 0, 0]);
    }

    /// Somebody else removes or changes a flow of ours: tells those who asked.
    pub fn tell_change(&mut self, event: u8, cookie: u64, priority: u16) {
        let update = [
            &[0, 1 + 15 + 16, 0, event, 0, 2, 0, 0, 0, 0][..],
            &priority.to_be_bytes(),
            &[0; 4],
            &cookie.to_be_bytes(),
            &[0, 1, 0, 4, 0, 0, 0, 0],
        ]
        .concat();
        self.reply(19, 0, &[&[0, 16, 0, 0, 0, 0, 0, 0], &update[..]].concat());
    }

    pub fn error(&mut self, xid: u32, kind: u16, code: u16) {
        self.reply(1, xid, [kind.to_be_bytes(), code.to_be_bytes()].as_flattened());
    }

    pub fn reply(&mut self, kind: u8, xid: u32, body: &[u8]) {
        let length = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
        self.out.extend([self.version, kind, length[0], length[1]]);
        self.out.extend(xid.to_be_bytes());
        self.out.extend(body);
    }
}
