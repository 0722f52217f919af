//! The least that can be done: requests encoded beforehand go out, and what comes back is cut and parsed. It keeps
//! nothing and shares no code with the client it stands beside.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ovn_vip::ovsdb::Operation;
use serde_json::{Value, json};

use crate::load;

const READ_SIZE: usize = 64 << 10;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Raw {
    stream: UnixStream,
    received: Vec<u8>,
    start: usize,
}

/// How far the end of a message was looked for.
#[derive(Default)]
struct Scan {
    at: usize,
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Scan {
    /// Where the message ends, if its end is there.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.string => self.escaped = true,
                b'"' => self.string = !self.string,
                _ if self.string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 1 => return Some(self.at),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        None
    }
}

impl Raw {
    /// Connects.
    pub fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).context("the raw probe cannot connect")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new(), start: 0 })
    }

    /// The dump that `monitor_cond_since` gives, after which updates come too.
    pub fn sync(socket: &Path) -> anyhow::Result<(Self, Value, Duration)> {
        let request = request("monitor_cond_since", &load::monitor());
        let started = Instant::now();
        let mut raw = Self::connect(socket)?;
        raw.stream.write_all(&request)?;
        let dump = raw.receive()?;
        let took = started.elapsed();
        ensure!(dump["error"].is_null(), "monitor_cond_since: {}", dump["error"]);
        Ok((raw, dump, took))
    }

    /// Sends all transactions at once, and says how long until the last was answered.
    pub fn write(&mut self, transactions: &[Vec<Operation>]) -> anyhow::Result<Duration> {
        let requests: Vec<u8> = transactions
            .iter()
            .flat_map(|operations| request("transact", &load::transact(operations)))
            .collect();
        let mut sink = self.stream.try_clone()?;
        std::thread::scope(|scope| {
            let started = Instant::now();
            let writer = scope.spawn(move || sink.write_all(&requests));
            self.answers(transactions.len())?;
            let took = started.elapsed();
            writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
            Ok(took)
        })
    }

    /// One transaction and its answer.
    pub fn round_trip(&mut self, operation: Operation) -> anyhow::Result<Duration> {
        let request = request("transact", &load::transact(&[operation]));
        let started = Instant::now();
        self.stream.write_all(&request)?;
        self.answers(1)?;
        Ok(started.elapsed())
    }

    /// So many answers, all successes; updates may come between them.
    fn answers(&mut self, mut left: usize) -> anyhow::Result<()> {
        while left > 0 {
            let message = self.receive()?;
            if message.get("method").is_none() {
                let results = message["result"].as_array().context("no results")?;
                let failed = results.iter().find(|result| result.get("error").is_some());
                ensure!(message["error"].is_null() && failed.is_none(), "{message}");
                left -= 1;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<Value> {
        let mut scan = Scan::default();
        loop {
            if let Some(length) = scan.end(&self.received[self.start..]) {
                let message = serde_json::from_slice(&self.received[self.start..self.start + length]);
                self.start += length;
                if self.start == self.received.len() {
                    self.received.clear();
                    self.start = 0;
                }
                return Ok(message?);
            }
            let length = self.received.len();
            self.received.resize(length + READ_SIZE, 0);
            let count = self.stream.read(&mut self.received[length..])?;
            self.received.truncate(length + count);
            ensure!(count > 0, "the server closed the connection");
        }
    }
}

fn request(method: &str, params: &Value) -> Vec<u8> {
    json!({"id": 1, "method": method, "params": params}).to_string().into_bytes()
}
