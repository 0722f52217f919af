//! The wire, the client that asks on it, and what is not to happen there.

use super::*;

impl Lab {
    pub(super) fn send(&mut self, from: usize, frame: Vec<u8>) {
        let switches = &self.hosts[from].switches;
        if !switches.carrier || !switches.runs || !self.hosts[from].has_socket {
            return;
        }
        let (header, payload) = ethernet::Repr::parse(&frame).unwrap();
        let group = self.groups[from];
        self.beaten += usize::from(header.destination == GROUP);
        if header.destination == CLIENT {
            let packet = arp::Repr::parse(payload).unwrap();
            let vip = packet.sender_ip.into();
            self.check_truth(from, vip);
            if group == 0 && !self.is_lost() {
                self.answers.push((self.now, vip, from));
            }
            return;
        }
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            let is_heard = [Mac::BROADCAST, GROUP, self.hosts[to].mac].contains(&header.destination);
            if is_heard && self.groups[to] == group {
                self.carry(to, &frame);
            }
        }
    }

    pub(super) fn carry(&mut self, to: usize, frame: &[u8]) {
        let copies = if self.loss > 0 && self.random(20) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            if !self.is_lost() {
                let delay = if self.loss > 0 { self.random_millis(1, 30) } else { self.random_millis(1, 4) };
                self.at(delay, Event::Frame(to, frame.to_vec()));
            }
        }
    }

    pub(super) fn is_lost(&mut self) -> bool {
        let loss = u64::from(self.loss);
        self.random(1000) < loss
    }

    // ── the client, and what no history may do ──────────────────────────────────────────────────────────────────────────

    pub(super) fn ask(&mut self) {
        for vip in self.vips.clone() {
            let IpAddr::V4(address) = vip else { continue };
            let question = arp::Repr {
                operation: arp::Operation::Request,
                sender_mac: CLIENT,
                sender_ip: CLIENT_IP,
                target_mac: Mac([0; 6]),
                target_ip: address,
            };
            let header = ethernet::Repr {
                destination: Mac::BROADCAST,
                source: CLIENT,
                tag: None,
                ethertype: ETHERTYPE_ARP,
            };
            let frame = header.emit(&question.emit());
            for to in 0..self.hosts.len() {
                if self.groups[to] == 0 {
                    self.carry(to, &frame);
                }
            }
            self.at(Duration::from_millis(50), Event::Judge(vip, self.now));
        }
        self.at(Duration::from_secs(1), Event::Ask);
    }

    /// An answer is given only for what is delivered, or was a moment ago.
    pub(super) fn check_truth(&mut self, node: usize, vip: IpAddr) {
        let switches = &self.hosts[node].switches;
        let lost_at = switches.lost_at.get(&vip);
        if !switches.bridge || lost_at.is_some_and(|at| self.now > *at + NOTICED) {
            let name = &self.hosts[node].name;
            self.faults.push(format!("{:?}: {name} answers for {vip}, which it does not deliver", self.now));
        }
    }

    pub(super) fn judge(&mut self, vip: IpAddr, asked_at: Duration) {
        let answers = self.answers.iter().filter(|(at, of, _)| *at >= asked_at && *of == vip);
        let answerers: BTreeSet<usize> = answers.map(|(.., node)| *node).collect();
        if answerers.len() > 1 && self.is_whole() && asked_at > self.troubled_at + WHOLE {
            self.faults.push(format!("{:?}: {answerers:?} answer for {vip}", self.now));
        }
        let number = self.vips.iter().position(|other| *other == vip).unwrap();
        let able: BTreeSet<usize> =
            (0..self.hosts.len()).filter(|node| self.hosts[*node].is_able(number, vip)).collect();
        let is_settled = self.is_whole() && asked_at > self.changed_at + SETTLED;
        if is_settled && answerers.is_empty() && !able.is_empty() {
            self.faults.push(format!("{:?}: nobody answers for {vip}, and {able:?} could", self.now));
        }
        if let Some(last) = &self.final_answerers
            && last.get(&vip).is_some_and(|node| !answerers.contains(node))
        {
            self.faults.push(format!("{:?}: {vip} moved to {answerers:?} for no reason", self.now));
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        let mut live = self.hosts.iter().zip(&self.groups).filter(|(host, _)| host.agent.is_some());
        let is_well =
            |(host, group): (&Host, &usize)| host.stopped.is_none() && host.reachable && *group == 0;
        self.loss == 0 && live.all(is_well)
    }
}
