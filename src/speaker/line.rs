//! A segment's packet socket: opened where there is something to say, opened anew after a pause where it fails.

use std::time::{Duration, Instant};

use futures::FutureExt;
use tracing::debug;

use crate::io::packet_socket::{PacketSocket, PacketSocketError};
use crate::l2::Received;
use crate::model::InterfaceName;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// So many frames are taken in before what is due is done.
const MOST_AT_ONCE: usize = 500;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The socket, or when to try for one.
#[derive(Debug)]
pub struct Line {
    interface: InterfaceName,
    socket: Option<PacketSocket>,
    pause: Duration,
    open_at: Instant,
    /// What is wrong with it.
    trouble: Option<String>,
}

impl Line {
    /// Closed; it may be opened at once.
    pub fn new(interface: InterfaceName, now: Instant) -> Self {
        Self { interface, socket: None, pause: FIRST_PAUSE, open_at: now, trouble: None }
    }

    /// What it is on.
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }

    /// Tries for a socket, if there is none and it is time to. What came of it.
    pub fn open(&mut self, now: Instant) -> Option<Result<(), PacketSocketError>> {
        if self.socket.is_some() || now < self.open_at {
            return None;
        }
        let opened = PacketSocket::open(self.interface.as_str()).map(|socket| {
            *self = Self { socket: Some(socket), ..Self::new(self.interface.clone(), now) };
        });
        Some(opened)
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

    /// The frames that wait to be received; not those of a whole storm.
    pub fn waiting(&self) -> Vec<Result<Received, PacketSocketError>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.receive().now_or_never().filter(|_| frames.len() < MOST_AT_ONCE) {
            let is_end = frame.is_err();
            frames.push(frame);
            if is_end {
                break;
            }
        }
        frames
    }

    /// Drops the frames that wait to be received.
    pub fn drop_waiting(&self) {
        while self.receive().now_or_never().is_some_and(|received| received.is_ok()) {}
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
        self.socket.is_none().then_some(self.open_at)
    }
}
