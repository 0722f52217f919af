//! `ovn-vip support`: one folder with what somebody else needs to see what is wrong. No Secret is read, and what is private is taken
//! out of what is written (`redacted`).

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::io::cluster::Source;
use crate::io::http::fetch::fetch;
use crate::io::kube::connect::connect;
use crate::io::kube::watch::list_all;
use crate::ovsdb::Replica;
use crate::settings::SupportArgs;

use super::{check, explain, northbound, objects, redacted, status, version};

/// Where the controller of the same Pod has its pages.
const CONTROLLER: &str = "127.0.0.1:10685";

/// The folder under construction.
struct Folder {
    path: PathBuf,
    /// What is missing in it, and why.
    missing: String,
}

impl Folder {
    fn create(path: &PathBuf) -> anyhow::Result<Self> {
        fs::create_dir(path).with_context(|| {
            format!("cannot make the folder {}: give one that is not there yet", path.display())
        })?;
        Ok(Self { path: path.clone(), missing: String::new() })
    }

    fn put(&self, name: &str, words: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, redacted::text(words)).with_context(|| format!("cannot write {}", path.display()))
    }

    fn put_json(&self, name: &str, value: Value) -> anyhow::Result<()> {
        self.put(name, &format!("{:#}\n", redacted::json(value)))
    }

    /// Writes what was found, or notes why it was not.
    fn found(&mut self, name: &str, found: anyhow::Result<String>) -> anyhow::Result<()> {
        match found {
            Ok(words) => self.put(name, &words),
            Err(error) => {
                let _ = writeln!(self.missing, "{name}: {error:#}");
                Ok(())
            }
        }
    }
}

/// Gathers, and says where it is. What cannot be had is noted in the folder, and keeps nothing else out.
pub async fn run(arguments: &SupportArgs) -> anyhow::Result<ExitCode> {
    let mut folder = Folder::create(&arguments.folder)?;
    folder.put("version.txt", &version::line())?;
    write_findings(arguments, &mut folder).await?;
    write_objects(arguments, &mut folder).await?;
    write_rows(arguments, &mut folder).await?;
    write_pages(arguments, &mut folder).await?;
    folder.put("missing.txt", &folder.missing)?;
    let path = folder.path.display();
    println!(
        "{path} has what could be gathered, and missing.txt what could not. Look at it, then: tar -czf {path}.tar.gz {path}"
    );
    Ok(ExitCode::SUCCESS)
}

/// What `check` and `explain` say.
async fn write_findings(arguments: &SupportArgs, folder: &mut Folder) -> anyhow::Result<()> {
    let explaining = arguments.explaining();
    match objects::read(&arguments.objects).await {
        Ok(objects) => {
            let found = northbound::read(&arguments.northbound()?).await;
            let found = found.inspect_err(|error| {
                let _ = writeln!(folder.missing, "northbound for check: {error:#}");
            });
            let replica = found.ok().flatten().map(|(replica, _)| replica);
            let explained = explain::everything(&explaining, &objects).await;
            folder.found("explain.txt", explained)?;
            let policy = arguments.objects.policy.policy();
            let databases = check::Databases { northbound: replica.as_ref(), southbound: None };
            let (findings, tally) =
                check::findings(objects, databases, &arguments.rules.cluster_name, &policy);
            folder.put("check.txt", &check::text(&findings, &tally))
        }
        Err(error) => folder.found("check.txt, explain.txt", Err(error)),
    }
}

/// Every object that decides; a folder is at hand already.
async fn write_objects(arguments: &SupportArgs, folder: &mut Folder) -> anyhow::Result<()> {
    let Source::Kube(target) = arguments.objects.source() else { return Ok(()) };
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

/// The rows of both databases that ovn-vip reads; of the southbound's flows those of load balancing.
async fn write_rows(arguments: &SupportArgs, folder: &mut Folder) -> anyhow::Result<()> {
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
async fn write_pages(arguments: &SupportArgs, folder: &mut Folder) -> anyhow::Result<()> {
    let token = arguments.token_file.as_ref().map(fs::read_to_string).transpose().context("--token-file")?;
    let token = token.as_deref().map(str::trim);
    for speaker in &arguments.speakers {
        let address = status::with_port(speaker);
        let name = address.replace([':', '[', ']'], "_");
        folder.found(&format!("speaker-{name}-status.json"), page(&address, "/status", token).await)?;
        folder.found(&format!("speaker-{name}-metrics.txt"), page(&address, "/metrics", None).await)?;
    }
    if arguments.objects.dir.is_none() {
        folder.found("controller-ready.txt", page(CONTROLLER, "/readyz", None).await)?;
        folder.found("controller-metrics.txt", page(CONTROLLER, "/metrics", None).await)?;
    }
    Ok(())
}

async fn page(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<String> {
    Ok(fetch(address, path, token).await?)
}
