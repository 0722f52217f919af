//! One etcd and one kube-apiserver, on loopback, gone with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::Cluster;
use crate::process::{Process, eventually, holds, run};

/// Of the group that may do anything.
const ADMIN_TOKEN: &str = "admin";
/// Starts until one finds its ports free.
const TRIES: usize = 3;

/// A running API server; the [`Cluster`] is what it holds, seen by an administrator.
pub struct ApiServer {
    pub cluster: Cluster,
    server: Option<Process>,
    etcd: Option<Process>,
    /// Where they serve, on loopback.
    pub port: u16,
    pub etcd_port: u16,
    folder: TempDir,
}

impl ApiServer {
    /// An empty one, ready.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_secrets(folder.path());
        let (etcd, etcd_port) = start_etcd(folder.path());
        let (server, port) = start_server(folder.path(), etcd_port);
        let admin = folder.path().join("admin.kubeconfig");
        std::fs::write(&admin, kubeconfig(folder.path(), port, ADMIN_TOKEN)).unwrap();
        let cluster = Cluster::open(&admin);
        let this = Self { cluster, server: Some(server), etcd: Some(etcd), port, etcd_port, folder };
        this.await_namespaces();
        this
    }

    /// Ends it as a crash would; what it holds stays, in etcd.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts it anew where it was, for the clients that still look for it there.
    pub fn restart(&mut self) {
        self.kill();
        self.server =
            Some(try_server(self.folder.path(), self.port, self.etcd_port).expect("its port is free"));
        self.cluster.reconnect();
    }

    /// What it holds at this moment, for [`ApiServer::restore`]. It is away for a while.
    pub fn back_up(&mut self) {
        self.without_etcd(|folder| copy(&folder.join("etcd"), &folder.join("backup")));
    }

    /// What it held when it was backed up; what happened since has not.
    pub fn restore(&mut self) {
        self.without_etcd(put_back);
    }

    /// The same below a kube-apiserver that runs, as nobody should do it.
    pub fn restore_below(&mut self) {
        self.exchange_etcd(put_back);
    }

    /// Stops both, does it, and starts them where they were.
    fn without_etcd(&mut self, does: impl FnOnce(&Path)) {
        self.kill();
        self.exchange_etcd(does);
        self.restart();
    }

    fn exchange_etcd(&mut self, does: impl FnOnce(&Path)) {
        if let Some(mut etcd) = self.etcd.take() {
            etcd.terminate();
        }
        does(self.folder.path());
        self.etcd = Some(try_etcd(self.folder.path(), self.etcd_port).expect("its port is free"));
    }

    /// The file with which somebody connects who may do anything.
    pub fn admin(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// The file with which a pod of this ServiceAccount connects; the ServiceAccount must exist.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        self.token(namespace, name, name, json!({}))
    }

    /// The same, of that file, with a token that is asked for so.
    pub fn token(&self, namespace: &str, name: &str, file: &str, spec: Value) -> PathBuf {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let granted = self.cluster.post(&path, &request);
        let file = self.folder.path().join(format!("{namespace}.{file}.kubeconfig"));
        let token = granted["status"]["token"].as_str().unwrap();
        // Somebody may be reading it.
        let aside = file.with_extension("new");
        std::fs::write(&aside, kubeconfig(self.folder.path(), self.port, token)).unwrap();
        std::fs::rename(aside, &file).unwrap();
        file
    }

    fn await_namespaces(&self) {
        for name in ["default", "kube-system"] {
            let path = format!("/api/v1/namespaces/{name}");
            eventually(&format!("{path} is there"), || self.cluster.get(&path));
        }
    }
}

/// The folder of kube-apiserver and etcd.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/kube-programs.sh");
        run(&mut Command::new(script)).trim().into()
    })
}

/// A program that does not outlive the test, even one that is killed.
fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(programs().join(name));
    command
}

