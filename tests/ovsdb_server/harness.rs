//! A real `ovsdb-server` of our own, and a client's events in a form that tests can await.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ovn_vip::io::ovsdb_client::{Client, ClientConfig, Endpoint, Event, TablesWanted, TransactionId};
use ovn_vip::ovsdb::{Condition, Datum, Operation, OperationResult, RowChange, TransactionError};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

/// More than any test needs, so that a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub type Outcome = Result<Vec<OperationResult>, TransactionError>;

/// A schema with every kind of column.
pub fn schema() -> String {
    let many = |key: serde_json::Value| json!({"key": key, "min": 0, "max": "unlimited"});
    json!({"name": "Db", "version": "1.0.0", "tables": {
        "T": {"isRoot": true, "indexes": [["name"]], "columns": {
            "name": {"type": "string"},
            "n": {"type": "integer"},
            "real": {"type": "real"},
            "flag": {"type": "boolean"},
            "kind": {"type": {"key": {"type": "string", "enum": ["set", ["tcp", "udp"]]}, "min": 0}},
            "refs": {"type": many(json!({"type": "uuid", "refTable": "U"}))},
            "weak": {"type": many(json!({"type": "uuid", "refTable": "T", "refType": "weak"}))},
            "tags": {"type": many(json!("string"))},
            "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}},
        "U": {"columns": {"name": {"type": "string"}}},
        "Remote": {"isRoot": true, "columns": {
            "target": {"type": "string"},
            "inactivity_probe": {"type": {"key": "integer", "min": 0}}}}}})
    .to_string()
}

pub fn wanted() -> TablesWanted {
    TablesWanted::new()
        .require("T", &["name", "n", "real", "flag", "kind", "refs", "weak", "tags", "ids"])
        .require("U", &["name"])
}

/// The full path of a binary of Open vSwitch.
pub fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("OVN_VIP_BIN") {
        let path = Path::new(&folder).join(name);
        assert!(path.exists(), "{} does not exist; OVN_VIP_BIN must hold Open vSwitch", path.display());
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed; set OVN_VIP_BIN to a folder that has it"))
}

pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One running `ovsdb-server`, killed when dropped.
pub struct Daemon(Child);

impl Daemon {
    pub fn start(database: &Path, socket: &Path, control: &Path, log: &Path, extra: &[String]) -> Self {
        Self::start_under(&[], database, socket, control, log, extra)
    }

    /// With words before the command, which are to replace themselves with it.
    pub fn start_under(
        prefix: &[String],
        database: &Path,
        socket: &Path,
        control: &Path,
        log: &Path,
        extra: &[String],
    ) -> Self {
        let _ = std::fs::remove_file(socket);
        let _ = std::fs::remove_file(control);
        let server = binary("ovsdb-server").into_os_string();
        let mut words = prefix.iter().map(std::ffi::OsString::from).chain([server]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", control.display()))
            .arg("--no-chdir")
            .args(extra)
            .arg(database)
            .stderr(std::fs::File::create(log).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self(child);
        for _ in 0..1000 {
            if socket.exists() {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("ovsdb-server does not come up: {}", std::fs::read_to_string(log).unwrap());
    }

    /// It stands still, with all its connections open, until it is [`Daemon::resume`]d.
    pub fn pause(&self) {
        run(Command::new("kill").arg("-STOP").arg(self.0.id().to_string()));
    }

    pub fn resume(&self) {
        run(Command::new("kill").arg("-CONT").arg(self.0.id().to_string()));
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A standalone server of [`schema`], gone with its files when dropped.
pub struct Server {
    pub folder: TempDir,
    extra: Vec<String>,
    daemon: Option<Daemon>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(extra: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("schema"), schema()).unwrap();
        let path = |name| folder.path().join(name);
        run(Command::new(binary("ovsdb-tool")).arg("create").arg(path("db")).arg(path("schema")));
        let mut server = Self { folder, extra: extra.to_vec(), daemon: None };
        server.restart();
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn kill(&mut self) {
        self.daemon = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        let path = |name| self.folder.path().join(name);
        self.daemon =
            Some(Daemon::start(&path("db"), &path("sock"), &path("ctl"), &path("log"), &self.extra));
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.path("sock"))
    }

    /// One RPC over a connection of its own, whose reply is a success.
    pub fn call(&self, method: &str, params: &serde_json::Value) {
        let mut stream = UnixStream::connect(self.path("sock")).unwrap();
        stream
            .write_all(json!({"id": 1, "method": method, "params": params}).to_string().as_bytes())
            .unwrap();
        let reply = serde_json::Deserializer::from_reader(stream).into_iter::<serde_json::Value>().next();
        let reply = reply.unwrap().unwrap();
        assert!(reply["error"].is_null(), "{reply}");
    }

    pub fn client(&self) -> Follower {
        Follower::new(ClientConfig::new(vec![self.endpoint()], "Db", wanted()))
    }
}

/// A TCP port for one test: below the ports that the system hands out, apart from other tests and other runs.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 1000).unwrap() * 20;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Returns when somebody listens on the port.
pub fn wait_for_port(port: u16) {
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!((0..1000).any(|_| listens() || {
        std::thread::sleep(Duration::from_millis(5));
        false
    }));
}

/// A client whose events are kept until they are asked for.
pub struct Follower {
    pub client: Client,
    pub log: Vec<Event>,
}

impl Follower {
    pub fn new(config: ClientConfig) -> Self {
        Self { client: Client::new(config), log: Vec::new() }
    }

    /// Events until one is right; all are kept in the log.
    pub async fn until<T>(&mut self, mut right: impl FnMut(&Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.client.next_event().await;
                let found = right(&event);
                self.log.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("it does not come; so far: {:?}", self.log),
        }
    }

    pub async fn synced(&mut self) {
        self.until(|event| matches!(event, Event::Synced).then_some(())).await;
    }

    pub async fn disconnected(&mut self) -> String {
        self.until(|event| match event {
            Event::Disconnected { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    pub async fn committed(&mut self, wanted: TransactionId) -> Outcome {
        self.until(|event| match event {
            Event::Committed { id, result } if *id == wanted => Some(result.clone()),
            _ => None,
        })
        .await
    }

    pub async fn transact(&mut self, operations: Vec<Operation>) -> Outcome {
        let id = self.client.transact(operations);
        self.committed(id).await
    }

    /// Drives the client until its replica has what is looked for.
    pub async fn sees(&mut self, what: impl Fn(&Client) -> bool) {
        while !what(&self.client) {
            self.until(|_| Some(())).await;
        }
    }

    /// Drives the client for a while.
    pub async fn idle(&mut self, duration: Duration) {
        let end = tokio::time::Instant::now() + duration;
        while let Ok(event) = tokio::time::timeout_at(end, self.client.next_event()).await {
            self.log.push(event);
        }
    }

    /// Every change in the log, which is emptied.
    pub fn changes(&mut self) -> Vec<RowChange> {
        let changes = self.log.drain(..).filter_map(|event| match event {
            Event::Changed(changes) => Some(changes),
            _ => None,
        });
        changes.flatten().collect()
    }

    pub fn column(&self, row: u128, column: &str) -> Datum {
        self.client.replica().row("T", &id(row)).unwrap().get(column).unwrap().clone()
    }
}

/// Numbers in the first word: that alone is what ovsdb-server hashes, and rows that share it are searched one by one.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128((number << 96) + 0x1234)
}

pub fn row<const N: usize>(columns: [(&str, Datum); N]) -> BTreeMap<String, Datum> {
    columns.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
}

/// A new row of T whose name is its number.
pub fn insert<const N: usize>(number: u128, columns: [(&str, Datum); N]) -> Operation {
    let mut row = row(columns);
    row.entry("name".to_owned()).or_insert_with(|| Datum::from(number.to_string()));
    Operation::Insert { table: "T".into(), uuid: Some(id(number)), uuid_name: None, row }
}

pub fn update<const N: usize>(number: u128, columns: [(&str, Datum); N]) -> Operation {
    Operation::Update { table: "T".into(), condition: vec![Condition::uuid(id(number))], row: row(columns) }
}

pub fn delete(number: u128) -> Operation {
    Operation::Delete { table: "T".into(), condition: vec![Condition::uuid(id(number))] }
}
