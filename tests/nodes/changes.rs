//! What a history does to the nodes, and to what they are told.

use super::*;

impl Lab {
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(time) => return self.run(*time),
            Step::Backend { node, vip, ready } => {
                let backends = &mut self.hosts[*node].backends;
                let _ = if *ready { backends.insert(*vip) } else { backends.remove(vip) };
                self.write_slice(*vip);
            }
            Step::NodeReady { node, ready } => {
                self.hosts[*node].node_ready = *ready;
                self.write_node(*node);
            }
            Step::Partition(groups) => self.groups.clone_from(groups),
            Step::Loss(loss) => self.loss = *loss,
            Step::Server { node, reachable } => {
                self.hosts[*node].reachable = *reachable;
                self.soon(Event::Read(*node));
            }
            Step::Restore(back) => {
                self.server.restore(*back);
                self.tell_all();
            }
            Step::Ovn { node, vip, delivers } => self.set_delivers(*node, *vip, *delivers),
            Step::Bridge { node, there } => {
                let switches = &mut self.hosts[*node].switches;
                if switches.bridge != *there {
                    switches.bridge = *there;
                    switches.rules.clear();
                    self.lose_socket(*node);
                    self.switch_changed(*node);
                }
            }
            Step::Switch { node, runs } => {
                self.hosts[*node].switches.runs = *runs;
                self.soon(Event::See(*node));
            }
            Step::Carrier { node, carrier } => {
                self.hosts[*node].switches.carrier = *carrier;
                self.switch_changed(*node);
            }
            Step::Stop { node, time } => {
                if self.hosts[*node].runs() {
                    self.hosts[*node].stopped = Some((self.now, self.now + *time));
                    self.at(*time, Event::Resume(*node));
                }
            }
            Step::Kill(node) => self.hosts[*node].kill(),
            Step::Start(node) => {
                if self.hosts[*node].agent.is_none() {
                    self.start(*node);
                    self.soon(Event::Read(*node));
                }
            }
        }
        (self.changed_at, self.troubled_at) = (self.now, self.now);
        self.run(Duration::from_millis(1));
    }

    /// All trouble ends, and one node answers for each VIP, and stays.
    pub fn settle(&mut self) {
        let nodes = self.hosts.len();
        let mut steps = vec![Step::Partition(vec![0; nodes]), Step::Loss(0)];
        for node in 0..nodes {
            steps.push(Step::Server { node, reachable: true });
            // One that stays dead is seen to be by Kubernetes.
            match self.hosts[node].agent.is_none() && node % 2 == 0 {
                true => steps.push(Step::NodeReady { node, ready: false }),
                false => steps.push(Step::Start(node)),
            }
        }
        steps.iter().for_each(|step| self.take(step));
        self.run(Duration::from_secs(7));
        (self.changed_at, self.troubled_at) = (self.now, self.now);
        self.run(SETTLED + Duration::from_secs(3));
        let answerers = self.vips.iter().filter_map(|vip| {
            let last = self.answers.iter().rev().find(|(_, of, _)| of == vip)?;
            (self.now - last.0 < Duration::from_secs(2)).then_some((*vip, last.2))
        });
        self.final_answerers = Some(answerers.collect());
        self.run(Duration::from_secs(10));
    }

    pub(super) fn start(&mut self, node: usize) {
        let boot = u64::try_from(self.now.as_millis()).unwrap();
        self.hosts[node].start(self.beats.then_some(boot), self.alone);
    }

    pub(super) fn write_node(&mut self, node: usize) {
        let host = &self.hosts[node];
        let template = base().into_iter().find_map(|object| match object {
            Object::Node(node) => Some(node),
            _ => None,
        });
        let mut object = template.unwrap();
        object.name = host.name.clone();
        object.chassis = Some(host.name.as_str().into());
        object.ready = host.node_ready;
        self.server.put(Object::Node(object));
        self.tell_all();
    }

    pub(super) fn write_slice(&mut self, vip: usize) {
        let endpoint = |(number, host): (usize, &Host)| Endpoint {
            address: v4(100 + u8::try_from(number).unwrap()),
            node: Some(host.name.clone()),
            ready: true,
            serving: true,
            terminating: false,
        };
        let with = self.hosts.iter().enumerate().filter(|(_, host)| host.backends.contains(&vip));
        let slice = EndpointSlice {
            key: SliceKey::new("default", &format!("s{vip}-v4")),
            service: ServiceKey::new("default", &format!("s{vip}")),
            family: Family::V4,
            ports: vec![SlicePort { name: "web".into(), protocol: Protocol::Tcp, port: 8000 }],
            endpoints: with.map(endpoint).collect(),
        };
        self.server.put(Object::EndpointSlice(slice));
        self.tell_all();
    }

    pub(super) fn set_delivers(&mut self, node: usize, vip: usize, delivers: bool) {
        let (vip, now) = (self.vips[vip], self.now);
        let switches = &mut self.hosts[node].switches;
        if delivers {
            switches.delivers.insert(vip);
            switches.lost_at.remove(&vip);
        } else if switches.delivers.remove(&vip) {
            switches.lost_at.insert(vip, now);
        }
        let noticed = self.random_millis(5, 900);
        self.at(noticed, Event::See(node));
    }

    /// OVN delivers every VIP on all nodes, or none anywhere; each node sees it within `spread`.
    pub fn deliver_everywhere(&mut self, delivers: bool, spread: Duration) {
        for node in 0..self.hosts.len() {
            let switches = &mut self.hosts[node].switches;
            for vip in &self.vips {
                if delivers {
                    switches.delivers.insert(*vip);
                    switches.lost_at.remove(vip);
                } else if switches.delivers.remove(vip) {
                    switches.lost_at.insert(*vip, self.now);
                }
            }
            let most = u64::try_from(spread.as_millis()).unwrap() + 2;
            let noticed = self.random_millis(1, most);
            self.at(noticed, Event::See(node));
        }
    }

    /// The same, each node's a while after the last one's, from this node on.
    pub fn deliver_one_after_another(&mut self, delivers: bool, first: usize, gap: Duration) {
        self.deliver_everywhere(delivers, Duration::ZERO);
        self.queue.retain(|_, event| !matches!(event, Event::See(_)));
        let nodes = self.hosts.len();
        for turn in 0..nodes {
            let after = gap * u32::try_from(turn).unwrap();
            self.at(after, Event::See((first + turn) % nodes));
        }
    }

    pub(super) fn switch_changed(&mut self, node: usize) {
        if let Some(agent) = &mut self.hosts[node].agent {
            agent.vswitch_changed();
        }
        self.soon(Event::Wake(node));
    }

    pub(super) fn lose_socket(&mut self, node: usize) {
        let now = self.instant();
        let host = &mut self.hosts[node];
        if let Some(agent) = host.agent.as_mut().filter(|_| std::mem::take(&mut host.has_socket)) {
            agent.socket_failed(&"underlay".into(), now);
        }
    }

    pub(super) fn tell_all(&mut self) {
        for node in 0..self.hosts.len() {
            let delay = self.random_millis(2, 60);
            self.at(delay, Event::Read(node));
        }
    }

    // ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────
}
