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
        "no cluster is named: {why}; give --kubeconfig FILE, or a folder of manifests with --cluster-dir DIR"
    )]
    NoCluster {
        /// What was tried.
        why: String,
    },
    /// An API server that says nothing.
    #[error(
        "the API server {server} does not answer: {why}; is it up, and are --kubeconfig and --kube-context right?"
    )]
    Silent {
        /// Its address.
        server: String,
        /// What happened instead.
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
    let unusable = |error: &dyn std::error::Error| target.unusable(error);
    Client::try_from(config(target).await?).map_err(|error| unusable(&error))
}

/// Whether the API server answers at all, within that time; any answer will do.
///
/// # Errors
/// It does not: its address, and why.
pub async fn answers(target: &KubeTarget, within: Duration) -> Result<(), ConnectError> {
    let config = config(target).await?;
    let server = config.cluster_url.to_string();
    let silent = |why| ConnectError::Silent { server: server.clone(), why };
    let client = Client::try_from(config).map_err(|error| target.unusable(&error))?;
    match tokio::time::timeout(within, client.apiserver_version()).await {
        Ok(Ok(_) | Err(kube::Error::Api(_) | kube::Error::SerdeError(_))) => Ok(()),
        Ok(Err(error)) => Err(silent(super::watch::root(&error))),
        Err(_) => Err(silent(format!("nothing came in {} s", within.as_secs()))),
    }
}

/// The API server's address; nothing where none is named.
pub async fn server(target: &KubeTarget) -> Option<String> {
    Some(config(target).await.ok()?.cluster_url.to_string())
}

impl KubeTarget {
    fn unusable(&self, error: &dyn std::error::Error) -> ConnectError {
        let file = self.kubeconfig.as_ref().map(|file| format!("{} ", file.display())).unwrap_or_default();
        ConnectError::Kubeconfig { file, why: plain(&super::watch::root(error)) }
    }
}

async fn config(target: &KubeTarget) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error: &dyn std::error::Error| target.unusable(error);
    let mut config = match (&target.kubeconfig, &target.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error))?,
        (None, None) => {
            Config::infer().await.map_err(|error| ConnectError::NoCluster { why: tried(&error) })?
        }
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // kube-rs would retry unseen, up to minutes apart; here whoever asks says what is wrong, and asks again.
    config.default_retry = false;
    Ok(config)
}

/// What was looked at for a cluster, in vain.
fn tried(error: &dyn std::error::Error) -> String {
    let why = plain(&super::watch::root(error));
    match std::env::var("KUBECONFIG") {
        Ok(files) if !files.is_empty() => {
            format!("this is no Pod, and KUBECONFIG ({files}) cannot be used: {why}")
        }
        _ => format!("this is no Pod, KUBECONFIG is not set, and ~/.kube/config cannot be used: {why}"),
    }
}

/// One line of what a reader of YAML prints as a picture of its file.
fn plain(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    let line = line.strip_prefix("failed to parse kubeconfig YAML: ").unwrap_or(line);
    match line.strip_prefix("error: ") {
        Some(error) => format!("it is no kubeconfig ({error})"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_kubeconfig_is_said_in_one_line_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kc");
        for text in ["junk", "{}", "{", "- a\n- b\n"] {
            std::fs::write(&file, text).unwrap();
            let target = KubeTarget { kubeconfig: Some(file.clone()), context: None };
            let error = connect(&target).await.err().unwrap().to_string();
            assert!(error.contains(&file.display().to_string()) && !error.contains('\n'), "{error}");
            assert!(error.contains("--kubeconfig"), "{error}");
        }
    }
}
