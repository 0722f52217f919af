//! `ovn-vip support`: one folder, or archive, with what somebody else needs to see what is wrong. No Secret is read, and what is private is taken
//! out of what is written (`redacted`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::io::cluster::Source;
use crate::io::http::fetch::fetch;
use crate::io::kube::connect::connect;
use crate::io::kube::watch::list_all;
use crate::kube::Kind;
use crate::ovsdb::Replica;
use crate::settings::SupportArgs;

use super::bundle::Bundle;
use super::{check, explain, northbound, objects, redacted, status, version};

/// Where the controller of the same Pod has its pages.
const CONTROLLER: &str = "127.0.0.1:10685";

/// Gathers, and says where it is. What cannot be had is noted in the folder, and keeps nothing else out.
pub async fn run(arguments: &SupportArgs) -> anyhow::Result<ExitCode> {
    let mut folder = Bundle::create(&arguments.folder)?;
    folder.put("version.txt", &version::line())?;
    write_findings(arguments, &mut folder).await?;
    write_objects(arguments, &mut folder).await?;
    write_rows(arguments, &mut folder).await?;
    write_pages(arguments, &mut folder).await?;
    let said = folder.finish()?;
    if !said.is_empty() {
        println!("{said}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What `check` and `explain` say.
async fn write_findings(arguments: &SupportArgs, folder: &mut Bundle) -> anyhow::Result<()> {
    let explaining = arguments.explaining();
    match objects::read(&arguments.objects).await {
        Ok(objects) => {
            let found = northbound::read(&arguments.northbound()?).await;
            let found = found.inspect_err(|error| {
                folder.lacks(format_args!("northbound for check: {error:#}"));
            });
            let replica = found.ok().flatten().map(|(replica, _)| replica);
            let explained = explain::everything(&explaining, &objects).await;
            folder.found("explain.txt", explained)?;
            let policy = arguments.objects.policy.policy();
            let databases = check::Databases { northbound: replica.as_ref(), southbound: None };
            let scope = arguments.objects.allocate.scope(&arguments.objects.policy);
            let name = &arguments.rules.cluster_name;
            let (findings, tally) = check::findings(objects, databases, name, &policy, scope);
            folder.put("check.txt", &check::text(&findings, &tally))
        }
        Err(error) => folder.found("check.txt, explain.txt", Err(error)),
    }
}

/// Every object that decides, of a cluster or a folder.
async fn write_objects(arguments: &SupportArgs, folder: &mut Bundle) -> anyhow::Result<()> {
    let target = match arguments.objects.source() {
        Source::Kube(target) => target,
        Source::Folder(given) => return write_manifests(&given, folder),
    };
    let client = match connect(&target).await {
        Ok(client) => client,
        Err(error) => return folder.found("objects", Err(error.into())),
    };
    for (kind, listed) in list_all(&client).await {
        match listed {
            Ok(objects) => folder.put_json(&format!("{kind}.json"), Value::Array(objects))?,
            Err(why) => folder.found(&format!("{kind}.json"), Err(anyhow::anyhow!(why)))?,
        }
    }
    Ok(())
}

/// A folder's objects of the kinds that decide, a file for each kind. What cannot be read might be anything, and stays out.
fn write_manifests(given: &Path, folder: &mut Bundle) -> anyhow::Result<()> {
    let mut kinds: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let entries = fs::read_dir(given).with_context(|| format!("cannot list {}", given.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let is_manifest = |path: &&std::path::PathBuf| {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        ending.is_some_and(|ending| ["yaml", "yml", "json"].contains(&&*ending))
    };
    for path in paths.iter().filter(is_manifest) {
        let documents = fs::read_to_string(path).map_err(|error| error.to_string());
        let documents = documents
            .and_then(|text| serde_saphyr::from_multiple::<Value>(&text).map_err(|error| error.to_string()));
        match documents {
            Ok(documents) => documents.into_iter().for_each(|document| sort(document, &mut kinds)),
            // Its words may quote what is private.
            Err(_) => folder.lacks(format_args!(
                "{}: it cannot be read as YAML; `ovn-vip check` says where",
                path.display()
            )),
        }
    }
    for (kind, objects) in kinds {
        folder.put_json(&format!("{kind}.json"), Value::Array(objects))?;
    }
    Ok(())
}

/// A List's items each for itself; of other kinds nothing.
fn sort(document: Value, kinds: &mut BTreeMap<&str, Vec<Value>>) {
    if let Some(items) = document.get("items").and_then(Value::as_array) {
        return items.iter().cloned().for_each(|item| sort(item, kinds));
    }
    let word = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    if let Some(kind) = Kind::of(word("apiVersion"), word("kind")) {
        kinds.entry(kind.name()).or_default().push(document);
    }
}

/// The rows of both databases that ovn-vip reads; of the southbound's flows those of load balancing.
async fn write_rows(arguments: &SupportArgs, folder: &mut Bundle) -> anyhow::Result<()> {
    let explaining = arguments.explaining();
    let [northbound, southbound] = explaining.databases()?;
    if let Some(address) = northbound {
        let read = northbound::northbound(&address, &explaining.northbound).await;
        folder.found("northbound.json", read.map(|(replica, _)| rows(&replica)))?;
    }
    if let Some(address) = southbound {
        let read = northbound::southbound(&address, &explaining.northbound).await;
        folder.found("southbound.json", read.map(|replica| rows(&replica)))?;
    }
    Ok(())
}

fn rows(replica: &Replica) -> String {
    let mut tables = Map::new();
    for table in replica.tables() {
        let mut all = Map::new();
        for (uuid, row) in table.rows() {
            let columns = row
                .columns()
                .map(|(name, value)| (name.to_owned(), serde_json::to_value(value).unwrap_or_default()));
            all.insert(uuid.to_string(), Value::Object(columns.collect()));
        }
        tables.insert(table.name().to_owned(), Value::Object(all));
    }
    format!("{:#}\n", redacted::json(Value::Object(tables)))
}

/// What speakers and the controller say of themselves, and their metrics.
async fn write_pages(arguments: &SupportArgs, folder: &mut Bundle) -> anyhow::Result<()> {
    let token = arguments.token_file.as_ref().map(fs::read_to_string).transpose().context("--token-file")?;
    let token = token.as_deref().map(str::trim);
    for speaker in &arguments.speakers {
        let address = status::with_port(speaker);
        let name = address.replace([':', '[', ']'], "_");
        folder.found(&format!("speaker-{name}-status.json"), page(&address, "/status", token).await)?;
        folder.found(&format!("speaker-{name}-metrics.txt"), page(&address, "/metrics", None).await)?;
    }
    if arguments.objects.dir.is_none() {
        for (name, path) in [("controller-ready.txt", "/readyz"), ("controller-metrics.txt", "/metrics")] {
            let said = page(CONTROLLER, path, None).await;
            let said = said.context("no controller on this host: `kubectl -n kube-system port-forward deployment/ovn-vip-controller 10685` first");
            folder.found(name, said)?;
        }
    }
    Ok(())
}

async fn page(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<String> {
    Ok(fetch(address, path, token).await?)
}
