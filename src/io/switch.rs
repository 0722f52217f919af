//! Keeps our flows on a bridge: drives its management socket `<rundir>/<bridge>.mgmt` (ovs-vswitchd(8)).
//!
//! All decisions are [`Session`]'s; this owns the socket and the clock, and connects again by itself. ovs-vswitchd loses
//! all flows when it restarts: the end of the connection is noticed at once, and the flows are put back as soon as the
//! socket answers. Dropping a [`Switch`] leaves the flows where they are, so that a restart of ours is not noticed.

mod delivery;
mod event;
mod excuse;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{Interest, Ready};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};

pub use self::delivery::{DeliveryEvent, Integration};
use self::event::Broken;
pub use self::event::{SwitchError, SwitchEvent};
use self::excuse::Excuse;
use crate::flows::{Flow, Session, Spared, Wanted};
use crate::io::unix_socket::explain;

/// Waits between attempts to connect grow by this much …
const BACK_OFF_STEP: Duration = Duration::from_millis(50);
/// … up to this.
const BACK_OFF_MOST: Duration = Duration::from_secs(1);
/// Bytes read in one go.
const CHUNK: usize = 64 * 1024;

/// One bridge.
#[derive(Debug)]
pub struct Switch {
    socket: PathBuf,
    wanted: Arc<Wanted>,
    link: Link,
    /// Attempts that came to nothing since the flows were last on the bridge.
    failures: u32,
    /// Whether the user has been told that the bridge is out of reach.
    told: bool,
    events: VecDeque<SwitchEvent>,
    /// What the session's time counts from.
    origin: Instant,
    buffer: Vec<u8>,
    excuse: Excuse<Box<Session>>,
}

#[derive(Debug)]
enum Link {
    Down { retry_at: Instant },
    Up { stream: UnixStream, session: Box<Session> },
}

impl Switch {
    /// A bridge by its management socket, `<rundir>/<bridge>.mgmt`. Wants no flow of ours until told otherwise, and
    /// connects as soon as [`next_event`](Self::next_event) is awaited: tell first what is wanted.
    pub fn new(socket: PathBuf) -> Switch {
        let origin = Instant::now();
        Switch {
            socket,
            wanted: Arc::default(),
            link: Link::Down { retry_at: origin },
            failures: 0,
            told: false,
            events: VecDeque::new(),
            origin,
            buffer: vec![0; CHUNK],
            excuse: Excuse::default(),
        }
    }

    /// Whether its silence has a reason that leaves its flows as they are.
    pub fn excuse(&mut self, is_given: bool) {
        self.excuse.give(is_given);
    }

    /// What we want on the bridge, all of it. What differs from what is there is sent as one bundle while
    /// [`next_event`](Self::next_event) is awaited, which then gives `Installed`.
    pub fn set_wanted(&mut self, wanted: impl Into<Wanted>) {
        let wanted = Arc::new(wanted.into());
        if wanted == self.wanted {
            return;
        }
        self.wanted = Arc::clone(&wanted);
        if let Link::Up { session, .. } = &mut self.link {
            session.set_wanted(self.origin.elapsed(), wanted);
        }
    }

    /// The bridge is looked at, and left as it is.
    pub fn only_look(&mut self) {
        self.set_wanted(Wanted::default().sparing(Spared::All));
    }

    /// No flow of ours is wanted on the bridge.
    pub fn clear(&mut self) {
        self.set_wanted(Wanted::default());
    }

    /// Whether everything wanted was on the bridge when last looked at, a few seconds ago at most.
    pub fn is_installed(&self) -> bool {
        matches!(&self.link, Link::Up { session, .. } if session.is_installed())
    }

    /// The same of one flow: true also while a wish that keeps it is on its way, and when others were refused.
    pub fn confirms(&self, flow: &Flow) -> bool {
        matches!(&self.link, Link::Up { session, .. } if session.confirms(flow))
            || self.excuse.before().is_some_and(|before| before.confirms(flow))
    }

    /// How many flows of ours the bridge had when it was read last; none where it was not.
    pub fn found(&self) -> usize {
        match &self.link {
            Link::Up { session, .. } => session.found(),
            Link::Down { .. } => 0,
        }
    }

