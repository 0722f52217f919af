//! Whether this replica writes. The Lease rules; the OVSDB lock fences.
//!
//! The Lease says who leads. Its leader takes the northbound's lock away from whoever has it and asserts it in every
//! transaction, so that a deposed leader's transactions fail, also those that are under way. The lock alone would not
//! do: it is one server's, so it fences only on a connection to the raft leader. Without election (a folder, `--once`)
//! there is neither.

use tokio::time::Instant;
use tracing::info;

use crate::io::kube::lease::{Candidacy, LeaseConfig, LeaseTiming, Standing};
use crate::io::ovsdb_client::Client;
use crate::ovsdb::Operation;
use crate::settings::ControllerArgs;

/// This replica's part.
#[derive(Debug)]
pub enum Leading {
    /// There are no others.
    Alone,
    /// One of several.
    Elected(Box<Elected>),
}

/// One of several replicas.
#[derive(Debug)]
pub struct Elected {
    candidacy: Candidacy,
    lock: String,
    led: bool,
    holder: String,
    rewinds: u64,
}

impl Leading {
    /// Stands for election where there is an API server, unless told not to.
    pub fn start(client: Option<&kube::Client>, arguments: &ControllerArgs) -> Self {
        let Some(client) = client.filter(|_| arguments.leader_election && !arguments.once) else {
            return Self::Alone;
        };
        let namespace = arguments.lease_namespace.clone();
        let process = uuid::Uuid::new_v4();
        let config = LeaseConfig {
            namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            name: arguments.lease.clone(),
            identity: format!("{}_{}", arguments.pod_name, process.simple()),
            timing: LeaseTiming::default(),
        };
        info!(
            namespace = config.namespace,
            lease = config.name,
            identity = config.identity,
            "standing for the lead"
        );
        Self::Elected(Box::new(Elected {
            candidacy: Candidacy::start(client, config),
            lock: lock_name(&arguments.cluster_name),
            led: false,
            holder: String::new(),
            rewinds: 0,
        }))
    }

    /// Ends when it may stand otherwise; never, where there is no election. Cancel-safe.
    pub async fn changed(&mut self) {
        match self {
            Self::Alone => std::future::pending().await,
            Self::Elected(elected) => elected.candidacy.changed().await,
        }
    }

    /// Whether this replica may write at this moment.
    pub fn may_write(&self, northbound: &Client, now: Instant) -> bool {
        match self {
            Self::Alone => true,
            Self::Elected(elected) => elected.candidacy.leads(now) && northbound.holds(&elected.lock),
        }
    }

    /// Brings the lock level with the Lease; what is wrong with the Lease. To be called when either may have changed.
    pub fn settle(&mut self, northbound: &mut Client, now: Instant) -> Option<String> {
        let Self::Elected(elected) = self else { return None };
        let leads = elected.candidacy.leads(now);
        if leads && !northbound.holds(&elected.lock) {
            northbound.steal(&elected.lock);
        }
        if !leads && elected.led {
            northbound.unlock(&elected.lock);
        }
        let Standing { holder, trouble, outdated, .. } = elected.candidacy.standing();
        elected.say(leads, holder);
        trouble.or(outdated.map(str::to_owned))
    }

    /// Whether the Lease told, since this was last asked, that the API server's state went back.
    pub fn take_rewound(&mut self) -> bool {
        let Self::Elected(elected) = self else { return false };
        let rewinds = elected.candidacy.standing().rewinds;
        std::mem::replace(&mut elected.rewinds, rewinds) != rewinds
    }

    /// What makes everything that is read doubtful, with the cure.
    pub fn outdated(&self) -> Option<&'static str> {
        match self {
            Self::Alone => None,
            Self::Elected(elected) => elected.candidacy.standing().outdated,
        }
    }

    /// Who leads, where that is another replica.
    pub fn leader(&self) -> Option<&str> {
        match self {
            Self::Alone => None,
            Self::Elected(elected) => {
                Some(&*elected.holder).filter(|holder| !elected.led && !holder.is_empty())
            }
        }
    }

    /// A transaction, fenced where there are others.
    pub fn fence(&self, mut operations: Vec<Operation>) -> Vec<Operation> {
        if let Self::Elected(elected) = self {
            operations.insert(0, Operation::Assert(elected.lock.clone()));
        }
        operations
    }

    /// Lets another lead at once.
    pub async fn release(&mut self) {
        if let Self::Elected(elected) = self {
            elected.candidacy.release().await;
        }
    }
}

impl Elected {
    fn say(&mut self, leads: bool, holder: String) {
        if leads != self.led {
            match leads {
                true => info!("leading: this replica writes the northbound"),
                false => info!(holder, "no longer leading"),
            }
        } else if !leads && holder != self.holder && !holder.is_empty() {
            info!(holder, "another replica leads");
        }
        (self.led, self.holder) = (leads, holder);
    }
}

/// The lock's name, which must be an identifier (RFC 7047 §3.1, `<id>`); of two clusters never the same.
fn lock_name(cluster: &str) -> String {
    let mut name = "ovn_vip_".to_owned();
    for byte in cluster.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locks_name_is_an_identifier_and_tells_clusters_apart() {
        let names = ["kubernetes", "a-b", "a_b", "a.b", "1", "ä"].map(lock_name);
        assert_eq!(names[0], "ovn_vip_kubernetes");
        for name in &names {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
        }
        assert_eq!(std::collections::BTreeSet::from(names.clone()).len(), names.len());
    }
}
