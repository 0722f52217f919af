//! Which API server, and how to it.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Connecting takes no longer than this, on any network that is worth one.
const CONNECT: Duration = Duration::from_secs(5);

/// Longer than any watch is quiet: whatever says nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(150);

/// Which cluster. Without either: KUBECONFIG, `~/.kube/config`, or the Pod's own ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeTarget {
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts.
    pub context: Option<String>,
}

/// Why there is no client of an API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a Pod's own ServiceAccount.
    #[error(
        "no cluster: {why}; run in a Pod, set KUBECONFIG, give --kubeconfig FILE, or give a folder of manifests with --cluster-dir DIR"
    )]
    NoCluster {
        /// What was tried.
        why: String,
    },
    /// A kubeconfig that cannot be used.
    #[error(
        "the kubeconfig {file}cannot be used: {why}; correct it, or what --kubeconfig and --kube-context say"
    )]
    Kubeconfig {
        /// The file with a blank behind it, if one was named.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A client. It connects with the first request.
pub async fn connect(target: &KubeTarget) -> Result<Client, ConnectError> {
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let file = target.kubeconfig.as_ref().map(|file| format!("{} ", file.display())).unwrap_or_default();
    let unusable = |why: &dyn std::error::Error| ConnectError::Kubeconfig {
        file: file.clone(),
        why: super::watch::root(why),
    };
    let mut config = match (&target.kubeconfig, &target.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error))?,
        (None, None) => {
            Config::infer().await.map_err(|error| ConnectError::NoCluster { why: error.to_string() })?
        }
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // kube-rs would retry unseen, up to minutes apart; here whoever asks says what is wrong, and asks again.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| unusable(&error))
}