fn put_back(folder: &Path) {
    std::fs::remove_dir_all(folder.join("etcd")).unwrap();
    copy(&folder.join("backup"), &folder.join("etcd"));
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").args(["-r", "--"]).args([from, to]));
}

fn write_secrets(folder: &Path) {
    let key = folder.join("service-accounts.key");
    run(Command::new("openssl")
        .args(["ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out"])
        .arg(key));
    std::fs::write(folder.join("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,system:masters\n")).unwrap();
}

fn start_etcd(folder: &Path) -> (Process, u16) {
    let attempt = |_| {
        let port = free_port();
        Some((try_etcd(folder, port)?, port))
    };
    (0..TRIES).find_map(attempt).expect("etcd finds a free port")
}

fn try_etcd(folder: &Path, port: u16) -> Option<Process> {
    let url = format!("http://127.0.0.1:{port}");
    // It never meets a peer, so whichever port the system gives it for them will do.
    let peers = "http://127.0.0.1:0";
    let mut command = program("etcd");
    command.args([
        "--listen-client-urls",
        &url,
        "--advertise-client-urls",
        &url,
        "--listen-peer-urls",
        peers,
    ]);
    command.args(["--initial-advertise-peer-urls", peers, "--initial-cluster", &format!("default={peers}")]);
    command.args(["--unsafe-no-fsync", "--log-level", "warn", "--data-dir"]).arg(folder.join("etcd"));
    let mut etcd = Process::start("etcd", &mut command, folder);
    let healthy =
        || Command::new("curl").args(["-sSf", &format!("{url}/health")]).output().unwrap().status.success();
    becomes_ready(&mut etcd, healthy).then_some(etcd)
}

fn start_server(folder: &Path, etcd_port: u16) -> (Process, u16) {
    let attempt = |_| {
        let port = free_port();
        Some((try_server(folder, port, etcd_port)?, port))
    };
    (0..TRIES).find_map(attempt).expect("kube-apiserver finds a free port")
}

fn try_server(folder: &Path, port: u16, etcd_port: u16) -> Option<Process> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = program("kube-apiserver");
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        // It makes a certificate for itself, once, and a folder is where it keeps it.
        format!("--cert-dir={}", path("certificates")),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        "--endpoint-reconciler-type=none".into(),
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108".into(),
        "--authorization-mode=RBAC".into(),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-signing-key-file={}", path("service-accounts.key")),
        format!("--service-account-key-file={}", path("service-accounts.key")),
        // No kubelet, scheduler or controller looks after what is made here.
        "--disable-admission-plugins=ServiceAccount".into(),
        "--shutdown-delay-duration=0s".into(),
    ]);
    let mut server = Process::start("kube-apiserver", &mut command, folder);
    let ready = || {
        let mut ask = Command::new("curl");
        ask.args(["-sSf", "--cacert", &path("certificates/apiserver.crt"), "-H"]);
        ask.args([
            &format!("Authorization: Bearer {ADMIN_TOKEN}"),
            &format!("https://127.0.0.1:{port}/readyz"),
        ]);
        ask.output().unwrap().status.success()
    };
    becomes_ready(&mut server, ready).then_some(server)
}

/// Whether it was ready before it ended.
fn becomes_ready(process: &mut Process, ready: impl Fn() -> bool) -> bool {
    let is_ready = eventually("it is ready, or it ends", || {
        let running = process.is_running();
        if running { holds(ready(), process.log()).map(|()| true) } else { Ok(false) }
    });
    if !is_ready {
        eprintln!("it ended, saying:\n{}", process.log());
    }
    is_ready
}

fn kubeconfig(folder: &Path, port: u16, token: &str) -> String {
    let authority = folder.join("certificates/apiserver.crt");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority}}],
        "users": [{"name": "test", "user": {"token": token}}],
    })
    .to_string()
}

/// A TCP port for one test: below the ports that the system hands out, apart from other tests and other runs.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 1000).unwrap() * 20;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
