//! Asks the integration bridge whether OVN delivers VIPs here: drives [`Delivery`] over the bridge's management socket.

use std::net::IpAddr;
use std::path::PathBuf;

use tokio::io::{Interest, Ready};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};

use super::event::Broken;
use super::excuse::Excuse;
use super::{BACK_OFF_MOST, BACK_OFF_STEP, CHUNK, SwitchError, bridge_of, open, try_read, write};
use crate::flows::{Delivery, Wishes};
use crate::model::SubnetName;

/// What happened on the integration bridge.
#[derive(Debug)]
pub enum DeliveryEvent {
    /// VIPs are delivered that were not before, or are not any more.
    Changed,
    /// The bridge is out of reach: nothing is known of what it delivers. It is tried again by itself.
    Disconnected {
        /// Why, with the cure.
        reason: SwitchError,
        /// Not so at the attempts that follow, until the bridge has answered again.
        first: bool,
        /// Whether what it delivered counts on: its silence has a reason.
        excused: bool,
    },
}

/// The integration bridge, looked at and never changed.
#[derive(Debug)]
pub struct Integration {
    socket: PathBuf,
    wanted: Wishes,
    link: Link,
    /// Attempts that came to nothing since the bridge last answered.
    failures: u32,
    /// What the conversation's time counts from.
    origin: Instant,
    buffer: Vec<u8>,
    excuse: Excuse<Box<Delivery>>,
}

#[derive(Debug)]
enum Link {
    Down { retry_at: Instant },
    Up { stream: UnixStream, delivery: Box<Delivery> },
}

impl Integration {
    /// The bridge by its management socket. It is connected to once something is wanted.
    pub fn new(socket: PathBuf) -> Self {
        let origin = Instant::now();
        Self {
            socket,
            wanted: Wishes::new(),
            link: Link::Down { retry_at: origin },
            failures: 0,
            origin,
            buffer: vec![0; CHUNK],
            excuse: Excuse::default(),
        }
    }

    /// Whether its silence has a reason that leaves what it delivers as it is.
    pub fn excuse(&mut self, is_given: bool) {
        self.excuse.give(is_given);
    }

    /// Its management socket.
    pub fn socket(&self) -> &PathBuf {
        &self.socket
    }

    /// What is to be asked for, all of it.
    pub fn set_wanted(&mut self, wanted: Wishes) {
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted;
        if let Some(before) = self.excuse.before_mut() {
            before.set_wanted(self.origin.elapsed(), self.wanted.clone());
        }
        if let Link::Up { delivery, .. } = &mut self.link {
            delivery.set_wanted(self.origin.elapsed(), self.wanted.clone());
        }
    }

    /// Whether OVN delivers the VIP of this subnet on this node.
    pub fn confirms(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.conversations().any(|delivery| delivery.confirms(subnet, vip))
    }

    /// Whether OVN delivers a port of it at least, of those that it delivered.
    pub fn confirms_partly(&self, subnet: &SubnetName, vip: IpAddr) -> bool {
        self.conversations().any(|delivery| delivery.confirms_partly(subnet, vip))
    }

    /// The one that goes on, and the last one that had answers, where its end is excused.
    fn conversations(&self) -> impl Iterator<Item = &Delivery> {
        let now = match &self.link {
            Link::Up { delivery, .. } => Some(&**delivery),
            Link::Down { .. } => None,
        };
        now.into_iter().chain(self.excuse.before().map(|before| &**before))
    }

    /// Drives everything until something is worth telling. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> DeliveryEvent {
        loop {
            let step = match &mut self.link {
                Link::Down { .. } if self.wanted.is_empty() => std::future::pending().await,
                Link::Down { retry_at } => {
                    sleep_until(*retry_at).await;
                    self.connect()
                }
                Link::Up { stream, delivery } => {
                    let step = exchange(stream, delivery, self.origin, &mut self.buffer).await;
                    step.map_err(|broken| broken.on(bridge_of(&self.socket)))
                }
            };
            match step {
                Ok(false) => {}
                Ok(true) => {
                    self.failures = 0;
                    self.excuse.end();
                    return DeliveryEvent::Changed;
                }
                Err(reason) => {
                    self.failures = self.failures.saturating_add(1);
                    let wait = BACK_OFF_MOST.min(BACK_OFF_STEP.saturating_mul(self.failures));
                    let down = Link::Down { retry_at: Instant::now() + wait };
                    match (std::mem::replace(&mut self.link, down), &reason) {
                        (Link::Up { delivery, .. }, SwitchError::Session { .. }) => {
                            self.excuse.fell_silent(delivery);
                        }
                        _ => self.excuse.end(),
                    }
                    let (first, excused) = (self.failures == 1, self.excuse.before().is_some());
                    return DeliveryEvent::Disconnected { reason, first, excused };
                }
            }
        }
    }

    fn connect(&mut self) -> Result<bool, SwitchError> {
        let stream = open(&self.socket)?;
        let delivery = Box::new(Delivery::new(self.origin.elapsed(), self.wanted.clone()));
        self.link = Link::Up { stream, delivery };
        Ok(false)
    }
}

/// Waits until the socket can do something or the time is up, and does it. Nothing waits after that.
async fn exchange(
    stream: &UnixStream,
    delivery: &mut Delivery,
    origin: Instant,
    buffer: &mut [u8],
) -> Result<bool, Broken> {
    let interest = match delivery.output().is_empty() {
        true => Interest::READABLE,
        false => Interest::READABLE | Interest::WRITABLE,
    };
    let deadline = delivery.deadline();
    let due = async {
        match deadline {
            Some(deadline) => sleep_until(origin + deadline).await,
            None => std::future::pending().await,
        }
    };
    let ready = tokio::select! {
        biased;
        ready = stream.ready(interest) => ready?,
        () = due => Ready::EMPTY,
    };
    if ready.is_writable() {
        write(stream, delivery.output())?;
    }
    let mut news = false;
    if ready.is_readable()
        && let Some(bytes) = try_read(stream, buffer)?
    {
        news = delivery.receive(origin.elapsed(), bytes)?;
    }
    delivery.tick(origin.elapsed())?;
    Ok(news)
}
