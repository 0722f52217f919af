//! `ovn-vip import`: the configuration of another load balancer, as MetalLB's objects.

mod kube_ovn;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::import::{Imported, Manifest, gdcv, metallb_configmap};
use crate::settings::{ImportArgs, ImportSource, Output};

/// Reads, prints the objects, and says by its exit code whether the source has errors.
pub async fn run(arguments: &ImportArgs) -> anyhow::Result<ExitCode> {
    let imported = match &arguments.source {
        ImportSource::MetallbConfigmap { file } => from_metallb(&documents(file)?)?,
        ImportSource::Gdcv { file, node_subnet } => {
            let documents = documents(file)?;
            let cluster = documents.iter().find(|document| document["kind"] == "Cluster");
            gdcv(
                cluster.with_context(|| {
                    format!(
                        "{} has no object of kind Cluster; give the cluster's configuration file",
                        shown(file)
                    )
                })?,
                *node_subnet,
            )
        }
        ImportSource::KubeOvn(arguments) => kube_ovn::run(arguments).await?,
    };
    let as_json =
        matches!(&arguments.source, ImportSource::KubeOvn(found) if found.objects.output == Output::Json);
    if as_json {
        println!("{:#}", kube_ovn::as_json(&imported));
    } else {
        print!("{}", text(&imported)?);
        imported.findings.iter().for_each(|finding| eprintln!("{finding}"));
    }
    Ok(if imported.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A ConfigMap as `kubectl get -o yaml` prints it; or the text of its `config` alone.
fn from_metallb(documents: &[Value]) -> anyhow::Result<Imported> {
    let items = |document: &Value| document["items"].as_array().cloned().unwrap_or_default();
    let listed = documents.iter().flat_map(items).collect::<Vec<_>>();
    let all = || documents.iter().chain(&listed);
    let map = all().find(|object| object["kind"] == "ConfigMap" && object["data"]["config"].is_string());
    if let Some(map) = map {
        let config = map["data"]["config"].as_str().unwrap_or_default();
        let config: Value =
            serde_saphyr::from_str(config).context("data.config of the ConfigMap is no YAML")?;
        return Ok(metallb_configmap(&config, map["metadata"]["namespace"].as_str()));
    }
    match documents {
        [config] if config["kind"].is_null() => Ok(metallb_configmap(config, None)),
        _ if all().any(|object| object["apiVersion"] == "metallb.io/v1beta1") => {
            bail!("these are MetalLB's objects of today: there is nothing to import")
        }
        _ => bail!(
            "it has no ConfigMap with data.config; give what `kubectl -n metallb-system get configmap config -o yaml` prints"
        ),
    }
}

fn documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let mut text = String::new();
    let shown = shown(file);
    let read = match file.as_os_str().as_encoded_bytes() {
        b"-" => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.with_context(|| format!("cannot read {shown}"))?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{shown} is no YAML"))?;
    if documents.iter().all(Value::is_null) {
        bail!("{shown} is empty: did the command that was to write it fail?");
    }
    Ok(documents)
}

fn shown(file: &Path) -> String {
    match file.as_os_str().as_encoded_bytes() {
        b"-" => "standard input".to_owned(),
        _ => file.display().to_string(),
    }
}

fn text(imported: &Imported) -> anyhow::Result<String> {
    let mut text: String = imported.left_out().map(|words| format!("# {words}\n")).collect();
    for Manifest { comments, object } in &imported.manifests {
        if object.is_some() {
            text.push_str("---\n");
        }
        for comment in comments {
            text.push_str(&format!("# {comment}\n"));
        }
        let Some(object) = object else { continue };
        text.push_str(&serde_saphyr::to_string(object)?);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}
