//! `ssl:` endpoints, with certificates as `ovs-pki` makes them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ovn_vip::io::ovsdb_client::{ClientConfig, TlsConfig, Verify};
use ovn_vip::ovsdb::Datum;

use crate::harness::{Follower, Server, free_port, id, insert, run, wait_for_port, wanted};

/// What `ovs-pki` writes into every certificate: a DNS name that is none.
const OVS_PKI: &str = "DNS:ovn id:6d2b3b5c-3b0b-4c55-8d29-6a2b6b3a6a54";

/// OpenSSL's own tool; what fetches packages or sources over HTTPS needs it too, so every machine has it.
fn openssl() -> Command {
    Command::new("openssl")
}

/// A certificate authority in a folder.
struct Authority<'a>(&'a Path, &'a str);

impl<'a> Authority<'a> {
    fn create(folder: &'a Path, name: &'a str) -> Self {
        let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.crt")));
        let subject = format!("/CN=OVS {name} CA");
        run(openssl()
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha512", "-days", "10", "-subj", &subject,
            ])
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(certificate));
        Self(folder, name)
    }

    /// `<name>.key` and `<name>.crt`, signed by this authority.
    fn sign(&self, name: &str, alternative: &str) {
        self.sign_for(10, name, alternative);
    }

    /// Valid for so many days from now; one that is over already for none.
    fn sign_for(&self, days: u32, name: &str, alternative: &str) {
        let Self(folder, authority) = self;
        let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
        run(openssl()
            .args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ovn"])
            .arg("-keyout")
            .arg(path("key"))
            .arg("-out")
            .arg(path("csr")));
        std::fs::write(path("ext"), format!("basicConstraints=CA:false\nsubjectAltName = {alternative}\n"))
            .unwrap();
        run(openssl()
            .args(["x509", "-req", "-sha512", "-days", &days.to_string(), "-in"])
            .arg(path("csr"))
            .arg("-CA")
            .arg(folder.join(format!("{authority}.crt")))
            .arg("-CAkey")
            .arg(folder.join(format!("{authority}.key")))
            .args(["-CAcreateserial", "-extfile"])
            .arg(path("ext"))
            .arg("-out")
            .arg(path("crt")));
    }
}

/// A server that takes TLS only from clients of `ca`, and a client's configuration for it.
fn server(folder: &Path, certificate: &str) -> (Server, ClientConfig) {
    let port = free_port();
    let file = |name: &str| folder.join(name).display().to_string();
    let server = Server::with(&[
        format!("--remote=pssl:{port}:127.0.0.1"),
        format!("--private-key={}", file(&format!("{certificate}.key"))),
        format!("--certificate={}", file(&format!("{certificate}.crt"))),
        format!("--ca-cert={}", file("ca.crt")),
    ]);
    wait_for_port(port);
    let tls = TlsConfig {
        ca: file("ca.crt").into(),
        certificate: file("client.crt").into(),
        key: file("client.key").into(),
        verify: Verify::Chain,
    };
    let endpoint = format!("ssl:127.0.0.1:{port}").parse().unwrap();
    (server, ClientConfig { tls: Some(tls), ..ClientConfig::new(vec![endpoint], "Db", wanted()) })
}

#[tokio::test]
async fn the_chain_counts_by_default_and_the_name_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign("ovs-pki", OVS_PKI);
    ca.sign("named", "IP:127.0.0.1");
    let strict = |config: &ClientConfig| {
        let mut config = config.clone();
        config.tls.as_mut().unwrap().verify = Verify::Name;
        config
    };

    let (_server, config) = server(folder.path(), "ovs-pki");
    let mut client = Follower::new(config.clone());
    client.synced().await;
    // Enough for many TLS records in both directions.
    let text = "x".repeat(2000);
    for batch in 0..10 {
        let rows = (0..100).map(|row| insert(batch * 100 + row, [("tags", Datum::from(text.as_str()))]));
        client.client.transact(rows.collect());
    }
    client.sees(|client| client.replica().rows("T").count() == 1000).await;
    assert!(client.client.replica().row("T", &id(999)).is_some());
    let reason = Follower::new(strict(&config)).disconnected().await;
    assert!(reason.contains("not valid for name"), "{reason}");

    let (_server, config) = server(folder.path(), "named");
    Follower::new(strict(&config)).synced().await;
}

#[tokio::test]
async fn what_another_authority_signed_is_refused_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign("server", OVS_PKI);
    Authority::create(folder.path(), "other").sign("stranger", OVS_PKI);
    let (_server, config) = server(folder.path(), "server");
    let with = |change: &dyn Fn(&mut TlsConfig)| {
        let mut config = config.clone();
        change(config.tls.as_mut().unwrap());
        Follower::new(config)
    };
    let path = |name: &str| folder.path().join(name);

    let reason = with(&|tls| tls.ca = path("other.crt")).disconnected().await;
    assert!(
        reason.contains("did not sign the server's certificate") && reason.contains("other.crt"),
        "{reason}"
    );
    let mut stranger = with(&|tls| (tls.certificate, tls.key) = (path("stranger.crt"), path("stranger.key")));
    let reason = stranger.disconnected().await;
    assert!(!stranger.client.is_synced(), "{reason}");
    assert_eq!(stranger.client.schema(), None, "nothing was read: {reason}");

    let reason = with(&|tls| tls.key = path("missing.key")).disconnected().await;
    assert!(reason.contains("cannot read the key") && reason.contains("missing.key"), "{reason}");
    let reason = with(&|tls| tls.key = path("stranger.key")).disconnected().await;
    assert!(reason.contains("do not go together"), "{reason}");
    let reason = with(&|tls| tls.ca = path("client.key")).disconnected().await;
    assert!(reason.contains("holds no certificate"), "{reason}");
    let reason = Follower::new(ClientConfig { tls: None, ..config.clone() }).disconnected().await;
    assert!(reason.contains("needs a CA"), "{reason}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_on_both_sides_until_it_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign_for(0, "server", OVS_PKI);
    // A certificate is valid to the end of its last second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (mut server, config) = server(folder.path(), "server");
    let mut client = Follower::new(config.clone());
    let reason = client.disconnected().await;
    assert!(reason.contains("Expired") || reason.contains("expired"), "{reason}");
    assert_eq!(client.client.schema(), None, "nothing was read");
    ca.sign("server", OVS_PKI);
    server.restart();
    client.synced().await;

    ca.sign_for(0, "client", OVS_PKI);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut expired = Follower::new(config);
    let reason = expired.disconnected().await;
    assert_eq!(expired.client.schema(), None, "nothing was read: {reason}");
    // The same client, without a restart, as soon as the files are other ones.
    ca.sign("client", OVS_PKI);
    expired.synced().await;
}

#[tokio::test]
async fn rotated_certificates_are_used_for_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign("server", OVS_PKI);
    let (mut server, config) = server(folder.path(), "server");
    let mut client = Follower::new(config);
    client.synced().await;
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign("server", OVS_PKI);
    server.restart();
    client.disconnected().await;
    client.synced().await;
}

#[tokio::test]
async fn plain_tcp_to_a_tls_port_fails_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::create(folder.path(), "ca");
    ca.sign("client", OVS_PKI);
    ca.sign("server", OVS_PKI);
    let (_server, config) = server(folder.path(), "server");
    let endpoint = config.endpoints[0].to_string().replace("ssl:", "tcp:").parse().unwrap();
    let reason = Follower::new(ClientConfig::new(vec![endpoint], "Db", wanted())).disconnected().await;
    assert!(reason.contains("want ssl: instead of tcp:"), "{reason}");
}
