//! A cluster's objects, read once: from a folder of manifests, or from an API server.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::controller::heard::{Silent, is_outdated};
use crate::io::cluster::{Cluster, Source};
use crate::io::kube::connect::{KubeTarget, answers, server};
use crate::io::kube::watch::{By, KubeWatch};
use crate::io::manifests::{ManifestFolder, ManifestProblem, Tally};
use crate::kube::Problem;
use crate::kube::marks::Marks;
use crate::model::{Change, ObjectKey, World};
use crate::plan::{Finding, Severity};
use crate::settings::ObjectsArgs;

/// How long an API server may take to tell everything, while it tells something.
const WITHIN: Duration = Duration::from_secs(30);
/// How long it may say nothing at all, or refuse something.
const PATIENCE: Duration = Duration::from_secs(4);
/// After so long it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// What was read.
pub struct Objects {
    /// Each object that was understood.
    pub changes: Vec<Change>,
    /// What was not, each with its cure.
    pub problems: Vec<Finding>,
    /// How much it was.
    pub tally: Tally,
    /// The API server's objects; none of a folder.
    pub live: Option<Box<KubeWatch>>,
}

impl Objects {
    /// The cluster.
    pub fn world(&self) -> World {
        let mut world = World::default();
        self.changes.iter().for_each(|change| drop(world.apply(change.clone())));
        world
    }

    /// Whose reports are older than their writers said they would be, by the clocks there and here; each with when it was
    /// written.
    pub fn silent(&self, now: Timestamp) -> Silent {
        let (world, now) = (self.world(), now);
        let silent = world.reports().filter_map(|report| {
            let pulse = self.marks(&ObjectKey::Report(report.key.clone()))?.pulse.as_ref()?;
            let renewed: Timestamp = pulse.renewed.parse().ok()?;
            let age = Duration::try_from(now.duration_since(renewed)).unwrap_or_default();
            is_outdated(pulse, age).then(|| (report.node.clone(), pulse.renewed.clone()))
        });
        silent.collect()
    }

    /// What we said on an object; nothing where nobody could have.
    pub fn marks(&self, key: &ObjectKey) -> Option<&Marks> {
        self.live.as_ref()?.marks_of(key)
    }
}

/// Reads the folder or the API server that the command line names. What cannot be read there is a finding; an error is
/// what leaves nothing to look at.
pub async fn read(arguments: &ObjectsArgs) -> anyhow::Result<Objects> {
    match arguments.source() {
        Source::Folder(dir) => {
            let reading = ManifestFolder::open(&dir)?.as_cluster().reread();
            let problems = reading.problems.iter().map(unreadable).collect();
            Ok(Objects { changes: reading.changes, problems, tally: reading.tally, live: None })
        }
        Source::Kube(target) => from_api_server(target).await,
    }
}

/// Everything that an API server has, once it has told of every kind.
pub async fn from_api_server(target: KubeTarget) -> anyhow::Result<Objects> {
    answering(&target).await?;
    let mut cluster = Cluster::open(&Source::Kube(target), By::Givers).await?;
    let (mut changes, mut problems) = (Vec::new(), BTreeSet::new());
    let mut read = async |within: Duration| {
        let reading = async {
            while !cluster.is_complete() {
                let news = cluster.next().await;
                problems = news.problems.into_iter().collect();
                changes.extend(news.changes);
            }
        };
        let whole = tokio::time::timeout(within, reading).await.is_ok();
        let said: Vec<&str> = problems.iter().map(String::as_str).collect();
        (whole, said.join("; "))
    };
    // What the API server refuses it will refuse in half a minute, too.
    let (mut whole, mut trouble) = read(PATIENCE).await;
    if !whole && trouble.is_empty() {
        (whole, trouble) = read(WITHIN).await;
    }
    if trouble.is_empty() {
        trouble = format!("not all of it was told in {} s", (PATIENCE + WITHIN).as_secs());
    }
    anyhow::ensure!(whole, "the cluster cannot be read: {trouble}");
    let Cluster::Kube(watch, _) = cluster else { anyhow::bail!("no API server was named") };
    let mut tally = Tally::default();
    tally
        .objects
        .extend(watch.counts().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), count)));
    let problems = watch.field_problems().map(|problem| of_field("", problem)).collect();
    Ok(Objects { changes, problems, tally, live: Some(watch) })
}

/// The API server answers; what is waited for is said soon.
async fn answering(target: &KubeTarget) -> anyhow::Result<()> {
    let asked = answers(target, PATIENCE);
    tokio::pin!(asked);
    if let Ok(answered) = tokio::time::timeout(SILENCE, &mut asked).await {
        return Ok(answered?);
    }
    if let Some(server) = server(target).await {
        eprintln!("ovn-vip: waiting for the API server {server}");
    }
    Ok(asked.await?)
}

/// Something that the folder has and that cannot be read.
fn unreadable(problem: &ManifestProblem) -> Finding {
    match problem {
        ManifestProblem::Field { file, line, problem } => {
            of_field(&format!("{}:{line}: ", file.display()), problem)
        }
        ManifestProblem::Broken { file, line, object, why } => {
            let object = object.clone().unwrap_or_else(|| file.display().to_string());
            let message = format!("{}:{line}: {why}", file.display());
            finding(Severity::Error, object, String::new(), message, "correct the document")
        }
        ManifestProblem::Unreadable { path, why } => {
            let cure = "make the file readable";
            finding(Severity::Error, path.display().to_string(), String::new(), why.clone(), cure)
        }
        ManifestProblem::Twice { file, object, other } => {
            let message =
                format!("it is in {} and in {}: {} counts", file.display(), other.display(), file.display());
            let found =
                finding(Severity::Warning, object.clone(), String::new(), message, "remove one of them");
            Finding { reason: "StandsTwice", ..found }
        }
    }
}

fn of_field(at: &str, problem: &Problem) -> Finding {
    let message = match problem.value.as_str() {
        "" => format!("{at}the field is missing"),
        value => format!("{at}{value:?} cannot be used"),
    };
    finding(Severity::Error, problem.object.clone(), problem.field.clone(), message, &problem.cure)
}

fn finding(severity: Severity, object: String, field: String, message: String, cure: &str) -> Finding {
    Finding { severity, object, field, reason: "CannotBeRead", message, cure: cure.to_owned() }
}