    /// Drives everything until something is worth telling. Cancel-safe: nothing is lost when the future is dropped. It
    /// must be awaited again and again: nothing happens in between.
    pub async fn next_event(&mut self) -> SwitchEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return self.tell(event);
            }
            let step = match &mut self.link {
                Link::Down { retry_at } => {
                    sleep_until(*retry_at).await;
                    self.connect()
                }
                Link::Up { stream, session } => {
                    let step = exchange(stream, session, self.origin, &mut self.buffer).await;
                    let bridge = bridge_of(&self.socket);
                    let events = std::iter::from_fn(|| session.next_event());
                    self.events.extend(events.map(|event| SwitchEvent::on(&bridge, event)));
                    step.map_err(|broken| self.explain(broken))
                }
            };
            if let Err(reason) = step {
                self.disconnect(reason);
            }
        }
    }

    fn tell(&mut self, event: SwitchEvent) -> SwitchEvent {
        match event {
            SwitchEvent::Connected { .. } => self.told = false,
            SwitchEvent::Disconnected { .. } => self.told = true,
            SwitchEvent::Installed { .. } => {
                self.failures = 0;
                self.excuse.end();
            }
            SwitchEvent::Repaired { .. }
            | SwitchEvent::LeftToKubeOvn { .. }
            | SwitchEvent::Replaces { .. }
            | SwitchEvent::Refused { .. } => {}
        }
        event
    }

    fn connect(&mut self) -> Result<(), SwitchError> {
        let stream = open(&self.socket)?;
        let session = Box::new(Session::new(self.origin.elapsed(), Arc::clone(&self.wanted)));
        self.link = Link::Up { stream, session };
        Ok(())
    }

    fn disconnect(&mut self, reason: SwitchError) {
        self.failures = self.failures.saturating_add(1);
        let wait = match reason {
            SwitchError::Versions { .. } => BACK_OFF_MOST,
            SwitchError::Connect { .. } | SwitchError::Lost { .. } | SwitchError::Session { .. } => {
                BACK_OFF_MOST.min(BACK_OFF_STEP.saturating_mul(self.failures))
            }
        };
        let down = Link::Down { retry_at: Instant::now() + wait };
        match (std::mem::replace(&mut self.link, down), &reason) {
            (Link::Up { session, .. }, SwitchError::Session { .. }) => self.excuse.fell_silent(session),
            _ => self.excuse.end(),
        }
        self.events.push_back(SwitchEvent::Disconnected { reason, first: !self.told });
    }

    fn explain(&self, broken: Broken) -> SwitchError {
        broken.on(bridge_of(&self.socket))
    }
}

