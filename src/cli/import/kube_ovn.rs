//! `ovn-vip import kube-ovn`: the cluster, kube-ovn-controller's Deployment and the northbound, read once.

use std::path::Path;

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cli::{check, northbound, objects};
use crate::import::{Imported, Manifest, Native, kube_ovn};
use crate::io::cluster::Source;
use crate::io::kube::connect::connect;
use crate::nb::{NetworkIndex, Owner};
use crate::ovsdb::Replica;
use crate::settings::ImportKubeOvnArgs;

/// The Deployment that has the flags.
const NAME: &str = "kube-ovn-controller";

/// Reads all of it, and says what changes hands.
pub async fn run(arguments: &ImportKubeOvnArgs) -> anyhow::Result<Imported> {
    let objects = objects::read(&arguments.objects).await?;
    let deployment = match arguments.objects.source() {
        Source::Folder(folder) => of_folder(&folder)?,
        Source::Kube(target) => of_api_server(&connect(&target).await?).await?,
    };
    let mut index = NetworkIndex::default();
    let found = northbound::read(&arguments.northbound).await?;
    if let Some((replica, _)) = &found {
        let changes = Replica::new().become_level_with(replica.clone());
        index.northbound_changed(&Owner::new(&arguments.cluster_name, 0), replica, &changes);
    }
    let (world, policy) = (objects.world(), arguments.objects.policy.policy());
    let mut imported = kube_ovn(Native {
        world: &world,
        network: found.is_some().then(|| index.network()),
        policy: &policy,
        deployment: deployment.as_ref(),
    });
    imported.findings.extend(objects.problems);
    imported.findings.sort_by_key(|finding| finding.severity);
    Ok(imported)
}

/// For machines: steps and objects in their order, and all findings.
pub fn as_json(imported: &Imported) -> Value {
    let entry = |Manifest { comments, object }: &Manifest| json!({ "words": comments, "object": object });
    let findings: Vec<Value> = imported.findings.iter().map(check::finding_as_json).collect();
    json!({ "steps": imported.manifests.iter().map(entry).collect::<Vec<_>>(), "findings": findings })
}

async fn of_api_server(client: &kube::Client) -> anyhow::Result<Option<Value>> {
    let named = ListParams::default().fields(&format!("metadata.name={NAME}"));
    let found = Api::<Deployment>::all(client.clone()).list(&named).await;
    let found = found.context("Deployments cannot be listed; may you read them?")?;
    found.items.first().map(serde_json::to_value).transpose().context("a Deployment cannot be read")
}

/// A Deployment is no kind of those that decide: the folder's files are looked through for it alone. What cannot be
/// read of them is told by those who read the rest.
fn of_folder(folder: &Path) -> anyhow::Result<Option<Value>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let texts =
        files.iter().filter(|file| is_manifest(file)).filter_map(|file| std::fs::read_to_string(file).ok());
    Ok(texts.flat_map(|text| documents(&text)).find(is_controller))
}

fn is_manifest(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let items = |document: Value| match document {
        Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
            list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default()
        }
        document => vec![document],
    };
    documents.into_iter().flat_map(items).collect()
}

fn is_controller(object: &Value) -> bool {
    object["kind"] == "Deployment" && object["metadata"]["name"] == NAME
}
