//! What an API server holds, seen by one of its users: objects by the paths of the API, manifests by their kinds.
//!
//! Calls return when they are answered, so that a test reads from top to bottom.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hyper::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DynamicObject, GroupVersionKind, Resource};
use kube::discovery::{ApiResource, Scope, oneshot};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::process::{eventually, holds};

/// The manager of the fields that tests write.
const MANAGER: &str = "fieldManager=tests&force=true";
const MERGE: &str = "application/merge-patch+json";

/// A user's view of an API server.
pub struct Cluster {
    kubeconfig: PathBuf,
    runtime: Runtime,
    pub client: Client,
    kinds: RefCell<BTreeMap<(String, String), (ApiResource, bool)>>,
}

impl Cluster {
    /// As the user whom the file names.
    pub fn open(kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(connect(kubeconfig));
        Self { kubeconfig: kubeconfig.into(), runtime, client, kinds: RefCell::default() }
    }

    /// With connections of its own, since the old ones lead to a server that is gone.
    pub fn reconnect(&mut self) {
        self.client = self.runtime.block_on(connect(&self.kubeconfig));
    }

    /// An object, or a list of them.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        self.call("GET", "application/json", path, &Value::Null)
    }

    /// What a list holds.
    pub fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).unwrap()["items"].as_array().unwrap().clone()
    }

    /// Creates an object in a list, or calls an object's subresource.
    pub fn post(&self, path: &str, object: &Value) -> Value {
        self.block_on(self.create(path, object))
    }

    /// Merges it into the object.
    pub fn patch(&self, path: &str, change: &Value) {
        self.block_on(self.merge(path, change));
    }

    /// Returns once it is gone.
    pub fn delete(&self, path: &str) {
        self.call("DELETE", "application/json", path, &Value::Null).unwrap();
        eventually(&format!("{path} is gone"), || holds(self.get(path).is_err(), "it is there"));
    }

    /// Applies every manifest of a folder, in the order of their names; returns once the kinds in it are served.
    pub fn apply_folder(&self, folder: &Path) {
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        self.apply(&texts.join("\n---\n"));
    }

    /// Applies the manifests in a text; a status goes to the status subresource. Returns once new kinds are served.
    pub fn apply(&self, manifests: &str) {
        let manifests = documents(manifests);
        manifests.iter().for_each(|manifest| self.apply_one(manifest));
        // The server takes its time for each, but looks at all of them at once.
        manifests.iter().filter(|it| is_definition(it)).for_each(|it| self.await_kind(it));
    }

    fn apply_one(&self, manifest: &Value) {
        if let Some(namespace) = manifest["metadata"]["namespace"].as_str() {
            self.ensure_namespace(namespace);
        }
        let path = self.path_of(manifest);
        let mut object = manifest.clone();
        let status = object.as_object_mut().unwrap().remove("status");
        self.call("PATCH", "application/apply-patch+yaml", &format!("{path}?{MANAGER}"), &object)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        if let Some(status) = status.filter(|_| !is_definition(manifest)) {
            self.patch(&format!("{path}/status"), &json!({"status": status}));
        }
    }

    fn ensure_namespace(&self, name: &str) {
        let path = format!("/api/v1/namespaces/{name}");
        if self.get(&path).is_err() {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.post("/api/v1/namespaces", &body);
        }
    }

    /// Returns once objects of the new kind can be made.
    fn await_kind(&self, definition: &Value) {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
        let list = format!("/apis/{group}/{}/{plural}", text(&spec["versions"][0]["name"]));
        eventually(&format!("{list} is served"), || self.get(&list));
    }

    /// Where an object is, by its kind and name.
    fn path_of(&self, object: &Value) -> String {
        let text = |value: &Value| {
            value.as_str().unwrap_or_else(|| panic!("no kind or no name: {object}")).to_owned()
        };
        let key = (text(&object["apiVersion"]), text(&object["kind"]));
        let known = self.kinds.borrow().get(&key).cloned();
        let (kind, namespaced) = known.unwrap_or_else(|| self.discover(&key));
        self.kinds.borrow_mut().insert(key, (kind.clone(), namespaced));
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let list = DynamicObject::url_path(&kind, namespaced.then_some(namespace));
        format!("{list}/{}", text(&object["metadata"]["name"]))
    }

    fn discover(&self, (api_version, kind): &(String, String)) -> (ApiResource, bool) {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersionKind::gvk(group, version, kind);
        eventually(&format!("{api_version} {kind} is discovered"), || {
            let found = self.runtime.block_on(oneshot::pinned_kind(&self.client, &wanted));
            let (kind, capabilities) = found.map_err(|error| error.to_string())?;
            Ok((kind, capabilities.scope == Scope::Namespaced))
        })
    }

    fn call(&self, method: &str, content: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.block_on(self.request(method, content, path, body))
    }

    /// Drives whatever it is, and the connections with it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// As [`Cluster::patch`], for those who do something else meanwhile.
    pub async fn merge(&self, path: &str, change: &Value) {
        self.request("PATCH", MERGE, path, change).await.unwrap();
    }

    /// As [`Cluster::post`], for those who do something else meanwhile.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        self.request("POST", "application/json", path, object).await.unwrap()
    }

    async fn request(&self, method: &str, content: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(body).unwrap();
        self.client.request(request).await.map_err(|error| format!("{error:?}"))
    }
}

async fn connect(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn is_definition(manifest: &Value) -> bool {
    manifest["kind"] == "CustomResourceDefinition"
}

/// The manifests in a text.
pub fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---").map(|part| {
        part.split_once('\n').filter(|(line, _)| line.trim().is_empty()).map_or(part, |(_, rest)| rest)
    });
    let values = parts.map(|part| {
        let value = serde_saphyr::from_str::<Option<serde_json::Value>>(part);
        value.unwrap_or_else(|error| panic!("{error}\n{part}"))
    });
    values
        .flatten()
        .filter(|value| !value.is_null())
        .map(|value| Value::deserialize(value).unwrap())
        .collect()
}