/// The bridge whose management socket that is.
fn bridge_of(socket: &Path) -> String {
    socket.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Connects without waiting: to a Unix socket it works at once or not at all (unix(7); EAGAIN where too many wait), and
/// what does not wait cannot be dropped half-way.
fn open(socket: &Path) -> Result<UnixStream, SwitchError> {
    let stream = || -> io::Result<UnixStream> {
        let stream = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        stream.connect(&SockAddr::unix(socket)?)?;
        UnixStream::from_std(OwnedFd::from(stream).into())
    };
    stream().map_err(|source| SwitchError::Connect { why: explain(socket, &source) })
}

/// Waits until the socket can do something or the session's time is up, and does it. Nothing happens before the wait
/// and nothing waits after it, so that it can be dropped at any time.
async fn exchange(
    stream: &UnixStream,
    session: &mut Session,
    origin: Instant,
    buffer: &mut [u8],
) -> Result<(), Broken> {
    let interest = match session.output().is_empty() {
        true => Interest::READABLE,
        false => Interest::READABLE | Interest::WRITABLE,
    };
    let ready = tokio::select! {
        biased;
        ready = stream.ready(interest) => ready?,
        () = sleep_until(origin + session.deadline()) => Ready::EMPTY,
    };
    if ready.is_writable() {
        write(stream, session.output())?;
    }
    if ready.is_readable() {
        read(stream, session, origin, buffer)?;
    }
    Ok(session.tick(origin.elapsed())?)
}

fn write(stream: &UnixStream, output: &mut Vec<u8>) -> io::Result<()> {
    let mut sent = 0;
    while let Some(rest) = output.get(sent..).filter(|rest| !rest.is_empty()) {
        match stream.try_write(rest) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    output.drain(..sent);
    Ok(())
}

fn read(
    stream: &UnixStream,
    session: &mut Session,
    origin: Instant,
    buffer: &mut [u8],
) -> Result<(), Broken> {
    if let Some(bytes) = try_read(stream, buffer)? {
        session.receive(origin.elapsed(), bytes)?;
    }
    Ok(())
}

/// What is there to read; `None` where there is nothing after all.
fn try_read<'b>(stream: &UnixStream, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    match stream.try_read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(buffer.get(..count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{Action, COOKIE, Fake, Match, PRIORITY, Traffic, VipMatch};
    use crate::model::Mac;
    use std::collections::BTreeSet;
    use tokio::net::UnixListener;
    use tokio::time::timeout;

    fn flows(count: u8) -> BTreeSet<Flow> {
        let matches = |last| {
            Match::Vip(VipMatch {
                in_port: 1,
                eth_dst: Mac([2; 6]),
                vlan: None,
                destination: [10, 0, 0, last].into(),
                source: None,
                traffic: Traffic::PathMtu,
            })
        };
        let flow = |last| Flow {
            cookie: COOKIE,
            priority: PRIORITY,
            matches: matches(last),
            actions: vec![Action::Output(2)],
        };
        (0..count).map(flow).collect()
    }

    /// Answers one connection as a switch, until the other end hangs up or `messages` came.
    async fn serve(listener: &UnixListener, messages: usize) -> Fake {
        let (stream, _) = listener.accept().await.unwrap();
        let mut fake = Fake::new();
        let mut buffer = vec![0; 999];
        while fake.seen.len() < messages {
            stream.readable().await.unwrap();
            match stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => fake.receive(&buffer[..count]),
                Err(_) => continue,
            }
            for part in std::mem::take(&mut fake.out).chunks(10) {
                stream.writable().await.unwrap();
                assert_eq!(stream.try_write(part).unwrap(), part.len());
            }
        }
        fake
    }

    /// Drops the future over and over, as a shell's select! does.
    async fn next_event(switch: &mut Switch) -> SwitchEvent {
        loop {
            if let Ok(event) = timeout(Duration::from_micros(300), switch.next_event()).await {
                return event;
            }
        }
    }

    #[tokio::test]
    async fn flows_are_installed_however_often_the_future_is_dropped_and_again_when_the_bridge_went_away() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("br-x.mgmt");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            // Hello, monitor, features, flows twice, and a bundle of 200: then it hangs up and has forgotten everything.
            let first = serve(&listener, 5 + 202).await;
            (first, serve(&listener, 5 + 202).await)
        });
        let mut switch = Switch::new(socket);
        switch.set_wanted(flows(200));
        for _ in 0..2 {
            let back = next_event(&mut switch).await;
            assert!(matches!(back, SwitchEvent::Connected { .. }), "{back:?}");
            assert!(!switch.is_installed());
            assert!(matches!(
                next_event(&mut switch).await,
                SwitchEvent::Installed { added: 200, removed: 0 }
            ));
            let gone = next_event(&mut switch).await;
            assert!(matches!(gone, SwitchEvent::Disconnected { first: true, .. }), "{gone:?}");
            assert!(!switch.is_installed());
        }
        let (first, second) = server.await.unwrap();
        assert_eq!((first.flows.len(), first.flows), (200, second.flows));
    }

    #[tokio::test]
    async fn a_bridge_that_is_not_there_is_told_once_as_the_first_and_tried_again() {
        let mut switch = Switch::new("/nonexistent/br-x.mgmt".into());
        for attempt in 0..3 {
            let SwitchEvent::Disconnected { reason, first } = next_event(&mut switch).await else { panic!() };
            assert_eq!(first, attempt == 0);
            assert!(
                reason.to_string().starts_with("cannot connect: /nonexistent/br-x.mgmt is not there"),
                "{reason}"
            );
        }
    }
}
