//! A segment's packet socket: opened where there is something to say, opened anew after a pause where it fails.

use std::time::{Duration, Instant};

use futures::FutureExt;
use tracing::debug;

use crate::io::packet_socket::{PacketSocket, PacketSocketError};
use crate::l2::Received;
use crate::model::InterfaceName;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The socket, or when to try for one.
#[derive(Debug)]
pub struct Line {
    socket: Option<PacketSocket>,
    pause: Duration,
    open_at: Instant,
    /// What is wrong with it.
    trouble: Option<String>,
}

impl Line {
    /// Closed; it may be opened at once.
    pub fn new(now: Instant) -> Self {
        Self { socket: None, pause: FIRST_PAUSE, open_at: now, trouble: None }
    }

    /// Whether there is a socket.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether a socket was tried for in vain, or lost.
    pub fn is_broken(&self) -> bool {
        self.trouble.is_some()
    }

    /// Tries for a socket, if it is time to. Whether it has just opened; an error that is not the last one again.
    pub fn open(&mut self, on: &InterfaceName, now: Instant) -> (bool, Option<String>) {
        if self.is_open() || now < self.open_at {
            return (false, None);
        }
        match PacketSocket::open(on.as_str()) {
            Ok(socket) => {
                *self = Self { socket: Some(socket), ..Self::new(now) };
                (true, None)
            }
            Err(error) => (false, self.lose(&error, now)),
        }
    }

    /// The socket is of no more use. What there is to say of it, if that is new.
    pub fn lose(&mut self, error: &PacketSocketError, now: Instant) -> Option<String> {
        let error = error.to_string();
        let is_new = self.trouble.as_ref() != Some(&error);
        self.trouble = Some(error.clone());
        self.socket = None;
        self.open_at = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        is_new.then_some(error)
    }

    /// The next frame, or that the socket is of no more use; never, without a socket. Cancel-safe.
    pub async fn receive(&self) -> Result<Received, PacketSocketError> {
        match &self.socket {
            Some(socket) => socket.receive().await,
            None => std::future::pending().await,
        }
    }

    /// Sends a frame. One that the interface does not take at once is lost: its asker asks again.
    ///
    /// # Errors
    /// The interface is gone.
    pub fn send(&self, frame: &[u8]) -> Result<(), PacketSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        match socket.send(frame).now_or_never() {
            Some(Err(error @ PacketSocketError::InterfaceGone { .. })) => return Err(error),
            Some(Err(error)) => debug!(%error, "not sent"),
            Some(Ok(())) => {}
            None => debug!("not sent: the interface's queue is full"),
        }
        Ok(())
    }

    /// When to try again.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.is_open()).then_some(self.open_at)
    }
}
